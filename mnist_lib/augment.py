"""Batches of digits on their device, and the augmentations that make each epoch a little different.

An augmentation is any callable `augment(images, generator) -> images` on float32 (n, 1, 28, 28) in
0..1. Every image of a batch draws its own parameters; the labels never change.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

MEAN, STD = 0.1307, 0.3081  # of the pixels of the 60,000 training images, scaled to 0..1

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to float32 0..1."""
    return images.float().div_(255)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """float32 0..1 to mean 0 and standard deviation 1 over the training set."""
    return (images - MEAN) / STD


class Batches:
    """One pass over a set per iteration: shuffled, augmented, normalised, the last batch kept.

    images     uint8 (n, 1, 28, 28); held once on the device
    labels     int64 (n,)
    augment    an augmentation or None
    order      CPU generator of the shuffling; None keeps the order (for evaluation)
    draws      generator of the augmentation's parameters, on the device
    yields     x float32 (batch, 1, 28, 28) normalised, y int64 (batch,)
    raises     ValueError if the batch size does not fit the set
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        augment: Augmentation | None = None,
        order: torch.Generator | None = None,
        draws: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ):
        if not 1 <= batch_size <= len(labels):
            raise ValueError(f"batch size {batch_size} does not fit a set of {len(labels)} images")
        self.images, self.labels = images.to(device), labels.to(device)
        self.batch_size, self.augment, self.order, self.draws = batch_size, augment, order, draws

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count, device = len(self.labels), self.labels.device
        if self.order is None:
            positions = torch.arange(count, device=device)
        else:
            positions = torch.randperm(count, generator=self.order).to(device)
        for chosen in positions.split(self.batch_size):
            x = to_float(self.images[chosen])
            if self.augment is not None:
                x = self.augment(x, self.draws)
            yield normalise(x), self.labels[chosen]


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
    images: torch.Tensor,
    angle: torch.Tensor,
    shift_x: torch.Tensor,
    shift_y: torch.Tensor,
    magnification: torch.Tensor,
    shear: torch.Tensor,
    mode: str = "bilinear",
    border: str = "zeros",
) -> torch.Tensor:
    """Each image moved by its own parameters, all (n,): angles in radians, shifts in widths.

    Sampling asks where an output pixel comes from, so the matrix is the inverse of the movement:
    shift back, rotate and scale back, shear back. Positions run from -1 to 1, so a shift by a part
    of the width counts double. A reflection mirrors at the centre of the outermost pixels, which
    then are at -1 and 1.
    """
    cos, sin, tan = angle.cos() / magnification, angle.sin() / magnification, shear.tan()
    a, b = cos - sin * tan, sin + cos * tan
    c, d = -sin, cos
    width = images.shape[-1]
    corners = border == "reflection"
    double = 2 * width / (width - 1) if corners else 2
    x, y = -double * shift_x, -double * shift_y
    rows = torch.stack([a, b, a * x + b * y, c, d, c * x + d * y], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), images.shape, align_corners=corners)
    return F.grid_sample(images, grid, mode, border, align_corners=corners)


@dataclass(frozen=True)
class Sometimes:
    """An augmentation that changes each image with this probability, drawn for each by itself."""

    probability: float
    augment: Augmentation

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draws = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        return torch.where(draws < self.probability, self.augment(images, generator), images)


@dataclass(frozen=True)
class Chain:
    """Several augmentations, one after the other."""

    steps: tuple[Augmentation, ...]

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for step in self.steps:
            images = step(images, generator)
        return images


@dataclass(frozen=True)
class PerImage:
    """A per-image pipeline as an augmentation: `albumentations.Compose` or torchvision transform.

    albumentations gets a uint8 array (28, 28), torchvision a uint8 tensor (1, 28, 28); both must
    give back the same shape. The pipeline draws anew for each image, and its random numbers are
    seeded from the generator once per batch, so a run can be repeated. Slower than a batched
    augmentation.
    """

    pipeline: Callable

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seed = int(torch.randint(2**31, (), generator=generator, device=images.device))
        pixels = (images * 255).round().byte().cpu()
        if hasattr(self.pipeline, "set_random_seed"):  # albumentations ignores the global seeds
            self.pipeline.set_random_seed(seed)
            arrays = [self.pipeline(image=image)["image"] for image in pixels.squeeze(1).numpy()]
            changed = torch.from_numpy(np.stack(arrays)).unsqueeze(1)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                changed = torch.stack([self.pipeline(image) for image in pixels])
        if changed.shape != images.shape:
            raise ValueError(
                f"the augmentation made {tuple(changed.shape)} of {tuple(images.shape)}: "
                "it must keep the size of the images"
            )
        return to_float(changed).to(images.device)
