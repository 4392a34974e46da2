"""Ticks and crosses come from measured results, to the last image."""

import numpy as np
import pytest
import torch

from mnist_lib.target import Check, Checks, Target, claim


def record(*test_accuracies: float, parameters: int = 7_990) -> dict:
    return {
        "parameters": parameters,
        "history": [{"test_accuracy": accuracy} for accuracy in test_accuracies],
    }


def one(target: Target, *records: dict) -> Check:
    checks = target.verdict(list(records))
    assert len(checks) == 1
    return checks[0]


def test_every_seed_must_reach_the_target_in_all_its_last_epochs():
    target = Target(test_accuracy=0.994, last_epochs=2)
    good = record(0.90, 0.9940, 0.9940)
    assert str(one(target, good)) == (
        "✓ at least 99.40% in the last 2 epochs of 1 seed: lowest 99.40%"
    )
    for bad in (record(0.99, 0.9939, 0.9960), record(0.99, 0.9960, 0.9939)):
        assert str(one(target, good, bad)) == (
            "✗ at least 99.40% in the last 2 epochs of 2 seeds: lowest 99.39%"
        )


def test_the_last_epoch_is_the_result_not_the_best():
    assert not one(Target(test_accuracy=0.994), record(0.9950, 0.9939)).holds
    assert one(Target(test_accuracy=0.994), record(0.9939, 0.9940)).holds


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_a_mean_exactly_at_the_target_reaches_it(count):
    for errors in range(40, 61):
        accuracy = 1 - errors / 10_000
        assert one(Target(mean_accuracy=accuracy), *[record(0.9, accuracy)] * count).holds


def test_one_run_has_no_mean_to_be_judged_by():
    assert Target(mean_accuracy=0.995).verdict([record(0.9, 0.9)]) == []


def test_the_mean_is_that_of_the_last_epochs_and_comes_with_its_spread():
    records = [record(0.9, accuracy) for accuracy in (0.9949, 0.9950, 0.9951)]
    line = "mean of at least 99.50% over 3 seeds: 99.50 ± 0.01 %"
    assert str(one(Target(mean_accuracy=0.995), *records)) == f"✓ {line}"
    records[0] = record(0.9999, 0.9948)
    assert not one(Target(mean_accuracy=0.995), *records).holds


def test_limits_of_parameters_and_epochs_may_be_reached_but_not_passed():
    assert str(one(Target(max_parameters=8_000), record(0.9, parameters=8_000))).startswith("✓")
    assert str(one(Target(max_parameters=8_000), record(0.9, parameters=8_001))) == (
        "✗ at most 8,000 parameters: 8,001"
    )
    assert one(Target(max_epochs=2), record(0.9, 0.9)).holds
    assert not one(Target(max_epochs=2), record(0.9), record(0.9, 0.9, 0.9)).holds


def test_a_target_has_one_line_for_each_of_its_parts():
    target = Target(0.994, 2, 0.995, max_parameters=8_000, max_epochs=15)
    checks = target.verdict([record(0.9950, 0.9960)] * 2)
    assert len(checks) == 4 and checks.hold
    assert repr(checks).count("\n") == 3 and repr(checks).count("✓") == 4
    assert Target().verdict([record(0.1)]) == []


def test_nothing_measured_is_no_verdict():
    with pytest.raises(LookupError, match="no record"):
        Target(test_accuracy=0.994).verdict([])


def test_one_cross_is_enough():
    checks = Checks([claim("holds", True), claim("does not", False)])
    assert not checks.hold and repr(checks) == "✓ holds\n✗ does not"


@pytest.mark.parametrize("true", [True, np.bool_(True), np.float64(0.2) > 0.1])
def test_a_claim_takes_a_truth_value(true):
    assert claim("dropout hurts", true) == Check("dropout hurts", True)


@pytest.mark.parametrize("wrong", [1, 0.99, None, "True", torch.ones(2), np.array([True, False])])
def test_a_claim_refuses_what_is_not_true_or_false(wrong):
    with pytest.raises(TypeError, match="not true or false"):
        claim("dropout hurts", wrong)
