"""How accurate can fewer than 8,000 parameters be? A space for `python -m mnist_lib search`.

Both families of step 02, pooled early and late, as wide as the limit allows. Eight epochs in place
of 15, to try twice as many.
"""

from functools import partial

from mnist_lib.augment import RandomAffine
from mnist_lib.choosing.frontier import as_wide_as, early, late
from mnist_lib.recipes import SGD, OneCycle, Recipe

SEEDS = [1]
MAX_PARAMETERS = 7_999


def suggest(trial) -> Recipe:
    family = {"early": early, "late": late}[trial.suggest_categorical("family", ["early", "late"])]
    shape = partial(
        family,
        first=trial.suggest_int("first", 6, 16, step=2),
        squeezed=trial.suggest_int("squeezed", 6, 12, step=2),
        depth=trial.suggest_int("depth", 3, 6),
        is_upright=trial.suggest_categorical("upright", [False, True]),
    )
    peak = trial.suggest_float("peak", 0.05, 0.5, log=True)
    decay = trial.suggest_categorical("weight decay", [0.0, 1e-4, 5e-4])
    strength = trial.suggest_float("augmentation", 0.0, 1.5)  # 1: that of the journey
    return Recipe(
        "searched", "fewer than 8,000 parameters",
        network=as_wide_as(MAX_PARAMETERS, shape),
        optimizer=SGD(peak, momentum=0.9, weight_decay=decay),
        schedule=OneCycle(peak, warmup=trial.suggest_float("warmup", 0.1, 0.4)),
        augment=RandomAffine(5 * strength, 0.05 * strength, 0.05 * strength, 3 * strength),
        batch_size=trial.suggest_categorical("batch", [64, 128]),
        epochs=8,
    )  # fmt: skip
