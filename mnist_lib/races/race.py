"""How few seconds to a goal: recipes raced against each other, and the tables of what came out."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from mnist_lib.data import Digits
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run
from mnist_lib.results import mean_and_deviation, with_interval
from mnist_lib.train import fit
from mnist_lib.visualize import new_figure


def race(
    recipes: Iterable[Recipe], digits: Digits, seeds: Iterable[int], device: str = "auto"
) -> pd.DataFrame:
    """Train all recipes with all seeds, seed by seed, so that a slow minute hits them all.

    returns  a row per run: recipe and its fingerprint, seed, seconds (training and evaluation, data
             in memory), validation_accuracy and test_accuracy (as far as there are such images),
             device, threads, PyTorch's version
    raises   KeyboardInterrupt after Ctrl-C: half a race is none
    """
    recipes = list(recipes)
    finish(recipes[0], digits, 0, device)  # not counted: everything is cold
    rows = []
    for seed in tqdm(list(seeds), unit="seed", disable=None):
        for recipe in recipes:
            run = finish(recipe, digits, seed, device)
            row = {"recipe": recipe.name, "fingerprint": recipe.fingerprint(), "seed": seed}
            row["seconds"] = run.seconds
            for accuracy in ("validation_accuracy", "test_accuracy"):
                if accuracy in run.history[-1]:
                    row[accuracy] = run.history[-1][accuracy]
            row |= {"device": run.machine["device"], "threads": run.machine["threads"]}
            rows.append({**row, "torch": run.machine["torch"]})
    return pd.DataFrame(rows)


def finish(recipe: Recipe, digits: Digits, seed: int, device: str) -> Run:
    """A silent run to its end; KeyboardInterrupt if somebody stopped it."""
    run = fit(recipe, digits, seed, device, quiet=True)
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def without_test(digits: Digits) -> Digits:
    """The digits to choose by: nobody can peep at test images that are not there."""
    none = {name: getattr(digits, name)[:0] for name in ("test_images", "test_labels")}
    return replace(digits, **none)


def standings(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """A race in one row per recipe, in its order; the first recipe is the one to beat.

    accuracy  the column to show, 'validation_accuracy' or 'test_accuracy'
    """
    runs = table.pivot(index="seed", columns="recipe")
    first = table["recipe"].iloc[0]
    rows = []
    for name in dict.fromkeys(table["recipe"]):
        seconds, accuracies = runs["seconds"][name], runs[accuracy][name]
        part = with_interval(seconds / runs["seconds"][first])
        relative = f"{part['mean']:.2f} [{part['low']:.2f}, {part['high']:.2f}]"
        rows.append(
            {
                "recipe": name,
                "seeds": len(seconds),
                "seconds": f"{seconds.mean():.2f} ± {seconds.std():.2f}",
                "time relative to the first": relative,
                accuracy.replace("_", " "): mean_and_deviation(accuracies),
            }
        )
    return pd.DataFrame(rows).set_index("recipe")


def accuracy_against_seconds(table: pd.DataFrame, goal: float) -> Figure:
    """Accuracy against wall time of a race: each run, and per recipe mean ± standard deviation.

    table  columns recipe, seconds, test_accuracy (fraction), a row per run
    goal   accuracy to reach, as a line
    """
    figure, axis = new_figure(6.5, 3.4)
    for number, name in enumerate(dict.fromkeys(table["recipe"])):
        runs = table[table["recipe"] == name]
        seconds, accuracies = runs["seconds"], 100 * runs["test_accuracy"]
        axis.plot(seconds, accuracies, ".", color=f"C{number}", alpha=0.4)
        axis.errorbar(
            seconds.mean(), accuracies.mean(), xerr=seconds.std(), yerr=accuracies.std(),
            fmt="o", color=f"C{number}", capsize=3, label=name,
        )  # fmt: skip
    axis.axhline(100 * goal, color="black", linewidth=0.8, linestyle="--")
    axis.set_xlim(left=0)
    axis.set_xlabel("seconds of training and evaluation")
    axis.set_ylabel("test accuracy in %")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
