"""The networks of the published systems, layer by layer as their sources have them.

Logits or log probabilities out; `systems.py` holds the recipes that train them.
"""

from functools import partial

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
    layer = nn.Conv2d(n_in, n_out, kernel, **{"bias": False, **options})
    return nn.Sequential(layer, *(following[name]() for name in then.split()))


pool = partial(nn.MaxPool2d, 2)


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


def looks_then_mixes(n_in: int, n_out: int) -> nn.Sequential:
    """A depthwise separable stage, normalised after both of its halves."""
    return nn.Sequential(stage(n_in, n_in, groups=n_in), stage(n_in, n_out, 1))


def s0_1() -> nn.Sequential:
    return nn.Sequential(
        stage(1, 8), stage(8, 16), pool(),
        conv(16, 8, 1), stage(8, 16), stage(16, 16), pool(),
        conv(16, 8, 1), padded(8, 16), padded(16, 16),
        conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s0_2() -> nn.Sequential:
    return nn.Sequential(
        stage(1, 8), stage(8, 16), stage(16, 16), pool(),
        conv(16, 8, 1), stage(8, 16), stage(16, 16), stage(16, 16),
        conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s0_3() -> nn.Sequential:
    return nn.Sequential(
        looks_then_mixes(1, 8), looks_then_mixes(8, 16), looks_then_mixes(16, 16), pool(),
        conv(16, 8, 1), looks_then_mixes(8, 16), looks_then_mixes(16, 16), looks_then_mixes(16, 16),
        conv(16, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s0_4() -> nn.Sequential:
    return nn.Sequential(
        stage(1, 16), looks_then_mixes(16, 16), looks_then_mixes(16, 32), pool(), conv(32, 16, 1),
        looks_then_mixes(16, 16), looks_then_mixes(16, 24), looks_then_mixes(24, 32),
        conv(32, 10, 1), nn.AdaptiveAvgPool2d(1), log_softmax(),
    )  # fmt: skip


def s1() -> nn.Sequential:
    return nn.Sequential(
        stage(1, 8), stage(8, 16), stage(16, 16), pool(),
        stage(16, 8, 1), stage(8, 16), stage(16, 16), stage(16, 16),
        conv(16, 10, 1), nn.AvgPool2d(5), log_softmax(),
    )  # fmt: skip


def s2(then: str, width: int, dropout: float) -> nn.Sequential:
    look = partial(conv, then=then, padding=1)
    last = partial(look, then=f"{then} dropout" if dropout else then, dropout=dropout)
    return nn.Sequential(
        look(1, 8), look(8, 8), last(8, width), pool(), conv(width, 4, 1),
        look(4, 8), look(8, 16), last(16, 16), pool(), conv(16, 4, 1),
        nn.Flatten(), nn.Linear(196, 10),
    )  # fmt: skip


def s2_1(dropout: float = 0.0) -> nn.Sequential:
    return s2("relu", 8, dropout)


def s2_3(dropout: float) -> nn.Sequential:
    return s2("norm relu", 16, dropout)


def s3_1() -> nn.Sequential:
    look = partial(conv, then="relu", bias=True)
    return xavier(nn.Sequential(
        look(1, 8), look(8, 8), pool(), look(8, 16, 1), look(16, 16), look(16, 16), pool(),
        look(16, 32, 1), look(32, 32), conv(32, 10, 2, bias=True), log_softmax(),
    ))  # fmt: skip


def s3_2() -> nn.Sequential:
    look = partial(conv, then="norm relu", padding=1, bias=True)
    return xavier(nn.Sequential(
        look(1, 4), look(4, 4), look(4, 4), pool(), nn.Dropout(0.01),
        look(4, 8), look(8, 8), look(8, 8), pool(), nn.Dropout(0.01),
        look(8, 8), look(8, 8), look(8, 8), nn.AdaptiveAvgPool2d(1),
        conv(8, 10, 1, bias=True), log_softmax(),
    ))  # fmt: skip


def s4_0() -> nn.Sequential:
    look = partial(conv, then="relu", padding=1, bias=True)
    return nn.Sequential(
        look(1, 32), look(32, 64), pool(), look(64, 128), look(128, 256), pool(),
        look(256, 512, padding=0), look(512, 1024, padding=0), conv(1024, 10, bias=True),
        log_softmax(),
    )  # fmt: skip


def s4_1() -> nn.Sequential:
    look = partial(conv, then="relu")
    return nn.Sequential(
        look(1, 8), look(8, 16), pool(), look(16, 8, 1), look(8, 10), look(10, 10), look(10, 16),
        conv(16, 10, 1), nn.AvgPool2d(6), log_softmax(),
    )  # fmt: skip


def s4_2(then: str = "norm relu", dropout: float = 0.0) -> nn.Sequential:
    look = partial(conv, then=then, dropout=dropout)
    return nn.Sequential(
        look(1, 8), look(8, 16), pool(), look(16, 8, 1), look(8, 10), look(10, 16), look(16, 10),
        nn.AvgPool2d(6), log_softmax(),
    )  # fmt: skip


def s4_4() -> nn.Sequential:
    look = partial(conv, then="norm relu dropout", dropout=0.03)
    return nn.Sequential(
        look(1, 8), look(8, 16), pool(), look(16, 8, 1), look(8, 10), look(10, 16), look(16, 16),
        nn.AvgPool2d(6), conv(16, 10, 1), log_softmax(),
    )  # fmt: skip


def s4_6() -> nn.Sequential:
    look = partial(conv, then="relu norm dropout", dropout=0.03)
    return nn.Sequential(
        look(1, 8), look(8, 16), pool(), conv(16, 8, 1), look(8, 10), look(10, 16), look(16, 18),
        nn.AvgPool2d(6), look(18, 16, 1), conv(16, 10, 1), log_softmax(),
    )  # fmt: skip
