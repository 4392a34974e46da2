"""Records: what a training leaves behind, one JSON file and one checkpoint per run."""

import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from mnist_lib.engine import environment, store
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.store import RUNS
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters

HOW_TO_MAKE = (
    "save(fit(recipe, digits, seed)) makes one; for a step of the journey so does "
    "python -m mnist_lib run, for a published system run --system"
)


class NoRecords(LookupError):
    """There is nothing recorded yet of what was asked for; the message says what makes it."""


@dataclass
class Run:
    """One finished (or interrupted) training.

    fold     which tenth of the training images validated, see `data.Digits`
    sizes    number of images in each part of the digits
    machine  what it was trained on
    history  one dict per finished epoch: learning_rate (at its first step), train_loss and
             train_accuracy (running, in train mode, on augmented images), validation_* and test_*
             (exact, all images), seconds
    clean_train_accuracy  after the last epoch, in eval mode, on all training images as they are
    seconds  wall time of training and evaluation in all epochs
    """

    recipe: Recipe
    seed: int
    model: nn.Module
    fold: int | None
    sizes: dict[str, int]
    machine: dict
    short: bool = field(default_factory=environment.is_short)
    history: list[dict] = field(default_factory=list)
    clean_train_accuracy: float | None = None
    seconds: float = 0.0
    interrupted: bool = False

    def __str__(self) -> str:
        kind = "shortened run, its accuracy means nothing: " if self.short else ""
        minutes, seconds = divmod(round(self.seconds), 60)
        return (
            f"{kind}'{self.recipe.name}', seed {self.seed}, {len(self.history)} epochs "
            f"on {self.machine['device']} in {minutes} min {seconds} s"
        )

    def table(self) -> pd.DataFrame:
        """The history as a table, one row per epoch."""
        return pd.DataFrame(self.history or {"epoch": []}).set_index("epoch")


def record_path(name: str, seed: int, folder: Path | None = None, kind: str = RUNS) -> Path:
    """results/runs/<recipe>/seed-<n>.json; the checkpoint stands beside it with the ending .pt."""
    return (folder or environment.results_folder()) / kind / name / f"seed-{seed}.json"


def save(run: Run) -> Path:
    """Write the run's record and the checkpoint of its last epoch; returns the record's path.

    raises ValueError for an unfinished run, which cannot be compared
    """
    if run.interrupted:
        raise ValueError(f"'{run.recipe.name}' was interrupted; only finished runs are recorded")
    return keep(as_record(run), weights_of(run.model))


def keep(record: dict, weights: bytes) -> Path:
    """Write a record and its checkpoint, whoever trained it; returns the record's path.

    A run that had no test images is a trial: its record goes to results/trials/, without a
    checkpoint. What another recipe of the same name left there is set aside, not replaced.
    """
    text, kind = store.as_json(record), store.kind_of(record["sizes"])
    folder = environment.output_folder(record["short"])
    path = record_path(record["recipe"], record["seed"], folder, kind)
    store.set_aside(path, record["fingerprint"])
    if kind == RUNS:
        write_atomically(path.with_suffix(".pt"), weights)
    write_atomically(path, text)  # last: where there is a record, the run is complete
    return path


def weights_of(model: nn.Module) -> bytes:
    """The network's weights as `load_checkpoint` reads them."""
    content = BytesIO()
    weights = model.state_dict().items()
    torch.save({name: value.cpu().contiguous() for name, value in weights}, content)
    return content.getvalue()


def as_record(run: Run) -> dict:
    """The run in plain values, see `engine.store.Record`."""
    return {
        "schema": 2,
        "recipe": run.recipe.name,
        "change": run.recipe.change,
        "parent": run.recipe.parent.name if run.recipe.parent else None,
        "settings": run.recipe.settings(),
        "fingerprint": run.recipe.fingerprint(),
        "seed": run.seed,
        "fold": run.fold,
        "sizes": run.sizes,
        "short": run.short,
        "parameters": count_parameters(run.model),
        "history": run.history,
        "clean_train_accuracy": run.clean_train_accuracy,
        "seconds": run.seconds,
        "machine": {**run.machine, "commit": environment.commit()},
    }


def load_records(
    folder: Path | None = None, name: str | None = None, kind: str = RUNS
) -> list[dict]:
    """All good records, or those of one name, by recipe and seed; others are named in warnings."""
    records, problems = store.read_records(folder or environment.results_folder(), name, kind)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return records


def records_of(recipe: Recipe, folder: Path | None = None, kind: str = RUNS) -> list[dict]:
    """The records of exactly these settings; older versions of the recipe do not count.

    kind  runs, which saw the test images, or trials, which had none
    """
    fingerprint = recipe.fingerprint()
    for place in [folder] if folder else environment.reading_folders():
        records = load_records(place, recipe.name, kind)
        if found := [record for record in records if record["fingerprint"] == fingerprint]:
            return found
    return []


def load_checkpoint(recipe: Recipe, seed: int, folder: Path | None = None) -> nn.Module:
    """The recipe's network with the weights of this seed's last epoch, on the CPU, in eval mode.

    raises FileNotFoundError or ValueError that says what to do
    """
    places = [folder] if folder else environment.reading_folders()
    paths = [record_path(recipe.name, seed, place).with_suffix(".pt") for place in places]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise FileNotFoundError(f"no checkpoint of '{recipe.name}' with seed {seed}: {HOW_TO_MAKE}")
    if seed not in [record["seed"] for record in records_of(recipe, path.parents[2])]:
        raise ValueError(f"{path} is not of '{recipe.name}' as it is now: {HOW_TO_MAKE}")
    model = recipe.new_network(seed)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can fail anywhere on its way through PyTorch
        reason = f"holds no weights of '{recipe.name}' ({type(error).__name__})"
        raise ValueError(f"{path} {reason}: delete it and its record; {HOW_TO_MAKE}") from None
    return model.eval()
