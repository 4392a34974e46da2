"""What the command line understands: commands, options and their types."""

import argparse
from pathlib import Path

from mnist_lib.engine.environment import DEFAULT_SEED, PROJECT

LARGEST_SEED = 2**31 - 1  # that of engine.checks, which would load PyTorch


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser("python -m mnist_lib", description="MNIST, change by change")
    commands = whole.add_subparsers(required=True, dest="command", metavar="command")

    run = commands.add_parser("run", help="Execute notebooks and keep their results.")
    add = run.add_argument
    count = whole_number(1)
    add("notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path")
    add("--system", nargs="+", metavar="ID", help="published systems, or all; see systems")
    usual = [[DEFAULT_SEED]]
    add("--seeds", nargs="+", type=seeds, default=usual, metavar="N", help="such as 7 11-20")
    add("--device", help="auto, cpu, cuda or mps instead of the notebooks' choice")
    add("--threads", type=count, metavar="N", help="of a training, instead of one")
    add("--short", action="store_true", help="shortened, only to see that all works")
    add("--force", action="store_true", help="also what is finished")
    add("--renew", action="store_true", help="also what only came with the repository")
    add("--folder", type=Path, default=PROJECT / "notebooks", help="where the notebooks are")

    sweep = commands.add_parser("sweep", help="Train many recipes with many seeds on Dask.")
    add = sweep.add_argument
    add("recipes", nargs="*", metavar="RECIPE", help="names, or MODULE:NAME; none: the journey")
    add("--seeds", nargs="+", type=seeds, default=[range(1, 11)], metavar="N", help="default 1-10")
    add("--trial", action="store_true", help="without test digits, into results/trials/")
    place = sweep.add_mutually_exclusive_group()
    add = place.add_argument
    add("--scheduler", type=address, metavar="ADDRESS", help="of a Dask cluster that is there")
    add("--workers", type=count, metavar="N", help="processes here, not one a core")
    add = sweep.add_argument
    add("--threads-per-worker", type=count, default=1, metavar="N", help="of the CPU (default 1)")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--force", action="store_true", help="also what is recorded")

    search = commands.add_parser("search", help="Search a space of recipes, on folds alone.")
    add = search.add_argument
    add("file", type=Path, metavar="FILE", help="with suggest(trial) and SEEDS; see runner/search")
    add("--trials", type=count, default=100, metavar="N", help="in all, those of before included")
    add("--workers", type=count, metavar="N", help="processes here, not one a core")
    add("--device", default="auto", help="auto, cpu, cuda or mps")

    register = commands.add_parser("register", help="Decide before the test set is opened.")
    add = register.add_argument
    add("recipe", metavar="RECIPE", help="a step of the journey")
    add("--seeds", nargs="+", type=seeds, required=True, metavar="N", help="such as 11-20")
    add("--why", required=True, metavar="SENTENCE", help="why this recipe and this target")

    export = commands.add_parser("export", help="Write a recorded network as an ONNX file.")
    add = export.add_argument
    add("recipe", metavar="RECIPE", help="of the journey, or a published system")
    number = whole_number(0, LARGEST_SEED)
    add("--seed", type=number, default=DEFAULT_SEED, metavar="N", help=f"default {DEFAULT_SEED}")
    add("--output", type=Path, metavar="FILE", help="default RECIPE-seed-N.onnx, in this folder")

    demo = commands.add_parser("demo", help="Draw a digit in the browser and see it guessed.")
    add = demo.add_argument
    add("--recipe", default="06-one-cycle", metavar="RECIPE", help="a trained recipe, by name")
    add("--seed", type=whole_number(0, LARGEST_SEED), default=DEFAULT_SEED, metavar="N")
    add("--port", type=whole_number(1, 65_535), default=7860, metavar="N", help="default 7860")
    add("--host", default="127.0.0.1", help="0.0.0.0: other machines may draw too")

    commands.add_parser("systems", help="List the published systems: claim and what is recorded.")
    commands.add_parser("report", help="Rebuild ledger, figures and the README's tables.")
    commands.add_parser("data", help="Make MNIST available and say how much of it there is.")
    commands.add_parser("badges", help="Stamp the repository's address into notebooks and README.")
    return whole


def whole_number(lowest: int, highest: int | None = None):
    """A type of argument: a whole number within these bounds."""

    def number(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {lowest} up")
        if highest is not None and int(text) > highest:
            raise argparse.ArgumentTypeError(f"{text} is more than {highest:,}")
        return int(text)

    return number


def address(text: str) -> str:
    """A type of argument: where a scheduler listens."""
    if not text.rpartition(":")[2].isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' has no port; tcp://192.168.0.7:8786 has one")
    return text


def seeds(text: str) -> range:
    """A type of argument: one seed, or a range such as 11-20, both ends included."""
    number = whole_number(0, LARGEST_SEED)
    ends = [number(end) for end in (text.split("-") if text[:1].isdecimal() else [text])]
    if len(ends) > 2 or ends[-1] < ends[0]:
        raise argparse.ArgumentTypeError(f"'{text}' is no range of seeds such as 11-20")
    return range(ends[0], ends[-1] + 1)
