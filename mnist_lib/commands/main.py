"""The command line: python -m mnist_lib run | sweep | search | report | ...

The modules behind a command are imported when it runs: PyTorch and papermill take seconds, and
--help or a typing mistake should not.
"""

import argparse
import codecs
import importlib
import os
import sys
import warnings
from contextlib import suppress

from mnist_lib.commands.arguments import parser

PLAIN = {"±": "+-", "–": "-", "−": "-", "→": "->", "✓": "[x]", "✗": "[ ]", "○": "[?]"}
codecs.register_error(
    "plain", lambda e: ("".join(PLAIN.get(c, "?") for c in e.object[e.start : e.end]), e.end)
)
# the module of a command; the others have modules of their own names
MODULES = dict.fromkeys(("data", "systems", "ledger", "show", "demo"), "main")


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: as typed; by default those of this process.

    Returns:
        The exit code: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # some write neither ± nor ✓, such as cp932
            stream.reconfigure(errors="plain")
    options = parser().parse_args(arguments)
    for name in ("short", "renew"):
        if getattr(options, name, False):
            os.environ[f"MNIST_LIB_{name.upper()}"] = "1"
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "skipped the unreadable record")
        code = run_command(options)
    messages = dict.fromkeys(str(warning.message) for warning in caught)
    for message in messages:
        print(message, file=sys.stderr)
    return max(code, any(message.startswith("skipped") for message in messages))


def run_command(options: argparse.Namespace) -> int:
    """Run the command; whatever stops it is said in a sentence."""
    try:
        name = MODULES.get(options.command, options.command)
        module = importlib.import_module(f"mnist_lib.commands.{name}")
        return getattr(module, options.command)(options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = "demo" if options.command == "demo" else "export"
        print(f"{error.name} is missing: python -m pip install -e '.[{extra}]'", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"python -m mnist_lib {options.command}: {error}", file=sys.stderr)
        return 2
    except (KeyError, IndexError):  # LookupErrors, too, but mistakes of this library
        raise
    except (OSError, LookupError, ArithmeticError) as error:
        print(sentence(error), file=sys.stderr)
        return 1


def sentence(error: Exception) -> str:
    """An error in one line, with the file's name where there is one."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return (str(error) or type(error).__name__).splitlines()[0]


def data(_options: argparse.Namespace | None = None) -> int:
    """Make MNIST available and say how much of it there is."""
    from mnist_lib.data import load_mnist

    images = ", ".join(f"{size:,} {part}" for part, size in load_mnist().sizes().items())
    print(f"MNIST is ready: {images} images", flush=True)
    return 0


def systems(_options: argparse.Namespace) -> int:
    """List the published systems: size, claim, and what this project has recorded."""
    from mnist_lib.experiments.comparison import comparison

    columns = ["change", "parameters", "epochs", "claimed", "log", "here", "seeds"]
    print(comparison()[columns].to_string())
    return 0


def ledger(_options: argparse.Namespace) -> int:
    """Print the table of the journey."""
    from mnist_lib import journey, results

    print(results.ledger(journey.JOURNEY).to_string())
    return 0


def demo(options: argparse.Namespace) -> int:
    """Serve the page on which digits are drawn, until Ctrl-C."""
    from mnist_lib.engine.machine import use_threads
    from mnist_lib.experiments import find
    from mnist_lib.experiments.pad import launch, page

    blocks = page(find(options.recipe), options.seed)
    where = {"server_name": options.host, "server_port": options.port}
    launch(blocks, prevent_thread_lock=True, **where)
    print(f"Draw a digit on {blocks.local_url} (Ctrl-C ends it)", flush=True)
    with use_threads(1):  # one digit is too little for more
        blocks.block_thread()
    return 0


def show(options: argparse.Namespace) -> int:
    """Show a recipe: its settings, its records seed by seed, and its target where it has one."""
    from mnist_lib.experiments import find
    from mnist_lib.results import NoRecords, finals, verdict

    recipe = find(options.recipe)
    print(f"{recipe.name}: {recipe.change}\n")
    print("\n".join(f"{name} = {value}" for name, value in recipe.settings().items()))
    columns = ["validation_accuracy", "test_accuracy", "errors", "clean_train_accuracy", "seconds"]
    runs = finals(recipe)[columns].dropna(axis="columns", how="all")
    shown = {name: "{:.2%}".format for name in columns if "accuracy" in name}
    print(f"\n{runs.to_string(formatters={**shown, 'seconds': '{:.0f}'.format})}\n")
    with suppress(NoRecords):  # it has no target
        print(verdict(recipe))
    return 0
