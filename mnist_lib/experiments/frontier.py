"""How few errors so many parameters allow: tiny networks of others beside those of this project."""

import math

import pandas as pd
from matplotlib.figure import Figure

from mnist_lib.experiments.figures import OURS, THEIRS, errors, name
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import finals, with_interval
from mnist_lib.visualize import new_figure

ONE_RUN, BEST, MEAN = "one run", "the best of many runs or epochs", "mean over last epochs"
MARKERS = {ONE_RUN: "o", BEST: "^", MEAN: "D"}
# parameters, test accuracy, what kind of number it is, whose
CLAIMS = pd.DataFrame(
    [
        (575, 0.9800, ONE_RUN, "hexhowells/NeuralGolfing"),  # not zero; 672 before pruning
        (697, 0.9903, BEST, "JoshWarn/Parameter-Efficient-MNIST"),  # of 700, up to 2,000 epochs
        (997, 0.9876, MEAN, "JoshWarn/Parameter-Efficient-MNIST"),  # ± 0.10, 223 epochs
        (997, 0.9906, BEST, "JoshWarn/Parameter-Efficient-MNIST"),
        (1_936, 0.9910, ONE_RUN, "ruslangrimov/mnist-minimal-model"),  # 75 epochs
        (3_762, 0.9952, BEST, "S3-x5"),
        (6_720, 0.9953, BEST, "a course's repository"),
        (7_752, 0.9955, BEST, "a course's repository"),
        (7_840, 0.9961, BEST, "sagarigrandhi/EVA4"),
        (9_768, 0.9957, ONE_RUN, "S1"),  # 19 epochs
    ],
    columns=["parameters", "accuracy", "kind", "source"],
)


def reached(recipes: list[Recipe], seeds: int = 5) -> pd.DataFrame:
    """The recipes recorded with so many seeds: step, parameters, mean, low, high (fractions).

    raises NoRecords if there are none
    """
    rows = []
    for recipe in recipes:
        if len(records_of(recipe)) >= seeds:
            runs = finals(recipe)
            interval = with_interval(runs["test_accuracy"])
            rows.append({"step": recipe.name, "parameters": runs["parameters"].iloc[0], **interval})
    if not rows:
        raise NoRecords(f"no recipe is recorded with {seeds} seeds")
    return pd.DataFrame(rows)


def frontier(networks: pd.DataFrame) -> pd.DataFrame:
    """Those that none with as many or fewer parameters surpasses, the smallest first."""
    ordered = networks.sort_values(["parameters", "mean"], ascending=[True, False])
    return ordered[ordered["mean"] > ordered["mean"].cummax().shift(fill_value=0)]


def error_against_parameters(networks: pd.DataFrame, claims: pd.DataFrame = CLAIMS) -> Figure:
    """Test error against parameters, both logarithmic: ours with intervals, others as they are.

    networks  as from `reached`; a line runs through their frontier
    """
    figure, axis = new_figure(8.6, 5.2)
    for kind, marker in MARKERS.items():
        found = claims[claims["kind"] == kind]
        axis.plot(
            found["parameters"], errors(found["accuracy"]), marker, color=THEIRS,
            markerfacecolor=axis.get_facecolor(), label=f"others: {kind}",
        )  # fmt: skip
    best = frontier(networks)
    spread = 100 * (networks["high"] - networks["mean"])
    axis.errorbar(
        networks["parameters"], errors(networks["mean"]), yerr=spread, fmt="o", color=OURS,
        elinewidth=1, markersize=5, label="here: mean over seeds, last epoch, 95 % interval",
    )  # fmt: skip
    axis.plot(best["parameters"], errors(best["mean"]), color=OURS, drawstyle="steps-post")
    for row, following in zip(best.itertuples(), [*best["parameters"][1:], math.inf], strict=True):
        place, is_near = (row.parameters, 100 - 100 * row.mean), following < 1.25 * row.parameters
        name(axis, row.step, place, OURS, *(((-8, 9), "right") if is_near else ((8, 9), "left")))
    axis.set(xscale="log", yscale="log")
    sizes = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ticks = [0.4, 0.5, 0.6, 0.8, 1, 1.5, 2]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xlim(450, 35_000)
    axis.set_ylim(0.35, 2.2)
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.set(xlabel="parameters", ylabel="test error in %")
    axis.legend(loc="upper right", fontsize=9)
    return figure
