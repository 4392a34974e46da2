"""How well a sweep uses two workers, and what is lost when workers and clients are killed.

python benchmarks/sweeping.py [--runs 8] [--killed-runs 40] [--seed 1] [--quick]

(a) equal runs of step 06 (3 epochs, 20,000 digits) with one worker and with two
(b) short runs on a scheduler and four workers started by Dask's own commands, while ten workers,
    each replaced at once, and two clients are killed at random moments

Both are checked: (b) ends with an AssertionError unless every record is there, whole, and as it was
when it first appeared. On a machine that does other work the seconds mean nothing.
"""

import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.store import read_record

WORKERS, WORKER_KILLS, CLIENT_KILLS = 4, 10, 2
PYTHON = [sys.executable, "-m"]


def main() -> None:
    options = arguments()
    few, fewer = ("1000", "500") if options.quick else ("20000", "4000")
    found = {"two workers": two_workers(options.runs, few)}
    print(json.dumps(found, indent=1), flush=True)
    found = {"kills": kills(options.killed_runs, fewer, random.Random(options.seed))}
    print(json.dumps(found, indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a sweep on two workers, and under fire")
    parser.add_argument("--runs", type=int, default=8, help="equal ones, for one and two workers")
    parser.add_argument("--killed-runs", type=int, default=40, help="short ones, under fire")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    return parser.parse_args()


def sweep(recipe: str, runs: int, results: Path, digits: str, *options: str) -> subprocess.Popen:
    """The command, started; what it prints is text to read."""
    command = ["mnist_lib", "sweep", f"few_digits:{recipe}", "--seeds", f"1-{runs}", *options]
    return subprocess.Popen(
        [*PYTHON, *command, "--device", "cpu"],
        cwd=PROJECT,
        env=environment(digits) | {"MNIST_LIB_RESULTS": str(results)},
        stdout=subprocess.PIPE,
        text=True,
    )


def environment(digits: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PROJECT / "benchmarks"), "FEW_DIGITS": digits}


def records(results: Path) -> dict[Path, int]:
    """Time of last change of each record."""
    return {path: path.stat().st_mtime_ns for path in results.glob("runs/*/seed-*.json")}


# ---- (a) two workers ----------------------------------------------------------------------------


def two_workers(runs: int, digits: str) -> dict:
    """Seconds with one and with two workers, from the first training to the last record."""
    one, two = (timed(runs, workers, digits) for workers in (1, 2))
    return {
        "1": one,
        "2": two,
        "times as fast": round(one["seconds"] / two["seconds"], 3),
        "times as fast with the start": round(
            (one["start"] + one["seconds"]) / (two["start"] + two["seconds"]), 3
        ),
    }


def timed(runs: int, workers: int, digits: str) -> dict:
    """Seconds until the workers are there, then until all is recorded, and which part of these was
    no training."""
    with tempfile.TemporaryDirectory() as folder:
        started = ready = time.perf_counter()
        process = sweep("THREE_EPOCHS", runs, Path(folder), digits, "--workers", str(workers))
        for line in process.stdout:
            if line.startswith("Dask's dashboard"):
                ready = time.perf_counter()
            if line.startswith(f"[{runs}/"):
                ended = time.perf_counter()
        assert process.wait() == 0
        trained = sum(read_record(path)["seconds"] for path in records(Path(folder)))
    return {
        "start": round(ready - started, 1),
        "seconds": round(ended - ready, 1),
        "beside the trainings": round(1 - trained / workers / (ended - ready), 3),
    }


# ---- (b) kills ----------------------------------------------------------------------------------


def kills(runs: int, digits: str, chance: random.Random) -> dict:
    """Kill workers and clients while a sweep goes on; returns what it took."""
    moments = sorted(chance.sample(range(runs), WORKER_KILLS + CLIENT_KILLS))  # in records
    victims = ["worker"] * WORKER_KILLS + ["client"] * CLIENT_KILLS
    chance.shuffle(victims)
    seen: dict[Path, int] = {}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, cluster(digits) as (address, workers, start):
        results = Path(folder)
        clients = [sweep("ONE_EPOCH", runs, results, digits, "--scheduler", address)]
        for moment, victim in zip(moments, victims, strict=True):
            while len(watch(results, seen)) < moment:
                assert clients[-1].poll() is None, clients[-1].stdout.read()
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 2))
            print(f"{len(watch(results, seen))} records: a {victim} is killed", flush=True)
            if victim == "worker":
                workers.pop(chance.randrange(len(workers))).kill()
                workers.append(start())
            else:
                clients[-1].kill()
                recorded = len(watch(results, seen))
                clients.append(sweep("ONE_EPOCH", runs, results, digits, "--scheduler", address))
                said = next(line for line in clients[-1].stdout if "recorded before" in line)
                assert said == f"{runs - recorded} runs to train, {recorded} recorded before\n"
        printed, _ = clients[-1].communicate()
        assert clients[-1].returncode == 0, printed
        check(watch(results, seen), runs)
    again = len(re.findall("its workers? died", printed))
    return {
        "records": len(seen),
        "tried again by the last client": again,
        "seconds": round(time.perf_counter() - started, 1),
    }


def watch(results: Path, seen: dict[Path, int]) -> dict[Path, int]:
    """All records; AssertionError if one that was there has changed or gone."""
    now = records(results)
    assert {path: now.get(path) for path in seen} == seen, "a record was written twice or lost"
    seen.update(now)
    return seen


def check(seen: dict[Path, int], runs: int) -> None:
    """AssertionError or ValueError unless there is a whole record and checkpoint of every run."""
    assert len(seen) == runs, f"{len(seen)} of {runs} records"
    for path in seen:
        assert read_record(path)["sizes"]["test"] > 0
        assert torch.load(path.with_suffix(".pt"), weights_only=True)
    (folder,) = {path.parent for path in seen}
    assert len(list(folder.iterdir())) == 2 * runs, "something half written was left behind"


@contextmanager
def cluster(digits: str):
    """A scheduler and workers by Dask's own commands: address, processes, what starts another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack, tempfile.TemporaryFile() as log:

        def start(*command: str) -> subprocess.Popen:
            process = subprocess.Popen(
                [*PYTHON, "dask", *command], env=environment(digits), stdout=log, stderr=log
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        def start_worker() -> subprocess.Popen:
            one_run = ("--nthreads", "1", "--memory-limit", "0", "--no-nanny")
            return start("worker", address, *one_run, "--preload", "mnist_lib.runner.training")

        start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        yield address, [start_worker() for _ in range(WORKERS)], start_worker


if __name__ == "__main__":
    main()
