"""A sweep: what its workers are told and send back, and what becomes of those that fail.

Starting workers takes seconds, so most of this shares one cluster of two processes, which have no
MNIST and reach no mirror.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import dask.config
import psutil
import pytest
import sweep_recipes
from distributed import Client, LocalCluster
from filelock import FileLock, Timeout

from mnist_lib.commands import workers
from mnist_lib.commands.command_line import main
from mnist_lib.commands.sweep import Sweep, plan, unrecorded
from mnist_lib.commands.training import find
from mnist_lib.commands.workers import connected, quiet
from mnist_lib.data import load_mnist
from mnist_lib.engine.environment import output_folder
from mnist_lib.experiments import pilots as candidates
from mnist_lib.experiments.systems import S0_6
from mnist_lib.journey import JOURNEY
from mnist_lib.records import as_record, load_records, record_path, weights_of
from mnist_lib.train import fit


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_ROOT", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MNIST_MIRROR", "")
        patch.setenv("SWEEP_FLAGS", str(tmp_path_factory.mktemp("flags")))
        patch.setitem(workers.SETTINGS, "distributed.worker.preload", ["sweep_recipes"])
        patch.setitem(workers.SETTINGS, "distributed.scheduler.allowed-failures", 0)
        cluster = connected(workers=2)
        client = cluster.__enter__()
    yield client
    cluster.__exit__(None, None, None)


def without_time(record: dict) -> dict:
    """What must be the same wherever it was trained."""
    rows = [{**row, "seconds": None} for row in record["history"]]
    return {**record, "history": rows, "seconds": None}


def test_a_sweep_records_what_fit_does_by_hand(client):
    """Bit for bit, on workers that get MNIST from the client."""
    tasks = plan(["sweep_recipes:TINY", "01-plain"], [1, 12], device="cpu")
    assert Sweep(client, tasks).run() == {}
    for task in tasks:
        recipe = find(task.recipe)
        run = fit(recipe, load_mnist(fold=recipe.fold(task.seed)), task.seed, "cpu", quiet=True)
        path = record_path(recipe.name, task.seed, output_folder())
        kept = without_time(json.loads(path.read_text()))
        assert kept == without_time(json.loads(json.dumps(as_record(run))))
        assert path.with_suffix(".pt").read_bytes() == weights_of(run.model)
    assert unrecorded(tasks) == []


def test_workers_keep_their_memory_from_step_to_step(client):
    """A thread with a heap of its own gives it back, and asks for it anew in every step."""
    environments = client.run(lambda: dict(os.environ))
    assert {found["MALLOC_ARENA_MAX"] for found in environments.values()} == {"1"}


def test_a_trial_sees_no_test_digit(client):
    tasks = plan(["sweep_recipes:TINY"], [3], trial=True, threads=2)
    assert Sweep(client, tasks).run() == {}
    (record,) = load_records(output_folder(), kind="trials")
    assert record["sizes"]["test"] == 0 and record["machine"]["threads"] == 2
    assert unrecorded(tasks) == [] and len(unrecorded(plan(["sweep_recipes:TINY"], [3]))) == 1


def test_what_fails_is_reported_and_the_others_go_on(client, capsys):
    """Others may be on a worker when a deadly one kills it: they are not to blame."""
    names = ["DEADLY", "DEADLY_ONCE", "HOPELESS", "OTHER", "OTHER_ONCE", "TINY"]
    tasks = plan([f"sweep_recipes:{name}" for name in names], [1])
    failed = {task.recipe: error for task, error in Sweep(client, tasks).run().items()}
    recorded = {record["recipe"] for record in load_records(output_folder())}
    assert recorded == {"00-deadly-once", "00-other-once", "00-tiny"}
    assert failed.keys() == {f"sweep_recipes:{name}" for name in ("DEADLY", "HOPELESS", "OTHER")}
    assert "KilledWorker" in failed["sweep_recipes:DEADLY"]
    assert "Traceback" in failed["sweep_recipes:HOPELESS"]
    assert "FloatingPointError: the training loss" in failed["sweep_recipes:HOPELESS"]
    assert "install there what is installed here" in failed["sweep_recipes:OTHER"]
    printed = capsys.readouterr()
    assert "[6/6]" in printed.out and printed.err == ""


def test_without_its_scheduler_a_sweep_ends_with_a_sentence():
    with (
        quiet(),
        LocalCluster(n_workers=0, protocol="tcp") as cluster,
        Client(cluster.scheduler_address, set_as_default=False) as client,
    ):
        running = Sweep(client, plan(["01-plain"], [1]))
        threading.Timer(0.5, cluster.close).start()
        with pytest.raises(ConnectionError, match="the scheduler tcp://.* is gone; what was"):
            running.run()


def test_a_scheduler_that_does_not_answer_is_named(capsys):
    with dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}):
        assert main(["sweep", "01-plain", "--scheduler", "tcp://127.0.0.1:9"]) == 1
    error = capsys.readouterr().err
    assert "tcp://127.0.0.1:9" in error and error.count("\n") == 1


@pytest.fixture
def started():
    """A sweep as a command of its own, of a recipe that ends and then of one that does not."""
    names = ["sweep_recipes:TINY", "sweep_recipes:ENDLESS"]
    # a test run started in the background by a shell ignores Ctrl-C, and what it starts as well
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_lib", "sweep", *names, "--seeds", "1", "--workers", "1"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be sent a Ctrl-C")
def test_ctrl_c_leaves_what_is_recorded_and_no_process(started, capsys):
    assert any("TINY seed 1: finished" in line for line in started.stdout)
    with pytest.raises(Timeout):  # meanwhile nobody else works on the same results
        FileLock(output_folder() / ".running.lock").acquire(timeout=0)
    workers = psutil.Process(started.pid).children(recursive=True)
    for process in [started, *workers]:  # as a terminal does
        process.send_signal(signal.SIGINT)
    printed, _ = started.communicate()
    assert started.returncode == 130
    assert printed.strip() == "interrupted; the same command goes on where this one stopped"
    assert workers and psutil.wait_procs(workers, timeout=10)[1] == []
    assert main(["sweep", "sweep_recipes:TINY", "--seeds", "1"]) == 0
    assert "0 runs to train, 1 recorded before" in capsys.readouterr().out


# ---- what to train ------------------------------------------------------------------------------


def test_recipes_are_found_by_name():
    assert find("01-plain") is JOURNEY[0]
    assert find("S0-6") is S0_6
    assert find(candidates.MILD.name) is candidates.MILD
    assert find("sweep_recipes:TINY") is sweep_recipes.TINY


@pytest.mark.parametrize(
    "name, message",
    [
        ("06", "there is no recipe '06'; there are .*06-one-cycle"),
        ("02-skeletton", "there are 02-skeleton"),
        ("s0-6", "there are S0-6$"),
        ("nowhere:MINE", "'nowhere:MINE': ModuleNotFoundError: No module named 'nowhere'"),
        ("sweep_recipes:MINE", "has no attribute 'MINE'"),
        ("sweep_recipes:deadly", "is no recipe but a function"),
    ],
)
def test_a_name_that_means_no_recipe(name, message):
    with pytest.raises(ValueError, match=message):
        find(name)


def test_a_file_that_python_cannot_read_is_named_with_its_fault(tmp_path, monkeypatch):
    (tmp_path / "hasty_recipes.py").write_text("MINE = Recipe(\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="'hasty_recipes:MINE': SyntaxError: .* never closed"):
        find("hasty_recipes:MINE")


def test_a_sweep_goes_seed_by_seed():
    tasks = plan(["01-plain", "S1", "01-plain"], [11, 12, 11])
    assert [str(task) for task in tasks] == [
        "01-plain seed 11", "S1 seed 11", "01-plain seed 12", "S1 seed 12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["01-plane"], "there is no recipe '01-plane'; there are 01-plain"),
        (["S1", "--trial"], "'S1' has no folds, so a trial of it would measure nothing"),
        (["sweep_recipes:TINY", "sweep_recipes:TWIN"], "2 of these recipes are called '00-tiny'"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--seeds", "1", "5-3"], "'5-3' is no range of seeds such as 11-20"),
        (["--seeds", "1-2-3"], "'1-2-3' is no range of seeds such as 11-20"),
        (["--seeds", "1-x"], "'x' is not a whole number from 0 up"),
        (["--workers", "2", "--scheduler", "tcp://there:1"], "not allowed with argument"),
        (["--scheduler", "127.0.0.1"], "'127.0.0.1' has no port"),
    ],
)
def test_wrong_usage_is_explained(arguments, message, capsys):
    try:
        code = main(["sweep", *arguments])
    except SystemExit as exit_:  # what argparse itself refuses
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err
