"""The library's own dropout against PyTorch's: the same distribution, wherever it is swapped in."""

import math

import pytest
import torch
from torch import nn

from mnist_lib import models
from mnist_lib.engine import layers
from mnist_lib.engine.layers import Dropout, accelerate
from mnist_lib.journey import ONE_CYCLE


def images(n=8, channels=5, height=6, width=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, channels, height, width, generator=generator)
    return drawn.contiguous(memory_format=torch.channels_last)


class Loud(nn.Dropout):
    """A dropout of somebody's own."""

    def forward(self, x):
        return 2 * super().forward(x)


# ---- what accelerate changes, and what it leaves ------------------------------------------------


def test_plain_dropout_is_swapped_on_the_cpu_and_nothing_else():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Dropout(0.1), nn.Sequential(nn.Dropout(0.2)),
        nn.Dropout2d(0.3), nn.AlphaDropout(0.4), Loud(0.5),
    )  # fmt: skip
    kinds = [type(layer) for layer in network.modules()]
    accelerated = [type(layer) for layer in accelerate(network, "cpu").modules()]
    assert accelerated == [Dropout if kind is nn.Dropout else kind for kind in kinds]
    assert [network[1].p, network[2][0].p] == [0.1, 0.2]


def test_other_devices_keep_the_dropout_of_pytorch():
    network = accelerate(models.normalised(dropout=0.1), "meta")
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not any(isinstance(layer, Dropout) for layer in network.modules())


@pytest.mark.parametrize(
    "network", [lambda: models.normalised(dropout=0.5), ONE_CYCLE.network, models.plain]
)
def test_weights_and_evaluation_stay_and_channels_come_last(network):
    torch.manual_seed(1)
    plain, x = network().eval(), torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        expected = plain(x)
        before = {name: value.clone() for name, value in plain.state_dict().items()}
        model = accelerate(plain, "cpu")
        torch.testing.assert_close(model(x), expected)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    network().load_state_dict(model.state_dict())  # and back into one that nobody accelerated
    (weight, *_) = (
        layer.weight for layer in model.modules()
        if isinstance(layer, nn.Conv2d) and layer.in_channels > 1 and layer.kernel_size == (3, 3)
    )  # fmt: skip
    assert weight.is_contiguous(memory_format=torch.channels_last)


# ---- dropout ------------------------------------------------------------------------------------


def test_dropout_draws_four_decisions_at_once(monkeypatch):
    drawn, draw = [], layers.random_bits
    monkeypatch.setattr(layers, "random_bits", lambda n: drawn.append(draw(n)) or drawn[-1])
    Dropout(0.5)(images(8, 5, 6, 7))
    assert [len(numbers) for numbers in drawn] == [8 * 5 * 6 * 7 / 4]


@pytest.mark.parametrize("p", [0.03, 0.1, 0.5])
def test_dropout_zeroes_this_part_and_scales_the_rest(p):
    torch.manual_seed(1)
    x = torch.ones(40, 10, 25, 25).contiguous(memory_format=torch.channels_last).requires_grad_()
    output = Dropout(p)(x)
    assert output.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    zeroed = output == 0
    spread = math.sqrt(p * (1 - p))
    assert zeroed.float().mean().item() == pytest.approx(p, abs=4 * spread / math.sqrt(x.numel()))
    # every image and every map has its own share, none is favoured
    for dimensions, count in (((1, 2, 3), 6_250), ((0, 2, 3), 25_000), ((0, 1), 400)):
        shares = zeroed.float().mean(dimensions)
        assert (shares - p).abs().max() < 6 * spread / math.sqrt(count)
    output.sum().backward()
    assert torch.equal(x.grad, output.detach())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_layout_of_its_images(layout):
    x = images().contiguous(memory_format=layout)
    assert Dropout(0.5)(x).stride() == x.stride()


def test_neighbouring_pixels_are_dropped_independently():
    torch.manual_seed(2)
    zeroed = (Dropout(0.5)(torch.ones(400, 4, 25, 25)) == 0).float() - 0.5
    for one, other in (
        (zeroed[..., 1:], zeroed[..., :-1]),
        (zeroed[:, 1:], zeroed[:, :-1]),
        (zeroed[1:], zeroed[:-1]),
    ):
        assert abs((one * other).mean()) < 4 * 0.25 / math.sqrt(one.numel())


def test_dropout_draws_anew_and_repeats_with_the_seed():
    layer, x = Dropout(0.5), torch.ones(4, 3, 5, 5)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert not torch.equal(first, second) and torch.equal(layer(x), first)


def test_dropout_does_nothing_in_eval_mode_or_at_zero():
    x = images()
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)


@pytest.mark.parametrize("p", [1.0, 0.999_999])
def test_a_probability_next_to_one_is_left_to_pytorch(p):
    output = Dropout(p)(images())
    assert torch.isfinite(output).all() and (output == 0).float().mean() > 0.9


def test_dropout_takes_any_shape():
    torch.manual_seed(4)
    for shape in ((1_000,), (40, 25), (10, 10, 10), (2, 5, 4, 5, 5)):
        output = Dropout(0.5)(torch.ones(shape))
        assert output.shape == shape and 0.3 < (output == 0).float().mean() < 0.7
