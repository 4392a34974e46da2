"""The published systems are built as published: layers, settings, known side effects, images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up import generator
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from mnist_lib.augment import RandomAffine
from mnist_lib.data import IMAGE, to_float
from mnist_lib.experiments import augmentations as batched
from mnist_lib.experiments import find
from mnist_lib.experiments.comparison import facts
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.recipes import OneCycle, learning_rates
from mnist_lib.summary import count_parameters, layer_table, receptive_field

# as the sources print them, or as their code says
TABLES = json.loads(Path(__file__).with_name("published_tables.json").read_text())

every_system = pytest.mark.parametrize("recipe", SYSTEMS, ids=lambda recipe: recipe.name)

# ---- networks -----------------------------------------------------------------------------------


def operation(layer: nn.Module) -> str:
    """A layer with everything that decides what it does."""
    name = type(layer).__name__.lower()
    match layer:
        case nn.Conv2d():
            k, s, p = layer.kernel_size[0], layer.stride[0], layer.padding[0]
            words = [f"conv {layer.in_channels} {layer.out_channels} k{k} s{s} p{p}"]
            words += ["bias"] if layer.bias is not None else []
            words += [f"groups{layer.groups}"] if layer.groups > 1 else []
            words += [layer.padding_mode] if layer.padding_mode != "zeros" else []
            return " ".join(words)
        case nn.Linear():
            return f"linear {layer.in_features} {layer.out_features} bias"
        case nn.BatchNorm2d():
            return f"{name} {layer.num_features}"
        case nn.Dropout() | nn.Dropout2d():
            return f"{name} {layer.p:g}"
        case nn.MaxPool2d() | nn.AvgPool2d():
            return f"{name} {layer.kernel_size}"
    return name


def layers(network: nn.Module) -> list[str]:
    """Every layer as it is met: its operation, output shape and parameters."""
    rows = []

    def note(layer, _input, output):
        shape = "x".join(str(size) for size in output.shape[1:])
        rows.append(f"{operation(layer)} | {shape} {count_parameters(layer)}")

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.zeros(1, *IMAGE))
    return rows


@every_system
def test_every_layer_is_the_published_one(recipe):
    """The source's code has all layers; its printed table may leave out those without numbers."""
    # S2 does not say how much dropout; 10 % is the choice of this project
    expected = [row.replace("None", "0.1") for row in TABLES[recipe.name]["layers"]]
    for row, printed in zip(layers(recipe.network()), expected, strict=True):
        assert (row if "|" in printed else row.partition(" |")[0]) == printed
    total = TABLES[recipe.name]["parameters"]
    assert f"Total params: {total:,}" in layer_table(recipe.network())
    fields = receptive_field(recipe.network())[["k", "s", "p", "n", "j", "r"]]
    assert fields.values.tolist() == TABLES[recipe.name]["fields"]


# ---- settings -----------------------------------------------------------------------------------


