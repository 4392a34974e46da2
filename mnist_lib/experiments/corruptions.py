"""Digits disturbed on purpose: turned, shifted, scaled, thinner or thicker strokes, and noise.

Images are uint8 (n, 1, 28, 28) before and after. Nothing is drawn at random but the noise: where a
disturbance has a direction, neighbours in the set go different ways, so that all are seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mnist_lib.augment import affine
from mnist_lib.data import to_float

WAYS = torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]])  # right, down, left, up


@dataclass(frozen=True)
class Disturbance:
    """What is done to the digits, how strongly, and at which strength nothing happens."""

    name: str
    apply: Callable[[torch.Tensor, float], torch.Tensor]
    strengths: tuple[float, ...]
    none: float = 0


def turned(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Every other digit clockwise, the rest against it."""
    sides = 1 - 2 * (torch.arange(len(images)) % 2)
    return moved(images, angle=sides * math.radians(degrees))


def shifted(images: torch.Tensor, pixels: float) -> torch.Tensor:
    """By so many pixels to the right, down, to the left and up, in turn."""
    shift = WAYS[torch.arange(len(images)) % 4] * pixels / images.shape[-1]
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
    """Normal noise on every pixel; its standard deviation is a part of full ink."""
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


DISTURBANCES = [
    Disturbance("rotation in degrees", turned, (5, 15, 30, 45)),
    Disturbance("shift in pixels", shifted, (1, 2, 3, 4)),
    Disturbance("scale", scaled, (0.6, 0.8, 1.2, 1.4), none=1),
    Disturbance("thickness in pixels more", thickened, (-1, 1, 2, 3)),
    Disturbance("noise, standard deviation", noisy, (0.1, 0.2, 0.3, 0.5)),
]
