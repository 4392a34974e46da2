"""The candidates of each choice; the first one is what the others are compared with."""

from dataclasses import replace
from functools import partial

from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised
from mnist_lib.recipes import SGD, OneCycle, Recipe


def full(a=8, b=12, c=12, squeeze=8, d=12, e=16, f=18) -> nn.Sequential:
    """Three unpadded 3x3 layers at full resolution, one pooling, a transition, three layers."""
    return nn.Sequential(
        conv_norm_relu(1, a),
        conv_norm_relu(a, b),
        conv_norm_relu(b, c, pool=2),
        *([conv_norm_relu(c, squeeze, kernel=1)] if squeeze else []),
        conv_norm_relu(squeeze or c, d),
        conv_norm_relu(d, e),
        conv_norm_relu(e, f),
        average_and_classify(f),
    )


def two(a=10, b=14, squeeze=8, d=14, e=16, f=18) -> nn.Sequential:
    """Two unpadded 3x3 layers before the pooling, one layer after it padded."""
    return nn.Sequential(
        conv_norm_relu(1, a),
        conv_norm_relu(a, b, pool=2),
        conv_norm_relu(b, squeeze, kernel=1),
        conv_norm_relu(squeeze, d, padding=1),
        conv_norm_relu(d, e),
        conv_norm_relu(e, f),
        average_and_classify(f),
    )


EARLY = replace(
    ONE_CYCLE, name="02-early", change="5x5, pooled early, squeezed, five layers",
    network=normalised, parent=None,
)  # fmt: skip
FULL = EARLY.but("02-full", "three 3x3 before the pooling, squeezed, three layers", network=full)
NETWORKS = [
    EARLY,
    FULL,
    EARLY.but("02-two", "two 3x3 before the pooling, squeezed, three layers", network=two),
    EARLY.but(
        "02-bare", "three 3x3 before the pooling, not squeezed, three layers",
        network=partial(full, squeeze=0, e=15, f=18),
    ),
]  # fmt: skip

MILD = RandomAffine(degrees=5, translate=0.05, scale=0.05, shear=3)
TRAINING = [
    FULL,
    FULL.but("06-mild", "half the augmentation", augment=MILD),
    FULL.but("06-rate-0.3", "a peak of 0.3", optimizer=SGD(0.3), schedule=OneCycle(peak=0.3)),
    FULL.but("06-rate-0.08", "a peak of 0.08", optimizer=SGD(0.08), schedule=OneCycle(peak=0.08)),
    FULL.but("06-batch-64", "batches of 64", batch_size=64),
]
