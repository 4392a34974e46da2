"""The numbers made from records are right, and so are the ticks and crosses, to the last image."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import finished, trial
from scipy import stats

from mnist_lib.commands.jobs import choose, plan
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments.systems import system
from mnist_lib.journey import JOURNEY, Target
from mnist_lib.records import HOW_TO_MAKE, save
from mnist_lib.results import (
    Check,
    Checks,
    NoRecords,
    as_interval,
    claim,
    effect,
    exercise,
    finals,
    in_words,
    ledger,
    mean_and_deviation,
    trials,
    verdict,
)
from mnist_lib.train import fit

VALIDATION = {1: 0.9900, 2: 0.9910, 3: 0.9905, 4: 0.9920, 5: 0.9895}


def save_all(recipe, accuracies: dict[int, float]):
    for seed, accuracy in accuracies.items():
        save(finished(recipe, seed, test=accuracy, validation=accuracy))


def test_finals_are_the_last_epochs(tiny):
    save_all(tiny, VALIDATION)
    table = finals(tiny)
    assert table["validation_accuracy"].to_dict() == VALIDATION
    assert table.loc[2, "errors"] == 90 and table.loc[2, "epochs"] == 2
    assert table.loc[2, "parameters"] == 1_940
    assert table.loc[2, "seconds"] == 3.25  # of the run, not of its last epoch
    assert table.loc[2, "train_accuracy"] == 0.985


def test_finals_without_records_say_what_makes_them(tiny):
    with pytest.raises(NoRecords, match=r"no runs of '00-tiny': save\(fit\(recipe"):
        finals(tiny)


def test_what_the_hint_says_is_so_for_a_recipe_of_ones_own(tiny, synthetic):
    recipe, digits, seed = tiny.but("mine", "an idea", batch_size=64), synthetic, 7
    with pytest.raises(NoRecords) as raised:
        finals(recipe)
    code = str(raised.value).split(": ", 1)[1].split(" makes one")[0]
    eval(code, {"save": save, "fit": fit}, {"recipe": recipe, "digits": digits, "seed": seed})
    assert finals(recipe).index.tolist() == [7]


@pytest.mark.parametrize(
    "command, names, recipes", [("run", [], JOURNEY), ("run --system", ["S4-1"], [system("S4-1")])]
)
def test_what_the_hint_says_is_so_for_the_journey_and_the_systems(command, names, recipes):
    assert command in HOW_TO_MAKE
    notebooks, systems = choose([], names, PROJECT / "notebooks")
    trained = [recipe for job in plan(notebooks, [1], systems=systems) for recipe in job.recipes]
    assert all(recipe in trained for recipe in recipes)


def test_the_effect_is_a_paired_t_interval_over_common_seeds(tiny):
    step = tiny.but("01-step", "wider", batch_size=64)
    save_all(tiny, VALIDATION | {6: 0.5})
    after = {1: 0.9912, 2: 0.9915, 3: 0.9921, 4: 0.9922, 5: 0.9899}
    save_all(step, after | {7: 0.5})
    gain = effect(step, tiny)
    expected = stats.ttest_rel([*after.values()], [*VALIDATION.values()]).confidence_interval()
    assert gain["mean"] == pytest.approx(np.mean([0.0012, 0.0005, 0.0016, 0.0002, 0.0004]))
    assert (gain["low"], gain["high"]) == pytest.approx((expected.low, expected.high))
    assert gain["seeds"] == 5
    assert as_interval(gain) == "+0.08 [+0.00, +0.15]"


def test_one_common_seed_is_too_few_for_an_effect(tiny):
    step = tiny.but("01-step", "wider", batch_size=64)
    save_all(tiny, {1: 0.99, 2: 0.99})
    save_all(step, {2: 0.98, 3: 0.99})
    with pytest.raises(NoRecords, match="share 1 seeds, an interval needs two"):
        effect(step, tiny)
    assert ledger([tiny, step]).loc["01-step", "effect on validation"] == "–"


def test_mean_and_deviation_as_on_the_page():
    assert mean_and_deviation(pd.Series([0.9951, 0.9953, 0.9952])) == "99.52 ± 0.01 %"
    assert mean_and_deviation(pd.Series([0.9951])) == "99.51 %"
    assert mean_and_deviation(pd.Series([0.9951, np.nan])) == "99.51 %"
    assert mean_and_deviation(pd.Series([np.nan])) == mean_and_deviation(pd.Series([])) == "–"


def test_the_ledger_has_a_row_for_each_recorded_step(tiny):
    step = tiny.but("01-step", "small batches", batch_size=64)
    missing = step.but("02-step", "not run yet", batch_size=16)
    save_all(tiny, {1: 0.9900, 2: 0.9910})
    save_all(step, {1: 0.9920, 2: 0.9932})
    table = ledger([tiny, step, missing])
    assert table.index.tolist() == ["00-tiny", "01-step"]
    row = table.loc["01-step"]
    assert row.to_dict() == {
        "change": "small batches",
        "parameters": "1,940",
        "epochs": 2,
        "test accuracy": "99.26 ± 0.08 %",
        "seeds": 2,
        "errors of 10,000": "68–80",
        "validation": "99.26 ± 0.08 %",
        "clean train − test": "+0.24",
        "effect on validation": "+0.21 [+0.08, +0.34]",
        "the change": "helps",
        "seconds": "3",
    }
    assert table.loc["00-tiny", "effect on validation"] == "–"


def test_the_ledger_takes_steps_without_validation_too(tiny):
    whole = tiny.but("01-whole", "all 60,000 images", folds=0)
    save_all(tiny, {1: 0.9900, 2: 0.9910})
    for seed in (1, 2):
        save(finished(whole, seed))
    row = ledger([tiny, whole]).loc["01-whole"]
    assert row["validation"] == row["effect on validation"] == "–"
    assert row["test accuracy"] == "99.00 ± 0.00 %"
    with pytest.raises(NoRecords, match="share 0 seeds"):
        effect(whole, tiny)


def test_without_records_there_is_an_empty_ledger(tiny):
    assert ledger([tiny]).empty and trials([tiny]).empty


@pytest.mark.parametrize(
    "low, high, words",
    [
        (0.0001, 0.0030, "helps"),
        (-0.0030, -0.0001, "hurts"),
        (0.00001, 0.0003, "helps"),  # however little
        (-0.0004, 0.0010, "no difference larger than 0.10"),
        (-0.0008, 0.0002, "no difference larger than 0.08"),
        (-0.0011, 0.0001, "undecided"),
        (float("nan"), float("nan"), "–"),
    ],
)
def test_an_effect_is_called_what_its_interval_shows(low, high, words):
    assert in_words({"mean": (low + high) / 2, "low": low, "high": high}) == words


def test_trials_are_compared_with_the_first_of_them_fold_by_fold(tiny):
    other = tiny.but("01-other", "small batches", batch_size=64)
    for fold, accuracy in {1: 0.9900, 2: 0.9910}.items():
        save(trial(tiny, fold, accuracy))
        save(trial(other, fold, accuracy - 0.002 - fold / 10_000))
    table = trials([tiny, other, other.but("02-more", "not tried")])
    assert table.index.tolist() == ["00-tiny", "01-other"]
    assert table.loc["01-other", "against the first"] == "-0.21 [-0.28, -0.15]"
    assert table["in words"].tolist() == ["–", "hurts"]
    assert table["folds"].tolist() == [2, 2] and "test accuracy" not in table
    assert ledger([tiny, other]).empty  # no run of these has seen a test digit


def test_what_a_trial_is_stands_whole_in_its_table(tiny):
    long = tiny.but("01-long", "two separable layers of 48 channels, each of them used three times")
    save(trial(long, 1, 0.99))
    assert long.change in trials([long]).to_html()


@pytest.mark.filterwarnings("error")
def test_a_candidate_dropped_after_one_fold_has_no_interval(tiny):
    other = tiny.but("01-other", "small batches", batch_size=64)
    save(trial(tiny, 1, 0.99))
    save(trial(other, 1, 0.98))
    assert trials([tiny, other])["in words"].tolist() == ["–", "–"]


# ---- targets and claims -------------------------------------------------------------------------


def record(*test_accuracies: float, parameters: int = 7_990) -> dict:
    return {
        "parameters": parameters,
        "history": [{"test_accuracy": accuracy} for accuracy in test_accuracies],
    }


def only(**parts) -> Target:
    """A target of these parts and no others."""
    return Target(**{"max_parameters": None, "max_epochs": None} | parts)


def one(target: Target, *records: dict) -> Check:
    checks = verdict(target, list(records))
    assert len(checks) == 1
    return checks[0]


def test_every_seed_must_reach_the_target_in_all_its_last_epochs():
    target = only(test_accuracy=0.994, last_epochs=2)
    good = record(0.90, 0.9940, 0.9940)
    assert str(one(target, good)) == (
        "✓ at least 99.40% in the last 2 epochs of 1 seed: 1 of 1, lowest 99.40%"
    )
    for bad in (record(0.99, 0.9939, 0.9960), record(0.99, 0.9960, 0.9939)):
        assert str(one(target, good, bad)) == (
            "✗ at least 99.40% in the last 2 epochs of 2 seeds: 1 of 2, lowest 99.39%"
        )


def test_a_target_may_ask_for_nine_of_ten_seeds():
    target = only(test_accuracy=0.994, last_epochs=2, of_seeds=0.9)
    good, bad = record(0.90, 0.9940, 0.9941), record(0.90, 0.9939, 0.9960)
    assert str(one(target, *[good] * 9, bad)) == (
        "✓ at least 99.40% in the last 2 epochs of 9 of 10 seeds: 9 of 10, lowest 99.39%"
    )
    assert not one(target, *[good] * 8, bad, bad).holds
    assert not one(target, bad).holds  # of one seed, that one


def test_the_lower_end_of_the_interval_is_that_of_students_t():
    records = [record(0.9, accuracy) for accuracy in (0.9949, 0.9950, 0.9951)]
    low = 0.9950 - 4.3027 * 0.0001 / 3**0.5  # t of two degrees of freedom
    assert one(only(lower_end=low - 1e-8), *records).holds
    assert not one(only(lower_end=low + 1e-6), *records).holds
    assert str(one(only(lower_end=0.994), *records)) == (
        "✓ its 95 % interval begins at 99.40% or above: 99.48%"
    )


def test_the_last_epoch_is_the_result_not_the_best():
    assert not one(only(test_accuracy=0.994), record(0.9950, 0.9939)).holds
    assert one(only(test_accuracy=0.994), record(0.9939, 0.9940)).holds


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_a_mean_exactly_at_the_target_reaches_it(count):
    for errors in range(40, 61):
        accuracy = 1 - errors / 10_000
        assert one(only(mean_accuracy=accuracy), *[record(0.9, accuracy)] * count).holds


def test_one_run_has_no_mean_to_be_judged_by():
    assert verdict(only(mean_accuracy=0.995), [record(0.9, 0.9)]) == []


def test_the_mean_is_that_of_the_last_epochs_and_comes_with_its_spread():
    records = [record(0.9, accuracy) for accuracy in (0.9949, 0.9950, 0.9951)]
    line = "mean of at least 99.50% over 3 seeds: 99.50 ± 0.01 %"
    assert str(one(only(mean_accuracy=0.995), *records)) == f"✓ {line}"
    records[0] = record(0.9999, 0.9948)
    assert not one(only(mean_accuracy=0.995), *records).holds


def test_limits_of_parameters_and_epochs_may_be_reached_but_not_passed():
    assert str(one(only(max_parameters=8_000), record(0.9, parameters=8_000))).startswith("✓")
    assert str(one(only(max_parameters=8_000), record(0.9, parameters=8_001))) == (
        "✗ at most 8,000 parameters: 8,001"
    )
    assert one(only(max_epochs=2), record(0.9, 0.9)).holds
    assert not one(only(max_epochs=2), record(0.9), record(0.9, 0.9, 0.9)).holds


def test_a_target_has_one_line_for_each_of_its_parts():
    target = Target(0.994, 2, 0.9, 0.995, 0.9946, max_parameters=8_000, max_epochs=15)
    checks = verdict(target, [record(0.9950, 0.9960)] * 2)
    assert len(checks) == 5 and all(check.holds for check in checks)
    assert repr(checks).count("\n") == 4 and repr(checks).count("✓") == 5
    assert verdict(only(), [record(0.1)]) == []


def test_nothing_measured_is_no_verdict():
    for nothing in ([], [record()], [record(0.99), record()]):
        with pytest.raises(NoRecords, match="no record"):
            verdict(only(test_accuracy=0.994), nothing)


def test_one_cross_is_enough():
    checks = Checks([claim("holds", True), claim("does not", False)])
    assert not all(check.holds for check in checks) and repr(checks) == "✓ holds\n✗ does not"


@pytest.mark.parametrize("true", [True, np.bool_(True), np.float64(0.2) > 0.1])
def test_a_claim_takes_a_truth_value(true):
    assert claim("dropout hurts", true) == Check("dropout hurts", True)


@pytest.mark.parametrize("wrong", [1, 0.99, None, "True", torch.ones(2), np.array([True, False])])
def test_a_claim_refuses_what_is_not_true_or_false(wrong):
    with pytest.raises(TypeError, match="not true or false"):
        claim("dropout hurts", wrong)


def test_an_exercise_is_open_until_every_answer_is_there_and_is_then_judged():
    def is_sum(total, *parts):
        return torch.tensor(total == sum(parts))  # whatever is true or false will do

    assert exercise("a sum", is_sum, 5, 2, ...) == exercise("a sum", is_sum, ..., 2, 3)
    answers = [(5, 2, ...), (5, 2, 3), (6, 2, 3)]
    checks = Checks(exercise("a sum", is_sum, *answer) for answer in answers)
    assert repr(checks) == "○ not done yet: a sum\n✓ a sum\n✗ a sum"
