"""Pilot trials on folds of the training digits; each list compares with its first recipe.

Nothing here has seen a test digit, except the recipes in `REGISTERED`. What ran on one or two folds
alone decided nothing and is not kept.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.experiments import small_networks as networks
from mnist_lib.experiments.teacher import TaughtBatches
from mnist_lib.journey import ONE_CYCLE, SMALL, WIDER
from mnist_lib.models import lean, normalised, skeleton
from mnist_lib.recipes import SGD, Constant, OneCycle, Recipe


def pilot(name: str, change: str, base: Recipe = ONE_CYCLE, **changes) -> Recipe:
    """A recipe without a parent; it has the settings of `base`, by default step 06."""
    return replace(base, name=name, change=change, parent=None, **changes)


def one_cycle(peak: float) -> dict:
    """The settings of a cycle of the learning rate up to this peak."""
    return {"optimizer": SGD(peak), "schedule": OneCycle(peak)}


# ---- the network of steps 02 to 06, with the recipe of step 06 -----------------------------------

STRONG = RandomAffine(degrees=7, translate=0.07, scale=0.1, shear=5)  # before it was chosen
EARLY = pilot("02-early", "5x5, pooled at once, five layers", augment=STRONG)
full = partial(networks.dense, (8,), (12,), (12, 3, 2), (8, 1), (12,), (16,), (18,))
NETWORKS = [EARLY, EARLY.but("02-full", "three 3x3, pooled, three layers", network=full)]

# ---- the augmentation of step 05, with the recipe of step 06 -------------------------------------

NONE = pilot("05-none", "no augmentation", augment=None)
MILD = pilot("05-mild", "up to 5 degrees, 5 %, 5 %, 3 degrees")  # as in step 06

# ---- ablations: step 06 without each of its parts ------------------------------------------------


def with_head() -> nn.Sequential:
    """The network of step 06 with a linear layer on the whole map in place of the average."""
    *layers, _ = normalised()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(13 * 6 * 6, 10))


ABLATIONS = [
    MILD,
    pilot("09-no-normalisation", "biases in its place", network=skeleton),
    NONE,
    pilot("09-no-cycle", "0.15 throughout", schedule=Constant()),
    pilot("09-head", "a linear layer in place of the average", network=with_head),
    pilot("09-dropout", "dropout of 5 % added", network=partial(normalised, 0.05)),
]

# ---- steps 06 and 08, which missed their targets -------------------------------------------------

DECAYED = SGD(0.15, weight_decay=5e-4)
SECOND_06 = [
    MILD,
    pilot("06-batches-of-64", "batch size 64 in place of 128", batch_size=64),
    pilot("06-weight-decay", "weight decay of 0.0005", optimizer=DECAYED),
]
SECOND_08 = [
    pilot("08-as-before", "20 channels in place of 24", SMALL),
    pilot("08-batches-of-64", "batch size 64 in place of 128", SMALL, batch_size=64),
    pilot("08-weight-decay", "weight decay of 0.0005", SMALL, optimizer=DECAYED),
    pilot("08-no-augmentation", "no augmentation", SMALL, augment=None),
]

# ---- step 08: two widths beside the 24, 20 and 16 channels of the journey, with its seeds --------

WIDTHS = [
    pilot("08-28-channels", "28 channels", SMALL, network=partial(lean, width=28)),
    pilot("08-12-channels", "12 channels", SMALL, network=partial(lean, width=12)),
]

# ---- notebook 12: fewer than 8,000 parameters ----------------------------------------------------
# here and below each width is the largest that the limit allows

deskewed_06 = partial(networks.early_pooling, is_deskewed=True)
DESKEWED_06 = pilot("12-upright", "step 06, deskewed", network=deskewed_06)
late = partial(networks.late_pooling, 12, first=12, squeezed=6, depth=4, is_deskewed=True)
LATE = MILD.but("12-late", "four dense layers after a late pooling, deskewed", network=late)
smooth_06 = partial(networks.smooth, normalised)
SMOOTH_06 = MILD.but("12-smooth", "SiLU, pooling blurred by 1-2-1", network=smooth_06)
LEAN_06 = MILD.but("12-lean", "step 07 with 40 channels", network=partial(lean, width=40))
BELOW_8000 = [MILD, DESKEWED_06, LATE, SMOOTH_06, LEAN_06]

# ---- notebook 13: at most 2,000 parameters -------------------------------------------------------

pooled = partial(networks.small_shared, is_early=True, width=19)
deskewed = partial(pooled, is_deskewed=True)

POOLED = pilot("13-pooled", "separable, three layers share weights, pooled at once", network=pooled)
DESKEWED = POOLED.but("13-pooled-upright", "deskewed", network=deskewed)
FASTER = DESKEWED.but("13-faster", "the rate up to 0.5", **one_cycle(0.5))
ONCE = FASTER.but("13-once", "each layer used once", network=partial(deskewed, uses=1))
blurred_2000 = partial(networks.smooth, deskewed, blur=(1, 4, 6, 4, 1))
SMOOTH_2000 = FASTER.but("13-smooth", "SiLU, pooling blurred by 1-4-6-4-1", network=blurred_2000)
by_step_06 = partial(TaughtBatches, teacher=MILD)
TAUGHT = FASTER.but("13-taught", "learns the answers of step 06", batches=by_step_06)
AT_MOST_2000 = [FASTER, DESKEWED, POOLED, ONCE, SMOOTH_2000, TAUGHT]

# ---- notebook 13: at most 1,000 parameters -------------------------------------------------------

tiny = partial(deskewed, first=7, distinct=0, width=15)
TINY = FASTER.but("13-tiny", "half the parameters: one layer less", network=tiny)
gentle = RandomAffine(degrees=3, translate=0.03, scale=0.03, shear=2)
TINY_GENTLER = TINY.but(
    "13-tiny-gentler", "moved up to 3 degrees, 3 %, 3 %, 2 degrees", augment=gentle
)

five_uses = partial(tiny, width=14, uses=5)
smooth = partial(networks.smooth, five_uses)
FIVE_USES = TINY.but("13-tiny-five", "14 channels, weights shared by five", network=five_uses)
SMOOTH_1000 = FIVE_USES.but("13-tiny-smooth", "SiLU, pooling blurred by 1-2-1", network=smooth)
AT_MOST_1000 = [TINY, TINY_GENTLER, FIVE_USES, SMOOTH_1000]

# ---- registered: all 60,000 digits train, since nothing is left to choose ------------------------

ALL_DIGITS = {"change": "all 60,000 digits to learn from", "folds": 0}
ACCURATE = MILD.but("12-accurate", **ALL_DIGITS)
FOUR_THOUSAND = WIDER.but("13-four-thousand", **ALL_DIGITS)
TWO_THOUSAND = FASTER.but("13-two-thousand", **ALL_DIGITS)
ONE_THOUSAND = TINY.but("13-one-thousand", **ALL_DIGITS)
ONE_THOUSAND_SMOOTH = SMOOTH_1000.but("13-one-thousand-smooth", **ALL_DIGITS)
REGISTERED = [ACCURATE, FOUR_THOUSAND, TWO_THOUSAND, ONE_THOUSAND, ONE_THOUSAND_SMOOTH]
