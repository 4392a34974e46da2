"""The layer table counts every parameter, and the receptive field is the one the network has."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnist_lib.summary import count_parameters, layer_table, receptive_field

conv, pool, flatten, relu = nn.Conv2d, nn.MaxPool2d, nn.Flatten, nn.ReLU


def normalised() -> nn.Sequential:
    return nn.Sequential(
        conv(1, 4, 3), nn.BatchNorm2d(4), relu(), nn.Dropout(0.5), pool(2),
        nn.AdaptiveAvgPool2d(1), flatten(), nn.Linear(4, 10),
    )  # fmt: skip


class Block(nn.Module):
    """A layer that is no nn.Sequential; with `bare`, a parameter that belongs to no layer."""

    def __init__(self, bare: bool = False):
        super().__init__()
        self.layer = conv(1, 1, 3, padding=1)
        self.factor = nn.Parameter(torch.ones(7, 1, 1)) if bare else None

    def forward(self, images):
        images = self.layer(images)
        return images if self.factor is None else images * self.factor.mean()


class Shared(nn.Module):
    """One convolution used twice."""

    def __init__(self):
        super().__init__()
        self.layer = conv(1, 1, 3)

    def forward(self, images):
        return self.layer(self.layer(images))


# ---- layer table --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [normalised, lambda: nn.Sequential(Block(), Block())])
def test_the_total_is_the_number_of_parameters(make):
    model = make()
    total = sum(parameter.numel() for parameter in model.parameters())
    table = layer_table(model)
    assert count_parameters(model) == total
    assert f"Total params: {total:,}" in table
    assert "Conv2d-1" in table and "MB" not in table


def test_looking_at_a_network_changes_nothing():
    model = normalised().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    layer_table(model)
    receptive_field(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and all(layer.training for layer in model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert not receptive_field(model.eval()).empty and not model.training


class Watched(nn.Sequential):
    """Remembers whether it was moved to another device or cast."""

    moved = False

    def _apply(self, *arguments, **options):
        self.moved = True
        return super()._apply(*arguments, **options)

    def __deepcopy__(self, memo):
        return nn.Sequential(*copy.deepcopy(list(self), memo))


@pytest.mark.parametrize("look", [layer_table, receptive_field])
def test_looking_at_a_network_moves_it_nowhere(look):
    """It would come back from the second GPU to the first, and its layers in other modes."""
    model = Watched(conv(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    model[1].eval()  # frozen statistics
    look(model)
    assert not model.moved
    assert [layer.training for layer in model.modules()] == [True, True, False, True]


@pytest.mark.parametrize("look", [layer_table, receptive_field])
def test_a_network_that_fails_is_left_as_it_was(look):
    model = Watched(conv(1, 4, 3), conv(5, 4, 3)).train()  # four channels do not fit five
    with pytest.raises(RuntimeError, match="channels"):
        look(model)
    assert not model.moved and all(layer.training for layer in model.modules())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_receptive_field_is_known_without_gradients_too():
    with torch.no_grad():
        assert len(receptive_field(normalised())) == 4


@pytest.mark.parametrize("make", [lambda: Block(bare=True), Shared])
def test_a_wrong_total_is_refused(make):
    model = nn.Sequential(make())
    with pytest.raises(ValueError, match=f"does not count the {count_parameters(model)} param"):
        layer_table(model)


# ---- receptive field: published networks --------------------------------------------------------


def entries(model: nn.Module) -> list[tuple]:
    return list(receptive_field(model)[["k", "s", "p", "r", "n", "j"]].itertuples(index=False))


def test_unpadded_convolutions_with_average_pooling():
    """System S1 of the published ones."""
    model = nn.Sequential(
        conv(1, 8, 3), relu(), nn.BatchNorm2d(8), conv(8, 16, 3), conv(16, 16, 3), pool(2, 2),
        conv(16, 8, 1), conv(8, 16, 3), conv(16, 16, 3), conv(16, 16, 3),
        conv(16, 10, 1), nn.AvgPool2d(5), flatten(), nn.LogSoftmax(1),
    )  # fmt: skip
    assert entries(model) == [
        (3, 1, 0, 3, 26, 1), (3, 1, 0, 5, 24, 1), (3, 1, 0, 7, 22, 1), (2, 2, 0, 8, 11, 2),
        (1, 1, 0, 8, 11, 2), (3, 1, 0, 12, 9, 2), (3, 1, 0, 16, 7, 2), (3, 1, 0, 20, 5, 2),
        (1, 1, 0, 20, 5, 2), (5, 5, 0, 28, 1, 10),
    ]  # fmt: skip


def test_a_linear_layer_sees_the_whole_map():
    """System S2-1: padded convolutions, two poolings, a linear head."""
    model = nn.Sequential(
        conv(1, 8, 3, padding=1), conv(8, 8, 3, padding=1), conv(8, 8, 3, padding=1), pool(2),
        conv(8, 4, 1),
        conv(4, 8, 3, padding=1), conv(8, 16, 3, padding=1), conv(16, 16, 3, padding=1), pool(2),
        conv(16, 4, 1), flatten(), nn.Linear(196, 10),
    )  # fmt: skip
    assert entries(model) == [
        (3, 1, 1, 3, 28, 1), (3, 1, 1, 5, 28, 1), (3, 1, 1, 7, 28, 1), (2, 2, 0, 8, 14, 2),
        (1, 1, 0, 8, 14, 2), (3, 1, 1, 12, 14, 2), (3, 1, 1, 16, 14, 2), (3, 1, 1, 20, 14, 2),
        (2, 2, 0, 22, 7, 4), (1, 1, 0, 22, 7, 4), (7, 7, 0, 46, 1, 28),
    ]  # fmt: skip


def test_global_average_pooling_before_the_last_convolution():
    """System S3-2: the field grows beyond the image."""
    model = nn.Sequential(
        *[conv(a, 4, 3, padding=1) for a in (1, 4, 4)], pool(2), nn.Dropout(0.01),
        *[conv(a, 8, 3, padding=1) for a in (4, 8, 8)], pool(2), nn.Dropout(0.01),
        *[conv(8, 8, 3, padding=1) for _ in range(3)],
        nn.AdaptiveAvgPool2d(1), conv(8, 10, 1), flatten(),
    )  # fmt: skip
    assert entries(model) == [
        (3, 1, 1, 3, 28, 1), (3, 1, 1, 5, 28, 1), (3, 1, 1, 7, 28, 1), (2, 2, 0, 8, 14, 2),
        (3, 1, 1, 12, 14, 2), (3, 1, 1, 16, 14, 2), (3, 1, 1, 20, 14, 2), (2, 2, 0, 22, 7, 4),
        (3, 1, 1, 30, 7, 4), (3, 1, 1, 38, 7, 4), (3, 1, 1, 46, 7, 4), (7, 7, 0, 70, 1, 28),
        (1, 1, 0, 70, 1, 28),
    ]  # fmt: skip


def test_a_published_table_that_was_wrong():
    """System S4-6: the last two layers stand behind the pooling, on one cell."""
    model = nn.Sequential(
        conv(1, 8, 3), conv(8, 16, 3), pool(2), conv(16, 8, 1),
        conv(8, 10, 3), conv(10, 16, 3), conv(16, 18, 3),
        nn.AvgPool2d(6), conv(18, 16, 1), conv(16, 10, 1), flatten(),
    )  # fmt: skip
    assert entries(model) == [
        (3, 1, 0, 3, 26, 1), (3, 1, 0, 5, 24, 1), (2, 2, 0, 6, 12, 2), (1, 1, 0, 6, 12, 2),
        (3, 1, 0, 10, 10, 2), (3, 1, 0, 14, 8, 2), (3, 1, 0, 18, 6, 2), (6, 6, 0, 28, 1, 12),
        (1, 1, 0, 28, 1, 12), (1, 1, 0, 28, 1, 12),
    ]  # fmt: skip


def test_layers_are_named_as_they_are():
    model = nn.Sequential(
        conv(1, 4, 3), conv(4, 4, 3, groups=4), conv(4, 8, 1), pool(2), nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1), flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    assert receptive_field(model)["layer"].tolist() == [
        "conv 1→4", "depthwise conv 4", "conv 4→8", "max pool", "average pool",
        "global average pool", "linear 8→10",
    ]  # fmt: skip


# ---- receptive field: any network ---------------------------------------------------------------

layers = st.one_of(
    st.builds(
        lambda k, s, p, d: (conv, {"kernel_size": k, "stride": s, "padding": p, "dilation": d}),
        st.integers(1, 5), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2),
    ),
    st.builds(
        lambda kind, k, s: (kind, {"kernel_size": k, "stride": s}),
        st.sampled_from([pool, nn.AvgPool2d]), st.integers(1, 3), st.integers(1, 3),
    ),
)  # fmt: skip


@given(stack=st.lists(layers, min_size=1, max_size=6))
def test_any_stack_follows_the_recurrence(stack):
    n, j, r, expected, modules = 28, 1, 1, [], []
    for kind, settings in stack:
        k, s, p = settings["kernel_size"], settings["stride"], settings.get("padding", 0)
        reach = settings.get("dilation", 1) * (k - 1)  # from the first cell to the last
        if n + 2 * p <= reach:
            break
        n, r, j = (n + 2 * p - reach - 1) // s + 1, r + reach * j, j * s
        expected.append((r, n, j))
        modules.append(kind(1, 1, **settings) if kind is conv else kind(**settings))
    model = nn.Sequential(conv(1, 1, 1), *modules)
    table = receptive_field(model)
    assert list(table[["r", "n", "j"]].itertuples(index=False))[1:] == expected


@given(stack=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2)), min_size=1, max_size=4))
def test_the_field_is_what_one_output_cell_depends_on(stack):
    """Measured: which pixels have a gradient, seen from the middle cell of the output."""
    stack = [
        (k, d) for i, (k, d) in enumerate(stack) if sum(d * (k - 1) for k, d in stack[: i + 1]) < 26
    ]
    model = nn.Sequential(*[conv(1, 1, k, dilation=d, bias=False) for k, d in stack])
    for weight in model.parameters():
        nn.init.ones_(weight)  # nothing can cancel
    images = torch.zeros(1, 1, 28, 28, requires_grad=True)
    output = model(images)
    output[0, 0, output.shape[2] // 2, output.shape[3] // 2].backward()
    rows = images.grad[0, 0].sum(1).nonzero().squeeze(1)
    assert rows.max() - rows.min() + 1 == receptive_field(model)["r"].iloc[-1]


@pytest.mark.parametrize(("padding", "p", "n"), [("same", 1, 28), ("valid", 0, 26)])
def test_padding_may_be_given_in_words(padding, p, n):
    assert entries(nn.Sequential(conv(1, 4, 3, padding=padding))) == [(3, 1, p, 3, n, 1)]


def test_uneven_adaptive_pooling_is_refused():
    model = nn.Sequential(conv(1, 4, 3), nn.AdaptiveAvgPool2d(4))
    with pytest.raises(ValueError, match="26 cells to 4"):
        receptive_field(model)


def test_a_pooling_that_is_no_layer_is_refused_rather_than_missed():
    class Hidden(nn.Module):
        def forward(self, images):
            return nn.functional.max_pool2d(images, 2)

    with pytest.raises(ValueError, match="28 cells became 14 before conv 4→4"):
        receptive_field(nn.Sequential(conv(1, 4, 1), Hidden(), conv(4, 4, 3)))


# ---- receptive field: branches ------------------------------------------------------------------


class Skip(nn.Module):
    """What comes in plus what its layers make of it."""

    def __init__(self, *inside: nn.Module):
        super().__init__()
        self.inside = nn.Sequential(*inside)

    def forward(self, images):
        return images + self.inside(images)


class Parallel(nn.Module):
    """The maps of all branches, one behind the other."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images):
        return torch.cat([branch(images) for branch in self.branches], dim=1)


