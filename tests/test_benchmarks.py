"""What the library is measured against is the same training, written as tutorials write it."""

import importlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib import layers
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.published import S0_6, system
from mnist_lib.results import PROJECT
from mnist_lib.train import new_network


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    return importlib.import_module("plain")


@pytest.mark.parametrize("recipe", [S0_6, system("S4-6"), ONE_CYCLE], ids=lambda r: r.name)
def test_the_plain_network_is_pytorchs_own_and_computes_the_same(plain, recipe):
    model = plain.build_network(recipe).eval()
    assert not any(isinstance(m, (layers.BatchNorm2d, layers.Dropout)) for m in model.modules())
    x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(x), new_network(recipe, seed=1).eval()(x))


def test_only_the_3x3_convolutions_of_s0_6_pad_with_the_border(plain):
    convolutions = [m for m in plain.build_network(S0_6).modules() if isinstance(m, nn.Conv2d)]
    modes = {(m.kernel_size[0], m.padding_mode) for m in convolutions}
    assert modes == {(3, "replicate"), (1, "zeros")}


def test_the_logarithm_of_the_probabilities_is_taken_once(plain):
    assert plain.loss_of(plain.build_network(S0_6)) is F.nll_loss
    assert plain.loss_of(plain.build_network(ONE_CYCLE)) is F.cross_entropy


def test_a_plain_pass_trains(plain):
    model = plain.build_network(ONE_CYCLE)
    before = [weight.clone() for weight in model.parameters()]
    optimizer = plain.build_optimizer(ONE_CYCLE.optimizer, model)
    schedule = ONE_CYCLE.schedule.build(optimizer, 2, 1)
    x, y = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
    loss, accuracy = plain.train_epoch(model, [(x, y), (x, y)], optimizer, schedule, "cpu")
    assert loss == pytest.approx(2.3, abs=0.5) and 0 <= accuracy <= 1
    assert not any(map(torch.equal, before, model.parameters()))
