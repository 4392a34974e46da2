"""The digits: fetched, split into training, validation and test images, handed out in batches.

Images are uint8 (n, 1, 28, 28) in 0..255 and labels int64 (n,) in 0..9 until a batch is made.
"""

import gzip
import hashlib
import http.client
import math
import os
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch
from filelock import FileLock
from platformdirs import user_cache_dir

from mnist_lib.engine.machine import check_count, write_atomically

FOLDS = 10  # parts of the training images, each held out in turn
FOLD_RULE = "rank by label, parity of position and position, modulo ten"
MEAN, STD = 0.1307, 0.3081  # of the pixels of the 60,000 training images, scaled to 0..1
TEST_SIZE = 10_000
IMAGE, CLASSES = (1, 28, 28), 10

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FILES = {  # and the MD5 sums of their content
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

# ---- download -----------------------------------------------------------------------------------
# torchvision and pooch read no folder as a mirror, and both take intact files of another name or
# packing for damaged ones; so what is found counts by its content alone


def make_available(raw: Path) -> None:
    """Make sure that the folder holds the four intact files, whatever is there now."""
    for name in FILES:
        if not ((raw / name).is_file() and is_intact(name, (raw / name).read_bytes())):
            raw.mkdir(parents=True, exist_ok=True)
            with FileLock(raw / ".lock"):  # several processes may start at once
                content = fetch(name, raw)
                if (raw / name).is_dir():  # 7-Zip may unpack a file into a folder of its name
                    (raw / name).rename(raw / f"{name}-folder")
                write_atomically(raw / name, content)


def is_intact(name: str, content: bytes) -> bool:
    """Whether this is the content of the file of this name, by its MD5 sum."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == FILES[name]


def fetch(name: str, raw: Path) -> bytes:
    """The content of a file, from the first place that has it intact.

    Raises:
        ConnectionError: that names all places that were tried and says which files go where.
    """
    tried = []
    for address in addresses(name, raw):
        try:
            with urllib.request.urlopen(address, timeout=30) as response:
                content = response.read()
            content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
            if is_intact(name, content):
                return content
            tried.append(f"{address}: truncated or altered (its MD5 sum differs)")
        except (OSError, EOFError, ValueError, zlib.error, http.client.HTTPException) as error:
            tried.append(f"{address}: {getattr(error, 'reason', error)}")
    raise ConnectionError(
        "MNIST could not be downloaded. Tried:\n  " + "\n  ".join(tried) + "\nTwo ways out:\n"
        f"  1. put these four files, packed (.gz) or not, into {raw}: {', '.join(FILES)}\n"
        "  2. set MNIST_MIRROR to a folder or an address that has them "
        f"(now it is '{os.environ.get('MNIST_MIRROR', '')}')"
    )


def addresses(name: str, raw: Path) -> Iterator[str]:
    """Where a file may be: in its folder, at $MNIST_MIRROR, at the public mirrors."""
    own = os.environ.get("MNIST_MIRROR", "").strip()
    path = urllib.request.url2pathname(own[7:]) if own.startswith("file://") else own
    for folder in [raw, Path(path).expanduser()] if own else [raw]:
        for stem in (name, name.replace("-idx", ".idx")):  # Kaggle and 7-Zip write a dot
            yield from (file.resolve().as_uri() for file in sorted(folder.rglob(f"{stem}*")))
    web = [own] if own.startswith(("http", "ftp")) else []
    for mirror in (*web, *MIRRORS):
        yield f"{quote(mirror.rstrip('/'), safe=':/?&=%~+@')}/{name}.gz"


def raw_folder(root: str | Path | None = None) -> Path:
    """Where the four files are: below this root, $MNIST_ROOT or the user's cache."""
    root = root or os.environ.get("MNIST_ROOT") or user_cache_dir("mnist_lib")
    return Path(root).expanduser() / "MNIST" / "raw"


# ---- the digits ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """MNIST in three parts: images uint8 (n, 1, 28, 28), labels int64 (n,).

    Attributes:
        fold: which tenth of the training images validates; 0 for none, None for other digits.
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
        """The digits to choose by: test images that are absent cannot be used by mistake."""
        return replace(self, test_images=self.test_images[:0], test_labels=self.test_labels[:0])


def load_mnist(root: str | Path | None = None, fold: int = 0) -> Digits:
    """All of MNIST as tensors, fetched at the first call.

    Args:
        root: folder of MNIST/raw; by default $MNIST_ROOT or the user's cache.
        fold: 1 to 10, the tenth of the training images that validates; with 0 all 60,000 train.
            A recipe says which one a seed takes: ``load_mnist(fold=recipe.fold(seed))``.

    Raises:
        ValueError: for an impossible fold.
        ConnectionError: if no mirror gave intact files.
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

    Iterating yields ``x`` float32 (batch, 1, 28, 28), normalised, and ``y`` int64 (batch,).

    Args:
        images: uint8 (n, 1, 28, 28), held once on the device.
        labels: int64 (n,).
        batch_size: from 1 to n.
        augment: see `augment.py`; None leaves the images as they are.
        order: CPU generator of the shuffling; None keeps the order, for evaluation.
        draws: generator of the augmentation's parameters, on the device.
        device: of the batches.
        epochs: of the whole training, for kinds of batches that change with the epoch.

    Raises:
        ValueError: for other images or labels, or a batch size that does not fit the set.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        augment: Callable | None = None,
        order: torch.Generator | None = None,
        draws: torch.Generator | None = None,
        device: str = "cpu",
        epochs: int = 1,
    ):
        check_digits(images, labels)
        if type(batch_size) is not int or not 1 <= batch_size <= len(labels):
            raise ValueError(f"batch size {batch_size} does not fit a set of {len(labels)} images")
        self.images, self.labels = images.to(device), labels.to(device)
        self.batch_size, self.augment, self.order, self.draws = batch_size, augment, order, draws
        self.count = len(labels)  # images of a pass

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for chosen in self.positions().to(self.labels.device).split(self.batch_size):
            x = to_float(self.images[chosen])
            if self.augment is not None:
                x = self.augment(x, self.draws)
            yield normalise(x), self.labels[chosen]

    def positions(self) -> torch.Tensor:
        """Of all images of this pass, in its order: int64, on the CPU."""
        if self.order is None:
            return torch.arange(len(self.labels))
        return torch.randperm(len(self.labels), generator=self.order)

    def note(self, logits: torch.Tensor, y: torch.Tensor) -> None:
        """Called after each step of a training, for kinds of batches that depend on losses."""


def check_digits(images: torch.Tensor, labels: torch.Tensor) -> None:
    """ValueError unless these are uint8 (n, 1, 28, 28) with an int64 label 0..9 for each."""
    if images.dtype != torch.uint8 or images.shape[1:] != IMAGE:
        raise ValueError(
            "images must be uint8 (n, 1, 28, 28) in 0..255, as load_mnist gives them, "
            f"not {images.dtype} {tuple(images.shape)}"
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{len(images)} images need as many labels of type int64, "
            f"not {labels.dtype} {tuple(labels.shape)}"
        )
    if len(labels) and not (0 <= labels.min() and labels.max() < CLASSES):
        raise ValueError(f"labels must be 0..9, not {int(labels.min())}..{int(labels.max())}")
