"""Results: effects, verdicts, tables and claims, all from the records and from nothing else."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from scipy.special import stdtrit

from mnist_lib import journey
from mnist_lib.data import FOLDS, TEST_SIZE, Digits
from mnist_lib.engine.machine import is_short
from mnist_lib.journey import Target
from mnist_lib.recipes import Recipe
from mnist_lib.records import (
    HOW_TO_MAKE,
    NoRecords,
    Run,
    as_record,
    load_checkpoint,
    records_of,
    registrations_of,
)
from mnist_lib.train import clean_batches, evaluate

pd.set_option("display.max_colwidth", None)  # pandas would cut a description after 50 characters

MISSING = "–"
LARGEST_SMALL_DIFFERENCE = 0.001  # a wider interval around zero leaves a question undecided
FEWEST_PAIRS = 5  # fewer have an interval, but no verdict
FOLD_RATIO = 1 / (FOLDS - 1)  # 6,000 validation to 54,000 training digits

# ---- numbers ------------------------------------------------------------------------------------


def finals(recipe: Recipe) -> pd.DataFrame:
    """The last epoch of every recorded seed: one row per seed, accuracies as fractions.

    Raises:
        NoRecords: if there are none.
    """
    rows = [
        {
            "validation_accuracy": math.nan,  # where no image was set aside
            "test_accuracy": math.nan,  # of a validation run
            **record["history"][-1],
            "clean_train_accuracy": record["clean_train_accuracy"],
            "seed": record["seed"],
            "parameters": record["parameters"],
            "epochs": len(record["history"]),
            "seconds": record["seconds"],  # of the whole run
        }
        for record in records_of(recipe)
    ]
    if not rows:
        raise NoRecords(f"no records of '{recipe.name}': {HOW_TO_MAKE}")
    table = pd.DataFrame(rows).set_index("seed").drop(columns="epoch")
    errors = ((1 - table["test_accuracy"]) * TEST_SIZE).round()
    return table.assign(errors=errors.astype("Int64"))  # missing for validation runs


def held(records: list[dict], column: str = "test_accuracy", last_epochs: int = 3) -> pd.Series:
    """By seed what a run held: the lowest accuracy of its last epochs, as a fraction."""
    ends = {record["seed"]: record["history"][-last_epochs:] for record in records}
    lowest = {seed: min(row[column] for row in end) for seed, end in ends.items()}
    return pd.Series(lowest, dtype=float)


def mean_and_deviation(values: pd.Series) -> str:
    """'99.52 ± 0.04 %': mean and standard deviation over seeds; one seed has no deviation."""
    values = values.dropna()
    if values.empty:
        return MISSING
    deviation = f" ± {values.std() * 100:.2f}" if len(values) > 1 else ""
    return f"{values.mean() * 100:.2f}{deviation} %"


@dataclass(frozen=True)
class Effect:
    """A mean with its 95 % interval, as fractions; low and high are NaN for a single value.

    Attributes:
        pairs: the number of values, such as seeds that two recipes share.
    """

    mean: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        """'+0.12 [+0.05, +0.19]', in percentage points."""
        if math.isnan(self.low):
            return MISSING
        return f"{self.mean * 100:+.2f} [{self.low * 100:+.2f}, {self.high * 100:+.2f}]"

    @property
    def bound(self) -> float:
        """The largest difference that the interval allows."""
        return max(-self.low, self.high)

    @property
    def words(self) -> str:
        """What the interval of at least five pairs says; never that two things are the same."""
        if math.isnan(self.low):
            return MISSING
        if self.pairs < FEWEST_PAIRS:
            return "too few pairs"
        if self.low > 0:
            return "helps"
        if self.high < 0:
            return "hurts"
        is_small = self.bound <= LARGEST_SMALL_DIFFERENCE
        return f"no difference larger than {self.bound * 100:.2f}" if is_small else "undecided"


def interval(values: pd.Series, ratio: float = 0.0) -> Effect:
    """The mean of the values with its 95 % interval by Student's t.

    Args:
        values: of independent trainings, or of folds.
        ratio: of validation to training digits where the values are of folds, whose training sets
            overlap: n values make the interval sqrt(1 + n * ratio) times as wide.
    """
    count, mean = len(values), float(values.mean())
    error = float(values.sem()) * math.sqrt(1 + count * ratio)
    half = error * float(stdtrit(count - 1, 0.975)) if count > 1 else math.nan
    return Effect(mean, mean - half, mean + half, count)


def effect(recipe: Recipe, other: Recipe, column: str = "validation_accuracy") -> Effect:
    """Paired difference of two recipes over the seeds that both have.

    Pairs share the seed, hence the order of the images and the fold that validates. Over ten seeds
    those are all training images, so the interval covers the choice of seeds and of images alike.

    Folds share most of their training digits, so their differences are not independent. On
    validation digits the half-width of Student's t is therefore multiplied by
    sqrt(1 + n * 6,000 / 54,000) for n folds: 1.45 for ten, 1.25 for five. On the test digits it
    stays as it is: there the trainings of different seeds are independent. The source is Nadeau and
    Bengio 2003, Inference for the generalization error, https://doi.org/10.1023/A:1024068626366.

    Args:
        recipe, other: the difference is recipe minus other.
        column: of `finals`, such as ``"test_accuracy"``.

    Raises:
        NoRecords: with fewer than two common seeds. A shortened run goes on without an interval.
    """
    difference = (finals(recipe)[column] - finals(other)[column]).dropna()
    if len(difference) < 2 and not is_short():
        raise NoRecords(
            f"'{recipe.name}' and '{other.name}' share {len(difference)} seeds, an interval needs "
            f"two: {HOW_TO_MAKE}"
        )
    return interval(difference, FOLD_RATIO if column.startswith("validation") else 0.0)


def recheck(recipe: Recipe, seed: int, digits: Digits) -> str:
    """'recorded checkpoint of seed 11: 99.46 %, 54 errors of 10,000', on the test digits."""
    count, batches = len(digits.test_labels), clean_batches(digits.test_images, digits.test_labels)
    _, accuracy = evaluate(load_checkpoint(recipe, seed), batches)
    errors = round((1 - accuracy) * count)
    return f"recorded checkpoint of seed {seed}: {accuracy:.2%}, {errors:,} errors of {count:,}"


# ---- tables -------------------------------------------------------------------------------------


def ledger(recipes: list[Recipe], against_first: bool = False) -> pd.DataFrame:
    """The table of the journey: one row per recipe that has records.

    Args:
        recipes: the rows.
        against_first: compares each with the first of them in place of its parent.
    """
    rows = {}
    for recipe in filter(records_of, recipes):
        runs = finals(recipe)
        overfitting = (runs["clean_train_accuracy"] - runs["test_accuracy"]).mean()
        gain, words = against(recipe, recipes[0] if against_first else recipe.parent)
        rows[recipe.name] = {
            "change": recipe.change,
            "parameters": f"{runs['parameters'].iloc[0]:,}",
            "epochs": runs["epochs"].iloc[0],
            "test accuracy": mean_and_deviation(runs["test_accuracy"]),
            "seeds": len(runs),
            "errors of 10,000": f"{runs['errors'].min()}–{runs['errors'].max()}",
            "validation": mean_and_deviation(runs["validation_accuracy"]),
            "clean train − test": f"{100 * overfitting:+.2f}".replace("+nan", MISSING),
            "effect on validation": gain,
            "the change": words,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")


def against(recipe: Recipe, other: Recipe | None) -> tuple[str, str]:
    """An effect and its words; twice MISSING where there is nothing to compare."""
    try:
        gain = effect(recipe, other) if other not in (None, recipe) else None
    except NoRecords:  # the other is not recorded, or has no two seeds in common
        gain = None
    return (str(gain), gain.words) if gain else (MISSING, MISSING)


def pilots(recipes: list[Recipe]) -> pd.DataFrame:
    """What was tried on folds alone: one row per recipe, each compared with the first of them."""
    names = {"seeds": "folds", "effect on validation": "against the first", "the change": "verdict"}
    columns = ["change", "parameters", "folds", "validation", "against the first", "verdict"]
    table = ledger(recipes, against_first=True).rename(columns=names).rename_axis("recipe")
    return table.reindex(columns=columns)


# ---- claims and verdicts ------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A sentence and whether it is borne out; None: it cannot be judged yet."""

    sentence: str
    holds: bool | None

    def __str__(self) -> str:
        mark = "○" if self.holds is None else "✓" if self.holds else "✗"
        return f"{mark} {self.sentence}"


