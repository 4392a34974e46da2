"""Training: the only room with a backward pass."""

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.augment import Batches
from mnist_lib.data import Digits
from mnist_lib.device import (
    choose_device,
    generator,
    keep_freed_memory,
    own_randomness,
    placed,
)
from mnist_lib.progress import Progress
from mnist_lib.recipes import Recipe
from mnist_lib.summary import INPUT_SIZE

CLASSES = 10
EVALUATION_BATCH = 1_000
SHORT_EPOCHS, SHORT_IMAGES = 2, 1_280  # of a shortened run, which only shows that all works


@dataclass
class Run:
    """One finished (or interrupted) training.

    history  one dict per finished epoch, see `fit`
    seconds  wall time of training and evaluation together
    """

    recipe: Recipe
    seed: int
    device: str
    model: nn.Module
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    short: bool = False
    interrupted: bool = False

    def __str__(self) -> str:
        kind = "shortened run, its accuracy means nothing: " if self.short else ""
        minutes, seconds = divmod(round(self.seconds), 60)
        return (
            f"{kind}'{self.recipe.name}', seed {self.seed}, {len(self.history)} epochs "
            f"on {self.device} in {minutes} min {seconds} s"
        )

    def table(self) -> pd.DataFrame:
        """The history as a table, one row per epoch."""
        return pd.DataFrame(self.history or {"epoch": []}).set_index("epoch")


def fit(
    recipe: Recipe, digits: Digits, seed: int = 1, device: str = "auto", quiet: bool = False
) -> Run:
    """Train a new network by the recipe and evaluate it after every epoch.

    digits   from load_mnist(holdout=recipe.holdout)
    seed     gives separate generators for the weights, the order and the augmentation
    device   'auto' (CUDA, else MPS, else CPU) or a name of PyTorch's
    quiet    show nothing while it runs
    returns  a Run whose history holds per epoch: learning_rate (at its first step), train_loss and
             train_accuracy (running, in train mode, on augmented images), validation_* and test_*
             (exact, all images), seconds
    raises   ValueError for settings that cannot work, before anything is trained;
             FloatingPointError when the loss stops being a number

    Ctrl-C or Jupyter's stop button ends the run and keeps the finished epochs. With
    MNIST_LIB_SHORT=1 two epochs on few images show that all works; such a run says it is short.
    """
    device = choose_device(device)
    digits, epochs, short = shorten(digits, recipe)
    check(recipe, epochs)
    keep_freed_memory()
    model = placed(new_network(recipe, seed), device)
    training = training_batches(recipe, digits, seed, device)
    parts = {
        part: Batches(images, labels, min(EVALUATION_BATCH, len(labels)), device=device)
        for part, images, labels in (
            ("validation", digits.validation_images, digits.validation_labels),
            ("test", digits.test_images, digits.test_labels),
        )
        if len(labels)
    }
    optimizer = recipe.optimizer.build(model)
    schedule = recipe.schedule.build(optimizer, steps=len(training), epochs=epochs)
    run = Run(recipe, seed, device, model, short=short)
    progress = Progress(epochs, len(training), quiet)
    started = time.perf_counter()
    try:
        for epoch in range(1, epochs + 1):
            epoch_started = time.perf_counter()
            learning_rate = schedule.get_last_lr()[0]
            with own_randomness(3_000_003 + 1_000 * seed + epoch, device):
                loss, accuracy = train_epoch(
                    model, training, optimizer, schedule, partial(progress.step, epoch)
                )
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the training loss of '{recipe.name}' became {loss} in epoch {epoch}: "
                    "the learning rate is probably too high"
                )
            row = {
                "epoch": epoch,
                "learning_rate": learning_rate,
                "train_loss": loss,
                "train_accuracy": accuracy,
            }
            for part, batches in parts.items():
                row[f"{part}_loss"], row[f"{part}_accuracy"] = evaluate(model, batches)
            row["seconds"] = time.perf_counter() - epoch_started
            run.history.append(row)
            run.seconds = time.perf_counter() - started
            progress.line(epoch_line(row, epochs))
    except KeyboardInterrupt:
        run.interrupted = True
        progress.line(f"interrupted: {len(run.history)} of {epochs} epochs are finished and kept")
    finally:
        progress.close()
    return run


