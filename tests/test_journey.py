"""The journey changes one thing at a time, and what it says of its steps is so."""

import re
from pathlib import Path

import pytest
from torch import nn

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
    ("06-higher-rate", "05-augmentation", {"optimizer"}),
    ("06-step-decay", "06-higher-rate", {"schedule"}),
    ("06-one-cycle", "06-higher-rate", {"schedule"}),
    ("07-separable", "06-one-cycle", {"network"}),
    ("07-wider", "07-separable", {"network"}),
    ("08-small", "07-wider", {"network"}),
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
    assert (recipe.epochs, recipe.folds, recipe.batch_size) == (15, 10, 128)
    assert re.fullmatch(r"0[1-8]-[a-z]+(-[a-z]+)*", recipe.name)
    assert recipe.change and recipe.change[-1] != "."


# ---- one change a step, as the layers show it ---------------------------------------------------


def layers(name: str, *kinds: type) -> list[nn.Module]:
    """The layers of these kinds, in order."""
    return [layer for layer in RECIPES[name].network().modules() if isinstance(layer, kinds)]


def windows(name: str) -> list[tuple]:
    """Kernel, padding, and channels in and out of every convolution; pooling as it comes."""
    return [
        (each.kernel_size, each.padding, each.in_channels, each.out_channels)
        if isinstance(each, nn.Conv2d)
        else each.kernel_size
        for each in layers(name, nn.Conv2d, nn.MaxPool2d)
    ]


def kinds(name: str) -> list[str]:
    """The names of all layers that have none inside."""
    every = RECIPES[name].network().modules()
    return [type(layer).__name__ for layer in every if not list(layer.children())]


def test_step_03_adds_normalisation_and_takes_the_biases_that_it_would_undo():
    assert windows("03-batch-norm") == windows("02-skeleton")
    without = [kind for kind in kinds("03-batch-norm") if kind != "BatchNorm2d"]
    assert without == kinds("02-skeleton")
    assert all(layer.bias is not None for layer in layers("02-skeleton", nn.Conv2d))
    assert all(layer.bias is None for layer in layers("03-batch-norm", nn.Conv2d))
    assert len(layers("03-batch-norm", nn.BatchNorm2d)) == len(layers("03-batch-norm", nn.Conv2d))


def test_step_04_adds_dropout_and_nothing_else():
    assert windows("04-dropout") == windows("03-batch-norm")
    assert {layer.p for layer in layers("04-dropout", nn.Dropout)} == {0.05}
    assert [kind for kind in kinds("04-dropout") if kind != "Dropout"] == kinds("03-batch-norm")


def test_step_07_first_changes_the_kind_of_convolution_and_no_shape():
    """A depthwise and a pointwise convolution in place of each 3x3 one that mixes channels."""
    expected = []
    for window in windows("06-one-cycle"):
        if isinstance(window, tuple) and window[0] == (3, 3) and window[2] > 1:
            kernel, padding, n_in, n_out = window
            expected += [(kernel, padding, n_in, n_in), ((1, 1), (0, 0), n_in, n_out)]
        else:
            expected.append(window)
    assert windows("07-separable") == expected
    depthwise = [c for c in layers("07-separable", nn.Conv2d) if c.groups > 1]
    assert all(c.groups == c.in_channels == c.out_channels for c in depthwise)
    assert len(depthwise) == 5 and all(c.kernel_size == (3, 3) for c in depthwise)


@pytest.mark.parametrize("name", ["08-small", "08-smaller"])
def test_step_08_only_has_fewer_channels(name):
    assert kinds(name) == kinds("07-wider")
    for smaller, before in zip(windows(name), windows("07-wider"), strict=True):
        if isinstance(before, tuple):
            assert smaller[:2] == before[:2]
            assert smaller[2] <= before[2] and smaller[3] <= before[3]
        else:
            assert smaller == before


def test_a_second_change_in_one_step_would_be_seen():
    assert windows("07-wider") != windows("07-separable")
    assert kinds("07-wider") != kinds("07-separable")  # its transition is gone


# ---- steps and side tracks ----------------------------------------------------------------------


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
    assert names == ["06-higher-rate", "06-step-decay", "06-one-cycle"]
    assert journey.recipes_of("06") == journey.recipes_of("06_learning_rate.ipynb")
    assert journey.recipes_of("09_where_it_fails") == [] == journey.recipes_of("10_more")


def test_every_recipe_has_its_notebook_and_the_last_six_have_none():
    found = [recipe for path in NOTEBOOKS for recipe in journey.recipes_of(path.stem)]
    assert found == journey.JOURNEY
    others = [path.stem[:2] for path in NOTEBOOKS if not journey.recipes_of(path.stem)]
    assert others == [f"{number:02d}" for number in range(9, 15)]


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
