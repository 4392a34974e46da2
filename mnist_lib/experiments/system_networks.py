"""The networks of the published systems, layer by layer as their sources have them.

Logits or log probabilities out; `systems.py` holds the recipes that train them.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import nn

# ---- blocks -------------------------------------------------------------------------------------


class Dropout2d(nn.Dropout2d):
    """Dropout of whole maps that costs nothing at p = 0, as some sources use it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) if self.p > 0 else images


def conv(
    n_in: int, n_out: int, kernel: int = 3, then: str = "", dropout: float = 0.0, **options
) -> nn.Sequential:
    """A convolution and what follows it, in the order of `then`: relu norm dropout dropout2d.

    The sources differ in this order, and it matters. No bias unless the options ask for it.
    """
    following = {
        "relu": partial(nn.ReLU, inplace=True),
        "norm": partial(nn.BatchNorm2d, n_out),
        "dropout": partial(nn.Dropout, dropout),
        "dropout2d": partial(Dropout2d, dropout),
    }
    convolution = nn.Conv2d(n_in, n_out, kernel, **{"bias": False, **options})
    return nn.Sequential(convolution, *(following[name]() for name in then.split()))


pool = partial(nn.MaxPool2d, 2)


def row(layer: Callable[[int, int], nn.Module], *channels: int) -> list[nn.Module]:
    """The same kind of layer several times, between each two neighbouring numbers of channels."""
    return [layer(n_in, n_out) for n_in, n_out in pairwise(channels)]


def log_softmax() -> nn.Sequential:
    """Log probabilities. Cross entropy takes the logarithm again, and twice is the same as once."""
    return nn.Sequential(nn.Flatten(), nn.LogSoftmax(1))


def xavier(network: nn.Module) -> nn.Module:
    """Xavier uniform weights (Glorot & Bengio 2010) and zero biases in every convolution."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


# S0 and S1 pad with copies of the border; where there is no padding that only costs time
stage = partial(conv, then="relu norm dropout2d")
padded = partial(stage, padding=1, padding_mode="replicate")


def depthwise_separable(n_in: int, n_out: int) -> nn.Sequential:
    """A depthwise and a pointwise convolution, normalised after each."""
    return nn.Sequential(stage(n_in, n_in, groups=n_in), stage(n_in, n_out, 1))


# ---- networks -----------------------------------------------------------------------------------


def s0_1() -> nn.Sequential:
    return nn.Sequential(
        *row(stage, 1, 8, 16), pool(),
        conv(16, 8, 1), *row(stage, 8, 16, 16), pool(),
        conv(16, 8, 1), *row(padded, 8, 16, 16),
        conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s0_2(layer: Callable[[int, int], nn.Module] = stage) -> nn.Sequential:
    return nn.Sequential(
        *row(layer, 1, 8, 16, 16), pool(), conv(16, 8, 1), *row(layer, 8, 16, 16, 16),
        conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s0_4() -> nn.Sequential:
    return nn.Sequential(
        stage(1, 16), *row(depthwise_separable, 16, 16, 32), pool(),
        conv(32, 16, 1), *row(depthwise_separable, 16, 16, 24, 32),
        conv(32, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s1() -> nn.Sequential:
    return nn.Sequential(
        *row(stage, 1, 8, 16, 16), pool(), stage(16, 8, 1), *row(stage, 8, 16, 16, 16),
        conv(16, 10, 1), nn.AvgPool2d(5), log_softmax(),
    )  # fmt: skip


def s2(then: str = "relu", width: int = 8, dropout: float = 0.0) -> nn.Sequential:
    layer = partial(conv, then=then, padding=1)
    last = partial(layer, then=f"{then} dropout" if dropout else then, dropout=dropout)
    return nn.Sequential(
        *row(layer, 1, 8, 8), last(8, width), pool(), conv(width, 4, 1),
        *row(layer, 4, 8, 16), last(16, 16), pool(), conv(16, 4, 1),
        nn.Flatten(), nn.Linear(196, 10),
    )  # fmt: skip


def s3_1() -> nn.Sequential:
    layer = partial(conv, then="relu", bias=True)
    return xavier(nn.Sequential(
        *row(layer, 1, 8, 8), pool(), layer(8, 16, 1), *row(layer, 16, 16, 16), pool(),
        layer(16, 32, 1), layer(32, 32), conv(32, 10, 2, bias=True), log_softmax(),
    ))  # fmt: skip


def s3_2() -> nn.Sequential:
    layer = partial(conv, then="norm relu", padding=1, bias=True)
    return xavier(nn.Sequential(
        *row(layer, 1, 4, 4, 4), pool(), nn.Dropout(0.01),
        *row(layer, 4, 8, 8, 8), pool(), nn.Dropout(0.01),
        *row(layer, 8, 8, 8, 8), nn.AdaptiveAvgPool2d(1), conv(8, 10, 1, bias=True), log_softmax(),
    ))  # fmt: skip


def s4_0() -> nn.Sequential:
    layer = partial(conv, then="relu", bias=True)
    padded = partial(layer, padding=1)
    return nn.Sequential(
        *row(padded, 1, 32, 64), pool(), *row(padded, 64, 128, 256), pool(),
        *row(layer, 256, 512, 1024), conv(1024, 10, bias=True), log_softmax(),
    )  # fmt: skip


def s4_1() -> nn.Sequential:
    layer = partial(conv, then="relu")
    return nn.Sequential(
        *row(layer, 1, 8, 16), pool(), layer(16, 8, 1), *row(layer, 8, 10, 10, 16),
        conv(16, 10, 1), nn.AvgPool2d(6), log_softmax(),
    )  # fmt: skip


def s4_2(then: str = "norm relu", dropout: float = 0.0) -> nn.Sequential:
    layer = partial(conv, then=then, dropout=dropout)
    return nn.Sequential(
        *row(layer, 1, 8, 16), pool(), layer(16, 8, 1), *row(layer, 8, 10, 16, 10),
        nn.AvgPool2d(6), log_softmax(),
    )  # fmt: skip


def s4_4() -> nn.Sequential:
    layer = partial(conv, then="norm relu dropout", dropout=0.03)
    return nn.Sequential(
        *row(layer, 1, 8, 16), pool(), layer(16, 8, 1), *row(layer, 8, 10, 16, 16),
        nn.AvgPool2d(6), conv(16, 10, 1), log_softmax(),
    )  # fmt: skip


def s4_6() -> nn.Sequential:
    layer = partial(conv, then="relu norm dropout", dropout=0.03)
    return nn.Sequential(
        *row(layer, 1, 8, 16), pool(), conv(16, 8, 1), *row(layer, 8, 10, 16, 18),
        nn.AvgPool2d(6), layer(18, 16, 1), conv(16, 10, 1), log_softmax(),
    )  # fmt: skip
