"""A search: what is suggested is measured on folds, kept, pruned and gone on with."""

from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import sweep_recipes

from mnist_lib.commands import search, workers
from mnist_lib.commands.main import main
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import at_most_1000, at_most_2000, below_8000, searches
from mnist_lib.recipes import SGD

SPACE = """
from dataclasses import replace
from sweep_recipes import SGD, TINY

SEEDS = [1, 2]

def suggest(trial):
    rate = trial.suggest_float("rate", 0.01, 0.1)
    if trial.number == 2:
        raise ValueError("on purpose")
    return replace(TINY, optimizer=SGD(rate))
"""


@pytest.fixture
def space(monkeypatch, synthetic, tmp_path) -> Path:
    """A space, and workers within this process, which have made-up digits."""
    monkeypatch.setattr(workers, "LOCAL", {**workers.LOCAL, "processes": False})
    monkeypatch.setattr(search, "load_mnist", lambda fold=0: synthetic)
    file = tmp_path / "rates.py"
    file.write_text(SPACE)
    return file


@pytest.fixture
def journal(results) -> Path:
    return results.parent / "my-results" / "searches" / "rates.jsonl"


def run(file: Path, trials: int) -> int:
    return main(["search", str(file), "--workers", "1", "--trials", str(trials)])


def test_it_keeps_every_trial_and_goes_on_from_there(space, journal, capsys):
    assert run(space, 4) == 1  # one trial fails, and the others go on
    said = capsys.readouterr().out
    assert "4 trials to make, 0 made before" in said and "ValueError: on purpose" in said
    study = searches.open_study(journal)
    assert len(study.trials) == 4 and len(searches.completed(study)) == 3
    for trial in searches.completed(study):
        assert trial.user_attrs["sizes"]["test"] == 0 and trial.user_attrs["parameters"] == 1_940
    highest = max(trial.value for trial in searches.completed(study))
    assert (
        searches.best(study)["validation"].iloc[0] == f"{highest:.2%}" and f"{highest:.2%}" in said
    )
    assert run(space, 4) == 0
    assert "1 trials to make, 3 made before" in capsys.readouterr().out
    space.write_text(SPACE.replace("[1, 2]", "[1]"))  # another space: its trials do not mix
    assert run(space, 1) == 0
    assert "1 trials to make, 0 made before" in capsys.readouterr().out


def test_what_was_under_way_when_it_was_killed_is_made_again(space, journal):
    study = search.own_study(space, journal)
    killed = study.ask({"rate": optuna.distributions.FloatDistribution(0.01, 0.1)})
    assert run(space, 1) == 0
    states = [trial.state.name for trial in search.own_study(space, journal).trials]
    assert states == ["FAIL", "COMPLETE"]
    assert search.own_study(space, journal).trials[1].params == killed.params


def test_a_cut_last_line_is_set_aside_and_nothing_else_is_lost(space, journal, capsys):
    space.write_text(SPACE.replace("== 2", "== 99"))
    assert run(space, 2) == 0
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    assert run(space, 2) == 0
    assert "the last line of" in capsys.readouterr().out
    assert journal.with_suffix(".cut").read_bytes() in whole
    before, after = (content.split(b"\n") for content in (whole, journal.read_bytes()))
    assert after[: len(before) - 2] == before[:-2]
    assert run(space, 2) == 0
    assert "0 trials to make, 2 made before" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        b'{"op_code": 4, "worker_id"\n',
        b"[1, 2, 3]\n",
        b"\xff\xfe\x00garbage\n",
        b'{"op_code": 99, "worker_id": "x"}\n',
    ],
)
def test_a_damaged_journal_is_named_and_left_as_it_is(space, journal, capsys, damage):
    search.own_study(space, journal)
    damaged = journal.read_bytes() + damage
    journal.write_bytes(damaged)
    assert run(space, 1) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{journal} is no journal that Optuna can read" in said
    assert journal.read_bytes() == damaged


HEAD = "from sweep_recipes import TINY\nfrom dataclasses import replace\nSEEDS = [1]\n"


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "No such file"),
        ("SEEDS = [1]", "has no attribute 'suggest'"),
        ("SEEDS = []\ndef suggest(trial): pass", "the number of SEEDS must be"),
        ("SEEDS = [-1]\ndef suggest(trial): pass", "a seed must be a whole number from 0"),
        ("def suggest(trial)", "SyntaxError: expected ':'"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        (f"{HEAD}def suggest(trial): trial.suggest_int('w', 1, 2)", "must return a Recipe"),
        (f"{HEAD}def suggest(trial): return replace(TINY, folds=0)", "that holds out a fold"),
        (
            f"{HEAD}def suggest(trial):\n    trial.suggest_categorical('x', [[1], [2]])\n"
            "    return TINY",
            "contains [1] which is of type list",
        ),
    ],
)
def test_a_file_that_is_no_space_is_explained_before_any_training(
    space, journal, monkeypatch, capsys, text, words
):
    monkeypatch.delattr(search, "fit")
    space.unlink() if text is None else space.write_text(text)
    assert run(space, 1) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert str(space) in said and words in said and not journal.exists()


def test_a_trial_is_the_mean_over_its_folds_and_pruned_behind_the_median(monkeypatch, synthetic):
    accuracies = iter([0.5, 0.7, 0.1])

    def fit(recipe, digits, seed, device, quiet, after_epoch):
        assert len(digits.test_labels) == 0
        row = {"epoch": 1, "validation_accuracy": next(accuracies)}
        after_epoch(row)
        return SimpleNamespace(history=[row])

    monkeypatch.setattr(search, "fit", fit)
    tiny = lambda trial: sweep_recipes.TINY  # noqa: E731
    space = SimpleNamespace(SEEDS=[3, 4], suggest=tiny, digits=lambda fold: synthetic)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(1, 0))
    study.optimize(lambda trial: search.measure(space, trial, "cpu"), n_trials=2)
    first, second = study.trials
    assert first.value == pytest.approx(0.6)
    assert first.intermediate_values == {1: 0.5, 3: pytest.approx(0.6)}  # 2 epochs a seed
    assert second.state.name == "PRUNED"


def test_what_diverges_is_pruned(synthetic):
    wild = sweep_recipes.TINY.but("00-wild", "searched", optimizer=SGD(1e30))
    space = SimpleNamespace(SEEDS=[1], suggest=lambda trial: wild, digits=lambda fold: synthetic)
    with pytest.raises(optuna.TrialPruned):
        search.measure(space, optuna.create_study().ask(), "cpu")


@pytest.mark.parametrize("space", [below_8000, at_most_2000, at_most_1000])
def test_the_committed_journals_are_read_as_they_are(committed, space):
    journal = PROJECT / "results/searches" / f"{space.__name__.split('.')[-1]}.jsonl"
    before = journal.read_bytes()
    study = searches.recorded_study(space)
    assert all(t.user_attrs["sizes"]["test"] == 0 for t in searches.completed(study))
    assert 0 < len(searches.best(study)) <= len(searches.completed(study))
    assert journal.read_bytes() == before
