"""A search: what is suggested is measured on folds, kept, pruned and gone on with."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import sweep_recipes
from optuna.trial import TrialState

from mnist_lib.commands import search
from mnist_lib.commands.command_line import main
from mnist_lib.commands.search import Space, begin_again, load_space, measure, open_study
from mnist_lib.commands.searched import best
from mnist_lib.engine.environment import output_folder
from mnist_lib.experiments import at_most_1000, at_most_2000, below_8000
from mnist_lib.recipes import SGD

SPACE = """
from dataclasses import replace
from sweep_recipes import SGD, TINY

SEEDS = [1, 2]

def suggest(trial):
    rate = trial.suggest_float("rate", 0.01, 0.1)
    size = trial.suggest_categorical("size", ["small", "large"])
    if trial.number == 2:
        raise ValueError("on purpose")
    return replace(TINY, optimizer=SGD(rate), batch_size={"small": 32, "large": 64}[size])
"""
OWN_DIGITS = """
from mnist_lib.data import Digits, load_mnist

def digits(fold):
    images, labels = load_mnist().train_images, load_mnist().train_labels
    parts = slice(0, 64), slice(64, 96), slice(96, 100)
    return Digits(*[of[part] for part in parts for of in (images, labels)])
"""
BOUNDS = {"rate": optuna.distributions.FloatDistribution(0.01, 0.1)}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")


@pytest.fixture
def space():
    """Tiny networks whose rate is searched, on the first fold."""
    rate = lambda trial: trial.suggest_float("rate", 0.01, 0.1)  # noqa: E731
    return Space("tiny", lambda trial: but(SGD(rate(trial))), [1])


def but(optimizer: SGD):
    return sweep_recipes.TINY.but("00-searched", "searched", optimizer=optimizer)


def run(space: Space, trials: int = 1) -> list[optuna.trial.FrozenTrial]:
    study = open_study(space)
    study.optimize(lambda trial: measure(trial, space, "cpu"), n_trials=trials)
    return study.trials


def test_the_command_keeps_every_trial_and_goes_on_from_there(tmp_path, monkeypatch, capfd):
    file = tmp_path / "rates.py"
    file.write_text(SPACE)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    command = ["search", str(file), "--workers", "1", "--device", "cpu", "--trials"]
    assert main([*command, "4"]) == 1  # one trial fails, and the others go on
    printed = capfd.readouterr()
    assert "4 trials to make, 0 made before" in printed.out
    assert "a trial failed: ValueError: on purpose" in printed.err
    trials = open_study(load_space(file)).trials
    ended = [trial for trial in trials if trial.state in search.ENDED]
    assert len(trials) == 4 and len(ended) == 3
    for trial in ended:
        assert trial.user_attrs["sizes"] == {"train": 54_000, "validation": 6_000, "test": 0}
        assert trial.params.keys() == {"rate", "size"} and trial.user_attrs["parameters"] == 1_940
    assert f"{max(trial.value for trial in ended):.2%}" in printed.out
    assert (output_folder().parent / "figures/search-rates.png").read_bytes()[:4] == b"\x89PNG"
    assert main([*command, "4"]) == 0
    assert "1 trials to make, 3 made before" in capfd.readouterr().out
    assert main([*command, "4"]) == 0
    assert "0 trials to make, 4 made before" in capfd.readouterr().out


def test_a_space_may_bring_its_own_digits(tmp_path, monkeypatch):
    file = tmp_path / "own.py"
    file.write_text(SPACE.replace('"on purpose"', '"not reached"') + OWN_DIGITS)
    trial = run(load_space(file))[0]
    assert trial.user_attrs["sizes"] == {"train": 64, "validation": 32, "test": 0}
    assert trial.state == TrialState.COMPLETE


@pytest.mark.parametrize("space", [below_8000, at_most_2000, at_most_1000])
def test_no_committed_trial_had_a_test_digit(space, monkeypatch):
    monkeypatch.delenv("MNIST_LIB_RESULTS")
    trials = [trial for trial in search.recorded_study(space).trials if trial.value is not None]
    assert trials and all(trial.user_attrs["sizes"]["test"] == 0 for trial in trials)


def test_a_trial_is_the_mean_over_its_folds(space, monkeypatch):
    ends = iter([0.5, 0.7])

    def fit(recipe, digits, seed, device, quiet, after_epoch):
        assert len(digits.test_labels) == 0 and digits.fold == seed
        row = {"epoch": 1, "validation_accuracy": next(ends)}
        after_epoch(row)
        return SimpleNamespace(history=[row])

    monkeypatch.setattr(search, "fit", fit)
    (trial,) = run(Space("folds", space.suggest, [3, 4]))
    assert trial.value == pytest.approx(0.6)
    assert trial.intermediate_values == {1: 0.5, 3: pytest.approx(0.6)}  # 2 epochs a seed


def test_what_stays_behind_is_pruned(space, monkeypatch):
    monkeypatch.setattr(search, "UNTOUCHED_TRIALS", 1)
    monkeypatch.setattr(search, "UNTOUCHED_EPOCHS", 0)
    good = optuna.trial.create_trial(
        params={"rate": 0.1}, distributions=BOUNDS, value=1.0, intermediate_values={1: 1.0, 2: 1.0}
    )
    open_study(space).add_trial(good)
    trial = run(space)[-1]
    assert trial.state == TrialState.PRUNED and list(trial.intermediate_values) == [1]


def test_what_is_too_large_is_not_trained(space, monkeypatch):
    monkeypatch.delattr(search, "fit")
    (trial,) = run(Space("small", space.suggest, [1], max_parameters=1_939))
    assert trial.state == TrialState.PRUNED and trial.user_attrs["parameters"] == 1_940


def test_what_diverges_is_pruned():
    (trial,) = run(Space("wild", lambda trial: but(SGD(1e30)), [1]))
    assert trial.state == TrialState.PRUNED


def test_what_a_killed_search_had_under_way_is_done_again(space):
    study = open_study(space)
    killed = study.ask(BOUNDS)
    study.ask()  # killed before anything was suggested
    begin_again(study)
    assert [trial.state for trial in study.trials] == [
        TrialState.FAIL, TrialState.FAIL, TrialState.WAITING,
    ]  # fmt: skip
    again = run(space)[-1]
    assert again.state == TrialState.COMPLETE and again.params == killed.params


def test_the_best_come_first(space):
    study = open_study(space)
    assert best(study).empty
    for value in (0.5, 0.7, 0.6):
        trial = study.ask(BOUNDS)
        trial.set_user_attr("parameters", 10)
        study.tell(trial, value)
    assert best(study, count=2)["validation"].tolist() == ["70.00%", "60.00%"]


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "is no file of Python"),
        ("SEEDS = [1]", "has no function suggest"),
        ("SEEDS = 3\ndef suggest(trial): pass", "SEEDS = 3 .* is no list of seeds such as"),
        ("SEEDS = []\ndef suggest(trial): pass", "is no list of seeds such as"),
        ("def suggest(trial): pass", "has no list SEEDS"),
        ("def suggest(trial)", "SyntaxError: expected ':'"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_file_that_is_no_space_is_explained(tmp_path, text, message, capsys):
    file = tmp_path / "space.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_space(file)
    assert main(["search", str(file)]) == 2
    assert "python -m mnist_lib search: " in capsys.readouterr().err


def test_trials_of_another_space_do_not_count(tmp_path, capsys):
    """Not even where the file has the same name: one fold is not ten, and old rates are not new."""
    file = tmp_path / "rates.py"
    file.write_text(SPACE)
    open_study(load_space(file))
    file.write_text(SPACE.replace("[1, 2]", "[1]"))
    assert main(["search", str(file)]) == 2
    assert "holds the trials of another rates.py" in capsys.readouterr().err


def test_a_journal_is_only_read_once_it_is_there(space):
    """So that a page that shows a committed one leaves it as it is."""
    run(space)
    (journal,) = (output_folder() / "trials").glob("*.jsonl")
    before = journal.read_bytes()
    assert len(open_study(space).trials) == 1 and journal.read_bytes() == before


def test_a_recipe_without_folds_is_refused(space):
    unfolded = Space("unfolded", lambda trial: replace(but(SGD(0.1)), folds=0), [1])
    with pytest.raises(ValueError, match="'00-searched' has no folds"):
        run(unfolded)


def test_a_space_that_always_fails_is_given_up(tmp_path, monkeypatch, capfd):
    file = tmp_path / "wrong.py"
    file.write_text("SEEDS = [1]\ndef suggest(trial):\n    return trial.nonsense")
    assert main(["search", str(file), "--workers", "1"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert (
        said[:3]
        == ["a trial failed: AttributeError: 'Trial' object has no attribute 'nonsense'"] * 3
    )
    assert said[3:] == ["no trial succeeds, so the search is given up", "no trial has ended well"]
