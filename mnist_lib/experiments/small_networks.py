"""Networks that use few parameters well, and what the searches over them vary."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.augment import RandomAffine
from mnist_lib.data import MEAN, STD
from mnist_lib.models import average_and_classify, conv_norm_relu, separable
from mnist_lib.recipes import SGD, OneCycle, Recipe
from mnist_lib.summary import count_parameters

# ---- blocks -------------------------------------------------------------------------------------


class Crop(nn.Module):
    """Removes so many pixels at each border, (n, c, h, w) to (n, c, h - 2 border, w - 2 border)."""

    def __init__(self, border: int):
        super().__init__()
        self.border = border

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., self.border : -self.border, self.border : -self.border]


class Deskew(nn.Module):
    """Shears each digit until its main axis is vertical (LeCun et al. 1998); nothing is learned.

    The slant is the covariance of the ink's positions over the variance of their height.
    Images are normalised float32 (n, 1, h, h) before and after.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
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


class WeightSharing(nn.Module):
    """One convolution applied several times, with a batch normalisation of its own each time.

    Each further use costs no parameters but those of its normalisation.

    Args:
        convolution: maps (n, width, h, w) to the same shape.
        width: its channels.
        uses: how often it is applied.
        is_residual: adds the input of each use to its output.
    """

    def __init__(self, convolution: nn.Module, width: int, uses: int, is_residual: bool = False):
        super().__init__()
        self.convolve, self.is_residual = convolution, is_residual
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(uses))
        self.activate = torch.relu

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for norm in self.norms:
            changed = norm(self.convolve(images))
            images = self.activate(images + changed if self.is_residual else changed)
        return images


