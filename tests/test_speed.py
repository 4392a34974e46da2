"""Page 11: its recipes, and epochs of the hardest digits."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from made_up import without_seconds

from mnist_lib.data import Batches
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import speed
from mnist_lib.experiments.hardest import HardestBatches
from mnist_lib.recipes import learning_rates
from mnist_lib.records import records_of
from mnist_lib.train import fit

# ---- recipes ------------------------------------------------------------------------------------


def test_the_published_recipe_is_that_of_its_author():
    recipe = speed.PUBLISHED
    shapes = [tuple(p.shape) for p in recipe.network().parameters() if p.dim() > 1]
    assert shapes == [(24, 1, 5, 5), (32, 24, 3, 3), (256, 800), (10, 256)]
    assert (recipe.epochs, recipe.batch_size, recipe.augment) == (1, 256, None)
    assert recipe.optimizer.betas == (0.7, 0.9) and recipe.schedule.peak == 0.01


def test_what_is_registered_is_what_was_chosen_on_all_digits():
    """Their fingerprints differ from those of the pilots, so no numbers are mixed up."""
    chosen = [speed.PUBLISHED, speed.HALF_HIDDEN, speed.TEN, speed.HALF]
    final = [*speed.ONE_EPOCH_FINAL, speed.TO_TARGET_FINAL, speed.SOONER]
    for pilot, recipe in zip(chosen, final, strict=True):
        assert recipe == replace(pilot, name=recipe.name, change=recipe.change, folds=0)
        assert recipe.fingerprint() != pilot.fingerprint()
        assert len(records_of(recipe, PROJECT / "results")) >= 10


# ---- epochs of the hardest digits ---------------------------------------------------------------

COUNT = 200


@pytest.fixture
def batches() -> HardestBatches:
    """Digits whose only pixel is their number; two fifths an epoch, half of them the hardest."""
    images = torch.zeros(COUNT, 1, 28, 28, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(COUNT)
    labels, order = torch.arange(COUNT) % 10, torch.Generator().manual_seed(1)
    options = {"epochs": 10, "part": 0.4, "hardest": 0.5, "even_epochs": 2}
    return HardestBatches(images, labels, 16, order=order, **options)


def one_epoch(batches: Batches, hard=()) -> list[int]:
    """The numbers of the digits that are visited; those in `hard` get a large loss."""
    first_pixels = next(iter(Batches(batches.images, batches.labels, COUNT)))[0][:, 0, 0, 0]
    visited = []
    for x, y in batches:
        numbers = (x[:, 0, 0, :1] - first_pixels).abs().argmin(1).tolist()
        assert y.tolist() == [number % 10 for number in numbers]
        visited += numbers
        signs = torch.tensor([-9.0 if number in hard else 9.0 for number in numbers])
        batches.note(torch.eye(10)[y] * signs[:, None], y)
    return visited


def test_an_epoch_visits_its_part_once_and_what_was_never_visited_first(batches):
    seen = set()
    for _ in range(5):
        visited = one_epoch(batches)
        assert len(visited) == len(set(visited)) == 80 and len(batches) == 5
        assert visited != sorted(visited)
        assert len(set(visited) - seen) >= min(40, COUNT - len(seen))
        seen |= set(visited)
    assert len(seen) == COUNT


def test_hard_digits_come_again_until_the_last_epochs_draw_evenly(batches):
    hard = set(range(40))
    epochs = [set(one_epoch(batches, hard)) for _ in range(10)]
    assert all(hard <= visited for visited in epochs[5:8])
    assert len(epochs[6] & epochs[7]) < 70  # the others change
    assert not any(hard <= visited for visited in epochs[8:])


def test_a_training_takes_the_steps_of_its_part_and_can_be_repeated(tiny, synthetic):
    batches = partial(HardestBatches, part=0.25, hardest=0.6, even_epochs=2)
    recipe = replace(tiny, epochs=3, batches=batches)
    run, again = (fit(recipe, synthetic, device="cpu", quiet=True) for _ in range(2))
    assert without_seconds(run) == without_seconds(again)
    assert run.history[-1]["test_accuracy"] > 0.3
    rates = learning_rates(recipe.optimizer, recipe.schedule, 5, 3)  # 160 digits, 32 a step
    assert [row["learning_rate"] for row in run.history] == pytest.approx(rates[::5])
