"""How few seconds to a goal: recipes raced against each other, and the tables of what came out."""

from collections.abc import Callable, Iterable, Sequence

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
    recipes: Sequence[Recipe],
    digits_for: Callable[[int], Digits],
    seeds: Iterable[int],
    device: str = "auto",
    threads: int = 1,
) -> pd.DataFrame:
    """Train all recipes with all seeds, seed by seed, so that a slow minute hits them all.

    digits_for  gives the digits for a fold, which is another one for each seed
    returns     a row per run: recipe and its fingerprint, seed, seconds (training and evaluation,
                data in memory), validation_accuracy and test_accuracy (as far as there are such
                images), device, threads, PyTorch's version
    raises      KeyboardInterrupt after Ctrl-C: half a race is none
    """
    runs = [(recipes[0], 0), *((recipe, seed) for seed in seeds for recipe in recipes)]
    rows = []
    for recipe, seed in tqdm(runs, unit="run", disable=None):
        run = fit(recipe, digits_for(recipe.fold(seed)), seed, device, threads, quiet=True)
        if run.interrupted:
            raise KeyboardInterrupt
        rows.append(as_row(run))
    return pd.DataFrame(rows[1:])  # the first does not count: everything was cold


def as_row(run: Run) -> dict:
    """What a race keeps of a run."""
    last = run.history[-1]
    parts = [part for part in ("validation_accuracy", "test_accuracy") if part in last]
    return {
        "recipe": run.recipe.name,
        "fingerprint": run.recipe.fingerprint(),
        "seed": run.seed,
        "seconds": run.seconds,
        **{part: last[part] for part in parts},
        **{name: run.machine[name] for name in ("device", "threads", "torch")},
    }


def standings(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """A race in one row per recipe, in its order; the first recipe is the one to beat.

    accuracy  the column to show, 'validation_accuracy' or 'test_accuracy'
    """
    runs, names = table.pivot(index="seed", columns="recipe"), table["recipe"].unique()
    rows = []
    for name in names:
        seconds = runs["seconds"][name]
        part = with_interval(seconds / runs["seconds"][names[0]])
        row = {
            "recipe": name,
            "seeds": len(seconds),
            "seconds": f"{seconds.mean():.2f} ± {seconds.std():.2f}",
            "time relative to the first": "{mean:.2f} [{low:.2f}, {high:.2f}]".format(**part),
            accuracy.replace("_", " "): mean_and_deviation(runs[accuracy][name]),
        }
        rows.append(row)
    return pd.DataFrame(rows).set_index("recipe")


def accuracy_against_seconds(table: pd.DataFrame, goal: float) -> Figure:
    """Accuracy against wall time of a race: each run, and per recipe mean ± standard deviation.

    table  columns recipe, seconds, test_accuracy (fraction), a row per run
    goal   accuracy to reach, as a line
    """
    figure, axis = new_figure(6.5, 3.4)
    for number, (name, runs) in enumerate(table.groupby("recipe", sort=False)):
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
