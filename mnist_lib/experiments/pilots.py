"""The candidates of each choice; the first one is what the others are compared with."""

from dataclasses import replace
from functools import partial

from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.experiments.small_networks import (
    as_wide_as,
    dense_again,
    early,
    full_again,
    late,
    small_again,
    wide,
    wide_again,
)
from mnist_lib.journey import ONE_CYCLE, SMALL
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised, skeleton
from mnist_lib.recipes import SGD, Constant, OneCycle, Recipe


def alone(recipe: Recipe, name: str, change: str, **changes) -> Recipe:
    """A candidate of its own, compared with others and not with a parent."""
    return replace(recipe, name=name, change=change, parent=None, **changes)


# ---- the network of steps 02 to 06, with the recipe of step 06: there it has to be good ----------


def full() -> nn.Sequential:
    """Three unpadded layers before the pooling, a transition, three layers after it."""
    return nn.Sequential(
        conv_norm_relu(1, 8),
        conv_norm_relu(8, 12),
        conv_norm_relu(12, 12, pool=2),
        conv_norm_relu(12, 8, kernel=1),
        conv_norm_relu(8, 12),
        conv_norm_relu(12, 16),
        conv_norm_relu(16, 18),
        average_and_classify(18),
    )


def two() -> nn.Sequential:
    """Two layers before the pooling, a transition, three layers, the first of them padded."""
    return nn.Sequential(
        conv_norm_relu(1, 10),
        conv_norm_relu(10, 14, pool=2),
        conv_norm_relu(14, 8, kernel=1),
        conv_norm_relu(8, 14, padding=1),
        conv_norm_relu(14, 16),
        conv_norm_relu(16, 18),
        average_and_classify(18),
    )


def bare() -> nn.Sequential:
    """Three layers before the pooling, three after it, and no transition."""
    return nn.Sequential(
        conv_norm_relu(1, 8),
        conv_norm_relu(8, 12),
        conv_norm_relu(12, 12, pool=2),
        conv_norm_relu(12, 12),
        conv_norm_relu(12, 15),
        conv_norm_relu(15, 18),
        average_and_classify(18),
    )


STRONG = RandomAffine(degrees=7, translate=0.07, scale=0.1, shear=5)  # before it was chosen
EARLY = alone(ONE_CYCLE, "02-early", "5x5, pooled at once, five layers", augment=STRONG)
NETWORKS = [
    EARLY,
    EARLY.but("02-full", "three 3x3, pooled, three layers", network=full),
    EARLY.but("02-two", "two 3x3, pooled, three layers", network=two),
    EARLY.but("02-bare", "three 3x3, pooled, no transition", network=bare),
]

# ---- the augmentation of step 05, again with the recipe of step 06 -------------------------------

NONE = alone(ONE_CYCLE, "05-none", "the digits as they are", augment=None)
MILD = alone(ONE_CYCLE, "05-mild", "up to 5 degrees, 5 %, 5 %, 3 degrees")
AUGMENTATIONS = [
    NONE,
    MILD,
    EARLY,
]

# ---- what the finished recipe of step 06 owes to each of its ingredients -------------------------


def with_head() -> nn.Sequential:
    """The network of step 06 with a linear layer on the whole map in place of the average."""
    *layers, _ = normalised()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(13 * 6 * 6, 10))


TAKE_OUTS = [
    MILD,
    alone(ONE_CYCLE, "09-no-normalisation", "biases in its place", network=skeleton),
    NONE,
    alone(ONE_CYCLE, "09-no-cycle", "0.15 throughout", schedule=Constant()),
    alone(ONE_CYCLE, "09-head", "a linear layer in place of the average", network=with_head),
    alone(ONE_CYCLE, "09-dropout", "dropout of 5 % put in", network=partial(normalised, 0.05)),
]

# ---- second tries of steps 06 and 08, which missed their targets ---------------------------------

DECAYED = SGD(learning_rate=0.15, momentum=0.9, weight_decay=5e-4)
SECOND_06 = [
    MILD,
    alone(ONE_CYCLE, "06-batches-of-64", "64 digits a batch in place of 128", batch_size=64),
    alone(ONE_CYCLE, "06-weight-decay", "weight decay of 0.0005", optimizer=DECAYED),
]
SECOND_08 = [
    alone(SMALL, "08-as-before", "20 channels in place of 24"),
    alone(SMALL, "08-batches-of-64", "64 digits a batch in place of 128", batch_size=64),
    alone(SMALL, "08-weight-decay", "weight decay of 0.0005", optimizer=DECAYED),
    alone(SMALL, "08-no-augmentation", "the digits as they are", augment=None),
]

