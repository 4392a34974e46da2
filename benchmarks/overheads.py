"""What a training costs besides its steps: evaluation, data, notebooks, imports, memory."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

from measure import alternate, spread, timed

from mnist_lib.data import Batches, Digits
from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.layers import accelerate
from mnist_lib.journey import ONE_CYCLE, SKELETON
from mnist_lib.recipes import Recipe
from mnist_lib.train import EVALUATION_BATCH, evaluate, fit

ONE_EPOCH = replace(ONE_CYCLE, epochs=1, folds=0)
NOTEBOOK = "02"  # trains one recipe; shortened, two epochs on few images


def measured(digits: Digits, device: str, rounds: int) -> dict:
    """All of this module, under names that say what it is."""
    return {
        "evaluation, images per second": evaluation(digits, device, rounds),
        "one epoch and its evaluation by images, seconds": by_images(digits, device),
        "one epoch by seeds, seconds": by_seeds(digits, device),
        "a short notebook beyond its training, seconds": notebook(digits, device, rounds),
        "import, seconds": imports(rounds),
        "peak memory of a training, MiB": peak_memory(device),
        "15 epochs of S0-6 on a GPU": fifteen_epochs(device),
    }


def evaluation(digits: Digits, device: str, rounds: int) -> dict:
    """Test images per second through the network of step 06."""
    model = accelerate(ONE_EPOCH.new_network(seed=1), device)
    batches = Batches(digits.test_images, digits.test_labels, EVALUATION_BATCH, device=device)
    seconds = alternate({"": lambda: timed(lambda: evaluate(model, batches), device)}, rounds)[""]
    return spread([len(digits.test_labels) / spent for spent in seconds])


def seconds_of(recipe: Recipe, digits: Digits, device: str, seed: int = 1) -> float:
    """Wall seconds of `fit`; KeyboardInterrupt if somebody stopped it."""
    run = fit(recipe, digits, seed, device, quiet=True)
    if run.interrupted:
        raise KeyboardInterrupt
    return run.seconds


def by_images(digits: Digits, device: str) -> dict[int, float]:
    """Wall seconds of `fit` for one epoch of so many images."""
    sizes = (10_000, 20_000, 40_000, 60_000)
    return {size: round(seconds_of(ONE_EPOCH, digits.first(size), device), 2) for size in sizes}


def by_seeds(digits: Digits, device: str) -> dict[int, float]:
    """Wall seconds of `fit` for one epoch of 10,000 images, so many seeds one after the other."""
    seconds = [seconds_of(ONE_EPOCH, digits.first(10_000), device, seed) for seed in range(4)]
    return {seeds: round(sum(seconds[:seeds]), 2) for seeds in (1, 2, 4)}


def run_notebook(*options: str) -> float:
    """Wall seconds of the batch command for a shortened notebook, results thrown away."""
    with tempfile.TemporaryDirectory() as folder:  # the notebook shows recorded results as well
        results = shutil.copytree(PROJECT / "results", os.path.join(folder, "results"))
        environment = os.environ | {"MNIST_LIB_RESULTS": results}
        command = [sys.executable, "-m", "mnist_lib", "run", NOTEBOOK, "--short", *options]
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=PROJECT, env=environment, capture_output=True)
        return time.perf_counter() - started


def notebook(digits: Digits, device: str, rounds: int) -> dict:
    """Wall seconds of the batch command for one short notebook, less those of its training."""
    os.environ["MNIST_LIB_SHORT"] = "1"
    recipe = replace(SKELETON, folds=0)  # as these digits are
    training = min(seconds_of(recipe, digits, device) for _ in range(rounds))
    del os.environ["MNIST_LIB_SHORT"]
    return spread([run_notebook("--device", device) - training for _ in range(rounds)])


def imports(rounds: int) -> dict:
    """Seconds that all modules of the report together take to import, beyond PyTorch."""
    code = (
        "import torch, time; started = time.perf_counter();"
        "import mnist_lib.commands.report; print(time.perf_counter() - started)"
    )
    return spread([float(in_python(code)) for _ in range(rounds)])


def peak_memory(device: str) -> float | None:
    """The most of the machine's memory that a process held that trains step 06 for an epoch."""
    if sys.platform != "linux":
        return None  # elsewhere a process also counts what the one that started it held
    code = (
        "from mnist_lib.data import load_mnist; from mnist_lib.train import fit;"
        "from overheads import ONE_EPOCH;"
        f"fit(ONE_EPOCH, load_mnist(), device={device!r}, quiet=True);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    return round(float(in_python(code)) / 2**10)


def fifteen_epochs(device: str) -> dict | None:
    """Wall seconds with evaluation, and the most of the GPU's memory that was held."""
    if not device.startswith("cuda"):
        return None
    code = (
        "import torch; from mnist_lib.data import load_mnist; from mnist_lib.train import fit;"
        "from mnist_lib.experiments.systems import S0_6;"
        f"run = fit(S0_6, load_mnist(), device={device!r}, quiet=True);"
        "print(run.seconds, torch.cuda.max_memory_allocated() / 2**20)"
    )
    seconds, peak = map(float, in_python(code).split())
    return {"seconds": round(seconds, 1), "peak memory, MiB": round(peak)}


def in_python(code: str) -> str:
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, text=True, cwd=PROJECT / "benchmarks")
