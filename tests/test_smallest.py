"""The picture of how few errors so many parameters allow."""

import numpy as np
import pandas as pd
import pytest
from made_up import finished

from mnist_lib.experiments.comparison import facts
from mnist_lib.experiments.frontier import (
    CLAIMS,
    error_against_parameters,
    frontier,
    reached,
)
from mnist_lib.journey import PLAIN, SMALL
from mnist_lib.records import NoRecords, save

NETWORKS = pd.DataFrame(
    [
        ("large", 8_000, 0.996),
        ("small", 1_000, 0.990),
        ("as-good-and-larger", 2_000, 0.990),
        ("worse", 4_000, 0.985),
        ("same-size-and-worse", 1_000, 0.980),
    ],
    columns=["step", "parameters", "mean"],
).assign(low=0.97, high=0.998)


def test_the_frontier_is_what_nothing_as_small_surpasses():
    assert frontier(NETWORKS)["step"].tolist() == ["small", "large"]
    assert frontier(NETWORKS.iloc[:0]).empty


def test_only_many_seeds_count_as_reached():
    with pytest.raises(NoRecords, match="5 seeds"):
        reached([PLAIN, SMALL])
    for recipe, seeds in ((PLAIN, 4), (SMALL, 5)):
        for seed in range(11, 11 + seeds):
            save(finished(recipe, seed, test=0.99 + seed / 10_000, earlier=0.5))
    (row,) = reached([PLAIN, SMALL]).itertuples()
    assert (row.step, row.parameters) == ("08-small", 2_894)
    assert row.low < row.mean < row.high
    assert round(row.mean, 6) == 0.9913


def test_the_picture_shows_every_number_as_the_kind_that_it_is():
    (axis,) = error_against_parameters(NETWORKS).axes
    assert axis.get_xscale() == axis.get_yscale() == "log"
    drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
    for kind, claims in CLAIMS.groupby("kind"):
        expected = np.column_stack([claims["parameters"], 100 - 100 * claims["accuracy"]])
        np.testing.assert_allclose(drawn[f"others: {kind}"], expected)
    assert [text.get_text() for text in axis.texts] == ["small", "large"]


def test_what_is_taken_from_the_published_systems_is_what_their_facts_say():
    for claim in CLAIMS[CLAIMS["source"].isin(facts())].itertuples():
        found = facts()[claim.source]
        assert claim.parameters == found["parameters"]
        assert claim.accuracy in (found["claimed_test_accuracy"], *found["log_test_accuracy"])
