"""Each batched twin does to a batch what its library does to one image after the other."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from mnist_lib.augment import RandomAffine, affine
from mnist_lib.data import to_float
from mnist_lib.experiments import augmentations
from mnist_lib.experiments.augmentations import (
    BrightnessContrast,
    CenterZoom,
    Chain,
    ColorJitter,
    NearestAffine,
    ShiftScaleRotate,
    Sometimes,
)

GREY = 1 / 255  # the libraries round to whole grey values


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def some(digits):
    """50 real digits as float32 in 0..1."""
    return to_float(digits.train_images[:50])


def as_picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image.squeeze(0) * 255).round().byte().numpy())


def as_image(picture: Image.Image | np.ndarray) -> torch.Tensor:
    return to_float(torch.from_numpy(np.array(picture))).unsqueeze(0)


def fixed(monkeypatch, *parameters: float) -> None:
    """Let every image draw these: angle (radians), shifts (widths), magnification, shear."""
    values = [torch.tensor([value], dtype=torch.float32) for value in parameters]
    monkeypatch.setattr(
        RandomAffine, "draw", lambda self, count, generator: [v.expand(count) for v in values]
    )


# ---- movements ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [0.0, 1 / 255, 1.0])
@given(
    angle=st.floats(-30, 30),
    x=st.floats(-0.2, 0.2),
    y=st.floats(-0.2, 0.2),
    magnification=st.floats(0.7, 1.4),
    shear=st.floats(-20, 20),
)
def test_nearest_affine_is_that_of_torchvision(some, fill, angle, x, y, magnification, shear):
    """On an edge between two pixels rounding decides which is the nearest: a few may differ.

    Round numbers, of which hypothesis is fond, would put many positions there at once.
    """
    angle, magnification, shear = angle + 0.0217, magnification + 0.00123, shear + 0.0131
    with pytest.MonkeyPatch.context() as monkeypatch:
        fixed(monkeypatch, np.deg2rad(angle), x, y, magnification, np.deg2rad(shear))
        ours = NearestAffine(fill=fill)(some[:4], generator())
    for image, moved in zip(some[:4], ours, strict=True):
        theirs = torchvision.affine(
            as_picture(image),
            angle,
            [round(x * 28), round(y * 28)],  # torchvision draws whole pixels
            magnification,
            [shear, 0.0],
            InterpolationMode.NEAREST,
            fill=[round(fill * 255)],
        )
        assert ((moved - as_image(theirs)).abs() > 0.5 * GREY).float().mean() < 0.02


@given(angle=st.floats(-30, 30))
def test_a_rotation_is_a_nearest_affine(some, angle):
    angle += 0.0217  # off the edges
    with pytest.MonkeyPatch.context() as monkeypatch:
        # torchvision turns counter-clockwise here and clockwise there; both signs are drawn
        fixed(monkeypatch, -np.deg2rad(angle), 0, 0, 1, 0)
        ours = NearestAffine(fill=GREY)(some[:4], generator())
    for image, moved in zip(some[:4], ours, strict=True):
        theirs = torchvision.rotate(as_picture(image), angle, fill=[1])
        assert ((moved - as_image(theirs)).abs() > 0.5 * GREY).float().mean() < 0.02


@given(
    angle=st.floats(-30, 30),
    x=st.floats(-0.2, 0.2),
    y=st.floats(-0.2, 0.2),
    magnification=st.floats(0.7, 1.4),
)
def test_shift_scale_rotate_is_that_of_opencv(some, angle, x, y, magnification):
    """albumentations' matrix, OpenCV's interpolation (in steps of 1/32 pixel) and its border."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fixed(monkeypatch, -np.deg2rad(angle), x, y, magnification, 0)
        ours = ShiftScaleRotate()(some[:4], generator())
    matrix = cv2.getRotationMatrix2D((14, 14), angle, magnification)
    matrix[:, 2] += [x * 28, y * 28]
    for image, moved in zip(some[:4], ours, strict=True):
        theirs = cv2.warpAffine(
            np.array(as_picture(image)), matrix, (28, 28),
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        difference = (moved - as_image(theirs)).abs()
        assert difference.max() < 0.06 and difference.mean() < 0.004


def test_the_reflection_mirrors_at_the_outermost_pixel():
    columns = torch.arange(28.0).expand(1, 1, 28, 28) / 28
    zero, one = torch.zeros(1), torch.ones(1)
    moved = affine(columns, zero, zero + 2 / 28, zero, one, zero, border="reflection")
    assert torch.allclose(moved[0, 0, 5, :5] * 28, torch.tensor([2.0, 1, 0, 1, 2]), atol=1e-3)


def test_center_zoom_is_crop_and_resize(some):
    for image, zoomed in zip(some, CenterZoom(22)(some, generator()), strict=True):
        middle = torchvision.center_crop(as_picture(image), [22])
        theirs = torchvision.resize(middle, [28, 28])
        assert (zoomed - as_image(theirs)).abs().max() <= 1.01 * GREY


# ---- brightness and contrast --------------------------------------------------------------------


def drawn(monkeypatch, *values: float) -> None:
    """Let every image draw these numbers between 0 and 1."""
    monkeypatch.setattr(
        augmentations.torch,
        "rand",
        lambda *size, generator, device: torch.tensor(values).view(-1, 1, 1, 1, 1).expand(size),
    )


@pytest.mark.parametrize("order", [0.2, 0.8])
@given(brightness=st.floats(0, 1), contrast=st.floats(0, 1))
def test_color_jitter_is_that_of_torchvision(some, order, brightness, contrast):
    with pytest.MonkeyPatch.context() as monkeypatch:
        drawn(monkeypatch, brightness, contrast, order)
        ours = ColorJitter(0.4, 0.4)(some[:4], generator())
    for image, changed in zip(some[:4], ours, strict=True):
        theirs = as_picture(image)
        steps = [
            (torchvision.adjust_brightness, 0.6 + 0.8 * brightness),
            (torchvision.adjust_contrast, 0.6 + 0.8 * contrast),
        ]
        for change, factor in steps if order < 0.5 else steps[::-1]:
            theirs = change(theirs, factor)
        assert (changed - as_image(theirs)).abs().max() < 3 * GREY  # rounded in each of two steps


@given(brightness=st.floats(0, 1), contrast=st.floats(0, 1))
def test_brightness_contrast_is_that_of_albumentations(some, brightness, contrast):
    """Its formula on uint8: multiply, add a part of the largest value, cut off."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        drawn(monkeypatch, brightness, contrast)
        ours = BrightnessContrast()(some[:4], generator())
    for image, changed in zip(some[:4], ours, strict=True):
        pixels = np.array(as_picture(image)).astype(np.float64)
        theirs = pixels * (0.8 + 0.4 * contrast) + 255 * (0.4 * brightness - 0.2)
        theirs = np.clip(theirs, 0, 255).astype(np.uint8)
        assert (changed - as_image(theirs)).abs().max() <= 1.01 * GREY


@pytest.mark.parametrize(
    "augmentation, lowest, highest",
    [(ColorJitter(0.4, 0.0), 0.6 * 0.5, 1.4 * 0.5), (BrightnessContrast(0.2, 0.0), 0.3, 0.7)],
    ids=["factor", "added"],
)
def test_brightness_is_drawn_evenly_for_each_image(augmentation, lowest, highest):
    grey = torch.full((4_000, 1, 2, 2), 0.5)
    values = augmentation(grey, generator())[:, 0, 0, 0]
    assert len(values.unique()) > 3_900
    assert lowest <= values.min() < lowest + 0.01 and highest - 0.01 < values.max() <= highest
    assert values.mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "augmentation, lowest, highest",
    [(ColorJitter(0.0, 0.4), 0.6, 1.4), (BrightnessContrast(0.0, 0.2), 0.8, 1.2)],
    ids=["jitter", "albumentations"],
)
def test_contrast_is_drawn_evenly_for_each_image(augmentation, lowest, highest):
    """Half of each image is 0.25, half 0.75; the factor changes their distance."""
    images = torch.tensor([0.25, 0.75]).expand(4_000, 1, 2, 2)
    changed = augmentation(images, generator())[:, 0, 0]
    factors = (changed[:, 1] - changed[:, 0]) / 0.5
    assert len(factors.unique()) > 3_000  # rounding makes some equal
    assert lowest - 1e-5 <= factors.min() < lowest + 0.01
    assert highest - 0.01 < factors.max() <= highest + 1e-5
    assert factors.mean().item() == pytest.approx(1, abs=0.01)


def test_half_of_the_images_get_their_brightness_before_their_contrast():
    """Light grey turned lighter is cut off, and then its distance to the mean is another."""
    images = torch.tensor([0.1, 0.9]).expand(4_000, 1, 2, 2)
    draws = torch.rand(3, 4_000, 1, 1, 1, generator=generator())
    brightness, contrast = (1 + (2 * draws[i] - 1) * 0.4 for i in (0, 1))
    first = augmentations.change_contrast((images * brightness).clamp(0, 1), contrast)
    changed = ColorJitter(0.4, 0.4)(images, generator())
    part = (changed == first).all(3).all(2).float().mean().item()
    other = (augmentations.change_contrast(images, contrast) * brightness).clamp(0, 1)
    same = (first == other).all(3).all(2).float().mean().item()
    assert same < 0.2 and part == pytest.approx(0.5 + same / 2, abs=0.03)


# ---- combinations -------------------------------------------------------------------------------


def test_sometimes_changes_its_part_of_the_images_and_leaves_the_others():
    images = torch.rand(4_000, 1, 4, 4, generator=generator())
    changed = Sometimes(0.3, lambda images, generator: images + 1)(images, generator(1))
    touched = changed[:, 0, 0, 0] > 1
    assert touched.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(changed[~touched], images[~touched])
    assert torch.equal(changed[touched], images[touched] + 1)


def test_a_chain_applies_its_steps_in_order(some):
    def add(images, generator):
        return images + 1

    def double(images, generator):
        return images * 2

    assert torch.equal(Chain((add, double))(some, generator()), (some + 1) * 2)


@pytest.mark.parametrize(
    "augmentation",
    [
        NearestAffine(degrees=10, translate=0.1, scale=0.2, shear=5),
        ShiftScaleRotate(degrees=10, translate=0.1, scale=0.1),
        ColorJitter(0.4, 0.4),
        BrightnessContrast(),
        Sometimes(0.5, BrightnessContrast()),
    ],
    ids=lambda augmentation: type(augmentation).__name__,
)
def test_each_image_draws_for_itself_and_the_seed_decides(some, augmentation):
    copies = some[:1].expand(20, -1, -1, -1)
    changed = augmentation(copies, generator(1))
    assert len(changed.flatten(1).unique(dim=0)) > 5
    assert changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(changed, augmentation(copies, generator(1)))
    assert not torch.equal(changed, augmentation(copies, generator(2)))


def test_the_ranges_are_those_of_random_affine(monkeypatch):
    """Same draws as RandomAffine, whose distribution is tested; shifts end on whole pixels."""
    seen = []
    monkeypatch.setattr(
        augmentations,
        "affine",
        lambda images, *parameters, **options: seen.append(parameters) or images,
    )
    NearestAffine(degrees=10, translate=0.1, scale=0.2, shear=5)(
        torch.zeros(500, 1, 28, 28), generator()
    )
    expected = RandomAffine(degrees=10, translate=0.1, scale=0.2, shear=5).draw(500, generator())
    for position, (ours, plain) in enumerate(zip(seen[0], expected, strict=True)):
        if position in (1, 2):
            assert torch.allclose(ours * 28, (plain * 28).round(), atol=1e-4)
        else:
            assert torch.equal(ours, plain)
    ShiftScaleRotate(degrees=10, translate=0.1, scale=0.2)(torch.zeros(500, 1, 28, 28), generator())
    expected = RandomAffine(degrees=10, translate=0.1, scale=0.2).draw(500, generator())
    for position, (ours, plain) in enumerate(zip(seen[1], expected, strict=True)):
        # the fixed point, half a pixel from the centre, moves by little
        assert (ours - plain).abs().max() < (0.5 / 28 if position in (1, 2) else 1e-9)
