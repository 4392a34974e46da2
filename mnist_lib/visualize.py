"""Figures of digits, runs and mistakes; each function returns a matplotlib Figure.

Errors are in percent on a logarithmic axis: from 99.0 to 99.5 % the errors halve, which is hardly
visible on an axis of accuracies.
"""

import base64
import io
from collections.abc import Sequence

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from PIL import Image

from mnist_lib.augment import Augmentation
from mnist_lib.data import to_float
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run, records_of

PARTS = {"train": "tab:gray", "validation": "tab:blue", "test": "tab:orange"}
ERROR_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2, 3, 5, 10, 20, 50, 90]
WIDEST = 5.4  # inches of a figure: its text of 10 points has 9 pixels on a phone of 390


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows with two pixels for each of the page's, as screens have."""

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data = {"image/png": base64.b64encode(as_png(self)).decode(), "text/plain": repr(self)}
        width = round(self.get_size_inches()[0] * self.dpi)
        display(data, raw=True, metadata={"image/png": {"width": width}})


def as_png(figure: matplotlib.figure.Figure) -> bytes:
    """A figure as a picture without a date or version inside: equal records give equal files.

    Twice as many pixels as the page shows, for sharp screens; 256 colours, to be small.
    """
    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=180)
    Image.open(drawn).convert("RGB").quantize(256).save(picture, format="png", optimize=True)
    return picture.getvalue()


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options):
    """A figure and its axes, in inches; closed for pyplot, so that a notebook shows it once.

    A phone shrinks a wide figure and its text, so none is wider than `WIDEST`.
    """
    size = min(width, WIDEST), height * min(1, WIDEST / width)
    look = {"figsize": size, "dpi": 90, "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, FigureClass=Figure, **look, **options)
    plt.close(figure)
    return figure, axes


def show_digits(
    images: torch.Tensor, captions: Sequence[str] | torch.Tensor, columns: int = 6
) -> Figure:
    """Digits in a grid with a caption above each; images (n, 1, 28, 28) of any type."""
    rows = max(1, -(-len(images) // columns))
    figure, axes = new_figure(columns * 0.9, rows * 1.1, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        axis.imshow(image.squeeze(0).numpy(), cmap="gray_r")
        text = caption if isinstance(caption, str) else str(int(caption))
        axis.set_title(text, fontsize=10, pad=2)
    return figure


def show_augmented(
    images: torch.Tensor, augment: Augmentation, seed: int = 1, copies: int = 5
) -> Figure:
    """Each row: a digit as it is, then what the augmentation made of it in `copies` draws."""
    figure, axes = new_figure((copies + 1) * 0.9, len(images) * 0.95, len(images), copies + 1)
    generator = torch.Generator().manual_seed(seed)
    draws = [augment(to_float(images), generator) for _ in range(copies)]
    for column, digits in enumerate([to_float(images), *draws]):
        for axis, digit in zip(axes[:, column], digits, strict=True):
            axis.imshow(digit.squeeze(0).numpy(), cmap="gray_r", vmin=0, vmax=1)
            axis.axis("off")
        axes[0, column].set_title("original" if column == 0 else f"draw {column}", fontsize=10)
    return figure


def error_axis(axis, low: float, high: float) -> None:
    """Errors in percent on a logarithmic axis with readable ticks."""
    axis.set(yscale="log", ylabel="error in %")
    axis.set_yticks(ERROR_TICKS, [f"{tick:g}" for tick in ERROR_TICKS])
    axis.minorticks_off()
    axis.set_ylim(low, high)
    axis.grid(alpha=0.3)


def show_curves(run: Run) -> Figure:
    """Training and validation error of one run, epoch by epoch; test error without validation."""
    table = pd.DataFrame(run.history or {"epoch": []})
    figure, axis = new_figure(5.4, 3.2)
    lowest, highest = 100.0, 0.0
    hidden = "test" if "validation_accuracy" in table else ""  # the test set is no guide
    for part, colour in PARTS.items():
        if f"{part}_accuracy" in table and part != hidden:
            errors = 100 * (1 - table[f"{part}_accuracy"]).clip(lower=1e-4)
            lowest, highest = min(lowest, errors.min()), max(highest, errors.max())
            axis.plot(table["epoch"], errors, "o-", color=colour, markersize=3, label=part)
    if run.interrupted:
        axis.set_title(f"interrupted after {len(table)} epochs: no result", fontsize=10)
    if len(table):
        error_axis(axis, lowest * 0.8, highest * 1.25)
        axis.legend(fontsize=10)
    axis.set_xlabel("epoch")
    return figure


def compare_curves(*recipes: Recipe, column: str = "validation_accuracy") -> Figure:
    """Error of recipes by epoch: a line for the mean over recorded seeds, a band for all of them.

    Args:
        recipes: that have records.
        column: of a run's history.
    """
    figure, axis = new_figure(5.4, 3.6)
    lowest = 100.0
    for number, recipe in enumerate(recipes):
        histories = [record["history"] for record in records_of(recipe)]
        accuracies = pd.DataFrame([[row[column] for row in each] for each in histories]).T
        errors = 100 * (1 - accuracies).clip(lower=1e-4)
        lowest = min(lowest, errors.min().min())
        epochs, colour = np.arange(1, len(errors) + 1), f"C{number}"
        band = {"color": colour, "alpha": 0.15, "linewidth": 0}
        axis.fill_between(epochs, errors.min(axis=1), errors.max(axis=1), **band)
        axis.plot(epochs, errors.mean(axis=1), color=colour, linewidth=2, label=recipe.name)
    error_axis(axis, lowest * 0.9, 10)
    axis.set_xlabel("epoch")
    axis.set_title(f"{column.split('_')[0]} error: mean and range over seeds", fontsize=10)
    axis.legend(fontsize=10)
    return figure
