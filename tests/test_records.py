"""Records and checkpoints survive, are never mixed up and never silently replaced."""

import json
import math
import os
import pickle
import zipfile
from dataclasses import replace
from functools import partial

import pytest
import torch
from made_up import finished, trial, without_validation
from torch import nn

from mnist_lib.records import load_checkpoint, load_records, records_of, save
from mnist_lib.results import finals
from mnist_lib.train import fit, predict


def seeds_of(recipe) -> list[int]:
    return [record["seed"] for record in records_of(recipe)]


# ---- writing and reading ------------------------------------------------------------------------


def test_a_record_comes_back_as_it_went(tiny, results):
    run = finished(tiny.but("01-step", "more", epochs=3), seed=4)
    path = save(run)
    assert path == results / "runs" / "01-step" / "seed-4.json"
    assert path.with_suffix(".pt").exists()
    (record,) = load_records()
    assert record["history"] == run.history and record["seconds"] == 3.25
    assert (record["recipe"], record["parent"], record["seed"]) == ("01-step", "00-tiny", 4)
    assert record["settings"] == run.recipe.settings() and record["settings"]["epochs"] == "3"
    assert record["fingerprint"] == run.recipe.fingerprint()
    assert record["parameters"] == 1_940 and record["schema"] == 2 and record["short"] is False
    assert record["clean_train_accuracy"] == run.clean_train_accuracy == 0.995
    assert record["machine"]["torch"] == torch.__version__


def test_a_record_keeps_the_fold_and_the_sizes_of_all_parts(tiny, synthetic):
    for seed, fold in ((2, 2), (11, 1)):
        save(fit(tiny, replace(synthetic, fold=fold), seed, device="cpu", quiet=True))
    save(fit(tiny, synthetic, seed=3, device="cpu", quiet=True))
    records = records_of(tiny)
    assert [(record["seed"], record["fold"]) for record in records] == [(2, 2), (3, None), (11, 1)]
    assert all(
        record["sizes"] == {"train": 640, "validation": 192, "test": 256} for record in records
    )


def test_a_record_of_all_training_images_has_fold_0_and_no_validation(tiny, synthetic):
    recipe = replace(tiny, folds=0)
    save(fit(recipe, replace(without_validation(synthetic), fold=0), device="cpu", quiet=True))
    (record,) = records_of(recipe)
    assert record["fold"] == 0 and record["sizes"]["validation"] == 0
    assert "validation_accuracy" not in record["history"][-1]


def test_records_are_sorted_by_recipe_and_seed(tiny):
    for name, seed in [("02-b", 1), ("01-a", 10), ("01-a", 9)]:
        save(finished(tiny.but(name, "more"), seed))
    found = [(record["recipe"], record["seed"]) for record in load_records()]
    assert found == [("01-a", 9), ("01-a", 10), ("02-b", 1)]


def test_unknown_fields_are_kept(tiny):
    path = save(finished(tiny))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 3, "weather": "fine"}))
    assert records_of(tiny)[0]["weather"] == "fine"


def test_a_half_written_record_of_another_process_is_not_read(tiny, results):
    path = save(finished(tiny))
    path.with_name(".seed-2.json.abc.part").write_text('{"schema": 1,')
    assert len(load_records()) == 1


def test_no_results_yet_is_no_error(tiny):
    assert load_records() == [] and records_of(tiny) == []


@pytest.mark.parametrize("still_set", [True, False])
def test_a_short_run_never_goes_to_the_full_results(tiny, results, monkeypatch, still_set):
    if still_set:
        monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    path = save(finished(tiny, short=True))
    assert path == results.parent / "short" / "results" / "runs" / "00-tiny" / "seed-1.json"
    assert json.loads(path.read_text())["short"] is True
    assert not results.exists() and load_records() == []
    assert len(load_records(results.parent / "short" / "results")) == 1


def test_a_full_run_stays_one_when_the_next_are_short(tiny, results, monkeypatch):
    run = finished(tiny)
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert results in save(run).parents


