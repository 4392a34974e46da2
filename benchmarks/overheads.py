"""What a training costs besides its steps: evaluation, data, notebooks, imports, memory."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import torch

from mnist_lib.augment import Batches
from mnist_lib.data import Digits
from mnist_lib.device import placed
from mnist_lib.fast import finish as finish_run
from mnist_lib.journey import ONE_CYCLE, SKELETON
from mnist_lib.results import PROJECT
from mnist_lib.train import EVALUATION_BATCH, evaluate, new_network

ONE_EPOCH = replace(ONE_CYCLE, epochs=1, holdout=0)
NOTEBOOK = "02"  # trains one recipe; shortened, two epochs on few images


def measured(digits: Digits, device: str, rounds: int) -> dict:
    """All of this module, under names that say what it is."""
    return {
        "evaluation, images per second": evaluation(digits, device, rounds),
        "one epoch and its evaluation by images, seconds": by_images(digits, device),
        "one epoch by seeds, seconds": by_seeds(digits, device),
        "four notebooks by jobs, seconds": by_jobs(device),
        "a short notebook beyond its training, seconds": notebook(digits, device, rounds),
        "import, seconds": imports(rounds),
        "peak memory of a training, MiB": peak_memory(device),
        "15 epochs of S0-6 on a GPU": fifteen_epochs(device),
    }


def timed(variant, device: str) -> float:
    """Wall seconds of one call, until the device has finished."""
    started = time.perf_counter()
    variant()
    finish(device)
    return time.perf_counter() - started


def finish(device: str) -> None:
    """Wait for what was sent to a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device.startswith("mps"):
        torch.mps.synchronize()


def spread(values: list[float]) -> dict:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
    }


def evaluation(digits: Digits, device: str, rounds: int) -> dict:
    """Test images per second through the network of step 06."""
    model = placed(new_network(ONE_EPOCH, 1), device)
    batches = Batches(digits.test_images, digits.test_labels, EVALUATION_BATCH, device=device)
    rates = [
        len(digits.test_labels) / timed(lambda: evaluate(model, batches), device)
        for _ in range(rounds + 1)
    ]
    return spread(rates[1:])


def by_images(digits: Digits, device: str) -> dict[int, float]:
    """Wall seconds of `fit` for one epoch of so many images."""
    return {
        images: round(finish_run(ONE_EPOCH, digits.first(images), 1, device).seconds, 2)
        for images in (10_000, 20_000, 40_000, 60_000)
    }


def by_seeds(digits: Digits, device: str) -> dict[int, float]:
    """Wall seconds of `fit` for one epoch of 10,000 images, so many seeds one after the other."""
    few = digits.first(10_000)
    return {
        seeds: round(
            sum(finish_run(ONE_EPOCH, few, seed, device).seconds for seed in range(seeds)), 2
        )
        for seeds in (1, 2, 4)
    }


def run_notebook(device: str, *options: str) -> float:
    """Wall seconds of the batch command for a shortened notebook, results thrown away."""
    with tempfile.TemporaryDirectory() as folder:  # the notebook shows recorded results as well
        results = shutil.copytree(PROJECT / "results", os.path.join(folder, "results"))
        surroundings = os.environ | {"MNIST_LIB_RESULTS": results}
        command = [sys.executable, "-m", "mnist_lib", "run", NOTEBOOK, "--short"]
        command += ["--device", device, *options]
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=PROJECT, env=surroundings, capture_output=True)
        return time.perf_counter() - started


def by_jobs(device: str) -> dict[int, float]:
    """Wall seconds of the batch command for one short notebook with four seeds."""
    seeds = ("--seeds", "1", "2", "3", "4")
    return {jobs: round(run_notebook(device, *seeds, "--jobs", str(jobs)), 1) for jobs in (1, 2, 4)}


def notebook(digits: Digits, device: str, rounds: int) -> dict:
    """Wall seconds of the batch command for one short notebook, less those of its training."""
    os.environ["MNIST_LIB_SHORT"] = "1"
    training = min(finish_run(SKELETON, digits, 1, device).seconds for _ in range(rounds))
    del os.environ["MNIST_LIB_SHORT"]
    return spread([run_notebook(device) - training for _ in range(rounds)])


def imports(rounds: int) -> dict:
    """Seconds that all rooms together take to import, beyond PyTorch."""
    code = (
        "import torch, time; started = time.perf_counter();"
        "import mnist_lib.report, mnist_lib.finder; print(time.perf_counter() - started)"
    )
    return spread([float(in_python(code)) for _ in range(rounds)])


def peak_memory(device: str) -> float | None:
    """The most that a process held that trains step 06 for an epoch; or a GPU's memory."""
    if sys.platform == "win32":
        return None  # Windows has no such number
    unit = 2**20 if sys.platform == "darwin" else 2**10
    code = (
        "import resource, torch; from mnist_lib.data import load_mnist;"
        "from mnist_lib.train import fit; from overheads import ONE_EPOCH;"
        f"fit(ONE_EPOCH, load_mnist(holdout=0), device={device!r});"
        "on_gpu = torch.cuda.is_available() and torch.cuda.max_memory_allocated() / 2**20;"
        f"print(on_gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / {unit})"
    )
    return round(float(in_python(code).splitlines()[-1]))


def fifteen_epochs(device: str) -> dict | None:
    """Wall seconds with evaluation, and the most of the GPU's memory that was held."""
    if not device.startswith("cuda"):
        return None
    code = (
        "import torch; from mnist_lib.data import load_mnist; from mnist_lib.train import fit;"
        "from mnist_lib.published import S0_6;"
        f"run = fit(S0_6, load_mnist(holdout=0), device={device!r});"
        "print(run.seconds, torch.cuda.max_memory_allocated() / 2**20)"
    )
    seconds, peak = in_python(code).splitlines()[-1].split()
    return {"seconds": round(float(seconds), 1), "peak memory, MiB": round(float(peak))}


def in_python(code: str) -> str:
    """What a fresh Python prints."""
    return subprocess.check_output(
        [sys.executable, "-c", code], text=True, cwd=PROJECT / "benchmarks"
    )
