"""What was decided before the test set was opened was decided before, and has not changed since."""

import json
import subprocess
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest

from mnist_lib import journey
from mnist_lib.commands.command_line import main
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments.pilots import WINNERS
from mnist_lib.experiments.registration import (
    register,
    registered,
    registrations_of,
    target_of,
    tries,
)
from mnist_lib.experiments.to_target import SOONER, WINNER
from mnist_lib.records import load_records

FILE = "results/registered.json"
REGISTERED = [*journey.JOURNEY, WINNER, SOONER, *WINNERS]
STEPS = pytest.mark.parametrize("recipe", REGISTERED, ids=lambda recipe: recipe.name)


# ---- registering --------------------------------------------------------------------------------


def test_a_registration_holds_recipe_target_seeds_and_reason(tiny, monkeypatch):
    target = journey.Target(mean_accuracy=0.99)
    monkeypatch.setitem(journey.TARGETS, tiny.name, target)
    entry = register(tiny, range(11, 21), "because it won on ten folds")
    assert registered() == [entry] == registrations_of(tiny)
    assert entry["fingerprint"] == tiny.fingerprint() and entry["seeds"] == [*range(11, 21)]
    assert target_of(tiny) == target
    assert tries(tiny) == "try 1, seeds 11 to 20: because it won on ten folds"


def test_a_second_try_is_a_second_entry_with_new_seeds(tiny):
    first = register(tiny, [11, 12], "first")
    longer = replace(tiny, epochs=3)
    with pytest.raises(ValueError, match=r"seeds \[12\]: take new ones"):
        register(longer, [12, 13], "again")
    second = register(longer, [13, 14], "again, longer")
    assert registrations_of(tiny) == [first, second]
    assert tries(tiny).splitlines()[1] == "try 2, seeds 13 to 14: again, longer"


def test_a_registration_is_made_once_and_with_a_reason(tiny):
    with pytest.raises(ValueError, match="say in a sentence why"):
        register(tiny, [11], " ")
    register(tiny, [11], "a reason")
    with pytest.raises(ValueError, match="registered as it is"):
        register(tiny, [12], "another reason")
    assert len(registered()) == 1


def test_without_registrations_there_is_nothing_to_tell(tiny):
    assert registered() == [] and tries(tiny) == ""


def test_the_command_registers_and_says_what_comes_next(capsys):
    command = ["register", "01-plain", "--seeds", "21-23", "--why", "again"]
    assert main(command) == 0
    assert "commit" in capsys.readouterr().out
    assert registered()[0]["seeds"] == [21, 22, 23]
    assert main(command) == 2
    assert "registered as it is" in capsys.readouterr().err


# ---- the project's own --------------------------------------------------------------------------


def git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True)
    if answer.returncode:
        raise ValueError(answer.stderr)
    return answer.stdout.strip()


@cache
def at(commit: str) -> list[dict]:
    """The registrations as of a commit; none where there was no file yet."""
    try:
        return json.loads(git("show", f"{commit}:{FILE}"))
    except ValueError:
        return []


@pytest.fixture
def whole_history():
    """Skips where the history cannot be known."""
    try:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
    except (OSError, ValueError):
        pytest.skip("no git history here, so nothing can be known about the order of commits")
    if shallow:
        pytest.skip("a shallow clone: the commits that would prove the order are not here")


@pytest.fixture
def committed(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


@STEPS
def test_the_latest_registration_is_of_the_recipe_as_it_is(recipe, committed):
    latest = registrations_of(recipe)[-1]
    assert latest["fingerprint"] == recipe.fingerprint()
    assert latest["settings"] == recipe.settings()
    target = journey.TARGETS.get(recipe.name)
    assert latest["target"] == (asdict(target) if target else None)
    assert len(latest["seeds"]) >= (5 if recipe in journey.SIDE_TRACKS else 10)


def test_no_registration_ever_changed(whole_history, committed):
    versions = git("log", "--format=%H", "--reverse", "--", FILE).split()
    states = [*map(at, versions), registered()]
    for earlier, later in zip(states, states[1:], strict=False):
        assert later[: len(earlier)] == earlier


def journey_records() -> list[dict]:
    """Those of the project; seeds that a reader added are the reader's own affair."""
    names = {recipe.name for recipe in REGISTERED}
    ours = {Path(line).parts[-2:] for line in git("ls-files", "results/runs").splitlines()}
    return [
        record
        for record in load_records()
        if record["recipe"] in names and (record["recipe"], f"seed-{record['seed']}.json") in ours
    ]


def test_every_run_that_saw_test_digits_was_registered_before(whole_history, committed):
    """The commit that it was run with holds its registration already."""
    for record in journey_records():
        commit = record["machine"]["commit"]
        entries = [e for e in at(commit) if e["fingerprint"] == record["fingerprint"]]
        name = f"{record['recipe']}, seed {record['seed']}, run with {commit}"
        assert any(record["seed"] in entry["seeds"] for entry in entries), name


def test_no_record_was_committed_before_its_registration(whole_history, committed):
    for record in journey_records():
        path = f"results/runs/{record['recipe']}/seed-{record['seed']}.json"
        for commit in git("log", "--format=%H", "--", path).split():
            then = json.loads(git("show", f"{commit}:{path}") or "{}")
            if then.get("fingerprint") == record["fingerprint"]:
                known = {entry["fingerprint"] for entry in at(f"{commit}~1")}
                assert record["fingerprint"] in known, f"{path} in {commit}"
