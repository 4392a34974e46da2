"""Training: the only module with a backward pass."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.data import Batches, Digits
from mnist_lib.engine import checks
from mnist_lib.engine.device import (
    choose_device,
    describe_machine,
    epoch_seed,
    generator,
    seeded,
    use_threads,
)
from mnist_lib.engine.environment import is_short
from mnist_lib.engine.layers import accelerate
from mnist_lib.engine.progress import Progress
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run

EVALUATION_BATCH = 1_000


def fit(
    recipe: Recipe,
    digits: Digits,
    seed: int = 1,
    device: str | torch.device = "auto",
    threads: int = 1,
    quiet: bool = False,
    after_epoch: Callable[[dict], None] | None = None,
) -> Run:
    """Train a new network by the recipe and evaluate it after every epoch.

    digits   from load_mnist(fold=recipe.fold(seed))
    seed     gives separate generators for the weights, the order and the augmentation
    device   'auto' (CUDA, else MPS, else CPU) or a name of PyTorch's
    threads  of the CPU; another number changes the last digits of all results
    quiet    shows nothing while it runs; after_epoch gets each row of the history as it is made
    returns  a Run that says if it was interrupted by Ctrl-C (or short: with MNIST_LIB_SHORT=1)
    raises   ValueError at once for what cannot work; FloatingPointError if a loss is no number
    """
    device = choose_device(device)
    checks.check_run(recipe, digits, seed, threads)
    digits, epochs = shortened(digits, recipe.epochs)
    with use_threads(threads):
        model = accelerate(recipe.new_network(seed), device)
        training = training_batches(recipe, digits, seed, device)
        evaluation = evaluation_batches(digits, device)
        optimizer = recipe.optimizer.build(model)
        schedule = recipe.schedule.build(optimizer, len(training), epochs)
        run = Run(recipe, seed, model, digits.fold, digits.sizes(), describe_machine(device))
        with Progress(epochs, len(training), quiet, after_epoch) as progress:
            for epoch in progress:
                row = {"epoch": epoch, "learning_rate": schedule.get_last_lr()[0]}
                with seeded(epoch_seed(seed, epoch), device):
                    measured = train_epoch(model, training, optimizer, schedule, progress.step)
                row["train_loss"], row["train_accuracy"] = measured
                for part, batches in evaluation.items():
                    row[f"{part}_loss"], row[f"{part}_accuracy"] = evaluate(model, batches)
                checks.check_losses(recipe, row)
                run.history.append(progress.finish_epoch(row))
            run.clean_train_accuracy = clean_accuracy(model, digits, device)
    run.seconds, run.interrupted = sum(row["seconds"] for row in run.history), progress.interrupted
    return run


def clean_accuracy(model: nn.Module, digits: Digits, device: str) -> float:
    """Accuracy (0..1) on the training images as they are, without augmentation and dropout."""
    return evaluate(model, clean_batches(digits.train_images, digits.train_labels, device))[1]


def train_epoch(model, batches: Iterable, optimizer, schedule=None, after_step=None):
    """One pass over the batches with one optimizer step each.

    returns  mean loss (nats per image) and accuracy (0..1), as seen while training: with dropout,
             with augmentation and with weights that change from batch to batch
    """
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    note = getattr(batches, "note", None)  # batches that depend on losses want to know them
    for step, (x, y) in enumerate(batches, start=1):
        logits, loss = train_step(model, x, y, optimizer)
        if schedule is not None:
            schedule.step()
        # these stay on the device: reading a number in every step would make the device wait
        loss_sum += loss * len(y)
        correct += (logits.argmax(1) == y).sum()
        count += len(y)
        if note is not None:
            note(logits, y)
        if after_step is not None:
            after_step(step)
    return float(loss_sum) / count, int(correct) / count


def train_step(model, x, y, optimizer) -> tuple[torch.Tensor, torch.Tensor]:
    """One step downhill; returns logits and loss before it."""
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return logits.detach(), loss.detach()


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable) -> tuple[float, float]:
    """Mean loss (nats per image) and accuracy (0..1) over all images, in eval mode."""
    model.eval()
    loss_sum, correct, count = 0.0, 0, 0  # sums over images: the last batch may be short
    for x, y in batches:
        logits = model(x)
        loss_sum += F.cross_entropy(logits, y, reduction="sum")
        correct += (logits.argmax(1) == y).sum()
        count += len(y)
    return float(loss_sum) / count, int(correct) / count


@torch.no_grad()
def predict(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Class probabilities float32 (n, 10) for uint8 images (n, 1, 28, 28), on the CPU."""
    model.eval()
    unused_labels = torch.zeros(len(images), dtype=torch.long)
    batches = clean_batches(images, unused_labels, next(model.parameters()).device)
    return torch.cat([model(x).softmax(1).cpu() for x, _ in batches])


