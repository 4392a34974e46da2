"""The published systems: what was claimed, what their logs show, what this project measures."""

import json
import math
from collections.abc import Sequence
from functools import cache

import pandas as pd
from scipy.special import stdtrit

from mnist_lib.data import TEST_SIZE
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import MISSING, Effect, mean_and_deviation


@cache
def facts() -> dict[str, dict]:
    """What the sources say of each system, from results/published.json; accuracies are fractions.

    Returns:
        By the system's name, among others:
        claimed_test_accuracy: as printed in the text; own_test_accuracy where two were exchanged.
        log_test_accuracy: one per epoch; None where the source prints no log of its own.
        later_run_test_accuracy: of the author's longer run of nearly the same recipe.
        slips: contradictions of the source, each half a sentence about it with its kind.
        chosen: what had to be chosen here, because the source does not say it.
        best_of_several: the source shows the best of several runs.
    """
    return json.loads((PROJECT / "results" / "published.json").read_text(encoding="utf-8"))


def test_accuracies(recipe: Recipe, epoch: int | None = None) -> pd.Series:
    """Test accuracy of every recorded seed after this epoch (None: the last); may be empty."""
    last = (epoch or recipe.epochs) - 1
    runs = [record for record in records_of(recipe) if record["sizes"]["test"]]
    accuracies = {r["seed"]: r["history"][last]["test_accuracy"] for r in runs}
    return pd.Series(accuracies, dtype=float)


# ---- differences --------------------------------------------------------------------------------


def binomial(accuracy: float) -> float:
    """Standard deviation of an accuracy if each of the 10,000 images were a draw of its own."""
    return math.sqrt(accuracy * (1 - accuracy) / TEST_SIZE)


def pooled_deviation(without: str = "") -> tuple[float, int]:
    """Standard deviation of one run's test accuracy, pooled over all systems with several seeds.

    Args:
        without: a system that is left out.

    Returns:
        The deviation in units of `binomial`, because a system with twice the errors varies more,
        and its degrees of freedom.

    Raises:
        NoRecords: if no system has two seeds.
    """
    seen, squares, degrees = set(), 0.0, 0
    for recipe in SYSTEMS:
        runs = test_accuracies(recipe)
        runs = runs[[(recipe.fingerprint(), seed) not in seen for seed in runs.index]]
        seen |= {(recipe.fingerprint(), seed) for seed in runs.index}
        if len(runs) > 1 and recipe.name != without:
            squares += (len(runs) - 1) * runs.var() / binomial(runs.mean()) ** 2
            degrees += len(runs) - 1
    if degrees == 0:
        raise NoRecords("no system has two seeds yet, so nothing is known about deviation")
    return math.sqrt(squares / degrees), degrees


def difference_of(ours: pd.Series, theirs: Sequence[float], without: str = "") -> Effect:
    """Our mean minus theirs with its 95 % prediction interval, all as fractions.

    All runs are tested on the same 10,000 images, so runs differ by their seed alone. Three seeds
    say little about their own deviation, so s is the `pooled_deviation` of all systems. For n runs
    of ours and m of theirs the half-width is t * s * sqrt(1/n + 1/m), with Student's t of the
    pooled degrees of freedom. A published run is a single draw, m = 1: its own noise stays in the
    interval however many runs we make. Without any s low and high are NaN.
    """
    mean = ours.mean() - sum(theirs) / len(theirs)
    try:
        units, degrees = pooled_deviation(without)
    except NoRecords:
        return Effect(mean, math.nan, math.nan, len(ours))
    spread = units * binomial(ours.mean()) * math.sqrt(1 / len(ours) + 1 / len(theirs))
    half = stdtrit(degrees, 0.975) * spread
    return Effect(mean, mean - half, mean + half, len(ours))


def difference(recipe: Recipe, without: str = "") -> Effect:
    """Ours minus the source's log, after the last epoch that it shows; see `difference_of`.

    Without a log it is ours minus the claim (put right where two were exchanged), which may be a
    best epoch: then low and high are NaN. NoRecords if nothing is recorded.
    """
    fact = facts()[recipe.name]
    log = fact["log_test_accuracy"]
    ours = test_accuracies(recipe, epoch=len(log) if log else None)
    if ours.empty:
        raise NoRecords(f"no record of '{recipe.name}' to compare with its source")
    if log is None:
        return Effect(ours.mean() - fact["own_test_accuracy"], math.nan, math.nan, len(ours))
    return difference_of(ours, [log[-1]], without)


def compatibility(gap: Effect) -> str:
    """Whether the published value lies within what our runs predict: the interval holds zero."""
    if math.isnan(gap.low):
        return MISSING
    return "compatible with our runs" if gap.low <= 0 <= gap.high else "outside our runs"


# ---- tables -------------------------------------------------------------------------------------


def comparison() -> pd.DataFrame:
    """One row per system: claimed, in its own log (last epoch, best in brackets), and here.

    Returns:
        Text; among its columns are
        here: last epoch, mean ± standard deviation over seeds.
        difference: in percentage points with its 95 % prediction interval; to a claim in brackets.
        verdict: `compatibility`.
        remark: where the source does not tell the whole recipe, or tells of its best run only.
    """
    return pd.DataFrame([as_row(recipe) for recipe in SYSTEMS]).set_index("system")


def as_row(recipe: Recipe) -> dict:
    """One row of the comparison, as text."""
    fact, runs = facts()[recipe.name], test_accuracies(recipe)
    log, parameters = fact["log_test_accuracy"], f"{fact['parameters']:,}"
    if fact["claimed_parameters"] != fact["parameters"]:
        parameters += f" (claimed {fact['claimed_parameters']:,})"
    shown, verdict = MISSING, MISSING
    if len(runs):
        gap = difference(recipe)
        verdict, mean = compatibility(gap), f"{gap.mean * 100:+.2f}"
        shown = str(gap) if verdict != MISSING else mean if log else f"({mean})"
    in_part = "recipe told in part" if "chosen" in fact else MISSING
    return {
        "system": recipe.name,
        "change": recipe.change,
        "parameters": parameters,
        "epochs": recipe.epochs,
        "claimed": f"{fact['claimed_test_accuracy']:.2%}",
        "log": f"{log[-1]:.2%} (best {max(log):.2%})" if log else MISSING,
        "here": mean_and_deviation(runs),
        "seeds": len(runs),
        "difference": shown,
        "verdict": verdict,
        "remark": "best of several runs" if "best_of_several" in fact else in_part,
    }


def contradictions() -> pd.DataFrame:
    """One row per slip of a source, with parameters and last accuracies found here."""
    rows = []
    for recipe in SYSTEMS:
        fact, last = facts()[recipe.name], [record["history"][-1] for record in records_of(recipe)]
        found = {"parameters": f"{fact['parameters']:,}"}
        for part in ("train", "test"):
            found[part] = mean_and_deviation(pd.Series([row[f"{part}_accuracy"] for row in last]))
        rows += [{"system": recipe.name, "slip": slip, **found} for slip in fact["slips"]]
    return pd.DataFrame(rows).set_index("system")
