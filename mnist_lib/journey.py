"""The journey: the recipes behind the notebooks, one change at a time, and their targets."""

from dataclasses import dataclass
from functools import partial

from mnist_lib import models
from mnist_lib.augment import Later, PerImage, RandomAffine
from mnist_lib.recipes import SGD, OneCycle, Recipe, StepDecay

PLAIN = Recipe(
    "01-plain", "two convolutions and a fully connected head",
    network=models.plain, optimizer=SGD(learning_rate=0.02, momentum=0.9),
)  # fmt: skip

SKELETON = PLAIN.but(
    "02-skeleton", "fully convolutional, global average pooling", network=models.skeleton
)

BATCH_NORM = SKELETON.but("03-batch-norm", "batch normalisation", network=models.normalised)

DROPOUT = BATCH_NORM.but(
    "04-dropout", "dropout of 5 %", network=partial(models.normalised, dropout=0.05)
)

# dropout showed no gain, so the journey goes on from the step before it
AUGMENTATION = BATCH_NORM.but(
    "05-augmentation", "each digit moved a little, anew in each epoch",
    augment=RandomAffine(degrees=5, translate=0.05, scale=0.05, shear=3),
)  # fmt: skip


def move_by_albumentations():
    """The movement of AUGMENTATION as a pipeline of albumentations."""
    import albumentations  # takes a second or two

    return albumentations.Compose([albumentations.Affine(
        rotate=(-5, 5), translate_percent=(-0.05, 0.05), scale=(0.95, 1.05), keep_ratio=True,
        shear={"x": (-3, 3), "y": (0, 0)}, p=1.0,
    )])  # fmt: skip


ALBUMENTATIONS = AUGMENTATION.but(
    "05-albumentations", "the same by albumentations, digit by digit",
    augment=PerImage(Later(move_by_albumentations)),
)  # fmt: skip

HIGHER_RATE = AUGMENTATION.but(
    "06-higher-rate", "learning rate 0.15 in place of 0.02",
    optimizer=SGD(learning_rate=0.15, momentum=0.9),
)  # fmt: skip

STEP_DECAY = HIGHER_RATE.but(
    "06-step-decay", "a tenth of the rate after 10 epochs", schedule=StepDecay(every=10)
)

ONE_CYCLE = HIGHER_RATE.but(
    "06-one-cycle", "the rate up to 0.15 and down again", schedule=OneCycle(peak=0.15)
)

SEPARABLE = ONE_CYCLE.but(
    "07-separable", "depthwise separable convolutions", network=models.separated
)

WIDER = SEPARABLE.but(
    "07-wider", "a 3x3 layer first, no transition, 24 channels", network=models.lean
)

SMALL = WIDER.but("08-small", "20 channels in place of 24", network=partial(models.lean, width=20))

SMALLER = SMALL.but(
    "08-smaller", "16 channels in place of 20", network=partial(models.lean, width=16)
)

JOURNEY = [
    PLAIN, SKELETON, BATCH_NORM, DROPOUT, AUGMENTATION, ALBUMENTATIONS, HIGHER_RATE,
    STEP_DECAY, ONE_CYCLE, SEPARABLE, WIDER, SMALL, SMALLER,
]  # fmt: skip

VARIANTS = [ALBUMENTATIONS, STEP_DECAY, SMALLER]  # beside the step of their page, fewer seeds
STEPS = [recipe for recipe in JOURNEY if recipe not in VARIANTS]

BEST = ONE_CYCLE  # the most accurate step; notebook 09 looks at its mistakes


# ---- targets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What a step sets out to reach; None leaves a part out.

    Attributes:
        test_accuracy: fraction that each of the last epochs of a run must reach.
        last_epochs: how many epochs at the end must reach it: one lucky epoch is no result.
        of_seeds: in which part of the seeds.
        mean_accuracy: fraction that the mean over seeds must reach, last epoch.
        lower_end: of the 95 % interval of that mean.
        max_parameters: limit of the network.
        max_epochs: limit of the training.
    """

    test_accuracy: float | None = None
    last_epochs: int = 1
    of_seeds: float = 1.0
    mean_accuracy: float | None = None
    lower_end: float | None = None
    max_parameters: int | None = 7_999
    max_epochs: int | None = 15


TARGETS = {
    PLAIN.name: Target(test_accuracy=0.98, max_parameters=None),
    SKELETON.name: Target(test_accuracy=0.98),
    BATCH_NORM.name: Target(test_accuracy=0.988),
    DROPOUT.name: Target(test_accuracy=0.988),
    AUGMENTATION.name: Target(mean_accuracy=0.99),
    ONE_CYCLE.name: Target(
        test_accuracy=0.994, last_epochs=2, of_seeds=0.9, mean_accuracy=0.995, lower_end=0.9946
    ),
    WIDER.name: Target(mean_accuracy=0.9945, max_parameters=4_392),
    SMALL.name: Target(mean_accuracy=0.994, max_parameters=2_999),
    "11-to-target": Target(mean_accuracy=0.994),
    "11-sooner": Target(mean_accuracy=0.994),
    "12-accurate": Target(mean_accuracy=0.996, lower_end=0.9957),
    "13-four-thousand": Target(
        test_accuracy=0.994, last_epochs=3, of_seeds=0.9, max_parameters=3_999
    ),
    "13-two-thousand": Target(mean_accuracy=0.994, max_parameters=2_000),
    "13-one-thousand": Target(mean_accuracy=0.99, max_parameters=1_000),
    "13-one-thousand-smooth": Target(mean_accuracy=0.99, max_parameters=1_000),
}
