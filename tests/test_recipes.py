"""A recipe says all that decides a run, compares with its parent, and has a lasting fingerprint."""

from dataclasses import replace
from functools import partial

import albumentations as A
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms import v2

from mnist_lib.augment import RandomAffine
from mnist_lib.engine.checks import LARGEST_SEED
from mnist_lib.engine.per_image import PerImage
from mnist_lib.experiments.augmentations import Chain
from mnist_lib.recipes import SGD, Adam, Constant, OneCycle, Recipe, StepDecay


def narrow(width: int = 4, dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        nn.Flatten(),
    )


def forgetful(width: int = 4, dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.Dropout(dropout), nn.Flatten())


def deep(width: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        nn.ReLU(),
        nn.Flatten(),
    )


class Shift:
    """An augmentation as somebody might write it, without a repr of its own."""

    def __init__(self, pixels: int):
        self.pixels = pixels

    def __call__(self, images, generator):
        return images.roll(self.pixels, dims=3)


@pytest.fixture
def base() -> Recipe:
    return Recipe("00-base", "the beginning", narrow, SGD(0.1))


def albumentation(degrees: int) -> PerImage:
    return PerImage(A.Compose([A.Affine(rotate=(-degrees, degrees), p=1.0)]))


OTHER_SETTINGS = [
    {"network": deep},
    {"network": partial(narrow, width=8)},
    {"network": partial(forgetful, width=8, dropout=0.1)},
    {"network": partial(forgetful, width=8, dropout=0.2)},
    {"optimizer": SGD(0.2)},
    {"optimizer": SGD(0.1, momentum=0.8)},
    {"optimizer": SGD(0.1, weight_decay=1e-4)},
    {"optimizer": Adam(0.1)},
    {"schedule": StepDecay(3)},
    {"schedule": StepDecay(4)},
    {"schedule": OneCycle(0.1)},
    {"schedule": OneCycle(0.1, cycle_momentum=True)},
    {"augment": RandomAffine(5)},
    {"augment": RandomAffine(5, 0.1)},
    {"augment": albumentation(5)},
    {"augment": albumentation(10)},
    {"augment": PerImage(A.Compose([A.Affine(rotate=(-5, 5), p=0.5)]))},
    {"augment": PerImage(v2.RandomRotation(5))},
    {"augment": PerImage(v2.RandomRotation(10))},
    {"augment": PerImage(v2.RandomApply([v2.RandomRotation(10)], p=0.1))},
    {"augment": PerImage(v2.RandomApply([v2.RandomRotation(10)], p=0.2))},
    {"augment": PerImage(A.Compose([A.Affine(rotate=(-5, 5), p=1.0)], p=0.5))},
    {"augment": Shift(1)},
    {"augment": Shift(2)},
    {"augment": Chain((Shift(1), Shift(1)))},
    {"augment": Chain((Shift(1), Shift(2)))},
    {"batch_size": 64},
    {"epochs": 14},
    {"folds": 0},
]


def test_but_changes_what_is_named_and_remembers_where_it_came_from(base):
    step = base.but("01-step", "smaller batches", batch_size=64)
    assert step == replace(base, name="01-step", change="smaller batches", batch_size=64)
    assert step.parent is base and base.parent is None and base.batch_size == 128
    assert step.but("02-step", "longer", epochs=20).parent is step


@pytest.mark.parametrize("name", ["01", "S3-x5", "06-one-cycle", "a", "my_net.v2"])
def test_names_of_letters_and_digits_are_taken(base, name):
    assert base.but(name, "a name").name == name


@pytest.mark.parametrize(
    "name",
    ["mine[1]", "../x", "", "a/b", "a b", ".hidden", "x.", "-x", "x-", "a*", "größer", "a\n", "."],
)
def test_names_that_are_no_folders_are_refused(base, name):
    with pytest.raises(ValueError, match="is no recipe's name: use letters, digits"):
        base.but(name, "a name")
    with pytest.raises(ValueError, match="is no recipe's name"):
        Recipe(name, "a name", narrow, SGD(0.1))


def test_but_refuses_what_no_recipe_has(base):
    with pytest.raises(TypeError, match="learning_rate"):
        base.but("01-step", "a slip", learning_rate=0.2)


