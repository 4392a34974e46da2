"""The journey changes one thing at a time, and what it says of its steps is so."""

import math

import pytest

from mnist_lib import journey
from mnist_lib.augment import PerImage, RandomAffine
from mnist_lib.summary import count_parameters

# recipe, its parameters, its parent, and the only settings that may differ between the two
CHAIN = [
    ("01-plain", 27_562, None, set()),
    ("02-skeleton", 7_641, "01-plain", {"network"}),
    ("03-batch-norm", 7_726, "02-skeleton", {"network"}),
    ("04-dropout", 7_726, "03-batch-norm", {"network"}),  # dropout has no parameters
    ("05-augmentation", 7_726, "03-batch-norm", {"augment"}),  # dropout was taken back
    ("05-albumentations", 7_726, "05-augmentation", {"augment"}),
    ("06-higher-rate", 7_726, "05-augmentation", {"optimizer"}),
    ("06-step-decay", 7_726, "06-higher-rate", {"schedule"}),
    ("06-one-cycle", 7_726, "06-higher-rate", {"schedule"}),
    ("07-separable", 2_026, "06-one-cycle", {"network"}),
    ("07-wider", 3_666, "07-separable", {"network"}),
    ("08-small", 2_894, "07-wider", {"network"}),
    ("08-smaller", 2_218, "08-small", {"network"}),
]
RECIPES = {recipe.name: recipe for recipe in journey.JOURNEY}


def test_the_journey_is_this_chain():
    assert [*RECIPES] == [name for name, *_ in CHAIN]
    assert all(recipe.parent in (None, *journey.STEPS) for recipe in journey.STEPS)
    assert journey.BEST is RECIPES["06-one-cycle"]


@pytest.mark.parametrize(("name", "parameters", "parent", "changed"), CHAIN)
def test_each_step_has_its_size_and_changes_only_what_it_says(name, parameters, parent, changed):
    recipe = RECIPES[name]
    assert recipe.parent is RECIPES.get(parent)
    assert (recipe.epochs, recipe.folds, recipe.batch_size) == (15, 10, 128)
    assert count_parameters(recipe.network()) == parameters
    target = journey.TARGETS.get(name)
    assert target is None or parameters <= (target.max_parameters or math.inf)
    if recipe.parent:
        before, after = recipe.parent.settings(), recipe.settings()
        assert {key for key in after if after[key] != before[key]} == changed


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
    assert said["interpolation"] == 1 and said["border_mode"] == said["fill"] == 0  # black outside


def symmetric(limit: float):
    return pytest.approx((-limit, limit))


def ranges_of(value):
    """A range as a tuple, whether albumentations wrote it out for x and y or as a list."""
    if isinstance(value, dict):
        return {axis: tuple(limits) for axis, limits in value.items()}
    return tuple(value)
