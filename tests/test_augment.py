"""Batches that miss no image, and augmentations that draw anew for each of them."""

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

from mnist_lib import augment, per_image
from mnist_lib.augment import Batches, RandomAffine, affine
from mnist_lib.data import MEAN, STD, normalise, to_float
from mnist_lib.per_image import PerImage


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def numbered():
    """100 images whose grey is their position, with the position as label."""
    labels = torch.arange(100)
    return labels.byte().view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous(), labels


@pytest.fixture(scope="module")
def some(digits):
    """50 real digits as float32 in 0..1."""
    return to_float(digits.train_images[:50])


# ---- batches ------------------------------------------------------------------------------------


def test_an_epoch_meets_every_image_once_and_keeps_the_short_last_batch(numbered):
    batches = Batches(*numbered, batch_size=32, order=generator())
    sizes, seen = [], []
    for x, y in batches:
        sizes.append(len(y))
        seen += y.tolist()
        assert x.shape == (len(y), 1, 28, 28) and x.dtype == torch.float32
    assert sizes == [32, 32, 32, 4] and len(batches) == 4
    assert sorted(seen) == list(range(100)) and seen != list(range(100))


def test_labels_follow_their_images(numbered):
    for augmentation in (None, RandomAffine(degrees=0)):
        for x, y in Batches(*numbered, 32, augmentation, generator(1), generator(2)):
            grey = (x[:, 0, 14, 14] * STD + MEAN) * 255
            assert torch.equal(grey.round().long(), y)


def test_without_an_order_the_images_stay_in_place(numbered):
    seen = torch.cat([y for _, y in Batches(*numbered, batch_size=30)])
    assert torch.equal(seen, torch.arange(100))


def test_the_seed_decides_the_order_and_each_epoch_has_its_own(numbered):
    def two_epochs(seed):
        batches = Batches(*numbered, 32, order=generator(seed))
        return [torch.cat([y for _, y in batches]).tolist() for _ in range(2)]

    assert two_epochs(1) == two_epochs(1) != two_epochs(2)
    first, second = two_epochs(1)
    assert first != second


def test_the_training_set_is_normalised_to_mean_0_and_deviation_1(digits):
    pixels = normalise(to_float(torch.cat([digits.train_images, digits.validation_images])))
    assert pixels.mean().item() == pytest.approx(0, abs=1e-3)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)
    x, _ = next(iter(Batches(digits.train_images[:8], digits.train_labels[:8], batch_size=8)))
    assert x.min().item() == pytest.approx(-0.1307 / 0.3081)
    assert x.max().item() == pytest.approx((1 - 0.1307) / 0.3081)


def test_the_set_itself_is_never_augmented(digits):
    images = digits.train_images[:64]
    before = images.clone()
    for _ in Batches(images, digits.train_labels[:64], 32, RandomAffine(30), None, generator()):
        pass
    assert torch.equal(images, before)


@pytest.mark.parametrize("batch_size", [0, -1, 101])
def test_a_batch_size_that_does_not_fit_is_refused(numbered, batch_size):
    with pytest.raises(ValueError, match=f"batch size {batch_size} .* 100 images"):
        Batches(*numbered, batch_size)


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


def test_labels_never_change(digits, pipeline):
    images, labels = digits.train_images[:64], digits.train_labels[:64]
    plain = Batches(images, labels, 32, None, generator(1))
    augmented = Batches(images, labels, 32, PerImage(pipeline), generator(1), generator(2))
    for (x, y), (x_augmented, y_augmented) in zip(plain, augmented, strict=True):
        assert torch.equal(y, y_augmented) and not torch.equal(x, x_augmented)


def with_helpers(monkeypatch, count: int) -> None:
    """A training on so many threads more than one."""
    monkeypatch.setattr(per_image, "helpers", lambda threads: count)
    monkeypatch.setattr(torch, "get_num_threads", lambda: count + 1)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)


def drawn_by_numpy(image: torch.Tensor) -> torch.Tensor:
    """A pipeline of one's own with the usual generators of Python and numpy."""
    return image.roll((random.randrange(28), np.random.randint(28)), (1, 2)) // (
        1 + np.random.randint(64)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_other_processes_make_the_very_images_that_one_would(
    digits, pipeline, workers, monkeypatch
):
    def two_epochs(processes):
        with_helpers(monkeypatch, processes)
        batches = Batches(
            digits.train_images[:1_200], digits.train_labels[:1_200], 100,
            PerImage(pipeline), generator(1), generator(2),
        )  # fmt: skip
        return [torch.cat([x for x, _ in batches]) for _ in range(2)]

    for alone, shared in zip(two_epochs(0), two_epochs(workers), strict=True):
        assert torch.equal(alone, shared)


@pytest.mark.parametrize(
    "turn",
    [
        A.Compose([A.Affine(rotate=(-180, 180), p=1.0)]),
        v2.RandomRotation(180, interpolation=v2.InterpolationMode.BILINEAR),
        drawn_by_numpy,
    ],
)
def test_other_processes_never_repeat_their_augmentations(digits, turn, monkeypatch):
    with_helpers(monkeypatch, 2)
    copies = digits.train_images[:1].expand(1_500, -1, -1, -1)
    batches = Batches(copies, torch.zeros(1_500), 50, PerImage(turn), None, generator(2))
    epochs = torch.cat([x for _ in range(2) for x, _ in batches])
    assert len(epochs) == 3_000
    # some meet by chance; a repeated epoch, or workers that draw alike, would leave half of them
    assert len(epochs.flatten(1).unique(dim=0)) > 2_500


def test_other_processes_leave_the_global_random_numbers_alone(digits, pipeline, monkeypatch):
    with_helpers(monkeypatch, 1)
    before = torch.get_rng_state()
    images, labels = digits.train_images[:200], digits.train_labels[:200]
    list(Batches(images, labels, 50, PerImage(pipeline), generator(1), generator(2)))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_in_another_process_says_what_was_wrong(digits, monkeypatch):
    with_helpers(monkeypatch, 1)
    images, labels = digits.train_images[:200], digits.train_labels[:200]
    batches = Batches(images, labels, 50, PerImage(v2.Resize(14)), None, generator(2))
    with pytest.raises(ValueError, match="keep the size"):
        list(batches)


def test_training_leaves_its_helpers_their_threads_and_takes_them_back(digits, pipeline):
    images, labels = digits.train_images[:600], digits.train_labels[:600]
    batches = Batches(images, labels, 50, PerImage(pipeline), None, generator(2))
    torch.set_num_threads(3)
    try:
        assert {torch.get_num_threads() for _ in batches} == {3 - per_image.helpers(3)}
        for _ in batches:
            break  # a training that stops in the middle
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


def test_one_thread_has_no_helpers_and_many_have_four():
    assert per_image.helpers(1) == 0
    assert per_image.helpers(16) in (0, 4)  # none where processes cannot be forked
