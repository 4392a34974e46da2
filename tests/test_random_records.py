"""Whatever lies among the records: the good ones count, the others are named, no page is cut."""

import copy
import json
import math
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import finished, tiny_network

from mnist_lib import journey
from mnist_lib.commands import report
from mnist_lib.experiments import comparison
from mnist_lib.recipes import SGD, Recipe
from mnist_lib.records import as_record, records_of
from mnist_lib.results import NoRecords

FIRST = Recipe("01-first", "for the tests", tiny_network, SGD(0.1), epochs=2)
SECOND = FIRST.but("02-second", "small batches", batch_size=16)
SYSTEM = FIRST.but("S0-6", "as long as its log", epochs=15, folds=0)
RECIPES = [FIRST, SECOND, SYSTEM]
RECORDS = {recipe: as_record(finished(recipe)) for recipe in RECIPES}

REGIONS = ("result", "minutes", "costs", "ledger", "targets", "systems", "fastest", "soon", "speed")
README = "".join(f"<!-- {name} -->\nas before\n<!-- /{name} -->\n" for name in REGIONS)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
UNUSED = ("schema", "change", "parent", "device_name", "processor", "system", "python")
UNUSED += ("torch", "torchvision", "commit")
MAY_BE_MISSING = {*RECORDS[FIRST]["settings"]} - {"epochs"}
MAY_BE_NULL = ("fold", "clean_train_accuracy")
ODD_NAMES = [
    "seed-1 (copy).json", "seed-x.json", "seed-.json", "seed-01.json", "seed--1.json",
    "seed-1.0.json", "seed-\u0661.json", "seed-1.json~", "SEED-9.JSON", ".seed-9.json",
    "seed-99.json",
]  # fmt: skip


def places(inside: dict | list) -> list[tuple]:
    """The way to everything inside of a JSON value."""
    found = []
    for key, value in inside.items() if isinstance(inside, dict) else enumerate(inside):
        deeper = places(value) if isinstance(value, (dict, list)) else []
        found += [(key,), *((key, *way) for way in deeper)]
    return found


def kind(value) -> type:
    """What JSON calls the value; what is no number is of no kind."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float if math.isfinite(value) else object
    return type(value)


def mutate(draw, record: dict) -> bool:
    """Put something of another kind, or nothing, in a random place; whether it stays a record."""
    *way, last = draw(st.sampled_from(places(record)))
    inside = record
    for key in way:
        inside = inside[key]
    is_used = not {*way, last} & {*UNUSED}
    if draw(st.booleans()):
        before = inside.pop(last)
        was_not_measured = str(last).endswith("_loss") and before is None
        return not is_used or last in MAY_BE_MISSING or was_not_measured
    before = inside[last]
    inside[last] = draw(ANYTHING.filter(lambda value: kind(value) is not kind(before)))
    return not is_used or (last in MAY_BE_NULL and inside[last] is None)


@pytest.fixture
def journey_of_two(monkeypatch):
    """Two steps and one system; their figures are made, but not drawn."""
    monkeypatch.setattr(journey, "JOURNEY", [FIRST, SECOND])
    monkeypatch.setattr(journey, "STEPS", [FIRST, SECOND])
    monkeypatch.setattr(journey, "BEST", SECOND)
    monkeypatch.setattr(comparison, "SYSTEMS", [SYSTEM])
    monkeypatch.setattr(report, "in_both_styles", lambda make: {"": str(make()).encode()})
    return monkeypatch


def scatter(draw, results: Path) -> tuple[dict[Recipe, list[int]], list[Path]]:
    """Write good, mutated and foreign records; which seeds are good, and which files are bad."""
    good, bad = {recipe: [] for recipe in RECIPES}, []
    for recipe in RECIPES:
        folder = results / "runs" / recipe.name
        folder.mkdir(parents=True)
        for seed in sorted(draw(st.sets(st.integers(0, 12), max_size=5))):
            record, path = copy.deepcopy(RECORDS[recipe]), folder / f"seed-{seed}.json"
            record["seed"] = seed
            fate = draw(st.sampled_from(["untouched", "untouched", "mutated", "foreign", "bytes"]))
            is_good = fate == "untouched" or (fate == "mutated" and mutate(draw, record))
            content = json.dumps(draw(ANYTHING) if fate == "foreign" else record).encode()
            path.write_bytes(draw(st.binary(max_size=20)) if fate == "bytes" else content)
            good[recipe] += [seed] if is_good else []
            bad += [] if is_good else [path]
        for name in draw(st.sets(st.sampled_from(ODD_NAMES), max_size=3)):
            (folder / name).write_text(json.dumps(RECORDS[recipe]))
            bad += [folder / name] if Path(name).match("seed-*.json") else []
    return good, bad


@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck))
def test_any_records(journey_of_two, data):
    with tempfile.TemporaryDirectory() as project, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results, readme = Path(project) / "results", Path(project) / "README.md"
        journey_of_two.setenv("MNIST_LIB_RESULTS", str(results))
        readme.write_text(README, encoding="utf-8")
        good, bad = scatter(data.draw, results)

        for recipe, seeds in good.items():
            assert [record["seed"] for record in records_of(recipe)] == seeds
        assert comparison.comparison().loc["S0-6", "seeds"] == len(good[SYSTEM])

        if not good[FIRST] and not good[SECOND]:
            with pytest.raises(NoRecords):
                report.rebuild()
            assert readme.read_text(encoding="utf-8") == README
            return
        written, problems = report.rebuild()
        assert written[-1] == readme
        for path in bad:
            assert any(f"unreadable record {path}: " in problem for problem in problems)
        text = readme.read_text(encoding="utf-8")
        rows = {line.split(" | ")[0]: line.split(" | ") for line in text.splitlines()}
        for recipe in (FIRST, SECOND):
            if good[recipe]:
                assert rows[f"| {recipe.name}"][5] == str(len(good[recipe]))
            else:
                assert f"| {recipe.name}" not in rows
        assert rows["| S0-6"][5] == str(len(good[SYSTEM]))
        assert (f"({len(good[SECOND])} seeds, " in text) == bool(good[SECOND])
        assert "nan" not in text and text.endswith(README[README.index("<!-- fastest") :])
