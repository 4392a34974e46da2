"""A bad record is named with its reason and skipped; everything else goes on."""

import json
import math
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import finished, tiny_network, trial

from mnist_lib.commands.command_line import main
from mnist_lib.engine import store
from mnist_lib.experiments import comparison
from mnist_lib.experiments.systems import system
from mnist_lib.recipes import SGD, Recipe
from mnist_lib.records import as_record, load_records, records_of, save


def seeds_of(recipe) -> list[int]:
    return [record["seed"] for record in records_of(recipe)]


RECIPE = Recipe("00", "for the tests", tiny_network, SGD(0.1), epochs=2)
RECORD = json.dumps(as_record(finished(RECIPE)))

DAMAGED = {
    "half": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "list": lambda text: f"[{text}]",
    "number": lambda text: "42",
    "binary": lambda text: b"\xff\xfe\x00",
    "deep": lambda text: "[" * 100_000,
    "no history": lambda text: json.dumps(json.loads(text) | {"history": []}),
    "no accuracy": lambda text: json.dumps(json.loads(text) | {"history": [{"epoch": 1}]}),
    "no fingerprint": lambda text: text.replace("fingerprint", "thumbprint"),
    "no parameters": lambda text: text.replace('"parameters"', '"weights"'),
    "no sizes": lambda text: text.replace('"sizes"', '"measures"'),
    "no fold": lambda text: text.replace('"fold"', '"part"'),
    "no clean accuracy": lambda text: text.replace('"clean_train_accuracy"', '"clean"'),
    "no epochs": lambda text: text.replace('"epochs"', '"rounds"'),
    "no machine": lambda text: text.replace('"machine"', '"tool"'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_an_unreadable_record_is_named_skipped_and_left_alone(tiny, damage):
    save(finished(tiny, seed=1))
    path = save(finished(tiny, seed=2))
    content = DAMAGED[damage](path.read_text())
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json"):
        assert seeds_of(tiny) == [1]
    assert path.read_bytes() == content


def bad(record: dict, place: tuple, value) -> str:
    """The record as JSON, with this value in this place."""
    *way, last = place
    inside = record
    for key in way:
        inside = inside[key]
    inside[last] = value
    return json.dumps(record)


LAST = ("history", 1)
WRONG = [
    *[
        ((*LAST, f"{part}_accuracy"), value)
        for part in ("train", "validation", "test")
        for value in (math.nan, math.inf, -math.inf, None, "0.99", True, 1.01, -0.01, [])
    ],
    *[((*LAST, name), None) for name in ("train_loss", "test_loss", "learning_rate", "seconds")],
    ((*LAST, "epoch"), 3),
    (LAST, None),
    (("history",), {}),
    *[(("seed",), value) for value in (None, "2", 2.0, -2, True, 3)],
    *[(("machine",), value) for value in (None, {}, {"device": "cpu"}, "cpu")],
    (("machine", "threads"), "1"),
    *[(("settings",), value) for value in (None, {}, {"epochs": 2})],
    (("settings", "epochs"), "3"),
    *[(("fingerprint",), value) for value in (None, "../../x", 12)],
    (("recipe",), "01-other"),
    *[(("parameters",), value) for value in (None, 0, 1.5)],
    *[(("fold",), value) for value in ("1", 1.5, True, [])],
    *[(("sizes",), value) for value in (None, {}, 60_000, {"train": 54_000, "validation": 6_000})],
    *[(("sizes", "train"), value) for value in (None, 0, -1, "54000", 54_000.5)],
    *[(("sizes", part), value) for part in ("validation", "test") for value in (None, -1, 0, True)],
    *[(("clean_train_accuracy",), value) for value in (math.nan, 1.01, -0.01, "0.99", True)],
    (("short",), None),
    (("seconds",), math.nan),
]


@pytest.mark.parametrize("place, value", WRONG, ids=lambda part: str(part).replace(" ", ""))
def test_a_wrong_value_is_named_and_the_record_skipped(tiny, place, value):
    save(finished(tiny, seed=1))
    path = save(finished(tiny, seed=2))
    path.write_text(bad(json.loads(path.read_text()), place, value))
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json: .+") as warned:
        assert seeds_of(tiny) == [1]
    assert len(warned) == 1 and "\n" not in str(warned[0].message)


PARTS = ("validation", "test")


@given(
    sizes=st.fixed_dictionaries({part: st.sampled_from([0, 6_000]) for part in PARTS}),
    measured=st.lists(st.sets(st.sampled_from(PARTS)), min_size=2, max_size=2),
)
def test_only_results_that_fit_the_sizes_are_a_record(sizes, measured):
    """What has such images has both numbers of them in every epoch, and what has none in none."""
    record = json.loads(RECORD)
    record["sizes"] |= sizes
    for epoch, parts in zip(record["history"], measured, strict=True):
        for part in set(PARTS) - parts:
            del epoch[f"{part}_loss"], epoch[f"{part}_accuracy"]
    wrong = [p for p in PARTS if any((p in parts) != (sizes[p] > 0) for parts in measured)]
    if wrong:
        message = f"its {wrong[0]} results do not fit its number of such images"
        with pytest.raises(ValueError, match=message):
            store.as_json(record)
    else:
        assert store.checked(store.as_json(record)) == record


@pytest.mark.parametrize("part", PARTS)
def test_a_loss_goes_with_each_accuracy(part):
    record = json.loads(RECORD)
    del record["history"][1][f"{part}_loss"]
    with pytest.raises(ValueError, match=f"its {part} results do not fit"):
        store.as_json(record)


def test_a_run_with_accuracies_of_images_that_it_did_not_have_is_not_saved(tiny, results):
    run = finished(tiny)
    run.sizes["test"] = 0
    with pytest.raises(ValueError, match="its test results do not fit"):
        save(run)
    assert not results.exists()


@pytest.mark.parametrize(
    ("make", "belongs", "copied"), [(trial, "trials", "runs"), (finished, "runs", "trials")]
)
def test_a_record_among_those_of_the_other_kind_is_named(tiny, results, make, belongs, copied):
    """A trial has no test accuracy to count, and whoever chooses must see none of a run."""
    path = save(make(tiny))
    shutil.copytree(results / belongs, results / copied)
    name = results / copied / "00-tiny" / path.name
    message = f"skipped the unreadable record {name}: it belongs to the {belongs}"
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert load_records(kind=copied) == []
    assert len(load_records(kind=belongs)) == 1
    assert store.read_records(results, kind=copied) == ([], [message])


def test_the_reason_names_the_place(tiny):
    path = save(finished(tiny))
    path.write_text(bad(json.loads(path.read_text()), (*LAST, "test_accuracy"), math.nan))
    with pytest.warns(UserWarning, match=r": history\.1\.test_accuracy: .* finite number$"):
        load_records()


def test_fewer_epochs_than_asked_for_are_no_result(tiny):
    path = save(finished(tiny))
    record = json.loads(path.read_text())
    record["history"].pop()
    path.write_text(json.dumps(record))
    with pytest.warns(UserWarning, match="it has 1 epochs of 2$"):
        assert records_of(tiny) == []


@pytest.mark.parametrize("name", ["seed-2 (copy).json", "seed-3.json", "seed-02.json"])
def test_a_copy_of_a_record_is_no_second_one(tiny, name):
    path = save(finished(tiny, seed=2))
    shutil.copy(path, path.with_name(name))
    with pytest.warns(UserWarning, match="it is of '00-tiny', seed 2, and not where it belongs"):
        assert seeds_of(tiny) == [2]


def test_a_record_in_the_folder_of_another_recipe_does_not_count(tiny, results):
    path = save(finished(tiny))
    shutil.copytree(path.parent, results / "runs" / "01-step")
    with pytest.warns(UserWarning, match="01-step.*not where it belongs"):
        assert len(load_records()) == 1


def test_a_shortened_record_among_the_full_ones_does_not_count(tiny, results):
    path = save(finished(tiny, seed=1, short=True))
    save(finished(tiny, seed=2))
    shutil.copy(path, results / "runs" / "00-tiny")
    with pytest.warns(UserWarning, match="seed-1.json: it is of a shortened run"):
        assert seeds_of(tiny) == [2]


def test_a_folder_in_place_of_a_record_is_named(tiny):
    path = save(finished(tiny))
    path.with_name("seed-2.json").mkdir()
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json"):
        assert seeds_of(tiny) == [1]


def test_the_list_of_systems_goes_on_without_a_bad_record(capsys, monkeypatch):
    monkeypatch.setattr(comparison, "SYSTEMS", [system("S4-6")])
    save(finished(system("S4-6"), seed=1))
    path = save(finished(system("S4-6"), seed=2))
    path.write_text("{")
    assert main(["systems"]) == 1
    said = capsys.readouterr()
    assert "99.00 %" in said.out and f"unreadable record {path}: Invalid JSON" in said.err