CROP_AND_ROTATE = batched.Compose(
    (batched.RandomApply(0.1, batched.CenterZoom(22)), batched.NearestAffine(degrees=15, fill=0.0))
)
ROTATE_MOVE_JITTER = batched.Compose((
    batched.NearestAffine(degrees=6, fill=1 / 255),
    batched.NearestAffine(degrees=7, translate=0.1, scale=0.2, shear=10, fill=0.0),
    batched.ColorJitter(brightness=0.4, contrast=0.4),
))  # fmt: skip
SHIFT_AND_SHADE = batched.Compose((
    batched.RandomApply(0.5, batched.ShiftScaleRotate(degrees=7, translate=0.09, scale=0.09)),
    batched.RandomApply(0.5, batched.BrightnessContrast(brightness=0.2, contrast=0.2)),
))  # fmt: skip
MOVED = batched.NearestAffine(degrees=7, translate=0.1)  # a choice: the source does not say how
STEPS_OF_S0 = [0.5] * 10 + [0.05] * 5
PRINTED_BY_S3_1 = [  # its first row says 0.01: a second scheduler, left out here, for one batch
    0.0004, 0.002534, 0.004667, 0.006801, 0.008934, 0.009523, 0.008571, 0.007619, 0.006666,
    0.005714, 0.004761, 0.003809, 0.002857, 0.001904, 0.000952,
]  # fmt: skip
PRINTED_BY_S3_3 = [
    0.05, 0.075, 0.1, 0.085, 0.07, 0.055, 0.04, 0.025, 0.01, 0.00875, 0.0075, 0.00625,
    0.005, 0.003333, 0.001667,
]  # fmt: skip
SETTINGS = [  # rates at the start of each epoch, momentum; one cycle has a test of its own
    ("S0-1 S0-2 S0-3 S0-4", 128, None, STEPS_OF_S0, 0.9),
    ("S0-5", 128, CROP_AND_ROTATE, STEPS_OF_S0, 0.9),
    ("S0-6", 128, CROP_AND_ROTATE, None, 0.9),
    ("S1", 128, CROP_AND_ROTATE, [0.25] * 10 + [0.025] * 9, 0.9),
    ("S2-1 S2-2", 1_024, None, [0.01] * 11 + [0.001] * 4, None),
    ("S2-3", 1_024, MOVED, [0.01] * 11 + [0.001] * 4, None),
    ("S3-1 S3-2", 32, None, PRINTED_BY_S3_1, 0.9),
    ("S3-3 S3-x5", 32, SHIFT_AND_SHADE, PRINTED_BY_S3_3, 0.95),  # by an unused scheduler
    ("S4-0 S4-1 S4-2 S4-3 S4-4", 128, None, [0.01] * 15, 0.9),
    ("S4-5", 128, ROTATE_MOVE_JITTER, [0.01] * 15, 0.9),
    ("S4-6", 128, ROTATE_MOVE_JITTER, None, 0.7),
]


def test_every_system_has_its_settings_tested():
    named = " ".join(names for names, *_ in SETTINGS).split()
    assert sorted(named) == sorted(TABLES) == sorted(recipe.name for recipe in SYSTEMS)


@pytest.mark.parametrize("names, batch_size, augment, rates, momentum", SETTINGS)
def test_the_settings_are_the_published_ones(names, batch_size, augment, rates, momentum):
    for recipe in map(find, names.split()):
        assert (recipe.batch_size, recipe.augment, recipe.folds) == (batch_size, augment, 0)
        assert recipe.epochs == (facts()[recipe.name]["epochs"] or 15)
        assert getattr(recipe.optimizer, "momentum", None) == momentum
    if rates:
        steps = -(-60_000 // batch_size)
        found = learning_rates(recipe.optimizer, recipe.schedule, steps, recipe.epochs)
        assert found[::steps] == pytest.approx(rates, abs=1e-6)


def test_one_cycle_overwrites_the_momentum_that_was_asked_for():
    for name, peak in (("S0-6", 1.0), ("S4-6", 0.015)):
        assert find(name).schedule == OneCycle(peak, cycle_momentum=True)
    assert find("S3-1").schedule.cycle_momentum


# ---- augmentations: what the libraries do to one image after the other ---------------------------

GREY = 1 / 255  # the libraries round to whole grey values
small_angles = st.floats(-30, 30)
shifts = st.floats(-0.2, 0.2)
factors = st.floats(0.7, 1.4)
parts = st.floats(0, 1)


@pytest.fixture(scope="module")
def some(digits) -> torch.Tensor:
    """Four real digits as float32 in 0..1."""
    return to_float(digits.train_images[:4])


def as_picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image.squeeze(0) * 255).round().byte().numpy())


def differences(images: torch.Tensor, ours: torch.Tensor, change) -> torch.Tensor:
    """How far our batch lies from the images that `change` makes of each picture."""
    theirs = [torch.from_numpy(np.array(change(as_picture(image)))) for image in images]
    return (ours - to_float(torch.stack(theirs))[:, None]).abs()


