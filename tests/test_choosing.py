"""What was tried was tried on folds alone, and can be compared."""

import pytest

from mnist_lib import journey
from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.store import TRIALS
from mnist_lib.experiments.pilots import AUGMENTATIONS, CHOICES, EARLY, FRONTIER, NETWORKS
from mnist_lib.records import load_records, records_of
from mnist_lib.summary import count_parameters

ALL = [candidate for choice in [*CHOICES, *FRONTIER] for candidate in choice]
EVERY = list({candidate.name: candidate for candidate in ALL}.values())
every_candidate = pytest.mark.parametrize("candidate", EVERY, ids=lambda each: each.name)
every_choice = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice[1].name[:2])


@pytest.fixture
def committed(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


def test_a_name_means_one_candidate():
    names = {}
    for candidate in ALL:
        assert names.setdefault(candidate.name, candidate) == candidate


@every_choice
def test_the_candidates_of_a_choice_differ_in_one_setting(choice):
    first, *others = choice
    assert len({candidate.fingerprint() for candidate in choice}) == len(choice)
    for candidate in others:
        before, after = first.settings(), candidate.settings()
        assert sum(before[name] != after[name] for name in before) == 1


def test_the_networks_are_small_enough():
    for candidate in [*NETWORKS, *AUGMENTATIONS]:
        assert count_parameters(candidate.network()) < 8_000


def test_what_was_chosen_is_what_the_journey_takes():
    assert EARLY.operations == journey.BEST.operations
    assert journey.BEST.fingerprint() in {candidate.fingerprint() for candidate in AUGMENTATIONS}


@every_candidate
def test_what_is_shown_was_tried_with_another_fold_for_each_seed(candidate, committed):
    found = records_of(candidate, kind=TRIALS)
    folds = [record["fold"] for record in found]
    assert folds == [record["seed"] for record in found] == sorted(set(folds))
    assert folds and set(folds) <= set(range(1, 11))


def test_no_trial_has_ever_seen_a_test_digit(committed):
    for record in load_records(kind=TRIALS):
        assert record["sizes"] == {"train": 54_000, "validation": 6_000, "test": 0}
        assert not any("test" in name for row in record["history"] for name in row)
