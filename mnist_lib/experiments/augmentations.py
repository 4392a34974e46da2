"""Batched twins of torchvision's and albumentations' augmentations, for the published systems.

Each does to a whole batch, every image with its own draw, what the library does to one image after
the other; the tests hold the two against each other. Defaults are those of the libraries in 2021.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mnist_lib.augment import Augmentation, RandomAffine, affine


@dataclass(frozen=True)
class NearestAffine(RandomAffine):
    """RandomAffine with torchvision's defaults: the nearest pixel's value, shifts by whole pixels.

    fill  what comes in from outside, 0..1
    """

    fill: float = 0.0

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        angle, *shifts, magnification, shear = self.draw(len(images), generator)
        width = images.shape[-1]
        whole = [(shift * width).round() / width for shift in shifts]
        moved = affine(images - self.fill, angle, *whole, magnification, shear, mode="nearest")
        return moved + self.fill


@dataclass(frozen=True)
class ShiftScaleRotate(RandomAffine):
    """As albumentations' of that name: what comes in from outside is the image's reflection.

    Its fixed point is the centre of a pixel, half a pixel right of and below the image's centre.
    """

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        angle, shift_x, shift_y, magnification, shear = self.draw(len(images), generator)
        off = 0.5 / images.shape[-1]
        cos, sin = angle.cos() * magnification, angle.sin() * magnification
        shift_x, shift_y = shift_x + off * (1 - cos + sin), shift_y + off * (1 - sin - cos)
        return affine(images, angle, shift_x, shift_y, magnification, shear, border="reflection")


@dataclass(frozen=True)
class CenterZoom:
    """The middle `size` by `size` pixels, enlarged to the whole image (bilinear)."""

    size: int

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        width = images.shape[-1]
        low = (width - self.size) // 2
        middle = images[..., low : low + self.size, low : low + self.size]
        return F.interpolate(middle, (width, width), mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class ColorJitter:
    """As torchvision's on grey images: brightness and contrast in an order drawn for each image.

    brightness  factor drawn from 1 - brightness..1 + brightness
    contrast    of the distance to the image's mean, from 1 - contrast..1 + contrast
    """

    brightness: float
    contrast: float

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draws = torch.rand(3, len(images), 1, 1, 1, generator=generator, device=images.device)
        brightness = 1 + (2 * draws[0] - 1) * self.brightness
        contrast = 1 + (2 * draws[1] - 1) * self.contrast
        first = change_contrast((images * brightness).clamp(0, 1), contrast)
        second = (change_contrast(images, contrast) * brightness).clamp(0, 1)
        return torch.where(draws[2] < 0.5, first, second)


def change_contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Distances to each image's mean times its factor (n, 1, 1, 1), kept within 0..1."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + (images - mean) * factor).clamp(0, 1)


@dataclass(frozen=True)
class BrightnessContrast:
    """As albumentations' RandomBrightnessContrast; a positive brightness makes black grey as well.

    brightness  added, drawn from -brightness..brightness
    contrast    factor before that, drawn from 1 - contrast..1 + contrast
    """

    brightness: float = 0.2
    contrast: float = 0.2

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draws = torch.rand(2, len(images), 1, 1, 1, generator=generator, device=images.device)
        brightness = (2 * draws[0] - 1) * self.brightness
        contrast = (2 * draws[1] - 1) * self.contrast
        return (images * (1 + contrast) + brightness).clamp(0, 1)


@dataclass(frozen=True)
class RandomApply:
    """An augmentation that changes each image with this probability, drawn for each by itself."""

    probability: float
    augment: Augmentation

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draws = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        return torch.where(draws < self.probability, self.augment(images, generator), images)


@dataclass(frozen=True)
class Compose:
    """Several augmentations, one after the other."""

    steps: tuple[Augmentation, ...]

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for step in self.steps:
            images = step(images, generator)
        return images
