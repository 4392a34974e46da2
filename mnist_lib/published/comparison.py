"""The published systems: what was claimed, what their logs show, what this project measures."""

import json
import math
from functools import cache

import pandas as pd

from mnist_lib.data import TEST_SIZE
from mnist_lib.engine.environment import PROJECT
from mnist_lib.published.systems import CHOSEN, SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import MISSING, mean_and_deviation
from mnist_lib.summary import count_parameters


@cache
def facts() -> dict[str, dict]:
    """What the sources say of each system, see results/published.json; accuracies are fractions.

    claimed_test_accuracy  as printed in the text; own_test_accuracy where two were exchanged
    log_test_accuracy      one per epoch; None where the source prints no log of its own
    later_run_test_accuracy  of the author's later run of nearly the same recipe, if known
    slips                  contradictions of the source, each half a sentence about it
    """
    return json.loads((PROJECT / "results" / "published.json").read_text(encoding="utf-8"))


def facts_of(recipe: Recipe) -> dict:
    """What the source says of this system; LookupError says how to add what is not there."""
    if recipe.name not in facts():
        raise LookupError(f"results/published.json says nothing about '{recipe.name}': add it")
    return facts()[recipe.name]


def test_accuracies(recipe: Recipe, epoch: int | None = None) -> pd.Series:
    """Test accuracy of every recorded seed after this epoch (None: the last); may be empty."""
    records = records_of(recipe)
    last = (epoch or recipe.epochs) - 1
    return pd.Series({r["seed"]: r["history"][last]["test_accuracy"] for r in records}, dtype=float)


def point(recipe: Recipe) -> dict:
    """A recipe's place in a figure: parameters, mean and deviation of its last test accuracies."""
    runs = test_accuracies(recipe)
    parameters = count_parameters(recipe.network())
    return {"parameters": parameters, "mean": runs.mean(), "deviation": runs.std()}


def points(steps: list[Recipe]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `figures.accuracy_against_parameters`: these steps, and all systems."""
    table = pd.DataFrame({"step": recipe.name, **point(recipe)} for recipe in steps)
    systems = pd.DataFrame({"system": recipe.name, **point(recipe)} for recipe in SYSTEMS)
    claimed = [facts_of(recipe)["claimed_test_accuracy"] for recipe in SYSTEMS]
    return table, systems.assign(claimed=claimed)


def binomial(accuracy: float) -> float:
    """Standard deviation of an accuracy if each of the 10,000 images were a throw of its own."""
    return math.sqrt(accuracy * (1 - accuracy) / TEST_SIZE)


def run_to_run() -> tuple[float, int]:
    """Spread of one run's test accuracy in units of `binomial`, and its degrees of freedom.

    Pooled over all systems with several seeds, because three runs alone say little about deviation;
    in these units, because a system with twice the errors spreads more.
    raises NoRecords if no system has two
    """
    seen, squares, degrees = set(), 0.0, 0
    for recipe in SYSTEMS:
        runs = test_accuracies(recipe)
        runs = runs[[(recipe.fingerprint(), seed) not in seen for seed in runs.index]]
        seen |= {(recipe.fingerprint(), seed) for seed in runs.index}
        if len(runs) > 1:
            squares += (len(runs) - 1) * runs.var() / binomial(runs.mean()) ** 2
            degrees += len(runs) - 1
    if degrees == 0:
        raise NoRecords("no system has two seeds yet, so nothing is known about deviation")
    return math.sqrt(squares / degrees), degrees


def noise(accuracy: float, seeds: int, deviation: float, degrees: int, published: int = 1) -> float:
    """By how much the means of so many published runs and of ours differ by chance (95 %).

    accuracy  about which both lie; deviation and degrees come from `run_to_run`
    """
    from scipy import stats  # takes a second to import

    width = stats.t.ppf(0.975, degrees) * deviation * binomial(accuracy)
    return width * math.sqrt(1 / published + 1 / seeds)


def comparison() -> pd.DataFrame:
    """One row per system: claimed, in its own log (last epoch, best in brackets), and here.

    here          last epoch, mean ± standard deviation over seeds
    difference    ours minus the log's, after the last epoch that the log shows; where there is no
                  log, ours minus the claim (put right where two were exchanged), in brackets
                  because a claim may be a best epoch
    within noise  whether chance alone makes as large a difference in one case of 20 or more
    chosen here   'in part' where the source does not tell the whole recipe, see `CHOSEN`
    """
    try:
        deviation = run_to_run()
    except NoRecords:
        deviation = None
    rows = [as_row(recipe, deviation) for recipe in SYSTEMS]
    return pd.DataFrame(rows).set_index("system")


def as_row(recipe: Recipe, deviation: tuple[float, int] | None) -> dict:
    """One row of the comparison, as text."""
    fact, runs = facts_of(recipe), test_accuracies(recipe)
    log = fact["log_test_accuracy"]
    parameters = f"{fact['parameters']:,}"
    if fact["claimed_parameters"] != fact["parameters"]:
        parameters += f" (claimed {fact['claimed_parameters']:,})"
    gap, within = MISSING, MISSING
    if len(runs):
        points = difference(recipe)
        gap = f"{points * 100:+.2f}" if log else f"({points * 100:+.2f})"
        if log and deviation:
            by_chance = abs(points) <= noise(log[-1], len(runs), *deviation)
            within = "yes" if by_chance else "no"
    seconds = pd.Series([record["seconds"] for record in records_of(recipe)], dtype=float).median()
    return {
        "system": recipe.name,
        "change": recipe.change,
        "parameters": parameters,
        "epochs": recipe.epochs,
        "claimed": f"{fact['claimed_test_accuracy']:.2%}",
        "log": f"{log[-1]:.2%} (best {max(log):.2%})" if log else MISSING,
        "here": mean_and_deviation(runs),
        "seeds": len(runs),
        "errors of 10,000": " ".join(str(round((1 - a) * TEST_SIZE)) for a in runs) or MISSING,
        "difference": gap,
        "within noise": within,
        "chosen here": "in part" if recipe.name in CHOSEN else MISSING,
        "s/epoch there": str(fact["seconds_per_epoch"] or MISSING),
        "s/epoch here": f"{seconds / recipe.epochs:.0f}" if len(runs) else MISSING,
    }


def difference(recipe: Recipe) -> float:
    """Our mean minus the source's accuracy after the last epoch of its log, or minus its claim."""
    fact = facts_of(recipe)
    log = fact["log_test_accuracy"]
    if log is None:
        return test_accuracies(recipe).mean() - fact["own_test_accuracy"]
    return test_accuracies(recipe, epoch=len(log)).mean() - log[-1]


def contradictions() -> pd.DataFrame:
    """One row per slip of a source, with parameters and last accuracies found here."""
    rows = []
    for recipe in SYSTEMS:
        fact, last = facts_of(recipe), [record["history"][-1] for record in records_of(recipe)]
        found = {"parameters": f"{fact['parameters']:,}"}
        for part in ("train", "test"):
            found[part] = mean_and_deviation(pd.Series([row[f"{part}_accuracy"] for row in last]))
        rows += [{"system": recipe.name, "slip": slip, **found} for slip in fact["slips"]]
    return pd.DataFrame(rows).set_index("system")
