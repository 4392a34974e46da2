"""A sweep: what it trains and records, what becomes of runs that fail, and how it goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask.config
import psutil
import pytest
import sweep_recipes
import torch
from distributed import LocalCluster

from mnist_lib.commands import sweep, workers
from mnist_lib.commands.main import main
from mnist_lib.experiments import find
from mnist_lib.records import load_records, path_of
from mnist_lib.train import fit


@pytest.fixture
def threads(monkeypatch, synthetic):
    """Workers within this process, which have made-up digits: they start at once."""
    monkeypatch.setattr(workers, "LOCAL", {**workers.LOCAL, "processes": False})
    monkeypatch.setattr(sweep, "load_mnist", lambda fold=0: synthetic)


def run(*arguments: str) -> int:
    return main(["sweep", *arguments])


def test_without_test_it_validates_on_folds_into_my_results(threads, synthetic, results, capsys):
    assert run("sweep_recipes:TINY", "--seeds", "1-3") == 0
    mine = load_records(results.parent / "my-results")
    assert [record["seed"] for record in mine] == [1, 2, 3] and not results.exists()
    by_hand = fit(sweep_recipes.TINY, synthetic.without_test(), seed=1, quiet=True).history
    for row, other in zip(mine[0]["history"], by_hand, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}
    assert mine[0]["sizes"]["test"] == 0 and "test_accuracy" not in mine[0]["history"][0]
    said = capsys.readouterr().out
    assert "3 validation runs without test digits to train, 0 recorded before" in said
    assert "00-tiny: validation accuracy" in said and " ± " in said and "3 seeds" in said
    assert run("sweep_recipes:TINY", "--seeds", "2-4") == 0
    assert "1 validation runs without test digits to train, 2 recorded" in capsys.readouterr().out


def test_only_a_registered_test_run_is_written_into_results(threads, synthetic, results, capsys):
    entry = {"recipe": "00-tiny", "fingerprint": sweep_recipes.TINY.fingerprint(), "seeds": [11]}
    results.mkdir()
    (results / "registered.json").write_text(json.dumps([entry]))
    assert run("sweep_recipes:TINY", "--test", "--seeds", "11", "12") == 0
    (final,), (own,) = load_records(results), load_records(results.parent / "my-results")
    assert (final["seed"], own["seed"]) == (11, 12) and final["sizes"]["test"] == 256
    weights = torch.load(path_of(final, results).with_suffix(".pt"), weights_only=True)
    model = fit(sweep_recipes.TINY, synthetic, seed=11, quiet=True).model
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert "00-tiny: test accuracy" in capsys.readouterr().out


def test_a_dying_worker_costs_its_own_run_only(results, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    monkeypatch.setenv("SWEEP_FLAGS", str(tmp_path))
    names = [f"sweep_recipes:{name}" for name in ("DEADLY", "DEADLY_ONCE", "TINY")]
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        assert run(*names, "--seeds", "1", "--workers", "2") == 1
    recorded = {record["recipe"] for record in load_records(results.parent / "short" / "results")}
    said = capsys.readouterr()
    assert recorded == {"00-deadly-once", "00-tiny"} and "[3/3]" in said.out
    assert "sweep_recipes:DEADLY seed 1: failed, KilledWorker" in said.err


def test_what_fails_is_named_with_its_error_and_the_others_go_on(threads, monkeypatch, capsys):
    """Also where a worker's library makes another recipe of the same name."""
    made = {"sweep_recipes:OTHER": iter([sweep_recipes.OTHER, *[sweep_recipes.TWIN] * 2])}
    monkeypatch.setattr(sweep, "find", lambda name: next(made.get(name, iter([])), find(name)))
    names = [f"sweep_recipes:{name}" for name in ("HOPELESS", "OTHER", "TINY")]
    assert run(*names, "--seeds", "1") == 1
    said = capsys.readouterr()
    hopeless, other = sorted(said.err.splitlines())
    assert "HOPELESS seed 1: failed, FloatingPointError: " in hopeless
    assert "a worker has another version of 'sweep_recipes:OTHER'" in other
    assert "00-hopeless: validation accuracy –, 0 seeds" in said.out
    assert "00-tiny: validation accuracy" in said.out


def test_a_worker_without_mnist_says_what_load_mnist_says(threads, monkeypatch, capsys):
    def missing(fold=0):
        raise ConnectionError("MNIST could not be downloaded. Tried:\n  nothing")

    monkeypatch.setattr(sweep, "connect", lambda *_: workers.Client(processes=False, n_workers=1))
    monkeypatch.setattr(sweep, "load_mnist", missing)
    arguments = ["sweep_recipes:TINY", "--seeds", "1", "--scheduler", "tcp://another:8786"]
    assert run(*arguments) == 1
    assert "ConnectionError: MNIST could not be downloaded. Tried: n" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be sent a Ctrl-C")
def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(results, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    arguments = ["sweep_recipes:TINY", "sweep_recipes:ENDLESS", "--seeds", "1", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_lib", "sweep", *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert any("[1/2] sweep_recipes:TINY seed 1: " in line for line in process.stdout)
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    for each in family:  # as a terminal does
        each.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted; the same command goes on where this one stopped" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(family[1:], timeout=60)[1] == []
    assert run("sweep_recipes:TINY", "--seeds", "1") == 0
    assert "0 validation runs without test digits to train, 1 rec" in capsys.readouterr().out


def test_a_scheduler_that_goes_away_ends_the_sweep_with_a_sentence(capsys):
    def close_when_asked():
        while not cluster.scheduler.tasks:
            time.sleep(0.05)
        cluster.close()

    with LocalCluster(n_workers=0, protocol="tcp", dashboard_address=None) as cluster:
        threading.Thread(target=close_when_asked, daemon=True).start()
        assert run("sweep_recipes:TINY", "--scheduler", cluster.scheduler_address) == 1
    assert "the scheduler is gone; the same command goes on" in capsys.readouterr().err
