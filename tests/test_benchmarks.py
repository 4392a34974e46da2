"""What the library is measured against is the same training, written as tutorials write it."""

import importlib
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib import engine
from mnist_lib.data import load_mnist
from mnist_lib.engine import layers
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments.system_networks import Dropout2d
from mnist_lib.experiments.systems import S0_6, system
from mnist_lib.journey import ONE_CYCLE


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def plain(benchmark):
    return benchmark("plain")


@pytest.mark.parametrize("recipe", [S0_6, system("S4-6"), ONE_CYCLE], ids=lambda r: r.name)
def test_the_plain_network_is_pytorchs_own_and_computes_the_same(plain, recipe):
    model = plain.build_network(recipe).eval()
    assert not any(isinstance(m, (layers.Dropout, Dropout2d)) for m in model.modules())
    x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(x), recipe.new_network(seed=1).eval()(x))


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


def test_the_plain_loop_can_be_sent_to_spawned_processes(plain, digits):
    """As macOS and Windows start every worker; S3-3 has the pipeline that is no plain object."""
    assert pickle.loads(pickle.dumps(plain.TRANSFORMS)).keys() == plain.TRANSFORMS.keys()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, plain.prepare, (system("S3-3"), 64, "cpu")) as process:
        process.submit(torch.multiprocessing.set_start_method, "spawn", force=True).result()
        assert process.submit(plain.seconds, 2, "cpu").result() > 0
        assert process.submit(torch.get_num_threads).result() == 1


def test_variants_take_turns_and_the_ratio_is_taken_within_a_round(benchmark):
    measure = benchmark("measure")
    calls = []

    def variant(name, *seconds):
        rest = iter(seconds)
        return lambda: calls.append(name) or next(rest)

    variants = {"a": variant("a", 9.0, 1.0, 2.0, 4.0), "b": variant("b", 9.0, 2.0, 6.0, 4.0)}
    seconds = measure.alternate(variants, rounds=3)
    assert calls == ["a", "b"] * 4
    assert seconds == {"a": [1.0, 2.0, 4.0], "b": [2.0, 6.0, 4.0]}, "the warm-up counts"
    ratios = measure.relative_to("a", seconds)
    assert ratios == {"b": {"median": 2.0, "lowest": 1.0, "highest": 3.0}}


@pytest.mark.parametrize("left_out", ["", "channels last", "dropout", "kept memory"])
def test_each_trick_is_left_out_alone(benchmark, digits, monkeypatch, left_out):
    """In a process of its own as everywhere; here what was changed comes back by hand."""
    tricks, measure = benchmark("tricks"), benchmark("measure")
    monkeypatch.setattr(layers.Dropout, "forward", layers.Dropout.forward)
    monkeypatch.setattr(measure, "accelerate", measure.accelerate)
    kept = []
    monkeypatch.setattr(layers, "keep_freed_memory", lambda: kept.append("kept"))
    monkeypatch.setattr(tricks, "load_mnist", lambda: digits)
    monkeypatch.setattr(tricks, "library_loop", measure.built)
    tricks.prepare(left_out, ["S4-6"], 128)
    _, model, _, _ = tricks.LOOPS.pop("S4-6")
    wide = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.in_channels > 1]
    last = wide[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert last == (left_out != "channels last")
    assert any(type(layer) is layers.Dropout for layer in model.modules())
    assert (layers.Dropout.forward is nn.Dropout.forward) == (left_out == "dropout")
    assert kept == ([] if left_out == "kept memory" else ["kept"])


def test_threads_are_measured_idle_and_beside_a_busy_process(benchmark, digits, monkeypatch):
    threads = benchmark("threads")
    monkeypatch.setattr(threads, "COUNTS", [1, 2])
    found = threads.measured(["06-one-cycle"], digits.first(128), rounds=1)
    table = found["seconds for 12,800 digits"]["06-one-cycle"]
    assert {company: list(row) for company, row in table.items()} == {
        "idle": [1, 2], "beside a busy process": [1, 2],
    }  # fmt: skip
    assert table["idle"][1]["median"] > 0


def test_the_winner_and_a_tutorial_are_timed_from_their_start_to_their_end(benchmark, digits):
    to_target = benchmark("to_target")
    assert to_target.winner(1, "cpu", images=512) > 0
    assert to_target.tutorial(replace(system("S4-6"), epochs=1), "cpu", threads=1, images=256) > 0
    assert to_target.faster(system("S4-6"), "cpu", images=256) in (1, 2)


def test_overheads_are_measured(benchmark):
    overheads, few = benchmark("overheads"), load_mnist().first(1_000)
    assert overheads.evaluation(few, "cpu", rounds=1)["median"] > 0
    assert list(overheads.by_images(few, "cpu")) == [10_000, 20_000, 40_000, 60_000]
    assert list(overheads.by_seeds(few, "cpu")) == [1, 2, 4]
    assert overheads.imports(rounds=1)["median"] > 0


def test_the_table_of_tricks_says_what_was_measured():
    """Each trick earns its place: at least 3 % of one of these trainings."""
    path = PROJECT / "results" / "speed-cpu.json"
    measured = json.loads(path.read_text())["tricks"]["times as long without"]
    _, header, *rows = engine.__doc__[engine.__doc__.index("(`make bench`)") :].splitlines()[1:6]
    table = {row[:15].strip(): row[15:].split() for row in rows}
    assert set(header.split()) == set(measured)
    for trick, values in table.items():
        ratios = [measured[step][trick]["median"] for step in header.split()]
        assert values == [f"{ratio:.2f}" for ratio in ratios]
        assert max(ratios) >= 1.03
    assert set(table) == set(next(iter(measured.values())))
