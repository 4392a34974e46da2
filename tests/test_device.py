"""A training takes the device and the threads that it was given, and leaves the others alone."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from mnist_lib import models, train
from mnist_lib.engine.device import choose_device
from mnist_lib.recipes import SGD, Constant
from mnist_lib.train import fit


def without_seconds(run) -> list[dict]:
    return [{name: row[name] for name in row if name != "seconds"} for row in run.history]


def test_auto_takes_a_device_that_works():
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == "cpu"


def test_auto_passes_over_a_device_that_can_hold_nothing(monkeypatch):
    """As the MPS of some virtual machines, which is there and fails at the first allocation."""
    zeros = torch.zeros

    def only_on_cpu(*sizes, device):
        if device != "cpu":
            raise RuntimeError("MPS backend out of memory")
        return zeros(*sizes, device=device)

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", only_on_cpu)
    assert choose_device("auto") == "cpu"


def test_a_device_may_be_one_of_pytorch(tiny, synthetic):
    run = fit(tiny, synthetic, device=torch.device("cpu"))
    assert run.machine["device"] == "cpu"
    assert without_seconds(run) == without_seconds(fit(tiny, synthetic, device="cpu"))


# ---- threads ------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2])
def threads_outside(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def threads_inside(monkeypatch):
    """The numbers of threads that training steps ran on."""
    seen, train_step = [], train.train_step
    monkeypatch.setattr(
        train, "train_step", lambda *a: seen.append(torch.get_num_threads()) or train_step(*a)
    )
    return seen


def test_training_takes_one_thread_unless_told_and_puts_it_back(
    tiny, synthetic, threads_outside, threads_inside
):
    assert fit(tiny, synthetic, device="cpu").machine["threads"] == 1
    train.find_learning_rate(tiny, synthetic, device="cpu")
    assert set(threads_inside) == {1} and torch.get_num_threads() == threads_outside
    threads_inside.clear()
    assert fit(tiny, synthetic, device="cpu", threads=2).machine["threads"] == 2
    assert set(threads_inside) == {2} and torch.get_num_threads() == threads_outside


def test_threads_are_put_back_after_an_error(tiny, synthetic, threads_outside):
    wild = tiny.but("00-wild", "far too fast", optimizer=SGD(1e12), schedule=Constant())
    with pytest.raises(FloatingPointError):
        fit(wild, synthetic, device="cpu", threads=3 - threads_outside)
    assert torch.get_num_threads() == threads_outside
    with pytest.raises(RuntimeError, match="in the middle"):
        train.find_learning_rate(replace(tiny, augment=broken), synthetic, device="cpu")
    assert torch.get_num_threads() == threads_outside


def broken(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    raise RuntimeError("in the middle")


def test_the_threads_outside_change_no_result(tiny, synthetic):
    recipe = replace(tiny, network=partial(models.normalised, dropout=0.1), epochs=1)
    histories = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            histories.append(without_seconds(fit(recipe, synthetic, device="cpu")))
        finally:
            torch.set_num_threads(1)
    assert histories[0] == histories[1]
