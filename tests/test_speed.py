"""Page 11: its recipes, epochs of the hardest digits, and how seconds are compared."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from made_up import finished, validation_run, without_seconds

from mnist_lib.data import Batches
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import speed
from mnist_lib.experiments.hardest import HardestBatches
from mnist_lib.recipes import learning_rates
from mnist_lib.records import NoRecords, records_of, save
from mnist_lib.summary import count_parameters
from mnist_lib.train import fit

# ---- recipes ------------------------------------------------------------------------------------


def test_each_step_of_one_epoch_changes_only_the_network():
    sizes = [count_parameters(recipe.network()) for recipe in speed.ONE_EPOCH]
    assert sizes == [215_194, 141_466, 138_954, 139_002, 72_058]
    for before, after in zip(speed.ONE_EPOCH, speed.ONE_EPOCH[1:], strict=False):
        old, new = before.settings(), after.settings()
        assert after.parent is before and {k for k in new if old[k] != new[k]} == {"network"}


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


def test_recipes_to_the_target_keep_its_parameters():
    recipes = [*speed.TO_TARGET, *speed.TO_TARGET_PILOTS]
    assert max(count_parameters(recipe.network()) for recipe in recipes) < 8_000
    assert max(recipe.epochs for recipe in recipes) <= 15


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


# ---- seconds ------------------------------------------------------------------------------------


@pytest.fixture
def timed(tiny):
    """timed(name, seconds of each seed, folds): a recipe with such records."""

    def make(name: str, seconds: list[float], folds: int = 0):
        recipe = replace(tiny, name=name, folds=folds)
        for seed, value in enumerate(seconds, start=1):
            run = validation_run(recipe, seed) if folds else finished(recipe, seed)
            run.seconds = value
            save(run)
        return recipe

    return make


def test_seconds_are_compared_seed_by_seed_with_the_first(timed):
    slow, fast = timed("00-slow", [4.0, 5.0, 6.0]), timed("00-fast", [2.0, 2.6, 3.0])
    ratio = speed.relative_seconds(fast, slow)
    # 0.50, 0.52, 0.50: mean 0.5067, standard error 0.00667, t = 4.303
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((0.5067, 0.478, 0.535), abs=1e-3)
    table = speed.compare_speed([slow, fast])
    assert table["seconds"].tolist() == ["5.00 ± 1.00", "2.53 ± 0.50"]
    assert table["relative time"].tolist() == ["1.00 [1.00, 1.00]", "0.51 [0.48, 0.54]"]
    assert table["test accuracy"].tolist() == ["99.00 ± 0.00 %"] * 2


def test_pilots_are_compared_by_their_validation_digits(timed):
    pilot = timed("00-pilot", [2.0, 3.0], folds=10)
    assert speed.compare_speed([pilot]).loc["00-pilot", "validation accuracy"] == "98.00 ± 0.00 %"
    with pytest.raises(NoRecords, match="00-none"):
        speed.compare_speed([pilot, timed("00-none", [])])


def test_the_fastest_recipe_is_compared_with_tutorials_round_by_round(results):
    seconds = [(10.0, 100.0), (30.0, 200.0), (20.0, 100.0)]
    rounds = [{"winner beside S4-6": ours, "S4-6": plain} for ours, plain in seconds]
    results.mkdir()
    path = results / "to-target-cpu.json"
    path.write_text(json.dumps({"winner": speed.SOONER.fingerprint(), "rounds": rounds}))
    (row,) = speed.beside_tutorials().reset_index().to_dict("records")
    found = [row[name] for name in ("system", "plain loop", "11-sooner", "ratio", "rounds")]
    assert found == ["S4-6", 100, 20, pytest.approx(0.15), 3]
    path.write_text('{"winner": "another", "rounds": []}')  # the recipe has changed since
    for device in ("cpu", "cuda"):
        with pytest.raises(NoRecords, match="benchmarks/to_target.py"):
            speed.beside_tutorials(device)
