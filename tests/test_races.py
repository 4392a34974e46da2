"""The race for seconds: its networks, its fairness, and what is said about it."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from made_up import finished, without_validation

from mnist_lib.commands import report, speeds
from mnist_lib.commands.jobs import DEFAULT_SEED, Job, is_finished
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments import race_store as store
from mnist_lib.experiments import to_target
from mnist_lib.experiments.one_epoch import ENTRIES, FINALISTS, PUBLISHED, TRIED, Crop
from mnist_lib.experiments.race import race, standings
from mnist_lib.experiments.race_store import is_recorded, load_race, save_race
from mnist_lib.results import NoRecords
from mnist_lib.summary import count_parameters

PARAMETERS = [215_194, 141_466, 138_954, 139_002, 72_058]


def small(recipe):
    return replace(recipe, batch_size=64)


def test_the_networks_have_the_sizes_of_the_page():
    assert [count_parameters(step.network()) for step in ENTRIES] == PARAMETERS
    for step in ENTRIES:
        assert step.network()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_each_step_is_one_change_of_the_step_before():
    assert all(after.parent is before for before, after in zip(ENTRIES, ENTRIES[1:], strict=False))
    for step in ENTRIES[1:]:
        changed = {k for k, v in step.settings().items() if step.parent.settings()[k] != v}
        assert changed == {"network"}


def test_the_published_recipe_is_that_of_its_author():
    layers = [str(tuple(p.shape)) for p in PUBLISHED.network().parameters() if p.dim() > 1]
    assert layers == ["(24, 1, 5, 5)", "(32, 24, 3, 3)", "(256, 800)", "(10, 256)"]
    assert (PUBLISHED.epochs, PUBLISHED.batch_size, PUBLISHED.augment) == (1, 256, None)
    assert PUBLISHED.optimizer.betas == (0.7, 0.9) and PUBLISHED.schedule.peak == 0.01


def test_a_crop_takes_away_the_border():
    images = torch.arange(28 * 28.0).view(1, 1, 28, 28)
    assert torch.equal(Crop(2)(images), images[..., 2:26, 2:26])


def test_a_race_trains_every_recipe_with_every_seed_in_turn(synthetic, capsys):
    recipes = [small(ENTRIES[0]), small(ENTRIES[-1])]
    table = race(recipes, lambda fold: synthetic, [1, 2], "cpu")
    assert list(table["seed"]) == [1, 1, 2, 2]
    assert list(table["recipe"]) == ["published", "half-hidden"] * 2
    assert (table["seconds"] > 0).all() and table["test_accuracy"].between(0, 1).all()
    assert set(table["device"]) == {"cpu"}
    assert "epoch" not in capsys.readouterr().out


def test_every_seed_races_on_its_own_fold(synthetic):
    """Seed 0 is the run before the race, which does not count."""
    asked = []

    def digits_for(fold):
        asked.append(fold)
        return replace(synthetic, fold=fold)

    race([small(ENTRIES[0]), small(ENTRIES[-1])], digits_for, [1, 2, 11], "cpu")
    assert asked == [10, 1, 1, 2, 2, 1, 1]


def test_the_finalists_race_on_all_training_images(synthetic):
    """They are the first and the last entry, and their numbers are never mixed up."""
    for finalist, entry in zip(FINALISTS, (ENTRIES[0], ENTRIES[-1]), strict=True):
        assert finalist == replace(entry, folds=0)
        assert finalist.fingerprint() != entry.fingerprint()
    whole = replace(without_validation(synthetic), fold=0)
    table = race([small(FINALISTS[0])], lambda fold: {0: whole}[fold], [1], "cpu")
    assert "validation_accuracy" not in table and "test_accuracy" in table
    with pytest.raises(ValueError, match="holds out no digits, and these digits hold out fold 1"):
        race([small(FINALISTS[0])], lambda fold: replace(synthetic, fold=1), [1], "cpu")


def test_who_chooses_sees_no_test_images(synthetic):
    blind = synthetic.without_test()
    table = race([small(PUBLISHED)], lambda fold: blind, [1], "cpu")
    assert "test_accuracy" not in table and "validation_accuracy" in table


RACE = pd.DataFrame(
    {
        "recipe": ["a", "b"] * 3,
        "seed": [1, 1, 2, 2, 3, 3],
        "seconds": [4.0, 2.0, 5.0, 2.6, 6.0, 3.0],
        "test_accuracy": [0.99, 0.98, 0.99, 0.99, 0.99, 1.0],
        "device": "cpu",
        "threads": 2,
        "fingerprint": ["012345678901", "1234e5678901"] * 3,
        "torch": "2.10",
    }
)


def test_the_standings_compare_seed_by_seed_with_the_first():
    table = standings(RACE, "test_accuracy")
    assert list(table.index) == ["a", "b"] and list(table["seeds"]) == [3, 3]
    assert table.loc["a", "seconds"] == "5.00 ± 1.00"
    assert table.loc["a", "time relative to the first"] == "1.00 [1.00, 1.00]"
    # 0.50, 0.52, 0.50: mean 0.5067, standard error 0.00667, t = 4.303
    assert table.loc["b", "time relative to the first"] == "0.51 [0.48, 0.54]"
    assert table.loc["b", "test accuracy"] == "99.00 ± 1.00 %"


def test_a_race_is_kept_and_read_back(results):
    with pytest.raises(NoRecords, match="run 11 makes it"):
        load_race("final")
    save_race(RACE, "final")
    pd.testing.assert_frame_equal(load_race("final"), RACE)
    assert (results / "fast-final.csv").exists()


def test_a_race_cut_short_is_refused_at_any_length(results):
    """Only after a whole seed nothing is missing; one seed alone has no deviation."""
    path = save_race(RACE, "final")
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    whole_seeds = {len("".join(lines[:count])) for count in (5, 7)}
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        if length in whole_seeds:
            assert "nan" not in standings(load_race("final"), "test_accuracy").to_string()
        else:
            with pytest.raises(ValueError, match="fast-final.csv is (cut|no table of a race): "):
                load_race("final")


@pytest.mark.parametrize("column", RACE.columns)
@pytest.mark.parametrize("value", ["", "nan", "inf", "-1", "two"])
def test_a_cell_that_is_no_measurement_is_refused(results, column, value):
    path = save_race(RACE.astype(object).replace({column: {RACE[column].iloc[3]: value}}), "final")
    is_fine = column in ("recipe", "device", "fingerprint", "torch") and value not in ("", "nan")
    if is_fine or (column in ("seed", "threads") and value == "-1"):
        load_race("final")
    else:
        with pytest.raises(ValueError, match=f"{path.name} is (cut|no table of a race): "):
            load_race("final")


@pytest.mark.parametrize("content", [b"", b"\n", b"a,b\n1,2\n", b"\xff\xfe\n", b'{"a": 1}\n'])
def test_another_file_is_no_race(results, content):
    path = save_race(RACE, "final")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="fast-final.csv is no table of a race"):
        load_race("final")
    assert not is_recorded()


def test_a_table_of_another_race_is_not_the_final_one(results):
    save_race(RACE.rename(columns={"test_accuracy": "validation_accuracy"}), "final")
    with pytest.raises(ValueError, match="test_accuracy"):
        load_race("final")


def test_a_shortened_race_stays_away_from_the_recorded_one(results, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    path = save_race(RACE, "final")
    assert "short" in path.parts and not (results / "fast-final.csv").exists()


def test_the_readme_tells_the_recorded_race(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    assert report.fastest() in (PROJECT / "README.md").read_text(encoding="utf-8")
    final = load_race("final")
    assert final.groupby("recipe")["seed"].nunique().min() >= 20
    assert set(final["recipe"]) == {ENTRIES[0].name, ENTRIES[-1].name}
    assert is_recorded()
    for path in (PROJECT / "results").glob("speed-*.json"):
        assert speeds.speed(path) in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_a_race_runs_on_the_threads_that_are_asked_for(synthetic, monkeypatch):
    asked = []

    def quick_fit(recipe, digits, seed, device, threads, quiet):
        asked.append(threads)
        return finished(recipe, seed)

    monkeypatch.setattr("mnist_lib.experiments.race.fit", quick_fit)
    race([small(PUBLISHED)], lambda fold: synthetic, [1], "cpu", threads=2)
    assert asked == [2, 2]  # the one that does not count, and the one that does


def test_an_interrupted_race_is_none(synthetic, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mnist_lib.train.train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        race([small(PUBLISHED)], lambda fold: synthetic, [1], "cpu")


def record(name: str, recipes: list) -> None:
    """A race of these recipes with two seeds."""
    accuracy = "test_accuracy" if name == "final" else "validation_accuracy"
    runs = [(recipe, seed) for seed in (1, 2) for recipe in recipes]
    rows = [
        {
            "recipe": recipe.name, "fingerprint": recipe.fingerprint(), "seed": seed,
            "seconds": 2.0, accuracy: 0.99, "device": "cpu", "threads": 1, "torch": "2.10",
        }
        for recipe, seed in runs
    ]  # fmt: skip
    save_race(pd.DataFrame(rows), name)


def test_a_recorded_race_is_not_run_again_until_a_recipe_changes(monkeypatch):
    job = Job(PROJECT / "notebooks" / "11_as_fast_as_possible.ipynb", DEFAULT_SEED)
    record("choosing", ENTRIES)
    record("tried", [ENTRIES[-1], *TRIED])
    assert not is_finished(job, set(), renew=False)
    record("final", [ENTRIES[0], ENTRIES[-1]])  # of 54,000 images, which is another race
    assert not is_finished(job, set(), renew=False)
    record("final", FINALISTS)
    assert is_finished(job, set(), renew=False)
    assert not is_finished(job, set(), renew=True)
    for steps in (
        [replace(ENTRIES[0], batch_size=128), *ENTRIES[1:]],
        [*ENTRIES[:-1], TRIED[0]],  # recorded, but not as the last step of the race
    ):
        monkeypatch.setattr(store, "ENTRIES", steps)
        assert not is_finished(job, set(), renew=False)


# ---- the second race beside tutorials -----------------------------------------------------------


def test_the_winner_is_compared_round_by_round(results):
    results.mkdir()
    rounds = [
        {"winner beside S4-6": 10.0, "S4-6": 100.0},
        {"winner beside S4-6": 30.0, "S4-6": 200.0},
        {"winner beside S4-6": 20.0, "S4-6": 100.0},
    ]
    measured = {"winner": to_target.SOONER.fingerprint(), "rounds": rounds}
    (results / "to-target-cpu.json").write_text(json.dumps(measured))
    (row,) = to_target.beside_tutorials().reset_index().to_dict("records")
    assert row == {"system": "S4-6", "plain loop": 100, "winner": 20, "part": 0.15}


@pytest.mark.parametrize("text", [None, '{"winner": "another", "rounds": []}'])
def test_what_was_not_measured_is_no_comparison(results, text):
    results.mkdir()
    if text:
        (results / "to-target-cpu.json").write_text(text)
    with pytest.raises(NoRecords, match="benchmarks/to_target.py"):
        to_target.beside_tutorials()
