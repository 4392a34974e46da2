"""Records and checkpoints survive, are never mixed up, and a bad one is named and skipped."""

import json
import math
import os
import re
import shutil
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import torch
from made_up import finished, validation_run, without_validation
from torch import nn

from mnist_lib.records import as_record, load_checkpoint, load_records, records_of, save
from mnist_lib.train import fit, predict


def seeds_of(recipe, folder=None) -> list[int]:
    return [record["seed"] for record in records_of(recipe, folder)]


@pytest.fixture
def mine(results):
    """Where a reader's runs are written."""
    return results.parent / "my-results"


# ---- writing ------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_went(tiny, mine):
    run = finished(tiny.but("01-step", "more", epochs=3), seed=4)
    path = save(run)
    assert path == mine / "runs" / "01-step" / "seed-4.json"
    (record,) = load_records(mine)
    assert record == as_record(run) == records_of(run.recipe)[0]
    assert record["history"] == run.history and record["seconds"] == 3.25
    assert (record["recipe"], record["parent"], record["seed"]) == ("01-step", "00-tiny", 4)
    assert record["settings"] == run.recipe.settings() and record["settings"]["epochs"] == "3"
    assert record["fingerprint"] == run.recipe.fingerprint()
    assert record["parameters"] == 1_940 and record["short"] is False
    assert record["machine"]["torch"] == torch.__version__


def test_a_trained_run_keeps_its_fold_its_sizes_and_its_origin(tiny, synthetic):
    for seed, fold in ((2, 2), (11, 1), (3, None)):
        save(fit(tiny, replace(synthetic, fold=fold), seed, device="cpu", quiet=True))
    whole = replace(tiny, name="00-whole", folds=0)
    save(fit(whole, replace(without_validation(synthetic), fold=0), device="cpu", quiet=True))
    records = records_of(tiny)
    assert [(record["seed"], record["fold"]) for record in records] == [(2, 2), (3, None), (11, 1)]
    assert records[0]["sizes"] == {"train": 640, "validation": 192, "test": 256}
    assert {"started", "commit", "clean", "device", "threads"} <= records[0]["machine"].keys()
    (record,) = records_of(whole)
    assert record["fold"] == 0 and record["sizes"]["validation"] == 0
    assert "validation_accuracy" not in record["history"][-1]


def test_a_run_without_test_images_stands_apart_and_has_no_checkpoint_in_results(
    tiny, mine, results, monkeypatch
):
    path = save(validation_run(tiny, seed=3))
    assert path == mine / "validation" / "00-tiny" / "seed-3.json"
    assert seeds_of(tiny) == [3] and records_of(tiny)[0]["sizes"]["test"] == 0
    assert len(load_checkpoint(tiny, seed=3).state_dict()) == 4
    monkeypatch.setenv("MNIST_LIB_RENEW", "1")
    path = save(validation_run(tiny, seed=4))
    assert [file for file in results.rglob("*") if file.is_file()] == [path]


