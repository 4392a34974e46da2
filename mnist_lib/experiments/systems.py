"""The published systems: five tutorials' experiments as recipes, run by the same `fit`.

The facts about them (what was claimed, what their logs show) are in results/published.json.
Networks and settings are those that the sources really ran, side effects included. What a source
leaves open was chosen here: the key "chosen" of its facts says what.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mnist_lib.experiments import augmentations as batched
from mnist_lib.experiments import system_networks as networks
from mnist_lib.recipes import SGD, Adam, OneCycle, Recipe, StepDecay


@dataclass(frozen=True)
class Piecewise:
    """Straight lines between knots (epochs finished, learning rate), one rate for a whole epoch."""

    knots: tuple[tuple[float, float], ...]

    def build(self, optimizer: torch.optim.Optimizer, steps: int, epochs: int) -> LRScheduler:
        base = optimizer.param_groups[0]["lr"]
        ends, rates = zip(*self.knots, strict=True)
        return LambdaLR(optimizer, lambda step: np.interp(step // steps, ends, rates) / base)


# ---- S0 and S1: one author, convolution - ReLU - normalisation ----------------------------------

CROP_AND_ROTATE = batched.Compose(
    (batched.RandomApply(0.1, batched.CenterZoom(22)), batched.NearestAffine(degrees=15))
)

S0_1 = Recipe(
    "S0-1", "3 blocks, 2 max-pools", networks.s0_1, SGD(0.5), StepDecay(every=10), folds=0
)
S0_2 = S0_1.but("S0-2", "2 blocks, 1 max-pool, no padding", network=networks.s0_2)
S0_3 = S0_2.but(
    "S0-3", "depthwise separable", network=partial(networks.s0_2, networks.depthwise_separable)
)
S0_4 = S0_3.but("S0-4", "wider, with a full first convolution", network=networks.s0_4)
S0_5 = S0_4.but("S0-5", "crop and rotation", augment=CROP_AND_ROTATE)
S0_6 = S0_5.but(
    "S0-6", "one cycle up to 1.0", optimizer=SGD(1.0),
    schedule=OneCycle(peak=1.0, cycle_momentum=True),
)  # fmt: skip
S1 = S0_5.but(
    "S1", "full convolutions, 19 epochs", network=networks.s1, optimizer=SGD(0.25), epochs=19
)

# ---- S2: padded, a linear layer at the end ------------------------------------------------------

S2_1 = Recipe(
    "S2-1", "no normalisation, a linear head", networks.s2, Adam(0.01), StepDecay(every=11),
    batch_size=1024, folds=0,
)  # fmt: skip
S2_2 = S2_1.but("S2-2", "two dropout layers", network=partial(networks.s2, dropout=0.1))
S2_3 = S2_2.but(
    "S2-3", "normalisation, wider, image transformations",
    network=partial(networks.s2, "norm relu", 16, dropout=0.1),
    augment=batched.NearestAffine(degrees=7, translate=0.1),
)  # fmt: skip

# ---- S3: biases everywhere, batches of 32 -------------------------------------------------------

S3_1 = Recipe(
    "S3-1", "a plain network", networks.s3_1, SGD(0.01),
    OneCycle(peak=0.01, anneal="linear", cycle_momentum=True), batch_size=32, folds=0,
)  # fmt: skip
S3_2 = S3_1.but("S3-2", "3,762 parameters, normalisation", network=networks.s3_2)
S3_X5 = S3_2.but(
    "S3-x5",
    "augmentation and a cycle of its own",
    # the code passes no momentum, but an unused OneCycleLR sets it to 0.95; one thing is left out:
    # its counter slips, so that at most 14 of 1,875 batches take the next epoch's rate
    optimizer=SGD(0.05, momentum=0.95),
    schedule=Piecewise(((0, 0.05), (2, 0.1), (8, 0.01), (12, 0.005), (15, 0.0))),
    augment=batched.Compose((
        batched.RandomApply(0.5, batched.ShiftScaleRotate(degrees=7, translate=0.09, scale=0.09)),
        batched.RandomApply(0.5, batched.BrightnessContrast()),
    )),
)  # fmt: skip
S3_3 = S3_X5.but("S3-3", "another run of the recipe of S3-x5")

# ---- S4: from 6.4 million parameters to 6,720 ---------------------------------------------------

S4_0 = Recipe("S4-0", "6.4 million parameters", networks.s4_0, SGD(0.01), folds=0)
S4_1 = S4_0.but("S4-1", "a small skeleton", network=networks.s4_1)
S4_2 = S4_1.but("S4-2", "normalisation", network=networks.s4_2)
S4_3 = S4_2.but(
    "S4-3", "dropout of 10 %", network=partial(networks.s4_2, then="norm dropout relu", dropout=0.1)
)
S4_4 = S4_3.but("S4-4", "wider, a layer after the pooling, dropout of 3 %", network=networks.s4_4)
S4_5 = S4_4.but(
    "S4-5",
    "rotation, affine movement, brightness and contrast",
    augment=batched.Compose((
        batched.NearestAffine(degrees=6, fill=1 / 255),
        batched.NearestAffine(degrees=7, translate=0.1, scale=0.2, shear=10),
        batched.ColorJitter(brightness=0.4, contrast=0.4),
    )),
)  # fmt: skip
S4_6 = S4_5.but(
    "S4-6", "wider end, two layers after the pooling, one cycle", network=networks.s4_6,
    optimizer=SGD(0.015, momentum=0.7), schedule=OneCycle(peak=0.015, cycle_momentum=True),
)  # fmt: skip

# ---- all of them --------------------------------------------------------------------------------

SYSTEMS = [
    S0_1, S0_2, S0_3, S0_4, S0_5, S0_6, S1, S2_1, S2_2, S2_3, S3_1, S3_2, S3_3, S3_X5,
    S4_0, S4_1, S4_2, S4_3, S4_4, S4_5, S4_6,
]  # fmt: skip
