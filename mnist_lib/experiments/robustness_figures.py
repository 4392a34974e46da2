"""Figures of notebook 14; each function returns a matplotlib Figure."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from mnist_lib.experiments.corruptions import DISTURBANCES
from mnist_lib.experiments.robustness import CLEAN
from mnist_lib.results import with_interval
from mnist_lib.visualize import error_axis, new_figure

TICKS = [0.5, 1, 2, 5, 10, 20, 50, 90]  # errors in percent
LEAST = 30  # guesses of a bin of confidence, fewer say nothing about its accuracy


def show_drawings(
    pictures: dict[str, np.ndarray], images: torch.Tensor, captions: Sequence[str]
) -> Figure:
    """Above each picture as it was drawn, with its name; below it what a network sees, captioned.

    pictures  uint8 (h, w, 4), the ink where they are not transparent
    """
    figure, axes = new_figure(len(pictures) * 1.15, 2.9, 2, len(pictures))
    for (above, below), name, image, caption in zip(
        axes.T, pictures, images, captions, strict=True
    ):
        above.imshow(255 - pictures[name][..., 3], cmap="gray", vmin=0, vmax=255)
        above.set_title(name, fontsize=8, pad=2)
        below.imshow(image.squeeze(0).numpy(), cmap="gray_r")
        below.set_title(caption, fontsize=8, pad=2)
        for axis in (above, below):
            axis.set(xticks=[], yticks=[])
    return figure


def show_disturbed(image: torch.Tensor) -> Figure:
    """A row for each disturbance of a digit (1, 28, 28): as it is, then at each strength."""
    columns = 1 + max(len(each.strengths) for each in DISTURBANCES)
    figure, axes = new_figure(columns * 1.05, len(DISTURBANCES) * 1.12, len(DISTURBANCES), columns)
    for row, each in zip(axes, DISTURBANCES, strict=True):
        for axis, strength in zip(row, sorted([each.none, *each.strengths]), strict=True):
            digit = each.apply(image[None], strength)[0, 0]
            axis.imshow(digit.numpy(), cmap="gray_r", vmin=0, vmax=255)
            axis.set_title(f"{strength:g}", fontsize=8, pad=2)
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(fill(each.name, 12), fontsize=7)
    return figure


def accuracies(table: pd.DataFrame, recipe: str, disturbance) -> pd.DataFrame:
    """A row for each strength in order, the one that does nothing too; a column for each seed."""
    rows = table[table["recipe"] == recipe]
    clean = rows[rows["disturbance"] == CLEAN].assign(strength=disturbance.none)
    rows = pd.concat([clean, rows[rows["disturbance"] == disturbance.name]])
    return rows.pivot(index="strength", columns="seed", values="accuracy").astype(float)


def show_robustness(table: pd.DataFrame) -> Figure:
    """Error against strength for each disturbance: a recipe's mean, and a band of its seeds."""
    figure, axes = new_figure(9, 5.6, 2, 3, sharey=True)
    for axis, each in zip(axes.flat, DISTURBANCES, strict=False):
        for recipe in table["recipe"].unique():
            errors = 100 * (1 - accuracies(table, recipe, each))
            (line,) = axis.plot(errors.mean(axis=1), "o-", markersize=3, label=recipe)
            band = dict(color=line.get_color(), alpha=0.18, linewidth=0)
            axis.fill_between(errors.index, errors.min(axis=1), errors.max(axis=1), **band)
        error_axis(axis, 0.3, 95)
        axis.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axis.set(xlabel=each.name, ylabel="error in %" if axis in axes[:, 0] else "")
    last = axes.flat[-1]
    last.axis("off")
    last.legend(*axes.flat[0].get_legend_handles_labels(), loc="center", fontsize=9)
    return figure


def show_reliability(bins: list[pd.DataFrame]) -> Figure:
    """Accuracy against confidence over seeds, with intervals; below, how often each is said.

    bins  one table of `confidence.reliability` a seed
    """
    figure, (above, below) = new_figure(
        5.2, 5, 2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    together = pd.concat(bins)
    groups = together[together.groupby(level=0)["count"].transform("sum") >= LEAST].groupby(level=0)
    means = groups["confidence"].mean()
    accuracy = pd.DataFrame({each: with_interval(part["accuracy"]) for each, part in groups}).T
    arms = np.abs(accuracy[["low", "high"]].clip(0, 1).sub(accuracy["mean"], axis=0)).T.to_numpy()
    above.plot([0, 1], [0, 1], "--", color="tab:gray", linewidth=1, label="as sure as it is right")
    above.errorbar(means, accuracy["mean"], arms, fmt="o", color="C0", markersize=4, capsize=2)
    above.set(ylabel="part that is right", xlim=(0.2, 1.02), ylim=(0, 1.02))
    above.legend(fontsize=8)
    counts = together.groupby(level=0)["count"].sum() / len(bins)
    below.bar(together.groupby(level=0)["confidence"].mean(), counts, width=0.04, color="C0")
    below.set(yscale="log", xlabel="confidence", ylabel="digits")
    for axis in (above, below):
        axis.grid(alpha=0.3)
    return figure