def test_ten_seeds_in_turn_hold_out_ten_folds(base):
    assert [base.fold(seed) for seed in range(1, 11)] == list(range(1, 11))
    assert [base.fold(seed) for seed in range(11, 21)] == list(range(1, 11))
    assert base.fold(0) == 10
    assert {replace(base, folds=0).fold(seed) for seed in range(30)} == {0}


@given(seed=st.integers(0, LARGEST_SEED))
def test_a_seed_has_one_fold_and_its_tenth_follower_the_same(seed):
    recipe = Recipe("00-base", "the beginning", narrow, SGD(0.1))
    assert 1 <= recipe.fold(seed) <= 10 and recipe.fold(seed + 10) == recipe.fold(seed)
    assert len({recipe.fold(seed + more) for more in range(10)}) == 10


@pytest.mark.parametrize("folds", [1, 5, 9, 11, -10, 2.5, "10", None])
def test_another_number_of_folds_is_refused(base, folds):
    message = f"'01-step' has {folds!r} folds; it can have 10 or 0"
    with pytest.raises(ValueError, match=message):
        base.but("01-step", "other folds", folds=folds)


def test_any_setting_changes_the_fingerprint(base):
    others = [base.but("00-base", "the beginning", **changes) for changes in OTHER_SETTINGS]
    fingerprints = {recipe.fingerprint() for recipe in [base, *others]}
    assert len(fingerprints) == len(OTHER_SETTINGS) + 1


def test_settings_given_by_position_count_too(base):
    recipes = [base.but("00", "wider", network=partial(narrow, width)) for width in (8, 9)]
    assert [recipe.settings()["network"] for recipe in recipes] == ["narrow(8)", "narrow(9)"]
    both = base.but("00", "wider", network=partial(narrow, 8, dropout=0.1))
    assert both.settings()["network"] == "narrow(8, dropout=0.1)"


def test_names_and_words_do_not(base):
    same = base.but("07-other", "other words")
    written_out = replace(base, network=narrow, schedule=Constant(), epochs=15)
    assert same.fingerprint() == base.fingerprint() == written_out.fingerprint()
    again = [base.but("a", "b", augment=albumentation(5)).fingerprint() for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("changes", OTHER_SETTINGS, ids=lambda changes: next(iter(changes)))
def test_settings_are_readable_text_without_addresses(base, changes):
    settings = base.but("01-step", "something", **changes).settings()
    assert set(settings) == {
        "network", "optimizer", "schedule", "augment", "batch_size", "epochs", "folds",
    }  # fmt: skip
    assert all(isinstance(text, str) and "0x" not in text for text in settings.values())


def test_settings_say_what_was_asked_for(base):
    step = base.but("01", "much", network=partial(narrow, width=8), augment=albumentation(7))
    settings = step.settings()
    assert settings["network"] == "narrow(width=8)"
    assert settings["optimizer"] == "SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0)"
    assert settings["epochs"] == "15" and settings["folds"] == "10"
    assert "Affine" in settings["augment"] and "-7" in settings["augment"]


def test_changes_name_exactly_what_changed(base):
    step = base.but("01-step", "shorter, in small batches", batch_size=64, epochs=5)
    assert step.changes().splitlines() == [
        "- batch_size = 128",
        "+ batch_size = 64",
        "- epochs = 15",
        "+ epochs = 5",
    ]
    assert base.but("01-step", "nothing").changes() == ""
    dropout = base.but("01-step", "dropout", network=partial(narrow, dropout=0.1))
    assert dropout.changes() == "- network = narrow\n+ network = narrow(dropout=0.1)"


def test_changes_show_the_source_of_a_new_network(base):
    lines = base.but("01-step", "an activation", network=deep).changes().splitlines()
    assert lines[:3] == ["- network = narrow", "+ network = deep", ""]
    marked = [line for line in lines[3:] if line[0] in "+-"]
    assert marked == [
        "-def narrow(width: int = 4, dropout: float = 0.0) -> nn.Sequential:",
        "+def deep(width: int = 4) -> nn.Sequential:",
        "+        nn.ReLU(),",
    ]
    assert " " * 9 + "nn.Flatten()," in lines  # with what stays, for the eye


def test_the_first_recipe_lists_all_its_settings(base):
    assert [line.split(" = ")[0] for line in base.changes().splitlines()] == [
        f"+ {name}" for name in base.settings()
    ]
