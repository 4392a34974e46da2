"""Results: tables, effects, targets and claims, all from the records and from nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mnist_lib.data import TEST_SIZE
from mnist_lib.recipes import Recipe
from mnist_lib.records import HOW_TO_MAKE, records_of

# ---- tables and effects -------------------------------------------------------------------------


class NoRecords(LookupError):
    """There is nothing recorded yet of what was asked for; the message says what makes it."""


def finals(recipe: Recipe, folder: Path | None = None) -> pd.DataFrame:
    """The last epoch of every recorded seed: one row per seed, accuracies as fractions."""
    rows = []
    for record in records_of(recipe, folder):
        last = record["history"][-1]
        rows.append(
            {
                "seed": record["seed"],
                **{key: value for key, value in last.items() if key not in ("epoch", "seconds")},
                "errors": round((1 - last["test_accuracy"]) * TEST_SIZE),
                "parameters": record["parameters"],
                "epochs": len(record["history"]),
                "seconds": record["seconds"],
            }
        )
    if not rows:
        raise NoRecords(f"no records of '{recipe.name}': {HOW_TO_MAKE}")
    return pd.DataFrame(rows).set_index("seed")


def mean_and_deviation(values: pd.Series) -> str:
    """'99.52 ± 0.04 %': mean and standard deviation over seeds; one seed has no deviation."""
    deviation = f" ± {values.std() * 100:.2f}" if len(values) > 1 else ""
    return f"{values.mean() * 100:.2f}{deviation} %"


def effect(recipe: Recipe, parent: Recipe, column: str = "validation_accuracy") -> dict:
    """Paired difference to another recipe over the seeds both have, with a 95 % t-interval.

    Pairs share the seed, hence the order of the images, and all share the validation images.
    returns {mean, low, high, seeds} as fractions
    raises NoRecords with fewer than two common seeds
    """
    difference = (finals(recipe)[column] - finals(parent)[column]).dropna()
    if len(difference) < 2:
        raise NoRecords(
            f"'{recipe.name}' and '{parent.name}' share {len(difference)} seeds, an interval needs "
            f"two: {HOW_TO_MAKE}"
        )
    return {**with_interval(difference), "seeds": len(difference)}


def with_interval(values: pd.Series) -> dict[str, float]:
    """{mean, low, high}: the mean and its 95 % interval by Student's t."""
    from scipy import stats  # takes a second to import, and few commands need it

    mean, error = values.mean(), stats.sem(values)
    half = error * stats.t.ppf(0.975, len(values) - 1)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def as_interval(gain: dict) -> str:
    """'+0.12 [+0.05, +0.19]': an effect in percentage points with its 95 % interval."""
    return f"{gain['mean'] * 100:+.2f} [{gain['low'] * 100:+.2f}, {gain['high'] * 100:+.2f}]"


def ledger(recipes: list[Recipe]) -> pd.DataFrame:
    """The table of the journey so far: one row per recipe that has records."""
    rows = []
    for recipe in recipes:
        try:
            runs = finals(recipe)
        except NoRecords:
            continue
        validated = "validation_accuracy" in runs
        gap = (runs["train_accuracy"] - runs["test_accuracy"]).mean()
        gain = "–"
        if recipe.parent and validated:
            try:
                gain = as_interval(effect(recipe, recipe.parent))
            except NoRecords:
                pass  # no parent recorded, or no two seeds in common
        rows.append(
            {
                "step": recipe.name,
                "change": recipe.change,
                "parameters": f"{runs['parameters'].iloc[0]:,}",
                "epochs": runs["epochs"].iloc[0],
                "test accuracy": mean_and_deviation(runs["test_accuracy"]),
                "seeds": len(runs),
                "errors of 10,000": f"{runs['errors'].min()}–{runs['errors'].max()}",
                "validation": mean_and_deviation(runs["validation_accuracy"]) if validated else "–",
                "train − test": f"{gap * 100:+.2f}",
                "effect on validation": gain,
                "seconds": f"{np.median(runs['seconds']):.0f}",
            }
        )
    return pd.DataFrame(rows).set_index("step") if rows else pd.DataFrame()


# ---- targets and claims: sentences that code ticks or crosses -----------------------------------


@dataclass(frozen=True)
class Check:
    """A sentence and whether the measured results bear it out."""

    sentence: str
    holds: bool

    def __str__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.sentence}"


class Checks(list):
    """Checks that show as one line each, in a terminal and on a notebook's page."""

    def __repr__(self) -> str:
        return "\n".join(str(check) for check in self)

    @property
    def hold(self) -> bool:
        return all(check.holds for check in self)


def claim(sentence: str, condition) -> Check:
    """A checkable sentence of an analysis; the condition must come from measured results.

    raises TypeError for a condition that is no truth value, such as a number or a whole table
    """
    if not isinstance(condition, bool) and type(condition).__name__ not in ("bool_", "bool"):
        raise TypeError(f"the condition of '{sentence}' is {condition!r}, not true or false")
    return Check(sentence, bool(condition))


def verdict(target, records: list[dict]) -> Checks:
    """One check per line of a `journey.Target`, over all the records.

    raises NoRecords if there are none
    """
    if not records:
        raise NoRecords("there is no record to hold against the target")
    seeds = f"{len(records)} seed{'s' if len(records) > 1 else ''}"
    accuracies = pd.DataFrame(
        [epoch["test_accuracy"] for epoch in record["history"][-target.last_epochs :]]
        for record in records
    )
    checks = Checks()
    if target.max_parameters is not None:
        most = max(record["parameters"] for record in records)
        sentence = f"at most {target.max_parameters:,} parameters: {most:,}"
        checks.append(Check(sentence, most <= target.max_parameters))
    if target.max_epochs is not None:
        most = max(len(record["history"]) for record in records)
        checks.append(
            Check(f"at most {target.max_epochs} epochs: {most}", most <= target.max_epochs)
        )
    if target.test_accuracy is not None:
        lowest = accuracies.min().min()
        epochs = "last epoch" if target.last_epochs == 1 else f"last {target.last_epochs} epochs"
        sentence = f"at least {target.test_accuracy:.2%} in the {epochs} of {seeds}: "
        checks.append(Check(f"{sentence}lowest {lowest:.2%}", lowest >= target.test_accuracy))
    if target.mean_accuracy is not None and len(records) > 1:
        last = accuracies.iloc[:, -1]
        sentence = f"mean of at least {target.mean_accuracy:.2%} over {seeds}: "
        holds = round(last.mean(), 9) >= target.mean_accuracy  # the mean of equals may be less
        checks.append(Check(f"{sentence}{mean_and_deviation(last)}", bool(holds)))
    return checks
