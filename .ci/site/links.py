"""Links into the repository: to the reference, to its address, or plain text where it has none."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from mnist_lib.engine.environment import PROJECT


class LinksIntoRepository(SphinxPostTransform):
    """Whatever exists in the repository and is no page here; what exists nowhere stays an error."""

    default_priority = 8  # before MyST, at 9, names the links to nowhere

    def run(self, **_options) -> None:
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link["reftype"] != "myst" or link.get("refdomain"):
                continue
            path = (PROJECT / link["refdoc"]).parent / link["reftarget"]
            if path.exists():
                self.lead(link, path.resolve().relative_to(PROJECT))

    def lead(self, link: addnodes.pending_xref, path: Path) -> None:
        """Make the link one that can be followed, or plain text."""
        address = self.config.html_context["address"]
        module = f"reference/{Path(*path.parts[1:2]).stem}"
        if path.parts[0] == "mnist_lib" and module in self.env.all_docs:
            link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", module, None
        elif address:
            link.replace_self(nodes.reference("", "", *link.children, refuri=f"{address}/{path}"))
        else:
            link.replace_self(link.children)
