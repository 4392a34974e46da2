"""The digits: loaded, split into training, validation and test images, and handed out in batches.

Images are uint8 (n, 1, 28, 28) in 0..255 and labels int64 (n,) in 0..9 until a batch is made.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_dir

from mnist_lib.engine.checks import check_count, check_digits
from mnist_lib.engine.download import make_available
from mnist_lib.engine.environment import folder

TRAINING_SIZE, TEST_SIZE = 60_000, 10_000  # images in the published sets
MEAN, STD = 0.1307, 0.3081  # of the pixels of the 60,000 training images, scaled to 0..1


@dataclass(frozen=True)
class Digits:
    """MNIST in three parts."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    def sizes(self) -> dict[str, int]:
        """Number of images in each part."""
        return {part: len(vars(self)[f"{part}_labels"]) for part in ("train", "validation", "test")}

    def first(self, count: int) -> "Digits":
        """At most so many images of each part."""
        return Digits(**{name: tensor[:count] for name, tensor in vars(self).items()})


def load_mnist(root: str | Path | None = None, holdout: int = 5_000) -> Digits:
    """All of MNIST as tensors, fetched at the first call.

    root     folder that holds (or will hold) MNIST/raw; default: $MNIST_ROOT or the user's cache
    holdout  training images set aside for validation; 0 trains on all 60,000
    raises   ValueError for an impossible holdout, ConnectionError if no mirror gave intact files
    """
    from torchvision.datasets import MNIST  # takes seconds, and only this function needs it

    check_count("holdout", holdout, lowest=0, highest=TRAINING_SIZE // 2)
    root = Path(root or folder("MNIST_ROOT", user_cache_dir("mnist_lib"))).expanduser()
    make_available(root / "MNIST" / "raw")
    train, test = MNIST(root, train=True), MNIST(root, train=False)
    images, labels = train.data.unsqueeze(1), train.targets
    kept, held_out = split_indices(holdout)
    return Digits(
        images[kept], labels[kept], images[held_out], labels[held_out],
        test.data.unsqueeze(1), test.targets,
    )  # fmt: skip


def split_indices(holdout: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the training and of the validation images within the 60,000.

    Validation takes images at even distances, at even and odd positions in turn (0, 13, 24, 37, ...
    if it is 5,000): the digits of two groups of writers stand alternately, and those at even
    positions are several times harder. Nothing is random: the choice is the same everywhere.
    """
    turn = torch.arange(holdout)
    held_out = turn * TRAINING_SIZE // max(holdout, 1) + turn % 2
    is_kept = torch.ones(TRAINING_SIZE, dtype=torch.bool)
    is_kept[held_out] = False
    return is_kept.nonzero().squeeze(1), held_out


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
        positions = torch.arange(len(self.labels))
        if self.order is not None:
            positions = torch.randperm(len(positions), generator=self.order)
        for chosen in positions.to(self.labels.device).split(self.batch_size):
            x = to_float(self.images[chosen])
            if self.augment is not None:
                x = self.augment(x, self.draws)
            yield normalise(x), self.labels[chosen]