def same(n_in: int, n_out: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the width."""
    return conv(n_in, n_out, kernel, padding="same")


BRANCHED = {
    "skip": [same(1, 4, 3), Skip(same(4, 4, 3)), conv(4, 4, 3)],
    "skip at the end": [same(1, 4, 3), Skip(same(4, 4, 3))],
    "skip, changed in place": [same(1, 4, 3), Skip(same(4, 4, 3), relu(inplace=True)), pool(2)],
    "long skip": [Skip(same(1, 4, 3), relu(), same(4, 1, 5)), relu(), conv(1, 4, 3)],
    "of equal width": [same(1, 4, 3), Parallel(same(4, 4, 3), same(4, 4, 5)), conv(8, 4, 1)],
    "one without layers": [same(1, 4, 3), Parallel(same(4, 4, 3), relu()), conv(8, 4, 1)],
    "of unequal width": [Parallel(conv(1, 4, 3), nn.Sequential(conv(1, 4, 5), nn.Upsample(26)))],
}


@pytest.mark.parametrize("stages", BRANCHED.values(), ids=BRANCHED)
def test_branches_are_refused_rather_than_followed_in_a_row(stages):
    with pytest.raises(
        ValueError, match="there is a branch .* only known where each layer follows"
    ):
        receptive_field(nn.Sequential(*stages))


def test_elementwise_steps_between_the_layers_are_no_branches():
    class Swish(nn.Module):
        def forward(self, images):
            return images * torch.sigmoid(images)

    plain = nn.Sequential(conv(1, 4, 3), conv(4, 4, 3), pool(2))
    between = [Swish(), nn.BatchNorm2d(4), relu(inplace=True), nn.Dropout(0.5), Skip(relu())]
    dressed = nn.Sequential(plain[0], *between, plain[1], Swish(), plain[2], Swish())
    assert entries(dressed) == entries(plain)
