"""The table of the published systems says what the sources say and what the records show."""

import math
from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from made_up import finished
from scipy import stats

from mnist_lib.experiments import comparison
from mnist_lib.experiments.comparison import contradictions, facts
from mnist_lib.experiments.figures import accuracy_against_parameters
from mnist_lib.experiments.systems import SYSTEMS, system
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
    assert set(table["verdict"]) == {MISSING}


def test_a_system_without_facts_is_told_what_to_do(monkeypatch):
    mine = replace(SYSTEMS[0], name="mine-1")
    monkeypatch.setattr(comparison, "SYSTEMS", [*SYSTEMS, mine])
    with pytest.raises(LookupError, match="published.json says nothing about 'mine-1'"):
        comparison.comparison()
    with pytest.raises(NoRecords, match="of 'mine-1': save"):
        finals(mine)


def test_a_row_shows_what_was_measured(record):
    for seed, errors in ((1, 50), (2, 60), (3, 70)):
        record("S0-6", seed, errors)
    row = comparison.comparison().loc["S0-6"]
    assert row["here"] == "99.40 ± 0.10 %" and row["seeds"] == 3
    assert row["errors of 10,000"] == "50 60 70"
    assert row["s/epoch here"] == "3"
    # against 99.46 in its log: 4.303 (Student's t of two degrees) * 0.10 * sqrt(1 + 1/3)
    assert row["difference"] == "-0.06 [-0.56, +0.44]" and row["verdict"] == "undecided"


def test_what_a_source_selected_or_does_not_tell_is_remarked():
    remarks = comparison.comparison()["remark"]
    assert remarks["S3-x5"] == "best of several runs"
    assert remarks["S2-3"] == "recipe told in part"
    assert remarks["S0-6"] == MISSING


# ---- differences --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "low, high, word",
    [
        (-0.0010, 0.0012, "reproduced"),
        (0.0002, 0.0014, "reproduced"),  # zero is outside, but so little matters to nobody
        (-0.0015, 0.0015, "reproduced"),
        (-0.0016, 0.0010, "undecided"),
        (-0.0030, 0.0000, "undecided"),
        (-0.0030, -0.0001, "not reproduced"),  # and it reaches outside
        (0.0016, 0.0020, "not reproduced"),
        (math.nan, math.nan, MISSING),
    ],
)
def test_the_word_follows_from_the_interval(low, high, word):
    assert comparison.in_a_word({"low": low, "high": high}) == word


def test_each_system_has_a_spread_of_its_own(record):
    """S1 varies much, which says nothing about S0-6."""
    for seed in (1, 2, 3):
        record("S0-6", seed, 53 + seed)
        record("S1", seed, 20 + 40 * seed)
    table = comparison.comparison()
    assert table.loc["S0-6", "verdict"] == "reproduced"  # 99.46 in its log
    assert table.loc["S1", "verdict"] == "undecided"  # 99.57 in its log


def test_a_run_far_from_its_log_is_not_reproduced(record):
    for seed in (1, 2, 3):
        record("S1", seed, 100 + seed)
    assert comparison.comparison().loc["S1", "verdict"] == "not reproduced"


def test_the_interval_is_that_of_single_runs_against_a_mean():
    """Whatever the seeds, the noise of the published run stays."""
    ours = pd.Series([0.995, 0.994, 0.993])
    spread = 0.001
    one = comparison.difference_of(ours, [0.9946])
    assert one["mean"] == pytest.approx(-0.0006)
    half = stats.t.ppf(0.975, 2) * spread * math.sqrt(1 / 3 + 1)
    assert (one["low"], one["high"]) == pytest.approx((-0.0006 - half, -0.0006 + half))
    two = comparison.difference_of(ours, [0.9946, 0.9946])
    assert two["high"] - two["low"] == pytest.approx(
        2 * half * math.sqrt((1 / 3 + 1 / 2) / (4 / 3))
    )
    many = comparison.difference_of(pd.Series([0.993, 0.995] * 5_000), [0.994])
    assert many["high"] == pytest.approx(1.96 * spread, rel=0.01)


