"""Records survive, are never mixed up, and the numbers made from them are right."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from mnist_lib import results as records
from mnist_lib.train import Run, fit, predict

VALIDATION = {1: 0.9900, 2: 0.9910, 3: 0.9905, 4: 0.9920, 5: 0.9895}


def finished(recipe, seed=1, test=0.99, short=False, **accuracies) -> Run:
    """A run as if it had been trained: two epochs with these last accuracies."""
    first = {
        "epoch": 1, "learning_rate": 0.1, "train_loss": 0.5, "train_accuracy": 0.8,
        "test_loss": 0.4, "test_accuracy": 0.85, "seconds": 1.5,
    }  # fmt: skip
    first |= {f"{part}_accuracy": 0.84 for part in accuracies}
    last = first | {"epoch": 2, "test_accuracy": test, "train_accuracy": 0.985}
    last |= {f"{part}_accuracy": accuracy for part, accuracy in accuracies.items()}
    return Run(recipe, seed, "cpu", recipe.network(), [first, last], seconds=3.25, short=short)


# ---- writing and reading ------------------------------------------------------------------------


def test_a_record_comes_back_as_it_went(tiny, results):
    run = finished(tiny.but("01-step", "more", epochs=3), seed=4, validation=0.98)
    path = records.save(run)
    assert path == results / "runs" / "01-step" / "seed-4.json"
    assert path.with_suffix(".pt").exists()
    (record,) = records.load_records()
    assert record["history"] == run.history and record["seconds"] == 3.25
    assert (record["recipe"], record["parent"], record["seed"]) == ("01-step", "00-tiny", 4)
    assert record["settings"] == run.recipe.settings() and record["settings"]["epochs"] == "3"
    assert record["fingerprint"] == run.recipe.fingerprint()
    assert record["parameters"] == 1_940 and record["schema"] == 1 and record["short"] is False
    assert record["machine"]["torch"] == torch.__version__


def test_records_are_sorted_by_recipe_and_seed(tiny):
    for name, seed in [("02-b", 1), ("01-a", 10), ("01-a", 9)]:
        records.save(finished(tiny.but(name, "more"), seed))
    found = [(record["recipe"], record["seed"]) for record in records.load_records()]
    assert found == [("01-a", 9), ("01-a", 10), ("02-b", 1)]


def test_unknown_fields_are_kept(tiny):
    path = records.save(finished(tiny))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2, "weather": "fine"}))
    assert records.records_of(tiny)[0]["weather"] == "fine"


DAMAGED = {
    "half": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "list": lambda text: f"[{text}]",
    "number": lambda text: "42",
    "binary": lambda text: b"\xff\xfe\x00",
    "no history": lambda text: json.dumps(json.loads(text) | {"history": []}),
    "no accuracy": lambda text: json.dumps(json.loads(text) | {"history": [{"epoch": 1}]}),
    "no fingerprint": lambda text: text.replace("fingerprint", "thumbprint"),
    "no parameters": lambda text: text.replace('"parameters"', '"weights"'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_an_unreadable_record_is_named_skipped_and_left_alone(tiny, damage):
    records.save(finished(tiny, seed=1))
    path = records.save(finished(tiny, seed=2))
    content = DAMAGED[damage](path.read_text())
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="unreadable record .*seed-2.json"):
        assert [record["seed"] for record in records.records_of(tiny)] == [1]
    assert path.read_bytes() == content


def test_a_half_written_record_of_another_process_is_not_read(tiny, results):
    path = records.save(finished(tiny))
    path.with_name(".seed-2.json.abc.part").write_text('{"schema": 1,')
    assert len(records.load_records()) == 1


def test_no_results_yet_is_no_error(tiny):
    assert records.load_records() == [] and records.records_of(tiny) == []
    assert records.ledger([tiny]).empty


@pytest.mark.parametrize("still_set", [True, False])
def test_a_short_run_never_goes_to_the_full_results(tiny, results, monkeypatch, still_set):
    if still_set:
        monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    path = records.save(finished(tiny, short=True))
    assert path == results.parent / "short" / "results" / "runs" / "00-tiny" / "seed-1.json"
    assert json.loads(path.read_text())["short"] is True
    assert not results.exists() and records.load_records() == []


def test_a_full_run_stays_one_when_the_next_are_short(tiny, results, monkeypatch):
    run = finished(tiny)
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert results in records.save(run).parents


def test_an_interrupted_run_is_not_recorded(tiny, results):
    run = finished(tiny)
    run.interrupted = True
    with pytest.raises(ValueError, match="'00-tiny' was interrupted"):
        records.save(run)
    assert not results.exists()


def test_records_of_older_settings_do_not_count(tiny):
    records.save(finished(tiny, seed=1))
    records.save(finished(tiny.but("00-tiny", "another version", batch_size=64), seed=2))
    assert [record["seed"] for record in records.records_of(tiny)] == [1]
    assert records.finals(tiny).index.tolist() == [1]
    assert len(records.load_records()) == 2


# ---- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_predicts_what_the_trained_network_predicts(tiny, synthetic):
    run = fit(tiny, synthetic, seed=3, device="cpu")
    path = records.save(run).with_suffix(".pt")
    assert path.stat().st_size < 50_000
    model = records.load_checkpoint(tiny, seed=3)
    assert not model.training
    images = synthetic.test_images
    torch.testing.assert_close(predict(model, images), predict(run.model, images))


def test_a_missing_checkpoint_says_what_makes_it(tiny):
    with pytest.raises(FileNotFoundError, match="python -m mnist_lib run 00 --seeds 7"):
        records.load_checkpoint(tiny, seed=7)


# ---- numbers ------------------------------------------------------------------------------------


def save_all(recipe, accuracies: dict[int, float]):
    for seed, accuracy in accuracies.items():
        records.save(finished(recipe, seed, test=accuracy, validation=accuracy))


def test_finals_are_the_last_epochs(tiny):
    save_all(tiny, VALIDATION)
    table = records.finals(tiny)
    assert table["validation_accuracy"].to_dict() == VALIDATION
    assert table.loc[2, "errors"] == 90 and table.loc[2, "epochs"] == 2
    assert table.loc[2, "parameters"] == 1_940
    assert table.loc[2, "seconds"] == 3.25  # of the run, not of its last epoch
    assert table.loc[2, "train_accuracy"] == 0.985


def test_finals_without_records_say_what_makes_them(tiny):
    with pytest.raises(LookupError, match="no records of '00-tiny': python -m mnist_lib run 00"):
        records.finals(tiny)


def test_the_effect_is_a_paired_t_interval_over_common_seeds(tiny):
    step = tiny.but("01-step", "wider", batch_size=64)
    save_all(tiny, VALIDATION | {6: 0.5})
    after = {1: 0.9912, 2: 0.9915, 3: 0.9921, 4: 0.9922, 5: 0.9899}
    save_all(step, after | {7: 0.5})
    effect = records.effect(step, tiny)
    expected = stats.ttest_rel([*after.values()], [*VALIDATION.values()]).confidence_interval()
    assert effect["mean"] == pytest.approx(np.mean([0.0012, 0.0005, 0.0016, 0.0002, 0.0004]))
    assert (effect["low"], effect["high"]) == pytest.approx((expected.low, expected.high))
    assert effect["seeds"] == 5
    assert records.as_interval(effect) == "+0.08 [+0.00, +0.15]"


def test_one_common_seed_is_too_few_for_an_effect(tiny):
    step = tiny.but("01-step", "wider", batch_size=64)
    save_all(tiny, {1: 0.99, 2: 0.99})
    save_all(step, {2: 0.98, 3: 0.99})
    with pytest.raises(LookupError, match="share 1 seeds, an interval needs two"):
        records.effect(step, tiny)
    assert records.ledger([tiny, step]).loc["01-step", "effect on validation"] == "–"


def test_mean_and_spread_as_on_the_page():
    assert records.mean_and_spread(pd.Series([0.9951, 0.9953, 0.9952])) == "99.52 ± 0.01 %"
    assert records.mean_and_spread(pd.Series([0.9951])) == "99.51 %"


def test_the_ledger_has_a_row_for_each_recorded_step(tiny):
    step = tiny.but("01-step", "small batches", batch_size=64)
    missing = step.but("02-step", "not run yet", batch_size=16)
    save_all(tiny, {1: 0.9900, 2: 0.9910})
    save_all(step, {1: 0.9920, 2: 0.9932})
    table = records.ledger([tiny, step, missing])
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
        "train − test": "-0.76",
        "effect on validation": "+0.21 [+0.08, +0.34]",
        "seconds": "3",
    }
    assert table.loc["00-tiny", "effect on validation"] == "–"


def test_the_ledger_takes_steps_without_validation_too(tiny):
    whole = tiny.but("01-whole", "all 60,000 images", holdout=0)
    save_all(tiny, {1: 0.9900, 2: 0.9910})
    for seed in (1, 2):
        records.save(finished(whole, seed))
    row = records.ledger([tiny, whole]).loc["01-whole"]
    assert row["validation"] == row["effect on validation"] == "–"
    assert row["test accuracy"] == "99.00 ± 0.00 %"