def test_a_run_that_repeats_a_committed_one_leaves_it_alone(tiny, results, mine, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RENEW", "1")
    path = save(finished(tiny))
    monkeypatch.delenv("MNIST_LIB_RENEW")
    assert path == results / "runs" / "00-tiny" / "seed-1.json"
    before, again = path.stat().st_mtime_ns, finished(tiny)
    again.seconds, again.machine["system"] = 99.0, "another"
    again.history = [{**row, "seconds": 7.0} for row in again.history]
    assert save(again) == path and path.stat().st_mtime_ns == before and not mine.exists()
    again.history[-1]["train_loss"] = math.nextafter(0.5, 1)  # the last digit
    assert save(again) == mine / "runs" / "00-tiny" / "seed-1.json"
    assert path.stat().st_mtime_ns == before
    assert [record["seconds"] for record in records_of(tiny)] == [3.25]  # the committed one counts


@pytest.mark.parametrize("place", ["test_accuracy", "validation_accuracy", "train_loss", "mood"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_not_saved(tiny, mine, place, number):
    run = finished(tiny)
    run.history[-1][place] = number
    with pytest.raises(ValueError, match="finite number|not JSON compliant"):
        save(run)
    assert not mine.exists()


# ---- reading ------------------------------------------------------------------------------------


def test_records_are_sorted_and_older_versions_of_a_recipe_do_not_count(tiny, mine):
    for name, seed in [("02-b", 1), ("01-a", 10), ("01-a", 9)]:
        save(finished(tiny.but(name, "more"), seed))
    save(finished(tiny.but("01-a", "another version", batch_size=64), seed=8))
    assert [record["seed"] for record in load_records(mine)] == [8, 9, 10, 1]
    assert seeds_of(tiny.but("01-a", "more")) == [9, 10]
    assert len(load_records(mine, "02-b")) == 1
    assert load_records(mine / "nowhere") == [] == records_of(tiny)


def test_a_record_is_read_once_until_its_file_changes(tiny, mine, monkeypatch):
    path = save(finished(tiny))
    assert seeds_of(tiny) == [1]
    reads, read = [], type(path).read_bytes
    monkeypatch.setattr(type(path), "read_bytes", lambda file: reads.append(file) or read(file))
    assert seeds_of(tiny) == [1] and reads == []
    replaced(path, json.dumps(json.loads(path.read_text()) | {"weather": "fine"}))
    assert records_of(tiny)[0]["weather"] == "fine" and len(reads) == 1


LAST = ("history", 1)
WRONG = {
    **{
        (*LAST, f"{part}_accuracy"): (math.nan, -math.inf, "0.99", True, 1.01, -0.01, [])
        for part in ("train", "validation", "test")
    },
    **{(*LAST, name): ("1", math.nan) for name in ("train_loss", "seconds")},
    **{(*LAST, "epoch"): (3,), LAST: (None, {}, {"epoch": 2}), ("history",): ({}, [])},
    **{("seed",): (None, "2", 2.0, True, 3), ("machine",): (None, "cpu"), ("short",): (None, True)},
    **{("settings",): (None, {}, {"epochs": 2}), ("settings", "epochs"): ("3",)},
    **{("fingerprint",): (None, 12), ("recipe",): ("01-other", "../x"), ("parameters",): (1.5,)},
    **{("sizes",): (None, {}, 60_000, {"train": 54_000, "test": 6_000})},
    **{("sizes", part): (None, 0, "6000") for part in ("validation", "test")},
    **{("clean_train_accuracy",): (math.nan, 1.01, "0.99", True)},
}


def replaced(path: Path, text: str) -> None:
    """Another text in the file, and surely another time of its change."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before, before + 1_000_000))


@pytest.fixture
def two(tiny, monkeypatch):
    """The path of the second of two records in results/."""
    monkeypatch.setenv("MNIST_LIB_RENEW", "1")
    save(finished(tiny, seed=1))
    return save(finished(tiny, seed=2))


@pytest.mark.parametrize("place", WRONG, ids=str)
def test_a_wrong_value_is_named_and_its_record_skipped(tiny, two, place):
    good, (*way, last) = two.read_text(), place
    for value in WRONG[place]:
        record = json.loads(good)
        reduce(getitem, way, record)[last] = value
        replaced(two, json.dumps(record))
        with pytest.warns(UserWarning, match=re.escape(f"unreadable record {two}: ")) as warned:
            assert seeds_of(tiny) == [1], value
        assert len(warned) == 1 and "\n" not in str(warned[0].message)


BROKEN = {
    "half": b'{\n "schema": 3,\n "recipe": "00-t',
    "empty": b"",
    "list": b"[{}]",
    "binary": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_skipped_and_left_alone(tiny, two, content):
    two.write_bytes(content)
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json"):
        assert seeds_of(tiny) == [1]
    assert two.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["runs/00-tiny/seed-3.json", "runs/00-tiny/seed-2 (copy).json",
             "runs/01-step/seed-2.json", "validation/00-tiny/seed-2.json"]
)  # fmt: skip
def test_a_copy_of_a_record_is_no_second_one(tiny, two, results, name):
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(two, results / name)
    with pytest.warns(UserWarning, match=f"{re.escape(name)}: it is of '00-tiny', seed 2: a mis"):
        assert len(load_records(results)) == 2


def test_a_shortened_record_among_the_full_ones_does_not_count(tiny, two, results, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    shutil.copy(save(finished(tiny, seed=5, short=True)), two.parent)
    with pytest.warns(UserWarning, match="seed-5.json: it is of a shortened run"):
        assert seeds_of(tiny, results) == [1, 2]


# ---- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_predicts_what_the_trained_network_predicts(tiny, synthetic):
    run = fit(tiny, synthetic, seed=3, device="cpu", quiet=True)
    assert save(run).with_suffix(".pt").stat().st_size < 50_000
    model = load_checkpoint(tiny, seed=3)
    assert not model.training
    images = synthetic.test_images
    torch.testing.assert_close(predict(model, images), predict(run.model, images))


def test_a_missing_checkpoint_and_one_of_an_older_version_say_what_makes_it(tiny):
    save(finished(tiny))
    other = tiny.but("00-tiny", "another version", batch_size=64)
    for recipe, seed in ((tiny, 7), (other, 1)):
        with pytest.raises(FileNotFoundError, match=f"'00-tiny' with seed {seed}: save.*mnist_lib"):
            load_checkpoint(recipe, seed)


DAMAGED = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "without its end": lambda path: os.truncate(path, path.stat().st_size - 100),
    "another network": lambda path: torch.save(nn.Linear(2, 2).state_dict(), path),
    "no state dict": lambda path: torch.save([torch.zeros(2)], path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_names_file_and_remedy(tiny, damage):
    path = save(finished(tiny)).with_suffix(".pt")
    damage(path)
    remedy = rf"{path} holds no weights of this network \(\w+\): delete it and its record; save"
    with pytest.raises(ValueError, match=remedy) as raised:
        load_checkpoint(tiny, seed=1)
    assert "\n" not in str(raised.value) and raised.value.__suppress_context__


class Spy(str):
    """The name of a folder, which is made where a pickle is allowed to run what it says."""

    def __reduce__(self):
        return os.mkdir, (str(self),)


def test_what_a_checkpoint_wants_to_run_is_not_run(tiny, tmp_path):
    path, trace = save(finished(tiny)).with_suffix(".pt"), tmp_path / "caught"
    torch.save([Spy(trace)], path)
    with pytest.raises(ValueError, match="holds no weights"):
        load_checkpoint(tiny, seed=1)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # so the trap was a real one
