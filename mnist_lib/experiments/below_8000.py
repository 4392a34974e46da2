"""How accurate can fewer than 8,000 parameters be? A space for `python -m mnist_lib search`.

Both families of step 02, pooled early and late, as wide as the limit allows. Six epochs in place
of 15, to try twice as many.
"""

from functools import partial

from mnist_lib.experiments import small_networks
from mnist_lib.recipes import Recipe

SEEDS = [1]
MAX_PARAMETERS = 7_999
FAMILIES = {"early": small_networks.early_pooling, "late": small_networks.late_pooling}


def suggest(trial) -> Recipe:
    """A recipe with fewer than 8,000 parameters."""
    shape = partial(
        FAMILIES[trial.suggest_categorical("family", ["early", "late"])],
        first=trial.suggest_int("first", 6, 16, step=2),
        squeezed=trial.suggest_int("squeezed", 6, 12, step=2),
        depth=trial.suggest_int("depth", 3, 6),
        is_deskewed=trial.suggest_categorical("deskewed", [False, True]),
    )
    network = small_networks.as_wide_as(MAX_PARAMETERS, shape)
    decay = trial.suggest_categorical("weight decay", [0.0, 1e-4, 5e-4])
    return small_networks.suggest_recipe(trial, network, "fewer than 8,000 parameters", 0.5, decay)
