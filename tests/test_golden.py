"""A training begins as it did when the published records were made, step by step.

`golden.json` holds the first 20 losses of some recipes, trained by the real `fit`. Its "about" says
when it may be renewed: `python tests/test_golden.py --renew`.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

# all that is used of the library, in one place
from mnist_lib import data, journey, train
from mnist_lib.augment import RandomAffine
from mnist_lib.data import FOLDS, Batches, Digits, load_mnist
from mnist_lib.engine import machine
from mnist_lib.experiments import find
from mnist_lib.recipes import SGD, Recipe

FILE = Path(__file__).with_name("golden.json")
GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
SEED, STEPS, VALIDATION = 11, 20, 200
SENSITIVE = ("S0-6", "S3-3")  # other processors differ by 0.4 % within five steps


def measure(recipe: Recipe, digits: Digits) -> dict:
    """The losses of the first epoch, and how well the network does after it."""
    recipe, losses = replace(recipe, folds=FOLDS), []
    train_step = train.train_step

    def recorded(*arguments):
        logits, loss = train_step(*arguments)
        losses.append(float(loss))
        return logits, loss

    def stop(_row: dict):  # the run keeps its first epoch
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "dropout", portable_dropout)
        patch.setattr(train, "train_step", recorded)
        run = train.fit(recipe, few(digits, recipe.batch_size), SEED, "cpu", 1, True, stop)
    (row,) = run.history
    return {
        "losses": [round(loss, 6) for loss in losses],
        "validation_loss": round(row["validation_loss"], 6),
        "validation_accuracy": row["validation_accuracy"],
    }


def portable_dropout(x, p=0.5, training=True, inplace=False):
    """PyTorch's own draws its mask in the order of memory, which is not the same everywhere."""
    return x * (torch.rand(x.shape) >= p) / (1 - p) if training else x


def few(digits: Digits, batch_size: int) -> Digits:
    """Digits for the 20 steps of one epoch; the last batch is half full."""
    count = STEPS * batch_size - batch_size // 2
    return replace(
        digits.first(count).without_test(),
        validation_images=digits.validation_images[:VALIDATION],
        validation_labels=digits.validation_labels[:VALIDATION],
    )


def deviations(name: str, measured: dict) -> list[str]:
    """What lies outside the bounds of this recipe, one line each."""
    expected = GOLDEN["recipes"][name]
    found, wanted = measured["losses"], expected["losses"]
    if len(found) != STEPS:
        return [f"{len(found)} steps in place of {STEPS}"]
    exact = 2 if name in SENSITIVE else 5
    checks = [(f"step {n + 1}", found[n], wanted[n], 2e-4) for n in range(exact)]
    later = 0.03 if name in SENSITIVE else 1e-3
    checks.append(("step 10", found[9], wanted[9], later * wanted[9]))
    found_end, wanted_end = sum(found[-5:]) / 5, sum(wanted[-5:]) / 5
    checks.append(("last five", found_end, wanted_end, 0.1 * wanted_end))
    if name not in SENSITIVE:
        for part, bound in ("accuracy", 0.05), ("loss", 0.1 * expected["validation_loss"]):
            key = f"validation_{part}"
            checks.append((key, measured[key], expected[key], bound))
    return [
        f"{what}: {value:.6f}, not {goal:.6f} within {bound:.6f}"
        for what, value, goal, bound in checks
        if not abs(value - goal) <= bound  # nor is NaN
    ]


@pytest.mark.parametrize("name", GOLDEN["recipes"])
def test_a_training_begins_as_it_always_did(name, digits):
    assert deviations(name, measure(find(name), digits)) == []


# ---- planted faults: each must be seen ----------------------------------------------------------


draw, randperm, build = RandomAffine.draw, torch.randperm, SGD.build
step, walk, new_network = LRScheduler.step, Batches.__iter__, Recipe.new_network


def moved_the_other_way(self, *given):
    other = replace(self, degrees=-self.degrees, translate=-self.translate, shear=-self.shear)
    return draw(other, *given)


def in_other_order(*given, **named):
    return randperm(*given, **named).flip(0)


def with_other_momentum(self, model):
    return build(replace(self, momentum=0.85), model)


def without_schedule_steps(self):
    if self.last_epoch < 0:  # the first one only sets the rate
        step(self)


def without_last_batch(self):
    return islice(walk(self), max(1, len(self) - 1))


def with_other_initial_weight(*given, **named):
    """A single weight of the first layer is larger by a tenth."""
    network = new_network(*given, **named)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 0.1
    return network


smoothed = partial(nn.functional.cross_entropy, label_smoothing=0.01)
FAULTS = [  # recipe, and what stands in which place
    (journey.AUGMENTATION, RandomAffine, "draw", moved_the_other_way),
    (journey.PLAIN, torch, "randperm", in_other_order),
    (journey.DROPOUT, machine, "epoch_seed", lambda seed, epoch: seed + epoch),
    (journey.PLAIN, SGD, "build", with_other_momentum),
    (journey.ONE_CYCLE, LRScheduler, "step", without_schedule_steps),
    (journey.PLAIN, nn.functional, "cross_entropy", smoothed),
    (journey.PLAIN, Batches, "__iter__", without_last_batch),
    (journey.PLAIN, Recipe, "new_network", with_other_initial_weight),
    (journey.PLAIN, data, "MEAN", data.MEAN + 0.01),
    (journey.BATCH_NORM, nn.Module, "eval", lambda self: self.train()),
]
NAMES = [name for _, _, name, _ in FAULTS]


@pytest.mark.parametrize("recipe, owner, name, fault", FAULTS, ids=NAMES)
def test_a_planted_fault_is_seen(recipe, owner, name, fault, digits, monkeypatch):
    monkeypatch.setattr(owner, name, fault)
    assert deviations(recipe.name, measure(recipe, digits))


# ---- renewing -----------------------------------------------------------------------------------


def renew() -> None:
    """Measure the recipes of the file anew and write it."""
    digits = load_mnist(fold=1)
    recipes = {name: measure(find(name), digits) for name in GOLDEN["recipes"]}
    FILE.write_text(json.dumps(GOLDEN | {"recipes": recipes}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--renew"]:
        sys.exit(GOLDEN["about"]["renewed"])
    renew()
