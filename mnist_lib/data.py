"""The digits: downloaded once, checked, and split into training, validation and test images."""

import hashlib
import http.client
import os
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from platformdirs import user_cache_dir

from mnist_lib.files import write_atomically

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TRAINING_SIZE = 60_000  # images in the published training set
TIMEOUT_SECONDS = 30
MEAN, STD = 0.1307, 0.3081  # of the pixels of the 60,000 training images, scaled to 0..1

# MD5 of the four files after unpacking; torchvision itself only knows those of the archives.
UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True)
class Digits:
    """MNIST in three parts: images uint8 (n, 1, 28, 28) in 0..255, labels int64 (n,) in 0..9."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    def sizes(self) -> dict[str, int]:
        """Number of images in each part."""
        return {
            part: len(getattr(self, f"{part}_labels")) for part in ("train", "validation", "test")
        }

    def first(self, count: int) -> "Digits":
        """At most so many images of each part."""
        return Digits(**{name: tensor[:count] for name, tensor in vars(self).items()})


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 to float32 0..1."""
    return images.float().div_(255)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """float32 0..1 to mean 0 and standard deviation 1 over the training set."""
    return (images - MEAN) / STD


def load_mnist(root: str | Path | None = None, holdout: int = 5_000) -> Digits:
    """All of MNIST as tensors, fetched at the first call.

    root     folder that holds (or will hold) MNIST/raw; default: $MNIST_ROOT or the user's cache
    holdout  training images set aside for validation; 0 trains on all 60,000
    raises   ValueError for an impossible holdout, ConnectionError if no mirror gave intact files
    """
    from torchvision.datasets import MNIST  # takes seconds, and only this room needs it

    if not 0 <= holdout <= TRAINING_SIZE // 2:
        raise ValueError(f"holdout must be between 0 and {TRAINING_SIZE // 2:,}, not {holdout}")
    root = Path(root or os.environ.get("MNIST_ROOT") or user_cache_dir("mnist_lib"))
    make_available(root)
    train, test = MNIST(root, train=True), MNIST(root, train=False)
    images, labels = train.data.unsqueeze(1), train.targets
    kept, held_out = split_indices(holdout)
    return Digits(
        images[kept], labels[kept], images[held_out], labels[held_out],
        test.data.unsqueeze(1), test.targets,
    )  # fmt: skip


def split_indices(holdout: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the training and of the validation images within the 60,000.

    Validation takes `holdout` images at even distances, even and odd positions in turn (with 5,000:
    images 0, 13, 24, 37, ...). The turn matters: the digits of MNIST's two groups of writers stand
    alternately, and those at even positions are several times harder. Without random numbers, the
    choice is the same on every machine and with every version.
    """
    turn = torch.arange(holdout)
    held_out = turn * TRAINING_SIZE // max(holdout, 1) + turn % 2
    is_kept = torch.ones(TRAINING_SIZE, dtype=torch.bool)
    is_kept[held_out] = False
    return is_kept.nonzero().squeeze(1), held_out


def make_available(root: Path) -> None:
    """Make sure that root/MNIST/raw holds the four intact files, whatever is there now.

    Every file is checked by its MD5 sum; a damaged one is named, removed and fetched again. A lock
    lets several processes start at once.
    """
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import extract_archive

    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw / ".lock"):
        for archive, archive_md5 in MNIST.resources:
            unpacked = raw / archive.removesuffix(".gz")
            if is_intact(unpacked, UNPACKED_MD5[unpacked.name]):
                continue
            unpacked.unlink(missing_ok=True)
            if not is_intact(raw / archive, archive_md5):
                fetch(archive, archive_md5, raw)
            extract_archive(raw / archive, raw)


def is_intact(file: Path, md5: str) -> bool:
    """Whether the file exists with this MD5 sum; a file with another sum is named on stderr."""
    if not file.exists():
        return False
    intact = hashlib.md5(file.read_bytes()).hexdigest() == md5
    if not intact:
        print(f"{file.name} is damaged (its MD5 sum differs); replacing it", file=sys.stderr)
    return intact


def mirrors() -> list[str]:
    """Addresses to try: those in $MNIST_MIRROR (separated by spaces), then the public ones."""
    own = [
        Path(address).resolve().as_uri() if Path(address).is_dir() else address
        for address in os.environ.get("MNIST_MIRROR", "").split()
    ]
    return [address.rstrip("/") + "/" for address in (*own, *MIRRORS)]


def fetch(archive: str, md5: str, folder: Path) -> None:
    """Download one archive into the folder from the first mirror that has it intact.

    raises ConnectionError that names all that was tried.
    """
    print(f"fetching {archive}", file=sys.stderr)
    tried = []
    for mirror in mirrors():
        try:
            with urllib.request.urlopen(mirror + archive, timeout=TIMEOUT_SECONDS) as response:
                content = response.read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            tried.append(f"{mirror}{archive}: {getattr(error, 'reason', error)}")
            continue
        if hashlib.md5(content).hexdigest() != md5:
            tried.append(f"{mirror}{archive}: truncated or altered (its MD5 sum differs)")
            continue
        write_atomically(folder / archive, content)
        return
    raise ConnectionError(
        "MNIST could not be downloaded. Tried:\n  " + "\n  ".join(tried) + "\n"
        "Two ways out:\n"
        f"  1. put the four archives (*-ubyte.gz) into {folder}\n"
        "  2. set MNIST_MIRROR to an address that has them (file:///path/to/folder/ works too)"
    )
