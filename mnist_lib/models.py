"""The networks of the journey: one line a stage, in the order the data meets them, logits out.

The columns at the right are the output's size, the receptive field in pixels and the parameters;
a test recomputes them, so they cannot drift from the code.
"""

from torch import nn

# ---- blocks -------------------------------------------------------------------------------------


def conv_relu(
    n_in: int, n_out: int, kernel: int = 3, pool: int = 1, padding: int = 0
) -> nn.Sequential:
    """Convolution, max pooling if asked for, ReLU.

    ReLU and max pooling may change places without changing a number, and after the pooling there
    are four times fewer numbers to work on.
    """
    convolution = nn.Conv2d(n_in, n_out, kernel, padding=padding)
    # PyTorch's default weights let through a sixth of the variance; after seven layers without
    # normalisation nothing would be left. These keep it (He et al. 2015).
    nn.init.kaiming_uniform_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, *pooling(pool), nn.ReLU(inplace=True))


def conv_norm_relu(
    n_in: int, n_out: int, kernel: int = 3, pool: int = 1, padding: int = 0, dropout: float = 0.0
) -> nn.Sequential:
    """Convolution, max pooling if asked for, batch normalisation, ReLU, dropout if there is any.

    No bias: the normalisation (Ioffe & Szegedy 2015) would subtract it again.
    """
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, padding=padding, bias=False),
        *pooling(pool),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
        # dropout with p = 0 does nothing and still costs time
        *([nn.Dropout(dropout)] if dropout else []),
    )


def separable(n_in: int, n_out: int, pool: int = 1, padding: int = 0) -> nn.Sequential:
    """Depthwise 3x3, then pointwise 1x1 convolution, normalised once (Howard et al. 2017).

    Nine weights per channel look at the neighbourhood, n_in * n_out weights mix the channels:
    9 * n_in + n_in * n_out in place of 9 * n_in * n_out.
    """
    return nn.Sequential(
        nn.Conv2d(n_in, n_in, 3, padding=padding, groups=n_in, bias=False),
        nn.Conv2d(n_in, n_out, 1, bias=False),
        *pooling(pool),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def pooling(size: int) -> list[nn.Module]:
    """Max pooling with this window and stride, nothing for size 1."""
    return [nn.MaxPool2d(size)] if size > 1 else []


def average_and_classify(n_in: int) -> nn.Sequential:
    """Global average pooling (Lin et al. 2013), then one linear layer to the ten logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, 10))


# ---- networks of the journey --------------------------------------------------------------------
# fmt: off


def plain() -> nn.Sequential:
    """Two convolutions and a fully connected head, as in any first tutorial."""
    return nn.Sequential(                           # output     field  parameters
        conv_relu(1, 8, pool=2),                    #  8x13x13     4         80
        conv_relu(8, 16, pool=2),                   # 16x5x5      10      1,168
        nn.Flatten(),                               # 400
        nn.Linear(400, 64),                         # 64          26     25,664
        nn.ReLU(inplace=True),
        nn.Linear(64, 10),                          # 10          26        650
    )


def skeleton() -> nn.Sequential:
    """Fully convolutional: three layers look closely, a transition squeezes, three look wide."""
    return nn.Sequential(                           # output     field  parameters
        conv_relu(1, 8),                            #  8x26x26     3         80
        conv_relu(8, 12),                           # 12x24x24     5        876
        conv_relu(12, 12, pool=2),                  # 12x11x11     8      1,308
        conv_relu(12, 8, kernel=1),                 #  8x11x11     8        104
        conv_relu(8, 12),                           # 12x9x9      12        876
        conv_relu(12, 16),                          # 16x7x7      16      1,744
        conv_relu(16, 18),                          # 18x5x5      20      2,610
        average_and_classify(18),                   # 10          28        190
    )


def normalised(dropout: float = 0.0) -> nn.Sequential:
    """The skeleton with batch normalisation after every convolution, in place of its bias."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 8, dropout=dropout),      #  8x26x26     3         88
        conv_norm_relu(8, 12, dropout=dropout),     # 12x24x24     5        888
        conv_norm_relu(12, 12, 3, 2, 0, dropout),   # 12x11x11     8      1,320
        conv_norm_relu(12, 8, 1, 1, 0, dropout),    #  8x11x11     8        112
        conv_norm_relu(8, 12, dropout=dropout),     # 12x9x9      12        888
        conv_norm_relu(12, 16, dropout=dropout),    # 16x7x7      16      1,760
        conv_norm_relu(16, 18, dropout=dropout),    # 18x5x5      20      2,628
        average_and_classify(18),                   # 10          28        190
    )


def separated() -> nn.Sequential:
    """The same shape, with a separable convolution wherever a 3x3 one mixes channels."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 8),                       #  8x26x26     3         88
        separable(8, 12),                           # 12x24x24     5        192
        separable(12, 12, pool=2),                  # 12x11x11     8        276
        conv_norm_relu(12, 8, kernel=1),            #  8x11x11     8        112
        separable(8, 12),                           # 12x9x9      12        192
        separable(12, 16),                          # 16x7x7      16        332
        separable(16, 18),                          # 18x5x5      20        468
        average_and_classify(18),                   # 10          28        190
    )


def lean(a: int = 16, b: int = 20, c: int = 24, d: int = 28, e: int = 32) -> nn.Sequential:
    """Separable convolutions without the transition, wider towards the end."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 8),                       #  8x26x26     3         88
        separable(8, a),                            # 16x24x24     5        232
        separable(a, b, pool=2),                    # 20x11x11     8        504
        separable(b, c),                            # 24x9x9      12        708
        separable(c, d),                            # 28x7x7      16        944
        separable(d, e),                            # 32x5x5      20      1,212
        average_and_classify(e),                    # 10          28        330
    )
