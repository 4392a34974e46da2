"""The site: complete, in order, without a broken link, and read in a real browser, offline."""

import io
import json
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from mnist_lib import engine
from mnist_lib.commands import badges
from mnist_lib.engine.environment import PROJECT

pytest.importorskip(
    "sphinx_book_theme",
    reason="no packages for the site: pip install -e '.[site]', with Python 3.11 or later",
)

SETTINGS = PROJECT / ".ci" / "site"
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}


class Page(HTMLParser):
    """What a page links to, what it loads, and which anchors it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.loads, self.anchors, self.rel = [], [], {""}, {}
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, pairs) -> None:
        attributes = dict(pairs)
        self.anchors.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "link" and attributes["rel"] in ("next", "prev"):
            self.rel[attributes["rel"]] = attributes["href"]
        elif tag != "a":
            found = (attributes.get(name) for name in ("href", "src", "srcset"))
            self.loads += filter(None, found)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site, built as `make site` does."""
    folder = tmp_path_factory.mktemp("built") / "site"
    built = subprocess.run(
        [sys.executable, SETTINGS / "build.py", folder], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    """All pages by their path within the site."""
    paths = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(paths)}


@pytest.fixture
def reader(browser):
    """A tab without a network, with a list of all that went wrong in it."""
    tab = browser.new_page(offline=True)
    tab.wrong = []
    tab.on("console", lambda said: said.type == "error" and tab.wrong.append(said.text))
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("requestfailed", lambda request: tab.wrong.append(f"failed: {request.url}"))
    tab.on("request", lambda asked: is_local(asked.url) or tab.wrong.append(f"asks {asked.url}"))
    yield tab
    tab.close()


def is_local(address: str) -> bool:
    return urlsplit(address).scheme in ("file", "data", "blob")


# ---- what is there ------------------------------------------------------------------------------


def test_every_link_and_anchor_leads_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for address in page.links + page.loads:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            path = (site / name).parent / unquote(parts.path) if parts.path else site / name
            target = pages.get(path.resolve().relative_to(site.resolve()).as_posix())
            anchor = unquote(parts.fragment)
            if not path.is_file() or target and anchor not in target.anchors:
                broken.append(f"{name}: {address}")
    assert not broken


def test_no_page_loads_anything_from_elsewhere(pages):
    for name, page in pages.items():
        assert [load for load in page.loads if urlsplit(load).netloc] == [], name


def test_the_notebooks_follow_each_other_after_the_front_page(pages):
    order, here = ["index.html"], "index.html"
    while there := pages[here].rel.get("next"):
        following = posixpath.normpath(posixpath.join(posixpath.dirname(here), there))
        assert pages[following].rel["prev"].endswith(posixpath.basename(here))
        order.append(here := following)
    expected = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
    assert order[: len(NOTEBOOKS) + 1] == ["index.html", *expected]
    assert set(order) == set(pages) - {"search.html"}, "a page that the menu does not lead to"


