"""Figures show what they are given, and a notebook shows them sharp and small."""

import base64
import io
from dataclasses import replace

import IPython.display
import numpy as np
import pytest
import torch
from made_up import finished
from matplotlib.colors import to_rgb
from PIL import Image

from mnist_lib import visualize
from mnist_lib.augment import RandomAffine
from mnist_lib.data import to_float
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


def pixels(axis) -> np.ndarray:
    """What the axis shows; dark is ink, and no frame is around it."""
    (image,) = axis.images
    assert not axis.axison and image.cmap.name == "gray_r"
    return image.get_array()


def assert_errors_fit(axis, low: float, high: float) -> None:
    """A logarithmic axis that has these errors inside, and not much else."""
    bottom, top = axis.get_ylim()
    assert axis.get_yscale() == "log" and axis.get_ylabel() == "error in %"
    assert low / 1.5 < bottom < low and high < top < 1.5 * high
    assert [text.get_text() for text in axis.get_yticklabels()][3:5] == ["0.1", "0.2"]


def test_a_wide_figure_is_shrunk_as_a_whole():
    assert visualize.new_figure(10.8, 4)[0].get_size_inches() == pytest.approx([5.4, 2])


def test_curves_are_errors_in_percent(tiny):
    figure = visualize.show_curves(finished(tiny, test=0.99, validation=1.0))
    drawn = lines(figure)
    assert set(drawn) == {"train", "validation"}  # the test set is no guide
    assert drawn["validation"] == pytest.approx([15, 0.01])  # none would be off a logarithmic axis
    assert drawn["train"] == pytest.approx([15, 1.5])
    assert figure.axes[0].get_lines()[0].get_xdata().tolist() == [1, 2]
    assert_errors_fit(figure.axes[0], low=0.01, high=15)
    assert len(figure.axes[0].get_legend().texts) == 2 and captions(figure) == []


def test_without_validation_the_test_error_is_shown(tiny):
    run = finished(replace(tiny, folds=0), test=0.99)
    assert lines(visualize.show_curves(run))["test"] == pytest.approx([15, 1])


def test_curves_of_an_interrupted_run_say_so(tiny):
    run = finished(tiny)
    run.history, run.interrupted = [], True
    assert captions(visualize.show_curves(run)) == ["interrupted after 0 epochs: no result"]


def test_recipes_are_compared_by_the_means_of_their_records(tiny):
    other = tiny.but("01-other", "small batches", batch_size=16)
    for recipe, accuracies in ((tiny, (0.98, 0.99)), (other, (0.97, 1.0))):
        for seed, accuracy in enumerate(accuracies):
            save(finished(recipe, seed, test=accuracy, earlier=0.95))
    figure = visualize.compare_curves(tiny, other, column="test_accuracy")
    drawn, (axis,) = lines(figure), figure.axes
    assert drawn["00-tiny"] == pytest.approx([5, 1.5])
    assert drawn["01-other"] == pytest.approx([5, 1.505])
    bands = [band.get_paths()[0].vertices[:, 1] for band in axis.collections]
    assert [min(band) for band in bands] == pytest.approx([1, 0.01])
    for line, band in zip(axis.get_lines(), axis.collections, strict=True):
        assert to_rgb(line.get_color()) == to_rgb(band.get_facecolor()[0])
        assert line.get_xdata().tolist() == [1, 2]
    assert_errors_fit(axis, low=0.01, high=9)
    assert len(axis.get_legend().texts) == 2 and captions(figure)[0].startswith("test error")


def test_digits_stand_in_a_grid_with_their_captions(digits):
    images, labels = digits.train_images[:12], digits.train_labels[:12]
    figure = visualize.show_digits(images, labels, columns=5)
    assert len(figure.axes) == 15 and not any(axis.axison for axis in figure.axes)
    assert captions(figure) == [str(label) for label in labels.tolist()]
    assert np.array_equal(pixels(figure.axes[3]), images[3, 0])
    assert len(visualize.show_digits(images[:7], list("abcdefg")).axes) == 12
    assert captions(visualize.show_digits(images[:1], ["word"], columns=1)) == ["word"]


def test_each_row_shows_a_digit_and_its_augmented_draws(digits):
    images, shift = digits.train_images[:2], RandomAffine(translate=0.2)
    figure = visualize.show_augmented(images, shift, seed=3, copies=2)
    assert captions(figure) == ["original", "draw 1", "draw 2"]
    generator = torch.Generator().manual_seed(3)
    columns = [to_float(images), *(shift(to_float(images), generator) for _ in range(2))]
    for number, axis in enumerate(figure.axes):
        row, column = divmod(number, 3)
        assert np.array_equal(pixels(axis), columns[column][row, 0])
        assert axis.images[0].get_clim() == (0, 1)  # a pale draw stays pale
