"""How well recorded networks read corrupted digits: rotated, shifted, scaled, thicker, noisy.

Images are uint8 (n, 1, 28, 28) before and after. Nothing is drawn at random but the noise: where a
corruption has a direction, neighbours in the set go different ways, so that all are seen.
"""

import hashlib
import json
import math

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.augment import affine
from mnist_lib.data import to_float
from mnist_lib.engine import machine
from mnist_lib.experiments.calibration import calibration_error
from mnist_lib.recipes import Recipe
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

# ---- measured by benchmarks/corruptions.py ------------------------------------------------------


def recorded() -> pd.DataFrame:
    """What results/corruptions.json has: how recorded networks read corrupted test digits.

    Returns:
        A row for each network and level: recipe, seed, weights (see `hash_of`), corruption,
        strength, and as fractions accuracy, mean confidence and calibration_error.
    """
    path = machine.results_folder() / "corruptions.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))


def hash_of(model: nn.Module) -> str:
    """Twelve letters that stand for all numbers of a network."""
    numbers = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(numbers).hexdigest()[:12]


def judge(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, mean confidence and calibration error of a network on these images."""
    confidence, guesses = predict(machine.accelerate(model, "cpu"), images).max(1)
    right = guesses == labels
    values = {"accuracy": right.double().mean(), "confidence": confidence.double().mean()}
    values["calibration_error"] = calibration_error(confidence, right)
    return {name: round(float(value), 5) for name, value in values.items()}


def values_at(table: pd.DataFrame, recipe: Recipe, level: tuple, column: str) -> pd.Series:
    """One value for each seed; level is CLEAN or one of LEVELS."""
    key = [recipe.name, *level]
    rows = table[(table[["recipe", "corruption", "strength"]] == key).all(axis=1)]
    return rows.set_index("seed")[column]
