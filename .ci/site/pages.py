"""The sources of the site, gathered into one folder that is laid out like the repository.

So a link between README, CONTRIBUTING and notebooks leads to the same file as it does there.
"""

import json
import pkgutil
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import mnist_lib
from mnist_lib.commands.badges import BADGE
from mnist_lib.engine.environment import PROJECT

DOCUMENTS = ("CONTRIBUTING.md", "CHANGELOG.md")
TITLE = re.compile(r"# @title (.*)")
WAY_ON = "\n[Install and run it](install-and-run.md), or [draw a digit](draw-a-digit.md).\n"
FASTEST = re.compile(r"<!-- fastest -->\n(.*?)<!-- /fastest -->", re.DOTALL)
PICTURE = re.compile(
    r'<picture>\s*<source .*?srcset="(?P<dark>.*?)">\s*'
    r'<img width="(?P<width>\d+)" alt="(?P<alt>.*?)" src="(?P<light>.*?)">\s*</picture>'
)


def gather(folder: Path) -> None:
    """Write all sources, and the tables of contents that put them in their order."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "reference").mkdir()
    shutil.copytree(PROJECT / "figures", folder / "figures")
    for name in DOCUMENTS:
        shutil.copy(PROJECT / name, folder)
    notebooks = sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for path in notebooks:
        write(folder / "notebooks" / path.name, as_page(path.read_text(encoding="utf-8")))
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    front, journey, *sections = split(both_pictures(BADGE.sub("", readme)))
    fastest = FASTEST.search(readme)[1]
    front = front.replace("<!-- /result -->\n", f"<!-- /result -->\n\nFast: {fastest}{WAY_ON}")
    numbered = table_of_contents("Notebooks", [f"notebooks/{path.stem}" for path in notebooks])
    pages = [write_section(folder, section) for section in sections]
    pages += [write_reference(folder / "reference"), *(Path(name).stem for name in DOCUMENTS)]
    behind = table_of_contents("Behind them", pages)
    write(folder / "index.md", front + journey + numbered + behind)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def as_page(notebook: str) -> str:
    """A notebook whose folded cells show their titles.

    It has no badge: that would be fetched from elsewhere, and the page has a button in its place.
    """
    content = json.loads(BADGE.sub("", notebook))
    for cell in content["cells"]:
        if found := TITLE.match("".join(cell["source"])):
            title = found[1].replace("`", "")
            cell["metadata"]["mystnb"] = {
                "code_prompt_show": f"Show code: {title}",
                "code_prompt_hide": f"Hide code: {title}",
            }
    return json.dumps(content)


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a Markdown text, each with whether it is a heading and no comment in code."""
    in_code = False
    for line in text.splitlines(keepends=True):
        in_code ^= line.startswith("```")
        yield line, line.startswith("#") and not in_code


def split(text: str) -> list[str]:
    """A Markdown text cut before each heading of the second level."""
    parts = [""]
    for line, is_heading in lines_of(text):
        if is_heading and line.startswith("## "):
            parts.append("")
        parts[-1] += line
    return parts


def write_section(folder: Path, section: str) -> str:
    """Write a section of the README as a page of its own; returns the page's name."""
    lines = (line[1:] if is_heading else line for line, is_heading in lines_of(section))
    title = section.partition("\n")[0].lstrip("# ")
    name = re.sub(r"\W+", "-", title.lower())
    write(folder / f"{name}.md", "".join(lines))
    return name


def both_pictures(text: str) -> str:
    """A picture follows the button for light and dark here, not what the system asks for."""
    image = "```{{image}} {}\n:class: only-{}\n:alt: {}\n:width: {}px\n```\n"
    return PICTURE.sub(
        lambda found: "\n".join(
            image.format(found[style], style, found["alt"], found["width"])
            for style in ("light", "dark")
        ),
        text,
    )


def write_reference(folder: Path) -> str:
    """Write a page for each module that a reader meets and for each package; returns the first."""
    names = []
    for module in pkgutil.iter_modules(mnist_lib.__path__):
        if module.name == "__main__":
            continue
        names.append(module.name)
        text = automodule(module.name, "=")
        if module.ispkg:
            inner = pkgutil.iter_modules([f"{mnist_lib.__path__[0]}/{module.name}"])
            text += "".join(automodule(f"{module.name}.{m.name}", "-") for m in inner)
        write(folder / f"{module.name}.rst", text)
    start = "Reference\n=========\n\n.. automodule:: mnist_lib\n\n.. toctree::\n   :maxdepth: 2\n\n"
    write(folder / "index.rst", start + "".join(f"   {name}\n" for name in names))
    return "reference/index"


def automodule(name: str, underline: str) -> str:
    """A heading, and below it what the docstrings of the module say."""
    heading = f"{name}\n{underline * len(name)}\n\n"
    return f"{heading}.. automodule:: mnist_lib.{name}\n   :members:\n\n"


def table_of_contents(title: str, pages: list[str]) -> str:
    """A part of the menu, in the order of the pages; the page itself does not show it."""
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
