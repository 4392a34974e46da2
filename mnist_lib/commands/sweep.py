"""Many trainings on Dask: pairs of recipe and seed go out to workers, and records come back.

Only this process writes, each record as soon as its training has ended. So a worker needs no disk
of ours, and whatever stops a sweep costs no more than the trainings that were under way.
"""

import argparse
import os
import sys
import threading
from pathlib import Path

import pandas as pd
from dask.system import CPU_COUNT

from mnist_lib import records
from mnist_lib.commands.workers import connect, finish
from mnist_lib.data import load_mnist
from mnist_lib.engine.machine import is_short, output_folder, results_folder
from mnist_lib.experiments import find
from mnist_lib.journey import JOURNEY
from mnist_lib.recipes import Recipe
from mnist_lib.results import mean_and_deviation
from mnist_lib.train import fit

ONE_AT_A_TIME = threading.Lock()  # PyTorch's random numbers and threads belong to a process


def sweep(options: argparse.Namespace) -> int:
    """Train every recipe with every seed that is not recorded yet, and say what was measured.

    Args:
        options: recipes (names; none: the journey), seeds, test, scheduler, workers, threads,
            device, force. Without test the runs validate on folds and see no test digit. A test
            run is recorded in results/ if recipe and seed are registered, else in my-results/.

    Returns:
        1 if a run failed, else 0.

    Raises:
        ValueError: for what cannot be trained.
        ConnectionError: if no scheduler answers, or if it is gone before the end.
    """
    names = options.recipes or [recipe.name for recipe in JOURNEY]
    recipes = {name: find(name) for name in names}
    if len({recipe.name for recipe in recipes.values()}) < len(recipes):
        raise ValueError("two of these recipes have the same name, and so would their records")
    if unfolded := [r.name for r in recipes.values() if not (options.test or r.folds)]:
        raise ValueError(f"{', '.join(unfolded)}: no folds, so only --test measures anything")
    options.short, options.folder = is_short(), os.getcwd()
    known = {name: {} if options.force else recorded(recipes[name], options) for name in recipes}
    # seed by seed, so that a sweep that is stopped has whole seeds
    tasks = [(name, seed) for seed in options.seeds for name in recipes if seed not in known[name]]
    before = len(recipes) * len(options.seeds) - len(tasks)
    part, without = ("test", "") if options.test else ("validation", " without test digits")
    print(f"{len(tasks)} {part} runs{without} to train, {before} recorded before", flush=True)
    failed = train_all(tasks, recipes, options) if tasks else []
    for recipe in recipes.values():
        found = [r for s, r in recorded(recipe, options).items() if s in options.seeds]
        ends = pd.Series([r["history"][-1][f"{part}_accuracy"] for r in found], dtype=float)
        print(f"{recipe.name}: {part} accuracy {mean_and_deviation(ends)}, {len(ends)} seeds")
    print(*failed, sep="\n", end="\n" if failed else "", file=sys.stderr)
    return 1 if failed else 0


def recorded(recipe: Recipe, options: argparse.Namespace) -> dict[int, dict]:
    """By seed the records that need no other run: committed ones, and those of the reader."""
    folders = [output_folder()] if options.short else [results_folder(), output_folder()]
    found = [record for folder in folders for record in records.records_of(recipe, folder)]
    return {r["seed"]: r for r in found if r["sizes"]["test"] or not options.test}


def train_all(tasks: list, recipes: dict[str, Recipe], options: argparse.Namespace) -> list[str]:
    """Hand the tasks to Dask and write each record as it comes; says which failed, and why."""
    if options.scheduler is None:
        load_mnist()  # once here, so that the workers do not all wait for a download
    workers = options.workers or max(1, CPU_COUNT // options.threads)
    with connect(options.scheduler, min(workers, len(tasks))) as client:
        futures = {}
        for number, (name, seed) in enumerate(tasks):
            given = name, seed, recipes[name].fingerprint(), options
            future = client.submit(train, *given, pure=False, retries=1, priority=-number)
            futures[future] = f"{name} seed {seed}"
        return finish(client, futures, write)


def write(trained: tuple[dict, bytes]) -> Path:
    """Write a record and its weights; only a registered test run belongs to results/."""
    record, weights = trained
    is_registered = any(
        entry["fingerprint"] == record["fingerprint"] and record["seed"] in entry["seeds"]
        for entry in records.registrations()
    )
    is_final = is_registered and record["sizes"]["test"] and not record["short"]
    return records.save_record(record, weights, results_folder() if is_final else output_folder())


def train(name: str, seed: int, fingerprint: str, options: argparse.Namespace) -> tuple:
    """On a worker: make the recipe from its name and train it; returns record and weights."""
    with ONE_AT_A_TIME:
        os.environ["MNIST_LIB_SHORT"] = str(int(options.short))
        sys.path.append(options.folder)  # where a reader's own MODULE:NAME lies
        recipe = find(name)
        if recipe.fingerprint() != fingerprint:
            raise RuntimeError(f"a worker has another version of '{name}': update and restart it")
        digits = load_mnist(fold=recipe.fold(seed))
        digits = digits if options.test else digits.without_test()
        run = fit(recipe, digits, seed, options.device, options.threads, quiet=True)
        return records.as_record(run), records.weights_of(run.model)
