"""The fingerprint sees whatever decides a number, nothing else, and is the same everywhere."""

import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from made_up import finished
from torch import nn

from mnist_lib import recipes
from mnist_lib.journey import JOURNEY
from mnist_lib.recipes import SGD, Recipe
from mnist_lib.records import records_of, save
from mnist_lib.train import fit


def head() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]


def fingerprint(network) -> str:
    return Recipe("00", "for the tests", network, SGD(0.1)).fingerprint()


def built(*layers) -> str:
    """The fingerprint of a network whose layers are made by these functions, one after another."""
    return fingerprint(lambda: nn.Sequential(*(layer() for layer in layers), *head()))


conv = partial(nn.Conv2d, 1, 4, 3)
norm, relu = partial(nn.BatchNorm2d, 4), nn.ReLU


# ---- what it sees -------------------------------------------------------------------------------


LAYERS = [
    [partial(conv, dilation=2)],
    [partial(conv, stride=2)],
    [partial(conv, padding=1)],
    [partial(conv, padding=1, padding_mode="replicate")],
    [partial(conv, padding=1, padding_mode="reflect")],
    [partial(conv, bias=False)],
    [partial(nn.Conv2d, 1, 4, 5)],
    [partial(nn.MaxPool2d, 2), conv],
    [partial(nn.MaxPool2d, 3), conv],
    [partial(nn.MaxPool2d, 3, stride=2), conv],
    [partial(nn.AvgPool2d, 2), conv],
    [conv, norm],
    [conv, partial(norm, eps=1e-3)],
    [conv, partial(norm, momentum=0.2)],
    [conv, norm, relu],
    [conv, relu, norm],
    [conv, relu],
    [conv, nn.GELU],
    [conv, partial(nn.LeakyReLU, 0.1)],
    [conv, partial(nn.LeakyReLU, 0.2)],
    [conv, partial(nn.Dropout, 0.1)],
    [conv, partial(nn.Dropout, 0.2)],
    [conv, partial(nn.Dropout2d, 0.2)],
    [conv],
]


@pytest.mark.parametrize("layers", LAYERS[:-1], ids=lambda layers: str(LAYERS.index(layers)))
def test_a_layer_and_its_settings_count(layers):
    assert built(*layers) == built(*layers) != built(conv)


def test_no_two_networks_of_other_layers_are_the_same():
    assert len({built(*layers) for layers in LAYERS}) == len(LAYERS)


class Wired(nn.Module):
    """Two convolutions, and a forward pass that each test writes."""

    def __init__(self, forward):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.wiring = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), forward

    def forward(self, images):
        return self.head(self.wiring(self, self.first(images)))


WIRINGS = [
    lambda net, x: net.second(x),
    lambda net, x: net.second(x) + x,
    lambda net, x: net.second(x) * x,
    lambda net, x: net.second(net.second(x)),
    lambda net, x: torch.cat([x, net.second(x)], dim=1),
    lambda net, x: torch.cat([net.second(x), x], dim=1),
    lambda net, x: net.second(x).chunk(2, dim=1)[0],
    lambda net, x: net.second(x).chunk(2, dim=1)[1],
    lambda net, x: net.second(x[..., 1:]),
    lambda net, x: net.second(x[..., 2:-1]),
    lambda net, x: net.second(x) if net.training else x,
]


def test_the_way_through_the_network_counts():
    assert len({fingerprint(partial(Wired, wiring)) for wiring in WIRINGS}) == len(WIRINGS)


DRAWS = [
    lambda weight: None,
    lambda weight: nn.init.xavier_uniform_(weight),
    lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    lambda weight: nn.init.normal_(weight, std=0.1),
    lambda weight: nn.init.normal_(weight, std=0.2),
    lambda weight: weight.data.mul_(2),
    lambda weight: weight.data.__setitem__(0, 0.5),
]


def test_how_weights_are_drawn_counts():
    def network(draw):
        model = nn.Sequential(conv(), *head())
        draw(model[0].weight)
        return model

    assert len({fingerprint(partial(network, draw)) for draw in DRAWS}) == len(DRAWS)


def test_the_parts_of_the_digits_count(tiny, monkeypatch):
    """How many folds there are, and by which rule: other sizes or other images in each part."""
    before = {tiny.fingerprint(), replace(tiny, folds=0).fingerprint()}
    monkeypatch.setattr(recipes, "FOLD_RULE", "position modulo ten")
    assert len(before) == 2 and tiny.fingerprint() not in before


def test_a_record_of_another_fold_rule_is_out_of_date(tiny, monkeypatch):
    save(finished(tiny))
    monkeypatch.setattr(recipes, "FOLD_RULE", "position modulo ten")
    assert records_of(tiny) == []


