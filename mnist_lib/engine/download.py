"""The four files of MNIST: fetched once from the first mirror that has them intact."""

import functools
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
from platformdirs import user_cache_dir
from tqdm import tqdm

from mnist_lib.engine.environment import folder
from mnist_lib.engine.files import write_atomically

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SILENCE_SECONDS = 30  # a server that says nothing for so long is given up
ARCHIVE_SECONDS = 300  # and so is one that takes longer than this for an archive
BAR_SECONDS = 3  # a bar is shown when it takes longer than this

# MD5 of the four files after unpacking
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def raw_folder(root: str | Path | None = None) -> Path:
    """Where the four files are: below this root, $MNIST_ROOT or the user's cache."""
    root = root or folder("MNIST_ROOT", user_cache_dir("mnist_lib"))
    return Path(root).expanduser() / "MNIST" / "raw"


def make_available(raw: Path) -> None:
    """Make sure that the folder holds the four intact files, whatever is there now.

    Every file is checked by its MD5 sum; a damaged one is named and made anew. A lock lets several
    processes start at once; a complete folder needs none and may be read-only.
    """
    if all(is_intact(raw / name) for name in FILES):
        return
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw / ".lock"):
        for name in FILES:
            if is_intact(raw / name):
                continue  # perhaps another process was faster
            if (raw / name).exists():
                print(f"{name} is damaged (its MD5 sum differs); replacing it", file=sys.stderr)
            write_atomically(raw / name, fetch(name, raw))


def is_intact(file: Path) -> bool:
    """Whether the file exists with its MD5 sum; a file that has not changed is not read again."""
    if not file.exists():
        return False
    status = file.stat()
    return md5_of_file(file, status.st_size, status.st_mtime_ns) == FILES[file.name]


@functools.cache
def md5_of_file(file: Path, _size: int, _changed: int) -> str:
    """A sweep's worker loads the digits for each of its runs: it hashes 55 MB once."""
    return md5_of(file.read_bytes())


def md5_of(content: bytes) -> str:
    """As hexadecimal digits; machines under FIPS rules allow MD5 only where nothing is secret."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fetch(name: str, folder: Path) -> bytes:
    """The file from its archive in the folder, else from the first mirror that has it intact.

    raises ConnectionError that names all that was tried.
    """
    archive, tried = folder / f"{name}.gz", []
    beside = [archive.resolve().as_uri()] if archive.exists() else []
    for address in [*beside, *(f"{mirror}{name}.gz" for mirror in mirrors())]:
        print(f"fetching {address}", file=sys.stderr)
        try:
            return unpacked(name, read(address))
        except (OSError, ValueError, http.client.HTTPException) as error:
            tried.append(f"{address}: {getattr(error, 'reason', error)}")
            print(tried[-1], file=sys.stderr)
    raise ConnectionError(
        "MNIST could not be downloaded. Tried:\n  " + "\n  ".join(tried) + "\n"
        "Two ways out:\n"
        f"  1. put the four archives (*-ubyte.gz) into {folder}\n"
        "  2. set MNIST_MIRROR to an address that has them (file:///path/to/folder/ works too)"
    )


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

    Several stand side by side, each beginning with / or ~ or a scheme: names may hold spaces.
    """
    own = re.split(r"\s+(?=[\w+]+:|[/~\\])", os.environ.get("MNIST_MIRROR", "").strip())
    addresses = [as_address(name) for name in own if name]
    return [address.rstrip("/") + "/" for address in (*addresses, *MIRRORS)]


def as_address(name: str) -> str:
    """A folder as an address; an address as it is, with its spaces written as one wants them."""
    folder = Path(name).expanduser()
    return folder.resolve().as_uri() if folder.is_dir() else name.replace(" ", "%20")


def read(address: str) -> bytes:
    """All that is at an address; TimeoutError for a server that sends too slowly to wait for."""
    started, pieces = time.monotonic(), []
    with urllib.request.urlopen(address, timeout=SILENCE_SECONDS) as response:
        size = int(response.headers.get("Content-Length") or 0) or None
        with tqdm(total=size, unit="B", unit_scale=True, delay=BAR_SECONDS, leave=False) as bar:
            while piece := response.read1(2**16):
                pieces.append(piece)
                bar.update(len(piece))
                if time.monotonic() - started > ARCHIVE_SECONDS:
                    raise TimeoutError(f"not complete after {ARCHIVE_SECONDS} s")
    return b"".join(pieces)