def test_with_fewer_than_three_seeds_the_spread_is_the_pooled_one(record):
    """Variances in units of the binomial one, weighted by their degrees of freedom."""
    for seed, errors in ((1, 50), (2, 60)):
        record("S0-6", seed, errors)
    for seed, errors in ((1, 40), (2, 50), (3, 60)):
        record("S1", seed, errors)
    ratios = 50 / (55 * 0.9945), 100 / (50 * 0.9950)
    units, degrees = comparison.pooled_spread()
    assert degrees == 3 and units**2 == pytest.approx((ratios[0] + 2 * ratios[1]) / 3)
    record("S4-6", 1, 100)
    gap = comparison.difference(system("S4-6"))
    half = stats.t.ppf(0.975, 3) * units * math.sqrt(0.99 * 0.01 / 10_000) * math.sqrt(1 + 1)
    assert gap["high"] - gap["mean"] == pytest.approx(half)


def test_one_seed_alone_has_no_interval(record):
    record("S0-6", 1, 60)
    row = comparison.comparison().loc["S0-6"]
    assert row["here"] == "99.40 %" and row["difference"] == "-0.06"
    assert row["verdict"] == MISSING


def test_one_recipe_under_two_names_counts_once(record):
    """S3-3 and S3-x5 are one recipe: equal seeds give equal runs."""
    for name in ("S3-x5", "S3-3"):
        for seed, errors in ((1, 40), (2, 60)):
            record(name, seed, errors)
    assert comparison.pooled_spread()[1] == 1


def test_without_a_log_there_is_a_difference_to_the_claim_and_no_verdict(record):
    for seed in (1, 2, 3):
        record("S3-2", seed, 100 + seed)
    row = comparison.comparison().loc["S3-2"]
    assert row["difference"] == "(-0.21)" and row["verdict"] == MISSING  # 99.19 claimed


def test_exchanged_results_are_compared_with_their_own(record):
    record("S2-2", 1, 77)
    assert comparison.comparison().loc["S2-2", "difference"] == "(+0.00)"  # 99.23, not 99.44


def test_a_log_that_ends_early_is_compared_where_it_ends(record):
    record("S3-3", 4, 50)
    gap = comparison.difference(system("S3-3"))
    assert gap["mean"] == pytest.approx(0.5 - 0.9941)  # of epoch 12


def test_nothing_recorded_is_nothing_to_compare():
    with pytest.raises(NoRecords, match="no record of 'S0-6' to compare"):
        comparison.difference(system("S0-6"))


# ---- the figure ---------------------------------------------------------------------------------


def test_a_point_of_the_figure(record):
    assert comparison.point(system("S0-6"))["parameters"] == 4_392
    assert math.isnan(comparison.point(system("S0-6"))["mean"])
    record("S0-6", 1, 50)
    assert comparison.point(system("S0-6"))["mean"] == pytest.approx(0.995)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("spacing", [0.0, 0.0001, 0.001])
def test_the_names_of_steps_do_not_overlap_however_near_they_are(record, style, spacing):
    """Five of about 8,000 parameters and two small ones, whose results nearly coincide."""
    sizes = [7_600, 7_700, 7_800, 7_800, 7_800, 3_700, 2_900]
    rows = [(f"0{i}-augmentation", size, 0.993 - spacing * i) for i, size in enumerate(sizes)]
    steps = pd.DataFrame(rows, columns=["step", "parameters", "mean"]).assign(deviation=0.0005)
    record("S0-6", 1, 50)
    _, systems = comparison.points([])
    with plt.style.context(style):
        figure = accuracy_against_parameters(steps, systems)
        figure.canvas.draw()
    (axis,) = figure.axes
    boxes = {text.get_text(): text.get_window_extent() for text in axis.texts}
    named = {"S0-6", "S1", "S3-x5", "S4-6"}  # the best claims, one a tutorial
    assert {text for text in boxes if text.startswith("S")} == named
    ours = [box for text, box in boxes.items() if text.startswith("0")]
    assert len(ours) == len(sizes)
    assert not any(one.overlaps(other) for one, other in combinations(ours, 2))


def test_the_line_goes_through_the_steps_that_are_recorded():
    rows = [("01", 8_000, 0.99, 0.001), ("02", 7_000, math.nan, math.nan), ("03", 6_000, 0.994, 0)]
    steps = pd.DataFrame(rows, columns=["step", "parameters", "mean", "deviation"])
    _, systems = comparison.points([])
    (axis,) = accuracy_against_parameters(steps, systems).axes
    (journey,) = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert journey.get_xdata().tolist() == [8_000, 6_000]
    assert journey.get_ydata().tolist() == pytest.approx([1.0, 0.6])
