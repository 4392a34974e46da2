"""The published systems: what was claimed, what their logs show, what this project measures."""

import json
import math

import pandas as pd

from mnist_lib import results
from mnist_lib.published import SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters

MISSING = "–"


def facts() -> dict[str, dict]:
    """What the sources say of each system, see results/published.json; accuracies are fractions.

    log_test_accuracy  one per epoch; None where the source prints no log of its own
    slips              contradictions of the source, each half a sentence about it
    """
    return json.loads((results.PROJECT / "results" / "published.json").read_text(encoding="utf-8"))


def measured(recipe: Recipe) -> pd.DataFrame:
    """Last epochs of all recorded seeds; an empty table where there are none yet."""
    try:
        return results.finals(recipe)
    except LookupError:
        return pd.DataFrame()


def point(recipe: Recipe) -> dict:
    """A recipe's place in a figure: parameters, mean and spread of its last test accuracies."""
    runs = measured(recipe)
    accuracies = runs["test_accuracy"] if len(runs) else pd.Series(dtype=float)
    return {
        "parameters": count_parameters(recipe.network()),
        "mean": accuracies.mean(),
        "spread": accuracies.std(),
    }


def run_to_run() -> tuple[float, int]:
    """Standard deviation of one run's test accuracy, and its degrees of freedom.

    Pooled over all systems with several seeds, because three runs alone say little about spread.
    raises LookupError if no system has two
    """
    groups = [runs["test_accuracy"] for runs in map(measured, SYSTEMS) if len(runs) > 1]
    degrees = sum(len(group) - 1 for group in groups)
    if degrees == 0:
        raise LookupError(
            "no system has two seeds: python -m mnist_lib run --system S0-6 --seeds 1 2"
        )
    squares = sum(group.var() * (len(group) - 1) for group in groups)
    return math.sqrt(squares / degrees), degrees


def noise(seeds: int) -> float:
    """By how much one published run and the mean of this many runs differ by chance (95 %)."""
    from scipy import stats  # takes a second to import

    spread, degrees = run_to_run()
    return stats.t.ppf(0.975, degrees) * spread * math.sqrt(1 + 1 / seeds)


def comparison() -> pd.DataFrame:
    """One row per system: claimed, in its own log (last epoch, best in brackets), and here.

    `here` is the last epoch, mean ± standard deviation over seeds. `difference` is here minus the
    last epoch of the log (the claim, where there is no log), in percentage points.
    """
    rows = [as_row(recipe, facts()[recipe.name]) for recipe in SYSTEMS]
    return pd.DataFrame(rows).set_index("system")


def as_row(recipe: Recipe, fact: dict) -> dict:
    """One row of the comparison, as text."""
    row = {
        "system": recipe.name,
        "change": recipe.change,
        "parameters": f"{fact['parameters']:,}",
        "epochs": recipe.epochs,
        "claimed": f"{fact['claimed_test_accuracy']:.2%}",
        "log": MISSING,
        "here": MISSING,
        "seeds": 0,
        "errors of 10,000": MISSING,
        "difference": MISSING,
        "within noise": MISSING,
        "seconds an epoch, there": fact["seconds_per_epoch"] or MISSING,
        "here, seconds": MISSING,
    }
    if fact["claimed_parameters"] != fact["parameters"]:
        row["parameters"] += f" (claimed {fact['claimed_parameters']:,})"
    log = fact["log_test_accuracy"]
    if log is not None:
        row["log"] = f"{log[-1]:.2%} (best {max(log):.2%})"
    runs = measured(recipe)
    if len(runs):
        row |= {
            "here": results.mean_and_spread(runs["test_accuracy"]),
            "seeds": len(runs),
            "errors of 10,000": " ".join(map(str, runs["errors"])),
            "here, seconds": f"{runs['seconds'].median() / recipe.epochs:.0f}",
        }
        difference = runs["test_accuracy"].mean() - reference(fact)
        row["difference"] = f"{difference * 100:+.2f}"
        try:
            row["within noise"] = "yes" if abs(difference) <= noise(len(runs)) else "no"
        except LookupError:
            pass
    return row


def reference(fact: dict) -> float:
    """What to compare with: the last epoch of the source's own log, else its claim."""
    log = fact["log_test_accuracy"]
    return log[-1] if log is not None else fact["claimed_test_accuracy"]


def contradictions() -> pd.DataFrame:
    """One row per slip of a source: the slip, and test accuracy and parameters found here."""
    rows = []
    for recipe in SYSTEMS:
        fact, runs = facts()[recipe.name], measured(recipe)
        here = results.mean_and_spread(runs["test_accuracy"]) if len(runs) else MISSING
        for slip in fact["slips"]:
            rows.append(
                {
                    "system": recipe.name,
                    "slip": slip,
                    "here": here,
                    "parameters": f"{fact['parameters']:,}",
                }
            )
    return pd.DataFrame(rows).set_index("system")
