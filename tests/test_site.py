"""The site: built without a warning, every link leads somewhere, and every page fits on a phone."""

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from mnist_lib.engine.machine import PROJECT

pytest.importorskip(
    "sphinx_book_theme",
    reason="no packages for the site: pip install -e '.[site]', with Python 3.11 or later",
)
NOTEBOOKS = [f"notebooks/{path.stem}.html" for path in sorted(PROJECT.glob("notebooks/0*.ipynb"))]


class Page(HTMLParser):
    """What a page links to, and which anchors it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = set(), {""}
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        found = dict(attributes)
        self.anchors.add(found.get("id"))
        self.links |= {found[name] for name in ("href", "src") if found.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make site` builds it."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-c", ".ci/site", "-d", folder / "doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, ".", folder / "html"]
    built = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    shutil.copytree(PROJECT / "figures", folder / "html" / "figures")
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_the_pages_are_there_and_every_link_leads_somewhere(site, pages):
    assert {site / name for name in ["README.html", *NOTEBOOKS]} <= set(pages)
    assert "mnist_lib.train.fit" in pages[site / "docs" / "reference.html"].anchors
    broken = []
    for path, page in pages.items():
        for link in map(urlsplit, page.links):
            target = path.parent / unquote(link.path) if link.path else path
            anchors = pages[target.resolve()].anchors if target.resolve() in pages else None
            is_known = anchors is None or unquote(link.fragment) in anchors
            if not link.scheme and not (target.exists() and is_known):
                broken.append(f"{path.name}: {link.geturl()}")
    assert not broken


def test_no_page_is_wider_than_a_phone(pages, browser):
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    wide = {}
    for path in pages:
        tab.goto(path.as_uri())
        wide[path.name] = tab.evaluate("document.documentElement.scrollWidth")
    assert max(wide.values()) <= 390, wide
