"""The published systems: what was claimed, what their logs show, what this project measures."""

import json
import math
from collections.abc import Sequence
from functools import cache

import pandas as pd

from mnist_lib.data import TEST_SIZE
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments.systems import BEST_OF_SEVERAL, CHOSEN, SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import MISSING, as_interval, mean_and_deviation
from mnist_lib.summary import count_parameters

SAME = 0.0015  # a system whose difference is surely no larger than this is called reproduced
ENOUGH_SEEDS = 3  # for a spread of their own


@cache
def facts() -> dict[str, dict]:
    """What the sources say of each system, see results/published.json; accuracies are fractions.

    claimed_test_accuracy  as printed in the text; own_test_accuracy where two were exchanged
    log_test_accuracy      one per epoch; None where the source prints no log of its own
    later_run_test_accuracy  of the author's longer run of nearly the same recipe, which is another
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


# ---- differences --------------------------------------------------------------------------------


def binomial(accuracy: float) -> float:
    """Standard deviation of an accuracy if each of the 10,000 images were a throw of its own."""
    return math.sqrt(accuracy * (1 - accuracy) / TEST_SIZE)


def pooled_spread() -> tuple[float, int]:
    """Spread of one run's test accuracy in units of `binomial`, and its degrees of freedom.

    Pooled over all systems with several seeds; in these units, because a system with twice the
    errors spreads more.
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


def spread(runs: pd.Series) -> tuple[float, int]:
    """Standard deviation of one run's test accuracy over seeds, and its degrees of freedom.

    That of these runs alone if there are at least three, else the pooled one; NoRecords if neither.
    """
    if len(runs) >= ENOUGH_SEEDS:
        return runs.std(), len(runs) - 1
    units, degrees = pooled_spread()
    return units * binomial(runs.mean()), degrees


def difference_of(ours: pd.Series, theirs: Sequence[float]) -> dict[str, float]:
    """{mean, low, high}: our mean minus theirs with its 95 % interval, all as fractions.

    All runs see the same 10,000 test images, so chance is what a run owes to its seed: the spread
    s over our seeds, which is taken to be theirs too. For n runs of ours and m of theirs the
    half-width is

        t * s * sqrt(1/n + 1/m)

    with Student's t of the degrees of freedom of s. A published run is a single draw, m = 1: its
    own noise stays in the interval however many runs we make. Without any s low and high are NaN.
    """
    from scipy.special import stdtrit  # takes a while to import

    mean = ours.mean() - sum(theirs) / len(theirs)
    try:
        deviation, degrees = spread(ours)
    except NoRecords:
        return {"mean": mean, "low": math.nan, "high": math.nan}
    half = stdtrit(degrees, 0.975) * deviation * math.sqrt(1 / len(ours) + 1 / len(theirs))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def difference(recipe: Recipe) -> dict[str, float]:
    """Ours minus the source's log, after the last epoch that it shows; see `difference_of`.

    Without a log it is ours minus the claim (put right where two were exchanged), which may be a
    best epoch: then low and high are NaN. NoRecords if nothing is recorded.
    """
    fact = facts_of(recipe)
    log = fact["log_test_accuracy"]
    ours = test_accuracies(recipe, epoch=len(log) if log else None)
    if ours.empty:
        raise NoRecords(f"no record of '{recipe.name}' to compare with its source")
    if log is None:
        return {"mean": ours.mean() - fact["own_test_accuracy"], "low": math.nan, "high": math.nan}
    return difference_of(ours, [log[-1]])


def in_a_word(gap: dict[str, float]) -> str:
    """What the interval of a difference says about a source, in a word.

    reproduced: it lies within ±0.15 points, whether or not it holds zero; not reproduced: it
    excludes zero and reaches outside ±0.15; undecided: neither
    """
    if math.isnan(gap["low"]):
        return MISSING
    if -SAME <= gap["low"] and gap["high"] <= SAME:
        return "reproduced"
    return "undecided" if gap["low"] <= 0 <= gap["high"] else "not reproduced"


# ---- tables -------------------------------------------------------------------------------------


def comparison() -> pd.DataFrame:
    """One row per system: claimed, in its own log (last epoch, best in brackets), and here.

    here        last epoch, mean ± standard deviation over seeds
    difference  `difference` in percentage points with its 95 % interval; to a claim in brackets
    verdict     `in_a_word`
    remark      where the source does not tell the whole recipe, see `CHOSEN`, or tells of its best
                run only
    """
    return pd.DataFrame([as_row(recipe) for recipe in SYSTEMS]).set_index("system")


def as_row(recipe: Recipe) -> dict:
    """One row of the comparison, as text."""
    fact, runs = facts_of(recipe), test_accuracies(recipe)
    log = fact["log_test_accuracy"]
    parameters = f"{fact['parameters']:,}"
    if fact["claimed_parameters"] != fact["parameters"]:
        parameters += f" (claimed {fact['claimed_parameters']:,})"
    shown, verdict = MISSING, MISSING
    if len(runs):
        gap = difference(recipe)
        verdict = in_a_word(gap)
        points = f"{gap['mean'] * 100:+.2f}" if log else f"({gap['mean'] * 100:+.2f})"
        shown = points if verdict == MISSING else as_interval(gap)
    remark = "recipe told in part" if recipe.name in CHOSEN else MISSING
    if recipe.name in BEST_OF_SEVERAL:
        remark = "best of several runs"
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
        "difference": shown,
        "verdict": verdict,
        "remark": remark,
        "s/epoch there": str(fact["seconds_per_epoch"] or MISSING),
        "s/epoch here": f"{seconds / recipe.epochs:.0f}" if len(runs) else MISSING,
    }


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
