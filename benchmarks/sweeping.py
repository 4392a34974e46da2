"""How well a sweep uses two workers, and what is lost when workers and clients are killed.

python benchmarks/sweeping.py [--runs 8] [--rounds 3] [--killed-runs 40] [--seed 1] [--quick]

(a) equal runs of step 06 (3 epochs, 20,000 digits) with one worker and with two, and the same by
    hand in one and in two processes: what the machine can do, and what Dask costs beside that;
    medians of rounds, in each of which the four follow one another
(b) short runs on a scheduler and four workers started by Dask's own commands, while ten workers,
    each replaced at once, and two clients are killed at random moments

Both are checked: (b) ends with an AssertionError unless every record is there, whole, and as it was
when it first appeared. On a machine that does other work the seconds mean nothing.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import torch

from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.store import read_record

WORKERS, WORKER_KILLS, CLIENT_KILLS = 4, 10, 2


def main() -> None:
    options = arguments()
    few, fewer = ("1000", "500") if options.quick else ("20000", "4000")
    found = {"two workers": two_workers(options.runs, options.rounds, few)}
    print(json.dumps(found, indent=1), flush=True)
    found = {"kills": kills(options.killed_runs, fewer, random.Random(options.seed))}
    print(json.dumps(found, indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a sweep on two workers, and under fire")
    parser.add_argument("--runs", type=int, default=8, help="equal ones, for one and two workers")
    parser.add_argument("--rounds", type=int, default=3, help="of one and two workers")
    parser.add_argument("--killed-runs", type=int, default=40, help="short ones, under fire")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    return parser.parse_args()


def start(stack: ExitStack, digits: str, *command: str, **options) -> subprocess.Popen:
    """A Python command that ends with the stack at the latest; its trainings have few digits."""
    environment = {"PYTHONPATH": str(PROJECT / "benchmarks"), "FEW_DIGITS": digits}
    environment = os.environ | environment | options.pop("env", {})
    command = [sys.executable, "-m", *command]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, **options)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def sweep(stack, digits: str, recipe: str, runs: int, results: str, *options) -> subprocess.Popen:
    """The command, started; what it prints is text to read."""
    return start(
        stack, digits, "mnist_lib", "sweep", f"few_digits:{recipe}", "--seeds", f"1-{runs}",
        "--device", "cpu", *options,
        env={"MNIST_LIB_RESULTS": results}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def records(results: str) -> dict[Path, int]:
    """Time of last change of each record."""
    return {path: path.stat().st_mtime_ns for path in Path(results).glob("runs/*/seed-*.json")}


# ---- (a) two workers ----------------------------------------------------------------------------


def two_workers(runs: int, rounds: int, digits: str) -> dict:
    """Seconds of all runs by one and by two workers, and by one and two processes without Dask."""
    seconds = {(how, n): [] for n in (1, 2) for how in (by_hand, by_dask)}
    for _ in range(rounds):
        for (how, n), times in seconds.items():
            times.append(how(runs, n, digits))
    dask = {n: median(seconds[by_dask, n]) for n in (1, 2)}
    hand = {n: median(seconds[by_hand, n]) for n in (1, 2)}
    return {
        "by Dask, seconds": dask,
        "by hand, seconds": hand,
        "times as fast": round(dask[1] / dask[2], 3),
        "times as fast by hand": round(hand[1] / hand[2], 3),
        "beside the trainings": {n: round(1 - hand[n] / dask[n], 3) for n in dask},
    }


def by_dask(runs: int, workers: int, digits: str) -> float:
    """Seconds from the moment that the workers are there until all is recorded."""
    with ExitStack() as stack:
        results = stack.enter_context(tempfile.TemporaryDirectory())
        process = sweep(stack, digits, "THREE_EPOCHS", runs, results, "--workers", str(workers))
        for line in process.stdout:
            if line.startswith("Dask's dashboard"):
                ready = time.perf_counter()
            if line.startswith(f"[{runs}/"):
                ended = time.perf_counter()
        assert process.wait() == 0
        assert len(records(results)) == runs
    return round(ended - ready, 1)


def by_hand(runs: int, processes: int, digits: str) -> float:
    """Seconds of the same runs in so many processes that share them equally from the start."""
    share = runs // processes
    with ExitStack() as stack:
        results = stack.enter_context(tempfile.TemporaryDirectory())
        started = [
            start(
                stack, digits, "few_digits", str(first), str(first + share - 1),
                env={"MNIST_LIB_RESULTS": results, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for first in range(1, runs + 1, share)
        ]  # fmt: skip
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        ready = time.perf_counter()
        assert not any(process.wait() for process in started)
        ended = time.perf_counter()
        assert len(records(results)) == runs
    return round(ended - ready, 1)


# ---- (b) kills ----------------------------------------------------------------------------------


def kills(runs: int, digits: str, chance: random.Random) -> dict:
    """Kill workers and clients while a sweep goes on; returns what it took."""
    moments = sorted(chance.sample(range(runs), WORKER_KILLS + CLIENT_KILLS))  # in records
    victims = ["worker"] * WORKER_KILLS + ["client"] * CLIENT_KILLS
    chance.shuffle(victims)
    seen: dict[Path, int] = {}
    started = time.perf_counter()
    with ExitStack() as stack:
        results = stack.enter_context(tempfile.TemporaryDirectory())
        address, workers, start_worker = cluster(stack, digits)

        def start_client() -> subprocess.Popen:
            return sweep(stack, digits, "ONE_EPOCH", runs, results, "--scheduler", address)

        client = start_client()
        for moment, victim in zip(moments, victims, strict=True):
            while len(watch(results, seen)) < moment:
                assert client.poll() is None, client.stdout.read()
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 2))
            print(f"{len(watch(results, seen))} records: a {victim} is killed", flush=True)
            if victim == "worker":
                workers.pop(chance.randrange(len(workers))).kill()
                workers.append(start_worker())
            else:
                client.kill()
                recorded, client = len(watch(results, seen)), start_client()
                said = next(line for line in client.stdout if "recorded before" in line)
                assert said == f"{runs - recorded} runs to train, {recorded} recorded before\n"
        printed, _ = client.communicate()
        assert client.returncode == 0, printed
        check(watch(results, seen), runs)
    return {
        "records": len(seen),
        "kills": {victim: victims.count(victim) for victim in ("worker", "client")},
        "seconds": round(time.perf_counter() - started, 1),
    }


def watch(results: str, seen: dict[Path, int]) -> dict[Path, int]:
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


def cluster(stack: ExitStack, digits: str) -> tuple:
    """A scheduler and workers by Dask's own commands: address, processes, what starts another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    log = stack.enter_context(tempfile.TemporaryFile())
    dask = partial(start, stack, digits, "dask", stdout=log, stderr=log)
    worker = partial(
        dask, "worker", address, "--nthreads", "1", "--memory-limit", "0", "--no-nanny",
        "--preload", "mnist_lib.commands.training",
    )  # fmt: skip
    dask("scheduler", "--host", "127.0.0.1", "--port", str(port))
    return address, [worker() for _ in range(WORKERS)], worker


if __name__ == "__main__":
    main()
