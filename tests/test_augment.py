"""Augmentations move images as promised and draw anew for each of them."""

import random

import albumentations as A
import numpy as np
import pytest
import torch
import torchvision.transforms as T
from albumentations.pytorch import ToTensorV2
from hypothesis import given
from hypothesis import strategies as st
from made_up import generator
from scipy import stats
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.functional import affine as torchvision_affine

from mnist_lib.augment import PerImage, RandomAffine, affine
from mnist_lib.data import Batches, to_float


@pytest.fixture(scope="module")
def some(digits):
    """50 real digits as float32 in 0..1."""
    return to_float(digits.train_images[:50])


# ---- the affine augmentation --------------------------------------------------------------------


@given(
    angle=st.floats(-180, 180),
    shift_x=st.floats(-0.5, 0.5),
    shift_y=st.floats(-0.5, 0.5),
    magnification=st.floats(0.5, 2),
    shear=st.floats(-45, 45),
)
def test_affine_moves_as_torchvision_does(some, angle, shift_x, shift_y, magnification, shear):
    """Same signs, same order, same centre: 1e-3 of the grey scale is the rounding of float32."""
    parameters = torch.tensor(
        [np.deg2rad(angle), shift_x, shift_y, magnification, np.deg2rad(shear)],
        dtype=torch.float32,
    )
    ours = affine(some[:4], *parameters.view(5, 1).expand(5, 4))
    for image, moved in zip(some[:4], ours, strict=True):
        theirs = torchvision_affine(
            image,
            angle=angle,
            translate=[shift_x * 28, shift_y * 28],  # torchvision counts in pixels
            scale=magnification,
            shear=[shear, 0.0],
            interpolation=InterpolationMode.BILINEAR,
            fill=0,
        )
        torch.testing.assert_close(moved, theirs, atol=1e-3, rtol=0)


def test_without_settings_nothing_moves(some):
    torch.testing.assert_close(RandomAffine()(some, generator()), some, rtol=0, atol=1e-5)


def test_each_image_has_its_own_parameters_and_a_shift_counts_widths():
    image = torch.zeros(2, 1, 28, 28)
    image[:, 0, 10, 5] = 1
    zero, shift = torch.zeros(2), torch.tensor([0.25, 0.0])
    moved = affine(image, zero, shift, -shift, torch.ones(2), zero)
    assert moved[0, 0, 3, 12].item() == pytest.approx(1, abs=1e-4)
    assert moved[1, 0, 10, 5].item() == pytest.approx(1, abs=1e-4)
    assert moved.sum((1, 2, 3)).tolist() == pytest.approx([1, 1], abs=1e-4)


def test_the_seed_decides_and_every_image_and_batch_draws_anew(some):
    mild = RandomAffine(degrees=10, translate=0.1, scale=0.1, shear=5)
    assert torch.equal(mild(some, generator(1)), mild(some, generator(1)))
    assert not torch.equal(mild(some, generator(1)), mild(some, generator(2)))
    copies, draws = some[:1].expand(20, -1, -1, -1), generator()
    batches = torch.cat([mild(copies, draws) for _ in range(2)])
    assert len(batches.flatten(1).unique(dim=0)) == 40


def test_draws_are_uniform_in_their_ranges_and_independent():
    drawn = RandomAffine(degrees=10, translate=0.1, scale=0.2, shear=5).draw(10_000, generator())
    drawn = torch.stack(drawn).double().numpy()
    ranges = [(0, np.deg2rad(10)), (0, 0.1), (0, 0.1), (1, 0.2), (0, np.deg2rad(5))]
    for values, (centre, reach) in zip(drawn, ranges, strict=True):
        assert abs(values - centre).max() <= reach + 1e-7
        assert stats.kstest(values, stats.uniform(centre - reach, 2 * reach).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(drawn) - np.eye(5)).max() < 0.04


@pytest.mark.parametrize("augmentation", [RandomAffine(degrees=10), PerImage(v2.Identity())])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: (x * 255).byte(), r"torch.uint8 \(50, 1, 28, 28\)"),
        (lambda x: x.squeeze(1), r"torch.float32 \(50, 28, 28\)"),
        (lambda x: x[..., :20], r"torch.float32 \(50, 1, 28, 20\)"),
    ],
)
def test_what_is_no_batch_of_square_floats_is_refused(some, augmentation, change, what):
    with pytest.raises(ValueError, match=f"take floats .* as to_float makes them, not {what}"):
        augmentation(change(some), generator())


# ---- pipelines of other libraries ---------------------------------------------------------------


def drawn_by_numpy(image: torch.Tensor) -> torch.Tensor:
    """A pipeline of one's own with the usual generators of Python and numpy."""
    dark = image // (1 + np.random.randint(64))
    return dark.roll((random.randrange(28), np.random.randint(28)), (1, 2))


PIPELINES = {
    "albumentations": A.Compose([A.Affine(rotate=(-20, 20), translate_percent=0.1, p=1)]),
    "torchvision": v2.RandomAffine(degrees=20, translate=(0.1, 0.1)),
    "own": drawn_by_numpy,
}
every_pipeline = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)


def states() -> tuple:
    """Of the global generators of Python, numpy and PyTorch."""
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


@every_pipeline
def test_a_pipeline_repeats_with_its_seed_and_only_with_it(some, pipeline):
    one = PerImage(pipeline)(some, generator(1))
    assert one.shape == some.shape and one.dtype == torch.float32
    assert 0 <= one.min() and 0.1 < one.max() <= 1
    before = states()
    assert torch.equal(one, PerImage(pipeline)(some, generator(1)))
    assert states() == before
    assert not torch.equal(one, PerImage(pipeline)(some, generator(2)))


@every_pipeline
def test_a_pipeline_draws_anew_for_each_image_and_epoch(digits, pipeline):
    copies, labels = digits.train_images[:1].expand(300, -1, -1, -1), torch.zeros(300).long()
    batches = Batches(copies, labels, 50, PerImage(pipeline), None, generator(2))
    epochs = torch.cat([x for _ in range(2) for x, _ in batches])
    # some meet by chance; a repeated epoch would leave half of them
    assert len(epochs.flatten(1).unique(dim=0)) > 500


@pytest.mark.parametrize("do_nothing", [A.Compose([A.NoOp()]), v2.Identity()])
def test_a_pipeline_sees_and_returns_the_very_pixels(some, do_nothing):
    assert torch.equal(PerImage(do_nothing)(some, generator()), some)


@pytest.mark.parametrize(
    "wrong",
    [
        A.Compose([A.Resize(14, 14)]),
        v2.Resize(14),
        T.Compose([T.RandomRotation(7), T.ToTensor(), T.Normalize((0.1307,), (0.3081,))]),
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]),
        A.Compose([A.Rotate(7), A.Normalize((0.13,), (0.3,)), ToTensorV2()]),
        A.Compose([A.ToFloat(255)]),
        lambda image: {"image": image},
        lambda image: None,
    ],
)
def test_a_pipeline_that_changes_size_or_type_is_refused(some, wrong):
    with pytest.raises(ValueError, match="leave out ToTensor and Normalize|keep the size of the"):
        PerImage(wrong)(some, generator())
