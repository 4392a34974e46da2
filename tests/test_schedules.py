"""Learning rates and momentum, step by step, as the descriptions promise."""

import pytest
import torch
from torch import nn

from mnist_lib.recipes import SGD, Adam, Constant, OneCycle, StepDecay

STEPS, EPOCHS = 10, 6


def walk(schedule, optimizer=None) -> list[dict]:
    """The optimizer's settings in each of the 60 steps of a run."""
    built = (optimizer or SGD(learning_rate=0.1, momentum=0.9)).build(nn.Linear(1, 1))
    scheduler = schedule.build(built, steps=STEPS, epochs=EPOCHS)
    seen = []
    for _ in range(STEPS * EPOCHS):
        seen.append({k: v for k, v in built.param_groups[0].items() if k != "params"})
        built.step()
        scheduler.step()
    return seen


def rates(schedule, optimizer=None) -> list[float]:
    return [settings["lr"] for settings in walk(schedule, optimizer)]


def test_constant_keeps_the_learning_rate():
    assert rates(Constant()) == [0.1] * 60


def test_step_decay_changes_between_epochs_only():
    expected = [0.1] * 20 + [0.05] * 20 + [0.025] * 20
    assert rates(StepDecay(every=2, factor=0.5)) == pytest.approx(expected)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_one_cycle_starts_low_peaks_once_and_ends_near_nothing(anneal):
    lr = rates(OneCycle(peak=0.2, warmup=0.25, start_divisor=20, end_divisor=100, anneal=anneal))
    peak = lr.index(max(lr))
    assert lr[0] == pytest.approx(0.2 / 20)
    assert max(lr) == pytest.approx(0.2) and peak == 0.25 * 60 - 1
    assert lr[-1] == pytest.approx(0.2 / 20 / 100)
    assert lr[: peak + 1] == sorted(lr[: peak + 1]) and lr[peak:] == sorted(lr[peak:])[::-1]


def test_one_cycle_leaves_the_momentum_alone():
    seen = walk(OneCycle(peak=0.2), SGD(learning_rate=0.1, momentum=0.7))
    assert {settings["momentum"] for settings in seen} == {0.7}
    seen = walk(OneCycle(peak=0.2), Adam(learning_rate=0.1, betas=(0.8, 0.99)))
    assert {settings["betas"] for settings in seen} == {(0.8, 0.99)}


def test_one_cycle_cycles_the_momentum_where_asked_to():
    seen = walk(OneCycle(peak=0.2, cycle_momentum=True), SGD(learning_rate=0.1, momentum=0.7))
    momentum = [settings["momentum"] for settings in seen]
    assert momentum[0] == pytest.approx(0.95) and momentum[-1] == pytest.approx(0.95)
    assert min(momentum) == pytest.approx(0.85)
    lr = [settings["lr"] for settings in seen]
    assert momentum.index(min(momentum)) == lr.index(max(lr))


def test_optimizers_are_built_as_described():
    model = nn.Linear(3, 2)
    sgd = SGD(0.3, momentum=0.8, weight_decay=1e-4).build(model)
    assert isinstance(sgd, torch.optim.SGD)
    assert {"lr": 0.3, "momentum": 0.8, "weight_decay": 1e-4}.items() <= sgd.param_groups[0].items()
    adam = Adam(0.01, betas=(0.8, 0.9), weight_decay=1e-3).build(model)
    assert isinstance(adam, torch.optim.Adam)
    expected = {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 1e-3}
    assert expected.items() <= adam.param_groups[0].items()
    assert sum(weight.numel() for weight in adam.param_groups[0]["params"]) == 8


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9, weight_decay=0.01), Adam(0.01)])
def test_the_quick_step_is_the_plain_step(optimizer):
    """The fused kernels save time; they must not change the result."""
    plain = torch.optim.SGD if isinstance(optimizer, SGD) else torch.optim.Adam
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    built = optimizer.build(ours)
    settings = {
        key: built.param_groups[0][key]
        for key in ("lr", "momentum", "betas", "weight_decay")
        if key in built.param_groups[0]
    }
    reference = plain(theirs.parameters(), **settings)
    x = torch.randn(5, 4)
    for _ in range(3):
        for model, step in ((ours, built), (theirs, reference)):
            step.zero_grad()
            model(x).square().mean().backward()
            step.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)
