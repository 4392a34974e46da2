"""What a worker of a sweep does: make the recipe from its name, train it, send back the record.

Dask imports this module in every worker before the first run, and PyTorch with it.
"""

import difflib
import gzip
import importlib
import os
import threading
from dataclasses import dataclass

from distributed import get_worker

from mnist_lib.data import Digits, load_mnist
from mnist_lib.engine.download import FILES, raw_folder, unpacked
from mnist_lib.engine.files import write_atomically
from mnist_lib.experiments import pilots as candidates
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.experiments.to_target import LOOKS, SOONER, TO_TARGET, WINNER
from mnist_lib.journey import JOURNEY
from mnist_lib.recipes import Recipe
from mnist_lib.records import as_record, weights_of
from mnist_lib.train import fit

ONE_AT_A_TIME = threading.Lock()  # the random numbers and the threads of PyTorch are a process's


@dataclass(frozen=True)
class Task:
    """One training as a worker is told of it: in names and numbers, never in code.

    recipe       what `find` knows it by
    fingerprint  of the recipe where the sweep was started
    trial        train without test images
    device       and threads: those of `fit`
    """

    recipe: str
    seed: int
    fingerprint: str
    trial: bool = False
    device: str = "auto"
    threads: int = 1
    short: bool = False

    def __str__(self) -> str:
        return f"{self.recipe} seed {self.seed}"


class OtherVersion(RuntimeError):
    """The worker's library makes something else of the recipe's name."""

    def __init__(self, worker: str, task: Task, found: str):
        super().__init__(worker, task, found)
        self.worker, self.task, self.found = worker, task, found

    def __str__(self) -> str:
        return (
            f"the worker {self.worker} has another version of '{self.task.recipe}' (fingerprint "
            f"{self.found}, here {self.task.fingerprint}): install there what is installed here, "
            "and start the worker anew"
        )


class NoDigits(ConnectionError):
    """The worker has no MNIST and reaches no mirror."""


def train(task: Task, archives: dict[str, bytes] | None = None) -> tuple[dict, bytes]:
    """Train on this worker; returns the record and the weights.

    archives  the four files of MNIST, packed, for a worker that could not get them
    raises    OtherVersion or NoDigits if this worker cannot, and whatever `fit` raises
    """
    with ONE_AT_A_TIME:
        os.environ["MNIST_LIB_SHORT"] = str(int(task.short))
        recipe = find(task.recipe)
        if recipe.fingerprint() != task.fingerprint:
            raise OtherVersion(get_worker().address, task, recipe.fingerprint())
        digits = load_digits(recipe.fold(task.seed), archives)
        digits = digits.without_test() if task.trial else digits
        run = fit(recipe, digits, task.seed, task.device, task.threads, quiet=True)
        return as_record(run), weights_of(run.model)


def find(name: str) -> Recipe:
    """The recipe of this name: of journey or race, a published system, a candidate or module:NAME.

    raises ValueError that lists near names
    """
    if ":" in name:
        return find_in_module(*name.split(":", 1))
    races = [*TO_TARGET, *LOOKS, WINNER, SOONER]
    known = [*candidates_of(), *races, *SYSTEMS, *JOURNEY]
    recipes = {recipe.name: recipe for recipe in known}
    if name not in recipes:
        alike = [other for other in recipes if other.lower().startswith(name.lower())]
        alike = alike or difflib.get_close_matches(name, recipes, n=5, cutoff=0.4) or recipes
        raise ValueError(f"there is no recipe '{name}'; there are {', '.join(alike)}")
    return recipes[name]


def candidates_of() -> list[Recipe]:
    """All recipes in the lists of choosing/candidates.py."""
    lists = [value for value in vars(candidates).values() if isinstance(value, list)]
    return [recipe for items in lists for recipe in items if isinstance(recipe, Recipe)]


def check_trial(recipe: Recipe) -> None:
    """ValueError unless a run without test digits has something to be judged by."""
    if not recipe.folds:
        raise ValueError(f"'{recipe.name}' has no folds, so a trial of it would measure nothing")


def find_in_module(module: str, name: str) -> Recipe:
    """A recipe of the reader's own, in a file MODULE.py that Python finds; ValueError if not."""
    try:
        recipe = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a reader's file may raise
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"there is no recipe '{module}:{name}': {reason}") from error
    if not isinstance(recipe, Recipe):
        raise ValueError(f"'{module}:{name}' is no recipe but a {type(recipe).__name__}")
    return recipe


def load_digits(fold: int, archives: dict[str, bytes] | None) -> Digits:
    """MNIST from this machine's cache or a mirror, or else from these archives."""
    for name, archive in (archives or {}).items():
        write_atomically(raw_folder() / name, unpacked(name, archive))
    try:
        return load_mnist(fold=fold)
    except ConnectionError as error:
        raise NoDigits(str(error)) from None


def pack_digits() -> dict[str, bytes]:
    """The four files of MNIST as `train` takes them; ConnectionError if there are none here."""
    load_mnist()
    return {name: gzip.compress((raw_folder() / name).read_bytes(), 1) for name in FILES}
