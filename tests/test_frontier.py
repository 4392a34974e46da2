"""The blocks and spaces by which few parameters are used well."""

from functools import partial
from pathlib import Path

import optuna
import pytest
import torch
from torch import nn

from mnist_lib import choosing, models
from mnist_lib.augment import affine
from mnist_lib.commands.search import load_space
from mnist_lib.data import normalise, to_float
from mnist_lib.engine.fingerprint import computation
from mnist_lib.experiments.small_networks import (
    Again,
    Upright,
    WeightedAverage,
    as_wide_as,
    dense,
    early,
    in_two,
    late,
    small_again,
)
from mnist_lib.summary import count_parameters

FOLDER = Path(choosing.__file__).parent


def slant(images: torch.Tensor) -> torch.Tensor:
    """By how many pixels the ink leans to the left for each pixel that it is lower, (n,)."""
    ink = (images[:, 0] - images.amin()).double()
    rows = torch.arange(28.0).double()
    total = ink.sum((1, 2))
    x, y = (ink.sum(1) @ rows) / total, (ink.sum(2) @ rows) / total
    across = (ink * (rows[:, None] - y[:, None, None]) * (rows - x[:, None, None])).sum((1, 2))
    return across / (ink * (rows[:, None] - y[:, None, None]) ** 2).sum((1, 2))


@pytest.fixture
def images(digits) -> torch.Tensor:
    return normalise(to_float(digits.train_images[:200]))


def test_digits_stand_upright(images):
    before, after = slant(images).abs(), slant(Upright()(images)).abs()
    assert before.mean() > 0.2 and after.mean() < 0.03


def test_a_digit_slanted_on_purpose_becomes_the_same_upright_digit(images):
    ink, zero, one = images - images.amin(), torch.zeros(200), torch.ones(200)
    leaning = affine(ink, zero, zero, zero, one, torch.full((200,), 0.15)) + images.amin()
    upright, again = Upright()(images), Upright()(leaning)
    assert (upright - again).abs().mean() < 0.3 * (images - leaning).abs().mean()


def test_an_image_without_ink_stays_as_it_is():
    blank = normalise(torch.zeros(2, 1, 28, 28))
    torch.testing.assert_close(Upright()(blank), blank)


def test_a_weighted_average_begins_as_the_average():
    maps = torch.randn(3, 5, 6, 6)
    torch.testing.assert_close(WeightedAverage(6)(maps), maps.mean((2, 3)))


@pytest.mark.parametrize("uses", [1, 2, 5])
def test_what_is_used_again_costs_only_its_normalisation(uses):
    assert count_parameters(Again(dense(7), 7, uses)) == 9 * 7 * 7 + 2 * 7 * uses
    assert count_parameters(Again(in_two(7), 7, uses)) == 9 * 7 + 7 * 7 + 2 * 7 * uses


def test_the_families_hold_the_networks_they_come_from():
    assert computation(early) == computation(models.normalised)
    shapes = [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in late(width=16).modules()
        if isinstance(layer, nn.Conv2d)
    ]
    before = [(1, 8, 3), (8, 12, 3), (12, 12, 3), (12, 8, 1)]
    assert shapes == [*before, (8, 16, 3), (16, 16, 3), (16, 16, 3)]


@pytest.mark.parametrize("network", [early, late, small_again])
def test_as_wide_as_the_limit_allows(network):
    wide = as_wide_as(5_000, network := partial(network))
    width = wide.keywords["width"]
    assert count_parameters(wide()) <= 5_000 < count_parameters(network(width=width + 1))


@pytest.mark.parametrize("name", ["below_8000", "at_most_2000", "at_most_1000"])
def test_all_that_a_space_suggests_keeps_the_limit_and_gives_ten_logits(name):
    space = load_space(FOLDER / f"{name}.py")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(10):
        network = space.suggest(study.ask()).network()
        assert count_parameters(network) <= space.max_parameters
        assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        assert isinstance(network, nn.Module)
