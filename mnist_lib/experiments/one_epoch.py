"""What races in notebook 11: recipes that train for one epoch, and what else was tried."""

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from mnist_lib.recipes import Adam, OneCycle, Recipe


class Crop(nn.Module):
    """Images without so many pixels at each border."""

    def __init__(self, border: int):
        super().__init__()
        self.border = border

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., self.border : -self.border, self.border : -self.border]


def two_convolutions(
    first: int = 24, hidden: int = 256, border: int = 0, normalised: bool = False
) -> nn.Sequential:
    """5x5 and 3x3 convolutions, each pooled, then a hidden layer; logits (n, 10)."""
    side = ((28 - 2 * border - 4) // 2 - 2) // 2
    return nn.Sequential(
        *([Crop(border)] if border else []),
        *pooled(1, first, 5, normalised),
        *pooled(first, 32, 3, normalised),
        nn.Flatten(),
        nn.Linear(32 * side**2, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, 10),
    )


def pooled(n_in: int, n_out: int, kernel: int, normalised: bool) -> list[nn.Module]:
    """Convolution, pooling, perhaps normalisation, ReLU."""
    return [
        nn.Conv2d(n_in, n_out, kernel, bias=not normalised),
        nn.MaxPool2d(2),
        *([nn.BatchNorm2d(n_out)] if normalised else []),
        nn.ReLU(inplace=True),
    ]


def quick(**changes) -> partial:
    """The network of the last step, or with these changes."""
    last = {"first": 16, "hidden": 128, "border": 2, "normalised": True}
    return partial(two_convolutions, **(last | changes))


# The last step of https://github.com/tuomaso/train_mnist_fast, whose 30 runs end at
# 99.041 ± 0.066 %. It takes the images in the order of the files; here they are shuffled.
PUBLISHED = Recipe(
    "published", "two convolutions, Adam, one cycle in one epoch", two_convolutions,
    Adam(0.01, betas=(0.7, 0.9)), OneCycle(peak=0.01), batch_size=256, epochs=1,
)  # fmt: skip
CROPPED = PUBLISHED.but(
    "cropped", "2 pixels less at each border", network=partial(two_convolutions, border=2)
)
NARROWER = CROPPED.but(
    "narrower", "16 channels in place of 24 in the first convolution",
    network=partial(two_convolutions, first=16, border=2),
)  # fmt: skip
NORMALISED = NARROWER.but("normalised", "batch normalisation", network=quick(hidden=256))
HALF_HIDDEN = NORMALISED.but("half-hidden", "128 hidden units in place of 256", network=quick())
ENTRIES = [PUBLISHED, CROPPED, NARROWER, NORMALISED, HALF_HIDDEN]

# the first and the last, as they race in the end: on all 60,000 digits
FINALISTS = [replace(entry, folds=0) for entry in (PUBLISHED, HALF_HIDDEN)]

TRIED = [
    HALF_HIDDEN.but("border-3", "3 pixels less at each border", network=quick(border=3)),
    HALF_HIDDEN.but("8-channels", "8 channels in place of 16", network=quick(first=8)),
    HALF_HIDDEN.but("64-hidden", "64 hidden units", network=quick(hidden=64)),
    HALF_HIDDEN.but("batch-128", "batches of 128", batch_size=128),
    HALF_HIDDEN.but("batch-512", "batches of 512", batch_size=512),
    HALF_HIDDEN.but(
        "rate-0.02", "twice the rate",
        optimizer=Adam(0.02, betas=(0.7, 0.9)), schedule=OneCycle(peak=0.02),
    ),
    HALF_HIDDEN.but("usual-betas", "Adam's usual betas", optimizer=Adam(0.01)),
    HALF_HIDDEN.but(
        "earlier-peak", "the highest rate after 15 % of the steps in place of 30 %",
        schedule=OneCycle(peak=0.01, warmup=0.15),
    ),
]  # fmt: skip
