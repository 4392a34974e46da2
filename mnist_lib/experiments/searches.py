"""What a search found: Optuna's journal of its trials, the best of them, and a figure of all."""

from pathlib import Path
from types import ModuleType

import pandas as pd

from mnist_lib.engine.machine import results_folder
from mnist_lib.records import NoRecords


def recorded_study(space: ModuleType):
    """The committed study of one of the library's spaces, such as `below_8000`.

    Args:
        space: the module that was searched.

    Raises:
        NoRecords: if there is none.
        ModuleNotFoundError: without Optuna.
        ValueError: for a damaged journal, with its name.
    """
    path = results_folder() / "searches" / f"{space.__name__.rpartition('.')[2]}.jsonl"
    if not path.exists():
        raise NoRecords(f"there is no {path}")
    return open_study(path)


def open_study(path: Path, name: str | None = None, **options):
    """A study of a journal, the last one by default; a new one where none has this name."""
    import optuna  # Colab has none: only who opens a journal needs it
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    try:
        backend = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
        storage = optuna.storages.JournalStorage(backend)
        known = [study.study_name for study in storage.get_all_studies()]
        if name and name not in known:
            optuna.create_study(storage=storage, study_name=name, direction="maximize")
        return optuna.load_study(storage=storage, study_name=name or known[-1], **options)
    except Exception as error:  # whatever Optuna makes of a damaged journal
        raise ValueError(f"{path} is no journal that Optuna can read: {error}") from error


def completed(study) -> list:
    """The trials that were measured to their end."""
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def ended(study) -> list:
    """The completed trials and those that were pruned."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def best(study, count: int = 10) -> pd.DataFrame:
    """The best trials, one a row: validation accuracy, parameters, and what was suggested."""
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