class WeightedAverage(nn.Module):
    """Average over positions with learned weights, (n, channels, side, side) to (n, channels)."""

    def __init__(self, side: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((side, side), 1 / side**2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.weight).sum((2, 3))


class BlurredPooling(nn.Module):
    """Max pooling of 2x2 whose result is blurred before half of it is left out (Zhang 2019).

    Without the blur, a digit that moves by one pixel changes which numbers are left out.

    Args:
        weights: of the blur along each axis, an odd number of them.
    """

    def __init__(self, weights: tuple[int, ...] = (1, 2, 1)):
        super().__init__()
        self.maximum = nn.MaxPool2d(2, stride=1)
        self.pad = nn.ReflectionPad2d(len(weights) // 2)
        line = torch.tensor(weights) / sum(weights)
        self.register_buffer("kernel", torch.outer(line, line))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to (n, c, h / 2, w / 2)."""
        channels = int(images.shape[1])  # a number, since an export cannot follow its origin
        kernels = self.kernel.expand(channels, 1, -1, -1)
        return F.conv2d(self.pad(self.maximum(images)), kernels, stride=2, groups=channels)


def smooth(make: Callable[[], nn.Module], blur: tuple[int, ...] = (1, 2, 1)) -> nn.Module:
    """A new network with SiLU in place of ReLU, and `BlurredPooling` in place of max pooling.

    SiLU, x * sigmoid(x) (Elfwing, Uchibe & Doya 2018), has no corner.

    Args:
        make: makes the network.
        blur: the weights of the blur.
    """
    network = make()
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.ReLU):
                setattr(parent, name, nn.SiLU())
            elif isinstance(layer, WeightSharing):
                layer.activate = F.silu
            elif isinstance(layer, nn.MaxPool2d):
                setattr(parent, name, BlurredPooling(blur))
    return network


# ---- networks of dense convolutions -------------------------------------------------------------


def dense(*stages: tuple, border: int = 0, is_deskewed: bool = False) -> nn.Sequential:
    """One `conv_norm_relu` for each stage, an average and the classes.

    Args:
        stages: of each its channels, and what may follow: kernel, pool, padding.
        border: pixels that each image loses before, at each side.
        is_deskewed: deskews the digits before, in place of that.
    """
    first = [Crop(border)] if border else [Deskew()] if is_deskewed else []
    widths = [1, *(stage[0] for stage in stages)]
    layers = [conv_norm_relu(before, *stage) for before, stage in zip(widths, stages, strict=False)]
    return nn.Sequential(*first, *layers, average_and_classify(widths[-1]))


def early_pooling(
    width: int = 13, first: int = 12, squeezed: int = 8, depth: int = 5, is_deskewed: bool = False
) -> nn.Sequential:
    """The shape of step 06: pooled at once, squeezed, dense layers, the last three unpadded."""
    return dense((first, 5, 2), (squeezed, 1), *ending(width, depth), is_deskewed=is_deskewed)


def late_pooling(
    width: int = 16, first: int = 8, squeezed: int = 8, depth: int = 3, is_deskewed: bool = False
) -> nn.Sequential:
    """The shape of 02-full: three layers before the pooling, squeezed, dense layers after it."""
    before = [(first,), (12,), (12, 3, 2), (squeezed, 1)]
    return dense(*before, *ending(width, depth), is_deskewed=is_deskewed)


def ending(width: int, depth: int) -> list[tuple]:
    """The stages of so many 3x3 layers, of which the last three are unpadded."""
    return [(width, 3, 1, int(layer < depth - 3)) for layer in range(depth)]


# ---- networks of separable convolutions ---------------------------------------------------------


def small_shared(
    width: int = 20, distinct: int = 1, uses: int = 3, first: int = 8,
    is_residual: bool = False, is_deskewed: bool = False, is_weighted: bool = False,
    is_early: bool = False,
) -> nn.Sequential:  # fmt: skip
    """Separable layers; several layers share the weights of the last.

    Args:
        width: channels of all layers but the first.
        distinct: separable layers after the second one, before the shared weights.
        uses: layers that share the same weights.
        first: channels of the first layer.
        is_residual: adds the input of each shared layer to its output.
        is_deskewed: deskews the digits before the first layer.
        is_weighted: averages with learned weights of the positions in place of equal ones.
        is_early: pools after the first layer, which is 5x5 then, in place of the second.
    """
    layers = [Deskew()] if is_deskewed else []
    layers += [conv_norm_relu(1, first, 5, pool=2) if is_early else conv_norm_relu(1, first)]
    layers += [separable(first, width, pool=1 if is_early else 2)]
    layers += [separable(width, width) for _ in range(distinct)]
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    both = nn.Sequential(depthwise, nn.Conv2d(width, width, 1, bias=False))
    layers += [WeightSharing(both, width, uses, is_residual)]
    if is_weighted:
        layers += [WeightedAverage(12 - 2 * (distinct + is_early)), nn.Linear(width, 10)]
    else:
        layers += [average_and_classify(width)]
    return nn.Sequential(*layers)


# ---- what the searches vary ---------------------------------------------------------------------


def as_wide_as(limit: int, network: partial) -> partial:
    """The network with the largest width, at most 64, that this many parameters allow."""
    candidates = (partial(network, width=width) for width in range(64, 1, -1))
    return next(wide for wide in candidates if count_parameters(wide()) <= limit)


def suggest_recipe(
    trial, network, change: str, highest_rate: float, weight_decay: float = 0.0
) -> Recipe:
    """A recipe of six epochs with this network, and training settings that the trial suggests."""
    peak = trial.suggest_float("peak", 0.05, highest_rate, log=True)
    strength = trial.suggest_float("augmentation", 0.0, 1.5)  # 1: that of the journey
    return Recipe(
        "searched", change,
        network=network,
        optimizer=SGD(peak, weight_decay=weight_decay),
        schedule=OneCycle(peak, warmup=trial.suggest_float("warmup", 0.1, 0.4)),
        augment=RandomAffine(5 * strength, 0.05 * strength, 0.05 * strength, 3 * strength),
        batch_size=trial.suggest_categorical("batch", [64, 128]),
        epochs=6,
    )  # fmt: skip
