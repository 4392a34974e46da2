"""Results: tables, effects, targets and claims, all from the records and from nothing else."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mnist_lib.data import TEST_SIZE
from mnist_lib.engine.environment import is_short
from mnist_lib.engine.store import RUNS, TRIALS
from mnist_lib.recipes import Recipe
from mnist_lib.records import HOW_TO_MAKE, NoRecords, records_of

pd.set_option("display.max_colwidth", None)  # pandas would cut off what a trial is after 50 signs

MISSING = "–"
LARGEST_SMALL_DIFFERENCE = 0.001  # a wider interval around zero leaves a question undecided


def finals(recipe: Recipe, folder: Path | None = None, kind: str = RUNS) -> pd.DataFrame:
    """The last epoch of every recorded seed: one row per seed, accuracies as fractions.

    kind  runs, which saw the test images, or trials, which had none
    """
    rows = [
        {
            "validation_accuracy": math.nan,  # where no image was set aside
            "test_accuracy": math.nan,  # of a trial
            **record["history"][-1],
            "clean_train_accuracy": record["clean_train_accuracy"],
            "seed": record["seed"],
            "parameters": record["parameters"],
            "epochs": len(record["history"]),
            "seconds": record["seconds"],  # of the whole run
        }
        for record in records_of(recipe, folder, kind)
    ]
    if not rows:
        raise NoRecords(f"no {kind} of '{recipe.name}': {HOW_TO_MAKE}")
    table = pd.DataFrame(rows).set_index("seed").drop(columns="epoch")
    errors = ((1 - table["test_accuracy"]) * TEST_SIZE).round()
    return table.assign(errors=errors.astype("Int64"))  # missing for trials


def mean_and_deviation(values: pd.Series) -> str:
    """'99.52 ± 0.04 %': mean and standard deviation over seeds; one seed has no deviation."""
    values = values.dropna()
    if values.empty:
        return MISSING
    deviation = f" ± {values.std() * 100:.2f}" if len(values) > 1 else ""
    return f"{values.mean() * 100:.2f}{deviation} %"


def effect(
    recipe: Recipe, parent: Recipe, column: str = "validation_accuracy", kind: str = RUNS
) -> dict:
    """Paired difference to another recipe over the seeds both have, with a 95 % t-interval.

    Pairs share the seed, hence the order of the images and the fold that validates. Over ten seeds
    those are all training images, so the interval covers the choice of seeds and of images alike.
    returns {mean, low, high, seeds} as fractions
    raises NoRecords with fewer than two common seeds; a shortened run, where no number means
    anything, goes on without an interval
    """
    ours, theirs = (finals(each, kind=kind)[column] for each in (recipe, parent))
    difference = (ours - theirs).dropna()
    if len(difference) < 2 and not is_short():
        raise NoRecords(
            f"'{recipe.name}' and '{parent.name}' share {len(difference)} seeds, an interval needs "
            f"two: {HOW_TO_MAKE}"
        )
    return {**with_interval(difference), "seeds": len(difference)}


def with_interval(values: pd.Series) -> dict[str, float]:
    """{mean, low, high}: the mean and its 95 % interval by Student's t; nan for one value."""
    from scipy.special import stdtrit  # takes a while to import, and few commands need it

    mean, error = values.mean(), values.sem()
    half = error * stdtrit(len(values) - 1, 0.975)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def as_interval(gain: dict) -> str:
    """'+0.12 [+0.05, +0.19]': an effect in percentage points with its 95 % interval."""
    if math.isnan(gain["low"]):
        return MISSING  # of a shortened run
    return f"{gain['mean'] * 100:+.2f} [{gain['low'] * 100:+.2f}, {gain['high'] * 100:+.2f}]"


def in_words(gain: dict) -> str:
    """What an effect's interval says: never that two things are the same, at most how nearly."""
    if math.isnan(gain["low"]):
        return MISSING
    if gain["low"] > 0:
        return "helps"
    if gain["high"] < 0:
        return "hurts"
    largest = max(-gain["low"], gain["high"])
    is_small = largest <= LARGEST_SMALL_DIFFERENCE
    return f"no difference larger than {largest * 100:.2f}" if is_small else "undecided"


def ledger(recipes: list[Recipe]) -> pd.DataFrame:
    """The table of the journey so far: one row per recipe that has records."""
    rows = [ledger_row(recipe) for recipe in recipes if records_of(recipe)]
    return pd.DataFrame(rows).set_index("step") if rows else pd.DataFrame()


