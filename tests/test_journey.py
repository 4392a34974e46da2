"""The journey changes one thing at a time, and what it says of its steps is so."""

import re
from pathlib import Path

import pytest

from mnist_lib import journey
from mnist_lib.augment import RandomAffine
from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.per_image import PerImage

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

# recipe, its parent, and the only settings that may differ between the two
CHAIN = [
    ("01-plain", None, set()),
    ("02-skeleton", "01-plain", {"network"}),
    ("03-batch-norm", "02-skeleton", {"network"}),
    ("04-dropout", "03-batch-norm", {"network"}),
    ("05-augmentation", "03-batch-norm", {"augment"}),  # dropout was taken back
    ("05-albumentations", "05-augmentation", {"augment"}),
    ("06-step-decay", "05-augmentation", {"optimizer", "schedule"}),
    ("06-one-cycle", "05-augmentation", {"optimizer", "schedule"}),
    ("07-separable", "06-one-cycle", {"network"}),
    ("08-small", "07-separable", {"network"}),
    ("08-smaller", "08-small", {"network"}),
]
RECIPES = {recipe.name: recipe for recipe in journey.JOURNEY}


def test_the_journey_is_this_chain():
    parents = [
        (recipe.name, recipe.parent.name if recipe.parent else None) for recipe in journey.JOURNEY
    ]
    assert parents == [(name, parent) for name, parent, _ in CHAIN]
    assert len(RECIPES) == len(journey.JOURNEY)  # each name once


@pytest.mark.parametrize("name, parent, settings", CHAIN[1:], ids=[row[0] for row in CHAIN[1:]])
def test_a_step_changes_only_what_it_says(name, parent, settings):
    before, after = RECIPES[parent].settings(), RECIPES[name].settings()
    assert {setting for setting in after if after[setting] != before[setting]} == settings
    assert RECIPES[name].parent is RECIPES[parent]
    changed = {
        line[2:].split(" = ")[0] for line in RECIPES[name].changes().split("\n\n")[0].splitlines()
    }
    assert changed == settings


@pytest.mark.parametrize("recipe", journey.JOURNEY, ids=lambda recipe: recipe.name)
def test_every_step_has_the_same_frame(recipe):
    assert (recipe.epochs, recipe.holdout, recipe.batch_size) == (15, 5_000, 128)
    assert re.fullmatch(r"0[1-8]-[a-z]+(-[a-z]+)*", recipe.name)
    assert recipe.change and recipe.change[-1] != "."


def test_parents_come_first():
    for number, recipe in enumerate(journey.JOURNEY):
        assert recipe.parent is None or recipe.parent in journey.JOURNEY[:number]


def test_side_tracks_are_no_steps():
    steps = [recipe.name for recipe in journey.STEPS]
    side_tracks = {"05-albumentations", "06-step-decay", "08-smaller"}
    assert steps == [name for name in RECIPES if name not in side_tracks]
    assert journey.BEST in journey.STEPS
    for recipe in journey.STEPS:
        assert recipe.parent is None or recipe.parent in journey.STEPS


def test_the_best_is_the_step_that_meets_the_target():
    assert journey.BEST is RECIPES["06-one-cycle"]


# ---- notebooks ----------------------------------------------------------------------------------


def test_recipes_are_found_by_the_notebook_of_their_number():
    names = [recipe.name for recipe in journey.recipes_of("06_learning_rate")]
    assert names == ["06-step-decay", "06-one-cycle"]
    assert journey.recipes_of("06") == journey.recipes_of("06_learning_rate.ipynb")
    assert journey.recipes_of("09_where_it_fails") == [] == journey.recipes_of("10_more")


def test_every_recipe_has_its_notebook_and_the_last_three_have_none():
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert numbers == [f"{number:02d}" for number in range(1, 12)]
    found = [recipe for path in NOTEBOOKS for recipe in journey.recipes_of(path.stem)]
    assert found == journey.JOURNEY
    assert [path.stem[:2] for path in NOTEBOOKS if not journey.recipes_of(path.stem)] == [
        "09",
        "10",
        "11",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_trains_the_recipes_of_its_number(path: Path):
    text = path.read_text(encoding="utf-8")
    used = {
        recipe.name
        for recipe in journey.JOURNEY
        for name in constants(recipe, text)
        if re.search(rf"\bfit\({name},", text)
    }
    assert used == {recipe.name for recipe in journey.recipes_of(path.stem)}


def constants(recipe, text: str) -> list[str]:
    """The names of a recipe in a notebook: its own, and RECIPE where it is imported so."""
    names = [name for name, value in vars(journey).items() if value is recipe]
    return names + ["RECIPE"] * any(f"import {name} as RECIPE" in text for name in names)


# ---- augmentation -------------------------------------------------------------------------------


def test_the_batched_augmentation_has_the_ranges_of_the_pipeline():
    single, batched = RECIPES["05-albumentations"].augment, RECIPES["05-augmentation"].augment
    assert isinstance(single, PerImage) and isinstance(batched, RandomAffine)
    (step,) = single.pipeline.transforms
    said = step.to_dict()["transform"]
    ranges = {
        "rotate": symmetric(batched.degrees),
        "translate_percent": dict.fromkeys("xy", symmetric(batched.translate)),
        "scale": dict.fromkeys("xy", pytest.approx((1 - batched.scale, 1 + batched.scale))),
        "shear": {"x": symmetric(batched.shear), "y": (0, 0)},
    }
    assert {name: ranges_of(said[name]) for name in ranges} == ranges
    assert said["keep_ratio"] and said["p"] == single.pipeline.p == 1.0
    assert said["interpolation"] == 1 and said["border_mode"] == 0  # bilinear, black outside
    assert said["fill"] == 0


def symmetric(limit: float):
    return pytest.approx((-limit, limit))


def ranges_of(value):
    """A range as a tuple, whether albumentations wrote it out for x and y or as a list."""
    if isinstance(value, dict):
        return {axis: tuple(limits) for axis, limits in value.items()}
    return tuple(value)
