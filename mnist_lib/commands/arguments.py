"""What the command line understands: commands, options and their types."""

import argparse
import os
from pathlib import Path

from mnist_lib import __version__
from mnist_lib.engine.machine import DEFAULT_SEED, LARGEST_SEED, PROJECT

ALL_CORES = os.cpu_count() or 1


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser("python -m mnist_lib", description="MNIST, change by change.")
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(required=True, dest="command", metavar="command")

    def command(name: str, purpose: str, example: str = ""):
        """Add a command with its line of help; returns the function that adds its options."""
        example = f"example: python -m mnist_lib {example or name}"
        return commands.add_parser(
            name, help=purpose, description=purpose, epilog=example, formatter_class=Help
        ).add_argument

    count, seed = whole_number(1), whole_number(0)
    several = {"nargs": "+", "type": seeds, "action": Flat, "metavar": "N"}

    add = command(
        "run", "Execute notebooks and renew their pages; records go into my-results/.", "run 03 06"
    )
    add("notebooks", nargs="*", metavar="NOTEBOOK", help="number, name or path; none: all")
    add("--system", nargs="+", metavar="ID", default=[], help="published systems, or all")
    add("--seeds", **several, help="such as 7 11-20; else the notebook's own")
    add("--device", help="auto, cpu, cuda or mps; else the notebook's own")
    add("--threads", type=whole_number(1, ALL_CORES), metavar="N", help="of a training; else one")
    add("--jobs", type=count, metavar="N", default=ALL_CORES, help="notebooks at once")
    add("--short", action="store_true", help="shortened, only to see that all works")
    add("--force", action="store_true", help="also what is finished")
    add("--renew", action="store_true", help="write the records into results/, for maintainers")
    add("--folder", type=Path, default=PROJECT / "notebooks", help="where the notebooks are")

    add = command("sweep", "Train recipes with many seeds on Dask.", "sweep 06-one-cycle 07-wider")
    add("recipes", nargs="*", metavar="RECIPE", help="names, or MODULE:NAME; none: the journey")
    add("--seeds", **several, default="1-10", help="such as 7 11-20; seed n validates on fold n")
    add("--test", action="store_true", help="evaluate on the test digits too")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster that is there")
    add("--workers", type=count, metavar="N", help="processes here; else one a core")
    add("--threads", type=count, default=1, metavar="N", help="of a training")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--force", action="store_true", help="also what is recorded")
    add("--renew", action="store_true", help="write the records into results/, for maintainers")

    add = command("search", "Search a space of recipes on folds, by Optuna.", "search widths.py")
    add("file", type=Path, metavar="FILE", help="defines SEEDS and suggest(trial) -> Recipe")
    add("--trials", type=count, default=100, metavar="N", help="in all, earlier ones included")
    add("--workers", type=count, default=ALL_CORES, metavar="N", help="processes")
    add("--device", default="auto", help="auto, cpu, cuda or mps")

    add = command("check", "Check and train a network of your own.", "check my_network.py")
    add(
        "file", type=Path, metavar="FILE", help="defines an nn.Module, or a function that makes one"
    )
    add("--network", metavar="NAME", help="of the class or function; else the only nn.Module")
    add("--epochs", type=count, default=15, metavar="N", help="of a training")
    add("--folds", type=int, choices=(1, 5), default=1, help="a first number, or a verdict")
    add("--no-train", action="store_true", help="only check, in a second")
    add("--against", default="06-one-cycle", metavar="RECIPE", help="a step to compare with")
    add("--device", default="auto", help="auto, cpu, cuda or mps")

    purpose = "Write down recipe, target, seeds and reason before the test set is opened."
    add = command("preregister", purpose, 'preregister 06-one-cycle --why "It won on ten folds."')
    add("recipe", metavar="RECIPE", help="its name, or MODULE:NAME")
    add("--why", required=True, metavar="SENTENCE", help="why this recipe and this target")

    add = command("export", "Write a recorded network as an ONNX file.", "export 06-one-cycle")
    add("recipe", metavar="RECIPE", help="a recorded one, by name")
    add("--seed", type=seed, default=DEFAULT_SEED, metavar="N", help="of the run")
    add("--output", type=Path, metavar="FILE", help="else my-results/RECIPE-seed-N.onnx")

    add = command("demo", "Draw a digit in the browser and see it read.", "demo --recipe 07-wider")
    add("--recipe", default="06-one-cycle", metavar="RECIPE", help="a recorded one, by name")
    add("--seed", type=seed, default=DEFAULT_SEED, metavar="N", help="of the run")
    add("--port", type=whole_number(1, 65_535), default=7860, metavar="N", help="to listen on")
    add("--host", default="127.0.0.1", help="0.0.0.0: other machines may draw too")

    purpose = "Show a recipe: its settings, its records seed by seed, its target."
    add = command("show", purpose, "show 06-one-cycle")
    add("recipe", metavar="RECIPE", help="its name, or MODULE:NAME")

    command("ledger", "Print the table of the journey.")
    command("systems", "List the published systems: claimed, and measured here.")
    command("report", "Rebuild figures and generated tables from results/.")
    command("data", "Download MNIST if need be, and count its images.")
    return whole


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        return super()._get_help_string(action) if action.default else action.help


class Flat(argparse.Action):
    """Several ranges of seeds as one list, each seed once."""

    def __call__(self, parser, namespace, values, option_string=None):
        unique = dict.fromkeys(seed for part in values for seed in part)
        setattr(namespace, self.dest, list(unique))


def whole_number(lowest: int, highest: int = LARGEST_SEED):
    """A type of argument: a whole number within these bounds."""

    def number(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or not lowest <= int(text) <= highest:
            reason = f"'{text}' is not a whole number from {lowest} to {highest:,}"
            raise argparse.ArgumentTypeError(reason)
        return int(text)

    return number


def seeds(text: str) -> range:
    """A type of argument: one seed, or a range such as 11-20, both ends included."""
    number = whole_number(0)
    ends = [number(end) for end in (text.split("-") if text[:1].isdecimal() else [text])]
    if len(ends) > 2 or ends[-1] < ends[0]:
        raise argparse.ArgumentTypeError(f"'{text}' is no range of seeds such as 11-20")
    return range(ends[0], ends[-1] + 1)
