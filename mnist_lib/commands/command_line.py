"""The command line: python -m mnist_lib run | sweep | search | register | export | report | ...

The modules behind a command are imported when it runs: torch and papermill take seconds, and
--help or a typing mistake should not.
"""

import argparse
import os
import sys
import warnings
from itertools import chain

from mnist_lib.commands.arguments import parser
from mnist_lib.engine.environment import PROJECT, is_short, output_folder, results_folder


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 something failed, 2 wrong usage."""
    options = parser().parse_args(arguments)
    command = COMMANDS[options.command]
    try:
        with warnings.catch_warnings():
            # whatever reads the records warns of it; a command names it once, when all is done
            warnings.filterwarnings("ignore", "skipped the unreadable record")
            return command(options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except OSError as error:  # a full disk, a folder that cannot be written, no mirror to reach
        print(in_words(error), file=sys.stderr)
        return 1


def run_notebooks(options: argparse.Namespace) -> int:
    """Execute what is not finished yet, then rebuild what follows from the records."""
    from mnist_lib.commands import jobs
    from mnist_lib.commands.notebooks import alone, execute_all
    from mnist_lib.engine.device import choose_device
    from mnist_lib.engine.store import read_records

    if options.short:
        os.environ["MNIST_LIB_SHORT"] = "1"
    try:
        short = is_short()
        if options.device is not None:
            choose_device(options.device)
        notebooks, chosen = jobs.choose(options.notebooks, options.system or [], options.folder)
    except ValueError as error:
        return refuse(options, error)
    every_seed = chain.from_iterable(options.seeds or [[jobs.DEFAULT_SEED]])
    planned = jobs.plan(notebooks, every_seed, options.device, chosen, options.threads)
    with alone():
        waiting = planned if options.force else jobs.unfinished(planned, options.renew)
        skipped = len(planned) - len(waiting)
        print(f"{len(waiting)} notebooks to execute, {skipped} finished before", flush=True)
        if waiting:
            data(options)  # so that a download is seen, and fails here if it fails
        failed = execute_all(waiting)
        hint = " (finished before; --force runs them again)" if skipped else ""
        finished = len(waiting) - len(failed)
        print(f"{finished} finished, {skipped} skipped{hint}, {len(failed)} failed")
        for job, error in failed.items():
            print(f"  {job}: {in_words(error)}")
            if hasattr(error, "kept_as"):
                print(f"    kept up to there as {error.kept_as}")
        wrong = complain(read_records(output_folder())[1]) if short else report(options)
    return 1 if failed or wrong else 0


def sweep_recipes(options: argparse.Namespace) -> int:
    """Train what is not recorded yet on workers, here or elsewhere."""
    from mnist_lib.commands.notebooks import alone
    from mnist_lib.commands.sweep import Sweep, plan, unrecorded
    from mnist_lib.commands.workers import CPU_COUNT, connected
    from mnist_lib.engine.device import choose_device
    from mnist_lib.journey import JOURNEY

    names = options.recipes or [recipe.name for recipe in JOURNEY]
    threads = options.threads_per_worker
    try:
        if not options.scheduler:
            choose_device(options.device)
        planned = plan(
            names, chain.from_iterable(options.seeds), options.trial, options.device, threads
        )
    except ValueError as error:
        return refuse(options, error)
    with alone():
        waiting = planned if options.force else unrecorded(planned)
        print(f"{len(waiting)} runs to train, {len(planned) - len(waiting)} recorded before")
        if not waiting:
            return 0
        if not options.scheduler:
            data(options)  # once here, so that the workers do not all wait for it
        workers = options.workers or max(1, CPU_COUNT // threads)
        with connected(options.scheduler, min(workers, len(waiting))) as client:
            print(f"Dask's dashboard: {client.dashboard_link}", flush=True)
            failed = Sweep(client, waiting).run()
    print(f"{len(waiting) - len(failed)} recorded, {len(failed)} failed")
    for task, error in failed.items():
        print(f"\n{task}:\n{error}", end="")
    return 1 if failed else 0


def search_recipes(options: argparse.Namespace) -> int:
    """Go on with a search until it has so many trials; shows the best."""
    from mnist_lib.commands.notebooks import alone
    from mnist_lib.commands.search import load_space, open_study, search
    from mnist_lib.commands.searched import best, draw
    from mnist_lib.engine.device import choose_device

    try:
        choose_device(options.device)
        study = open_study(load_space(options.file))
    except ValueError as error:
        return refuse(options, error)
    with alone():
        data(options)  # once here, so that the workers do not all wait for it
        problems = search(study, options.file, options.trials, options.workers, options.device)
    if (table := best(study)).empty:
        return complain([*problems, "no trial has ended well"])
    print(table.to_string())
    print(f"wrote {draw(study)}")
    return complain(problems)


def register_recipe(options: argparse.Namespace) -> int:
    """Write recipe, target, seeds and reason into results/registered.json."""
    from mnist_lib.commands.training import find
    from mnist_lib.experiments.registration import path, register

    try:
        entry = register(find(options.recipe), [*chain.from_iterable(options.seeds)], options.why)
    except ValueError as error:
        return refuse(options, error)
    print(f"registered '{entry['recipe']}'; commit {path()} before any run of it")
    return 0


def export_network(options: argparse.Namespace) -> int:
    """Write a recorded network as ONNX; show what it weighs and how fast it is."""
    from mnist_lib.commands.training import find

    try:
        from mnist_lib.commands.export import export  # needs what the extra [export] brings

        print(*export(find(options.recipe), options.seed, options.output), sep="\n")
    except ModuleNotFoundError as error:
        return complain([f"{error.name} is missing: python -m pip install -e '.[export]'"])
    except (ValueError, ArithmeticError) as error:
        return refuse(options, error)
    return 0


def systems(_options: argparse.Namespace) -> int:
    """List the published systems: size, claim, and what this project has recorded."""
    from mnist_lib.engine.store import read_records
    from mnist_lib.experiments.comparison import comparison

    table = comparison()[["change", "parameters", "epochs", "claimed", "log", "here", "seeds"]]
    print(table.to_string())
    return complain(read_records(results_folder())[1])


def report(options: argparse.Namespace) -> int:
    """Rebuild the ledger, the figures and the README's generated regions."""
    from mnist_lib.commands.report import rebuild
    from mnist_lib.engine.store import read_records
    from mnist_lib.results import NoRecords

    try:
        written, problems = rebuild()
    except NoRecords as error:
        written, problems = [], read_records(results_folder())[1]
        if options.command == "report":  # a run may have made other records than the report's
            problems.append(str(error))
    for path in written:
        print(f"wrote {path.name}")
    return complain(problems)


