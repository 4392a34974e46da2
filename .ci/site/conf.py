"""Sphinx's settings; `build.py` gathers the pages and calls Sphinx with them."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from docstrings import as_rst  # noqa: E402
from IPython.lib.lexers import IPython3Lexer  # noqa: E402
from links import LinksIntoRepository  # noqa: E402

from mnist_lib.commands.badges import BRANCH, COLAB, repository  # noqa: E402
from mnist_lib.engine.environment import PROJECT  # noqa: E402

project = "MNIST, change by change"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
highlight_language = "none"

nb_execution_mode = "off"  # the outputs are those of the committed pages
nb_merge_streams = True
nb_code_prompt_show = "Show code"
nb_code_prompt_hide = "Hide code"

autodoc_mock_imports = ["gradio", "onnx", "onnxruntime"]  # what only extras bring
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 72

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = html_domain_indices = False  # the search finds more
html_theme_options = {
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search stands in the menu
    "footer_content_items": [],
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system asks for

# buttons that need the repository's address: none is there before it is known
slug = repository(PROJECT)
html_theme_options["use_download_button"] = bool(slug)
html_context["address"] = f"https://github.com/{slug}/blob/{BRANCH}" if slug else ""
if slug:
    html_theme_options |= {
        "repository_url": f"https://github.com/{slug}",
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "launch_buttons": {"colab_url": COLAB},
    }


def setup(app) -> None:
    app.add_lexer("python", IPython3Lexer)  # knows %cd and !git as well
    app.add_post_transform(LinksIntoRepository)
    app.connect("autodoc-process-docstring", rewrite)


def rewrite(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    lines[:] = as_rst(lines)
