"""A tiny network, and runs as if they had been trained."""

from torch import nn

from mnist_lib.engine.device import describe_machine
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run


def tiny_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 10)
    )


def finished(recipe: Recipe, seed=1, test=0.99, short=False, earlier=0.85, **accuracies) -> Run:
    """All epochs of the recipe, the last of them with these accuracies."""
    first = {
        "learning_rate": 0.1, "train_loss": 0.5, "train_accuracy": 0.8,
        "test_loss": 0.4, "test_accuracy": earlier, "seconds": 1.5,
    }  # fmt: skip
    first |= {f"{part}_accuracy": 0.84 for part in accuracies}
    last = first | {"test_accuracy": test, "train_accuracy": 0.985}
    last |= {f"{part}_accuracy": accuracy for part, accuracy in accuracies.items()}
    rows = [first] * (recipe.epochs - 1) + [last]
    return Run(
        recipe,
        seed,
        recipe.network(),
        sizes={"train": 60_000 - recipe.holdout, "validation": recipe.holdout, "test": 10_000},
        machine=describe_machine("cpu"),
        short=short,
        history=[{"epoch": epoch, **row} for epoch, row in enumerate(rows, start=1)],
        seconds=3.25,
    )
