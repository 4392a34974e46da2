"""The fingerprint sees whatever decides a number, nothing else, and is the same everywhere."""

import enum
import functools
import json
import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import albumentations as A
import pytest
import torch
import torchvision.transforms as T
from made_up import finished, tiny_network
from torch import nn
from torchvision.transforms import v2

from mnist_lib import recipes
from mnist_lib.augment import Later, PerImage, RandomAffine
from mnist_lib.data import Batches
from mnist_lib.recipes import SGD, Adam, Constant, OneCycle, Recipe, StepDecay
from mnist_lib.records import records_of, save
from mnist_lib.train import fit

BASE = Recipe("00", "for the tests", tiny_network, SGD(0.1))


def with_network(network) -> str:
    return replace(BASE, network=network).fingerprint()


def with_augment(augment) -> str:
    return replace(BASE, augment=augment).fingerprint()


# ---- networks: all that they compute ------------------------------------------------------------

conv = partial(nn.Conv2d, 1, 4, 3)
norm, relu = partial(nn.BatchNorm2d, 4), nn.ReLU
LAYERS = [
    *[[conv], [partial(conv, stride=2)], [partial(conv, dilation=2)], [partial(conv, bias=False)]],
    *[[partial(conv, padding=1, padding_mode=mode)] for mode in ("zeros", "reflect")],
    *[[partial(pool, 2), conv] for pool in (nn.MaxPool2d, nn.AvgPool2d)],
    *[[conv, partial(norm, **options)] for options in ({}, {"eps": 1e-3}, {"momentum": 0.2})],
    *[[conv, norm, relu], [conv, relu, norm], [conv, nn.GELU], [conv, partial(nn.Dropout, 0.1)]],
    *[[conv, partial(nn.Dropout, 0.2)], [conv, partial(nn.Dropout2d, 0.1)]],
]


def head() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]


def built(layers) -> nn.Sequential:
    return nn.Sequential(*(layer() for layer in layers), *head())


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
    lambda net, x: net.second(net.second(x)),
    lambda net, x: torch.cat([x, net.second(x)], dim=1),
    lambda net, x: torch.cat([net.second(x), x], dim=1),
    lambda net, x: net.second(x).chunk(2, dim=1)[0],
    lambda net, x: net.second(x).chunk(2, dim=1)[1],
    lambda net, x: net.second(x[..., 1:]),
    lambda net, x: net.second(x) if net.training else x,
]
DRAWS = [
    lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    lambda weight: nn.init.normal_(weight, std=0.1),
    lambda weight: nn.init.normal_(weight, std=0.2),
    lambda weight: weight.data.mul_(2),
    lambda weight: weight.data.__setitem__(0, 0.5),
]


def drawn(draw) -> nn.Module:
    model = built([conv])
    draw(model[0].weight)
    return model


class Blur(nn.Module):
    """A network behind a fixed kernel, which may be kept in different ways."""

    def __init__(self, how: str, kernel: list[float]):
        super().__init__()
        self.inner, kernel = built([conv]), torch.tensor(kernel).view(1, 1, 1, 3)
        self.register_buffer("kernel", kernel) if how == "buffer" else None
        self.kernel = nn.Parameter(kernel, requires_grad=False) if how == "parameter" else kernel

    def forward(self, images):
        return self.inner(nn.functional.conv2d(images, self.kernel, padding=(0, 1)))


@dataclass
class Wide:
    """A network of a dataclass, which cannot be hashed."""

    width: int = 4

    def __call__(self, scale: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=self.width * scale), *head())

    def twice(self) -> nn.Module:
        return Wide(2 * self.width)()


