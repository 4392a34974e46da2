"""How well recorded networks read corrupted digits: rotated, shifted, scaled, thicker, noisy.

Images are uint8 (n, 1, 28, 28) before and after. Nothing is drawn at random but the noise: where a
corruption has a direction, neighbours in the set go different ways, so that all are seen.
"""

import hashlib
import json
import math
from collections.abc import Iterator

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.augment import affine
from mnist_lib.data import TEST_SIZE, to_float
from mnist_lib.engine import machine
from mnist_lib.experiments.calibration import calibration_error
from mnist_lib.recipes import Recipe
from mnist_lib.records import load_checkpoint
from mnist_lib.train import predict

DIRECTIONS = torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]])  # right, down, left, up


def rotated(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Every other digit clockwise, the rest against it."""
    sides = 1 - 2 * (torch.arange(len(images)) % 2)
    return moved(images, angle=sides * math.radians(degrees))


def shifted(images: torch.Tensor, pixels: float) -> torch.Tensor:
    """By so many pixels to the right, down, to the left and up, in turn."""
    shift = DIRECTIONS[torch.arange(len(images)) % 4] * pixels / images.shape[-1]
    return moved(images, shift_x=shift[:, 0], shift_y=shift[:, 1])


def scaled(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Larger or smaller about the centre."""
    return moved(images, magnification=torch.full((len(images),), factor))


def thickened(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Strokes wider by so many pixels, or narrower for a negative number."""
    before, after = abs(pixels) // 2, (abs(pixels) + 1) // 2
    sign = 1 if pixels >= 0 else -1
    x = F.pad(to_float(images), (before, after, before, after)) * sign
    return to_pixels(F.max_pool2d(x, abs(pixels) + 1, stride=1) * sign)


def noisy(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """Gaussian noise on every pixel; its standard deviation is a part of full ink."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(images.shape, generator=generator)
    return to_pixels(to_float(images) + deviation * noise)


def moved(images: torch.Tensor, **changes: torch.Tensor) -> torch.Tensor:
    """The images after `affine` with these parameters (n,) of its own, the others neutral."""
    still = dict.fromkeys(("angle", "shift_x", "shift_y", "shear"), torch.zeros(len(images)))
    parameters = {"magnification": torch.ones(len(images)), **still, **changes}
    return to_pixels(affine(to_float(images), **parameters))


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """Float images back to uint8 0..255, cut off where they are too bright or too dark."""
    return (images * 255).round().clamp(0, 255).byte()


CORRUPTIONS = {  # with the strengths that are measured
    "rotation in degrees": (rotated, (5, 15, 30, 45)),
    "shift in pixels": (shifted, (1, 2, 3, 4)),
    "scale": (scaled, (0.6, 0.8, 1.2, 1.4)),
    "added thickness in pixels": (thickened, (-1, 1, 2, 3)),
    "Gaussian noise, standard deviation": (noisy, (0.1, 0.2, 0.3, 0.5)),
}
NEUTRAL = dict.fromkeys(CORRUPTIONS, 0) | {"scale": 1}  # the strength at which nothing happens
CLEAN = ("clean", 0)  # a level is a corruption's name and its strength
LEVELS = [
    (name, strength) for name, (_, strengths) in CORRUPTIONS.items() for strength in strengths
]

# ---- measured -----------------------------------------------------------------------------------

COLUMNS = [
    "recipe", "seed", "weights", "corruption", "strength",
    "accuracy", "confidence", "calibration_error",
]  # fmt: skip


def measured(
    networks: list[tuple[Recipe, int]], images: torch.Tensor, labels: torch.Tensor
) -> pd.DataFrame:
    """How recorded networks do on the test digits at each level of corruption.

    What results/corruptions.json has of exactly these weights is taken from there; the rest is
    measured, some 20 seconds a network. MNIST_LIB_RENEW=1 adds it to the file.

    Args:
        networks: recipes, each with a seed that has a checkpoint.
        images: uint8 (n, 1, 28, 28); a shortened run takes 200 of them.
        labels: int64 (n,).

    Returns:
        A row for each network and level: recipe, seed, weights (a short hash), corruption,
        strength, accuracy, mean confidence and calibration error as fractions.
    """
    known, tables = recorded() if len(images) == TEST_SIZE else recorded().head(0), []
    images = images[: 200 if machine.is_short() else None]
    for recipe, seed in networks:
        model = load_checkpoint(recipe, seed)
        key = {"recipe": recipe.name, "seed": seed, "weights": hash_of(model)}
        rows = known[known["weights"] == key["weights"]].assign(**key)
        if len(rows) != 1 + len(LEVELS):
            rows = pd.DataFrame(
                {**key, "corruption": name, "strength": strength, **judge(model, changed, labels)}
                for (name, strength), changed in corrupted(images)
            )
        tables.append(rows)
    table = pd.concat(tables, ignore_index=True)
    if machine.is_on("MNIST_LIB_RENEW") and not machine.is_short():
        record(table)
    return table


def recorded() -> pd.DataFrame:
    """What results/corruptions.json has."""
    path = machine.results_folder() / "corruptions.json"
    text = path.read_text(encoding="utf-8") if path.exists() else "[]"
    return pd.DataFrame(json.loads(text), columns=COLUMNS)


def record(table: pd.DataFrame) -> None:
    """Write these measurements into the file; other weights of the same recipe and seed go."""
    rows = pd.concat([recorded(), table])
    newest = rows.groupby(["recipe", "seed"])["weights"].transform("last")
    rows = rows[rows["weights"] == newest].drop_duplicates(COLUMNS[:5]).sort_values(COLUMNS[:5])
    lines = ",\n".join(f" {json.dumps(row)}" for row in rows.to_dict("records"))
    path = machine.results_folder() / "corruptions.json"
    machine.write_atomically(path, f"[\n{lines}\n]\n")


def hash_of(model: nn.Module) -> str:
    """Twelve letters that stand for all numbers of a network."""
    numbers = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(numbers).hexdigest()[:12]


def corrupted(images: torch.Tensor) -> Iterator[tuple[tuple[str, float], torch.Tensor]]:
    """Each level with the images at it."""
    yield CLEAN, images
    for name, strength in LEVELS:
        yield (name, strength), CORRUPTIONS[name][0](images, strength)


def judge(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, mean confidence and calibration error of a network on these images."""
    confidence, guesses = predict(machine.accelerate(model, "cpu"), images).max(1)
    right = guesses == labels[: len(images)]
    values = {"accuracy": right.double().mean(), "confidence": confidence.double().mean()}
    values["calibration_error"] = calibration_error(confidence, right)
    return {name: round(float(value), 5) for name, value in values.items()}


def values_at(table: pd.DataFrame, recipe: Recipe, level: tuple, column: str) -> pd.Series:
    """One value for each seed; level is CLEAN or one of LEVELS."""
    key = [recipe.name, *level]
    rows = table[(table[["recipe", "corruption", "strength"]] == key).all(axis=1)]
    return rows.set_index("seed")[column]
