"""A search over recipes: Optuna suggests, folds judge, and what is hopeless ends early.

What is searched stands in a file of Python, the space: a function suggest(trial) that makes a
recipe, and SEEDS, whose folds judge it one after the other; and where the digits are not MNIST's, a
function digits(fold). No trial has test digits. All are kept in Optuna's journal
results/trials/<name of the file>.jsonl, which processes share and a later search goes on from, as
long as the file is the same.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import ModuleType

import optuna
from dask.system import CPU_COUNT
from distributed import as_completed
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState
from tqdm import tqdm

from mnist_lib.commands.searched import completed
from mnist_lib.commands.training import check_trial
from mnist_lib.commands.workers import connected
from mnist_lib.data import Digits, load_mnist
from mnist_lib.engine.environment import output_folder, results_folder
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters
from mnist_lib.train import fit

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
UNTOUCHED_TRIALS = 10  # so many must have ended well before others are compared with them
UNTOUCHED_EPOCHS = 4  # no trial is pruned before it has had a chance
HOPELESS = 3  # failures without a single success, and the search is given up


@dataclass(frozen=True)
class Space:
    """What is searched.

    suggest         makes a recipe from what the trial suggests
    seeds           of the runs of each trial; each validates on its own fold
    max_parameters  networks with more are pruned before they train; None: any size
    version         hash of the file: trials of another space are no trials of this one
    digits          makes the digits of a fold; None: those of MNIST
    """

    name: str
    suggest: Callable[[optuna.Trial], Recipe]
    seeds: list[int]
    max_parameters: int | None = None
    version: str = ""
    digits: Callable[[int], Digits] | None = None


def load_space(file: Path) -> Space:
    """The space that a file describes; ValueError that says what it lacks."""
    specification = importlib.util.spec_from_file_location(f"space_{file.stem}", file)
    if specification is None or not file.is_file():
        raise ValueError(f"{file} is no file of Python")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where its own classes look for it
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # whatever a reader's file may raise
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error
    for name, what in {"suggest": "function suggest(trial)", "SEEDS": "list SEEDS"}.items():
        if not hasattr(module, name):
            raise ValueError(f"{file} has no {what}")
    seeds = module.SEEDS
    if not (isinstance(seeds, list) and seeds and all(isinstance(seed, int) for seed in seeds)):
        raise ValueError(f"SEEDS = {seeds!r} in {file} is no list of seeds such as [1, 2]")
    limit, digits = getattr(module, "MAX_PARAMETERS", None), getattr(module, "digits", None)
    version = short_hash([file.read_text("utf-8")])
    return Space(file.stem, module.suggest, seeds, limit, version, digits)


def open_study(space: Space, folder: Path | None = None) -> optuna.Study:
    """The space's study from its journal, which is only read, or a new one.

    folder  of results, in place of the one that runs are written to
    raises ValueError if the journal is of another space
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = (folder or output_folder()).resolve() / "trials" / f"{space.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "storage": JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path)))),
        "study_name": space.name,
        "sampler": TPESampler(n_startup_trials=UNTOUCHED_TRIALS, constant_liar=True),
        "pruner": optuna.pruners.MedianPruner(UNTOUCHED_TRIALS, UNTOUCHED_EPOCHS + 1),
    }
    try:
        study = optuna.load_study(**options)
    except KeyError:
        study = optuna.create_study(**options, direction="maximize", load_if_exists=True)
        study.set_user_attr("version", space.version)
    if study.user_attrs.get("version", space.version) != space.version:
        raise ValueError(
            f"{path} holds the trials of another {space.name}.py, which cannot be compared: give "
            "the file another name"
        )
    return study


def recorded_study(space: ModuleType) -> optuna.Study:
    """The committed study of one of the library's spaces, such as choosing/below_8000.py."""
    return open_study(load_space(Path(space.__file__)), results_folder())


def measure(trial: optuna.Trial, space: Space, device: str = "auto") -> float:
    """Mean validation accuracy (0..1) after the last epoch over the space's seeds.

    raises TrialPruned for what is too large, diverges or stays behind the median of the others,
           ValueError for what cannot be measured
    """
    recipe, started, ended = space.suggest(trial), time.perf_counter(), []
    check_trial(recipe)
    parameters = count_parameters(recipe.new_network(seed=1))
    trial.set_user_attr("parameters", parameters)
    trial.set_user_attr("fingerprint", recipe.fingerprint())
    if space.max_parameters is not None and parameters > space.max_parameters:
        raise optuna.TrialPruned

    def watch(row: dict) -> None:
        trial.report(
            fmean([*ended, row["validation_accuracy"]]), len(ended) * recipe.epochs + row["epoch"]
        )
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        for seed in space.seeds:
            digits = (space.digits or load_mnist)(fold=recipe.fold(seed)).without_test()
            trial.set_user_attr("sizes", digits.sizes())
            run = fit(recipe, digits, seed, device, quiet=True, after_epoch=watch)
            ended.append(run.history[-1]["validation_accuracy"])
    except FloatingPointError:
        raise optuna.TrialPruned from None
    finally:
        trial.set_user_attr("seconds", round(time.perf_counter() - started, 1))
    return fmean(ended)


def one_trial(file: str, device: str) -> None:
    """What a worker does: one more trial of the study that all share."""
    space = load_space(Path(file))
    open_study(space).optimize(lambda trial: measure(trial, space, device), n_trials=1)


def begin_again(study: optuna.Study) -> None:
    """Queue anew what was under way when a worker or an earlier search was killed."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def search(
    study: optuna.Study, file: Path, trials: int, workers: int | None = None, device: str = "auto"
) -> list[str]:
    """Go on until the study of this file has so many ended trials; returns what went wrong."""
    begin_again(study)
    missing = max(0, trials - len(study.get_trials(states=ENDED)))
    print(f"{missing} trials to make, {trials - missing} made before", flush=True)
    problems = []
    if not missing:
        return problems
    with (
        connected(workers=min(missing, workers or CPU_COUNT)) as client,
        tqdm(total=missing, unit="trial", smoothing=0, disable=None) as bar,
    ):
        asked = [
            client.submit(one_trial, str(file.resolve()), device, pure=False)
            for _ in range(missing)
        ]
        for future in as_completed(asked, loop=client.loop):
            if future.status == "error":
                error = future.exception()
                problems.append(f"a trial failed: {type(error).__name__}: {error}")
            found = completed(study)
            if len(problems) >= HOPELESS and not found:
                return [*problems, "no trial succeeds, so the search is given up"]
            if found:
                bar.set_postfix_str(f"best {max(trial.value for trial in found):.2%}")
            bar.update()
    return problems