def data(_options: argparse.Namespace) -> int:
    """Make MNIST available and say how much of it there is."""
    from mnist_lib.data import load_mnist

    sizes = load_mnist().sizes()
    images = ", ".join(f"{size:,} {part}" for part, size in sizes.items())
    print(f"MNIST is ready: {images} images", flush=True)
    return 0


def badges(_options: argparse.Namespace) -> int:
    """Stamp the repository's address, or its absence, into notebooks and README."""
    from mnist_lib.commands.badges import stamp

    print(*stamp(PROJECT), sep="\n")
    return 0


def demo(options: argparse.Namespace) -> int:
    """Serve the page on which digits are drawn, until Ctrl-C."""
    from mnist_lib.commands.training import find
    from mnist_lib.engine.device import use_threads

    try:
        from mnist_lib.commands.pad import drawing_page, serve
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: pip install -e '.[demo]' does it", file=sys.stderr)
        return 1
    try:
        with use_threads(1):  # one digit is too little for more
            serve(drawing_page(find(options.recipe), options.seed), options.host, options.port)
    except ValueError as error:
        return refuse(options, error)
    return 0


COMMANDS = {
    "run": run_notebooks,
    "sweep": sweep_recipes,
    "search": search_recipes,
    "register": register_recipe,
    "export": export_network,
    "systems": systems,
    "report": report,
    "data": data,
    "badges": badges,
    "demo": demo,
}


def refuse(options: argparse.Namespace, error: Exception) -> int:
    """Say why a command cannot do what it was asked; returns 2."""
    print(f"python -m mnist_lib {options.command}: {error}", file=sys.stderr)
    return 2


def complain(problems: list[str]) -> int:
    """Name what is wrong, such as a record that cannot be read; returns 1 if anything is."""
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def in_words(error: Exception) -> str:
    """An error in one line; of a notebook's error, what the notebook raised."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    name = getattr(error, "ename", type(error).__name__)
    return f"{name}: {getattr(error, 'evalue', error)}".splitlines()[0]
