"""Augmentations, which make the digits a little different in each epoch.

An augmentation is any callable `augment(images, generator) -> images` on float32 (n, 1, 28, 28) in
0..1. Every image of a batch draws its own parameters; the labels never change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mnist_lib.engine.checks import check_augmentable

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class RandomAffine:
    """Rotate, shift, scale and shear each image by its own draw, all in one interpolation.

    degrees    rotation drawn from -degrees..degrees
    translate  shift drawn from -translate..translate in each direction, as a part of the width
    scale      magnification drawn from 1 - scale..1 + scale
    shear      slant in degrees drawn from -shear..shear, along x

    Bilinear, and what comes in from outside is black. The movement is that of torchvision's
    `affine` (shear, rotate and scale about the centre, then shift) for a whole batch at once; the
    tests hold the two against each other image by image.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return affine(images, *self.draw(len(images), generator))

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """The parameters of `affine` for this many images, each (count,)."""
        draws = torch.rand(5, count, generator=generator, device=generator.device) * 2 - 1
        angle = draws[0] * math.radians(self.degrees)
        shift_x, shift_y = draws[1] * self.translate, draws[2] * self.translate
        magnification = 1 + draws[3] * self.scale
        shear = draws[4] * math.radians(self.shear)
        return angle, shift_x, shift_y, magnification, shear


def affine(
    images, angle, shift_x, shift_y, magnification, shear, mode="bilinear", border="zeros"
) -> torch.Tensor:
    """Each image moved by its own parameters, all (n,): angles in radians, shifts in widths.

    Sampling asks where an output pixel comes from, so the matrix is the inverse of the movement:
    shift back, rotate and scale back, shear back. Positions run from -1 to 1, so a shift by a part
    of the width counts double. A reflection mirrors at the centre of the outermost pixels, which
    then are at -1 and 1. Raises ValueError for images that are not square floats (n, c, h, h).
    """
    check_augmentable(images)
    cos, sin, tan = angle.cos() / magnification, angle.sin() / magnification, shear.tan()
    a, b = cos - sin * tan, sin + cos * tan
    c, d = -sin, cos
    width = images.shape[-1]
    corners = border == "reflection"
    double = 2 * width / (width - 1) if corners else 2
    x, y = -double * shift_x, -double * shift_y
    rows = torch.stack([a, b, a * x + b * y, c, d, c * x + d * y], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(images.shape), align_corners=corners)
    return F.grid_sample(images, grid, mode, border, align_corners=corners)
