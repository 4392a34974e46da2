"""A search over recipes: Optuna suggests, folds judge, and what is hopeless ends early.

What is searched stands in a file of Python, the space: a function suggest(trial) that makes a
recipe, and SEEDS, whose folds judge it one after the other. No trial has test digits. All are kept
in Optuna's journal results/trials/<name of the file>.jsonl, which processes share and a later
search goes on from, as long as the file is the same.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna
import pandas as pd
from dask.system import CPU_COUNT
from distributed import as_completed
from matplotlib.figure import Figure
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState
from tqdm import tqdm

from mnist_lib.data import load_mnist
from mnist_lib.engine.environment import output_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.engine.pictures import as_png
from mnist_lib.recipes import Recipe
from mnist_lib.runner.training import check_trial
from mnist_lib.runner.workers import connected
from mnist_lib.summary import count_parameters
from mnist_lib.train import fit
from mnist_lib.visualize import new_figure

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
UNTOUCHED_TRIALS = 10  # so many must have ended well before others are compared with them
UNTOUCHED_EPOCHS = 4  # no trial is pruned before it has had a chance
IN_A_ROW = 4  # pictures
HOPELESS = 3  # failures without a single success, and the search is given up


@dataclass(frozen=True)
class Space:
    """What is searched.

    suggest         makes a recipe from what the trial suggests
    seeds           of the runs of each trial; each validates on its own fold
    max_parameters  networks with more are pruned before they train; None: any size
    version         hash of the file: trials of another space are no trials of this one
    """

    name: str
    suggest: Callable[[optuna.Trial], Recipe]
    seeds: list[int]
    max_parameters: int | None = None
    version: str = ""


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
    limit = getattr(module, "MAX_PARAMETERS", None)
    return Space(file.stem, module.suggest, seeds, limit, short_hash([file.read_text("utf-8")]))


def open_study(space: Space) -> optuna.Study:
    """The space's study from its journal, or a new one; ValueError if that is of another space."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = output_folder().resolve() / "trials" / f"{space.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path)))),
        study_name=space.name,
        direction="maximize",
        load_if_exists=True,
        sampler=TPESampler(n_startup_trials=UNTOUCHED_TRIALS, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(UNTOUCHED_TRIALS, UNTOUCHED_EPOCHS + 1),
    )
    if study.user_attrs.setdefault("version", space.version) != space.version:
        raise ValueError(
            f"{path} holds the trials of another {space.name}.py, which cannot be compared: give "
            "the file another name"
        )
    study.set_user_attr("version", space.version)
    return study


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
            digits = load_mnist(fold=recipe.fold(seed)).without_test()
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


def completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were measured to their end."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


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


def best(study: optuna.Study, count: int = 10) -> pd.DataFrame:
    """The best trials, one a row, with what was suggested."""
    rows = [
        {
            "trial": trial.number,
            "validation": f"{trial.value:.2%}",
            "parameters": trial.user_attrs["parameters"],
            **trial.params,
        }
        for trial in sorted(completed(study), key=lambda trial: -trial.value)[:count]
    ]
    return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()


def draw(study: optuna.Study) -> Path:
    """Write the picture of what mattered; returns its path."""
    path = output_folder().parent / "figures" / f"search-{study.study_name}.png"
    write_atomically(path, as_png(what_mattered(study)))
    return path


def what_mattered(study: optuna.Study) -> Figure:
    """Accuracy against each suggestion, the most important first.

    Importance is that of PED-ANOVA (Watanabe et al. 2023): how far the suggestions of the best
    tenth are from those of all.
    """
    table = pd.DataFrame([{**trial.params, "": trial.value * 100} for trial in completed(study)])
    weights = importances(study)
    columns = min(IN_A_ROW, max(1, len(weights)))
    rows = max(1, -(-len(weights) // columns))
    figure, axes = new_figure(3.2 * columns, 3 * rows, rows, columns, sharey=True, squeeze=False)
    for ax in axes.flat[len(weights) :]:
        ax.axis("off")
    for ax, (name, weight) in zip(axes.flat, weights.items(), strict=False):
        values = table[name]
        ax.plot(
            values if values.dtype.kind in "if" else values.astype(str), table[""], "o", alpha=0.5
        )
        ax.set(xlabel=name, title=f"importance {weight:.0%}")
    for ax in axes[:, 0]:
        ax.set_ylabel("validation accuracy (%)")
    return figure


def importances(study: optuna.Study) -> dict[str, float]:
    """Part of each suggestion in what made the best trials good; all equal where too few ended."""
    names = sorted({name for trial in completed(study) for name in trial.params})
    try:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {name: 1 / len(names) for name in names}
