"""The project's folders, its commit, and its environment variables, each read in one way."""

import os
import subprocess
from pathlib import Path

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
DEFAULT_SEED = 11  # of the notebooks as they stand: trials used 1 to 10, registered runs begin here
PROJECT = Path(__file__).resolve().parents[2]


def is_on(name: str, default: bool = False) -> bool:
    """Whether a variable says yes or no in any usual word; ValueError for another word."""
    word = os.environ.get(name, "").strip().lower()
    if word not in ("", *YES, *NO):
        raise ValueError(f"{name}={word} is neither yes nor no; use 1 or 0")
    return word in YES if word else default


def is_short() -> bool:
    """Whether MNIST_LIB_SHORT asks for shortened runs, which only show that all works."""
    return is_on("MNIST_LIB_SHORT")


def folder(name: str, default: str | Path) -> Path:
    """The folder that a variable names, with ~ for the home folder, or the default."""
    return Path(os.environ.get(name) or default).expanduser()


def results_folder() -> Path:
    """Where the full-length results are: $MNIST_LIB_RESULTS or results/ of the project."""
    return folder("MNIST_LIB_RESULTS", PROJECT / "results")


def reading_folders() -> list[Path]:
    """Where records are looked for: a shortened run takes its own where there are no full ones."""
    return [results_folder(), output_folder()] if is_short() else [results_folder()]


def output_folder(short: bool | None = None) -> Path:
    """Where runs are written; short ones (None: as MNIST_LIB_SHORT says) never near the full."""
    short = is_short() if short is None else short
    return results_folder().parent / "short" / "results" if short else results_folder()


def commit() -> str | None:
    """The project's current commit, or None outside a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
        )
    except OSError:
        return None
    return answer.stdout.strip() or None
