"""The four files of MNIST: fetched once from the first mirror that has them intact."""

import gzip
import hashlib
import http.client
import os
import re
import sys
import time
import urllib.request
import zlib
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from mnist_lib.engine.files import write_atomically

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SILENCE_SECONDS = 30  # a server that says nothing for so long is given up
ARCHIVE_SECONDS = 300  # and so is one that takes longer than this for an archive
PIECE = 2**16  # bytes

# MD5 of the four files after unpacking
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def make_available(raw: Path) -> None:
    """Make sure that the folder holds the four intact files, whatever is there now.

    Every file is checked by its MD5 sum; a damaged one is named and made anew, from an intact
    archive beside it or from a mirror. A lock lets several processes start at once; a complete
    folder needs none and may be read-only.
    """
    if all(is_intact(raw / name) for name in FILES):
        return
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw / ".lock"):
        for name in FILES:
            if not is_intact(raw / name):  # another process may have been faster
                write_atomically(raw / name, from_archive(name, raw) or fetch(name, raw))


def is_intact(file: Path) -> bool:
    """Whether the file exists with its MD5 sum."""
    return file.exists() and md5_of(file.read_bytes()) == FILES[file.name]


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def from_archive(name: str, folder: Path) -> bytes | None:
    """What the archive in the folder holds; None if there is none, or a damaged one."""
    archive = folder / f"{name}.gz"
    if (folder / name).exists():
        print(f"{name} is damaged (its MD5 sum differs); replacing it", file=sys.stderr)
    if not archive.exists():
        return None
    try:
        return unpacked(name, archive.read_bytes())
    except ValueError as error:
        print(f"{archive.name} is {error}; fetching it", file=sys.stderr)
        return None


def unpacked(name: str, packed: bytes) -> bytes:
    """The content of an archive; ValueError unless it is the file of this name."""
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        content = b""
    if md5_of(content) != FILES[name]:
        raise ValueError("truncated or altered (its MD5 sum differs)")
    return content


def mirrors() -> list[str]:
    """Addresses to try: those in $MNIST_MIRROR, then the public ones.

    Several stand side by side, each beginning with / or ~ or a scheme, so a folder's name may hold
    spaces.
    """
    own = re.split(r"\s+(?=[\w+]+:|[/~\\])", os.environ.get("MNIST_MIRROR", "").strip())
    addresses = [as_address(name) for name in own if name]
    return [address.rstrip("/") + "/" for address in (*addresses, *MIRRORS)]


def as_address(name: str) -> str:
    """A folder as an address; an address as it is, with its spaces written as one wants them."""
    folder = Path(name).expanduser()
    return folder.resolve().as_uri() if folder.is_dir() else name.replace(" ", "%20")


def fetch(name: str, folder: Path) -> bytes:
    """Download and unpack one file from the first mirror that has it intact.

    raises ConnectionError that names all that was tried.
    """
    print(f"fetching {name}.gz", file=sys.stderr)
    tried = []
    for mirror in mirrors():
        try:
            return unpacked(name, read(f"{mirror}{name}.gz"))
        except (OSError, ValueError, http.client.HTTPException) as error:
            tried.append(f"{mirror}{name}.gz: {getattr(error, 'reason', error)}")
    raise ConnectionError(
        "MNIST could not be downloaded. Tried:\n  " + "\n  ".join(tried) + "\n"
        "Two ways out:\n"
        f"  1. put the four archives (*-ubyte.gz) into {folder}\n"
        "  2. set MNIST_MIRROR to an address that has them (file:///path/to/folder/ works too)"
    )


def read(address: str) -> bytes:
    """All that is at an address; a bar shows where it has got to when it takes longer than 3 s.

    raises TimeoutError for a server that sends, but too slowly to wait for.
    """
    started, pieces = time.monotonic(), []
    with urllib.request.urlopen(address, timeout=SILENCE_SECONDS) as response:
        size = int(response.headers.get("Content-Length") or 0) or None
        with tqdm(total=size, unit="B", unit_scale=True, delay=3, leave=False) as bar:
            while piece := response.read1(PIECE):
                pieces.append(piece)
                bar.update(len(piece))
                if time.monotonic() - started > ARCHIVE_SECONDS:
                    raise TimeoutError(f"not complete after {ARCHIVE_SECONDS} s")
    return b"".join(pieces)
