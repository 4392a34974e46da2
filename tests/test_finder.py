"""The learning rate finder looks as far as it should and leaves nothing behind."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mnist_lib.train import find_learning_rate, fit, rate_of_lowest_loss

find = partial(find_learning_rate, device="cpu")
STEPS = 640 // 32  # one pass over the made-up digits


def without_seconds(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def dropping() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))


def test_rates_grow_by_the_same_factor_from_lowest_to_highest(tiny, synthetic):
    table = find(tiny, synthetic, lowest=1e-4, highest=1e-1)
    assert list(table) == ["learning_rate", "loss"] and len(table) == STEPS
    np.testing.assert_allclose(table["learning_rate"], np.geomspace(1e-4, 1e-1, STEPS))
    assert table["loss"].iloc[0] == pytest.approx(math.log(10), abs=1)


def test_fewer_steps_cover_the_same_range(tiny, synthetic):
    table = find(tiny, synthetic, lowest=1e-4, highest=1e-1, steps=7)
    np.testing.assert_allclose(table["learning_rate"], np.geomspace(1e-4, 1e-1, 7))


def test_the_smoothed_loss_has_no_bias_at_the_start(tiny, synthetic):
    rough, smooth = (find(tiny, synthetic, highest=0.1, smoothing=part) for part in (0.0, 0.9))
    expected = rough["loss"].ewm(alpha=0.1).mean()
    np.testing.assert_allclose(smooth["loss"], expected, rtol=1e-6)


@pytest.mark.parametrize("highest", [1e6, 1e30])
def test_it_stops_when_the_loss_explodes(tiny, synthetic, highest):
    table = find(tiny, synthetic, highest=highest, smoothing=0.5)
    assert 1 < len(table) < STEPS
    assert np.isfinite(table["loss"]).all()
    assert (table["loss"].iloc[:-1] <= 4 * table["loss"].iloc[:-1].cummin()).all()


def test_it_can_be_repeated_and_depends_on_the_seed(tiny, synthetic):
    pd.testing.assert_frame_equal(find(tiny, synthetic, seed=2), find(tiny, synthetic, seed=2))
    assert not find(tiny, synthetic, seed=2).equals(find(tiny, synthetic, seed=3))


@pytest.mark.parametrize("network", [None, dropping], ids=["plain", "with dropout"])
def test_it_leaves_the_random_state_and_the_next_run_alone(tiny, synthetic, network):
    recipe = tiny if network is None else replace(tiny, network=network)
    before = fit(recipe, synthetic, device="cpu")
    state = torch.get_rng_state()
    first = find(recipe, synthetic)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    pd.testing.assert_frame_equal(find(recipe, synthetic), first)  # nor does it depend on it
    after = fit(recipe, synthetic, device="cpu")
    assert without_seconds(after.history) == without_seconds(before.history)


def test_it_looks_at_training_images_only(tiny, synthetic):
    parts = ("validation_images", "validation_labels", "test_images", "test_labels")
    training_only = replace(synthetic, **dict.fromkeys(parts))  # None: any use is an error
    pd.testing.assert_frame_equal(find(tiny, training_only), find(tiny, synthetic))


def test_an_unknown_device_is_refused(tiny, synthetic):
    with pytest.raises(ValueError, match="'abacus' is not available"):
        find_learning_rate(tiny, synthetic, device="abacus")


def test_the_rate_of_the_lowest_loss():
    table = pd.DataFrame({"learning_rate": [0.01, 0.1, 1.0], "loss": [2.0, 0.5, 3.0]})
    assert rate_of_lowest_loss(table) == 0.1
