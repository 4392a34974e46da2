"""The library's own layers against PyTorch's: the same numbers, or the same distribution."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnist_lib import layers
from mnist_lib.layers import BatchNorm2d, Dropout


@pytest.fixture
def two_threads():
    """With one thread the layer leaves the work to PyTorch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def images(n=8, channels=5, height=6, width=7, seed=1, mean=0.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, channels, height, width, generator=generator) + mean
    return drawn.contiguous(memory_format=torch.channels_last)


def step(layer, x, grad):
    """Output, gradients and running statistics after one training step, in float64."""
    x = x.clone().requires_grad_()
    output = layer(x)
    output.backward(grad)
    found = {"output": output, "input gradient": x.grad}
    found |= {name: parameter.grad for name, parameter in layer.named_parameters()}
    found |= dict(layer.named_buffers())
    return {name: value.detach().double() for name, value in found.items()}


@given(
    st.integers(1, 20), st.integers(2, 6), st.integers(1, 7), st.integers(1, 7), st.booleans()
)  # fmt: skip
def test_batch_norm_gives_the_numbers_of_pytorch(channels, n, height, width, channels_last):
    if n * height * width < 3:
        return  # two numbers per channel have no gradient but rounding
    torch.set_num_threads(2)
    try:
        ours = BatchNorm2d(channels)
        nn.init.uniform_(ours.weight, 0.5, 2.0)
        nn.init.uniform_(ours.bias, -1.0, 1.0)
        exact = nn.BatchNorm2d(channels).double()
        exact.load_state_dict(ours.state_dict())
        x, grad = images(n, channels, height, width), images(n, channels, height, width, seed=2)
        if not channels_last:  # PyTorch's own code
            x, grad = x.contiguous(), grad.contiguous()
        found, expected = step(ours, x, grad), step(exact, x.double(), grad.double())
    finally:
        torch.set_num_threads(1)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("channels", "threads", "layout", "training", "ours"),
    [
        (5, 2, torch.channels_last, True, True),
        (16, 2, torch.channels_last, True, False),
        (5, 1, torch.channels_last, True, False),
        (5, 2, torch.contiguous_format, True, False),
        (5, 2, torch.channels_last, False, False),
    ],
)
def test_batch_norm_does_itself_what_pytorch_does_slowly(
    channels, threads, layout, training, ours, two_threads, monkeypatch
):
    calls = []
    apply = layers.Normalise.apply
    monkeypatch.setattr(layers.Normalise, "apply", lambda *a: calls.append(1) or apply(*a))
    torch.set_num_threads(threads)
    BatchNorm2d(channels).train(training)(images(8, channels).contiguous(memory_format=layout))
    assert bool(calls) is ours


def test_dropout_draws_four_decisions_at_once(monkeypatch):
    drawn, draw = [], layers.random_bits
    monkeypatch.setattr(layers, "random_bits", lambda n: drawn.append(draw(n)) or drawn[-1])
    Dropout(0.5)(images(8, 5, 6, 7))
    assert [len(numbers) for numbers in drawn] == [8 * 5 * 6 * 7 / 4]


def test_batch_norm_stays_exact_far_from_zero(two_threads):
    ours, exact = BatchNorm2d(5), nn.BatchNorm2d(5).double()
    x, grad = images(mean=1_000.0), images(seed=2)
    found, expected = step(ours, x, grad), step(exact, x.double(), grad.double())
    torch.testing.assert_close(found["output"], expected["output"], rtol=0, atol=1e-3)


def test_batch_norm_gradients_are_those_of_finite_differences(two_threads):
    layer = BatchNorm2d(3).double()
    x = images(2, 3, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, x)


def test_batch_norm_lets_relu_change_its_output_in_place(two_threads):
    x, grads = images().requires_grad_(), {}
    for inplace in (False, True):
        network = nn.Sequential(BatchNorm2d(5), nn.ReLU(inplace=inplace))
        grads[inplace] = torch.autograd.grad(network(x).square().sum(), x)[0]
    assert torch.equal(grads[False], grads[True]) and grads[True].abs().sum() > 0


def test_batch_norm_evaluates_and_loads_weights_as_pytorch_does(two_threads):
    ours, theirs = BatchNorm2d(5), nn.BatchNorm2d(5)
    ours(images())
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    x = images(seed=3)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


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


@pytest.mark.parametrize(
    "options", [{"momentum": None}, {"affine": False}, {"track_running_stats": False}]
)
def test_unusual_batch_norms_are_left_to_pytorch(options, two_threads):
    ours, theirs = BatchNorm2d(5, **options), nn.BatchNorm2d(5, **options)
    assert torch.equal(ours(images()), theirs(images()))


def test_batch_norm_refuses_what_pytorch_refuses(two_threads):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm2d(5)(images(n=1, height=1, width=1))
    with pytest.raises(ValueError, match="expected 4D input"):
        BatchNorm2d(5)(torch.zeros(3, 5))


def test_batch_norm_works_within_autocast(two_threads):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(BatchNorm2d(5)(images().bfloat16())).all()
