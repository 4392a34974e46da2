"""A bad record is named with its reason and skipped; everything else goes on."""

import json
import math
import shutil

import pytest
from made_up import finished

from mnist_lib.published import comparison
from mnist_lib.published.systems import system
from mnist_lib.records import load_records, records_of, save
from mnist_lib.runner.command_line import main


def seeds_of(recipe) -> list[int]:
    return [record["seed"] for record in records_of(recipe)]


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
    (("short",), None),
    (("seconds",), math.nan),
]


@pytest.mark.parametrize("place, value", WRONG, ids=lambda part: str(part).replace(" ", ""))
def test_a_wrong_value_is_named_and_the_record_skipped(tiny, place, value):
    save(finished(tiny, seed=1, validation=0.98))
    path = save(finished(tiny, seed=2, validation=0.98))
    path.write_text(bad(json.loads(path.read_text()), place, value))
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json: .+") as warned:
        assert seeds_of(tiny) == [1]
    assert len(warned) == 1 and "\n" not in str(warned[0].message)


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
