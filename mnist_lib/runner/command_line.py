"""The command line: python -m mnist_lib run | systems | report | data | badges."""

import argparse
import os
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LARGEST_SEED = 2**31 - 1

# The modules behind a command are imported when it runs: torch and papermill take seconds, and
# --help or a typing mistake should not.


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 something failed, 2 wrong usage."""
    options = parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser("python -m mnist_lib", description="MNIST, change by change")
    commands = whole.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="execute notebooks and keep their results")
    run.set_defaults(command=run_notebooks)
    run.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path")
    run.add_argument(
        "--system", nargs="+", metavar="ID", help="published systems to run, or all; see systems"
    )
    seed = whole_number(0, LARGEST_SEED)
    run.add_argument("--seeds", nargs="+", type=seed, default=[1], metavar="N")
    run.add_argument("--device", help="auto, cpu, cuda or mps instead of the notebooks' choice")
    run.add_argument("--threads", type=whole_number(1), metavar="N", help="of a training; 1")
    run.add_argument(
        "--jobs", type=whole_number(1), default=1, metavar="N", help="how many notebooks at once"
    )
    run.add_argument("--short", action="store_true", help="shortened, only to see that all works")
    run.add_argument("--force", action="store_true", help="also what is finished")
    run.add_argument("--renew", action="store_true", help="also what only came with the repository")
    run.add_argument("--folder", type=Path, default=NOTEBOOKS, help="where the notebooks are")

    for name, command, text in (
        ("systems", systems, "list the published systems and what is recorded of them"),
        ("report", report, "rebuild ledger, figures and README from the records"),
        ("data", data, "fetch MNIST now"),
        ("badges", badges, "write the repository's address and Colab badges into the pages"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    return whole


def whole_number(lowest: int, highest: int | None = None):
    """A type of argument: a whole number within these bounds."""

    def number(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {lowest} up")
        if highest is not None and int(text) > highest:
            raise argparse.ArgumentTypeError(f"{text} is more than {highest:,}")
        return int(text)

    return number


def run_notebooks(options: argparse.Namespace) -> int:
    """Execute what is not finished yet, then rebuild what follows from the records."""
    from mnist_lib.engine.device import choose_device
    from mnist_lib.engine.environment import is_short
    from mnist_lib.runner import jobs
    from mnist_lib.runner import notebooks as batch

    if options.short:
        os.environ["MNIST_LIB_SHORT"] = "1"
    try:
        if options.device is not None:
            choose_device(options.device)
        notebooks, chosen = jobs.choose(options.notebooks, options.system or [], options.folder)
    except ValueError as error:
        print(f"python -m mnist_lib run: {error}", file=sys.stderr)
        return 2
    planned = jobs.plan(notebooks, options.seeds, options.device, chosen, options.threads)
    with batch.alone():
        waiting = planned if options.force else jobs.unfinished(planned, options.renew)
        skipped = len(planned) - len(waiting)
        print(f"{len(waiting)} notebooks to execute, {skipped} finished before", flush=True)
        # once here, so that the kernels do not all wait for it
        if waiting and data(options) != 0:
            return 1
        failed = batch.run(waiting, options.jobs)
        summarise(len(waiting) - len(failed), skipped, failed)
        wrong = 0 if is_short() else report(options)
    return 1 if failed or wrong else 0


def summarise(finished: int, skipped: int, failed: dict) -> None:
    """What came of it all, and where to look at what went wrong."""
    from mnist_lib.runner.notebooks import describe

    hint = " (finished before; --force runs them again)" if skipped else ""
    print(f"{finished} finished, {skipped} skipped{hint}, {len(failed)} failed")
    for job, error in failed.items():
        print(f"  {job}: {describe(error)}")
        if hasattr(error, "kept_as"):
            print(f"    kept up to there as {error.kept_as}")


def systems(_options: argparse.Namespace) -> int:
    """List the published systems: size, claim, and what this project has recorded."""
    from mnist_lib.published.comparison import comparison

    table = comparison()[["change", "parameters", "epochs", "claimed", "log", "here", "seeds"]]
    print(table.to_string())
    return 0


def report(_options: argparse.Namespace) -> int:
    """Rebuild the ledger, the figures and the README's generated regions."""
    from mnist_lib.results import NoRecords
    from mnist_lib.runner.report import rebuild

    try:
        written, problems = rebuild()
    except NoRecords as error:
        print(error, file=sys.stderr)
        return 1
    for path in written:
        print(f"wrote {path.name}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def data(_options: argparse.Namespace) -> int:
    """Make MNIST available and say how much of it there is."""
    from mnist_lib.data import load_mnist

    try:
        sizes = load_mnist().sizes()
    except OSError as error:  # no mirror reachable, or the cache folder cannot be written
        print(error, file=sys.stderr)
        return 1
    images = ", ".join(f"{size:,} {part}" for part, size in sizes.items())
    print(f"MNIST is ready: {images} images", flush=True)
    return 0


def badges(_options: argparse.Namespace) -> int:
    """Stamp the repository's address, or its absence, into notebooks and README."""
    from mnist_lib.runner.badges import stamp

    for line in stamp(NOTEBOOKS.parent):
        print(line)
    return 0
