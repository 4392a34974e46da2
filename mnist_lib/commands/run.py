"""Notebooks as a batch: papermill on each, several at once, each to its end.

Workers execute one notebook after the other. When the command ends, however it ends, its end of a
pipe is closed, and each worker ends its kernel and itself: on Linux, macOS and Windows. The recipes
are imported where they are used, because workers need no PyTorch.
"""

import argparse
import json
import math
import multiprocessing
import os
import re
import signal
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import nbformat
import papermill
import psutil
from filelock import FileLock
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from mnist_lib.commands.main import data, sentence
from mnist_lib.engine import machine

KEY = "mnist_lib"  # where an executed copy keeps its key in the notebook's metadata
PRINTED_SECONDS = re.compile(r"epochs on \w+ in (\d+) min (\d+) s")
PRINTED_ACCURACY = re.compile(r"epoch +(\d+)/\1 .*?((?:validation|test) .*?%) +[\d.]+ s")


def run(options: argparse.Namespace) -> int:
    """Execute the notebooks that are not finished yet; show what came out of them.

    Raises:
        ValueError: for notebooks, systems or parameters that do not exist, before anything runs.
        OSError: if another run works on the same results.
    """
    jobs = plan(options)
    machine.output_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(machine.output_folder() / ".running.lock", timeout=0):
        waiting = jobs if options.force else [job for job in jobs if not job.is_finished()]
        print(f"{len(waiting)} notebooks to execute, {len(jobs) - len(waiting)} finished before")
        if not waiting:
            return 0
        data()  # once here, so that the kernels do not all wait for it
        failed = execute_all(waiting, options.jobs)
        print(f"{len(waiting) - len(failed)} finished, {len(failed)} failed")
        for name, reason in failed.items():
            print(f"  {name}: {reason}")
    return 1 if failed else 0


# ---- what is to be done -------------------------------------------------------------------------


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


# ---- several at once ----------------------------------------------------------------------------


def execute_all(jobs: list[Job], at_once: int) -> dict[str, str]:
    """Execute the jobs and say how each one ends; returns the names of those that failed, and why.

    No kernel sees a personal profile of IPython, which would change the pages.
    """
    failed, done, context = {}, 0, multiprocessing.get_context("spawn")
    heard, alive = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as empty_profile:
        os.environ.update(IPYTHONDIR=empty_profile, MNIST_LIB_LIVE="0", OMP_NUM_THREADS="1")
        for name in {"MNIST_LIB_RESULTS", "MNIST_ROOT"} & os.environ.keys():
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
        workers = min(at_once, len(jobs))
        with ProcessPoolExecutor(workers, context, end_with_the_command, (heard,)) as pool, alive:
            for trains in (True, False):  # what pages look at is recorded first
                running = {pool.submit(execute, job): job for job in jobs if job.trains == trains}
                while running:  # the time limit lets Windows hear Ctrl-C
                    for future in wait(running, 1, FIRST_COMPLETED).done:
                        name, done = running.pop(future).name, done + 1
                        if error := future.exception():
                            failed[name] = sentence(error)
                        outcome = "FAILED" if error else future.result()
                        print(f"[{done}/{len(jobs)}] {name}: {outcome}", flush=True)
    return failed


def end_with_the_command(heard: Connection) -> None:
    """Let this worker and its kernel end when the command closes its end of the pipe, or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears Ctrl-C

    def watch() -> None:
        with suppress(EOFError):
            heard.recv()
        for kernel in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                kernel.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---- one notebook, in a worker ------------------------------------------------------------------


class ThisPython(AsyncKernelManager):
    """Starts the kernel of this very Python, whatever else is registered as python3."""

    @default("kernel_spec_manager")
    def _native_only(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])


def execute(job: Job) -> str:
    """Execute one notebook; its page and its copy take their names when all is done.

    Returns:
        Its seconds, and the accuracies of the last training that it shows.

    Raises:
        RuntimeError: with a sentence about whatever stopped it, and the path of what is kept.
    """
    started = time.perf_counter()
    try:
        source = job.notebook.read_text(encoding="utf-8")
        machine.write_atomically(job.part, source)
        executed = papermill.execute_notebook(
            literally(job.part),
            literally(job.part),
            job.parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=job.notebook.parent,
            start_timeout=300,
            kernel_manager_class=ThisPython,
            extra_arguments=["--log-level=ERROR"],  # no line about encryption from every kernel
            shutdown_kernel="immediate",  # all is saved by then; a farewell takes two seconds
        )
        check_executed(executed)
        if job.makes_page and not machine.is_short():
            replace_page(job.notebook, source, executed)
        executed.metadata[KEY] = job.key
        machine.write_atomically(job.part, nbformat.writes(executed) + "\n")
        os.replace(job.part, job.copy)
    except Exception as error:  # another kind might not find its way out of this process
        kept = f"; kept up to there as {job.part}" if job.part.exists() else ""
        raise RuntimeError(in_a_sentence(error) + kept) from None
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    text = "\n".join(output.get("text", "") for output in outputs)
    accuracies = [" ".join(shown.split()) for _, shown in PRINTED_ACCURACY.findall(text)[-1:]]
    return "  ".join([f"finished in {time.perf_counter() - started:.0f} s", *accuracies])


def literally(path: Path) -> str:
    """A path for papermill, which takes braces for names of parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def in_a_sentence(error: Exception) -> str:
    """What stopped a notebook, in a line; where its kernel died, which one that was."""
    if isinstance(error, papermill.PapermillExecutionError):
        return f"{error.ename}: {error.evalue}".splitlines()[0]
    if "ernel" in str(error):
        argv = ThisPython(kernel_name="python3").kernel_spec.argv
        return f"{sentence(error)} (started as: {' '.join(argv)})"
    return sentence(error)


def check_executed(executed: nbformat.NotebookNode) -> None:
    """RuntimeError unless each cell of code was executed: sys.exit(0) half way is no error."""
    code = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
    for number, cell in enumerate(code, start=1):
        if cell.execution_count is None or any(o.output_type == "error" for o in cell.outputs):
            reason = "no cell may end the notebook, as exit() and quit() do"
            raise RuntimeError(
                f"cell {number} of {len(code)} was not executed to its end: {reason}"
            )


def replace_page(path: Path, source: str, executed: nbformat.NotebookNode) -> None:
    """Put the outputs into the notebook itself, as if it had been run there from top to bottom.

    Raises:
        RuntimeError: if somebody edited the notebook meanwhile; the edit is not overwritten.
    """
    if path.read_text(encoding="utf-8") != source:
        raise RuntimeError("the notebook was edited while it ran, so it was not replaced")
    page = nbformat.reads(source, as_version=4)
    ran = [cell for cell in executed.cells if "injected-parameters" not in tags(cell)]
    code = [pair for pair in zip(page.cells, ran, strict=True) if pair[1].get("execution_count")]
    for count, (cell, done) in enumerate(code, start=1):
        cell.execution_count, cell.outputs = count, done.outputs
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    machine.write_atomically(path, nbformat.writes(page) + "\n")
