"""Notebooks as a batch: papermill on each, several at once, each to its end.

Dask's workers execute one notebook after the other. They end with the command, however it ends, and
a kernel ends with its worker.
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from mnist_lib.commands.jobs import KEY, Job, literally, plan, tags
from mnist_lib.commands.main import data, sentence
from mnist_lib.commands.workers import connect, finish
from mnist_lib.engine import machine

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
        print(*failed, sep="\n", end="\n" if failed else "")
    return 1 if failed else 0


# ---- several at once ----------------------------------------------------------------------------


def execute_all(jobs: list[Job], at_once: int) -> list[str]:
    """Execute the jobs and say how each one ends; returns those that failed, and why.

    No kernel sees a personal profile of IPython, which would change the pages.
    """
    failed = []
    with tempfile.TemporaryDirectory() as empty_profile:
        os.environ.update(IPYTHONDIR=empty_profile, MNIST_LIB_LIVE="0", OMP_NUM_THREADS="1")
        for name in {"MNIST_LIB_RESULTS", "MNIST_ROOT"} & os.environ.keys():
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
        with connect(None, min(at_once, len(jobs))) as client:
            for trains in (True, False):  # what pages look at is recorded first
                chosen = [job for job in jobs if job.trains == trains]
                futures = {
                    client.submit(execute, job, pure=False, priority=-number): job.name
                    for number, job in enumerate(chosen)
                }
                failed += finish(client, futures, str)
    return failed


# ---- one notebook, in a worker ------------------------------------------------------------------


class NotExecuted(RuntimeError):
    """A notebook was not executed to its end."""


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
        NotExecuted: with a sentence about whatever stopped it, and the path of what is kept.
    """
    started = time.perf_counter()
    try:
        source = job.notebook.read_text(encoding="utf-8")
        machine.write_atomically(job.part, source)
        executed = with_papermill(job)
        check_executed(executed)
        if job.makes_page and not machine.is_short():
            replace_page(job.notebook, source, executed)
        executed.metadata[KEY] = job.key
        machine.write_atomically(job.part, nbformat.writes(executed) + "\n")
        os.replace(job.part, job.copy)
    except Exception as error:  # another kind might not find its way out of this process
        kept = f"; kept up to there as {job.part}" if job.part.exists() else ""
        raise NotExecuted(in_a_sentence(error) + kept) from None
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    text = "\n".join(output.get("text", "") for output in outputs)
    accuracies = [" ".join(shown.split()) for _, shown in PRINTED_ACCURACY.findall(text)[-1:]]
    return "  ".join([f"finished in {time.perf_counter() - started:.0f} s", *accuracies])


def with_papermill(job: Job, tries: int = 3) -> nbformat.NotebookNode:
    """Execute the job's part; another kernel starts where somebody took the ports of the first."""
    try:
        return papermill.execute_notebook(
            literally(job.part),
            literally(job.part),
            job.parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            coalesce_streams=True,  # lines that a cell prints one after the other are one output
            cwd=job.notebook.parent,
            start_timeout=300,
            kernel_manager_class=ThisPython,
            extra_arguments=["--log-level=ERROR"],  # no line about encryption from every kernel
            shutdown_kernel="immediate",  # all is saved by then; a farewell takes two seconds
        )
    except RuntimeError as error:
        if tries == 1 or "before replying" not in str(error):
            raise
        return with_papermill(job, tries - 1)


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
