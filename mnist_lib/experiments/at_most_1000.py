"""How accurate can 1,000 parameters be? The space of at_most_2000 with half of them."""

from functools import partial

from mnist_lib.experiments import at_most_2000

SEEDS = at_most_2000.SEEDS
MAX_PARAMETERS = 1_000
suggest = partial(at_most_2000.suggest, limit=MAX_PARAMETERS)
