"""Pipelines that change one image at a time (albumentations, torchvision) as augmentations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mnist_lib.engine.checks import check_augmentable
from mnist_lib.engine.device import seeded


@dataclass(frozen=True)
class PerImage:
    """A per-image pipeline as an augmentation: `albumentations.Compose` or torchvision transform.

    albumentations gets a uint8 array (28, 28), torchvision a uint8 tensor (1, 28, 28); both must
    give back the same shape and type, else ValueError. The pipeline draws anew for each image, and
    its random numbers are seeded from the generator once per call, so a run can be repeated. Slower
    than a batched augmentation, which changes all images at once.
    """

    pipeline: Callable

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        check_augmentable(images)
        pixels = (images * 255).round().byte().cpu()
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        if hasattr(self.pipeline, "set_random_seed"):  # albumentations ignores the global seeds
            self.pipeline.set_random_seed(seed)
            arrays = [self.pipeline(image=image)["image"] for image in pixels.squeeze(1).numpy()]
            changed = torch.from_numpy(np.stack(arrays)).unsqueeze(1)
        else:
            with seeded(seed):
                changed = torch.stack([self.pipeline(image) for image in pixels])
        if changed.shape != pixels.shape or changed.dtype != pixels.dtype:
            raise ValueError(
                f"the augmentation made {changed.dtype} {tuple(changed.shape)} of uint8 "
                f"{tuple(pixels.shape)}: it must keep the size of the images and their type"
            )
        return changed.to(images.device).float().div_(255)


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