def ledger_row(recipe: Recipe) -> dict:
    """A recipe's row of the ledger."""
    runs = finals(recipe)
    overfitting = (runs["clean_train_accuracy"] - runs["test_accuracy"]).mean()
    try:
        gain = effect(recipe, recipe.parent) if recipe.parent else None
    except NoRecords:  # no parent recorded, no two seeds in common, or no validation
        gain = None
    return {
        "step": recipe.name,
        "change": recipe.change,
        "parameters": f"{runs['parameters'].iloc[0]:,}",
        "epochs": runs["epochs"].iloc[0],
        "test accuracy": mean_and_deviation(runs["test_accuracy"]),
        "seeds": len(runs),
        "errors of 10,000": f"{runs['errors'].min()}–{runs['errors'].max()}",
        "validation": mean_and_deviation(runs["validation_accuracy"]),
        "clean train − test": MISSING if math.isnan(overfitting) else f"{overfitting * 100:+.2f}",
        "effect on validation": as_interval(gain) if gain else MISSING,
        "the change": in_words(gain) if gain else MISSING,
        "seconds": f"{runs['seconds'].median():.0f}",
    }


def trials(recipes: list[Recipe]) -> pd.DataFrame:
    """What was tried, on folds alone: one row per recipe, each compared with the first of them."""
    rows = [trial_row(recipe, recipes[0]) for recipe in recipes if records_of(recipe, kind=TRIALS)]
    return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()


def trial_row(recipe: Recipe, first: Recipe) -> dict:
    """A recipe's row in a table of trials."""
    runs = finals(recipe, kind=TRIALS)
    try:
        gain = effect(recipe, first, kind=TRIALS) if recipe != first else None
    except NoRecords:  # too few folds yet
        gain = None
    return {
        "trial": recipe.name,
        "what": recipe.change,
        "parameters": f"{runs['parameters'].iloc[0]:,}",
        "folds": len(runs),
        "validation": mean_and_deviation(runs["validation_accuracy"]),
        "against the first": as_interval(gain) if gain else MISSING,
        "in words": in_words(gain) if gain else MISSING,
        "seconds": f"{runs['seconds'].median():.0f}",
    }


@dataclass(frozen=True)
class Check:
    """A sentence and whether it is borne out; None: an exercise that nobody has done yet."""

    sentence: str
    holds: bool | None

    def __str__(self) -> str:
        mark = "○ not done yet:" if self.holds is None else "✓" if self.holds else "✗"
        return f"{mark} {self.sentence}"


class Checks(list):
    """Checks that show as one line each, in a terminal and on a notebook's page."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self))


def claim(sentence: str, condition) -> Check:
    """A checkable sentence of an analysis; TypeError for a condition that is no truth value."""
    if not isinstance(condition, bool) and type(condition).__name__ not in ("bool_", "bool"):
        raise TypeError(f"the condition of '{sentence}' is {condition!r}, not true or false")
    return Check(sentence, bool(condition))


def exercise(sentence: str, is_right: Callable, *answers) -> Check:
    """A claim about a reader's answers: open while one is `...`, then is_right(*answers) judges."""
    if any(answer is ... for answer in answers):
        return Check(sentence, None)
    return claim(sentence, bool(is_right(*answers)))


def verdict(target, records: list[dict]) -> Checks:
    """One check per line of a `journey.Target`, over all the records; NoRecords without any."""
    histories = [record["history"] for record in records]
    if not histories or not all(histories):
        raise NoRecords("there is no record of a finished epoch to hold against the target")
    checks, seeds = Checks(), f"{len(records)} seed{'s' if len(records) > 1 else ''}"
    if (limit := target.max_parameters) is not None:
        most = max(record["parameters"] for record in records)
        checks.append(claim(f"at most {limit:,} parameters: {most:,}", most <= limit))
    if (limit := target.max_epochs) is not None:
        most = max(map(len, histories))
        checks.append(claim(f"at most {limit} epochs: {most}", most <= limit))
    if (least := target.test_accuracy) is not None:
        ends = [history[-target.last_epochs :] for history in histories]
        lowest = [min(epoch["test_accuracy"] for epoch in end) for end in ends]
        enough = math.ceil(target.of_seeds * len(records))
        reached = sum(accuracy >= least for accuracy in lowest)
        epochs = "last epoch" if target.last_epochs == 1 else f"last {target.last_epochs} epochs"
        how_many = f"{enough} of {seeds}" if enough < len(records) else seeds
        sentence = f"at least {least:.2%} in the {epochs} of {how_many}: "
        sentence += f"{reached} of {len(records)}, lowest {min(lowest):.2%}"
        checks.append(claim(sentence, reached >= enough))
    if len(records) > 1:
        last = pd.Series([history[-1]["test_accuracy"] for history in histories])
        # rounded, because the mean of equal numbers may be a little less
        mean, low = round(last.mean(), 9), round(with_interval(last)["low"], 9)
        if (least := target.mean_accuracy) is not None:
            sentence = f"mean of at least {least:.2%} over {seeds}: {mean_and_deviation(last)}"
            checks.append(claim(sentence, mean >= least))
        if (least := target.lower_end) is not None:
            sentence = f"its 95 % interval begins at {least:.2%} or above: {low:.2%}"
            checks.append(claim(sentence, low >= least))
    return checks
