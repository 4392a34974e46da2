"""Recipes: what makes one run, written down so that two runs can be compared line by line.

A step is made from its parent by naming only what changes. Optimizers and schedules of the
learning rate are plain descriptions here, which a training builds.
"""

import difflib
import functools
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, StepLR

from mnist_lib.data import CLASSES, FOLD_RULE, FOLDS, IMAGE, Batches
from mnist_lib.engine.fingerprint import as_text, computation, short_hash
from mnist_lib.engine.machine import check_count, seeded, use_threads


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum."""

    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            model.parameters(), self.learning_rate, self.momentum, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015)."""

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            model.parameters(), self.learning_rate, self.betas, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class Constant:
    """The optimizer's learning rate throughout."""

    def build(self, optimizer: torch.optim.Optimizer, steps: int, epochs: int) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: 1.0)


@dataclass(frozen=True)
class StepDecay:
    """The learning rate times `factor` after every `every` epochs."""

    every: int
    factor: float = 0.1

    def build(self, optimizer: torch.optim.Optimizer, steps: int, epochs: int) -> LRScheduler:
        return StepLR(optimizer, self.every * steps, self.factor)


@dataclass(frozen=True)
class OneCycle:
    """Up to `peak` in the first `warmup` part of the run, then down to almost nothing (Smith 2018).

    PyTorch's OneCycleLR also cycles the momentum between 0.85 and 0.95 unless told not to, and
    silently overwrites the optimizer's own. Here that happens only with ``cycle_momentum=True``.
    """

    peak: float
    warmup: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4
    anneal: str = "cos"
    cycle_momentum: bool = False

    def build(self, optimizer: torch.optim.Optimizer, steps: int, epochs: int) -> LRScheduler:
        total = steps * epochs
        # a phase of exactly one step has no width, and PyTorch would divide by it
        steps_up = self.warmup * total
        has_no_width = min(abs(steps_up - 1), abs(steps_up - total)) < 1e-6
        warmup = self.warmup * (0.999 if has_no_width else 1)
        return OneCycleLR(
            optimizer,
            self.peak,
            total_steps=total,
            pct_start=warmup,
            anneal_strategy=self.anneal,
            cycle_momentum=self.cycle_momentum,
            div_factor=self.start_divisor,
            final_div_factor=self.end_divisor,
        )


Schedule = Constant | StepDecay | OneCycle


