"""The race for seconds: its networks, its fairness, and what is said about it."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from mnist_lib import fast, report
from mnist_lib.fast import PUBLISHED, STEPS, load_race, race, save_race, summary, without_test
from mnist_lib.jobs import Job, is_finished
from mnist_lib.results import PROJECT
from mnist_lib.summary import count_parameters

PARAMETERS = [215_194, 141_466, 138_954, 139_002, 72_058]


def small(recipe):
    return replace(recipe, batch_size=64, holdout=192)


def test_the_networks_have_the_sizes_of_the_page():
    assert [count_parameters(step.network()) for step in STEPS] == PARAMETERS
    for step in STEPS:
        assert step.network()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_each_step_is_one_change_of_the_step_before():
    assert all(after.parent is before for before, after in zip(STEPS, STEPS[1:], strict=False))
    for step in STEPS[1:]:
        changed = {k for k, v in step.settings().items() if step.parent.settings()[k] != v}
        assert changed == {"network"}


def test_the_published_recipe_is_that_of_its_author():
    layers = [str(tuple(p.shape)) for p in PUBLISHED.network().parameters() if p.dim() > 1]
    assert layers == ["(24, 1, 5, 5)", "(32, 24, 3, 3)", "(256, 800)", "(10, 256)"]
    assert (PUBLISHED.epochs, PUBLISHED.batch_size, PUBLISHED.augment) == (1, 256, None)
    assert PUBLISHED.optimizer.betas == (0.7, 0.9) and PUBLISHED.schedule.peak == 0.01


def test_a_crop_takes_away_the_border():
    images = torch.arange(28 * 28.0).view(1, 1, 28, 28)
    assert torch.equal(fast.Crop(2)(images), images[..., 2:26, 2:26])


def test_a_race_trains_every_recipe_with_every_seed_in_turn(synthetic, capsys):
    recipes = [small(STEPS[0]), small(STEPS[-1])]
    table = race(recipes, synthetic, [1, 2], "cpu")
    assert list(table["seed"]) == [1, 1, 2, 2]
    assert list(table["recipe"]) == ["published", "half-hidden"] * 2
    assert (table["seconds"] > 0).all() and table["test_accuracy"].between(0, 1).all()
    assert set(table["device"]) == {"cpu"}
    assert "epoch" not in capsys.readouterr().out


def test_who_chooses_sees_no_test_images(synthetic):
    blind = without_test(synthetic)
    assert len(blind.test_labels) == len(blind.test_images) == 0
    assert len(blind.train_labels) == len(synthetic.train_labels)
    table = race([small(PUBLISHED)], blind, [1], "cpu")
    assert "test_accuracy" not in table and "validation_accuracy" in table


RACE = pd.DataFrame(
    {
        "recipe": ["a", "b"] * 3,
        "seed": [1, 1, 2, 2, 3, 3],
        "seconds": [4.0, 2.0, 5.0, 2.6, 6.0, 3.0],
        "test_accuracy": [0.99, 0.98, 0.99, 0.99, 0.99, 1.0],
        "device": "cpu",
        "threads": 2,
    }
)


def test_the_summary_compares_seed_by_seed_with_the_first():
    table = summary(RACE, "test_accuracy")
    assert list(table.index) == ["a", "b"] and list(table["seeds"]) == [3, 3]
    assert table.loc["a", "seconds"] == "5.00 ± 1.00"
    assert table.loc["a", "time relative to the first"] == "1.00 [1.00, 1.00]"
    # 0.50, 0.52, 0.50: mean 0.5067, standard error 0.00667, t = 4.303
    assert table.loc["b", "time relative to the first"] == "0.51 [0.48, 0.54]"
    assert table.loc["b", "test accuracy"] == "99.00 ± 1.00 %"


def test_a_race_is_kept_and_read_back(results):
    with pytest.raises(FileNotFoundError, match="run 11 makes it"):
        load_race("final")
    save_race(RACE, "final")
    pd.testing.assert_frame_equal(load_race("final"), RACE)
    assert (results / "fast-final.csv").exists()


def test_a_shortened_race_stays_away_from_the_recorded_one(results, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    path = save_race(RACE, "final")
    assert "short" in path.parts and not (results / "fast-final.csv").exists()


def test_the_readme_tells_the_recorded_race(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    assert report.fastest() in (PROJECT / "README.md").read_text(encoding="utf-8")
    final = load_race("final")
    assert final.groupby("recipe")["seed"].nunique().min() >= 20
    assert set(final["recipe"]) == {STEPS[0].name, STEPS[-1].name}
    assert fast.is_recorded()
    for path in (PROJECT / "results").glob("speed-*.json"):
        assert report.speed(path) in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_an_interrupted_race_is_none(synthetic, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mnist_lib.train.train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        race([small(PUBLISHED)], synthetic, [1], "cpu")


def test_a_recorded_race_is_not_run_again_until_a_recipe_changes(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    monkeypatch.setattr(Job, "executed", lambda job, kind="": PROJECT / "nowhere")
    job = Job(PROJECT / "notebooks" / "11_as_fast_as_possible.ipynb", 1)
    assert is_finished(job, set(), renew=False)
    assert not is_finished(job, set(), renew=True)
    for steps in (
        [replace(STEPS[0], batch_size=128), *STEPS[1:]],
        [*STEPS[:-1], fast.TRIED[0]],  # recorded, but not as the last step of the final race
    ):
        monkeypatch.setattr(fast, "STEPS", steps)
        assert not is_finished(job, set(), renew=False)
