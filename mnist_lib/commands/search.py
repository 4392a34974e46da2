"""A search over recipes: Optuna suggests, folds judge, and what is hopeless ends early.

What is searched stands in a file of Python, the space. It has a function suggest(trial) that makes
a recipe, and SEEDS, whose folds judge it one after the other. Where the digits are not MNIST's, it
has a function digits(fold). No trial sees a test digit. Optuna's journal keeps them all in
my-results/searches/<name of the file>.jsonl, and the same command goes on from there.
"""

import argparse
import json
import math
import runpy
import sys
import warnings
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import optuna

from mnist_lib.commands.workers import connect, finish
from mnist_lib.data import load_mnist
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.engine.machine import check_count, choose_device, output_folder, write_atomically
from mnist_lib.experiments.searches import best, completed, ended, open_study
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters
from mnist_lib.train import fit

STARTUP_TRIALS = 10  # drawn at random, and none is pruned before so many have ended
STARTUP_EPOCHS = 5  # no trial is pruned before it has had a chance


def search(options: argparse.Namespace) -> int:
    """Go on with a search until it has so many trials; print the best ones.

    Args:
        options: file, trials, workers, device.

    Returns:
        1 if a trial failed, else 0.

    Raises:
        ValueError: for a file that is no space, or a journal that is damaged or of another space.
    """
    choose_device(options.device)
    file = options.file.resolve()
    path = output_folder().resolve() / "searches" / f"{file.stem}.jsonl"
    load_space(file)
    set_cut_line_aside(path)
    study, failed = own_study(file, path), []
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):  # it was killed
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)
    before = len(ended(study))
    missing = max(0, options.trials - before)
    print(f"{missing} trials to make, {before} made before", flush=True)
    if missing:
        load_mnist()  # once here, so that the workers do not all wait for a download
        with connect(None, min(missing, options.workers)) as client:
            given = [file, path, options.device]
            futures = [client.submit(one_trial, *given, pure=False) for _ in range(missing)]
            failed = finish(client, dict.fromkeys(futures, "trial"), lambda _: so_far(study))
    print(best(study).to_string() if completed(study) else "no trial has ended well")
    print(f"all trials are in {path}")
    return 1 if failed or not completed(study) else 0


def load_space(file: Path) -> SimpleNamespace:
    """The space that a file describes, tried once; ValueError that says what is wrong with it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sys.path.append(str(file.parent))  # behind all others: a space may be called torch.py
    warnings.filterwarnings("error", "Choices for a categorical")  # lists fit into no journal
    try:
        space = SimpleNamespace(**runpy.run_path(str(file), run_name=file.stem))
        check_count("the number of SEEDS", len(space.SEEDS))
        for seed in space.SEEDS:
            check_count("a seed", seed, lowest=0)
        suggested(space, optuna.create_study().ask())
    except optuna.TrialPruned:  # as the space wants it; other suggestions may do
        pass
    except Exception as error:  # whatever a reader's file may raise
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error
    return space


def set_cut_line_aside(path: Path) -> None:
    """Move a last line that a kill or a full disk has cut into a file beside the journal.

    Raises:
        ValueError: for a whole line that is damaged. Optuna overlooks the last one and writes on
            behind it; while workers write, half a line is no damage, so this is done before.
    """
    whole, newline, rest = (path.read_bytes() if path.exists() else b"").rpartition(b"\n")
    try:
        for line in whole.splitlines():
            json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path} is no journal that Optuna can read: {error}") from None
    if rest:
        write_atomically(path.with_suffix(".cut"), rest)
        write_atomically(path, whole + newline)
        print(f"the last line of {path} was cut; it is in {path.stem}.cut now")


def so_far(study: optuna.Study) -> str:
    """The best accuracy until now, in words."""
    return f"best so far {max((trial.value for trial in completed(study)), default=math.nan):.2%}"


def own_study(file: Path, path: Path) -> optuna.Study:
    """The study of a space in its journal, or a new one; an edited file begins another study."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_study(
        path,
        f"{file.stem}-{short_hash([file.read_text('utf-8')])}",
        sampler=optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, STARTUP_EPOCHS),
    )


def one_trial(file: Path, path: Path, device: str) -> None:
    """On a worker: one more trial of the study that all share."""
    space = load_space(file)
    own_study(file, path).optimize(lambda trial: measure(space, trial, device), n_trials=1)


def suggested(space: SimpleNamespace, trial: optuna.Trial) -> Recipe:
    """The recipe of a trial; ValueError if nothing can judge it."""
    recipe = space.suggest(trial)
    if not isinstance(recipe, Recipe) or not recipe.folds:
        raise ValueError("suggest(trial) must return a Recipe that holds out a fold")
    trial.set_user_attr("parameters", count_parameters(recipe.new_network(seed=1)))
    return recipe


def measure(space: SimpleNamespace, trial: optuna.Trial, device: str) -> float:
    """Mean validation accuracy (0..1) after the last epoch over the space's seeds.

    Raises:
        optuna.TrialPruned: for what diverges, or stays behind the median of the others.
    """
    recipe, ends = suggested(space, trial), []

    def watch(row: dict) -> None:
        value = fmean([*ends, row["validation_accuracy"]])
        trial.report(value, len(ends) * recipe.epochs + row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    for seed in space.SEEDS:
        digits = getattr(space, "digits", load_mnist)(fold=recipe.fold(seed)).without_test()
        trial.set_user_attr("sizes", digits.sizes())
        try:
            run = fit(recipe, digits, seed, device, quiet=True, after_epoch=watch)
        except FloatingPointError:
            raise optuna.TrialPruned from None
        ends.append(run.history[-1]["validation_accuracy"])
    return fmean(ends)