# ---- first looks for notebooks 12 and 13, on the first fold only ---------------------------------


def look(name: str, network, change: str = "", **changes) -> Recipe:
    """The recipe of step 06 with another network, described by its docstring unless by this."""
    change = change or network.__doc__.rstrip(".").lower()
    return alone(ONE_CYCLE, name, change, network=network, **changes)


UPRIGHT_06 = look("12-upright", partial(early, is_upright=True), "step 06, digits upright")
LOOKS = [
    look("12-wide", wide),
    look("12-dense-again", dense_again),
    look("12-wide-again", wide_again),
    look("12-full-again", full_again),
    UPRIGHT_06,
    look("13-upright", partial(small_again, is_upright=True), "digits upright"),
    look("13-again", small_again),
    look("13-wider-again", partial(small_again, 28, 0, 4), "28 channels, used four times"),
    look("13-again-batches-of-64", small_again, batch_size=64),
]

# ---- notebook 12: fewer than 8,000 parameters, from step 06 --------------------------------------

LATE = MILD.but(
    "12-late", "four dense layers after a late pooling, digits upright",
    network=as_wide_as(7_999, partial(late, first=12, squeezed=6, depth=4, is_upright=True)),
)  # fmt: skip
MORE_STEPS = LATE.but(
    "12-more-steps", "64 digits a batch, the rate up to 0.25",
    optimizer=SGD(0.25, momentum=0.9), schedule=OneCycle(0.25), batch_size=64,
)  # fmt: skip
BELOW_8000 = [MILD, UPRIGHT_06, LATE, MORE_STEPS]

# ---- notebook 13: at most 2,000 parameters -------------------------------------------------------

early_again = partial(small_again, is_early=True)
upright_again = partial(early_again, is_upright=True)

POOLED = alone(
    ONE_CYCLE, "13-pooled", "separable, one layer used three times, pooled at once",
    network=as_wide_as(2_000, early_again),
)  # fmt: skip
UPRIGHT = POOLED.but(
    "13-pooled-upright", "digits upright", network=as_wide_as(2_000, upright_again)
)
FASTER = UPRIGHT.but(
    "13-faster", "the rate up to 0.5",
    optimizer=SGD(0.5, momentum=0.9), schedule=OneCycle(0.5),
)  # fmt: skip
DEEPER = FASTER.but(
    "13-deeper", "two layers and one used four times",
    network=as_wide_as(2_000, partial(upright_again, first=9, distinct=2, uses=4)),
)  # fmt: skip
GENTLER = DEEPER.but(
    "13-gentler", "moved by up to 3 degrees, 3 %, 3 %, 2 degrees",
    augment=RandomAffine(degrees=3, translate=0.03, scale=0.03, shear=2),
)  # fmt: skip
SMALLER_BATCHES = FASTER.but("13-smaller-batches", "64 digits a batch", batch_size=64)
LATER = FASTER.but(
    "13-later", "pooled after the second layer",
    network=as_wide_as(2_000, partial(small_again, is_upright=True)),
)  # fmt: skip
AT_MOST_2000 = [FASTER, UPRIGHT, POOLED, DEEPER, GENTLER, SMALLER_BATCHES, LATER]

# ---- notebook 13: at most 1,000 parameters -------------------------------------------------------

TINY = FASTER.but(
    "13-tiny", "half the parameters: one layer less",
    network=as_wide_as(1_000, partial(upright_again, first=7, distinct=0)),
)  # fmt: skip
TINY_GENTLER = TINY.but("13-tiny-gentler", GENTLER.change, augment=GENTLER.augment)
AT_MOST_1000 = [TINY, TINY_GENTLER]

# all have been tried
CHOICES = [NETWORKS, AUGMENTATIONS, TAKE_OUTS, SECOND_06, SECOND_08]  # one setting against another
FRONTIER = [LOOKS, BELOW_8000, AT_MOST_2000, AT_MOST_1000]

# ---- what was registered: nothing is left to choose, so they learn from all digits ---------------

ALL_DIGITS = {"change": "all 60,000 digits to learn from", "folds": 0}
ACCURATE = MILD.but("12-accurate", **ALL_DIGITS)
TWO_THOUSAND = FASTER.but("13-two-thousand", **ALL_DIGITS)
ONE_THOUSAND = TINY.but("13-one-thousand", **ALL_DIGITS)
WINNERS = [ACCURATE, TWO_THOUSAND, ONE_THOUSAND]