def test_records_of_older_settings_do_not_count(tiny):
    save(finished(tiny, seed=1))
    save(finished(tiny.but("00-tiny", "another version", batch_size=64), seed=2))
    assert seeds_of(tiny) == [1]
    assert finals(tiny).index.tolist() == [1]
    assert len(load_records()) == 2


# ---- trials -------------------------------------------------------------------------------------


def test_a_run_without_test_images_is_a_trial(tiny, synthetic, results):
    run = fit(tiny, synthetic.without_test(), seed=3, device="cpu", quiet=True)
    path = save(run)
    assert path == results / "trials" / "00-tiny" / "seed-3.json"
    assert [file.name for file in results.rglob("*") if file.is_file()] == ["seed-3.json"]
    (record,) = records_of(tiny, kind="trials")
    assert record["sizes"]["test"] == 0 and record["history"] == run.history
    assert not any("test" in name for row in record["history"] for name in row)


def test_a_trial_is_never_among_the_runs(tiny):
    save(trial(tiny, seed=1))
    with pytest.raises(FileNotFoundError, match="no checkpoint of '00-tiny' with seed 1"):
        load_checkpoint(tiny, seed=1)
    assert load_records() == [] and records_of(tiny) == []
    save(finished(tiny, seed=2))
    assert seeds_of(tiny) == [2] and finals(tiny).index.tolist() == [2]
    assert [record["seed"] for record in load_records(kind="trials")] == [1]
    assert [record["seed"] for record in records_of(tiny, kind="trials")] == [1]


def test_a_trial_and_a_run_of_one_seed_stand_side_by_side(tiny, recwarn):
    save(trial(tiny, validation=0.97))
    save(finished(tiny, validation=0.98))
    for kind, accuracy in (("trials", 0.97), ("runs", 0.98)):
        (record,) = records_of(tiny, kind=kind)
        assert record["history"][-1]["validation_accuracy"] == accuracy
    assert load_checkpoint(tiny, seed=1) and not recwarn


def test_a_trial_of_another_recipe_is_set_aside_too(tiny):
    path = save(trial(tiny))
    other = tiny.but("00-tiny", "another version", batch_size=64)
    with pytest.warns(UserWarning, match="seed-1.json was not of this recipe .*replaced"):
        save(trial(other))
    assert (path.parent / "replaced" / f"{tiny.fingerprint()}-seed-1.json").exists()
    assert len(records_of(other, kind="trials")) == 1 and not records_of(tiny, kind="trials")


def test_a_short_trial_never_goes_to_the_full_results(tiny, results):
    path = save(trial(tiny, short=True))
    assert path == results.parent / "short" / "results" / "trials" / "00-tiny" / "seed-1.json"
    assert not results.exists()


# ---- what is not saved --------------------------------------------------------------------------


def test_an_interrupted_run_is_not_recorded(tiny, results):
    run = finished(tiny)
    run.interrupted = True
    with pytest.raises(ValueError, match="'00-tiny' was interrupted"):
        save(run)
    assert not results.exists()


def test_an_interrupted_trial_is_not_recorded(tiny, results):
    run = trial(tiny)
    run.interrupted, run.clean_train_accuracy = True, None
    with pytest.raises(ValueError, match="'00-tiny' was interrupted"):
        save(run)
    assert not results.exists()


