"""A network of the reader's own, checked and trained without Jupyter."""

import argparse
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from mnist_lib.experiments import find, own_network


def check(options: argparse.Namespace) -> int:
    """Say what is wrong with a network, train it on folds, and print a report to copy.

    Args:
        options: file, network (a name in it, or None), epochs, folds, no_train, against, device.

    Returns:
        0, or 1 if the network has a fault.

    Raises:
        ValueError: for a file that does not load, or that has no such network.
    """
    network = network_in(options.file, options.network)
    recipe = own_network.own_recipe(network, options.file.stem, epochs=options.epochs)
    step = find(options.against)
    remarks = own_network.check(recipe)
    print(remarks, flush=True)
    if any(remark.holds is False for remark in remarks):
        return 1
    size_and_epochs = own_network.rules(recipe)[:2]
    print(own_network.facts(recipe), *size_and_epochs, sep="\n", flush=True)
    folds = 0 if options.no_train else options.folds
    print(own_network.report(own_network.train(recipe, folds, device=options.device), step))
    return 0


def network_in(file: Path, name: str | None) -> Callable[[], nn.Module]:
    """The class or function of this name in a file; without a name, its only network."""
    sys.path.insert(0, str(file.resolve().parent))  # for what the file imports
    try:
        made = runpy.run_path(str(file), run_name=f"own_{file.stem}")
    except (Exception, SystemExit) as error:  # whatever somebody's file may raise
        raise ValueError(f"{file} does not load: {type(error).__name__}: {error}") from None
    classes = [each for each in made.values() if isinstance(each, type)]
    own = [each for each in classes if each.__module__ == f"own_{file.stem}"]
    found = [each.__name__ for each in own if issubclass(each, nn.Module)]
    names = [name] if name else found
    if len(names) != 1 or not callable(made.get(names[0])):
        reason = f"has the networks {', '.join(found) or '(none)'}"
        raise ValueError(f"{file} {reason}: name one by --network, a class or a function")
    return made[names[0]]