class Claims(list):
    """Claims that show as one line each, in a terminal and on a notebook's page.

    Attributes:
        heading: lines above the claims.
    """

    heading = ""

    def __repr__(self) -> str:
        return "\n".join([*self.heading.splitlines(), *map(str, self)])


def claim(sentence: str, condition) -> Claim:
    """A sentence of an analysis that code checks; TypeError for a condition that is no truth."""
    if type(condition).__name__ not in ("bool_", "bool"):
        raise TypeError(f"the condition of '{sentence}' is {condition!r}, not true or false")
    return Claim(sentence, bool(condition))


def exercise(sentence: str, is_right: Callable, *answers) -> Claim:
    """A claim about answers: open while one is ``...``, then ``is_right(*answers)`` judges."""
    if any(answer is ... for answer in answers):
        return Claim(f"not done yet: {sentence}", None)
    return claim(sentence, bool(is_right(*answers)))


def target_of(recipe: Recipe) -> Target | None:
    """The target of the recipe's latest registration, else that of the journey."""
    entries = registrations_of(recipe)
    target = entries[-1]["target"] if entries else None
    return Target(**target) if target else journey.TARGETS.get(recipe.name)


def verdict(run: Run | Recipe, target: Target | None = None) -> Claims:
    """Whether a run, or all recorded seeds of a recipe, reach the target: a claim for each part.

    Args:
        run: a run of this page, or a recipe, whose registrations are shown above the claims.
        target: another one than that which was registered.

    Raises:
        NoRecords: if there is no finished epoch, or no target.
    """
    recipe, heading = (run.recipe, "") if isinstance(run, Run) else (run, registered(run))
    if isinstance(run, Run) and run.interrupted:
        return Claims([Claim(f"no verdict: {run}", None)])
    records = [as_record(run)] if isinstance(run, Run) else records_of(run)
    records = [record for record in records if record["sizes"]["test"]]
    target = target or target_of(recipe)
    if not records or target is None:
        raise NoRecords(f"'{recipe.name}' has no record or no target to compare it with")
    found = Claims(target_claims(target, records))
    found.heading = heading
    return found


