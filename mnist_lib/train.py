"""Training: the only module with a backward pass."""

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from mnist_lib.data import Batches, Digits
from mnist_lib.engine import machine
from mnist_lib.recipes import Recipe
from mnist_lib.records import Run

EVALUATION_BATCH = 1_000


def fit(
    recipe: Recipe,
    digits: Digits,
    seed: int = 1,
    device: str = "auto",
    threads: int = 1,
    quiet: bool = False,
    after_epoch: Callable[[dict], None] | None = None,
) -> Run:
    """Train a new network by the recipe and evaluate it after every epoch.

    Args:
        recipe: what to train, and how.
        digits: from ``load_mnist(fold=recipe.fold(seed))``.
        seed: gives separate generators for the weights, the order and the augmentation.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a name of PyTorch's.
        threads: of the CPU; another number changes the last digits of all results.
        quiet: shows nothing while it runs.
        after_epoch: gets each row of the history as it is made.

    Returns:
        A `Run`, which says if it was interrupted by Ctrl-C, or shortened by MNIST_LIB_SHORT=1.

    Raises:
        ValueError: at once for what cannot work.
        FloatingPointError: if a loss is no number any more.
    """
    device = machine.choose_device(device)
    machine.check_count("threads", threads)
    machine.check_count("seed", seed, lowest=0)
    check_fold(recipe, digits, seed)
    planned = recipe
    if machine.is_short():  # few images and epochs only show that all works
        digits, planned = digits.first(1_280), replace(recipe, epochs=min(recipe.epochs, 2))
    with machine.use_threads(threads):
        training = training_batches(planned, digits, seed, device)
        planned.check(training.count)
        evaluation = evaluation_batches(digits, device)
        model = machine.accelerate(planned.new_network(seed), device)
        optimizer = planned.optimizer.build(model)
        schedule = planned.schedule.build(optimizer, len(training), planned.epochs)
        made_on = machine.describe_machine(device)
        run = Run(recipe, seed, model, digits.fold, digits.sizes(), made_on)
        bar = progress_bar(len(training), quiet)
        try:
            for epoch in range(1, planned.epochs + 1):
                started = time.perf_counter()
                row = {"epoch": epoch, "learning_rate": schedule.get_last_lr()[0]}
                bar.reset()
                with machine.seeded(machine.epoch_seed(seed, epoch), device):
                    measured = train_epoch(model, training, optimizer, schedule, bar.update)
                row["train_loss"], row["train_accuracy"] = measured
                for part, batches in evaluation.items():
                    row[f"{part}_loss"], row[f"{part}_accuracy"] = evaluate(model, batches)
                check_losses(recipe, row)
                row["seconds"] = time.perf_counter() - started
                run.history.append(row)
                if not quiet:
                    tqdm.write(epoch_line(row, planned.epochs), file=sys.stdout)
                if after_epoch is not None:
                    after_epoch(row)
            clean = clean_batches(digits.train_images, digits.train_labels, device)
            run.clean_train_accuracy = evaluate(model, clean)[1]
        except KeyboardInterrupt:  # Ctrl-C, or Jupyter's stop button
            run.interrupted = True
            print(f"interrupted after {len(run.history)} of {planned.epochs} epochs")
        finally:
            bar.close()
    run.seconds = sum(row["seconds"] for row in run.history)
    return run


def check_fold(recipe: Recipe, digits: Digits, seed: int) -> None:
    """ValueError unless the digits are cut as this recipe and this seed want them."""
    asked, found = recipe.fold(seed), digits.fold
    if found is None:  # other digits: only whether there are any to validate on
        asked, found = bool(asked), bool(len(digits.validation_labels))
    if asked != found:
        raise ValueError(
            f"'{recipe.name}' with seed {seed} validates on fold {asked or 'none'}, these digits "
            f"on {found or 'none'}: load_mnist(fold=recipe.fold(seed)) makes them fit"
        )


def check_losses(recipe: Recipe, row: dict) -> None:
    """FloatingPointError if a loss of this epoch is no number any more."""
    for name, value in row.items():
        if name.endswith("_loss") and not math.isfinite(value):
            raise FloatingPointError(
                f"{name} of '{recipe.name}' became {value} in epoch {row['epoch']}: "
                "the learning rate is probably too high"
            )


def progress_bar(steps: int, quiet: bool) -> tqdm:
    """A bar of an epoch's steps where somebody watches; what is saved is one line an epoch."""
    is_watched = "ipykernel" in sys.modules or sys.stdout.isatty()
    hidden = quiet or not is_watched or not machine.is_on("MNIST_LIB_LIVE", default="1")
    return tqdm(total=steps, unit="step", leave=False, file=sys.stdout, disable=hidden)


def epoch_line(row: dict, epochs: int) -> str:
    """The one line that a notebook keeps of an epoch; test accuracy only without validation."""
    parts = ("train", "validation" if "validation_accuracy" in row else "test")
    shown = [f"{p} {row[f'{p}_accuracy']:7.2%}   " for p in parts if f"{p}_accuracy" in row]
    return (
        f"epoch {row['epoch']:2d}/{epochs}   loss {row['train_loss']:.4f}   "
        f"{''.join(shown)}{row['seconds']:5.1f} s"
    )


def train_epoch(
    model: nn.Module, batches: Batches, optimizer, schedule=None, after_step: Callable | None = None
) -> tuple[float, float]:
    """One pass over the batches with one optimizer step each.

    Returns:
        Mean loss in nats per image and accuracy (0..1), as seen while training: with dropout,
        with augmentation and with weights that change from batch to batch.
    """
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for x, y in batches:
        logits, loss = train_step(model, x, y, optimizer)
        if schedule is not None:
            schedule.step()
        # these stay on the device: reading a number in every step would make the device wait
        loss_sum += loss * len(y)
        classes = y if y.ndim == 1 else y.argmax(1)  # a teacher gives probabilities
        correct += (logits.argmax(1) == classes).sum()
        count += len(y)
        batches.note(logits, y)
        if after_step is not None:
            after_step()
    return float(loss_sum) / count, int(correct) / count


def train_step(model, x, y, optimizer) -> tuple[torch.Tensor, torch.Tensor]:
    """One step downhill; returns the logits and the loss before it."""
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


def training_batches(recipe: Recipe, digits: Digits, seed: int, device: str) -> Batches:
    """The recipe's shuffled and augmented batches for this seed."""
    return recipe.batches(
        digits.train_images,
        digits.train_labels,
        recipe.batch_size,
        recipe.augment,
        order=machine.generator(seed, "order"),
        draws=machine.generator(seed, "augmentation", device),
        device=device,
        epochs=recipe.epochs,
    )


def evaluation_batches(digits: Digits, device: str) -> dict[str, Batches]:
    """Batches of the validation and the test images, as far as there are any."""
    parts = {
        "validation": (digits.validation_images, digits.validation_labels),
        "test": (digits.test_images, digits.test_labels),
    }
    return {part: clean_batches(*both, device) for part, both in parts.items() if len(both[0])}


def clean_batches(images, labels, device: str | torch.device = "cpu") -> Batches:
    """All images as they are and in their order, in batches as large as is fast."""
    return Batches(images, labels, min(EVALUATION_BATCH, len(labels)), device=device)
