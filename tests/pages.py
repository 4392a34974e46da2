"""The committed pages and their cells."""

import json
from pathlib import Path

from mnist_lib.engine.machine import PROJECT

PAGES = sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def cells_of(path: Path, kind: str = "code", tag: str = "") -> list[dict]:
    """The cells of this kind, of those with this tag; their sources as one text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = [{**cell, "source": "".join(cell["source"])} for cell in cells]
    return [cell for cell in found if kind in cell["cell_type"] and (not tag or tag in tags(cell))]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])
