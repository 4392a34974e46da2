"""Records: what a training leaves behind, one JSON file and one checkpoint per run.

The committed results are only read. What a reader runs goes to my-results/, and never counts among
the recorded seeds.
"""

import functools
import json
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import nn

from mnist_lib.engine.machine import (
    accelerate,
    is_short,
    output_folder,
    results_folder,
    write_atomically,
)
from mnist_lib.recipes import Recipe

HOW_TO_MAKE = "save(fit(recipe, digits, seed)) makes one, and so does python -m mnist_lib sweep"


class NoRecords(LookupError):
    """There is nothing recorded yet of what was asked for; the message says what makes it."""


@dataclass
class Run:
    """One finished or interrupted training.

    Attributes:
        fold: which tenth of the training images validated, see `data.Digits`.
        sizes: number of images in each part of the digits.
        machine: what it was trained on, when and with which commit.
        history: one dict per finished epoch: learning_rate (at its first step), train_loss and
            train_accuracy (running, in train mode, on augmented images), validation_* and test_*
            (all images, in eval mode), seconds. Losses are in nats per image, accuracies fractions.
        clean_train_accuracy: after the last epoch, in eval mode, on the plain training images.
        seconds: wall time of training and evaluation in all epochs.
    """

    recipe: Recipe
    seed: int
    model: nn.Module
    fold: int | None
    sizes: dict[str, int]
    machine: dict
    short: bool = field(default_factory=is_short)
    history: list[dict] = field(default_factory=list)
    clean_train_accuracy: float | None = None
    seconds: float = 0.0
    interrupted: bool = False

    def __str__(self) -> str:
        kind = "shortened run, its accuracy means nothing: " if self.short else ""
        kind = "interrupted, so this is no result: " if self.interrupted else kind
        minutes, seconds = divmod(round(self.seconds), 60)
        return (
            f"{kind}'{self.recipe.name}', seed {self.seed}, {len(self.history)} epochs "
            f"on {self.machine['device']} in {minutes} min {seconds} s"
        )

    def table(self) -> pd.DataFrame:
        """The history as a table, one row per epoch."""
        return pd.DataFrame(self.history or {"epoch": []}).set_index("epoch")


# ---- writing ------------------------------------------------------------------------------------


def save(run: Run) -> Path | None:
    """Write the record of a run and the checkpoint of its last epoch.

    Returns:
        The record's path in my-results/; that of the committed record if its history is the same
        to the last digit; None for an interrupted run, which is not saved.
    """
    if run.interrupted:
        print("an interrupted run is not saved: it cannot be compared")
        return None
    record = as_record(run)
    for known in load_records(results_folder(), run.recipe.name):
        if is_same(known, record):
            return path_of(known, results_folder())
    return save_record(record, weights_of(run.model), output_folder())


def save_record(record: dict, weights: bytes, folder: Path) -> Path:
    """Write a record and its checkpoint into a folder of results.

    The committed validation runs are many, and nothing needs their weights: these have none.
    """
    text, path = json.dumps(record, indent=1, allow_nan=False) + "\n", path_of(record, folder)
    checked(text)
    if record["sizes"]["test"] or folder != results_folder():
        write_atomically(path.with_suffix(".pt"), weights)
    write_atomically(path, text)  # last: where there is a record, the run is complete
    return path


def path_of(record: dict, folder: Path) -> Path:
    """<folder>/runs/<recipe>/seed-<n>.json, or validation/ for a run without test images."""
    kind = "runs" if record["sizes"]["test"] else "validation"
    return folder / kind / record["recipe"] / f"seed-{record['seed']}.json"


def is_same(record: dict, other: dict) -> bool:
    """Whether two records are of one computation: all but the seconds and the machine."""
    decisive = [
        (r["fingerprint"], r["seed"], [{**row, "seconds": 0} for row in r["history"]])
        for r in (record, other)
    ]
    return decisive[0] == decisive[1]


def weights_of(model: nn.Module) -> bytes:
    """The network's weights as `load_checkpoint` reads them."""
    content = BytesIO()
    weights = model.state_dict().items()
    torch.save({name: value.cpu().contiguous() for name, value in weights}, content)
    return content.getvalue()


def as_record(run: Run) -> dict:
    """The run in plain values, see `Record`."""
    recipe = run.recipe
    return {
        "schema": 3,
        "recipe": recipe.name,
        "change": recipe.change,
        "parent": recipe.parent.name if recipe.parent else None,
        "settings": recipe.settings(),
        "fingerprint": recipe.fingerprint(),
        "seed": run.seed,
        "fold": run.fold,
        "sizes": run.sizes,
        "short": run.short,
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "history": run.history,
        "clean_train_accuracy": run.clean_train_accuracy,
        "seconds": run.seconds,
        "machine": run.machine,
    }


# ---- reading ------------------------------------------------------------------------------------

Fraction = Annotated[float, Field(ge=0, le=1)]


