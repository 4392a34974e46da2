"""What each trick of `mnist_lib.engine` brings to a training step on a CPU, with one thread."""

from contextlib import ExitStack
from functools import partial

import measure
import torch
from measure import RECIPES, alternate, answer, in_words, library_loop, relative_to, spawned
from torch import nn

from mnist_lib.data import load_mnist
from mnist_lib.engine import layers

TRICKS = ("channels last", "dropout", "kept memory")
LOOPS = {}  # of this process, by step


def measured(steps: list[str], images: int, rounds: int) -> dict:
    """How many times as long each step takes without each of the tricks.

    Every variant has a process of its own, because what one of them sets holds for all of it.
    """
    found = {}
    with ExitStack() as stack:
        processes = {
            left_out: stack.enter_context(spawned(prepare, left_out, steps, images))
            for left_out in ("", *TRICKS)
        }
        for step in steps:
            loops = {name: partial(answer, p, seconds, step) for name, p in processes.items()}
            found[step] = relative_to("", alternate(loops, rounds))
            print(f"{step}: times as long without {in_words(found[step])}", flush=True)
    return {"times as long without": found}


def seconds(step: str) -> float:
    return LOOPS[step]()


def prepare(left_out: str, steps: list[str], images: int) -> None:
    """One loop for each step, as `fit` runs it but for the trick that is left out."""
    torch.set_num_threads(1)
    if left_out == "channels last":
        measure.accelerate = without_layout
    if left_out == "dropout":
        layers.Dropout.forward = nn.Dropout.forward
    if left_out == "kept memory":
        layers.keep_freed_memory = lambda: None
    digits = load_mnist().first(images)
    for step in steps:
        LOOPS[step] = library_loop(RECIPES[step], digits, "cpu")


def without_layout(model: nn.Module, device: str) -> nn.Module:
    """`accelerate` but for the layout: every weight as if it had never had another."""
    for parameter in layers.accelerate(model, device).parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    return model
