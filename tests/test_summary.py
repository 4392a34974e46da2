"""The layer table counts every parameter, and the receptive field is the one the network has."""

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


class Step(nn.Module):
    """What a function makes of the images, with the layers that it uses."""

    def __init__(self, function, *layers: nn.Module):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, images):
        return self.function(images, *self.layers)


# ---- layer table --------------------------------------------------------------------------------


def test_the_total_is_the_number_of_parameters():
    table = layer_table(normalised())
    assert count_parameters(normalised()) == 4 * 9 + 4 + 8 + 50 == 98
    assert "Total params: 98" in table and "Conv2d-1" in table and "MB" not in table


@pytest.mark.parametrize("look", [layer_table, receptive_field])
def test_looking_at_a_network_changes_nothing(look):
    model = normalised().train()
    model[1].eval()  # frozen statistics
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with torch.no_grad():
        look(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert [layer.training for layer in model] == [True, False] + [True] * 6
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_wrong_total_is_refused():
    """Of a parameter that belongs to no layer, and of a layer that is used twice."""
    bare = Step(lambda images, layer: layer(images) * bare.factor.mean(), conv(1, 1, 3))
    bare.factor = nn.Parameter(torch.ones(7))
    twice = Step(lambda images, layer: layer(layer(images)), conv(1, 1, 3))
    for model in (bare, twice):
        with pytest.raises(ValueError, match=f"not count the {count_parameters(model)} param"):
            layer_table(model)


# ---- receptive field: those of all published systems are in test_systems.py ---------------------


def entries(model: nn.Module) -> list[list]:
    return receptive_field(model)[["k", "s", "p", "r", "n", "j"]].values.tolist()


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
        expected.append([reach + 1, s, p, r, n, j])
        modules.append(kind(1, 1, **settings) if kind is conv else kind(**settings))
    assert entries(nn.Sequential(conv(1, 1, 1), *modules))[1:] == expected


def test_layers_have_names_and_poolings_their_windows():
    table = receptive_field(
        nn.Sequential(
            *[conv(1, 1, 1), conv(1, 8, 3), conv(8, 8, 3, groups=8)],
            *[conv(8, 8, 1, groups=2), conv(8, 16, 1, groups=8), pool(3, 1, padding=1)],
            *[nn.AvgPool2d(2), nn.AdaptiveAvgPool2d((4, 4)), nn.AdaptiveAvgPool2d(1)],
            *[flatten(), nn.Linear(16, 10)],
        )
    )
    names = ["conv 1→1", "conv 1→8", "depthwise conv 8", "conv 8→8", "conv 8→16", "max pool"]
    names += ["average pool", *2 * ["global average pool"], "linear 16→10"]
    assert table["layer"].tolist() == names
    windows = [[3, 1, 1, 24], [2, 2, 0, 12], [3, 3, 0, 4], [4, 4, 0, 1], [1, 1, 0, 1]]
    assert table[["k", "s", "p", "n"]].values.tolist()[5:] == windows


@pytest.mark.parametrize(("padding", "p", "n"), [("same", 2, 28), ("valid", 0, 24)])
def test_padding_may_be_given_by_name(padding, p, n):
    assert entries(nn.Sequential(conv(1, 4, 5, padding=padding))) == [[5, 1, p, 5, n, 1]]


def test_uneven_adaptive_pooling_and_hidden_pooling_are_refused():
    with pytest.raises(ValueError, match="26 cells to 4"):
        receptive_field(nn.Sequential(conv(1, 4, 3), nn.AdaptiveAvgPool2d(4)))
    hidden = Step(lambda images: nn.functional.max_pool2d(images, 2))
    with pytest.raises(ValueError, match="28 cells became 14 before conv 4→4"):
        receptive_field(nn.Sequential(conv(1, 4, 1), hidden, conv(4, 4, 3)))


# ---- receptive field: branches ------------------------------------------------------------------


def same(n_in: int, n_out: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the width."""
    return conv(n_in, n_out, kernel, padding="same")


def skip(*inside: nn.Module) -> nn.Module:
    return Step(lambda images, layers: images + layers(images), nn.Sequential(*inside))


def parallel(one: nn.Module, other: nn.Module) -> nn.Module:
    return Step(lambda images, a, b: torch.cat([a(images), b(images)], dim=1), one, other)


BRANCHED = {
    "skip": [same(1, 4, 3), skip(same(4, 4, 3)), conv(4, 4, 3)],
    "skip, changed in place": [same(1, 4, 3), skip(same(4, 4, 3), relu(inplace=True)), pool(2)],
    "long skip": [skip(same(1, 4, 3), relu(), same(4, 1, 5)), relu(), conv(1, 4, 3)],
    "one without layers": [same(1, 4, 3), parallel(same(4, 4, 3), relu()), conv(8, 4, 1)],
    "of unequal width": [parallel(conv(1, 4, 3), nn.Sequential(conv(1, 4, 5), nn.Upsample(26)))],
}


@pytest.mark.parametrize("stages", BRANCHED.values(), ids=BRANCHED)
def test_branches_are_refused_rather_than_followed_in_a_row(stages):
    with pytest.raises(ValueError, match="there is a branch .* where each layer follows"):
        receptive_field(nn.Sequential(*stages))


def test_elementwise_steps_between_the_layers_are_no_branches():
    swish = Step(lambda images: images * torch.sigmoid(images))
    plain = nn.Sequential(conv(1, 4, 3), conv(4, 4, 3), pool(2))
    between = [*[swish] * 20, nn.BatchNorm2d(4), relu(inplace=True), nn.Dropout(0.5), skip(relu())]
    dressed = nn.Sequential(plain[0], *between, plain[1], swish, plain[2], swish)
    assert entries(dressed) == entries(plain)


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
def test_a_recurrent_network_ends_at_once(kind):
    """Its 28 steps have millions of ways back through the graph; each step is visited once."""

    def last_row(images, layer, head):
        return head(layer(images.squeeze(1))[0][:, -1])

    model = Step(last_row, kind(28, 16, batch_first=True), nn.Linear(16, 10))
    assert len(receptive_field(model)) == 1
