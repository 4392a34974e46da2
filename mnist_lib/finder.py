"""The learning rate range test: how high can the rate go before the training falls apart?"""

import math

import pandas as pd
import torch.nn.functional as F

from mnist_lib.data import Digits
from mnist_lib.device import choose_device, own_randomness, placed
from mnist_lib.recipes import Recipe
from mnist_lib.train import new_network, training_batches


def find_learning_rate(
    recipe: Recipe,
    digits: Digits,
    seed: int = 1,
    device: str = "auto",
    lowest: float = 1e-4,
    highest: float = 10.0,
    steps: int = 300,
    smoothing: float = 0.9,
) -> pd.DataFrame:
    """Train a new network while the learning rate grows from step to step (Smith 2015).

    smoothing  weight of the past in the running mean of the loss, without bias at the start
    returns    table of learning_rate and smoothed training loss; it ends early once the loss is
               four times its lowest value or no number any more
    Uses training images only and leaves nothing behind: the run that follows starts afresh.
    """
    device = choose_device(device)
    model = placed(new_network(recipe, seed), device).train()
    optimizer = recipe.optimizer.build(model)
    batches = training_batches(recipe, digits, seed, device)
    last = max(1, min(steps, len(batches)) - 1)
    rates = (lowest * (highest / lowest) ** (step / last) for step in range(steps))
    rows, mean = [], 0.0
    with own_randomness(seed, device):
        for step, (rate, (x, y)) in enumerate(zip(rates, batches, strict=False), start=1):
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean = smoothing * mean + (1 - smoothing) * loss.item()
            smoothed = mean / (1 - smoothing**step)
            if not math.isfinite(smoothed):
                break
            rows.append({"learning_rate": rate, "loss": smoothed})
            if smoothed > 4 * min(row["loss"] for row in rows):
                break
    return pd.DataFrame(rows)


def rate_of_lowest_loss(table: pd.DataFrame) -> float:
    """The rate at which the smoothed loss was lowest: above it the training gets worse."""
    return float(table.loc[table["loss"].idxmin(), "learning_rate"])
