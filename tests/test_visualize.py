"""Figures show what they are given, and a notebook shows them sharp and small."""

import base64
import io

import IPython.display
import numpy as np
import pytest
from made_up import finished
from PIL import Image

from mnist_lib import visualize
from mnist_lib.records import save


def test_a_notebook_shows_two_pixels_for_each_of_the_page(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *data, **how: shown.append((data, how)))
    figure, axis = visualize.new_figure(4, 3)
    axis.plot([1, 2], [3, 4])
    figure._ipython_display_()
    (((data,), how),) = shown
    assert data["text/plain"] == "<Figure size 360x270 with 1 Axes>"  # what nbval knows
    assert how == {"raw": True, "metadata": {"image/png": {"width": 360}}}
    content = base64.b64decode(data["image/png"])
    assert Image.open(io.BytesIO(content)).size == (720, 540)
    assert len(content) < 20_000 and visualize.as_png(figure) == content  # no date inside


def lines(figure) -> dict[str, list]:
    """The values of the labelled lines."""
    found = [line for axis in figure.axes for line in axis.get_lines()]
    return {line.get_label(): line.get_ydata() for line in found if line.get_label()[0] != "_"}


def captions(figure) -> list[str]:
    return [text for axis in figure.axes if (text := axis.get_title())]


def test_curves_are_errors_in_percent(tiny):
    drawn = lines(visualize.show_curves(finished(tiny, test=0.99, validation=1.0)))
    assert "test" not in drawn  # the test set is no guide
    assert drawn["validation"] == pytest.approx([15, 0.01])  # none would be off a logarithmic axis
    run = finished(tiny)
    run.history, run.interrupted = [], True
    assert captions(visualize.show_curves(run)) == ["interrupted after 0 epochs: no result"]


def test_recipes_are_compared_by_the_means_of_their_records(tiny):
    other = tiny.but("01-other", "small batches", batch_size=16)
    for recipe, accuracies in ((tiny, (0.98, 0.99)), (other, (0.97,))):
        for seed, accuracy in enumerate(accuracies):
            save(finished(recipe, seed, test=accuracy))
    figure = visualize.compare_curves(tiny, other, column="test_accuracy")
    drawn = lines(figure)
    assert drawn["00-tiny"] == pytest.approx([15, 1.5]) and drawn["01-other"][-1] == pytest.approx(
        3
    )
    assert len(figure.axes[0].collections) == 2  # the range over seeds, a band for each


def test_digits_stand_in_a_grid_with_their_captions(digits):
    figure = visualize.show_digits(digits.train_images[:12], digits.train_labels[:12], columns=5)
    assert len(figure.axes) == 15
    assert captions(figure) == [str(label) for label in digits.train_labels[:12].tolist()]
    shown = figure.axes[3].images[0].get_array()
    assert np.array_equal(shown, digits.train_images[3, 0].numpy())
