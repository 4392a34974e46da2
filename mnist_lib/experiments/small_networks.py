"""Blocks and networks that use few parameters well, and what the searches over them vary."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.data import MEAN, STD
from mnist_lib.models import average_and_classify, conv_norm_relu, separable
from mnist_lib.recipes import SGD, OneCycle, Recipe
from mnist_lib.summary import count_parameters


class Again(nn.Module):
    """One convolution used several times, (n, width, h, w) to the same, normalised anew each time.

    What is used again costs no parameters but those of the normalisation.
    """

    def __init__(self, convolution: nn.Module, width: int, uses: int, is_residual: bool = False):
        super().__init__()
        self.convolve, self.is_residual = convolution, is_residual
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(uses))

    def forward(self, images):
        for norm in self.norms:
            changed = norm(self.convolve(images))
            images = (images + changed if self.is_residual else changed).relu()
        return images


class WeightedAverage(nn.Module):
    """(n, channels, side, side) to (n, channels): learned weights of places, for all channels."""

    def __init__(self, side: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((side, side), 1 / side**2))

    def forward(self, images):
        return (images * self.weight).sum((2, 3))


class Upright(nn.Module):
    """Each digit sheared until its axis stands upright (LeCun et al. 1998); nothing is learned.

    The slant of a digit is the covariance of its ink's positions over the variance of their height.
    """

    def forward(self, images):
        black = -MEAN / STD
        ink = (images - black)[:, 0]  # (n, h, w), nowhere below 0
        at = torch.linspace(-1, 1, ink.shape[-1], device=ink.device)
        ink = ink / ink.sum((1, 2), keepdim=True).clamp_min(1e-6)
        rows, columns = ink.sum(2), ink.sum(1)
        x, y = columns @ at, rows @ at
        covariance = (ink * at[:, None] * at).sum((1, 2)) - x * y
        slant = (covariance / (rows @ at**2 - y**2).clamp_min(1e-6)).clamp(-1, 1)
        one, zero = torch.ones_like(slant), torch.zeros_like(slant)
        matrix = torch.stack([one, slant, -slant * y, zero, one, zero], dim=1).view(-1, 2, 3)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=True)
        return F.grid_sample(images - black, grid, align_corners=True) + black


def uprighting(is_upright: bool) -> list[nn.Module]:
    """`Upright` where it is asked for."""
    return [Upright()] if is_upright else []


def dense(width: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, padding=1, bias=False)


def in_two(width: int) -> nn.Sequential:
    """Depthwise, then pointwise."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
    )


def wide() -> nn.Sequential:
    """Separable layers of 38 channels."""
    return nn.Sequential(
        conv_norm_relu(1, 12),
        separable(12, 24, pool=2),
        separable(24, 38, padding=1),
        *(separable(38, 38) for _ in range(3)),
        average_and_classify(38),
    )


def dense_again() -> nn.Sequential:
    """One dense layer of 20 channels used three times."""
    return nn.Sequential(
        conv_norm_relu(1, 8),
        conv_norm_relu(8, 12, pool=2),
        conv_norm_relu(12, 20, padding=1),
        Again(dense(20), 20, uses=3),
        average_and_classify(20),
    )


def wide_again() -> nn.Sequential:
    """Two separable layers of 48 channels, each used three times, with a residual path."""
    return nn.Sequential(
        conv_norm_relu(1, 16),
        separable(16, 48, pool=2),
        *(Again(in_two(48), 48, uses=3, is_residual=True) for _ in range(2)),
        average_and_classify(48),
    )


def full_again() -> nn.Sequential:
    """Three layers at full resolution, then one of 20 channels used three times."""
    return nn.Sequential(
        conv_norm_relu(1, 8),
        conv_norm_relu(8, 12),
        conv_norm_relu(12, 12, pool=2),
        conv_norm_relu(12, 20, kernel=1),
        Again(dense(20), 20, uses=3),
        average_and_classify(20),
    )


def small_again(
    width: int = 20, distinct: int = 1, uses: int = 3, first: int = 8, is_residual: bool = False,
    is_upright: bool = False, is_weighted: bool = False, is_early: bool = False,
) -> nn.Sequential:  # fmt: skip
    """Separable layers, the last of them used several times."""
    return nn.Sequential(
        *uprighting(is_upright),
        conv_norm_relu(1, first, 5, pool=2) if is_early else conv_norm_relu(1, first),
        separable(first, width, pool=1 if is_early else 2),
        *(separable(width, width) for _ in range(distinct)),
        Again(in_two(width), width, uses, is_residual),
        *(
            [WeightedAverage(12 - 2 * (distinct + is_early)), nn.Linear(width, 10)]
            if is_weighted
            else [average_and_classify(width)]
        ),
    )


def dense_layers(n_in: int, width: int, depth: int) -> list[nn.Module]:
    """So many 3x3 layers, the last three of them unpadded."""
    widths = [n_in] + [width] * depth
    return [conv_norm_relu(widths[n], width, padding=int(n < depth - 3)) for n in range(depth)]


def early(
    width: int = 13, first: int = 12, squeezed: int = 8, depth: int = 5, is_upright: bool = False
) -> nn.Sequential:
    """The shape of step 06: pooled at once, squeezed, dense layers, the last three unpadded."""
    return nn.Sequential(
        *uprighting(is_upright),
        conv_norm_relu(1, first, 5, pool=2),
        conv_norm_relu(first, squeezed, 1),
        *dense_layers(squeezed, width, depth),
        average_and_classify(width),
    )


def late(
    width: int = 16, first: int = 8, squeezed: int = 8, depth: int = 3, is_upright: bool = False
) -> nn.Sequential:
    """The shape of 02-full: three layers before the pooling, squeezed, dense layers after it."""
    return nn.Sequential(
        *uprighting(is_upright),
        conv_norm_relu(1, first),
        conv_norm_relu(first, 12),
        conv_norm_relu(12, 12, pool=2),
        conv_norm_relu(12, squeezed, 1),
        *dense_layers(squeezed, width, depth),
        average_and_classify(width),
    )


def as_wide_as(limit: int, network: partial) -> partial:
    """The network with the largest width that this many parameters allow."""
    widths = range(64, 1, -1)
    return next(
        wide
        for wide in (partial(network, width=width) for width in widths)
        if count_parameters(wide()) <= limit
    )


def suggest_recipe(
    trial, network, change: str, highest_rate: float, weight_decay: float = 0.0
) -> Recipe:
    """What the spaces of few parameters search beside the network; six epochs."""
    peak = trial.suggest_float("peak", 0.05, highest_rate, log=True)
    strength = trial.suggest_float("augmentation", 0.0, 1.5)  # 1: that of the journey
    return Recipe(
        "searched", change,
        network=network,
        optimizer=SGD(peak, momentum=0.9, weight_decay=weight_decay),
        schedule=OneCycle(peak, warmup=trial.suggest_float("warmup", 0.1, 0.4)),
        augment=RandomAffine(5 * strength, 0.05 * strength, 0.05 * strength, 3 * strength),
        batch_size=trial.suggest_categorical("batch", [64, 128]),
        epochs=6,
    )  # fmt: skip
