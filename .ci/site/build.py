"""Build the site: python .ci/site/build.py [FOLDER], which is site/ unless named.

Its pages come from the README, CONTRIBUTING, the notebooks as they are committed and the docstrings
of the library; nothing is executed. A warning, such as a link to nowhere, is an error.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pages import gather

from mnist_lib.engine.environment import PROJECT

try:
    from sphinx.cmd.build import main
except ModuleNotFoundError:
    sys.exit("no Sphinx here: pip install -e '.[site]', with Python 3.11 or later")

SETTINGS = Path(__file__).resolve().parent


def build(site: Path) -> int:
    """Write all pages into the folder, in place of the site there; returns Sphinx's exit code."""
    with TemporaryDirectory() as folder:
        sources, pages = Path(folder, "sources"), Path(folder, "pages")
        gather(sources)
        options = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs=auto"]
        places = [f"--conf-dir={SETTINGS}", f"--doctree-dir={folder}/doctrees", sources, pages]
        failed = main([*options, *map(str, places)])
        if not failed:
            shutil.rmtree(site, ignore_errors=True)
            shutil.move(pages, site)
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the site.")
    parser.add_argument("folder", nargs="?", type=Path, default=PROJECT / "site")
    site = parser.parse_args().folder
    if site.exists() and not (site / "searchindex.js").exists():
        sys.exit(f"{site} is there and no site of ours; name another folder, or remove it")
    if failed := build(site):
        sys.exit(failed)
    print(f"open {site / 'index.html'}")
