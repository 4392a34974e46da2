"""The candidates of each choice; the first one is what the others are compared with."""

from dataclasses import replace
from functools import partial

from torch import nn

from mnist_lib.journey import ONE_CYCLE, SMALL, WIDER
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised, separable, skeleton
from mnist_lib.recipes import Constant, Recipe

# ---- the network of steps 02 to 06, with the recipe of step 06: there it has to be good ----------


def early() -> nn.Sequential:
    """A 5x5 layer pooled at once, a transition, five layers, two of them padded."""
    return nn.Sequential(
        conv_norm_relu(1, 12, kernel=5, pool=2),
        conv_norm_relu(12, 8, kernel=1),
        conv_norm_relu(8, 13, padding=1),
        conv_norm_relu(13, 13, padding=1),
        conv_norm_relu(13, 13),
        conv_norm_relu(13, 13),
        conv_norm_relu(13, 13),
        average_and_classify(13),
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


def alone(recipe: Recipe, name: str, change: str, **changes) -> Recipe:
    """A candidate of its own, compared with others and not with a parent."""
    return replace(recipe, name=name, change=change, parent=None, **changes)


EARLY = alone(ONE_CYCLE, "02-early", "5x5, pooled early, five layers", network=early)
FULL = alone(ONE_CYCLE, "02-full", "three 3x3, pooled late, three layers", network=normalised)
NETWORKS = [
    EARLY,
    FULL,
    alone(ONE_CYCLE, "02-two", "two 3x3, pooled, three layers", network=two),
    alone(ONE_CYCLE, "02-bare", "pooled late, no transition", network=bare),
]

# ---- the shape of step 07, at most 4,392 parameters, and of step 08, below 3,000 ---------------


def narrow_late(width: int = 24) -> nn.Sequential:
    """Pooled after two layers, then four separable ones of equal width, the first padded."""
    return nn.Sequential(
        conv_norm_relu(1, 8),
        separable(8, 16, pool=2),
        separable(16, width, padding=1),
        separable(width, width),
        separable(width, width),
        separable(width, width),
        average_and_classify(width),
    )


SHAPES = [
    alone(WIDER, "07-equal", "pooled after two layers, 24 channels", network=narrow_late),
    alone(WIDER, "07-growing", "pooled after three layers, 16 to 32 channels"),
]
SMALL_SHAPES = [
    alone(SMALL, "08-equal", "pooled after two layers, 20", network=partial(narrow_late, 20)),
    alone(SMALL, "08-growing", "pooled after three layers, 12 to 26 channels"),
]

# ---- what the finished recipe of step 06 owes to each of its ingredients ------------------------


def with_head() -> nn.Sequential:
    """The network of step 06 with a linear layer on the whole map in place of the average."""
    *layers, _ = normalised()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(18 * 5 * 5, 10))


TAKE_OUTS = [
    FULL,
    alone(ONE_CYCLE, "09-no-normalisation", "biases in its place", network=skeleton),
    alone(ONE_CYCLE, "09-no-augmentation", "the digits as they are", augment=None),
    alone(ONE_CYCLE, "09-no-cycle", "0.15 throughout", schedule=Constant()),
    alone(ONE_CYCLE, "09-head", "a linear layer on the whole map", network=with_head),
    alone(ONE_CYCLE, "09-dropout", "dropout of 5 % put in", network=partial(normalised, 0.05)),
]
