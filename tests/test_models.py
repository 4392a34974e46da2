"""The networks have the sizes that the journey promises, and the columns beside them are true."""

import inspect
import re

import pytest
import torch
from torch import nn

from mnist_lib import journey, models
from mnist_lib.data import IMAGE
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
COLUMNS = re.compile(r"# +(?P<output>[\dx]+)(?: +(?P<field>\d+) +(?P<parameters>[\d,]+))?$")


def test_each_network_has_its_number_of_parameters_within_its_limit():
    found = {recipe.name: count_parameters(recipe.network()) for recipe in journey.JOURNEY}
    assert found == PARAMETERS
    for name, target in journey.TARGETS.items():
        if name in found and target.max_parameters is not None:
            assert found[name] <= target.max_parameters


# ---- the columns at the right -------------------------------------------------------------------


def stages(function) -> list[str]:
    """The source lines of a network, one per stage."""
    _, body = inspect.getsource(function).split("return nn.Sequential(", 1)
    first, *lines = body.splitlines()
    assert first.split() == ["#", "output", "field", "parameters"]
    return lines[: lines.index("    )")]


def columns(function) -> list[tuple]:
    """What the comment of each stage says: (output, field, parameters), None where it is silent."""
    matches = [COLUMNS.search(line) for line in stages(function)]
    return [match.group("output", "field", "parameters") if match else None for match in matches]


def computed(network: nn.Sequential) -> list[tuple]:
    """The same, from the built network."""
    rows, images = [], torch.zeros(1, *IMAGE)
    for number, stage in enumerate(network.eval(), start=1):
        images = stage(images)
        field = receptive_field(network[:number])["r"].iloc[-1]
        size = "x".join(map(str, images.shape[1:]))
        rows.append((size, str(field), f"{count_parameters(stage):,}"))
    return rows


@pytest.mark.parametrize("name", ["plain", "skeleton", "normalised", "separated", "lean"])
def test_the_columns_are_those_of_the_network(name):
    function = getattr(models, name)
    said, true = columns(function), computed(function())
    for line, words, numbers in zip(stages(function), said, true, strict=True):
        if numbers[2] != "0":  # a stage with parameters says everything
            assert words == numbers, line
        elif words is not None:
            assert words[0] == numbers[0] and words[1:] in (numbers[1:], (None, None)), line