class Epoch(BaseModel):
    """What every row of a history has; None where an early record did not keep it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")
    epoch: int
    train_loss: float | None
    train_accuracy: Fraction | None
    validation_accuracy: Fraction = 0
    test_accuracy: Fraction = 0
    seconds: float


class Sizes(BaseModel):
    """Number of images in each part."""

    model_config = ConfigDict(strict=True)
    train: int
    validation: int
    test: int


class Record(BaseModel):
    """What every record has, of the right type; other fields are welcome."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")
    recipe: str
    settings: dict[str, str]
    fingerprint: str
    seed: int
    sizes: Sizes
    short: bool
    parameters: int
    history: list[Epoch]
    clean_train_accuracy: Fraction | None
    seconds: float
    machine: dict

    @model_validator(mode="after")
    def is_complete(self):
        epochs = [row.epoch for row in self.history]
        asked = len(epochs) if self.short else int(self.settings.get("epochs", "0"))
        if not epochs or epochs != [*range(1, asked + 1)]:
            raise ValueError(f"it has the epochs {epochs}, not 1 to {asked}")
        for part in ("validation", "test"):
            for row in self.history:
                if (f"{part}_accuracy" in row.model_fields_set) != bool(getattr(self.sizes, part)):
                    raise ValueError(f"its {part} results do not fit its number of such images")
        return self


def checked(text: str | bytes) -> dict:
    """The record that this JSON holds; ValueError names the first place where it is none."""
    try:
        Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()) from None
    return json.loads(text)


@functools.cache
def read_record(path: Path, _changed: int) -> dict:
    """One record, read once a process until its file changes; ValueError for a bad one."""
    record = checked(path.read_bytes())
    if path_of(record, path.parents[2]) != path:
        raise ValueError(f"it is of '{record['recipe']}', seed {record['seed']}: a misplaced file")
    if record["short"] and path.parents[3].name != "short":
        raise ValueError("it is of a shortened run")
    return record


def load_records(folder: Path, name: str = "*") -> list[dict]:
    """All good records of a recipe's name, or of all, by recipe and seed; bad ones are warned of.

    Args:
        folder: of results.
        name: of a recipe.
    """
    records = []
    for path in sorted(folder.glob(f"[rv]*/{name}/seed-*.json")):
        try:
            records.append(read_record(path, path.stat().st_mtime_ns))
        except (OSError, ValueError) as error:
            warnings.warn(f"skipped the unreadable record {path}: {error}", stacklevel=2)
    return sorted(records, key=lambda record: (record["recipe"], record["seed"]))


def records_of(recipe: Recipe, folder: Path | None = None) -> list[dict]:
    """The records of exactly this recipe, by seed; older versions of it do not count.

    Args:
        recipe: whose fingerprint they must have.
        folder: of results. By default the committed ones; my-results/ if these have none.
    """
    fingerprint = recipe.fingerprint()
    for place in [folder] if folder else [results_folder(), output_folder()]:
        records = load_records(place, recipe.name)
        found = [record for record in records if record["fingerprint"] == fingerprint]
        # a seed may have a validation run, too: the run that saw test digits counts
        by_seed = {r["seed"]: r for r in sorted(found, key=lambda r: r["sizes"]["test"])}
        if by_seed:
            return [by_seed[seed] for seed in sorted(by_seed)]
    return []


def load_checkpoint(recipe: Recipe, seed: int, folder: Path | None = None) -> nn.Module:
    """The recipe's network with the weights of this seed's last epoch, on the CPU, in eval mode.

    Args:
        recipe: of the run.
        seed: of the run.
        folder: of results. By default the committed ones; my-results/ if this seed is not there.

    Raises:
        FileNotFoundError: if there is none, with what makes one.
        ValueError: for a damaged file.
    """
    for place in [folder] if folder else [results_folder(), output_folder()]:
        for record in records_of(recipe, place):
            path = path_of(record, place).with_suffix(".pt")
            if record["seed"] == seed and path.exists():
                return with_weights(recipe.new_network(seed), path)
    raise FileNotFoundError(f"no checkpoint of '{recipe.name}' with seed {seed}: {HOW_TO_MAKE}")


def with_weights(model: nn.Module, path: Path) -> nn.Module:
    """The network with the weights of a file, on the CPU, in eval mode.

    Raises:
        ValueError: for a damaged file.
    """
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can fail anywhere on its way through PyTorch
        reason = f"{path} holds no weights of this network ({type(error).__name__})"
        raise ValueError(f"{reason}: delete it and its record; {HOW_TO_MAKE}") from None
    return accelerate(model, "cpu").eval()


# ---- registrations ------------------------------------------------------------------------------


def registrations() -> list[dict]:
    """What was decided before the test set was opened, the oldest first: results/registered.json.

    Each has recipe, fingerprint, settings, seeds, target and why; entries never change.
    """
    path = results_folder() / "registered.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def registrations_of(recipe: Recipe) -> list[dict]:
    """The registrations of the recipe's name, the oldest first: a second one is a second try."""
    return [entry for entry in registrations() if entry["recipe"] == recipe.name]
