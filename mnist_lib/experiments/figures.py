"""Figures of test error against parameters, and of a published log beside our runs."""

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_lib.data import TEST_SIZE
from mnist_lib.experiments.comparison import facts, test_accuracies
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.results import interval
from mnist_lib.summary import count_parameters
from mnist_lib.visualize import compare_curves, error_axis, new_figure

OURS, THEIRS, TARGET = "C3", "tab:gray", "tab:green"  # C3 is a red in the dark style too
SIZES = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]  # parameters at the ticks
LARGEST = 40_000  # parameters; what is larger is left out
NAMED = 4  # systems; more names would lie on the journey's line


def accuracy_against_parameters(steps: list[Recipe]) -> Figure:
    """These steps beside the published systems, as claimed and as measured here.

    The best is above. S4-0, with 6.4 million parameters, is out of the picture.
    """
    figure, axis = parameter_axes()
    error_axis(axis, 2, 0.36)
    ticks = [2, 1.5, 1, 0.8, 0.6, 0.5, 0.4]
    axis.set_yticks(ticks, [f"{100 - tick:.1f}%" for tick in ticks])
    axis.set(ylabel="test accuracy", ylim=(2, 0.36))
    axis.fill_between([1, 8_000], 0.01, 0.6, color=TARGET, alpha=0.15, linewidth=0)
    text = "target: 99.4 %, fewer\nthan 8,000 parameters"
    axis.text(0.01, 0.98, text, transform=axis.transAxes, va="top", color=TARGET, weight="bold")
    draw_systems(axis)
    draw_journey(axis, errors_of(steps).dropna(subset="error"))
    axis.legend(loc="lower right", fontsize=10)
    return figure


def journey_against_parameters(steps: list[Recipe]) -> Figure:
    """A point for each step, its errors of all test digits against parameters; and the target."""
    figure, axis = parameter_axes()
    error_axis(axis, 42, 160)
    ticks = [50, 60, 80, 100, 120, 150]
    axis.set_yticks(ticks, ticks)
    axis.set_ylabel(f"errors of {TEST_SIZE:,} test digits")
    axis.fill_between([1, 8_000], 1, 60, color=TARGET, alpha=0.15, linewidth=0)
    text = "target: at most 60 errors,\nfewer than 8,000 parameters"
    axis.text(0.02, 0.02, text, transform=axis.transAxes, color=TARGET, weight="bold")
    table = errors_of(steps).dropna(subset="error")
    draw_journey(axis, table.assign(**table[["error", "deviation"]] * TEST_SIZE / 100))
    axis.legend(loc="upper left", fontsize=10)
    return figure


def parameter_axes() -> tuple[Figure, Axes]:
    """A figure with a logarithmic axis of parameters."""
    figure, axis = new_figure(5.4, 4.6)
    axis.set(xscale="log", xlabel="parameters")
    axis.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axis.set_xlim(700, LARGEST)
    return figure, axis


def draw_systems(axis: Axes) -> None:
    """Each from its claim to what we measure; named are the best claims, one a tutorial."""
    claims = pd.Series([facts()[recipe.name]["claimed_test_accuracy"] for recipe in SYSTEMS])
    systems = errors_of(SYSTEMS).assign(claimed=in_percent(claims))
    systems = systems[systems["parameters"] < LARGEST]
    # those of one size stand side by side
    places = systems["parameters"] * 1.015 ** systems.groupby("parameters").cumcount()
    axis.vlines(places, systems["claimed"], systems["error"], color=THEIRS, linewidth=1)
    style = {"color": THEIRS, "linestyle": "", "marker": "o", "markersize": 5}
    hollow = {"markerfacecolor": axis.get_facecolor()}
    axis.plot(places, systems["claimed"], **style, **hollow, label="published, as claimed")
    axis.plot(places, systems["error"], **style, label="the same, measured here")
    best = systems.groupby(systems["name"].str[:2])["claimed"].idxmin()
    for row in systems["claimed"][best].nsmallest(NAMED).index:
        above = systems.loc[row, ["claimed", "error"]].min()
        label(axis, systems["name"][row], (places[row], above), THEIRS, (0, 9), "center")


def draw_journey(axis: Axes, steps: pd.DataFrame) -> None:
    """A point for each step, with its name beside it."""
    style = {"color": OURS, "elinewidth": 1}
    text = "this journey, mean ± standard deviation"
    axis.errorbar("parameters", "error", "deviation", data=steps, fmt="o", label=text, **style)
    outwards = -12 if axis.yaxis_inverted() else 6
    for is_near_8000, side in steps.groupby(steps["parameters"].between(5_000, 10_000)):
        offset, align = ((9, -10), "left") if is_near_8000 else ((-9, outwards), "right")
        for row, height in apart(side["error"]).items():
            place = side["parameters"][row], height
            label(axis, side["name"][row], place, OURS, offset, align)


def frontier(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that none with as many or fewer parameters surpasses, the smallest first."""
    ordered = table.sort_values(["parameters", "error"])
    return ordered[ordered["error"] < ordered["error"].cummin().shift(fill_value=100)]


def against_log(recipe: Recipe) -> Figure:
    """Test error of a system's recorded runs, and of the one run that its source published.

    Raises:
        ValueError: if the source prints no log.
    """
    if not (log := facts()[recipe.name]["log_test_accuracy"]):
        raise ValueError(f"the source of '{recipe.name}' prints no log")
    figure = compare_curves(recipe, column="test_accuracy")
    (axis,), theirs = figure.axes, in_percent(pd.Series(log))
    style = {"color": "black", "linewidth": 0.8, "markersize": 4}
    axis.plot(theirs.index + 1, theirs, "x-", **style, label="log of the source")
    axis.set_ylim(bottom=min(axis.get_ylim()[0], 0.9 * theirs.min()))
    axis.legend(fontsize=10)
    return figure


# ---- shared -------------------------------------------------------------------------------------


def in_percent(accuracies: pd.Series) -> pd.Series:
    """Errors in percent."""
    return 100 - 100 * accuracies


def errors_of(recipes: list[Recipe]) -> pd.DataFrame:
    """Name, parameters, and of the last test errors in % mean, deviation and arm of the interval.

    They are NaN without any record.
    """
    rows = []
    for recipe in recipes:
        errors = in_percent(test_accuracies(recipe))
        found, size = interval(errors), count_parameters(recipe.network())
        rows.append([recipe.name, size, found.mean, errors.std(), found.high - found.mean])
    return pd.DataFrame(rows, columns=["name", "parameters", "error", "deviation", "arm"])


def label(axis: Axes, text: str, place, colour: str, offset, align: str) -> None:
    """A text beside a place, offset in points, with a halo against the lines that it crosses."""
    halo = patheffects.withStroke(linewidth=3, foreground=axis.get_facecolor(), alpha=0.9)
    axis.annotate(
        text, place, xytext=offset, textcoords="offset points", ha=align, va="center",
        color=colour, weight="bold", fontsize=10, path_effects=[halo],
    )  # fmt: skip


def apart(errors: pd.Series, factor: float = 1.065) -> pd.Series:
    """The errors in order, each at least so many times the one before: room for labels."""
    errors = errors.sort_values()
    room = factor ** np.arange(len(errors))
    return (errors / room).cummax() * room