def shortened(digits: Digits, epochs: int) -> tuple[Digits, int]:
    """Few images and epochs if MNIST_LIB_SHORT asks for it, which only shows that all works."""
    return (digits.first(1_280), min(epochs, 2)) if is_short() else (digits, epochs)


def training_batches(recipe: Recipe, digits: Digits, seed: int, device: str) -> Batches:
    """The recipe's shuffled and augmented batches for this seed."""
    images, labels = digits.train_images, digits.train_labels
    order, draws = generator(seed, "order"), generator(seed, "augmentation", device)
    return recipe.batches(images, labels, recipe.batch_size, recipe.augment, order, draws, device)


def evaluation_batches(digits: Digits, device: str) -> dict[str, Batches]:
    """Batches of the validation and the test images, as far as there are any."""
    parts = {
        "validation": (digits.validation_images, digits.validation_labels),
        "test": (digits.test_images, digits.test_labels),
    }
    return {
        part: clean_batches(images, labels, device)
        for part, (images, labels) in parts.items()
        if len(images) or len(labels)
    }


def clean_batches(images, labels, device: str | torch.device = "cpu") -> Batches:
    """All images as they are and in their order, in batches as large as is fast."""
    return Batches(images, labels, min(EVALUATION_BATCH, len(labels)), device=device)


def find_learning_rate(
    recipe: Recipe,
    digits: Digits,
    seed: int = 1,
    device: str | torch.device = "auto",
    lowest: float = 1e-4,
    highest: float = 10.0,
    steps: int = 300,
    smoothing: float = 0.9,
) -> pd.DataFrame:
    """Train a new network while the learning rate grows from step to step (Smith 2015).

    smoothing  weight of the past in the running mean of the loss, without bias at the start
    returns    table of learning_rate and smoothed training loss; it ends early once the loss is
               four times its lowest value or no number any more
    Uses training images only and leaves nothing behind: the run that follows starts afresh.
    """
    device = choose_device(device)
    checks.check_recipe(recipe, seed)
    rows, mean = [], 0.0
    with use_threads(1), seeded(seed, device):
        model = accelerate(recipe.new_network(seed), device).train()
        optimizer = recipe.optimizer.build(model)
        batches = training_batches(recipe, digits, seed, device)
        rates = np.geomspace(lowest, highest, min(steps, len(batches))).tolist()
        for step, (rate, (x, y)) in enumerate(zip(rates, batches, strict=False), start=1):
            for group in optimizer.param_groups:
                group["lr"] = rate
            _, loss = train_step(model, x, y, optimizer)
            mean = smoothing * mean + (1 - smoothing) * loss.item()
            smoothed = mean / (1 - smoothing**step)
            if not np.isfinite(smoothed):
                break
            rows.append({"learning_rate": rate, "loss": smoothed})
            if smoothed > 4 * min(row["loss"] for row in rows):
                break
    return pd.DataFrame(rows)


def rate_of_lowest_loss(table: pd.DataFrame) -> float:
    """The rate at which the smoothed loss was lowest: above it the training gets worse."""
    return float(table.loc[table["loss"].idxmin(), "learning_rate"])
