"""Records on disk: checked when they are read, never half written, never silently replaced."""

import json
import os
import warnings
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnist_lib.engine.environment import output_folder

# ---- what a record is ---------------------------------------------------------------------------

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Checked(BaseModel):
    """Exactly these types, finite numbers; unknown fields are welcome."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")


class Epoch(Checked):
    """What is needed of an epoch; validation is missing where no image was set aside."""

    epoch: Count
    train_loss: float
    train_accuracy: Fraction
    validation_accuracy: Fraction | None = None
    test_accuracy: Fraction
    seconds: Annotated[float, Field(ge=0)]


class Machine(Checked):
    """What is needed of the machine."""

    device: str
    threads: Count


class Record(Checked):
    """A run in plain values: what was asked for, what came out, and on what machine."""

    recipe: str
    settings: dict[str, str]
    fingerprint: str
    seed: Annotated[int, Field(ge=0)]
    short: bool
    parameters: Count
    history: Annotated[list[Epoch], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0)]
    machine: Machine

    @model_validator(mode="after")
    def is_complete(self):
        epochs, asked = [row.epoch for row in self.history], self.settings.get("epochs")
        if epochs != list(range(1, len(epochs) + 1)):
            raise ValueError(f"its epochs are numbered {epochs}")
        if not self.short and str(len(epochs)) != asked:
            raise ValueError(f"it has {len(epochs)} epochs of {asked}")
        return self


def set_aside(path: Path, fingerprint: str) -> None:
    """Move the files of another recipe with this name to replaced/, and say so."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        found = "unreadable"
    if found == fingerprint:
        return
    folder = path.parent / "replaced"
    folder.mkdir(exist_ok=True)
    for file in (path.with_suffix(".pt"), path):
        if file.exists():
            os.replace(file, folder / f"{found}-{file.name}")
    warnings.warn(
        f"{path} was of another recipe named '{path.parent.name}'; it is in {folder} now",
        stacklevel=3,
    )


# ---- reading ------------------------------------------------------------------------------------


def read_records(results: Path, name: str | None = None) -> tuple[list[dict], list[str]]:
    """The good records by recipe and seed, and for each of the others a line that says why not.

    name  of one recipe; None: of all
    """
    records, problems = [], []
    folders = (results / "runs").glob("*") if name is None else [results / "runs" / name]
    for path in sorted(path for folder in folders for path in folder.glob("seed-*.json")):
        try:
            records.append(read_record(path))
        except (OSError, ValueError) as error:
            problems.append(f"skipped the unreadable record {path}: {reason(error)}")
    return sorted(records, key=lambda record: (record["recipe"], record["seed"])), problems


def read_record(path: Path) -> dict:
    """One record as it stands in its file; OSError or ValueError where it cannot be trusted."""
    record = json.loads(path.read_text(encoding="utf-8"))
    checked = Record.model_validate(record)
    place = (path.parent.name, path.name)
    if place != (checked.recipe, f"seed-{checked.seed}.json"):
        raise ValueError(
            f"it is of '{checked.recipe}', seed {checked.seed}, and not where it belongs"
        )
    if checked.short and output_folder(short=True) not in path.parents:
        raise ValueError("it is of a shortened run")
    return record


def reason(error: Exception) -> str:
    """An error in a line; of pydantic's several the first, with the place that it means."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else first["msg"]
    return str(error)
