"""What figures of test error against parameters share, and that of the README."""

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_lib.data import TEST_SIZE
from mnist_lib.experiments.comparison import test_accuracies
from mnist_lib.recipes import Recipe
from mnist_lib.results import interval
from mnist_lib.summary import count_parameters
from mnist_lib.visualize import new_figure

OURS, TARGET = "C3", "tab:green"  # C3 is a red in the dark style too
SIZES = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]  # parameters at the ticks
LARGEST = 40_000  # parameters; what is larger is left out


def errors_by_step(steps: list[Recipe]) -> Figure:
    """A line for each step: its errors of all test digits, and its parameters."""
    figure, axis = new_figure(5.4, 3.6)
    table = errors_of(steps).dropna(subset="error")
    errors, arms = (table[name] * TEST_SIZE / 100 for name in ("error", "deviation"))
    names = [f"{row.name}, {row.parameters:,}" for row in table.itertuples(index=False)]
    axis.errorbar(errors, names, xerr=arms, fmt="o", color=OURS, elinewidth=1)
    axis.axvspan(0, 60, color=TARGET, alpha=0.15, linewidth=0)
    axis.set(xlim=(40, None), xlabel=f"errors of {TEST_SIZE:,} test digits")
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.suptitle("Steps with their parameters; green: at least 99.40 %", fontsize=11)
    return figure


def parameter_axes() -> tuple[Figure, Axes]:
    """A figure with a logarithmic axis of parameters."""
    figure, axis = new_figure(5.4, 4.6)
    axis.set(xscale="log", xlabel="parameters")
    axis.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axis.set_xlim(700, LARGEST)
    return figure, axis


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


# ---- shared -------------------------------------------------------------------------------------


def errors_of(recipes: list[Recipe]) -> pd.DataFrame:
    """Name, parameters, and of the last test errors in % mean, deviation and arm of the interval.

    They are NaN without any record.
    """
    rows = []
    for recipe in recipes:
        errors = 100 - 100 * test_accuracies(recipe)
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
