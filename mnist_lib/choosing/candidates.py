"""The candidates of each choice; the first one is what the others are compared with."""

from dataclasses import replace
from functools import partial

from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.journey import ONE_CYCLE, SMALL
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised, skeleton
from mnist_lib.recipes import SGD, Constant, Recipe


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
CHOICES = [NETWORKS, AUGMENTATIONS, TAKE_OUTS, SECOND_06, SECOND_08]  # all have been tried