# ---- what it does not see -----------------------------------------------------------------------


def named(first: str = "a") -> nn.Module:
    return nn.Sequential(
        OrderedDict([(first, conv()), ("b", relu()), ("head", nn.Sequential(*head()))])
    )


def renamed() -> nn.Module:
    return named()


def test_names_of_functions_and_layers_do_not_count():
    assert fingerprint(named) == fingerprint(renamed) == fingerprint(partial(named, "stem"))
    assert fingerprint(named) == built(conv, relu)


def test_words_do_not_count(tiny):
    other = tiny.but("01-other", "in other words")
    assert other.fingerprint() == tiny.fingerprint() == replace(tiny, change="").fingerprint()


def test_an_argument_that_changes_nothing_does_not_count():
    assert fingerprint(partial(named, first="x")) == fingerprint(named)


def test_training_changes_nothing(tiny, synthetic):
    before = tiny.fingerprint()
    save(fit(tiny, synthetic, device="cpu", quiet=True))
    assert replace(tiny).fingerprint() == before
    assert len(records_of(replace(tiny))) == 1


def test_looking_draws_no_random_numbers(tiny):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    replace(tiny).fingerprint()
    assert torch.equal(torch.rand(3), expected)


# ---- networks of any kind, in every process -----------------------------------------------------


class Narrow:
    """A network as an object that is called."""

    def __init__(self, width: int = 4, activation=torch.relu):
        self.width, self.activation = width, activation

    def __call__(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=self.width), *head())

    def wide(self) -> nn.Module:
        return Narrow(2 * self.width)()


class Plain(nn.Sequential):
    """A network whose class makes it."""

    def __init__(self):
        super().__init__(conv(), *head())


@dataclass
class Wide:
    """The same as a dataclass, which cannot be hashed."""

    width: int = 4

    def __call__(self, scale: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=self.width * scale), *head())


def drawn(generator: torch.Generator) -> nn.Module:
    model = nn.Sequential(conv(), *head())
    nn.init.kaiming_normal_(model[0].weight, generator=generator)
    return model


KINDS = {
    "object": Narrow(),
    "class": Plain,
    "method": Narrow(2).wide,
    "dataclass": Wide(2),
    "lambda": lambda: named(),
    "partial of an object": partial(Wide(1), scale=3),
    "partial of a partial": partial(partial(named, "x")),
    "partial with an object": partial(drawn, torch.Generator()),
    "partial of a lambda": partial(lambda name: named(name), "x"),
}


def described(network) -> tuple[str, str]:
    recipe = Recipe("00", "for the tests", network, SGD(0.1))
    return recipe.fingerprint(), recipe.settings()["network"]


def in_another_process(code: str):
    """What this expression of this file's names is elsewhere."""
    answer = subprocess.run(
        [sys.executable, "-c", f"from test_fingerprint import *; print({code})"],
        cwd=Path(__file__).parent, env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return eval(answer.stdout)


@pytest.fixture(scope="module")
def elsewhere() -> dict:
    return in_another_process("{kind: described(network) for kind, network in KINDS.items()}")


@pytest.mark.parametrize("kind", KINDS)
def test_any_callable_is_the_same_network_in_every_process(kind, elsewhere):
    assert described(KINDS[kind]) == elsewhere[kind]
    assert "0x" not in elsewhere[kind][1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_records_of_any_callable_are_found_again(kind):
    recipe = Recipe("00-kind", "for the tests", KINDS[kind], SGD(0.1), epochs=1)
    save(finished(recipe))
    assert len(records_of(replace(recipe))) == 1


def test_an_objects_settings_are_told_and_count():
    assert described(Wide(2))[1] == "Wide(width=2)"
    assert described(Narrow(8))[1] == "Narrow(width=8, activation=relu)"
    assert described(Narrow(8).wide)[1] == "Narrow(width=8, activation=relu).wide"
    assert described(partial(Wide(1), scale=3))[1] == "Wide(width=1)(scale=3)"
    assert fingerprint(Wide(2)) != fingerprint(Wide(3))


def test_changes_show_the_class_of_an_object():
    before = Recipe("00", "a function", named, SGD(0.1))
    lines = before.but("01", "an object", network=Wide(2)).changes().splitlines()
    assert lines[:2] == ["- network = named", "+ network = Wide(width=2)"]
    assert "+class Wide:" in lines


def test_the_fingerprints_of_the_journey_are_the_same_in_every_process():
    here = [recipe.fingerprint() for recipe in JOURNEY]
    assert in_another_process("[recipe.fingerprint() for recipe in JOURNEY]") == here
    assert len(set(here)) == len(JOURNEY)
