"""How fast a training step is: the plain loop, this library, and the floor.

python benchmarks/speed.py [--rounds 5] [--images 6400] [--device auto] [--steps S0-6 ...]

(a) the plain loop of the tutorials, with 0 and with 2 workers (which a DataLoader starts anew for
    every pass; that weighs more in 6,400 images than in 60,000)
(b) the library as a notebook uses it: Batches, train_epoch
(c) the floor: the same network, optimizer and batch size on batches prepared in advance

All variants of a step are timed one after the other, round by round, (b) and (c) in one process and
(a) in one of its own that waits meanwhile; a ratio is taken within a round, and its spread is that
over the rounds. A complete run goes to results/speed-<device>.json; on a machine that does other
work as well the numbers mean nothing.
"""

import argparse
import contextlib
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import mnist_lib  # noqa: F401  before PyTorch, as in a notebook

# isort: split
import overheads
import plain
import torch.nn.functional as F
from overheads import finish, spread, timed

from mnist_lib.data import Digits, load_mnist
from mnist_lib.device import choose_device, keep_freed_memory, placed
from mnist_lib.files import write_atomically
from mnist_lib.journey import JOURNEY
from mnist_lib.published import SYSTEMS
from mnist_lib.recipes import Recipe
from mnist_lib.results import PROJECT, machine
from mnist_lib.train import new_network, train_epoch, training_batches

RECIPES = {recipe.name: recipe for recipe in (*SYSTEMS, *JOURNEY)}
STEPS = ["S0-6", "S3-3", "S4-6", "06-one-cycle", "07-separable"]
WARM_UP = 2  # rounds that are not counted: caches, memory, the choice of kernels


def main() -> None:
    options = arguments()
    device = choose_device(options.device)
    digits = load_mnist(holdout=0)
    keep_freed_memory()  # as `fit` does
    found = {
        "machine": {**machine(device), **more_of_the_machine()},
        "rounds": options.rounds,
        "images": options.images,
        "steps": {},
    }
    for name in options.steps:
        found["steps"][name] = compare(RECIPES[name], digits, device, options)
        print_step(name, found["steps"][name])
    for name, value in overheads.measured(digits, device, options.rounds).items():
        found[name] = value
        print(f"{name}: {value}", flush=True)
    if options.steps == STEPS:
        kind = device.split(":")[0]
        path = PROJECT / "results" / f"speed-{kind}.json"
        write_atomically(path, json.dumps(found, indent=1) + "\n")
        print(f"wrote {path.name}; python -m mnist_lib report puts the ratios into the README")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="plain loop, library and floor, side by side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6_400, help="per round and variant")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, metavar="STEP")
    return parser.parse_args()


def more_of_the_machine() -> dict:
    """What else decides how fast the loops are."""
    libraries = ("numpy", "albumentations", "opencv-python-headless")
    model = None
    with contextlib.suppress(OSError):  # only Linux has this file
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), None)
    return {
        "cores": os.cpu_count(),
        "processor_model": model,
        **{library: version(library) for library in libraries},
    }


# ---- training steps ------------------------------------------------------------------------------


def compare(recipe: Recipe, digits: Digits, device: str, options) -> dict:
    """Seconds of every variant in every round, the ratios to the library, and its breakdown."""
    few = digits.first(options.images)
    with plain_loops(recipe, options.images, device) as loops:
        variants = {
            f"plain, {workers} workers": lambda workers=workers: loops.submit(
                plain.seconds, workers, device
            ).result()
            for workers in plain.WORKERS
        }
        variants["library"] = partial(timed, library_variant(recipe, few, device), device)
        variants["floor"] = partial(timed, floor_variant(recipe, few, device), device)
        seconds = {name: [] for name in variants}
        for number in range(WARM_UP + options.rounds):
            for name, variant in variants.items():
                spent = variant()
                if number >= WARM_UP:
                    seconds[name].append(spent)
    library = seconds["library"]
    ratios = {
        name: [other / ours for other, ours in zip(spent, library, strict=True)]
        for name, spent in seconds.items()
        if name != "library"
    }
    return {
        "seconds": seconds,
        "times as long as the library": {name: spread(values) for name, values in ratios.items()},
        "breakdown": breakdown(recipe, few, device),
    }


def plain_loops(recipe: Recipe, images: int, device: str) -> ProcessPoolExecutor:
    """(a) in a process of its own, as a tutorial's: there the library has tuned nothing."""
    loops = ProcessPoolExecutor(
        max_workers=1,
        mp_context=get_context("spawn"),
        initializer=plain.prepare,
        initargs=(recipe, images, device),
    )
    ours = os.environ["GOMP_SPINCOUNT"]
    os.environ["GOMP_SPINCOUNT"] = "300000"  # what GNU OpenMP takes by itself
    try:
        loops.submit(int).result()  # now the process starts, with what is in the environment
    finally:
        os.environ["GOMP_SPINCOUNT"] = ours
    return loops


def built(recipe, steps, device):
    """The library's network, optimizer and schedule, as `fit` makes them."""
    model = placed(new_network(recipe, seed=1), device)
    optimizer = recipe.optimizer.build(model)
    return model, optimizer, recipe.schedule.build(optimizer, steps, 1_000)


def library_variant(recipe, digits, device):
    """(b)"""
    batches = training_batches(recipe, digits, 1, device)
    model, optimizer, schedule = built(recipe, len(batches), device)
    return lambda: train_epoch(model, batches, optimizer, schedule)


def floor_variant(recipe, digits, device):
    """(c): nothing but forward, backward and the optimizer."""
    batches = list(training_batches(recipe, digits, 1, device))
    model, optimizer, _ = built(recipe, len(batches), device)

    def run():
        model.train()
        for x, y in batches:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def breakdown(recipe, digits, device) -> dict[str, float]:
    """Shares of the library's time; on a GPU it waits after each part, so there they only hint."""
    batches = training_batches(recipe, digits, 1, device)
    model, optimizer, schedule = built(recipe, len(batches), device)
    spent = dict.fromkeys(("data", "forward", "backward", "optimizer", "rest"), 0.0)
    last = time.perf_counter()

    def until_now(part: str) -> None:
        nonlocal last
        finish(device)
        now = time.perf_counter()
        spent[part] += now - last
        last = now

    model.train()
    for x, y in batches:
        until_now("data")
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        until_now("forward")
        optimizer.zero_grad()
        loss.backward()
        until_now("backward")
        optimizer.step()
        until_now("optimizer")
        schedule.step()
        (logits.detach().argmax(1) == y).sum()
        until_now("rest")
    total = sum(spent.values())
    return {part: round(seconds / total, 3) for part, seconds in spent.items()}


def print_step(name: str, result: dict) -> None:
    ratios = ", ".join(
        f"{variant} {r['median']:.2f} ({r['lowest']:.2f} to {r['highest']:.2f})"
        for variant, r in result["times as long as the library"].items()
    )
    shares = ", ".join(f"{part} {share:.0%}" for part, share in result["breakdown"].items())
    print(f"{name}: times as long as the library: {ratios}\n    library: {shares}", flush=True)


if __name__ == "__main__":
    main()
