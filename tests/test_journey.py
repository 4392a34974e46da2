"""The journey changes one thing at a time, and what it says of its steps is so."""

import pytest

from mnist_lib import journey
from mnist_lib.augment import PerImage, RandomAffine

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


def test_the_journey_is_this_chain_and_each_step_changes_only_what_it_says():
    assert [recipe.name for recipe in journey.JOURNEY] == [name for name, _, _ in CHAIN]
    for name, parent, changed in CHAIN:
        recipe = RECIPES[name]
        assert recipe.parent is (RECIPES[parent] if parent else None), name
        assert (recipe.epochs, recipe.folds, recipe.batch_size) == (15, 10, 128), name
        if parent:
            before, after = RECIPES[parent].settings(), recipe.settings()
            assert {key for key in after if after[key] != before[key]} == changed, name


def test_variants_stand_beside_the_steps():
    assert {recipe.name for recipe in journey.VARIANTS} == {
        "05-albumentations", "06-step-decay", "08-smaller",
    }  # fmt: skip
    assert all(recipe.parent in (None, *journey.STEPS) for recipe in journey.STEPS)
    assert journey.BEST is RECIPES["06-one-cycle"]


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
