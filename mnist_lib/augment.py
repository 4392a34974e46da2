"""Augmentations, which make the digits a little different in each epoch.

An augmentation is any callable `augment(images, generator) -> images` on float32 (n, 1, 28, 28) in
0..1. Every image of a batch draws its own parameters; the labels never change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from mnist_lib.engine.machine import seeded

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class RandomAffine:
    """Rotate, shift, scale and shear each image by its own draw, all in one interpolation.

    Bilinear, and what comes in from outside is black. The movement is that of torchvision's
    ``affine`` (shear, rotate and scale about the centre, then shift) for a whole batch at once; the
    tests compare the two image by image.

    Attributes:
        degrees: the rotation is drawn from -degrees to degrees.
        translate: the shift in each direction, from -translate to translate, in widths.
        scale: the magnification is drawn from 1 - scale to 1 + scale.
        shear: the slant along x is drawn from -shear to shear, in degrees.
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
    then are at -1 and 1.

    Raises:
        ValueError: for images that are not square floats (n, c, h, h).
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


def check_augmentable(images: torch.Tensor) -> None:
    """ValueError unless these are square images of floats, as `Batches` gives them."""
    if not images.is_floating_point() or images.dim() != 4 or images.shape[2] != images.shape[3]:
        raise ValueError(
            "augmentations take floats (n, 1, 28, 28) in 0..1, as to_float makes them, "
            f"not {images.dtype} {tuple(images.shape)}"
        )


@dataclass(frozen=True)
class PerImage:
    """A pipeline for single images as an augmentation: of albumentations or torchvision.

    The pipeline draws anew for each image. Its random numbers are seeded from the generator once
    per call, so a run can be repeated. Slower than an augmentation of whole batches.

    Attributes:
        pipeline: gets a uint8 array (28, 28) if it is an `albumentations.Compose`, else a uint8
            tensor (1, 28, 28), and gives back the same shape and type.

    Raises:
        ValueError: when called, if the pipeline fails or gives back another shape or type.
    """

    pipeline: Callable

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        check_augmentable(images)
        pixels = (images * 255).round().byte().cpu()
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        try:
            changed = self.changed(pixels, seed)
            if changed.shape != pixels.shape or changed.dtype != pixels.dtype:
                raise ValueError(f"it made {changed.dtype} {tuple(changed.shape)}")
        except Exception as error:  # whatever somebody's pipeline may raise
            raise ValueError(
                "the augmentation fails on a uint8 image (albumentations: array (28, 28), "
                "torchvision: tensor (1, 28, 28)); leave out ToTensor and Normalize, which "
                f"Batches does: {type(error).__name__}: {error}"
            ) from error
        return changed.to(images.device).float().div_(255)

    def changed(self, pixels: torch.Tensor, seed: int) -> torch.Tensor:
        """The pipeline's images for uint8 pixels (n, 1, 28, 28)."""
        if hasattr(self.pipeline, "set_random_seed"):  # albumentations ignores the global seeds
            self.pipeline.set_random_seed(seed)
            arrays = [self.pipeline(image=image)["image"] for image in pixels.squeeze(1).numpy()]
            return torch.from_numpy(np.stack(arrays)).unsqueeze(1)
        with seeded(seed):
            return torch.stack([self.pipeline(image) for image in pixels])


class Later:
    """A pipeline that is made when it is first used, where importing its library takes long."""

    def __init__(self, make: Callable[[], Callable]):
        self.make = make

    @cached_property
    def made(self) -> Callable:
        return self.make()

    def __call__(self, *arguments, **options):
        return self.made(*arguments, **options)

    def __getattr__(self, name: str):
        if name.startswith("__") or name in ("make", "made"):  # half made, or about to be copied
            raise AttributeError(name)
        return getattr(self.made, name)
