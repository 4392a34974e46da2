"""The table of the published systems says what the sources say and what the records show."""

import json

import pandas as pd
import pytest
from made_up import finished

from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import comparison, figures, find
from mnist_lib.experiments.comparison import difference, facts
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.records import save
from mnist_lib.results import NoRecords
from mnist_lib.summary import count_parameters

# typed a second time: what is claimed, and where the printed log ends
PRINTED = {
    "S0-1": (0.9930, 0.9930), "S0-2": (0.9942, 0.9939), "S0-3": (0.9902, 0.9898),
    "S0-4": (0.9929, 0.9921), "S0-5": (0.9941, 0.9939), "S0-6": (0.9948, 0.9946),
    "S1": (0.9960, 0.9957), "S2-1": (0.9917, None), "S2-2": (0.9944, None),
    "S2-3": (0.9923, 0.9944), "S3-1": (0.9915, 0.9915), "S3-2": (0.9919, None),
    "S3-3": (0.9943, 0.9941), "S3-x5": (0.9952, 0.9952), "S4-0": (0.9928, 0.9928),
    "S4-1": (0.9843, 0.9843), "S4-2": (0.9904, 0.9903), "S4-3": (0.9864, 0.9864),
    "S4-4": (0.9922, 0.9922), "S4-5": (0.9932, 0.9932), "S4-6": (0.9953, 0.9950),
}  # fmt: skip


# ---- facts --------------------------------------------------------------------------------------


def test_the_facts_are_whole():
    found = {}
    for recipe in SYSTEMS:
        fact, log = facts()[recipe.name], facts()[recipe.name]["log_test_accuracy"] or [None]
        found[recipe.name] = fact["claimed_test_accuracy"], log[-1]
        assert fact["parameters"] == count_parameters(recipe.network())
        if log != [None]:
            printed = 12 if recipe.name == "S3-3" else recipe.epochs  # its last rows are missing
            assert len(log) == printed and all(0.1 < accuracy < 1 for accuracy in log)
    assert found == PRINTED
    assert len(comparison.contradictions()) == sum(len(fact["slips"]) for fact in facts().values())


def test_what_is_missing_is_told():
    with pytest.raises(NoRecords, match="no record of 'S0-6' to compare"):
        difference(find("S0-6"))


def test_a_recipe_with_two_names_counts_once_and_a_cut_log_is_compared_where_it_ends():
    """S3-3 and S3-x5 are one recipe: equal seeds give equal runs."""
    for name in ("S3-x5", "S3-3"):
        for seed, accuracy in enumerate((0.996, 0.994)):
            save(finished(find(name), seed, test=accuracy, earlier=0.5))
    assert comparison.pooled_deviation()[1] == 1
    assert difference(find("S3-3")).mean == pytest.approx(0.5 - 0.9941)  # after epoch 12 of 15


# ---- figures ------------------------------------------------------------------------------------


def test_the_frontier_is_what_nothing_as_small_surpasses():
    names = ["large", "small", "as-good-and-larger", "worse", "same-size-and-worse"]
    parameters, errors = [8_000, 1_000, 2_000, 4_000, 1_000], [0.4, 1.0, 1.0, 1.5, 2.0]
    table = pd.DataFrame({"name": names, "parameters": parameters, "error": errors})
    assert figures.frontier(table)["name"].tolist() == ["small", "large"]
    assert figures.frontier(table.iloc[:0]).empty


def test_small_networks_of_others_are_as_their_sources_say():
    path = PROJECT / "results" / "published-small.json"
    others = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    for claim in others[others["source"].isin(facts())].itertuples():
        fact = facts()[claim.source]
        assert claim.parameters == fact["parameters"]
        assert claim.test_accuracy in (fact["claimed_test_accuracy"], *fact["log_test_accuracy"])
