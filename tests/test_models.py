"""The networks have the sizes that the journey promises, and the columns beside them are true."""

import inspect
import re

import pytest
import torch
from torch import nn

from mnist_lib import journey, models
from mnist_lib.engine.checks import IMAGE
from mnist_lib.summary import count_parameters, receptive_field

PARAMETERS = {
    "01-plain": 27_562,
    "02-skeleton": 7_641,
    "03-batch-norm": 7_726,
    "04-dropout": 7_726,  # dropout has no parameters
    "05-augmentation": 7_726,
    "05-albumentations": 7_726,
    "06-higher-rate": 7_726,
    "06-step-decay": 7_726,
    "06-one-cycle": 7_726,
    "07-separable": 2_026,
    "07-wider": 3_666,
    "08-small": 2_894,
    "08-smaller": 2_218,
}
LIMITS = {"02": 7_999, "03": 7_999, "04": 7_999, "05": 7_999, "06": 7_999, "07": 4_392, "08": 2_999}
COLUMNS = re.compile(r"# +(?P<output>[\dx]+)(?: +(?P<field>\d+) +(?P<parameters>[\d,]+))?$")

every_recipe = pytest.mark.parametrize("recipe", journey.JOURNEY, ids=lambda recipe: recipe.name)


def test_each_network_has_its_number_of_parameters():
    found = {recipe.name: count_parameters(recipe.network()) for recipe in journey.JOURNEY}
    assert found == PARAMETERS


@pytest.mark.parametrize("recipe", journey.JOURNEY[1:], ids=lambda recipe: recipe.name)
def test_each_step_keeps_to_its_limit(recipe):
    assert count_parameters(recipe.network()) <= LIMITS[recipe.name[:2]]


@every_recipe
def test_ten_logits_come_out_for_each_image(recipe):
    network = recipe.network().eval()
    images = torch.randn(3, *IMAGE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = network(images)
    assert logits.shape == (3, 10)
    assert isinstance(list(network.modules())[-1], nn.Linear)  # nothing that makes probabilities
    assert logits.min() < 0 or not torch.allclose(logits.sum(1), torch.ones(3))


# ---- the columns at the right -------------------------------------------------------------------


def stages(function) -> list[str]:
    """The source lines of a network, one per stage."""
    head, body = inspect.getsource(function).split("return nn.Sequential(", 1)
    first, *lines = body.splitlines()
    assert first.split() == ["#", "output", "field", "parameters"]
    return lines[: lines.index("    )")]


def columns(function) -> list[tuple]:
    """What the comment of each stage says: (output, field, parameters), None where it is silent."""
    rows = []
    for line in stages(function):
        match = COLUMNS.search(line)
        assert match or "#" not in line, f"cannot be read: {line}"
        rows.append(match.group("output", "field", "parameters") if match else None)
    return rows


def computed(network: nn.Sequential) -> list[tuple]:
    """The same, from the built network."""
    rows, sizes = [], []
    hooks = [
        stage.register_forward_hook(lambda _stage, _input, output: sizes.append(output.shape[1:]))
        for stage in network
    ]
    with torch.no_grad():
        network.eval()(torch.zeros(1, *IMAGE))
    for hook in hooks:
        hook.remove()
    for number, (stage, size) in enumerate(zip(network, sizes, strict=True), start=1):
        field = receptive_field(network[:number])["r"].iloc[-1]
        rows.append(("x".join(map(str, size)), str(field), f"{count_parameters(stage):,}"))
    return rows


@pytest.mark.parametrize(
    "name, options",
    [
        ("plain", {}),
        ("skeleton", {}),
        ("normalised", {}),
        ("normalised", {"dropout": 0.05}),
        ("lean", {}),
    ],
    ids=str,
)
def test_the_columns_are_those_of_the_network(name, options):
    function = getattr(models, name)
    said, true = columns(function), computed(function(**options))
    for line, words, numbers in zip(stages(function), said, true, strict=True):
        if numbers[2] != "0":  # a stage with parameters says everything
            assert words == numbers, line
        elif words is not None:
            assert words[0] == numbers[0] and words[1:] in (numbers[1:], (None, None)), line


def test_a_wrong_column_would_be_found(monkeypatch):
    wrong = inspect.getsource(models.lean).replace("16x12x12     6 ", "16x12x12     8 ")
    assert wrong != inspect.getsource(models.lean)
    monkeypatch.setattr(inspect, "getsource", lambda function: wrong)
    assert columns(models.lean) != computed(models.lean())


# ---- blocks -------------------------------------------------------------------------------------


def kinds(network: nn.Module) -> list[type]:
    """The layers, without the containers around them."""
    return [type(layer) for layer in network.modules() if not isinstance(layer, nn.Sequential)]


def test_no_dropout_leaves_no_layer():
    assert nn.Dropout not in kinds(models.normalised())
    assert nn.Dropout not in kinds(models.normalised(dropout=0.0))


def test_dropout_stands_at_the_end_of_each_block():
    *blocks, head = models.normalised(dropout=0.05)
    assert len(blocks) == 7 and nn.Dropout not in kinds(head)
    for block in blocks:
        assert kinds(block)[-2:] == [nn.ReLU, nn.Dropout]
        assert kinds(block).count(nn.Dropout) == 1 and block[-1].p == 0.05


def test_relu_and_max_pooling_may_change_places():
    convolution, pool, relu = models.conv_relu(1, 8, pool=2)
    assert [type(layer) for layer in (pool, relu)] == [nn.MaxPool2d, nn.ReLU]
    images = torch.randn(50, *IMAGE, generator=torch.Generator().manual_seed(1))
    maps = convolution(images)
    assert (maps < 0).any() and (maps > 0).any()
    assert torch.equal(relu(pool(maps.clone())), pool(relu(maps.clone())))


def test_no_pooling_no_layer():
    assert kinds(models.conv_relu(1, 8)) == [nn.Conv2d, nn.ReLU]


def test_normalisation_replaces_the_bias():
    for network in (models.normalised(), models.lean()):
        convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        assert all(layer.bias is None for layer in convolutions)


def test_a_separable_block_has_the_weights_it_claims():
    n_in, n_out = 8, 16
    depthwise, pointwise, *_ = models.separable(n_in, n_out, pool=2)
    assert depthwise.groups == n_in and pointwise.kernel_size == (1, 1)
    assert count_parameters(depthwise) + count_parameters(pointwise) == 9 * n_in + n_in * n_out
