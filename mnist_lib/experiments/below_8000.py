"""How accurate can fewer than 8,000 parameters be? A space for `python -m mnist_lib search`.

Both families of step 02, pooled early and late, as wide as the limit allows. Six epochs in place
of 15, to try twice as many.
"""

from functools import partial

from mnist_lib.experiments.small_networks import as_wide_as, early, late, suggest_recipe
from mnist_lib.recipes import Recipe

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
    return suggest_recipe(
        trial, as_wide_as(MAX_PARAMETERS, shape), "fewer than 8,000 parameters", highest_rate=0.5,
        weight_decay=trial.suggest_categorical("weight decay", [0.0, 1e-4, 5e-4]),
    )  # fmt: skip
