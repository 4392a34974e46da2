"""Targets and claims: sentences about results that code ticks or crosses."""

from dataclasses import dataclass

import pandas as pd


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


@dataclass(frozen=True)
class Target:
    """What a step sets out to reach; None leaves a line out.

    test_accuracy   fraction that each of the last epochs of a run must reach
    last_epochs     how many epochs at the end must reach it: one lucky epoch is no result
    mean_accuracy   fraction that the mean over seeds must reach, last epoch; not asked of one run
    max_parameters  and max_epochs: limits of the network and of the training
    """

    test_accuracy: float | None = None
    last_epochs: int = 1
    mean_accuracy: float | None = None
    max_parameters: int | None = None
    max_epochs: int | None = None

    def verdict(self, records: list[dict]) -> Checks:
        """One check per line of the target, over all the records; LookupError if there are none."""
        if not records:
            raise LookupError("there is no record to hold against the target")
        seeds = f"{len(records)} seed{'s' if len(records) > 1 else ''}"
        checks = Checks()
        if self.max_parameters is not None:
            most = max(record["parameters"] for record in records)
            checks.append(
                Check(
                    f"at most {self.max_parameters:,} parameters: {most:,}",
                    most <= self.max_parameters,
                )
            )
        if self.max_epochs is not None:
            most = max(len(record["history"]) for record in records)
            checks.append(
                Check(f"at most {self.max_epochs} epochs: {most}", most <= self.max_epochs)
            )
        accuracies = pd.DataFrame(
            [epoch["test_accuracy"] for epoch in record["history"][-self.last_epochs :]]
            for record in records
        )
        if self.test_accuracy is not None:
            lowest = accuracies.min().min()
            epochs = "last epoch" if self.last_epochs == 1 else f"last {self.last_epochs} epochs"
            checks.append(
                Check(
                    f"at least {self.test_accuracy:.2%} in the {epochs} of {seeds}: "
                    f"lowest {lowest:.2%}",
                    lowest >= self.test_accuracy,
                )
            )
        if self.mean_accuracy is not None and len(records) > 1:
            last = accuracies.iloc[:, -1]
            checks.append(
                Check(
                    f"mean of at least {self.mean_accuracy:.2%} over {seeds}: "
                    f"{last.mean() * 100:.2f} ± {last.std() * 100:.2f} %",
                    round(last.mean(), 9) >= self.mean_accuracy,  # the mean of equals may be less
                )
            )
        return checks
