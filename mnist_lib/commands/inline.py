"""The drawing pad below a notebook's cell."""

from mnist_lib.engine.environment import is_on
from mnist_lib.recipes import Recipe


def open_pad(recipe: Recipe, seed: int) -> None:
    """Open the pad where somebody can draw on it: in Jupyter or Colab, where gradio is installed.

    Elsewhere it says what is missing. A page that is executed without a person gets no pad, which
    would be dead as soon as it is saved.
    """
    if not is_on("MNIST_LIB_LIVE", default=True):
        print("Nobody is here to draw. Run this cell in Jupyter or Colab, and it opens a pad.")
        return
    try:
        from mnist_lib.commands.pad import drawing_page, launch
    except ModuleNotFoundError as error:
        print(f"The pad needs {error.name}: python -m pip install -e '.[demo]'")
        return
    launch(drawing_page(recipe, seed), quiet=True)
