"""The jobs of `run`: which notebooks are executed with which parameters, and what is finished.

The recipes are imported where they are used, because `run`'s workers need no PyTorch.
"""

import argparse
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill

from mnist_lib.commands.main import sentence
from mnist_lib.engine import machine

KEY = "mnist_lib"  # where an executed copy keeps its key in the notebook's metadata
PRINTED_SECONDS = re.compile(r"epochs on \w+ in (\d+) min (\d+) s")


@dataclass
class Job:
    """One execution of a notebook.

    Attributes:
        parameters: those that differ from the notebook's own.
        key: hash of the notebook's code, these parameters and its recipes.
        trains: whether its code trains networks; other pages only show what is recorded.
        seconds: that its trainings took, as its outputs say; infinite if they do not.
    """

    notebook: Path
    name: str
    parameters: dict
    key: str
    trains: bool
    seconds: float

    @property
    def makes_page(self) -> bool:
        """Whether its outputs may become the page: those of another seed or system do not."""
        return not self.parameters.keys() & {"SEED", "SYSTEM"}

    @property
    def copy(self) -> Path:
        """Its executed copy."""
        return machine.output_folder() / "executed" / f"{self.name}.ipynb"

    @property
    def part(self) -> Path:
        """Its copy while it is made; what is there otherwise has failed, or was stopped."""
        return self.copy.with_suffix(".part.ipynb")

    def is_finished(self) -> bool:
        """Whether it was executed as it stands now; an unreadable copy says no."""
        try:
            metadata = json.loads(self.copy.read_text(encoding="utf-8"))["metadata"]
            return metadata[KEY] == self.key and not self.part.exists()
        except (OSError, ValueError, LookupError, TypeError):
            return False


def plan(options: argparse.Namespace) -> list[Job]:
    """The jobs that a command means, the longest first; ValueError for what cannot be run."""
    from mnist_lib.experiments import find
    from mnist_lib.experiments.systems import SYSTEMS

    if options.device:
        machine.choose_device(options.device)
    if options.notebooks and options.system:
        raise ValueError("--system runs a notebook of its own; leave out the others")
    recipes = SYSTEMS if options.system == ["all"] else map(find, options.system)
    systems = [recipe.name for recipe in recipes]
    jobs = []
    for path in find_notebooks(options.notebooks, options.folder):
        code, defaults, seconds = read_notebook(path)
        if systems and "SYSTEM" not in defaults:
            continue
        trains = any(re.search(r"\b(fit|save)\(", source) for source in code)
        for seed in options.seeds if trains and options.seeds else [None]:
            for system in systems or [None]:
                asked = {"SEED": seed, "DEVICE": options.device, "THREADS": options.threads}
                asked = {n: v for n, v in {**asked, "SYSTEM": system}.items() if v is not None}
                if trains and (unknown := asked.keys() - defaults):
                    raise ValueError(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
                changed = {n: v for n, v in asked.items() if str(v) != defaults.get(n, str(v))}
                chosen = {"SEED": machine.DEFAULT_SEED, **defaults, **changed}
                name = "-".join([path.stem, *filter(None, [chosen.get("SYSTEM")])])
                name += f"-seed-{chosen['SEED']}"
                key = key_of(path, code, changed, chosen.get("SYSTEM"))
                jobs.append(Job(path, name, changed, key, trains, seconds))
    return sorted(jobs, key=lambda job: (not job.trains, -job.seconds))


def find_notebooks(names: list[str], folder: Path) -> list[Path]:
    """The notebooks NN_name.ipynb of these numbers, stems or paths, in order; no names: all."""
    available = sorted(folder.expanduser().resolve().glob("[0-9][0-9]_*.ipynb"))
    if not available:
        raise ValueError(f"there are no notebooks NN_name.ipynb in {folder}")
    chosen = []
    for name in names:
        found = [p for p in available if name in (p.stem, p.name) or name.zfill(2) == p.stem[:2]]
        found += [Path(name).resolve()] if Path(name).is_file() else []
        if not found:
            stems = ", ".join(path.stem for path in available)
            raise ValueError(f"there is no notebook '{name}'; there are {stems}")
        chosen.append(found[0])
    return sorted(set(chosen)) or available


def read_notebook(path: Path) -> tuple[list[str], dict[str, str], float]:
    """Code without the set-up cell, parameters as text, and the seconds of its last trainings."""
    try:
        text = path.read_text(encoding="utf-8")
        cells = nbformat.reads(text, as_version=4).cells
        code = [c.source for c in cells if c.cell_type == "code" and "bootstrap" not in tags(c)]
        found = papermill.inspect_notebook(literally(path))
    except OSError:
        raise
    except Exception as error:  # nbformat and papermill have many ways to fail
        raise ValueError(f"{path} is no notebook: {sentence(error)}") from None
    defaults = {name: parameter["default"].strip("\"'") for name, parameter in found.items()}
    seconds = sum(60 * int(m) + int(s) for m, s in PRINTED_SECONDS.findall(text))
    return code, defaults, seconds or math.inf


def key_of(path: Path, code: list[str], parameters: dict, system: str | None) -> str:
    """Short hash of all that decides an execution, so that a changed one is done again."""
    from mnist_lib.engine.fingerprint import short_hash
    from mnist_lib.experiments import all_recipes, find

    own = [recipe for recipe in all_recipes() if recipe.name[:3] == f"{path.name[:2]}-"]
    recipes = [find(system)] if system else own
    return short_hash([code, parameters, [recipe.fingerprint() for recipe in recipes]])


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def literally(path: Path) -> str:
    """A path for papermill, which takes braces for names of parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")
