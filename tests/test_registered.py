"""What was decided before the test set was opened was decided before, and has not changed since."""

import json
import subprocess
from dataclasses import asdict
from functools import cache

import pytest

from mnist_lib import journey
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import find
from mnist_lib.records import load_records, registrations, registrations_of

FILE = "results/registered.json"
# a class got another name; the script of commit 4a31a7c shows that the same is computed
RENAMED = {"d6401708e19c": "810444b58b40"}
NAMES = list(dict.fromkeys(e["recipe"] for e in json.loads((PROJECT / FILE).read_text("utf-8"))))


def git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True)
    if answer.returncode:
        raise ValueError(answer.stderr)
    return answer.stdout.strip()


@cache
def at(commit: str) -> list[dict]:
    """The registrations as of a commit; none where there was no file yet."""
    try:
        entries = json.loads(git("show", f"{commit}:{FILE}"))
    except ValueError:
        return []
    return [entry | {"fingerprint": today(entry)} for entry in entries]


def today(entry: dict) -> str:
    """The fingerprint of a registration or record as it is now called."""
    return RENAMED.get(entry["fingerprint"], entry["fingerprint"])


@pytest.fixture
def whole_history():
    """Skips where the history cannot be known."""
    try:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
    except (OSError, ValueError):
        pytest.skip("no git history here, so nothing can be known about the order of commits")
    if shallow:
        pytest.skip("a shallow clone: the commits that would prove the order are not here")


@pytest.fixture(autouse=True)
def committed(results, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


def test_every_step_of_the_journey_is_registered():
    assert {recipe.name for recipe in journey.JOURNEY} <= {*NAMES}
    assert [entry["recipe"] for entry in registrations()[: len(NAMES)]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_latest_registration_is_of_the_recipe_as_it_is(name):
    recipe, latest = find(name), registrations_of(find(name))[-1]
    assert latest["fingerprint"] == recipe.fingerprint()
    target = journey.TARGETS.get(name)
    assert latest["target"] == (asdict(target) if target else None)
    assert len(latest["seeds"]) >= (5 if recipe in journey.VARIANTS else 10)
    if recipe in journey.JOURNEY:
        assert latest["settings"] == recipe.settings()


def test_no_registration_ever_changed(whole_history):
    versions = git("log", "--format=%H", "--reverse", "--", FILE).split()
    states = [*map(at, versions), registrations()]
    for earlier, later in zip(states, states[1:], strict=False):
        assert [*map(decisive, later[: len(earlier)])] == [*map(decisive, earlier)]


def decisive(entry: dict) -> dict:
    """All but the settings that were renamed: they are in the fingerprint."""
    kept = ("optimizer", "schedule", "augment", "batch_size", "epochs", "folds")
    return entry | {"settings": {name: entry["settings"][name] for name in kept}}


def registered_records() -> dict[str, dict]:
    """The committed records of registered recipes by their file, with all commits of the file."""
    runs = {
        f"results/runs/{record['recipe']}/seed-{record['seed']}.json": record
        for record in load_records(PROJECT / "results")
        if record["recipe"] in NAMES and record["sizes"]["test"]
    }
    return {
        path: runs[path] for path in git("ls-files", "results/runs").splitlines() if path in runs
    }


def test_every_run_that_saw_test_digits_was_registered_before(whole_history):
    """The commit that it was run with holds its registration already."""
    found = registered_records()
    assert len(found) > 100
    for path, record in found.items():
        commit = record["machine"]["commit"]
        entries = [e for e in at(commit) if e["fingerprint"] == record["fingerprint"]]
        assert any(record["seed"] in e["seeds"] for e in entries), f"{path}, run with {commit}"


def test_no_record_was_committed_before_its_registration(whole_history):
    lines = git("log", "--format=commit %H", "--name-only", "--", "results/runs").splitlines()
    found, commit = registered_records(), ""
    for line in filter(None, lines):
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line in found:
            fingerprint = found[line]["fingerprint"]
            try:
                then = json.loads(git("show", f"{commit}:{line}"))
            except ValueError:  # a commit that took the file away
                continue
            if today(then) == fingerprint:
                known = {entry["fingerprint"] for entry in at(f"{commit}~1")}
                assert fingerprint in known, f"{line} in {commit}"
