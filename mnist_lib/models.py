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
    """Fully convolutional: a 5x5 layer, a 1x1 transition, five 3x3 layers, an average."""
    return nn.Sequential(                           # output     field  parameters
        conv_relu(1, 12, kernel=5, pool=2),         # 12x12x12     6        312
        conv_relu(12, 8, kernel=1),                 #  8x12x12     6        104
        conv_relu(8, 13, padding=1),                # 13x12x12    10        949
        conv_relu(13, 13, padding=1),               # 13x12x12    14      1,534
        conv_relu(13, 13),                          # 13x10x10    18      1,534
        conv_relu(13, 13),                          # 13x8x8      22      1,534
        conv_relu(13, 13),                          # 13x6x6      26      1,534
        average_and_classify(13),                   # 10          36        140
    )


def normalised(dropout: float = 0.0) -> nn.Sequential:
    """The skeleton with batch normalisation after every convolution, in place of its bias."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 12, 5, 2, 0, dropout),    # 12x12x12     6        324
        conv_norm_relu(12, 8, 1, 1, 0, dropout),    #  8x12x12     6        112
        conv_norm_relu(8, 13, 3, 1, 1, dropout),    # 13x12x12    10        962
        conv_norm_relu(13, 13, 3, 1, 1, dropout),   # 13x12x12    14      1,547
        conv_norm_relu(13, 13, 3, 1, 0, dropout),   # 13x10x10    18      1,547
        conv_norm_relu(13, 13, 3, 1, 0, dropout),   # 13x8x8      22      1,547
        conv_norm_relu(13, 13, 3, 1, 0, dropout),   # 13x6x6      26      1,547
        average_and_classify(13),                   # 10          36        140
    )


def separated() -> nn.Sequential:
    """The same shape, with a separable convolution wherever a 3x3 one mixes channels."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 12, kernel=5, pool=2),    # 12x12x12     6        324
        conv_norm_relu(12, 8, kernel=1),            #  8x12x12     6        112
        separable(8, 13, padding=1),                # 13x12x12    10        202
        separable(13, 13, padding=1),               # 13x12x12    14        312
        separable(13, 13),                          # 13x10x10    18        312
        separable(13, 13),                          # 13x8x8      22        312
        separable(13, 13),                          # 13x6x6      26        312
        average_and_classify(13),                   # 10          36        140
    )


def lean(width: int = 24) -> nn.Sequential:
    """Depthwise separable convolutions after the first layer; the columns are for 24 channels."""
    return nn.Sequential(                           # output     field  parameters
        conv_norm_relu(1, 8),                       #  8x26x26     3         88
        separable(8, 16, pool=2),                   # 16x12x12     6        232
        separable(16, width, padding=1),            # 24x12x12    10        576
        separable(width, width),                    # 24x10x10    14        840
        separable(width, width),                    # 24x8x8      18        840
        separable(width, width),                    # 24x6x6      22        840
        average_and_classify(width),                # 10          32        250
    )
