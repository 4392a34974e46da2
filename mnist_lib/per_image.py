"""Pipelines that change one image at a time (albumentations, torchvision) as augmentations."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mnist_lib.data import to_float


@dataclass(frozen=True)
class PerImage:
    """A per-image pipeline as an augmentation: `albumentations.Compose` or torchvision transform.

    albumentations gets a uint8 array (28, 28), torchvision a uint8 tensor (1, 28, 28); both must
    give back the same shape. The pipeline draws anew for each image, and its random numbers are
    seeded from the generator once per call, so a run can be repeated. Slower than a batched
    augmentation; in a training, other cores do it ahead of time.
    """

    pipeline: Callable

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        pixels = (images * 255).round().byte().cpu()
        return to_float(self.changed(pixels, new_seed(generator))).to(images.device)

    def changed(self, pixels: torch.Tensor, seed: int) -> torch.Tensor:
        """uint8 (n, 1, 28, 28), each image through the pipeline; raises ValueError for others."""
        if hasattr(self.pipeline, "set_random_seed"):  # albumentations ignores the global seeds
            self.pipeline.set_random_seed(seed)
            arrays = [self.pipeline(image=image)["image"] for image in pixels.squeeze(1).numpy()]
            changed = torch.from_numpy(np.stack(arrays)).unsqueeze(1)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                changed = torch.stack([self.pipeline(image) for image in pixels])
        if changed.shape != pixels.shape:
            raise ValueError(
                f"the augmentation made {tuple(changed.shape)} of {tuple(pixels.shape)}: "
                "it must keep the size of the images"
            )
        return changed

    def ahead(
        self, images: torch.Tensor, chunks: Sequence[torch.Tensor], generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """The uint8 images at these positions, changed by other processes ahead of time.

        Worker processes that draw for themselves start from the same state in every epoch, and so
        repeat their augmentations. These get a seed with each chunk, and so give the same images
        as one process would. Meanwhile PyTorch leaves them their cores: on two cores 10,000
        images of 05-albumentations take 1.6 s so, 1.8 s without, and 2.0 s if they compete.
        """
        seeds = [new_seed(generator) for _ in chunks]
        workers = spare_cores()
        loader = DataLoader(
            Chunks(self, images.cpu(), [chosen.cpu() for chosen in chunks], seeds),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            generator=torch.Generator(),  # else it would take a number from the global one
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, min(threads, (os.cpu_count() or 1) - workers)))
        try:
            yield from loader
        finally:
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class Chunks(Dataset):
    """A per-image pipeline's work: chunk after chunk of images with a seed for each."""

    augment: PerImage
    images: torch.Tensor
    chunks: Sequence[torch.Tensor]
    seeds: Sequence[int]

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.augment.changed(self.images[self.chunks[index]], self.seeds[index])


def new_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator, device=generator.device))


def spare_cores() -> int:
    """Cores beside the one that trains, at most 4; none where processes cannot be forked.

    Elsewhere each epoch would start with seconds of imports in every new process.
    """
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return 0
    return min(4, (os.cpu_count() or 1) - 1)
