"""What was decided before the test set was opened was decided before, and has not changed since."""

import hashlib
import json
import subprocess
from dataclasses import asdict
from functools import cache

import pytest

from mnist_lib import journey
from mnist_lib.__main__ import main
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import find
from mnist_lib.records import load_records, registrations, registrations_of

FILE = "results/registered.json"
FREELY_CHOSEN = 18  # registrations up to 11-sooner; the seeds of later ones follow from themselves
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
    """Fails in a shallow clone; skips where there is no clone at all."""
    need_history()


def need_history() -> None:
    try:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
    except (OSError, ValueError):
        pytest.skip("no git history here, so nothing can be known about the order of commits")
    if shallow:
        pytest.fail("the commits that prove the order are not here: git fetch --unshallow")


pytestmark = pytest.mark.usefixtures("committed")


def test_every_step_of_the_journey_is_registered():
    assert {recipe.name for recipe in journey.JOURNEY} <= {*NAMES}


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
        if record["schema"] > 2:  # earlier ones do not know it
            assert record["machine"]["clean"], f"{path} was made with code that is in no commit"


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


# ---- seeds that nobody chooses ------------------------------------------------------------------


def follow(entry: dict) -> list[int]:
    """The seeds of a registration, computed a second time."""
    decided = json.dumps([entry["fingerprint"], entry["target"], entry["why"]], sort_keys=True)
    start = 1_000 + 10 * (int(hashlib.sha256(decided.encode()).hexdigest(), 16) % 1_000_000)
    return [start + n for n in range(1, 11)]


def test_the_seeds_of_new_registrations_follow_from_themselves():
    for entry in registrations()[FREELY_CHOSEN:]:
        assert entry["seeds"] == follow(entry), entry["recipe"]


def test_preregister_computes_ten_seeds_that_cover_the_folds(results, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(results))
    assert main(["preregister", "06-one-cycle", "--why", " "]) == 2
    assert "say in a sentence" in capsys.readouterr().err and not results.exists()
    assert main(["preregister", "06-one-cycle", "--why", "It won."]) == 0
    printed = capsys.readouterr().out
    assert main(["preregister", "05-none", "--why", "To see."]) == 0
    first, second = registrations()
    assert f"with seeds {first['seeds'][0]}-{first['seeds'][-1]}; commit {results}" in printed
    for entry in (first, second):
        recipe = find(entry["recipe"])
        assert entry["seeds"] == follow(entry) and min(entry["seeds"]) > 1_000
        assert [recipe.fold(seed) for seed in entry["seeds"]] == [*range(1, 11)]
        assert entry["fingerprint"] == recipe.fingerprint()
    assert first["target"]["mean_accuracy"] == 0.995 and second["target"] is None
    assert follow(first | {"why": "It lost."}) != first["seeds"]
    assert main(["preregister", "06-one-cycle", "--why", "Again."]) == 2
    assert "a registration never changes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["preregister", "04-dropout", "--seeds", "1", "--why", "The best of some."])


# ---- forgeries, in a clone ----------------------------------------------------------------------


@pytest.fixture
def clone(whole_history, tmp_path, monkeypatch):
    """A clone to forge in; the tests above then read it."""
    git("clone", "--quiet", "--shared", ".", str(tmp_path / "clone"))
    monkeypatch.setattr(f"{__name__}.PROJECT", tmp_path / "clone")
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(tmp_path / "clone/results"))
    return tmp_path / "clone"


def commit_all() -> None:
    author = ["-c", "user.name=A Forger", "-c", "user.email=forger@localhost"]
    git(*author, "commit", "--quiet", "--all", "--message=Nothing of importance")


@pytest.mark.parametrize("is_committed", [False, True])
def test_an_easier_target_is_found(clone, is_committed):
    test_no_registration_ever_changed(None)
    entries = json.loads((clone / FILE).read_text("utf-8"))
    entries[-1]["target"]["max_parameters"] += 1_000
    (clone / FILE).write_text(json.dumps(entries), encoding="utf-8")
    if is_committed:
        commit_all()
    with pytest.raises(AssertionError):
        test_no_registration_ever_changed(None)


def test_a_seed_that_was_not_registered_is_found(clone):
    old, new = (clone / f"results/runs/13-one-thousand/seed-{seed}.json" for seed in (20, 31))
    record = json.loads(old.read_text("utf-8")) | {"seed": 31}
    git("mv", str(old), str(new))
    new.write_text(json.dumps(record), encoding="utf-8")
    commit_all()
    with pytest.raises(AssertionError, match="seed-31.json, run with"):
        test_every_run_that_saw_test_digits_was_registered_before(None)


def test_a_shallow_clone_is_told_what_is_missing(clone, tmp_path, monkeypatch):
    git("clone", "--quiet", "--depth=1", clone.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.setattr(f"{__name__}.PROJECT", tmp_path / "shallow")
    with pytest.raises(pytest.fail.Exception, match="git fetch --unshallow"):
        need_history()
