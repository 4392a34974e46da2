"""A tiny network, digits with a part missing, and runs as if they had been trained."""

from dataclasses import replace

import torch
from torch import nn

from mnist_lib.data import FOLDS, TEST_SIZE, Digits
from mnist_lib.engine.machine import describe_machine
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run

TRAINING_SIZE = 60_000


def tiny_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 10)
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def without_validation(digits: Digits) -> Digits:
    """Digits of the reader's own with nothing to validate on."""
    none = {part: getattr(digits, part)[:0] for part in ("validation_images", "validation_labels")}
    return replace(digits, **none)


def without_seconds(run: Run) -> list[dict]:
    """The history, as far as it repeats."""
    return [{name: row[name] for name in row if name != "seconds"} for row in run.history]


def finished(
    recipe: Recipe,
    seed: int = 1,
    test: float | None = 0.99,
    validation: float = 0.98,
    clean: float = 0.995,
    short: bool = False,
    earlier: float = 0.85,
) -> Run:
    """All epochs of the recipe on whole MNIST, the last of them with these accuracies.

    Args:
        test: None for a validation run, which had no test digits.
        validation: counts only if the recipe has folds.
        earlier: all accuracies of the epochs before the last.
    """
    fold = recipe.fold(seed)
    held_out, tested = TRAINING_SIZE // FOLDS if fold else 0, 0 if test is None else TEST_SIZE
    last = {"train": 0.985, "validation": validation if fold else None, "test": test}
    last = {part: accuracy for part, accuracy in last.items() if accuracy is not None}
    epochs = [dict.fromkeys(last, earlier)] * (recipe.epochs - 1) + [last]
    return Run(
        recipe,
        seed,
        recipe.new_network(seed),
        fold,
        sizes={"train": TRAINING_SIZE - held_out, "validation": held_out, "test": tested},
        machine=describe_machine("cpu"),
        short=short,
        history=[row(epoch, accuracies) for epoch, accuracies in enumerate(epochs, start=1)],
        clean_train_accuracy=clean,
        seconds=3.25,
    )


def validation_run(recipe: Recipe, seed: int = 1, validation: float = 0.98, **others) -> Run:
    """The same without test digits."""
    return finished(recipe, seed, test=None, validation=validation, **others)


def row(epoch: int, accuracies: dict[str, float]) -> dict:
    """One epoch of a history, with these accuracies of the parts."""
    return {
        "epoch": epoch,
        "learning_rate": 0.1,
        **{f"{part}_loss": 0.5 for part in accuracies},
        **{f"{part}_accuracy": accuracy for part, accuracy in accuracies.items()},
        "seconds": 1.5,
    }
