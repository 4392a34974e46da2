"""Records on disk: checked when they are read, never half written, never silently replaced."""

import json
import os
import warnings
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnist_lib.engine.environment import output_folder

RUNS, TRIALS = "runs", "trials"
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Checked(BaseModel):
    """Exactly these types, finite numbers; unknown fields are welcome."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")


class Epoch(Checked):
    """What is measured in each epoch, on the parts that the digits had."""

    epoch: Count
    learning_rate: float
    train_loss: float
    train_accuracy: Fraction
    validation_loss: float = None
    validation_accuracy: Fraction = None
    test_loss: float = None
    test_accuracy: Fraction = None
    seconds: Seconds


class Sizes(Checked):
    """Number of images in each part."""

    train: Count
    validation: Annotated[int, Field(ge=0)]
    test: Annotated[int, Field(ge=0)]


class Machine(Checked):
    """What is needed of the machine."""

    device: str
    threads: Count


class Record(Checked):
    """A run in plain values: what was asked for, what came out, and on what machine."""

    recipe: str
    settings: dict[str, str]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    seed: Annotated[int, Field(ge=0)]
    fold: int | None
    sizes: Sizes
    short: bool
    parameters: Count
    history: Annotated[list[Epoch], Field(min_length=1)]
    clean_train_accuracy: Fraction | None  # of some old records nobody knows it
    seconds: Seconds
    machine: Machine

    @model_validator(mode="after")
    def is_complete(self):
        epochs, asked = [row.epoch for row in self.history], self.settings.get("epochs")
        if epochs != list(range(1, len(epochs) + 1)):
            raise ValueError(f"its epochs are numbered {epochs}")
        if not self.short and str(len(epochs)) != asked:
            raise ValueError(f"it has {len(epochs)} epochs of {asked}")
        for part in ("validation", "test"):
            columns = (f"{part}_loss", f"{part}_accuracy")
            measured = [getattr(row, name) is not None for row in self.history for name in columns]
            if set(measured) != {getattr(self.sizes, part) > 0}:
                raise ValueError(f"its {part} results do not fit its number of such images")
        return self


def checked(text: str | bytes) -> dict:
    """The record that this JSON holds; ValueError names the first place where it is none."""
    try:
        return Record.model_validate_json(text).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def kind_of(sizes: dict[str, int]) -> str:
    """Where a record with parts of these sizes belongs: what saw no test image is a trial."""
    return RUNS if sizes["test"] else TRIALS


def as_json(record: dict) -> str:
    """The record as text; ValueError if it could not be read again."""
    checked(json.dumps(record))
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def set_aside(path: Path, fingerprint: str) -> None:
    """Move another recipe's record of this name, and its checkpoint, to replaced/, and say so."""
    try:
        found = read_record(path)["fingerprint"]
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        found = "unreadable"
    if found == fingerprint:
        return
    folder = path.parent / "replaced"
    folder.mkdir(exist_ok=True)
    for file in (path.with_suffix(".pt"), path):
        if file.exists():
            os.replace(file, folder / f"{found}-{file.name}")
    warnings.warn(
        f"{path} was not of this recipe '{path.parent.name}'; it is in {folder} now", stacklevel=3
    )


def read_records(
    results: Path, name: str | None = None, kind: str = RUNS
) -> tuple[list[dict], list[str]]:
    """The good records by recipe and seed, and for each of the others a line that says why not.

    name  of one recipe; None: of all
    kind  runs, which saw the test images, or trials, which had none
    """
    records, problems = [], []
    for path in sorted(results.glob(f"{kind}/{name or '*'}/seed-*.json")):
        try:
            records.append(read_record(path))
        except (OSError, ValueError) as error:
            problems.append(f"skipped the unreadable record {path}: {error}")
    return sorted(records, key=lambda record: (record["recipe"], record["seed"])), problems


def read_record(path: Path) -> dict:
    """One record as it stands in its file; OSError or ValueError where it cannot be trusted."""
    record = checked(path.read_bytes())
    recipe, seed = record["recipe"], record["seed"]
    if (path.parent.name, path.name) != (recipe, f"seed-{seed}.json"):
        raise ValueError(f"it is of '{recipe}', seed {seed}, and not where it belongs")
    if path.parents[1].name != kind_of(record["sizes"]):
        raise ValueError(f"it belongs to the {kind_of(record['sizes'])}")
    if record["short"] and output_folder(short=True) not in path.parents:
        raise ValueError("it is of a shortened run")
    return record
