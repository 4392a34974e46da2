"""Files: written so that nobody ever sees half of one, and pictures as their content."""

import io
import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write beside the target, then rename: a kill or a full disk leaves the old file intact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(part, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(part, path)
    except BaseException as error:
        Path(part).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk names no file
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def as_png(figure) -> bytes:
    """A figure as a picture without a date or version inside: equal records give equal files.

    Twice as many pixels as the page shows, for sharp screens; 256 colours, to be small.
    """
    from PIL import Image

    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=180)
    Image.open(drawn).convert("RGB").quantize(256).save(picture, format="png", optimize=True)
    return picture.getvalue()
