"""The races on disk: one table each, under results/."""

import math
from pathlib import Path

import pandas as pd

from mnist_lib.engine.environment import output_folder, results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.experiments.one_epoch import ENTRIES, FINALISTS, TRIED
from mnist_lib.records import NoRecords

TYPES = {
    "recipe": str, "fingerprint": str, "seed": int, "seconds": float, "device": str, "threads": int,
    "torch": str,
}  # fmt: skip


def save_race(table: pd.DataFrame, name: str) -> Path:
    """Write results/fast-<name>.csv (a shortened run: below short/); returns its path."""
    path = output_folder() / f"fast-{name}.csv"
    write_atomically(path, table.to_csv(index=False))
    return path


def load_race(name: str) -> pd.DataFrame:
    """The recorded race of this name at full length.

    raises NoRecords if there is none, ValueError for a table that is not whole
    """
    path = results_folder() / f"fast-{name}.csv"
    if not path.exists():
        raise NoRecords(f"{path.name} is not there: python -m mnist_lib run 11 makes it")
    accuracy = "test_accuracy" if name == "final" else "validation_accuracy"
    columns = TYPES | {accuracy: float}
    try:
        table = pd.read_csv(path, dtype=columns)
        table[[*columns]]  # KeyError if one is missing
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no table of a race: {error}") from None
    has_time = table["seconds"].between(0, math.inf, inclusive="neither")
    is_measured = table.notna().all(axis=1) & has_time & table[accuracy].between(0, 1)
    runs = pd.crosstab(table["seed"], table["recipe"])  # each recipe once with each seed
    is_whole = is_measured.all() and (runs == 1).all(axis=None) and len(runs) > 1
    if not (is_whole and path.read_bytes().endswith(b"\n")):
        raise ValueError(f"{path} is cut: not every recipe has all its numbers for all seeds")
    return table


def is_recorded() -> bool:
    """Whether the races of the recipes as they are now are there."""
    raced = {"choosing": ENTRIES, "tried": [ENTRIES[-1], *TRIED], "final": FINALISTS}
    try:
        return all(
            set(load_race(name)["fingerprint"]) == {recipe.fingerprint() for recipe in recipes}
            for name, recipes in raced.items()
        )
    except (NoRecords, ValueError):
        return False
