"""The table of the published systems says what the sources say and what the records show."""

import math
from dataclasses import replace

import pytest
from made_up import finished
from scipy import stats

from mnist_lib.published import comparison
from mnist_lib.published.comparison import contradictions, facts
from mnist_lib.published.systems import SYSTEMS, system
from mnist_lib.records import save
from mnist_lib.results import MISSING, NoRecords, finals
from mnist_lib.summary import count_parameters

# from the reference tables, typed a second time
CLAIMED = dict(zip(
    [recipe.name for recipe in SYSTEMS],
    [
        0.9930, 0.9942, 0.9902, 0.9929, 0.9941, 0.9948, 0.9960, 0.9917, 0.9944, 0.9923,
        0.9915, 0.9919, 0.9943, 0.9952, 0.9928, 0.9843, 0.9904, 0.9864, 0.9922, 0.9932, 0.9953,
    ],
    strict=True,
))  # fmt: skip
ENDS = {
    "S0-1": 0.9930, "S0-2": 0.9939, "S0-3": 0.9898, "S0-4": 0.9921, "S0-5": 0.9939, "S0-6": 0.9946,
    "S1": 0.9957, "S2-3": 0.9944, "S3-1": 0.9915, "S3-3": 0.9941, "S3-x5": 0.9952, "S4-0": 0.9928,
    "S4-1": 0.9843, "S4-2": 0.9903, "S4-3": 0.9864, "S4-4": 0.9922, "S4-5": 0.9932, "S4-6": 0.9950,
}  # fmt: skip


@pytest.fixture
def record():
    """record(name, seed, errors): save a made-up run whose last epoch has so many errors."""

    def make(name: str, seed: int, errors: int) -> None:
        run = finished(system(name), seed, test=1 - errors / 10_000, earlier=0.5)
        run.seconds = 3.0 * run.recipe.epochs
        save(run)

    return make


# ---- facts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", SYSTEMS, ids=lambda recipe: recipe.name)
def test_the_facts_are_whole(recipe):
    fact = facts()[recipe.name]
    assert fact["parameters"] == count_parameters(recipe.network())
    assert fact["claimed_test_accuracy"] == CLAIMED[recipe.name]
    assert 0.98 < fact["claimed_test_accuracy"] < 1
    log = fact["log_test_accuracy"]
    if log is not None:
        assert log[-1] == ENDS[recipe.name]
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
    assert table.loc["S2-1", "chosen here"] == "in part"
    assert table.loc["S0-6", "chosen here"] == MISSING


def test_a_system_without_facts_is_told_what_to_do(monkeypatch):
    mine = replace(SYSTEMS[0], name="mine-1")
    monkeypatch.setattr(comparison, "SYSTEMS", [*SYSTEMS, mine])
    with pytest.raises(LookupError, match="published.json says nothing about 'mine-1'"):
        comparison.comparison()
    with pytest.raises(NoRecords, match="no records of 'mine-1': save"):
        finals(mine)


def test_a_row_shows_what_was_measured(record):
    for seed, errors in ((1, 50), (2, 60), (3, 70)):
        record("S0-6", seed, errors)
    row = comparison.comparison().loc["S0-6"]
    assert row["here"] == "99.40 ± 0.10 %" and row["seeds"] == 3
    assert row["errors of 10,000"] == "50 60 70"
    assert row["difference"] == "-0.06"  # against 99.46 in its log
    assert row["s/epoch here"] == "3"
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
    """Variances in units of the binomial one, weighted by their degrees of freedom."""
    for seed, errors in ((1, 50), (2, 60)):
        record("S0-6", seed, errors)
    for seed, errors in ((1, 40), (2, 50), (3, 60)):
        record("S1", seed, errors)
    ratios = 50 / (55 * 0.9945), 100 / (50 * 0.9950)
    deviation, degrees = comparison.run_to_run()
    assert degrees == 3 and deviation**2 == pytest.approx((ratios[0] + 2 * ratios[1]) / 3)
    binomial = math.sqrt(0.99 * 0.01 / 10_000)
    expected = stats.t.ppf(0.975, 3) * 2 * binomial * math.sqrt(1 + 1 / 4)
    assert comparison.noise(0.99, seeds=4, deviation=2, degrees=3) == pytest.approx(expected)


def test_one_recipe_under_two_names_counts_once(record):
    """S3-3 and S3-x5 are one recipe: equal seeds give equal runs."""
    for name in ("S3-x5", "S3-3"):
        for seed, errors in ((1, 40), (2, 60)):
            record(name, seed, errors)
    assert comparison.run_to_run()[1] == 1


def test_no_log_is_compared_with_the_claim_without_a_verdict(record):
    for seed in (1, 2):
        record("S3-2", seed, 100)
        record("S1", seed, 40 + seed)
    row = comparison.comparison().loc["S3-2"]
    assert row["difference"] == "(-0.19)" and row["within noise"] == MISSING  # 99.19 claimed


def test_exchanged_results_are_compared_with_their_own(record):
    record("S2-2", 1, 77)
    assert comparison.comparison().loc["S2-2", "difference"] == "(+0.00)"  # 99.23, not 99.44


def test_a_log_that_ends_early_is_compared_where_it_ends(record):
    record("S3-3", 4, 50)
    assert comparison.difference(system("S3-3")) == pytest.approx(0.5 - 0.9941)  # of epoch 12


def test_a_point_of_the_figure(record):
    assert comparison.point(system("S0-6"))["parameters"] == 4_392
    assert math.isnan(comparison.point(system("S0-6"))["mean"])
    record("S0-6", 1, 50)
    assert comparison.point(system("S0-6"))["mean"] == pytest.approx(0.995)


def test_several_published_runs_leave_less_to_chance():
    one, three = (comparison.noise(0.99, 6, 1.0, 10, published=count) for count in (1, 3))
    assert three / one == pytest.approx(math.sqrt((1 / 3 + 1 / 6) / (1 + 1 / 6)))
