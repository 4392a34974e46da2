"""The columns beside the networks are true."""

import inspect
import re

import pytest
import torch
from torch import nn

from mnist_lib import models
from mnist_lib.data import IMAGE
from mnist_lib.summary import count_parameters, receptive_field

COLUMNS = re.compile(r"# +(?P<output>[\dx]+)(?: +(?P<field>\d+) +(?P<parameters>[\d,]+))?$")


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