def test_the_front_page_shows_results_and_both_pictures(pages):
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    shown = text_of(pages["index.html"])
    for region in ("result", "fastest"):
        sentences = readme.split(f"<!-- {region} -->\n")[1].split(f"\n<!-- /{region} -->")[0]
        assert " ".join(sentences.replace("**", "").split()) in shown
    for style in ("", "-dark"):
        assert f"_images/accuracy-against-parameters{style}.png" in pages["index.html"].loads
    assert "make run" in shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_its_saved_pictures_and_folds_its_set_up(pages, path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    page = pages[f"notebooks/{path.stem}.html"]
    pictures = [load for load in page.loads if load.startswith("../_images/")]
    assert len(pictures) == sum("image/png" in data for data in outputs)
    tags = [" ".join(cell["metadata"].get("tags", [])) for cell in cells]
    folded = sum("hide-" in of_cell for of_cell in tags)
    assert page.html.count(">Show code: ") == folded > 0  # each with its title


def test_the_reference_says_what_the_docstrings_say(pages):
    data = pages["reference/data.html"]
    assert "mnist_lib.data.load_mnist" in data.anchors
    assert re.search(r"<dt><code.*?fold</span>.*?<dd><p>1..10: the tenth", data.html, re.DOTALL)
    aligned = next(line for line in engine.__doc__.splitlines() if line.startswith("channels last"))
    assert aligned in pages["reference/engine.html"].html


def text_of(page: Page) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", page.html).split())


# ---- in a browser -------------------------------------------------------------------------------

# Whatever is cut off at the right: wide things have to scroll, themselves or in what holds them.
CUT_OFF = """() => [...document.querySelectorAll("main :is(p, a, code, pre, table, img, dt)")]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
  .filter(e => {
    for (; e !== document.body; e = e.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return false;
    return true;
  }).map(e => `${e.tagName} ${e.textContent.trim().slice(0, 40)}`)"""

# A picture that is drawn larger than it is, or dark lines on a dark ground.
BAD_PICTURES = """dark => [...document.querySelectorAll("main img")]
  .filter(e => e.checkVisibility()).filter(e => {
    const style = getComputedStyle(e), [red] = style.backgroundColor.match(/[0-9.]+/g);
    const width = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const isLegible = !dark || e.src.endsWith("-dark.png") || red > 128;
    return !e.complete || e.naturalWidth < width || !isLegible;
  }).map(e => e.src)"""


def test_every_page_fits_and_is_legible_offline(site, pages, reader):
    """On a phone and on a desk, in the light and in the dark."""
    for name in pages:
        reader.goto((site / name).as_uri())
        for place, (width, height) in WIDTHS.items():
            reader.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                where = f"{name} on a {place}, {scheme}"
                reader.emulate_media(color_scheme=scheme)
                reader.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
                wide = reader.evaluate("document.documentElement.scrollWidth")
                reader.wrong += [f"{where}: {wide} pixels wide"] if wide > width else []
                reader.wrong += [f"{where}: cut {part}" for part in reader.evaluate(CUT_OFF)]
                bad = reader.evaluate(BAD_PICTURES, scheme == "dark")
                reader.wrong += [f"{where}: bad picture {picture}" for picture in bad]
    assert not reader.wrong, "\n".join(reader.wrong)


def test_a_reader_finds_the_receptive_field_without_a_server(site, reader):
    reader.goto((site / "index.html").as_uri())
    reader.keyboard.press("Control+k")
    reader.keyboard.type("receptive field")
    reader.keyboard.press("Enter")
    reader.wait_for_selector("#search-results .search-summary")
    reader.wait_for_function("document.querySelectorAll('#search-results li a').length >= 2")
    links = reader.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    for stem in ("01_setup", "02_skeleton"):
        assert any(f"notebooks/{stem}.html" in link for link in links), links
    assert not reader.wrong, "\n".join(reader.wrong)


def test_the_code_of_a_check_unfolds(site, reader):
    reader.goto((site / "notebooks" / f"{NOTEBOOKS[0].stem}.html").as_uri())
    code = reader.get_by_text("import mnist_lib as mnist_lib")
    assert not code.is_visible()
    reader.get_by_text("Show code").first.click()
    assert code.is_visible()


# ---- with and without an address ----------------------------------------------------------------


@pytest.mark.parametrize("slug", ["", "owner/name"])
def test_buttons_and_links_into_the_repository_need_its_address(tmp_path, monkeypatch, slug):
    from sphinx.application import Sphinx

    monkeypatch.setattr(badges, "repository", lambda _project: slug)
    notebook = NOTEBOOKS[0]
    sources, built = tmp_path / "sources", tmp_path / "pages"
    (sources / "notebooks").mkdir(parents=True)
    shutil.copy(notebook, sources / "notebooks")
    contents = f"```{{toctree}}\nnotebooks/{notebook.stem}\n```\n"
    index = f"# A page\n[licence](LICENSE), [lost](nowhere.md)\n\n{contents}"
    (sources / "index.md").write_text(index)
    said, places = io.StringIO(), (sources, SETTINGS, built, tmp_path / "doctrees")
    Sphinx(*places, "html", status=None, warning=said).build()
    assert "target not found: 'nowhere.md'" in said.getvalue() and "LICENSE" not in said.getvalue()
    front, page = Page(built / "index.html"), Page(built / "notebooks" / f"{notebook.stem}.html")
    colab = f"{badges.COLAB}/github/owner/name/blob/main/notebooks/{notebook.name}"
    assert (colab in page.links) == bool(slug)
    assert (f"../_sources/notebooks/{notebook.name}" in page.links) == bool(slug)
    licence = "https://github.com/owner/name/blob/main/LICENSE"
    assert [link for link in front.links if "LICENSE" in link] == ([licence] if slug else [])
    assert "licence" in text_of(front)


def test_nothing_but_a_site_is_replaced(tmp_path):
    (tmp_path / "work.txt").write_text("of days")
    command = [sys.executable, SETTINGS / "build.py", tmp_path]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "no site of ours" in refused.stderr
    assert (tmp_path / "work.txt").exists()
