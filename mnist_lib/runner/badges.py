"""Open-in-Colab badges, and the address from which Colab clones the library.

Both follow from `git remote`, so that a fork's badges open the fork. Only source text changes:
outputs, ids and execution counts stay as they are, byte for byte.
"""

import json
import re
import subprocess
from pathlib import Path

from mnist_lib.engine.files import write_atomically

COLAB = "https://colab.research.google.com"
BRANCH = "main"
GITHUB = re.compile(r"(?:^|[/@])github\.com(?::\d+/|[:/])([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")
BETWEEN_MARKERS = re.compile(r"<!-- badge -->.*?<!-- /badge -->", re.DOTALL)
ADDRESS_LINE = re.compile(r'^(\s*REPOSITORY = )"[^"]*"', re.MULTILINE)


def stamp(project: Path) -> list[str]:
    """Write address and badges into notebooks and README; returns what was done, line by line."""
    slug = repository(project)
    done = [f"the repository is {slug} on GitHub" if slug else "no remote on GitHub: no badges"]
    notebooks = sorted((project / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for path in notebooks:
        done.append(f"{path.name}: {stamp_notebook(path, slug)}")
    readme = project / "README.md"
    if readme.exists() and notebooks:
        before = readme.read_text(encoding="utf-8")
        after = with_badge(before, slug, notebooks[0].name)
        done.append(f"{readme.name}: {write_if_changed(readme, before, after)}")
    return done


def repository(project: Path) -> str:
    """'owner/name' of the remote `origin`, or '' if there is none on GitHub."""
    command = ["git", "remote", "get-url", "origin"]
    try:
        answer = subprocess.run(command, cwd=project, capture_output=True, text=True)
    except OSError:  # no git here
        return ""
    found = GITHUB.search(answer.stdout.strip())
    return "/".join(found.groups()) if found else ""


def with_badge(text: str, slug: str, notebook: str) -> str:
    """The text with the notebook's badge between its markers, or nothing there without a slug."""
    page = f"{COLAB}/github/{slug}/blob/{BRANCH}/notebooks/{notebook}"
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({page})" if slug else ""
    return BETWEEN_MARKERS.sub(lambda _: f"<!-- badge -->{badge}<!-- /badge -->", text)


def stamp_notebook(path: Path, slug: str) -> str:
    """Stamp one notebook; returns whether it changed."""
    before = path.read_text(encoding="utf-8")
    notebook = json.loads(before)
    address = f"https://github.com/{slug}" if slug else ""
    pages = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    for cell in pages[:1]:
        set_source(cell, with_badge("".join(cell["source"]), slug, path.name))
    for cell in notebook["cells"]:
        if "bootstrap" in cell["metadata"].get("tags", []):
            stamped = ADDRESS_LINE.sub(rf'\g<1>"{address}"', "".join(cell["source"]))
            set_source(cell, stamped)
    after = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    return write_if_changed(path, before, after)


def set_source(cell: dict, text: str) -> None:
    """Replace a cell's source in the form it had: a list of lines, or one string."""
    is_list = isinstance(cell["source"], list)
    cell["source"] = text.splitlines(keepends=True) if is_list else text


def write_if_changed(path: Path, before: str, after: str) -> str:
    if after == before:
        return "nothing to change"
    write_atomically(path, after)
    return "stamped"
