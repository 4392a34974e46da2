"""The numbers made from records are right, and so are the ticks and crosses, to the last image."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from made_up import finished, validation_run
from scipy import stats

from mnist_lib import journey
from mnist_lib.journey import Target
from mnist_lib.records import NoRecords, save
from mnist_lib.results import Effect, claim, effect, finals, ledger, recheck, target_claims, verdict
from mnist_lib.train import fit

ACCURACIES = {1: 0.9900, 2: 0.9910, 3: 0.9905, 4: 0.9920, 5: 0.9895}


def save_all(recipe, accuracies: dict[int, float]):
    for seed, accuracy in accuracies.items():
        save(finished(recipe, seed, test=accuracy, validation=accuracy))


@pytest.fixture
def step(tiny):
    return tiny.but("01-step", "small batches", batch_size=64)


# ---- numbers ------------------------------------------------------------------------------------


def test_finals_are_the_last_epochs(tiny, step):
    save_all(tiny, ACCURACIES)
    table = finals(tiny)
    assert table["validation_accuracy"].to_dict() == ACCURACIES
    columns = ["errors", "epochs", "parameters", "train_accuracy", "seconds"]
    assert [*table.loc[2, columns]] == [90, 2, 1_940, 0.985, 3.25]  # the seconds of the whole run
    save(validation_run(step, 4, 0.97))
    table = finals(step)
    assert table["validation_accuracy"].to_dict() == {4: 0.97}
    assert table["test_accuracy"].isna().all() and table["errors"].isna().all()


def test_finals_without_records_say_what_makes_them(tiny, synthetic):
    with pytest.raises(NoRecords, match=r"no records of '00-tiny': save\(fit\(recipe") as raised:
        finals(tiny)
    code = str(raised.value).split(": ", 1)[1].split(" makes one")[0]
    eval(code, {"save": save, "fit": fit}, {"recipe": tiny, "digits": synthetic, "seed": 7})
    assert finals(tiny).index.tolist() == [7]


def test_the_effect_is_a_paired_interval_over_common_seeds_corrected_for_folds(tiny, step):
    """Nadeau and Bengio (2003): training sets overlap, so folds are not independent."""
    save_all(tiny, ACCURACIES | {6: 0.5})
    after = {1: 0.9912, 2: 0.9915, 3: 0.9921, 4: 0.9922, 5: 0.9899}
    save_all(step, after | {7: 0.5})
    save(validation_run(tiny, 1, 0.99))  # both kinds of records of a seed count once
    gain, on_test = effect(step, tiny), effect(step, tiny, "test_accuracy")
    expected = stats.ttest_rel([*after.values()], [*ACCURACIES.values()]).confidence_interval()
    assert gain.mean == pytest.approx(np.mean([0.0012, 0.0005, 0.0016, 0.0002, 0.0004]))
    assert (on_test.low, on_test.high) == pytest.approx((expected.low, expected.high))
    half = (expected.high - expected.low) / 2 * math.sqrt(1 + 5 * 6_000 / 54_000)  # 1.25 times
    assert (gain.low, gain.high) == pytest.approx((gain.mean - half, gain.mean + half))
    assert gain.pairs == on_test.pairs == 5
    assert str(on_test) == "+0.08 [+0.00, +0.15]" and on_test.words == "helps"
    assert str(gain) == "+0.08 [-0.01, +0.17]" and gain.words == "undecided"
    assert str(effect(tiny, step)) == "-0.08 [-0.17, +0.01]"
    assert str(effect(step, tiny, "validation_loss")) == "+0.00 [+0.00, +0.00]"


def test_one_common_seed_is_too_few_for_an_effect(tiny, step, monkeypatch):
    save_all(tiny, {1: 0.99, 2: 0.99})
    save_all(step, {2: 0.98, 3: 0.99})
    with pytest.raises(NoRecords, match="share 1 seeds, an interval needs two"):
        effect(step, tiny)
    table = ledger([tiny, step, step.but("02-step", "not run yet")])
    assert table.index.tolist() == ["00-tiny", "01-step"]
    assert table["effect on validation"].tolist() == ["–", "–"]
    assert ledger([step.but("02-step", "not run yet")]).empty
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    for recipe in (tiny, step):
        save(finished(recipe, short=True))
    assert str(effect(step, tiny)) == "–"  # a shortened page goes on


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
    assert Effect((low + high) / 2, low, high, 5).words == words
    few = Effect((low + high) / 2, low, high, 4)
    assert few.words == ("–" if math.isnan(low) else "too few pairs")
    assert str(few) == str(Effect((low + high) / 2, low, high, 5))


# ---- targets ------------------------------------------------------------------------------------


def record(*test_accuracies: float, parameters: int = 7_990) -> dict:
    return {
        "parameters": parameters,
        "history": [{"test_accuracy": accuracy} for accuracy in test_accuracies],
    }


def only(**parts) -> Target:
    """A target of these parts and no others."""
    return Target(**{"max_parameters": None, "max_epochs": None} | parts)


GOOD, BAD = record(0.90, 0.9940, 0.9941), record(0.99, 0.9939, 0.9960)
WORSE = record(0.9950, 0.9939)
THREE = [record(0.9999, accuracy) for accuracy in (0.9949, 0.9950, 0.9951)]
LAST_TWO = {"test_accuracy": 0.994, "last_epochs": 2}
MOST = LAST_TWO | {"of_seeds": 0.9}
TARGETS = [  # parts of a target, records, whether they reach it, how its line ends
    (LAST_TWO, [GOOD], True, "in the last 2 epochs of 1 seed: 1 of 1, lowest 99.40%"),
    (LAST_TWO, [GOOD, BAD], False, "2 seeds: 1 of 2, lowest 99.39%"),
    ({"test_accuracy": 0.994}, [BAD, WORSE], False, "in the last epoch of 2 seeds: 1 of 2, "
     "lowest 99.39%"),  # the last epoch, not the best
    (MOST, [GOOD] * 9 + [BAD], True, "of 9 of 10 seeds: 9 of 10, lowest 99.39%"),
    (MOST, [GOOD] * 8 + [BAD] * 2, False, "8 of 10, lowest 99.39%"),
    ({"mean_accuracy": 0.995}, THREE, True, "at least 99.50% over 3 seeds: 99.50 ± 0.01 %"),
    ({"mean_accuracy": 0.9951}, THREE, False, "99.50 ± 0.01 %"),
    # t of two degrees of freedom is 4.3027: 0.9950 - 4.3027 * 0.0001 / sqrt(3) = 0.994752
    ({"lower_end": 0.994751}, THREE, True, "begins at 99.48% or above: 99.48%"),
    ({"lower_end": 0.994753}, THREE, False, "99.48%"),
    ({"max_parameters": 7_990}, [GOOD], True, "at most 7,990 parameters: 7,990"),
    ({"max_parameters": 7_989}, [GOOD], False, ": 7,990"),
    ({"max_epochs": 3}, [GOOD, WORSE], True, "at most 3 epochs: 3"),
    ({"max_epochs": 2}, [GOOD, WORSE], False, ": 3"),
]  # fmt: skip


@pytest.mark.parametrize("parts, records, holds, end", TARGETS)
def test_each_part_of_a_target_is_judged_to_the_last_image(parts, records, holds, end):
    numbered = [{**record, "seed": seed} for seed, record in enumerate(records)]
    (found,) = target_claims(only(**parts), numbered)
    assert found.holds is holds and found.sentence.endswith(end)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_mean_exactly_at_the_target_reaches_it(count):
    for errors in range(40, 61):
        same = [record(1 - errors / 10_000)] * count
        for least, reaches in ((1 - errors / 10_000, True), (1 - (errors - 0.1) / 10_000, False)):
            assert [*target_claims(only(mean_accuracy=least), same)][0].holds is reaches


# ---- verdicts -----------------------------------------------------------------------------------


def test_a_verdict_has_a_line_for_each_part_of_the_target(tiny):
    target = Target(0.994, 1, 0.9, 0.995, 0.9946, max_parameters=8_000, max_epochs=15)
    save_all(tiny, dict.fromkeys([1, 2, 3], 0.9960))
    assert [line[0] for line in repr(verdict(tiny, target)).splitlines()] == ["✓"] * 5
    run = verdict(finished(tiny, test=0.99), target)
    assert [each.holds for each in run] == [True, True, False]  # one run has no mean


def test_a_verdict_finds_target_and_registrations_itself(tiny, results, monkeypatch):
    save_all(tiny, {11: 0.991, 12: 0.992})
    with pytest.raises(NoRecords, match="'00-tiny' has no record or no target"):
        verdict(tiny)
    monkeypatch.setitem(journey.TARGETS, tiny.name, only(mean_accuracy=0.9))
    assert repr(verdict(tiny)) == "✓ mean of at least 90.00% over 2 seeds: 99.15 ± 0.07 %"
    entry = {"recipe": tiny.name, "target": asdict(only(mean_accuracy=0.995))}
    tries = [{"seeds": [1, 2], "why": "first"}, {"seeds": [12, 11], "why": "again"}]
    results.mkdir()
    (results / "registered.json").write_text(json.dumps([entry | each for each in tries]))
    assert repr(verdict(tiny)).splitlines() == [
        "registered, try 1, seeds 1 to 2: first",
        "registered, try 2, seeds 11 to 12: again",
        "✗ mean of at least 99.50% over 2 seeds: 99.15 ± 0.07 %",
    ]
    assert "registered" not in repr(verdict(finished(tiny)))


def test_an_interrupted_run_and_missing_test_results_are_no_verdict(tiny, step):
    run = finished(tiny)
    run.interrupted = True
    assert [each.holds for each in verdict(run, only(test_accuracy=0.1))] == [None]
    save(validation_run(step))
    for nothing in (tiny, step):
        with pytest.raises(NoRecords):
            verdict(nothing, only(test_accuracy=0.994))


# ---- claims and exercises -----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [1, 0.99, None, "True", torch.ones(2), np.array([True, False])])
def test_a_claim_refuses_what_is_not_true_or_false(wrong):
    assert claim("dropout hurts", np.float64(0.2) > 0.1).holds is True
    with pytest.raises(TypeError, match="not true or false"):
        claim("dropout hurts", wrong)


# ---- a recorded checkpoint ----------------------------------------------------------------------


def test_a_checkpoint_is_evaluated_afresh(tiny, digits):
    tested = {part: getattr(digits, part) for part in ("test_images", "test_labels")}
    run = fit(tiny, replace(digits.first(1_000), **tested), device="cpu", quiet=True)
    accuracy = run.history[-1]["test_accuracy"]
    save(run)
    assert recheck(tiny, 1, digits.first(100)).endswith(" errors of 100")
    errors = round((1 - accuracy) * 10_000)
    said = f"recorded checkpoint of seed 1: {accuracy:.2%}, {errors:,} errors of 10,000"
    assert recheck(tiny, 1, digits) == said
