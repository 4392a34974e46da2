"""Augmentations move images as promised and draw anew for each of them."""

import random

import albumentations as A
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.functional import affine as torchvision_affine

from mnist_lib import augment
from mnist_lib.augment import RandomAffine, affine
from mnist_lib.data import Batches, to_float
from mnist_lib.engine.per_image import PerImage


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


def test_a_shift_of_a_quarter_moves_by_seven_pixels():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 10, 5] = 1
    zero, one = torch.zeros(1), torch.ones(1)
    moved = affine(image, zero, zero + 0.25, zero - 0.25, one, zero)
    assert moved[0, 0, 3, 12].item() == pytest.approx(1, abs=1e-4)
    assert moved.sum().item() == pytest.approx(1, abs=1e-4)


def test_no_movement_changes_nothing(some):
    torch.testing.assert_close(RandomAffine()(some, generator()), some, atol=1e-5, rtol=0)


def test_each_image_draws_its_own_movement(some):
    copies = some[:1].expand(20, -1, -1, -1)
    moved = RandomAffine(degrees=10, translate=0.1, scale=0.1, shear=5)(copies, generator())
    assert len(moved.flatten(1).unique(dim=0)) == 20


def test_the_seed_decides_the_movement(some):
    mild = RandomAffine(degrees=10, translate=0.1)
    assert torch.equal(mild(some, generator(1)), mild(some, generator(1)))
    assert not torch.equal(mild(some, generator(1)), mild(some, generator(2)))
    one = generator(1)
    assert not torch.equal(mild(some, one), mild(some, one))  # the next batch is another


@pytest.mark.parametrize(
    "augmentation", [RandomAffine(degrees=10), PerImage(v2.Identity())], ids=["affine", "pipeline"]
)
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: (x * 255).byte(), "torch.uint8 \\(50, 1, 28, 28\\)"),
        (lambda x: x.squeeze(1), "torch.float32 \\(50, 28, 28\\)"),
        (lambda x: x[..., :20], "torch.float32 \\(50, 1, 28, 20\\)"),
    ],
)
def test_what_is_no_batch_of_square_floats_is_refused(some, augmentation, change, what):
    with pytest.raises(ValueError, match=f"take floats .* as to_float makes them, not {what}"):
        augmentation(change(some), generator())


def test_draws_are_uniform_in_their_ranges_and_independent(monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, "affine", lambda images, *parameters: drawn.extend(parameters))
    RandomAffine(degrees=10, translate=0.1, scale=0.2, shear=5)(
        torch.zeros(10_000, 1, 1, 1), generator()
    )
    drawn = torch.stack(drawn).double().numpy()
    ranges = [(0, np.deg2rad(10)), (0, 0.1), (0, 0.1), (1, 0.2), (0, np.deg2rad(5))]
    for values, (centre, reach) in zip(drawn, ranges, strict=True):
        assert abs(values - centre).max() <= reach + 1e-7
        assert values.mean() == pytest.approx(centre, abs=0.03 * reach)
        assert stats.kstest(values, stats.uniform(centre - reach, 2 * reach).cdf).pvalue > 1e-3
    correlations = np.corrcoef(drawn) - np.eye(5)
    assert abs(correlations).max() < 0.04


# ---- pipelines of other libraries ---------------------------------------------------------------

PIPELINES = {
    "albumentations": lambda: A.Compose([A.Affine(rotate=(-20, 20), translate_percent=0.1, p=1)]),
    "torchvision": lambda: v2.RandomAffine(degrees=20, translate=(0.1, 0.1)),
}


@pytest.fixture(params=PIPELINES)
def pipeline(request):
    return PIPELINES[request.param]()


def test_a_pipeline_repeats_with_its_seed_and_only_with_it(some, pipeline):
    one = PerImage(pipeline)(some, generator(1))
    assert one.shape == some.shape and one.dtype == torch.float32
    assert 0 <= one.min() and 0.5 < one.max() <= 1
    assert torch.equal(one, PerImage(pipeline)(some, generator(1)))
    assert not torch.equal(one, PerImage(pipeline)(some, generator(2)))


def test_a_pipeline_draws_anew_for_each_image_and_batch(some, pipeline):
    copies, draws = some[:1].expand(20, -1, -1, -1), generator()
    batches = [PerImage(pipeline)(copies, draws) for _ in range(2)]
    assert len(torch.cat(batches).flatten(1).unique(dim=0)) > 35  # two may meet by chance


def test_a_pipeline_leaves_the_global_random_numbers_alone(some, pipeline):
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    before = state()
    PerImage(pipeline)(some, generator())
    assert state() == before


@pytest.mark.parametrize("do_nothing", [A.Compose([A.NoOp()]), v2.Identity()])
def test_a_pipeline_sees_and_returns_the_very_pixels(some, do_nothing):
    assert torch.equal(PerImage(do_nothing)(some, generator()), some)


@pytest.mark.parametrize("resize", [A.Compose([A.Resize(14, 14)]), v2.Resize(14)])
def test_a_pipeline_that_changes_the_size_is_refused(some, resize):
    with pytest.raises(ValueError, match="keep the size"):
        PerImage(resize)(some, generator())


@pytest.mark.parametrize(
    "to_floats", [A.Compose([A.ToFloat(255)]), v2.ToDtype(torch.float32, scale=True)]
)
def test_a_pipeline_that_changes_the_type_is_refused(some, to_floats):
    with pytest.raises(ValueError, match="made torch.float32 .* their type"):
        PerImage(to_floats)(some, generator())


def test_labels_never_change(digits, pipeline):
    images, labels = digits.train_images[:64], digits.train_labels[:64]
    plain = Batches(images, labels, 32, None, generator(1))
    augmented = Batches(images, labels, 32, PerImage(pipeline), generator(1), generator(2))
    for (x, y), (x_augmented, y_augmented) in zip(plain, augmented, strict=True):
        assert torch.equal(y, y_augmented) and not torch.equal(x, x_augmented)


def drawn_by_numpy(image: torch.Tensor) -> torch.Tensor:
    """A pipeline of one's own with the usual generators of Python and numpy."""
    return image.roll((random.randrange(28), np.random.randint(28)), (1, 2)) // (
        1 + np.random.randint(64)
    )


@pytest.mark.parametrize(
    "turn",
    [
        A.Compose([A.Affine(rotate=(-180, 180), p=1.0)]),
        v2.RandomRotation(180, interpolation=v2.InterpolationMode.BILINEAR),
        drawn_by_numpy,
    ],
)
def test_a_pipeline_never_repeats_its_augmentations(digits, turn):
    copies = digits.train_images[:1].expand(1_500, -1, -1, -1)
    batches = Batches(
        copies, torch.zeros(1_500, dtype=torch.int64), 50, PerImage(turn), None, generator(2)
    )
    epochs = torch.cat([x for _ in range(2) for x, _ in batches])
    assert len(epochs) == 3_000
    # some meet by chance; a repeated epoch would leave half of them
    assert len(epochs.flatten(1).unique(dim=0)) > 2_500
