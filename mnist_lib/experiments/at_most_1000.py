"""How accurate can 1,000 parameters be? The space of at_most_2000 with half of them."""

from mnist_lib.experiments.at_most_2000 import SEEDS, suggest_up_to
from mnist_lib.recipes import Recipe

__all__ = ["MAX_PARAMETERS", "SEEDS", "suggest"]
MAX_PARAMETERS = 1_000


def suggest(trial) -> Recipe:
    return suggest_up_to(trial, MAX_PARAMETERS)
