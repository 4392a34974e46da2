"""Whether a network's confidence is right: of guesses made with 90 %, are 90 % right?"""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from mnist_lib.results import interval
from mnist_lib.visualize import new_figure

BINS = 15  # of equal width, as Guo et al. (2017) have it
LEAST = 30  # guesses of a bin of confidence, fewer say nothing about its accuracy


def reliability(confidence: torch.Tensor, right: torch.Tensor) -> pd.DataFrame:
    """Guesses grouped by their confidence, one row for each bin that has any.

    Args:
        confidence: float (n,), the highest probability of each image.
        right: bool (n,).

    Returns:
        Index 0..BINS - 1, columns count, confidence (mean) and accuracy, as fractions.
    """
    bins = (confidence * BINS).long().clamp(max=BINS - 1).numpy()
    table = pd.DataFrame({"confidence": confidence.double().numpy(), "accuracy": right.numpy()})
    groups = table.groupby(bins)
    return groups.mean().assign(count=groups.size())


def calibration_error(confidence: torch.Tensor, right: torch.Tensor) -> float:
    """Expected calibration error: how far apart confidence and accuracy of a bin lie, on average.

    Each bin counts by its number of guesses (Guo et al. 2017); 0 is best, 1 the worst.
    """
    table = reliability(confidence, right)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(gaps, weights=table["count"]))


def show_reliability(bins: list[pd.DataFrame]) -> Figure:
    """Accuracy against confidence over seeds, with intervals; below, the number of digits.

    Args:
        bins: one table of `reliability` a seed.
    """
    figure, (above, below) = new_figure(
        5.2, 5, 2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    groups = pd.concat(bins).groupby(level=0)
    confidence, counts = groups["confidence"].mean(), groups["count"].sum()
    above.plot([0, 1], [0, 1], "--", color="tab:gray", linewidth=1, label="calibrated")
    for number in counts.index[counts >= LEAST]:
        found = interval(groups["accuracy"].get_group(number))
        low, high = max(found.low, 0), min(found.high, 1)
        arms = [[found.mean - low], [high - found.mean]]
        above.errorbar(confidence[number], found.mean, arms, fmt="C0o", markersize=4, capsize=2)
    above.set(ylabel="accuracy", xlim=(0.2, 1.02), ylim=(0, 1.02))
    above.legend(fontsize=10)
    below.bar(confidence, counts / len(bins), width=0.04, color="C0")
    below.set(yscale="log", xlabel="confidence", ylabel="digits")
    for axis in (above, below):
        axis.grid(alpha=0.3)
    return figure
