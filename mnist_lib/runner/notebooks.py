"""Notebooks as a batch: papermill over (notebook, seed), several at once, each to its end.

Every kernel is a direct child of the one process that runs the batch and watches that process, so
that no kernel goes on when it ends, however it ends.
"""

import base64
import copy
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import nbformat
import papermill
import psutil
from filelock import FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from PIL import Image
from tqdm import tqdm

from mnist_lib.engine.environment import is_short, output_folder, results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.runner.jobs import DEFAULT_SEED, DEFAULT_SYSTEM, KEY, Job, key_of, phases

REFRESH_SECONDS = 1.0


class PatientKernelManager(AsyncKernelManager):
    """Does not interrupt a kernel that is about to shut down: it would say so on the terminal."""

    async def _async_interrupt_kernel(self) -> None:
        if not self.shutting_down:
            await super()._async_interrupt_kernel()

    interrupt_kernel = _async_interrupt_kernel


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other batch works on the same results: both would do the same work."""
    folder = output_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another run that works on {folder}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def run(jobs: list[Job], width: int) -> dict[Job, Exception]:
    """Execute the jobs, up to `width` at once; returns those that failed with their errors.

    raises KeyboardInterrupt after Ctrl-C, once all kernels have ended
    """
    failed, ended = {}, []
    with tqdm(total=len(jobs), unit="notebook", smoothing=0, disable=None) as bar:

        def report(job: Job, seconds: float, error: Exception | None) -> None:
            ended.append(job)
            if error is not None:
                failed[job] = error
            outcome = "finished in" if error is None else "FAILED after"
            bar.write(f"[{len(ended)}/{len(jobs)}] {job}: {outcome} {seconds:.0f} s")
            sys.stdout.flush()
            bar.update()

        for group, at_once in phases(jobs, width):
            with kernel_environment(group[0].notebook.parent):
                run_group(group, at_once, bar, report)
    return failed


def run_group(jobs: list[Job], at_once: int, bar: tqdm, report: Callable) -> None:
    """Execute the jobs in threads, and call report(job, seconds, error) as each one ends."""
    with ThreadPoolExecutor(at_once) as pool:
        pending = {pool.submit(timed, job): job for job in jobs}
        try:
            while pending:
                ended, _ = wait(pending, REFRESH_SECONDS, FIRST_COMPLETED)
                for future in ended:
                    report(pending.pop(future), *future.result())
                running = [str(job) for future, job in pending.items() if future.running()]
                bar.set_postfix_str(", ".join(running))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in pending):
                for kernel in psutil.Process().children():
                    with suppress(psutil.NoSuchProcess):
                        kernel.kill()
                time.sleep(0.2)  # its thread notices, or has only just started another
            raise


def timed(job: Job) -> tuple[float, Exception | None]:
    """Execute a job; returns its seconds and its error, whatever it is: the others go on."""
    started, error = time.perf_counter(), None
    try:
        execute(job)
    except Exception as caught:
        error = caught
    return time.perf_counter() - started, error


def execute(job: Job) -> None:
    """Execute one notebook; its copy takes its final name only when all is done.

    raises whatever stopped it, after keeping what was executed so far as .failed
    """
    part, failed = job.executed(".part"), job.executed(".failed")
    part.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    before, key = job.notebook.read_text(encoding="utf-8"), key_of(job)
    try:
        executed = papermill.execute_notebook(
            job.notebook.name,
            str(part),
            parameters=parameters_of(job),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            extra_arguments=["--log-level=ERROR"],  # no line about encryption from every kernel
            kernel_manager_class=PatientKernelManager,
        )
        tidy(executed, before)
        if job.makes_page and not is_short():
            replace_page(job.notebook, before, executed)
        executed.metadata[KEY] = {"key": key}
        write_atomically(job.executed(), as_text(executed))
    except Exception as error:
        if part.exists() and part.stat().st_mtime >= started - 2:  # not of an earlier attempt
            os.replace(part, failed)
            error.kept_as = failed
        raise
    part.unlink()
    failed.unlink(missing_ok=True)


def parameters_of(job: Job) -> dict[str, int | str]:
    """What differs from the notebook's own parameters.

    raises ValueError for a parameter that the notebook lacks: papermill would only warn and train
    with the wrong settings. A notebook that trains nothing may do without any.
    """
    parameters = {"SEED": job.seed} if job.seed != DEFAULT_SEED else {}
    if job.device is not None:
        parameters["DEVICE"] = job.device
    if job.threads is not None:
        parameters["THREADS"] = job.threads
    if job.system not in (None, DEFAULT_SYSTEM):
        parameters["SYSTEM"] = job.system
    known = papermill.inspect_notebook(job.notebook.name) if parameters else {}
    unknown = parameters.keys() - known.keys()
    if unknown and job.recipes:
        raise ValueError(f"{job.notebook.name} has no parameter {', '.join(sorted(unknown))}")
    return {name: value for name, value in parameters.items() if name in known}


@contextmanager
def kernel_environment(folder: Path) -> Iterator[None]:
    """What kernels started in here inherit: the notebooks' folder and the environment variables.

    One thread each: that is what a training takes, and kernels may run side by side.
    """
    changed = {
        "MNIST_LIB_LIVE": "0",
        "MNIST_LIB_RESULTS": str(results_folder().resolve()),
        "OMP_NUM_THREADS": "1",
    }
    if "MNIST_ROOT" in os.environ:
        changed["MNIST_ROOT"] = str(Path(os.environ["MNIST_ROOT"]).expanduser().resolve())
    before, started_in = dict(os.environ), Path.cwd()
    os.environ.update(changed)
    os.chdir(folder)  # for the whole process: papermill's own `cwd` is not made for threads
    try:
        yield
    finally:
        os.chdir(started_in)
        os.environ.clear()
        os.environ.update(before)


# ---- what is kept ----------------------------------------------------------------------------


def tidy(executed: nbformat.NotebookNode, before: str) -> None:
    """Take out what papermill and Jupyter add (paths, times, versions); make pictures small."""
    executed.metadata = nbformat.reads(before, as_version=4).metadata
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


def replace_page(notebook: Path, before: str, executed: nbformat.NotebookNode) -> None:
    """Put the outputs into the notebook itself, as if it had been run there from top to bottom.

    raises RuntimeError if somebody edited the notebook meanwhile; the edit is not overwritten
    """
    if notebook.read_text(encoding="utf-8") != before:
        raise RuntimeError("the notebook was edited while it ran, so it was not replaced")
    page = copy.deepcopy(executed)
    page.cells = [c for c in page.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    counted = [cell for cell in page.cells if cell.get("execution_count") is not None]
    for count, cell in enumerate(counted, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    write_atomically(notebook, as_text(page))


def as_text(notebook: nbformat.NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"


def describe(error: Exception) -> str:
    """The error's name and the first line of its message, as the notebook raised it.

    What went wrong in another process stands in the last line.
    """
    if isinstance(error, PapermillExecutionError):
        name, message = error.ename, error.evalue
    else:
        name, message = type(error).__name__, str(error)
    lines = f"{name}: {message}".strip().splitlines()
    return lines[-1] if "DataLoader worker" in lines[0] else lines[0]