@pytest.mark.parametrize("place", ["test_accuracy", "validation_accuracy", "train_loss", "mood"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_record_never_holds_what_is_no_number(tiny, results, place, number):
    run = finished(tiny)
    run.history[-1][place] = number
    with pytest.raises(ValueError, match="finite number|not JSON compliant"):
        save(run)
    assert not results.exists()


def test_a_run_with_an_epoch_missing_is_not_recorded(tiny, results):
    run = finished(tiny)
    run.history.pop()
    with pytest.raises(ValueError, match="it has 1 epochs of 2"):
        save(run)
    assert not results.exists()


# ---- what stood there before --------------------------------------------------------------------


def test_another_recipe_of_the_same_name_replaces_nothing(tiny):
    path = save(finished(tiny))
    before = [file.read_bytes() for file in (path, path.with_suffix(".pt"))]
    other = tiny.but("00-tiny", "another version", batch_size=64)
    with pytest.warns(UserWarning, match="seed-1.json was not of this recipe .*replaced"):
        save(finished(other))
    kept = path.parent / "replaced" / f"{tiny.fingerprint()}-seed-1.json"
    assert [file.read_bytes() for file in (kept, kept.with_suffix(".pt"))] == before
    assert seeds_of(other) == [1] and seeds_of(tiny) == []
    assert len(load_records()) == 1


def test_the_same_recipe_run_again_replaces_its_record(tiny, recwarn):
    save(finished(tiny, test=0.98))
    path = save(finished(tiny, test=0.99))
    assert records_of(tiny)[0]["history"][-1]["test_accuracy"] == 0.99
    assert not (path.parent / "replaced").exists() and not recwarn


@pytest.mark.parametrize("content", ["{", '{"fingerprint": "../../elsewhere"}', "[]", "null"])
def test_what_cannot_be_read_is_set_aside_too(tiny, content):
    path = save(finished(tiny))
    path.write_text(content)
    with pytest.warns(UserWarning, match="was not of this recipe"):
        save(finished(tiny))
    assert (path.parent / "replaced" / "unreadable-seed-1.json").read_text() == content
    assert seeds_of(tiny) == [1]


# ---- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_predicts_what_the_trained_network_predicts(tiny, synthetic):
    run = fit(tiny, synthetic, seed=3, device="cpu")
    path = save(run).with_suffix(".pt")
    assert path.stat().st_size < 50_000
    model = load_checkpoint(tiny, seed=3)
    assert not model.training
    images = synthetic.test_images
    torch.testing.assert_close(predict(model, images), predict(run.model, images))


def test_a_missing_checkpoint_says_what_makes_it(tiny):
    with pytest.raises(FileNotFoundError, match="'00-tiny' with seed 7: save.*mnist_lib run"):
        load_checkpoint(tiny, seed=7)


def test_a_checkpoint_of_another_recipe_with_this_name_is_refused(tiny):
    path = save(finished(tiny)).with_suffix(".pt")
    other = tiny.but("00-tiny", "another version", batch_size=64)
    with pytest.raises(ValueError, match=f"{path} is not of '00-tiny' as it is now: save"):
        load_checkpoint(other, seed=1)


class Spy:
    """Makes a file where a pickle is allowed to run what it says."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "no weights in here")


DAMAGED = {
    "empty": lambda path: path.write_bytes(b""),
    **{
        f"cut after {part:.0%}": lambda path, part=part: path.write_bytes(
            path.read_bytes()[: int(path.stat().st_size * part)]
        )
        for part in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
    },
    "foreign pickle": lambda path: path.write_bytes(pickle.dumps({"answer": partial(print)}, 2)),
    "plain pickle": lambda path: path.write_bytes(pickle.dumps([1, 2, 3], 2)),
    "broken pickle": lambda path: path.write_bytes(b"\x80\x02}q\x00h\x07."),
    "text": lambda path: path.write_text("weights"),
    "another zip": zipped,
    "another network": lambda path: torch.save(nn.Linear(2, 2).state_dict(), path),
    "no state dict": lambda path: torch.save([torch.zeros(2)], path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint_names_file_and_remedy(tiny, damage):
    path = save(finished(tiny)).with_suffix(".pt")
    DAMAGED[damage](path)
    with pytest.raises(ValueError) as raised:
        load_checkpoint(tiny, seed=1)
    message = str(raised.value)
    assert f"{path} holds no weights of '00-tiny'" in message
    assert "delete it and its record; save(fit(recipe, digits, seed)) makes one" in message
    assert "weights_only" not in message and "\n" not in message
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


@pytest.mark.parametrize("as_zip", [True, False])
def test_what_a_checkpoint_wants_to_run_is_not_run(tiny, tmp_path, as_zip):
    path, trace = save(finished(tiny)).with_suffix(".pt"), tmp_path / "caught"
    torch.save(Spy(trace), path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(ValueError, match="holds no weights"):
        load_checkpoint(tiny, seed=1)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # so the trap was a real one
