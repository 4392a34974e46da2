"""What figures of test error against parameters share, and that of the README."""

import pandas as pd
from matplotlib.figure import Figure

from mnist_lib.data import TEST_SIZE
from mnist_lib.experiments.comparison import test_accuracies
from mnist_lib.recipes import Recipe
from mnist_lib.results import interval
from mnist_lib.summary import count_parameters
from mnist_lib.visualize import new_figure

OURS, TARGET = "C3", "tab:green"


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


def frontier(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that none with as many or fewer parameters surpasses, the smallest first."""
    ordered = table.sort_values(["parameters", "error"])
    return ordered[ordered["error"] < ordered["error"].cummin().shift(fill_value=100)]


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