def learning_rates(optimizer: SGD | Adam, schedule: Schedule, steps: int, epochs: int) -> list:
    """The learning rate of every step of a run, without running it."""
    built = optimizer.build(nn.Linear(1, 1, device="meta"))  # draws no random numbers
    scheduler = schedule.build(built, steps, epochs)
    rates = []
    for _ in range(steps * epochs):
        rates.append(scheduler.get_last_lr()[0])
        built.step()
        scheduler.step()
    return rates


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run except its seed and its machine.

    Attributes:
        name: begins with the number of its notebook; a published system's is its id. It names a
            folder, too: letters and digits with . _ - between them.
        change: what is new against the parent, in a few words for the ledger.
        network: makes a new network with random weights.
        optimizer: `SGD`, `Adam` or a dataclass with the same ``build``.
        schedule: of the learning rate.
        augment: see `augment.py`.
        batch_size: images of a step.
        epochs: passes over the training images.
        folds: 10, and a run holds out the tenth of the training images that its seed says; or 0,
            and it trains on all of them.
        batches: makes the batches of an epoch, as `Batches` does.
        parent: the recipe that this one changes.

    Raises:
        ValueError: for a name that names no folder, or another number of folds.
    """

    name: str
    change: str
    network: Callable[[], nn.Module]
    optimizer: SGD | Adam
    schedule: Schedule = Constant()
    augment: Callable | None = None
    batch_size: int = 128
    epochs: int = 15
    folds: int = FOLDS
    batches: Callable[..., Batches] = Batches
    parent: "Recipe | None" = field(default=None, repr=False, compare=False)

    def __post_init__(self):
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", self.name):
            raise ValueError(f"'{self.name}' is no recipe's name: use letters, digits and . _ -")
        if self.folds not in (0, FOLDS):
            raise ValueError(f"'{self.name}' has {self.folds!r} folds; it can have {FOLDS} or 0")

    def but(self, name: str, change: str, **changes) -> "Recipe":
        """The next step: this recipe with these changes, remembering where it comes from."""
        return replace(self, name=name, change=change, parent=self, **changes)

    def new_network(self, seed: int) -> nn.Module:
        """The network, its weights drawn from this seed alone."""
        with seeded(seed):
            return self.network()

    def fold(self, seed: int) -> int:
        """The fold that a run with this seed validates on: 1..10 in turn, 0 if it trains on all."""
        return (seed - 1) % self.folds + 1 if self.folds else 0

    def settings(self) -> dict[str, str]:
        """All that decides the result, each setting as readable text."""
        return {
            setting.name: as_text(getattr(self, setting.name))
            for setting in fields(self)
            if setting.name not in ("name", "change", "parent")
            and (setting.name, getattr(self, setting.name)) != ("batches", Batches)
        }

    def check(self, count: int) -> None:
        """Try before any time is spent what a run will do, with its last batch and all its steps.

        Args:
            count: images of an epoch.

        Raises:
            ValueError: that says what cannot work, and why.
        """
        check_count(f"the number of epochs of '{self.name}'", self.epochs)
        network = self.new_network(seed=0)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise ValueError(f"the network of '{self.name}' has no parameters to train")
        last_batch = (count - 1) % self.batch_size + 1
        for mode, size in (("evaluation", 2), ("training", last_batch)):
            try:
                with torch.no_grad(), seeded(0):
                    images = torch.randn(size, *IMAGE)
                    checked_logits(network.train(mode == "training")(images), size)
            except Exception as error:  # whatever somebody's network may raise
                where = f"in {mode} mode on a batch of {size}"
                raise ValueError(f"the network of '{self.name}' fails {where}: {error}") from error
        steps = math.ceil(count / self.batch_size)
        try:
            learning_rates(self.optimizer, self.schedule, steps, self.epochs)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(
                f"optimizer or schedule of '{self.name}' fail in a run of {steps * self.epochs} "
                f"steps: {type(error).__name__}: {error}"
            ) from None

    def fingerprint(self) -> str:
        """Short hash of settings and network: a record with another fingerprint is out of date."""
        settings = self.settings()
        del settings["network"]  # it counts as what it computes, whatever its function is called
        return short_hash([settings, self.operations, FOLD_RULE])

    @functools.cached_property
    def operations(self) -> list[str]:
        """What the network computes, see `engine.fingerprint`."""
        with seeded(0), use_threads(1):
            return computation(self.network)

    def changes(self) -> str:
        """The difference to the parent as a diff: settings first, then the network's source."""
        if self.parent is None:
            return "\n".join(f"+ {name} = {value}" for name, value in self.settings().items())
        lines, before = [], self.parent.settings()
        for name, value in self.settings().items():
            if before[name] != value:
                lines += [f"- {name} = {before[name]}", f"+ {name} = {value}"]
        old, new = (source(recipe.network).splitlines() for recipe in (self.parent, self))
        diff = list(difflib.unified_diff(old, new, lineterm="", n=99))
        return "\n".join(lines + ["", *diff[3:]] if diff else lines)


def checked_logits(logits: torch.Tensor, count: int) -> torch.Tensor:
    """The logits, if there are ten finite ones for each of so many digits; else ValueError."""
    if not isinstance(logits, torch.Tensor):
        raise ValueError(f"forward returns a {type(logits).__name__}. Return the logits alone.")
    shape = tuple(logits.shape)
    if shape == (CLASSES,) and count == 1:
        raise ValueError("Of one digit, squeeze() removes the batch, too. Use flatten(1).")
    if shape[:1] != (count,):
        cause = "A view(-1, n) with the wrong n mixes digits. Use flatten(1)."
        raise ValueError(f"{count} digits give the shape {shape}. {cause}")
    if shape[1:] != (CLASSES,):
        raise ValueError(f"A digit gives the shape {shape[1:]}. It must give ten logits, (10,).")
    if not logits.isfinite().all():
        raise ValueError("The logits are NaN or infinite before any training. What divides by 0?")
    return logits


def source(network: Callable) -> str:
    """The source text of a network function, or of the class of a callable object."""
    if isinstance(network, functools.partial):
        return source(network.func)
    is_written = inspect.isroutine(network) or inspect.isclass(network)
    return inspect.getsource(network if is_written else type(network))