def train_epoch(model, batches: Iterable, optimizer, schedule=None, after_step=None):
    """One pass over the batches with one optimizer step each.

    returns  mean loss (nats per image) and accuracy (0..1), as seen while training: with dropout,
             with augmentation and with weights that change from batch to batch
    """
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for step, (x, y) in enumerate(batches, start=1):
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        # these stay on the device: reading a number in every step would make the device wait
        loss_sum = loss_sum + loss.detach() * len(y)
        correct = correct + (logits.detach().argmax(1) == y).sum()
        count += len(y)
        if after_step is not None:
            after_step(step)
    return float(loss_sum) / count, int(correct) / count


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable) -> tuple[float, float]:
    """Mean loss (nats per image) and accuracy (0..1) over all images, in eval mode.

    A sum over images, divided once: the last batch may be short.
    """
    model.eval()
    loss_sum, correct, count = 0.0, 0, 0
    for x, y in batches:
        logits = model(x)
        loss_sum = loss_sum + F.cross_entropy(logits, y, reduction="sum")
        correct = correct + (logits.argmax(1) == y).sum()
        count += len(y)
    return float(loss_sum) / count, int(correct) / count


@torch.no_grad()
def predict(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Class probabilities float32 (n, 10) for uint8 images (n, 1, 28, 28), on the CPU."""
    model.eval()
    device = next(model.parameters()).device
    unused_labels = torch.zeros(len(images), dtype=torch.long)
    batches = Batches(images, unused_labels, min(EVALUATION_BATCH, len(images)), device=device)
    return torch.cat([model(x).softmax(1).cpu() for x, _ in batches])


def new_network(recipe: Recipe, seed: int) -> nn.Module:
    """The recipe's network, its weights drawn from this seed alone."""
    with own_randomness(seed):
        return recipe.network()


def training_batches(recipe: Recipe, digits: Digits, seed: int, device: str) -> Batches:
    """The recipe's shuffled and augmented batches for this seed."""
    return Batches(
        digits.train_images,
        digits.train_labels,
        recipe.batch_size,
        recipe.augment,
        generator(seed, "order"),
        generator(seed, "augmentation", device),
        device,
    )


def is_short() -> bool:
    """Whether MNIST_LIB_SHORT asks for shortened runs."""
    return os.environ.get("MNIST_LIB_SHORT", "0") not in ("", "0")


def shorten(digits: Digits, recipe: Recipe) -> tuple[Digits, int, bool]:
    """Few images and epochs if MNIST_LIB_SHORT asks for it, else all: (digits, epochs, short)."""
    if not is_short():
        return digits, recipe.epochs, False
    return digits.first(SHORT_IMAGES), min(recipe.epochs, SHORT_EPOCHS), True


def check(recipe: Recipe, epochs: int) -> None:
    """Refuse what cannot work before any time is spent on it."""
    if epochs < 1:
        raise ValueError(f"'{recipe.name}' asks for {epochs} epochs; at least 1 is needed")
    with torch.no_grad():
        shape = tuple(new_network(recipe, seed=0).eval()(torch.zeros(2, *INPUT_SIZE)).shape)
    if shape != (2, CLASSES):
        raise ValueError(
            f"the network of '{recipe.name}' turns 2 images into {shape}; "
            f"it must give logits of shape {(2, CLASSES)}"
        )


def epoch_line(row: dict, epochs: int) -> str:
    """The one line that a notebook keeps of an epoch."""
    accuracies = [
        f"{part} {row[f'{part}_accuracy']:7.2%}   "
        for part in ("train", "validation", "test")
        if f"{part}_accuracy" in row
    ]
    return (
        f"epoch {row['epoch']:2d}/{epochs}   loss {row['train_loss']:.4f}   "
        f"{''.join(accuracies)}{row['seconds']:5.1f} s"
    )
