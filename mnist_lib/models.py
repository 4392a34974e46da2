"""The networks of the journey: one line a stage, in the order the data meets them, logits out.

The columns at the right are the output's size, the receptive field in pixels and the parameters;
a test recomputes them, so they cannot drift from the code.
"""

from torch import nn

# ---- blocks ------------------------------------------------------------------------------------


def conv_relu(n_in: int, n_out: int, kernel: int = 3) -> nn.Sequential:
    """Convolution and ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel), nn.ReLU(inplace=True))


def conv_norm_relu(n_in: int, n_out: int, kernel: int = 3, dropout: float = 0.0) -> nn.Sequential:
    """Convolution, batch normalisation (Ioffe & Szegedy 2015), ReLU, dropout if there is any.

    No bias: the normalisation that follows would subtract it again.
    """
    conv = nn.Conv2d(n_in, n_out, kernel, bias=False)
    stages = [conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    # dropout with p = 0 does nothing and still costs time, so it is left out
    return nn.Sequential(*stages, *([nn.Dropout(dropout)] if dropout else []))


def separable(n_in: int, n_out: int) -> nn.Sequential:
    """Depthwise 3x3, then pointwise 1x1 convolution, normalised once (Howard et al. 2017).

    Nine weights per channel see the neighbourhood, n_in * n_out weights mix the channels: about a
    ninth of the parameters of a full 3x3 convolution once there are many channels.
    """
    return nn.Sequential(
        nn.Conv2d(n_in, n_in, 3, groups=n_in, bias=False),
        nn.Conv2d(n_in, n_out, 1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def average_and_classify(n_in: int) -> nn.Sequential:
    """Global average pooling (Lin et al. 2013), then one linear layer to the ten logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, 10))


# ---- networks of the journey --------------------------------------------------------------------


def plain() -> nn.Sequential:
    """Two convolutions and two linear layers, as in any first tutorial: 27,562 parameters."""
    return nn.Sequential(          # output     field  parameters
        conv_relu(1, 8),           #  8x26x26     3         80
        nn.MaxPool2d(2),           #  8x13x13     4
        conv_relu(8, 16),          # 16x11x11     8      1,168
        nn.MaxPool2d(2),           # 16x5x5      10
        nn.Flatten(),              # 400
        nn.Linear(400, 64),        # 64          26     25,664
        nn.ReLU(inplace=True),
        nn.Linear(64, 10),         # 10          26        650
    )  # fmt: skip
