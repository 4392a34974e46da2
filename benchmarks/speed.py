"""How fast a training step is: the plain loop, this library, and the floor.

python benchmarks/speed.py [--rounds 5] [--images 6400] [--device auto] [--steps S0-6 ...] [--quick]

(a) the plain loop of the tutorials, with 0 and with 2 workers (which a DataLoader starts anew for
    every pass; that weighs more in 6,400 images than in 60,000)
(b) the library as a notebook uses it: Batches, train_epoch
(c) the floor: the same network, optimizer and batch size on batches prepared in advance

All train with one thread, as `fit` does. The variants of a step are timed one after the other,
round by round, (b) and (c) in one process and (a) in one of its own that waits meanwhile; ratios
are taken within a round. Then follow threads.py and tricks.py, on a CPU, and overheads.py. A whole
run goes to results/speed-<device>.json; beside other work the numbers mean nothing.
"""

import argparse
import contextlib
import json
import os
import re
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import measure
import overheads
import plain
import threads
import torch
import torch.nn.functional as F
import tricks

from mnist_lib.data import Digits, load_mnist
from mnist_lib.engine.device import choose_device, describe_machine
from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.files import write_atomically
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
        "steps": {name: compare(name, few, device, options.rounds) for name in options.steps},
    }
    if device == "cpu":
        steps = [name for name in options.steps if name != "S3-3"]
        fewer = digits.first(options.images // 2)  # threads that wait for a core take long
        found["threads"] = threads.measured(steps, fewer, options.rounds)
        found["tricks"] = tricks.measured(steps, options.images, options.rounds)
    if not options.quick:
        others = overheads.measured(digits, device, options.rounds)
        print(json.dumps(others, indent=1))
        found |= others
    if options.steps == STEPS and not options.quick:
        path = PROJECT / "results" / f"speed-{device.split(':')[0]}.json"
        write_atomically(path, json.dumps(found, indent=1) + "\n")
        print(f"wrote {path.name}; python -m mnist_lib report puts the ratios into the README")


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


# ---- training steps ------------------------------------------------------------------------------


def compare(name: str, digits: Digits, device: str, rounds: int) -> dict:
    """Seconds of every variant in every round, the ratios to the library, and its breakdown."""
    recipe = measure.RECIPES[name]
    # (a) in a process of its own, as a tutorial's: there the library has tuned nothing
    with measure.spawned(plain.prepare, recipe, len(digits.train_labels), device) as loops:
        ask = partial(measure.answer, loops, plain.seconds)
        variants = {f"plain, {n} workers": partial(ask, n, device) for n in plain.WORKERS}
        variants["library"] = measure.library_loop(recipe, digits, device)
        variants["floor"] = partial(measure.timed, floor_variant(recipe, digits, device), device)
        seconds = measure.alternate(variants, rounds)
    ratios = measure.relative_to("library", seconds)
    shares = breakdown(recipe, digits, device)
    print(f"{name}: times as long as the library: {measure.in_words(ratios)}")
    print("    library:", ", ".join(f"{part} {s:.0%}" for part, s in shares.items()), flush=True)
    return {"seconds": seconds, "times as long as the library": ratios, "breakdown": shares}


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


def breakdown(recipe: Recipe, digits: Digits, device: str) -> dict[str, float]:
    """Shares of the library's time; on a GPU it waits after each part, so there they only hint."""
    batches, model, optimizer, schedule = measure.built(recipe, digits, device)
    spent = dict.fromkeys(("data", "forward", "backward", "optimizer", "rest"), 0.0)
    last = time.perf_counter()

    def until_now(part: str) -> None:
        nonlocal last
        measure.finish(device)
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


if __name__ == "__main__":
    main()
