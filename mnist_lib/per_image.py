"""Pipelines that change one image at a time (albumentations, torchvision) as augmentations."""

import multiprocessing
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    augmentation; a training on several threads of Linux has it done ahead by other processes.
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
            with global_randomness(seed):
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
        as one process would. Training leaves them their share of its threads meanwhile: to compete
        with them for the cores takes longer than to do without them. An epoch of 10,000 images of
        05-albumentations takes 1.6 s, in one process 1.9.
        """
        seeds = [new_seed(generator) for _ in chunks]
        threads = torch.get_num_threads()
        workers = helpers(threads)
        loader = DataLoader(
            Chunks(self, images.cpu(), [chosen.cpu() for chosen in chunks], seeds),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            generator=torch.Generator(),  # else it would take a number from the global one
        )
        torch.set_num_threads(threads - workers)
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


def helpers(threads: int) -> int:
    """How many processes to take from a training's threads; none where they cannot be forked.

    Elsewhere each epoch would start with seconds of imports in every new process.
    """
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return 0
    return min(4, threads - 1)


@contextmanager
def global_randomness(seed: int):
    """The generators that a pipeline may draw from, seeded inside and as before afterwards."""
    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.default_generator.set_state(before[2])
