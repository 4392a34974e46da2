"""Whether a network's confidence is right: of guesses made with 90 %, are 90 % right?"""

import numpy as np
import pandas as pd
import torch

BINS = 15  # of equal width, as Guo et al. (2017) have it


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
