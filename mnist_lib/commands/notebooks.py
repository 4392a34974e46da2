"""Notebooks as a batch: papermill over (notebook, seed), one by one, each to its end.

Every kernel is a direct child of the one process that runs the batch and watches that process, so
that no kernel goes on when it ends, however it ends.
"""

import base64
import copy
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import nbformat
import papermill
import psutil
from filelock import FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from PIL import Image
from tqdm import tqdm

from mnist_lib.commands import jobs as planning
from mnist_lib.commands.jobs import Job
from mnist_lib.engine.environment import is_short, output_folder, results_folder
from mnist_lib.engine.files import write_atomically


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other batch works on the same results: both would do the same work.

    The lock goes when its process ends, however it ends. raises OSError where none can be taken
    """
    folder = output_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".running.lock")
    try:
        taken = lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another run that works on {folder}", flush=True)
        taken = lock.acquire()
    with taken:
        yield


def execute_all(jobs: list[Job]) -> dict[Job, Exception]:
    """Execute the jobs one by one and say how each one ends; returns those that failed."""
    failed = {}
    with (
        tqdm(total=len(jobs), unit="notebook", smoothing=0, disable=None) as bar,
        kernel_environment(),
        no_kernel_left_behind(),
    ):
        for job in jobs:
            bar.set_postfix_str(str(job))
            try:
                outcome = f"finished in {execute(job):.0f} s"
            except Exception as error:
                failed[job], outcome = error, "FAILED"
            bar.n += 1  # update() would not count where no bar is shown
            bar.write(f"[{bar.n}/{bar.total}] {job}: {outcome}")
            sys.stdout.flush()
    return failed


@contextmanager
def no_kernel_left_behind() -> Iterator[None]:
    """Kill what still runs after Ctrl-C: papermill forgets a kernel that is just being started."""
    try:
        yield
    except KeyboardInterrupt:
        kernels = psutil.Process().children()
        for kernel in kernels:
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                kernel.kill()
        psutil.wait_procs(kernels)
        raise


class PatientKernelManager(AsyncKernelManager):
    """Does not interrupt a kernel that is about to shut down: it would say so on the terminal."""

    async def _async_interrupt_kernel(self) -> None:
        if not self.shutting_down:
            await super()._async_interrupt_kernel()

    interrupt_kernel = _async_interrupt_kernel


def execute(job: Job) -> float:
    """Execute one notebook in how many seconds; its copy takes its final name when all is done.

    raises whatever stopped it; what was executed so far is `kept_as` .failed
    """
    started = time.perf_counter()
    key, source = planning.key_of(job), job.notebook.read_text(encoding="utf-8")
    parameters = parameters_of(job)
    part, failed = job.executed(".part"), job.executed(".failed")
    write_atomically(part, source)  # from now on no copy is of an earlier attempt
    try:
        executed = papermill.execute_notebook(
            str(part),
            str(part),
            parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=str(job.notebook.parent),
            extra_arguments=["--log-level=ERROR"],  # no line about encryption from every kernel
            kernel_manager_class=PatientKernelManager,
            shutdown_kernel="immediate",  # all is saved by then; a farewell takes two seconds
        )
        tidy(executed, source)
        if job.makes_page and not is_short():
            replace_page(job.notebook, source, executed)
        executed.metadata[planning.KEY] = {"key": key}
        write_atomically(job.executed(), nbformat.writes(executed) + "\n")
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(part)  # where papermill met a full disk
        os.replace(part, failed)
        error.kept_as = failed
        raise
    part.unlink()
    failed.unlink(missing_ok=True)
    return time.perf_counter() - started


def parameters_of(job: Job) -> dict[str, int | str]:
    """What differs from the notebook's own parameters.

    raises ValueError for a parameter that the notebook lacks: papermill would only warn and train
    with the wrong settings. A notebook that trains nothing may do without any.
    """
    usual = {"SEED": planning.DEFAULT_SEED, "SYSTEM": planning.DEFAULT_SYSTEM}
    asked = {"SEED": job.seed, "DEVICE": job.device, "THREADS": job.threads, "SYSTEM": job.system}
    parameters = {n: value for n, value in asked.items() if value not in (None, usual.get(n))}
    unknown = [name for name in parameters if not planning.has_parameter(job.notebook, name)]
    if unknown and job.recipes:
        raise ValueError(f"{job.notebook.name} has no parameter {', '.join(unknown)}")
    return {name: value for name, value in parameters.items() if name not in unknown}


@contextmanager
def kernel_environment() -> Iterator[None]:
    """The environment variables that kernels started in here inherit.

    One thread each: that is what a training takes.
    """
    changed = {
        "MNIST_LIB_LIVE": "0",
        "MNIST_LIB_RESULTS": str(results_folder().resolve()),
        "OMP_NUM_THREADS": "1",
    }
    if os.environ.get("MNIST_ROOT"):
        changed["MNIST_ROOT"] = str(Path(os.environ["MNIST_ROOT"]).expanduser().resolve())
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def tidy(executed: nbformat.NotebookNode, source: str) -> None:
    """Take out what papermill and Jupyter add (paths, times, versions); make pictures small."""
    executed.metadata = nbformat.reads(source, as_version=4).metadata
    for cell in executed.cells:
        for added in ("papermill", "execution"):
            cell.metadata.pop(added, None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])


def shrink(picture: str) -> str:
    """A base64 PNG with a palette of 256 colours: looks the same at about half the size."""
    image = Image.open(BytesIO(base64.b64decode(picture))).convert("RGB").quantize(256)
    smaller = BytesIO()
    image.save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


def replace_page(notebook: Path, source: str, executed: nbformat.NotebookNode) -> None:
    """Put the outputs into the notebook itself, as if it had been run there from top to bottom.

    raises RuntimeError if somebody edited the notebook meanwhile; the edit is not overwritten
    """
    if notebook.read_text(encoding="utf-8") != source:
        raise RuntimeError("the notebook was edited while it ran, so it was not replaced")
    page = copy.deepcopy(executed)
    page.cells = [c for c in page.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    counted = [cell for cell in page.cells if cell.get("execution_count")]
    for count, cell in enumerate(counted, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    write_atomically(notebook, nbformat.writes(page) + "\n")
