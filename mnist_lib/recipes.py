"""Recipes: what makes one run, written down so that two runs can be compared line by line.

A step of the journey is made from its parent by naming only what changes.
"""

import difflib
import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace

import torch
from torch import nn

from mnist_lib.augment import Augmentation
from mnist_lib.schedules import SGD, Adam, Constant, Schedule


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run except its seed and its machine.

    name     begins with the number of its notebook; a published system's is its id
    change   what is new against the parent, in a few words for the ledger
    holdout  training images set aside for validation
    """

    name: str
    change: str
    network: Callable[[], nn.Module]
    optimizer: SGD | Adam
    schedule: Schedule = Constant()
    augment: Augmentation | None = None
    batch_size: int = 128
    epochs: int = 15
    holdout: int = 5_000
    parent: "Recipe | None" = field(default=None, repr=False, compare=False)

    def but(self, name: str, change: str, **changes) -> "Recipe":
        """The next step: this recipe with these changes, remembering where it comes from."""
        return replace(self, name=name, change=change, parent=self, **changes)

    def settings(self) -> dict[str, str]:
        """All that decides the result, each setting as readable text."""
        left_out = ("name", "change", "parent")
        return {
            setting.name: as_text(getattr(self, setting.name))
            for setting in fields(self)
            if setting.name not in left_out
        }

    def fingerprint(self) -> str:
        """Short hash of settings and layers: a record with another fingerprint is out of date.

        The layers count too, because a network can be edited without changing its name. How their
        first weights are drawn is not seen.
        """
        with torch.device("meta"):  # shapes are all that counts, and they cost nothing there
            network = self.network()
        text = json.dumps([self.settings(), *map(layer_facts, network.modules())])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def changes(self) -> str:
        """The difference to the parent as a diff: settings first, then the network's source."""
        if self.parent is None:
            return "\n".join(f"+ {name} = {value}" for name, value in self.settings().items())
        before, after = self.parent.settings(), self.settings()
        lines = []
        for name, value in after.items():
            if before[name] != value:
                lines += [f"- {name} = {before[name]}", f"+ {name} = {value}"]
        old, new = source(self.parent.network), source(self.network)
        if old != new:
            diff = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=99)
            lines += ["", *list(diff)[3:]]
        return "\n".join(lines)


def layer_facts(layer: nn.Module) -> list[str]:
    """Kind, shapes and window of a layer; not its `repr`, which changes with PyTorch's version."""
    shapes = [str(tuple(parameter.shape)) for parameter in layer.parameters(recurse=False)]
    window = [str(getattr(layer, name, "")) for name in ("kernel_size", "stride", "padding", "p")]
    return [type(layer).__name__, *shapes, *window]


def as_text(value) -> str:
    """A setting as text that is the same in every process: no addresses, defaults written out."""
    if isinstance(value, functools.partial):
        named = [f"{name}={as_text(item)}" for name, item in value.keywords.items()]
        return f"{value.func.__name__}({', '.join([*map(as_text, value.args), *named])})"
    if inspect.isfunction(value):
        return value.__name__
    if hasattr(value, "to_dict") and hasattr(value, "transforms"):  # an albumentations.Compose
        steps = [step.to_dict()["transform"] for step in value.transforms]
        return json.dumps(steps, sort_keys=True)
    if is_dataclass(value):
        arguments = ", ".join(f"{f.name}={as_text(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({arguments})"
    return repr(value)


def source(network: Callable) -> str:
    """The source text of a network function, without the settings of a partial."""
    return inspect.getsource(network.func if isinstance(network, functools.partial) else network)
