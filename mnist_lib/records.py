"""Records: what a training leaves behind, one JSON file and one checkpoint per run."""

import json
import pickle
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from mnist_lib.engine import store
from mnist_lib.engine.environment import commit, output_folder, results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters

SCHEMA = 1


@dataclass
class Run:
    """One finished (or interrupted) training.

    sizes    number of images in each part of the digits
    machine  what it was trained on
    history  one dict per finished epoch: learning_rate (at its first step), train_loss and
             train_accuracy (running, in train mode, on augmented images), validation_* and test_*
             (exact, all images), seconds
    seconds  wall time of training and evaluation together
    """

    recipe: Recipe
    seed: int
    model: nn.Module
    sizes: dict[str, int]
    machine: dict
    short: bool = False
    history: list[dict] = field(default_factory=list)
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


# ---- writing ------------------------------------------------------------------------------------


def record_path(name: str, seed: int, folder: Path | None = None) -> Path:
    """results/runs/<recipe>/seed-<n>.json; the checkpoint stands beside it with the ending .pt."""
    return (folder or results_folder()) / "runs" / name / f"seed-{seed}.json"


def save(run: Run) -> Path:
    """Write the run's record and the checkpoint of its last epoch; returns the record's path.

    What another recipe of the same name left there is set aside, not replaced.
    raises ValueError for a run that cannot be compared: interrupted, or without test images
    """
    if run.interrupted:
        raise ValueError(f"'{run.recipe.name}' was interrupted; only finished runs are recorded")
    if not run.sizes["test"]:
        raise ValueError(f"'{run.recipe.name}' saw no test images; a record needs their accuracy")
    path = record_path(run.recipe.name, run.seed, output_folder(run.short))
    record = as_record(run)
    store.set_aside(path, record["fingerprint"])
    checkpoint = BytesIO()
    weights = {name: value.cpu().contiguous() for name, value in run.model.state_dict().items()}
    torch.save(weights, checkpoint)
    write_atomically(path.with_suffix(".pt"), checkpoint.getvalue())
    # the record comes last: where there is a record, the run is complete
    write_atomically(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    return path


def as_record(run: Run) -> dict:
    """The run in plain values, see `Record`."""
    return {
        "schema": SCHEMA,
        "recipe": run.recipe.name,
        "change": run.recipe.change,
        "parent": run.recipe.parent.name if run.recipe.parent else None,
        "settings": run.recipe.settings(),
        "fingerprint": run.recipe.fingerprint(),
        "seed": run.seed,
        "sizes": run.sizes,
        "short": run.short,
        "parameters": count_parameters(run.model),
        "history": run.history,
        "seconds": run.seconds,
        "machine": {**run.machine, "commit": commit()},
    }


# ---- reading ------------------------------------------------------------------------------------


def load_records(folder: Path | None = None, name: str | None = None) -> list[dict]:
    """All good records, or those of one name, by recipe and seed; others are named in warnings."""
    records, problems = store.read_records(folder or results_folder(), name)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return records


def records_of(recipe: Recipe, folder: Path | None = None) -> list[dict]:
    """The records of exactly these settings; older versions of the recipe do not count."""
    fingerprint = recipe.fingerprint()
    found = load_records(folder, recipe.name)
    return [record for record in found if record["fingerprint"] == fingerprint]


def load_checkpoint(recipe: Recipe, seed: int, folder: Path | None = None) -> nn.Module:
    """The recipe's network with the weights of this seed's last epoch, on the CPU, in eval mode.

    raises FileNotFoundError or ValueError that says what to do
    """
    path = record_path(recipe.name, seed, folder).with_suffix(".pt")
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint of '{recipe.name}' with seed {seed}: {HOW_TO_MAKE}")
    if seed not in [record["seed"] for record in records_of(recipe, folder)]:
        raise ValueError(f"{path} is not of '{recipe.name}' as it is now: {HOW_TO_MAKE}")
    model = recipe.new_network(seed)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} holds no weights of '{recipe.name}' ({type(error).__name__}): delete it and "
            "its record; " + HOW_TO_MAKE
        ) from None
    return model.eval()


HOW_TO_MAKE = (
    "save(fit(recipe, digits, seed)) makes one; for the journey and the published systems so does "
    "python -m mnist_lib run"
)
