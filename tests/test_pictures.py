"""A figure in a notebook: sharp, small, and as wide as it says."""

import base64
import io

import IPython.display
from PIL import Image

from mnist_lib.visualize import new_figure


def test_a_notebook_shows_two_pixels_for_each_of_the_page(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *data, **how: shown.append((data, how)))
    figure, axis = new_figure(4, 3)
    axis.plot([1, 2], [3, 4])
    figure._ipython_display_()
    (((data,), how),) = shown
    assert data["text/plain"] == "<Figure size 360x270 with 1 Axes>"  # what nbval knows
    assert how == {"raw": True, "metadata": {"image/png": {"width": 360}}}
    content = base64.b64decode(data["image/png"])
    assert Image.open(io.BytesIO(content)).size == (720, 540)
    assert len(content) < 20_000
