"""What a batch has to do: a job per notebook and seed, which are finished, and their order."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_lib.engine.environment import DEFAULT_SEED, is_short, output_folder
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.engine.store import read_records
from mnist_lib.experiments.systems import SYSTEMS, system
from mnist_lib.journey import recipes_of
from mnist_lib.recipes import Recipe

DEFAULT_SYSTEM = "S4-6"  # of the notebook that runs any of the published systems
KEY = "mnist_lib"  # where an executed copy keeps its key in the notebook's metadata
RUNS_SYSTEMS, RUNS_RACES = "SYSTEM", "FINAL_SEEDS"  # parameters of the notebooks that do so


@dataclass(frozen=True)
class Job:
    """One notebook with one seed.

    device   and threads: None where the notebook's own choice stands
    system   the published system to run, None for a notebook that runs none
    """

    notebook: Path
    seed: int
    device: str | None = None
    system: str | None = None
    threads: int | None = None

    def __str__(self) -> str:
        return " ".join([self.notebook.stem, *filter(None, [self.system]), f"seed {self.seed}"])

    @property
    def recipes(self) -> list[Recipe]:
        return [system(self.system)] if self.system else recipes_of(self.notebook.stem)

    @property
    def makes_page(self) -> bool:
        """Whether its outputs become the notebook that readers see."""
        return self.seed == DEFAULT_SEED and self.system in (None, DEFAULT_SYSTEM)

    def executed(self, kind: str = "") -> Path:
        """Its executed copy; kind '.part' is one being made, '.failed' one that stopped early."""
        name = str(self).replace(" ", "-")
        return output_folder() / "executed" / f"{name}{kind}.ipynb"


def choose(names: list[str], systems: list[str], folder: Path) -> tuple[list[Path], list[str]]:
    """The notebooks and published systems that a command means; systems have their own notebook.

    systems  names, or 'all'
    raises   ValueError for unknown names, or for both at once
    """
    if names and systems:
        raise ValueError("--system runs a notebook of its own; leave out the others")
    if "all" in systems and len(systems) > 1:
        raise ValueError("--system all means every one; leave out the other names")
    chosen = SYSTEMS if systems == ["all"] else map(system, systems or [DEFAULT_SYSTEM])
    notebooks = find_notebooks(names, folder)
    if systems:
        notebooks = [path for path in notebooks if has_parameter(path, RUNS_SYSTEMS)]
    if not notebooks:
        raise ValueError(f"no notebook in {folder} has the parameter {RUNS_SYSTEMS}")
    return notebooks, list(dict.fromkeys(recipe.name for recipe in chosen))


def find_notebooks(names: list[str], folder: Path) -> list[Path]:
    """The notebooks NN_name.ipynb of these numbers, stems or paths, in order; no names: all.

    raises ValueError that names what there is
    """
    available = sorted(folder.resolve().glob("[0-9][0-9]_*.ipynb"))
    if not available:
        raise ValueError(f"there are no notebooks NN_name.ipynb in {folder}")
    for name in names:
        if not any(is_called(path, name) for path in available):
            stems = ", ".join(path.stem for path in available)
            raise ValueError(f"there is no notebook '{name}'; there are {stems}")
    return [p for p in available if not names or any(is_called(p, name) for name in names)]


def is_called(notebook: Path, name: str) -> bool:
    """Whether the name means this notebook: '02', '2', '02_skeleton' or a path to it."""
    number = notebook.stem[:2]
    short_names = (number, number.lstrip("0"), notebook.stem, notebook.name)
    return name in short_names or Path(name).resolve() == notebook


def plan(
    notebooks: Iterable[Path],
    seeds: Iterable[int],
    device: str | None = None,
    systems: Iterable[str] = (DEFAULT_SYSTEM,),
    threads: int | None = None,
) -> list[Job]:
    """The jobs in their order; a notebook that trains nothing runs once.

    Other seeds and systems only make records and come first, seed by seed. A page shows the records
    of all seeds and of the steps before it; notebooks that look at everything come last.

    systems  the published systems that their notebook is run for
    """
    jobs = [
        Job(path, DEFAULT_SEED, device, name, threads)
        for path in notebooks
        for name in (systems if has_parameter(path, RUNS_SYSTEMS) else [None])
    ]
    training = [replace(job, seed=s) for s in dict.fromkeys(seeds) for job in jobs if job.recipes]
    looking = [job for job in jobs if not job.recipes]
    return sorted(training, key=lambda job: job.makes_page) + looking


def unfinished(jobs: list[Job], renew: bool = False) -> list[Job]:
    """The jobs whose result is not there yet.

    renew  committed records do not count, only what was executed in this clone
    """
    recorded = {
        (record["recipe"], record["fingerprint"], record["seed"])
        for record in read_records(output_folder())[0]
        if record["short"] == is_short()
    }
    return [job for job in jobs if not is_finished(job, recorded, renew)]


def is_finished(job: Job, recorded: set[tuple], renew: bool) -> bool:
    """Whether all recipes of the job are recorded and no execution of it was cut short.

    A copy still called .part or .failed stands for an execution that ended after its record was
    saved and before its page was.
    """
    if job.executed(".part").exists() or job.executed(".failed").exists():
        return False
    if not all((recipe.name, recipe.fingerprint(), job.seed) in recorded for recipe in job.recipes):
        return False
    if has_parameter(job.notebook, RUNS_RACES) and not (renew or is_short()):
        from mnist_lib.experiments.race_store import is_recorded  # pandas takes a second to import

        return is_recorded()
    return has_executed_copy(job) if renew or not job.recipes else True


def has_executed_copy(job: Job) -> bool:
    """Whether this clone has executed the job as it stands now; an unreadable file says no."""
    try:
        metadata = json.loads(job.executed().read_text(encoding="utf-8"))["metadata"]
        return metadata.get(KEY, {}).get("key") == key_of(job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def key_of(job: Job) -> str:
    """Short hash of all that decides the job: the notebook's code, its recipes and the seed.

    The bootstrap cell is left out: `make badges` writes the repository's address into it.
    """
    code = [source for tags, source in code_cells(job.notebook) if "bootstrap" not in tags]
    return short_hash([code, [recipe.fingerprint() for recipe in job.recipes], job.seed])


def has_parameter(notebook: Path, name: str) -> bool:
    """Whether the notebook's cell of parameters sets this one; a broken notebook has none."""
    try:
        cells = [source for tags, source in code_cells(notebook) if "parameters" in tags]
    except (OSError, ValueError):
        return False
    return any(line.startswith(f"{name} =") for cell in cells for line in cell.splitlines())


def code_cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Tags and source of each cell of code; OSError or ValueError if deleted or broken."""
    try:
        return [
            (cell["metadata"].get("tags", []), "".join(cell["source"]))
            for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{notebook} is no notebook: it is not JSON with cells") from None