KERNELS = [[0.25, 0.5, 0.25], [0.1, 0.8, 0.1]]
NETWORKS = {
    "layers": [partial(built, layers) for layers in LAYERS],
    "wirings": [partial(Wired, wiring) for wiring in WIRINGS],
    "initial weights": [partial(drawn, draw) for draw in DRAWS],
    "objects": [Wide(1), Wide(2), Wide(2).twice, partial(partial(Wide(1)), scale=3)],
} | {
    how: [partial(Blur, how, each) for each in KERNELS] for how in ("buffer", "plain", "parameter")
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_whatever_a_network_computes_counts(kind):
    networks = NETWORKS[kind]
    assert len({with_network(network) for network in networks}) == len(networks)
    assert with_network(networks[0]) == with_network(networks[0])


def named(first: str = "a") -> nn.Module:
    return nn.Sequential(OrderedDict([(first, conv()), ("b", relu()), ("c", built([]))]))


def test_names_and_unused_arguments_of_networks_do_not_count():
    fingerprints = {with_network(n) for n in (named, lambda: named(), partial(named, "stem"))}
    assert fingerprints == {with_network(partial(built, [conv, relu]))}


# ---- all other settings -------------------------------------------------------------------------


def defined(source: str, **outside):
    """The function or class `it` that this text of a reader's file defines."""
    names = {"__name__": "my_file", "torch": torch, "A": A, "Batches": Batches, **outside}
    exec(compile(source, "my_file.py", "exec"), names)
    return names["it"]


def function(body: str, arguments: str = "images, generator", **outside):
    return defined(f"def it({arguments}):\n    {body}", **outside)


def called(body: str, before: str = ""):
    """An object of a class whose call has this body."""
    return defined(f"class it:\n    {before}\n    def __call__(self, x, generator): {body}")()


def closure(strength):
    return lambda images, generator: images * strength


@dataclass(frozen=True)
class Skip:
    """An augmentation that leaves some digits alone."""

    labels: frozenset = frozenset({"six", "nine", "eight"})

    def __call__(self, images, generator):
        return images


class Shift:
    """An augmentation as somebody might write it, without a repr of its own."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __call__(self, images, generator):
        return images.roll(self.pixels, dims=3)

    @functools.cached_property
    def double(self):
        return 2 * self.pixels


class Mode(enum.Enum):
    SOFT, HARD = "soft", "hard"


def rotation(limit: int, p: float = 1.0, **others):
    return A.Compose([A.Affine(rotate=(-limit, limit), p=p)], **others)


SAME, FLIPPED = (lambda x: x), (lambda x: x.flip(-1))
BODIES = ("return x", "return 1 - x")
HELPERS = [function(body, "x") for body in BODIES]
IN_A_LIST = "return torch.stack([helper(x) for x in images])"
OWN_STEP = "class it(A.ImageOnlyTransform):\n    def apply(self, x, **others): "
PIPELINES = {
    "torchvision": [T.Compose([f]) for f in (SAME, FLIPPED)],
    "its second version": [v2.Lambda(f) for f in (SAME, FLIPPED)],
    "steps inside": [
        v2.RandomApply([v2.RandomRotation(n)], p) for n, p in ((3, 0.1), (30, 0.1), (3, 0.2))
    ],
    "albumentations": [rotation(5), rotation(6), rotation(5, 0.5), Later(lambda: rotation(7))],
    "its probability": [A.Compose([A.Rotate(5)], p=p) for p in (0.5, 1.0)],
    "A.OneOf": [A.Compose([A.OneOf([A.Rotate(n), A.Rotate(5)])]) for n in (3, 30)],
    "A.Lambda": [
        A.Compose([A.Lambda(name="own", image=function(body, "x, **_"))]) for body in BODIES
    ],
    "an own albumentation": [A.Compose([defined(OWN_STEP + body)()]) for body in BODIES],
}
AUGMENTATIONS = {kind: [*map(PerImage, each)] for kind, each in PIPELINES.items()} | {
    "a set in its body": [
        function(f"return images * (str(generator) in {{'a', 'b', 'c', 'd', 'e', '{last}'}})")
        for last in "fg"
    ],
    "a name in its body": [function("return images.sin()"), function("return images.cos()")],
    "lambdas": [lambda images, generator: images, lambda images, generator: 1 - images],
    "closures": [closure(1), closure(2)],
    "defaults": [function("return s", f"images, generator, s={n}") for n in (1, 2)],
    "defaults by name": [function("return s", f"images, generator, *, s={n}") for n in (1, 2)],
    "a global": [function("return images * S", S=n) for n in (1, 2)],
    "what a function calls": [function("return helper(images)", helper=h) for h in HELPERS],
    "what is called inside of a list": [function(IN_A_LIST, helper=h) for h in HELPERS],
    "objects": [Shift(1), Shift(2), Shift(Mode.SOFT), Shift(Mode.HARD)],
    "methods": [Shift(1).__call__, Shift(2).__call__],
    "the call of a class": [called(body) for body in BODIES],
    "a constant of a class": [called("return x * self.size", f"size = {n}") for n in (1, 2)],
    "the value of an own enumeration": [
        Shift(enum.Enum("Strength", {"SOFT": value}).SOFT) for value in (0.1, 0.2)
    ],
    "sets": [Skip(), Skip(frozenset({"six"}))],
    "tensors": [partial(torch.mul, torch.arange(2_000) * n) for n in (1, 2)],
    "of the library": [RandomAffine(5), RandomAffine(5, 0.1), RandomAffine(6)],
}


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_whatever_an_augmentation_does_counts(kind):
    augmentations = AUGMENTATIONS[kind]
    assert len({with_augment(augment) for augment in augmentations}) == len(augmentations)
    assert with_augment(augmentations[0]) == with_augment(augmentations[0])


def own_batches(method: str):
    body = f"def {method}(self, *given): return super().{method}(*given)"
    return defined(f"class it(Batches):\n    {body}\n    size = 3")


SETTINGS = [
    *[{"optimizer": optimizer} for optimizer in (SGD(0.2), SGD(0.1, 0.8), Adam(0.1))],
    *[{"optimizer": SGD(0.1, weight_decay=1e-4)}, {"schedule": OneCycle(0.1)}],
    *[{"schedule": StepDecay(every)} for every in (3, 4)],
    *[{"schedule": OneCycle(0.1, cycle_momentum=True)}, {"batch_size": 64}],
    *[{"epochs": 14}, {"folds": 0}, {"batches": partial(own_batches("positions"), part=0.5)}],
    *[{"batches": own_batches(method)} for method in ("positions", "__iter__", "__len__")],
]


def test_every_setting_counts_and_words_do_not():
    others = [replace(BASE, **changes) for changes in SETTINGS]
    assert len({recipe.fingerprint() for recipe in [BASE, *others]}) == len(SETTINGS) + 1
    same = BASE.but("07-other", "other words", schedule=Constant(), epochs=15, batches=Batches)
    assert same.fingerprint() == BASE.fingerprint()
    for recipe in [BASE, *others]:
        assert not any("0x" in text for text in recipe.settings().values())


def test_a_comment_or_another_line_does_not_count():
    assert with_augment(defined("def it(a, b):\n    return a")) == with_augment(
        defined("# first\n\ndef it(a, b):\n    # as it is\n    return a")
    )


def test_how_the_digits_are_cut_counts(tiny, monkeypatch):
    save(finished(tiny))
    monkeypatch.setattr(recipes, "FOLD_RULE", "position modulo ten")
    assert records_of(replace(tiny)) == []


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(ValueError, match="it object .* cannot be told apart .* a dataclass"):
        with_augment(called("return x", "__slots__ = ('pixels',)"))


def test_what_a_file_imports_is_no_reason_to_refuse():
    import math

    from PIL.Image import fromarray
    from scipy.ndimage import gaussian_filter

    for used in (math, math.cos, os, Path("a"), fromarray, gaussian_filter):
        assert with_augment(function("return helper, images", helper=used))


# ---- the same everywhere ------------------------------------------------------------------------


def described() -> list[str]:
    """Every fingerprint of this file, and the settings of augmentations."""
    networks = [with_network(network) for kind in NETWORKS.values() for network in kind]
    made = [replace(BASE, augment=each) for kind in AUGMENTATIONS.values() for each in kind]
    made += [replace(BASE, **changes) for changes in SETTINGS]
    return networks + [f"{recipe.fingerprint()} {recipe.settings()}" for recipe in made]


def test_fingerprints_are_the_same_in_every_process():
    program = "import json, test_fingerprint; print(json.dumps(test_fingerprint.described()))"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent, env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(answer.stdout) == described()


def test_taking_a_fingerprint_draws_nothing_and_training_leaves_it(tiny, synthetic):
    before, state = tiny.fingerprint(), torch.get_rng_state()
    assert replace(tiny).fingerprint() == before
    assert torch.equal(torch.get_rng_state(), state)
    save(fit(tiny, synthetic, device="cpu", quiet=True))
    assert [record["fingerprint"] for record in records_of(replace(tiny))] == [before]
