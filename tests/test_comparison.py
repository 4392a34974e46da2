"""The table of the published systems says what the sources say and what the records show."""

import math

import pytest
from scipy import stats

from mnist_lib import comparison
from mnist_lib import results as records
from mnist_lib.comparison import MISSING, contradictions, facts
from mnist_lib.published import SYSTEMS, system
from mnist_lib.summary import count_parameters
from mnist_lib.train import Run


@pytest.fixture
def record():
    """record(name, seed, errors): save a made-up run whose last epoch has so many errors."""

    def save(name: str, seed: int, errors: int) -> None:
        recipe = system(name)
        accuracies = [0.5] * (recipe.epochs - 1) + [1 - errors / 10_000]
        history = [
            {
                "epoch": epoch,
                "learning_rate": 0.1,
                "train_loss": 1.0,
                "train_accuracy": 0.9,
                "test_loss": 1.0,
                "test_accuracy": accuracy,
                "seconds": 2.0,
            }
            for epoch, accuracy in enumerate(accuracies, start=1)
        ]
        seconds = 3.0 * recipe.epochs
        records.save(Run(recipe, seed, "cpu", recipe.network(), history, seconds))

    return save


# ---- facts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", SYSTEMS, ids=lambda recipe: recipe.name)
def test_the_facts_are_whole(recipe):
    fact = facts()[recipe.name]
    assert fact["parameters"] == count_parameters(recipe.network())
    assert 0.98 < fact["claimed_test_accuracy"] < 1
    log = fact["log_test_accuracy"]
    if log is not None:
        printed = 12 if recipe.name == "S3-3" else recipe.epochs  # its last rows are missing
        assert len(log) == printed and all(0.1 < accuracy < 1 for accuracy in log)
    assert all(slip and slip[-1] != "." for slip in fact["slips"])


def test_the_known_contradictions_are_told():
    told = {name: " ".join(fact["slips"]) for name, fact in facts().items()}
    assert "exchanged" in told["S2-2"] and "exchanged" in told["S2-3"]
    assert "copy of that of S3-1" in told["S3-2"] and facts()["S3-2"]["log_test_accuracy"] is None
    assert facts()["S0-3"]["claimed_parameters"] == 9_752 and "2,211" in told["S0-3"]
    assert "98.43 %" in told["S4-6"] and facts()["S4-6"]["log_train_accuracy"][-1] == 0.9843
    table = contradictions()
    assert len(table) == sum(len(fact["slips"]) for fact in facts().values())


# ---- the table ----------------------------------------------------------------------------------


def test_without_records_the_sources_stand_alone():
    table = comparison.comparison()
    assert list(table.index) == [recipe.name for recipe in SYSTEMS]
    assert set(table["here"]) == {MISSING} and set(table["seeds"]) == {0}
    assert table.loc["S0-3", "parameters"] == "2,211 (claimed 9,752)"
    assert table.loc["S0-6", "claimed"] == "99.48%"
    assert table.loc["S0-6", "log"] == "99.46% (best 99.48%)"
    assert table.loc["S2-1", "log"] == MISSING


def test_a_row_shows_what_was_measured(record):
    for seed, errors in ((1, 50), (2, 60), (3, 70)):
        record("S0-6", seed, errors)
    row = comparison.comparison().loc["S0-6"]
    assert row["here"] == "99.40 ± 0.10 %" and row["seeds"] == 3
    assert row["errors of 10,000"] == "50 60 70"
    assert row["difference"] == "-0.06"  # against 99.46 in its log
    assert row["here, seconds"] == "3"
    # 0.10 points of spread: 4.3 * 0.10 * sqrt(4 / 3) is far more than 0.06
    assert row["within noise"] == "yes"


def test_a_run_far_from_its_log_is_called_so(record):
    for seed in (1, 2, 3):
        record("S0-6", seed, 60 + seed)
        record("S1", seed, 100 + seed)
    table = comparison.comparison()
    assert table.loc["S1", "within noise"] == "no"  # 99.57 in its log
    record("S4-6", 1, 51)
    assert comparison.comparison().loc["S4-6", "within noise"] == "yes"  # 99.50 in its log


def test_one_seed_alone_has_no_verdict(record):
    record("S0-6", 1, 60)
    row = comparison.comparison().loc["S0-6"]
    assert row["here"] == "99.40 %" and row["within noise"] == MISSING


def test_the_noise_is_that_of_one_run_against_a_mean(record):
    for seed, errors in ((1, 50), (2, 60)):
        record("S0-6", seed, errors)
    for seed, errors in ((1, 40), (2, 50), (3, 60)):
        record("S1", seed, errors)
    pooled = math.sqrt((2 * 5**2 + 10**2 + 0 + 10**2) / 3) / 10_000
    spread, degrees = comparison.run_to_run()
    assert spread == pytest.approx(pooled) and degrees == 3
    expected = stats.t.ppf(0.975, 3) * pooled * math.sqrt(1 + 1 / 4)
    assert comparison.noise(seeds=4) == pytest.approx(expected)


def test_no_log_is_compared_with_the_claim(record):
    record("S3-2", 1, 100)
    assert comparison.comparison().loc["S3-2", "difference"] == "-0.19"  # 99.19 claimed


def test_a_point_of_the_figure(record):
    assert comparison.point(system("S0-6"))["parameters"] == 4_392
    assert math.isnan(comparison.point(system("S0-6"))["mean"])
    record("S0-6", 1, 50)
    assert comparison.point(system("S0-6"))["mean"] == pytest.approx(0.995)
