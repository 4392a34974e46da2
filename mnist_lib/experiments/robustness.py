"""How well recorded networks do on disturbed digits: measured once, then read from a table."""

import hashlib
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from mnist_lib.engine.environment import is_short, results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.layers import accelerate
from mnist_lib.experiments.calibration import calibration_error
from mnist_lib.experiments.corruptions import DISTURBANCES
from mnist_lib.recipes import Recipe
from mnist_lib.records import load_checkpoint
from mnist_lib.train import predict

NETWORK, LOOK = ["recipe", "seed", "weights"], ["disturbance", "strength"]
MEASURED = ["accuracy", "confidence", "calibration_error"]
CLEAN = "none"
LOOKS = [(each.name, strength) for each in DISTURBANCES for strength in each.strengths]
SHORT = 200  # digits of a shortened run


def measure(
    networks: list[tuple[Recipe, int]], images: torch.Tensor, labels: torch.Tensor
) -> pd.DataFrame:
    """What becomes of recorded networks on disturbed digits, a row for each strength.

    networks  recipes, each with a seed that has a checkpoint
    images    uint8 (n, 1, 28, 28), labels int64 (n,): the test digits
    returns   columns recipe, seed, weights (a short hash), disturbance (CLEAN: none), strength,
              accuracy, mean confidence and calibration error as fractions

    What results/disturbed.csv has of exactly these weights is taken from there; the rest is
    measured, some 20 seconds a network, and added. A shortened run takes few digits and adds none.
    """
    table, sets, found = recorded(), {}, []
    for recipe, seed in networks:
        model = load_checkpoint(recipe, seed)
        key = {"recipe": recipe.name, "seed": seed, "weights": hash_of(model)}
        rows = table[(table[NETWORK] == list(key.values())).all(axis=1)]
        if {*map(tuple, rows[LOOK].to_numpy())} != {(CLEAN, 0), *LOOKS}:
            number = SHORT if is_short() else len(labels)
            sets = sets or disturbed(images[:number])
            rows = pd.DataFrame(
                [
                    {**key, **dict(zip(LOOK, look, strict=True)), **judge(model, each, labels)}
                    for look, each in sets.items()
                ]
            )
            if not is_short():
                kept = (table["recipe"] != recipe.name) | (table["seed"] != seed)
                table = pd.concat([table[kept], rows]).sort_values(NETWORK + LOOK)
                write_atomically(path(), table.to_csv(index=False))
        found.append(rows)
    return pd.concat(found, ignore_index=True)


def path() -> Path:
    return results_folder() / "disturbed.csv"


def recorded() -> pd.DataFrame:
    """The table as it stands, or an empty one; ValueError if it is not whole."""
    columns = NETWORK + LOOK + MEASURED
    if not path().exists():
        return pd.DataFrame(columns=columns)
    try:
        table = pd.read_csv(path(), keep_default_na=False, dtype={"weights": str})[columns]
        return table.astype(dict.fromkeys(MEASURED, float))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path()} is no table of measurements, delete it: {error}") from None


def hash_of(model: nn.Module) -> str:
    """Twelve letters that stand for all numbers of a network."""
    numbers = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(numbers).hexdigest()[:12]


def disturbed(images: torch.Tensor) -> dict[tuple[str, float], torch.Tensor]:
    """The images as they are, and at every strength of every disturbance."""
    sets = {(CLEAN, 0.0): images}
    for each in DISTURBANCES:
        for strength in each.strengths:
            sets[each.name, float(strength)] = each.apply(images, strength)
    return sets


def judge(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, mean confidence and calibration error of a network on these images."""
    probabilities = predict(accelerate(model, "cpu"), images)
    confidence, guesses = probabilities.max(1)
    right = guesses == labels[: len(images)]
    values = (
        right.double().mean(),
        confidence.double().mean(),
        calibration_error(confidence, right),
    )
    return {name: round(float(value), 5) for name, value in zip(MEASURED, values, strict=True)}


def values_at(table: pd.DataFrame, recipe: Recipe, look: tuple, column: str) -> pd.Series:
    """One value for each seed; look is a disturbance's name and its strength."""
    rows = table[(table["recipe"] == recipe.name) & (table[LOOK] == list(look)).all(axis=1)]
    return rows.set_index("seed")[column]
