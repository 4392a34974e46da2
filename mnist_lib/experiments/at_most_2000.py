"""How accurate can 2,000 parameters be? A space for `python -m mnist_lib search`.

Separable layers, some of which share their weights, as wide as the limit allows. Six epochs in
place of 15 and pooled at once, as step 06 is, to try four times as many.
"""

from functools import partial

from mnist_lib.experiments.small_networks import as_wide_as, small_shared, suggest_recipe
from mnist_lib.recipes import Recipe

SEEDS = [1]
MAX_PARAMETERS = 2_000


def suggest(trial, limit: int = MAX_PARAMETERS) -> Recipe:
    """A recipe with at most so many parameters."""
    shape = partial(
        small_shared,
        first=trial.suggest_int("first", 4, 12),
        distinct=trial.suggest_int("distinct", 0, 2),
        uses=trial.suggest_int("uses", 1, 5),
        is_residual=trial.suggest_categorical("residual", [False, True]),
        is_deskewed=trial.suggest_categorical("deskewed", [False, True]),
        is_weighted=trial.suggest_categorical("weighted average", [False, True]),
        is_early=True,
    )
    change = f"at most {limit:,} parameters"
    return suggest_recipe(trial, as_wide_as(limit, shape), change, highest_rate=0.6)