def registered(recipe: Recipe) -> str:
    """One line per registration, the oldest first: which seeds it opened, and why."""
    return "\n".join(
        f"registered, try {n}, seeds {min(entry['seeds'])} to {max(entry['seeds'])}: {entry['why']}"
        for n, entry in enumerate(registrations_of(recipe), start=1)
    )


def target_claims(target: Target, records: list[dict]):
    """A claim for each part of a target that is asked for."""
    histories, count = [record["history"] for record in records], len(records)
    seeds = f"{count} seed{'s' if count > 1 else ''}"
    if (limit := target.max_parameters) is not None:
        most = max(record["parameters"] for record in records)
        yield claim(f"at most {limit:,} parameters: {most:,}", most <= limit)
    if (limit := target.max_epochs) is not None:
        most = max(map(len, histories))
        yield claim(f"at most {limit} epochs: {most}", most <= limit)
    if (least := target.test_accuracy) is not None:
        lowest = held(records, last_epochs=target.last_epochs)
        reached, enough = sum(lowest >= least), math.ceil(target.of_seeds * count)
        epochs = "last epoch" if target.last_epochs == 1 else f"last {target.last_epochs} epochs"
        how_many = f"{enough} of {seeds}" if enough < count else seeds
        sentence = f"at least {least:.2%} in the {epochs} of {how_many}: "
        yield claim(f"{sentence}{reached} of {count}, lowest {lowest.min():.2%}", reached >= enough)
    last = pd.Series([history[-1]["test_accuracy"] for history in histories])
    mean = interval(last)  # rounded below: the mean of equal numbers may be a little less
    if (least := target.mean_accuracy) is not None and count > 1:
        sentence = f"mean of at least {least:.2%} over {seeds}: {mean_and_deviation(last)}"
        yield claim(sentence, round(mean.mean, 9) >= least)
    if (least := target.lower_end) is not None and count > 1:
        sentence = f"its 95 % interval begins at {least:.2%} or above: {mean.low:.2%}"
        yield claim(sentence, round(mean.low, 9) >= least)
