"""From the searches to what was registered, step by step at full length, for pages 12 and 13."""

from functools import partial

from mnist_lib.augment import RandomAffine
from mnist_lib.choosing.candidates import MILD, alone
from mnist_lib.choosing.frontier import LOOKS, as_wide_as, late, small_again
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.recipes import SGD, OneCycle

# ---- notebook 12: fewer than 8,000 parameters, from step 06 --------------------------------------

(UPRIGHT_06,) = (look for look in LOOKS if look.name == "12-upright")
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
TINY_GENTLER = TINY.but(
    "13-tiny-gentler", "moved by up to 3 degrees, 3 %, 3 %, 2 degrees", augment=GENTLER.augment
)
AT_MOST_1000 = [TINY, TINY_GENTLER]

FINALISTS = [BELOW_8000, AT_MOST_2000, AT_MOST_1000]

# ---- what was registered: nothing is left to choose, so they learn from all digits ---------------

ACCURATE = MILD.but("12-accurate", "all 60,000 digits to learn from", folds=0)
TWO_THOUSAND = FASTER.but("13-two-thousand", "all 60,000 digits to learn from", folds=0)
WINNERS = [ACCURATE, TWO_THOUSAND]
