"""The digits: loaded, split into training, validation and test images, and handed out in batches.

Images are uint8 (n, 1, 28, 28) in 0..255 and labels int64 (n,) in 0..9 until a batch is made.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mnist_lib.engine.checks import check_count, check_digits
from mnist_lib.engine.download import FILES, make_available, raw_folder

TRAINING_SIZE, TEST_SIZE = 60_000, 10_000  # images in the published sets
FOLDS = 10  # parts of the training images, each held out in turn
FOLD_RULE = "rank by label, parity of position and position, modulo ten"
MEAN, STD = 0.1307, 0.3081  # of the pixels of the 60,000 training images, scaled to 0..1


@dataclass(frozen=True)
class Digits:
    """MNIST in three parts.

    fold  which tenth of the training images validates; 0: none, None: parts of the reader's own
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    fold: int | None = None

    def sizes(self) -> dict[str, int]:
        """Number of images in each part."""
        return {part: len(vars(self)[f"{part}_labels"]) for part in ("train", "validation", "test")}

    def first(self, count: int) -> "Digits":
        """At most so many images of each part."""
        tensors = {name: part[:count] for name, part in vars(self).items() if name != "fold"}
        return replace(self, **tensors)

    def without_test(self) -> "Digits":
        """The digits to choose by: nobody can peep at test images that are not there."""
        return replace(self, test_images=self.test_images[:0], test_labels=self.test_labels[:0])


def load_mnist(root: str | Path | None = None, fold: int = 0) -> Digits:
    """All of MNIST as tensors, fetched at the first call.

    root    folder that holds (or will hold) MNIST/raw; default: $MNIST_ROOT or the user's cache
    fold    1..10: the tenth of the training images that validates; 0: all 60,000 train. A recipe
            says which one a seed takes: load_mnist(fold=recipe.fold(seed))
    raises  ValueError for an impossible fold, ConnectionError if no mirror gave intact files
    """
    check_count("fold", fold, lowest=0, highest=FOLDS)
    raw = raw_folder(root)
    make_available(raw)
    images, labels, test_images, test_labels = (read_idx(raw / name) for name in FILES)
    is_held_out = fold_of_each(labels) == fold
    kept, held_out = (~is_held_out).nonzero().squeeze(1), is_held_out.nonzero().squeeze(1)
    return Digits(
        images[kept], labels[kept], images[held_out], labels[held_out],
        test_images, test_labels, fold,
    )  # fmt: skip


def read_idx(file: Path) -> torch.Tensor:
    """A file of MNIST: images uint8 (n, 1, 28, 28) or labels int64 (n,).

    By hand, because importing torchvision takes longer than all the rest; a test compares the two.
    """
    if "images" in file.name:
        return torch.from_numpy(np.fromfile(file, np.uint8, offset=16).reshape(-1, 1, 28, 28))
    return torch.from_numpy(np.fromfile(file, np.uint8, offset=8)).long()


def fold_of_each(labels: torch.Tensor) -> torch.Tensor:
    """The fold 1..10 of each training image, int64 (n,), for its label (n,).

    Each fold has a tenth of every digit and of both groups of writers: those stand alternately in
    MNIST, and digits at even positions are several times harder. Nothing is random, so the folds
    are the same everywhere; ten networks that each left one out have validated on all images.
    """
    positions = torch.arange(len(labels))
    order = (labels * 2 + positions % 2).argsort(stable=True)
    folds = torch.empty_like(labels)
    folds[order] = positions % FOLDS + 1
    return folds


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to float32 0..1."""
    return images.float().div_(255)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """float32 0..1 to mean 0 and standard deviation 1 over the training set."""
    return (images - MEAN) / STD


class Batches:
    """One pass over a set per iteration: shuffled, augmented, normalised, the last batch kept.

    images     uint8 (n, 1, 28, 28), labels int64 (n,); both are held once on the device
    augment    see `augment.py`; None leaves the images as they are
    order      CPU generator of the shuffling; None keeps the order (for evaluation)
    draws      generator of the augmentation's parameters, on the device
    yields     x float32 (batch, 1, 28, 28) normalised, y int64 (batch,)
    raises     ValueError for other images or labels, or a batch size that does not fit the set
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        augment: Callable | None = None,
        order: torch.Generator | None = None,
        draws: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ):
        check_digits(images, labels)
        if not (isinstance(batch_size, int) and 1 <= batch_size <= len(labels)):
            raise ValueError(f"batch size {batch_size} does not fit a set of {len(labels)} images")
        self.images, self.labels = images.to(device), labels.to(device)
        self.batch_size, self.augment, self.order, self.draws = batch_size, augment, order, draws

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return map(self.batch, self.positions().split(self.batch_size))

    def positions(self) -> torch.Tensor:
        """Of all images of this pass, in its order."""
        if self.order is None:
            return torch.arange(len(self.labels))
        return torch.randperm(len(self.labels), generator=self.order)

    def batch(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images and labels at these positions."""
        chosen = chosen.to(self.labels.device)
        x = to_float(self.images[chosen])
        if self.augment is not None:
            x = self.augment(x, self.draws)
        return normalise(x), self.labels[chosen]
