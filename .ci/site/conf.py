"""Sphinx's settings: the repository is its source folder, so links lead where they lead on GitHub.

`make site` calls it. Nothing is executed, and a warning, such as a link to nowhere, is an error.
"""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))
GITHUB = r".*[/@](?:www\.)?(github\.com)(?::\d+/|[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?"
MODULES = sorted(path.stem for path in PROJECT.glob("mnist_lib/[a-z]*.py"))
# what follows the text of a page, on the site alone
CONTENTS = "\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {}\n\n{}\n```\n"
MODULE = "\n## {0}\n\n```{{eval-rst}}\n.. automodule:: mnist_lib.{0}\n   :members:\n```\n"
ADDED = {
    "README": CONTENTS.format("Notebooks", "notebooks/*")
    + CONTENTS.format("Behind them", "docs/*\nCONTRIBUTING\nCHANGELOG"),
    "docs/reference": "".join(map(MODULE.format, MODULES)),
}

project = html_title = "MNIST, change by change"
root_doc, author = "README", ""  # no line about an author at the foot
include_patterns = ["README.md", "C*.md", "docs/*.md", "notebooks/[0-9]*.ipynb"]
exclude_patterns = [".*", "results", "short", "my-results", "site", "build"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx-mathjax-offline"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs are those of the committed pages
nb_merge_streams = True

napoleon_use_ivar = True  # a field is described once

autodoc_mock_imports = ["gradio", "onnx", "onnxruntime"]  # what only extras bring
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "set"}  # which matplotlib writes into each subclass
default_role = "code"  # `names` in docstrings
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 72

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = html_domain_indices = False  # the search finds more
html_show_search_summary = False  # it reads other pages, which needs a server
html_theme_options = {"use_fullscreen_button": False, "navbar_persistent": []}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system asks for


def git(*command: str) -> str:
    answer = subprocess.run(["git", *command], cwd=PROJECT, capture_output=True, text=True)
    return answer.stdout.strip()


if found := re.fullmatch(GITHUB, git("remote", "get-url", "origin")):
    html_theme_options |= {  # buttons that need the repository's address
        "repository_url": "https://" + "/".join(found.groups()),
        "repository_branch": git("branch", "--show-current") or "main",
        "use_repository_button": True,
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    }


def setup(app) -> None:
    app.connect("source-read", complete)


def complete(_app, page: str, source: list[str]) -> None:
    """Add to the page what the site alone shows; a link to a folder becomes its text."""
    folder = (PROJECT / page).parent

    def without_folder(link: re.Match) -> str:
        return link[1] if (folder / link[2]).is_dir() else link[0]

    source[0] = re.sub(r"\[([^][]*)\]\(([^()#:\s]+)\)", without_folder, source[0])
    source[0] += ADDED.get(page, "")
