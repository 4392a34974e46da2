"""How the benchmarks measure: variants by turns, ratios within a round, medians and ranges."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from mnist_lib.data import Digits
from mnist_lib.engine.machine import accelerate
from mnist_lib.recipes import Recipe
from mnist_lib.train import train_epoch, training_batches

WARM_UP = 1  # rounds that are not counted: caches, memory, the choice of kernels


def alternate(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each variant returns in every round; they take turns, so a slow minute hits them all."""
    found = {name: [] for name in variants}
    for number in range(WARM_UP + rounds):
        for name, variant in variants.items():
            value = variant()
            if number >= WARM_UP:
                found[name].append(value)
    return found


def relative_to(base: str, seconds: dict[str, list[float]]) -> dict[str, dict]:
    """How many times as long as this variant each other takes, round by round."""
    return {
        name: summary([other / ours for other, ours in zip(spent, seconds[base], strict=True)])
        for name, spent in seconds.items()
        if name != base
    }


def summary(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


def ranges(spreads: dict) -> str:
    """Such as 'floor 0.98 (0.92 to 1.02)'."""
    return ", ".join(
        f"{name} {s['median']:.2f} ({s['lowest']:.2f} to {s['highest']:.2f})"
        for name, s in spreads.items()
    )


def spawned(prepare: Callable, *arguments) -> ProcessPoolExecutor:
    """A process of its own, prepared by this function."""
    return ProcessPoolExecutor(1, get_context("spawn"), prepare, arguments)


def answer(process: ProcessPoolExecutor, function: Callable, *arguments):
    """What the function returns in that process."""
    return process.submit(function, *arguments).result()


def timed(variant: Callable, device: str) -> float:
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


def built(recipe: Recipe, digits: Digits, device: str) -> tuple:
    """The library's batches, network, optimizer and schedule, as `fit` makes them."""
    batches = training_batches(recipe, digits, 1, device)
    model = accelerate(recipe.new_network(seed=1), device)
    optimizer = recipe.optimizer.build(model)
    return batches, model, optimizer, recipe.schedule.build(optimizer, len(batches), 1_000)


def library_loop(recipe: Recipe, digits: Digits, device: str) -> Callable[[], float]:
    """A function that trains for one pass as `fit` does, and returns its wall seconds."""
    batches, model, optimizer, schedule = built(recipe, digits, device)
    return lambda: timed(lambda: train_epoch(model, batches, optimizer, schedule), device)