def moved(augment, images: torch.Tensor, *parameters: float) -> torch.Tensor:
    """Every image draws these: angle (radians), shifts (widths), magnification, shear."""
    values = [torch.tensor([value], dtype=torch.float32) for value in parameters]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            RandomAffine, "draw", lambda self, count, generator: [v.expand(count) for v in values]
        )
        return augment(images, generator())


@pytest.mark.parametrize("fill", [0.0, 1 / 255, 1.0])
@given(angle=small_angles, x=shifts, y=shifts, magnification=factors, shear=st.floats(-20, 20))
def test_nearest_affine_is_that_of_torchvision(some, fill, angle, x, y, magnification, shear):
    """On an edge between two pixels rounding decides which is the nearest: a few may differ.

    Round numbers, of which hypothesis is fond, would put many positions there at once.
    """
    angle, magnification, shear = angle + 0.0217, magnification + 0.00123, shear + 0.0131
    drawn = np.deg2rad(angle), x, y, magnification, np.deg2rad(shear)
    ours = moved(batched.NearestAffine(fill=fill), some, *drawn)

    def change(picture):  # torchvision draws whole pixels
        return torchvision.affine(
            picture, angle, [round(x * 28), round(y * 28)], magnification, [shear, 0.0],
            InterpolationMode.NEAREST, fill=[round(fill * 255)],
        )  # fmt: skip

    assert (differences(some, ours, change) > 0.5 * GREY).float().mean((1, 2, 3)).max() < 0.02


@given(angle=small_angles, x=shifts, y=shifts, magnification=factors)
def test_shift_scale_rotate_is_that_of_albumentations(some, angle, x, y, magnification):
    """Its matrix of 2021, OpenCV's interpolation (in steps of 1/32 pixel) and its border."""
    ours = moved(batched.ShiftScaleRotate(), some, -np.deg2rad(angle), x, y, magnification, 0)
    matrix = cv2.getRotationMatrix2D((14, 14), angle, magnification)
    matrix[:, 2] += [x * 28, y * 28]
    options = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    found = differences(
        some, ours, lambda picture: cv2.warpAffine(np.array(picture), matrix, (28, 28), **options)
    )
    assert found.max() < 0.06 and found.mean((1, 2, 3)).max() < 0.004


def test_center_zoom_is_crop_and_resize(some):
    def change(picture):
        return torchvision.resize(torchvision.center_crop(picture, [22]), [28, 28])

    assert differences(some, batched.CenterZoom(22)(some, generator()), change).max() <= 1.01 * GREY


def with_draws(augment, images: torch.Tensor, *values: float) -> torch.Tensor:
    """Every image draws these numbers between 0 and 1."""
    draws = torch.tensor(values).view(-1, 1, 1, 1, 1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(batched.torch, "rand", lambda *size, **_: draws.expand(size))
        return augment(images, generator())


@pytest.mark.parametrize("order", [0.2, 0.8])
@given(brightness=parts, contrast=parts)
def test_color_jitter_is_that_of_torchvision(some, order, brightness, contrast):
    def change(picture):
        steps = [
            (torchvision.adjust_brightness, 0.6 + 0.8 * brightness),
            (torchvision.adjust_contrast, 0.6 + 0.8 * contrast),
        ]
        for adjust, factor in steps if order < 0.5 else steps[::-1]:
            picture = adjust(picture, factor)
        return picture

    ours = with_draws(batched.ColorJitter(0.4, 0.4), some, brightness, contrast, order)
    assert differences(some, ours, change).max() < 3 * GREY  # rounded in each of two steps


@given(brightness=parts, contrast=parts)
def test_brightness_contrast_is_that_of_albumentations(some, brightness, contrast):
    """Its formula on uint8: multiply, add a part of the largest value, cut off."""

    def change(picture):
        pixels = np.array(picture) * (0.8 + 0.4 * contrast) + 255 * (0.4 * brightness - 0.2)
        return np.clip(pixels, 0, 255).astype(np.uint8)

    ours = with_draws(batched.BrightnessContrast(), some, brightness, contrast)
    assert differences(some, ours, change).max() <= 1.01 * GREY
