"""The published systems drawn beside the journey, and beside their own logs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_lib.visualize import compare_curves, new_figure

OURS, THEIRS, TARGET = "C3", "tab:gray", "tab:green"  # C3 is a red in the dark style too
LARGEST = 40_000  # parameters; what is larger is left out
NAMED = 4  # more names would lie on the journey's line


def accuracy_against_parameters(steps: pd.DataFrame, systems: pd.DataFrame) -> Figure:
    """The journey as one line beside the published systems, as claimed and as measured here.

    The scale is that of errors, logarithmic: from 99.0 to 99.5 % is half of all errors. S4-0, with
    6.4 million parameters, is out of the picture.
    steps    columns step, parameters, mean, deviation (test accuracy as fractions), in order
    systems  columns system, parameters, claimed, mean; mean is NaN without a measurement
    """
    figure, axis = new_figure(8.6, 5.2)
    draw_target(axis)
    draw_systems(axis, systems[systems["parameters"] < LARGEST])
    draw_journey(axis, steps.dropna(subset="mean"))
    axis.set(xscale="log", yscale="log", xlim=(1_200, LARGEST), ylim=(2, 0.36))
    sizes = [2_000, 4_000, 8_000, 16_000, 32_000]
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    accuracies = pd.Series([0.98, 0.985, 0.99, 0.992, 0.994, 0.995, 0.996])
    axis.set_yticks(errors(accuracies), accuracies.map("{:.1%}".format))
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.set(xlabel="parameters", ylabel="test accuracy")
    axis.legend(loc="lower right", fontsize=9)
    return figure


def draw_target(axis: Axes) -> None:
    """The corner that the journey wants to reach."""
    axis.fill_between([1, 8_000], 0.01, 0.6, color=TARGET, alpha=0.15, linewidth=0)
    text = "target: 99.4 % with fewer than 8,000 parameters"
    axis.text(0.01, 0.98, text, transform=axis.transAxes, va="top", color=TARGET, weight="bold")


def draw_systems(axis: Axes, systems: pd.DataFrame) -> None:
    """Each from its claim to what we measure; named are the best claims, one a tutorial."""
    # those of one size stand side by side
    places = systems["parameters"] * 1.015 ** systems.groupby("parameters").cumcount()
    claimed, measured = errors(systems["claimed"]), errors(systems["mean"])
    axis.vlines(places, claimed, measured, color=THEIRS, linewidth=1)
    style = {"color": THEIRS, "linestyle": "", "marker": "o", "markersize": 5}
    hollow = {"markerfacecolor": axis.get_facecolor()}
    axis.plot(places, claimed, **style, **hollow, label="published, as claimed")
    axis.plot(places, measured, **style, label="the same, measured here")
    best = systems.groupby(systems["system"].str[:2])["claimed"].idxmax()
    for row in systems["claimed"][best].nlargest(NAMED).index:
        above = np.fmin(claimed[row], measured[row])
        name(axis, systems["system"][row], (places[row], above), THEIRS, (0, 9), "center")


def draw_journey(axis: Axes, steps: pd.DataFrame) -> None:
    """One line through all steps, with their names beside it."""
    axis.errorbar(
        steps["parameters"], errors(steps["mean"]), yerr=100 * steps["deviation"],
        fmt="o-", color=OURS, linewidth=2, elinewidth=1,
        label="this journey, mean ± standard deviation",
    )  # fmt: skip
    for is_small, side in steps.groupby(steps["parameters"] < 5_000):  # free space is outside
        offset, align = ((-9, 6), "right") if is_small else ((9, -10), "left")
        for row, place in apart(errors(side["mean"])).items():
            where = side["parameters"][row], place
            name(axis, side["step"][row], where, OURS, offset, align)


def name(axis: Axes, text: str, place, color: str, offset, align: str) -> None:
    """A label beside a place, offset in points, with a halo against the lines that it crosses."""
    halo = patheffects.withStroke(linewidth=3, foreground=axis.get_facecolor(), alpha=0.9)
    axis.annotate(
        text, place, xytext=offset, textcoords="offset points", ha=align, va="center",
        color=color, weight="bold", fontsize=9, path_effects=[halo],
    )  # fmt: skip


def errors(accuracies: pd.Series) -> pd.Series:
    """In percent."""
    return 100 - 100 * accuracies


def apart(errors: pd.Series, factor: float = 1.065) -> pd.Series:
    """The errors in order, each at least so many times the one before: room for labels."""
    errors = errors.sort_values()
    room = factor ** np.arange(len(errors))
    return (errors / room).cummax() * room


def against_log(records: list[dict], log: Sequence[float]) -> Figure:
    """Test error of recorded runs, and of the one run that a source published."""
    figure = compare_curves({"here, a line per seed and their mean": records})
    (axis,), theirs = figure.axes, errors(pd.Series(log))
    style = {"color": "black", "linewidth": 0.8, "markersize": 4}
    axis.plot(theirs.index + 1, theirs, "x-", **style, label="their log")
    axis.set_ylim(bottom=min(axis.get_ylim()[0], 0.9 * theirs.min()))
    axis.set_title("test error, here and there", fontsize=10)
    axis.legend(fontsize=8)
    return figure
