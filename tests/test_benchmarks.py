"""What the library is measured against is the same training, written as tutorials write it."""

import importlib

import pytest
import torch

from mnist_lib.data import Digits
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import find


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    return importlib.import_module


@pytest.mark.parametrize("name", ["S0-6", "S4-6", "06-one-cycle"])
def test_the_plain_network_computes_what_the_library_computes(benchmark, name):
    recipe, x = find(name), torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        plain = benchmark("plain").build_network(recipe).eval()(x)
        torch.testing.assert_close(plain, recipe.new_network(seed=1).eval()(x))


def test_variants_take_turns_and_the_ratio_is_taken_within_a_round(benchmark):
    measure, calls = benchmark("measure"), []

    def variant(name, *seconds):
        rest = iter(seconds)
        return lambda: calls.append(name) or next(rest)

    variants = {"a": variant("a", 9.0, 1.0, 2.0, 4.0), "b": variant("b", 9.0, 2.0, 6.0, 4.0)}
    seconds = measure.alternate(variants, rounds=3)
    assert calls == ["a", "b"] * 4
    ratios = measure.relative_to("a", seconds)
    assert ratios == {"b": {"median": 2.0, "lowest": 1.0, "highest": 3.0}}, "the warm-up counts"


def test_a_step_is_compared_with_the_plain_loop_and_the_floor(benchmark, digits: Digits):
    found = benchmark("speed").compare(find("S3-3"), digits.first(128), "cpu", rounds=1)
    ratios = found["times as long as the library"]
    assert set(ratios) == {"plain, 0 workers", "plain, 2 workers", "floor"}
