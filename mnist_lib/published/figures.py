"""The published systems drawn beside the journey, and beside their own logs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mnist_lib.visualize import compare_curves, error_axis, new_figure


def accuracy_against_parameters(steps: pd.DataFrame, systems: pd.DataFrame) -> Figure:
    """The journey's steps beside the published systems, as claimed and as measured here.

    steps    columns step, parameters, mean, deviation (test accuracy as fractions)
    systems  columns system, parameters, claimed, mean, deviation; mean is NaN without a measurement
    """
    right = 45_000  # a larger system stands at the edge, with its size beside it
    figure, axis = new_figure(8.6, 5.2)
    places = systems["parameters"].clip(upper=0.93 * right)
    claimed, measured = 100 - 100 * systems["claimed"], 100 - 100 * systems["mean"]
    axis.vlines(places, claimed, measured, color="tab:gray", linewidth=0.7)
    axis.plot(places, claimed, "x", color="tab:gray", label="published systems, as claimed")
    axis.errorbar(
        places, measured, yerr=100 * systems["deviation"].fillna(0),
        fmt="D", markersize=4, color="tab:blue", capsize=2, label="the same, measured here",
    )  # fmt: skip
    for row, place, error in zip(systems.itertuples(), places, claimed, strict=True):
        size = f" {row.parameters / 1e6:.1f} million →" if row.parameters > right else ""
        axis.annotate(
            row.system + size, (place, error), fontsize=6, color="tab:gray", xytext=(3, 3),
            textcoords="offset points", ha="right" if size else "left",
        )  # fmt: skip
    axis.errorbar(
        steps["parameters"], 100 - 100 * steps["mean"], yerr=100 * steps["deviation"],
        fmt="o", color="tab:red", capsize=3, label="this journey, mean ± standard deviation",
    )  # fmt: skip
    for number, row in enumerate(steps.itertuples()):
        side = -1 if number % 2 else 1  # labels left and right in turn, so that they do not overlap
        axis.annotate(
            row.step, (row.parameters, 100 - 100 * row.mean),
            fontsize=7, color="tab:red", xytext=(6 * side, -3), textcoords="offset points",
            ha="left" if side > 0 else "right",
        )  # fmt: skip
    axis.axhline(0.6, color="black", linewidth=0.8, linestyle="--")
    axis.axvline(8_000, color="black", linewidth=0.8, linestyle="--")
    axis.set_xscale("log")
    axis.set_xlim(1_700, right)
    ticks = [2_000, 3_000, 4_000, 6_000, 8_000, 10_000, 20_000, 30_000]
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    error_axis(axis, 0.35, 2)
    axis.minorticks_off()
    axis.set_xlabel("parameters")
    axis.set_ylabel("test error in %  (0.6 is the target)")
    axis.legend(loc="upper right", fontsize=8)
    return figure


def against_log(records: list[dict], log: Sequence[float]) -> Figure:
    """Test error of recorded runs, and of the one run that a source published."""
    figure = compare_curves({"here, a line per seed and their mean": records})
    (axis,), errors = figure.axes, 100 - 100 * np.array(log)
    epochs = np.arange(1, len(log) + 1)
    axis.plot(epochs, errors, "x-", color="black", linewidth=0.8, markersize=4, label="their log")
    axis.set_ylim(bottom=min(axis.get_ylim()[0], 0.9 * errors.min()))
    axis.set_title("test error, here and there", fontsize=10)
    axis.legend(fontsize=8)
    return figure
