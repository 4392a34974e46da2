"""The races on disk: one table each, under results/."""

from pathlib import Path

import pandas as pd

from mnist_lib.engine.environment import output_folder, results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.races.entries import ENTRIES, FINALISTS, TRIED


def save_race(table: pd.DataFrame, name: str) -> Path:
    """Write results/fast-<name>.csv (a shortened run: below short/); returns its path."""
    path = output_folder() / f"fast-{name}.csv"
    write_atomically(path, table.to_csv(index=False))
    return path


def load_race(name: str) -> pd.DataFrame:
    """The recorded race of this name at full length.

    raises FileNotFoundError or ValueError for a table that is not there or not whole
    """
    path = results_folder() / f"fast-{name}.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not there: python -m mnist_lib run 11 makes it")
    try:
        table = pd.read_csv(path)
        seconds = table.pivot(index="seed", columns="recipe", values="seconds")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is no table of a race: {error}") from None
    if len(seconds) < 2 or seconds.isna().any(axis=None) or table.isna().all().any():
        raise ValueError(f"{path} is cut: not every recipe has all seeds")
    return table


def is_recorded() -> bool:
    """Whether the races of the recipes as they are now are there."""
    raced = {
        "choosing": ENTRIES,
        "tried": [ENTRIES[-1], *TRIED],
        "final": FINALISTS,
    }
    try:
        return all(
            set(load_race(name)["fingerprint"]) == {recipe.fingerprint() for recipe in recipes}
            for name, recipes in raced.items()
        )
    except (FileNotFoundError, ValueError):
        return False
