"""How fast a training step is: the plain loop, this library, and the floor.

python benchmarks/speed.py [--rounds 5] [--images 6400] [--device auto] [--steps S0-6 ...] [--quick]

(a) the plain loop of the tutorials, with 0 and with 2 workers (which a DataLoader starts anew for
    every pass; that weighs more in 6,400 images than in 60,000)
(b) the library as a notebook uses it: Batches, train_epoch
(c) the floor: the same network, optimizer and batch size on batches prepared in advance

All train with one thread, as `fit` does. The variants of a step take turns, round by round, and
ratios are taken within a round. (a) runs in a process of its own. On a GPU, 15 epochs of S0-6 are
measured as well. A whole run goes to my-results/speed-<device>.json, or to results/ with
MNIST_LIB_RENEW=1; beside other work the numbers mean nothing.
"""

import argparse
import contextlib
import json
import os
import re
from functools import partial
from importlib.metadata import version
from pathlib import Path

import measure
import plain
import torch
import torch.nn.functional as F

from mnist_lib import fit, load_mnist
from mnist_lib.data import Digits
from mnist_lib.engine.machine import (
    choose_device,
    describe_machine,
    output_folder,
    write_atomically,
)
from mnist_lib.experiments import find
from mnist_lib.recipes import Recipe

STEPS = ["S0-6", "S3-3", "S4-6", "06-one-cycle", "07-separable"]


def main() -> None:
    options = arguments()
    device = choose_device(options.device)
    torch.set_num_threads(1)
    digits = load_mnist()
    few = digits.first(options.images)
    found = {
        "machine": {**describe_machine(device), **more_of_the_machine()},
        "rounds": options.rounds,
        "images": options.images,
        "steps": {name: compare(find(name), few, device, options.rounds) for name in options.steps},
    }
    if device.startswith("cuda"):
        found["15 epochs of S0-6"] = fifteen_epochs(digits, device)
    if options.steps == STEPS and not options.quick:
        path = output_folder() / f"speed-{device.split(':')[0]}.json"
        write_atomically(path, json.dumps(found, indent=1) + "\n")
        print(f"wrote {path}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="plain loop, library and floor, side by side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6_400, help="per round and variant")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, metavar="STEP")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.images = 1, 640
    return options


def more_of_the_machine() -> dict:
    """What else decides how fast the loops are."""
    libraries = ("numpy", "albumentations", "opencv-python-headless")
    model = None
    with contextlib.suppress(OSError):  # only Linux has this file
        model = re.search("model name.*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "cores": os.cpu_count(),
        "processor_model": model and model[1],
        **{library: version(library) for library in libraries},
    }


def compare(recipe: Recipe, digits: Digits, device: str, rounds: int) -> dict:
    """Seconds of every variant in every round, and the ratios to the library."""
    # (a) in a process of its own, as a tutorial's: there the library has tuned nothing
    with measure.spawned(plain.prepare, recipe, len(digits.train_labels), device) as loops:
        ask = partial(measure.answer, loops, plain.seconds)
        variants = {f"plain, {n} workers": partial(ask, n, device) for n in plain.WORKERS}
        variants["library"] = measure.library_loop(recipe, digits, device)
        variants["floor"] = partial(measure.timed, floor_variant(recipe, digits, device), device)
        seconds = measure.alternate(variants, rounds)
    ratios = measure.relative_to("library", seconds)
    print(f"{recipe.name}: times as long as the library: {measure.ranges(ratios)}", flush=True)
    return {"seconds": seconds, "times as long as the library": ratios}


def floor_variant(recipe: Recipe, digits: Digits, device: str):
    """(c): nothing but forward, backward and the optimizer."""
    batches, model, optimizer, _ = measure.built(recipe, digits, device)
    batches = list(batches)

    def run():
        model.train()
        for x, y in batches:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def fifteen_epochs(digits: Digits, device: str) -> dict[str, float]:
    """Wall seconds with evaluation, and the most of the GPU's memory that was held."""
    torch.cuda.reset_peak_memory_stats()
    run = fit(find("S0-6"), digits, device=device, quiet=True)
    peak = torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": round(run.seconds, 1), "peak memory, MiB": round(peak)}


if __name__ == "__main__":
    main()
