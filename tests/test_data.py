"""The digits: whole, split as documented, and handed out in batches that miss no image."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnist_lib import data
from mnist_lib.augment import RandomAffine
from mnist_lib.data import MEAN, STD, Batches, normalise, to_float


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def numbered():
    """100 images whose grey is their position, with its last figure as label."""
    positions = torch.arange(100)
    images = positions.byte().view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
    return images, positions % 10


def positions_of(x: torch.Tensor) -> torch.Tensor:
    """Which of the numbered images a batch holds."""
    return ((x[:, 0, 14, 14] * STD + MEAN) * 255).round().long()


# ---- splits -------------------------------------------------------------------------------------


def test_sizes_shapes_and_types(digits):
    assert digits.sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}
    for part, count in digits.sizes().items():
        images, labels = getattr(digits, f"{part}_images"), getattr(digits, f"{part}_labels")
        assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
        assert labels.shape == (count,) and labels.dtype == torch.int64
        assert labels.unique().tolist() == list(range(10))
        assert images.max() == 255 and images.min() == 0


def test_no_holdout_trains_on_all_images(digits):
    whole = data.load_mnist(holdout=0)
    assert whole.sizes() == {"train": 60_000, "validation": 0, "test": 10_000}
    assert whole.validation_images.shape == (0, 1, 28, 28)
    assert torch.equal(whole.test_images, digits.test_images)


def test_validation_is_evenly_spaced_and_takes_both_groups_of_writers(digits):
    whole = data.load_mnist(holdout=0)
    kept, held_out = data.split_indices(5_000)
    assert held_out[:5].tolist() == [0, 13, 24, 37, 48]
    assert (held_out % 2 == 0).sum() == 2_500  # even positions hold the harder digits
    assert torch.equal(digits.validation_images, whole.train_images[held_out])
    assert torch.equal(digits.validation_labels, whole.train_labels[held_out])
    assert torch.equal(digits.train_images, whole.train_images[kept])
    assert torch.equal(digits.train_labels, whole.train_labels[kept])


@given(holdout=st.integers(0, data.TRAINING_SIZE // 2))
def test_every_image_is_in_exactly_one_part(holdout):
    kept, held_out = data.split_indices(holdout)
    assert len(held_out) == holdout
    assert torch.equal(torch.cat([kept, held_out]).sort().values, torch.arange(60_000))


@pytest.mark.parametrize("holdout", [-1, 30_001, 60_000, 2.5, "a", True, None])
def test_an_impossible_holdout_is_refused(holdout):
    with pytest.raises(ValueError, match=f"holdout .* not {holdout!r}"):
        data.load_mnist(holdout=holdout)


# ---- batches ------------------------------------------------------------------------------------


def test_an_epoch_meets_every_image_once_and_keeps_the_short_last_batch(numbered):
    batches = Batches(*numbered, batch_size=32, order=generator())
    sizes, seen = [], []
    for x, y in batches:
        sizes.append(len(y))
        seen += positions_of(x).tolist()
        assert x.shape == (len(y), 1, 28, 28) and x.dtype == torch.float32
    assert sizes == [32, 32, 32, 4] and len(batches) == 4
    assert sorted(seen) == list(range(100)) and seen != list(range(100))


def test_labels_follow_their_images(numbered):
    for augmentation in (None, RandomAffine(degrees=0)):
        for x, y in Batches(*numbered, 32, augmentation, generator(1), generator(2)):
            assert torch.equal(positions_of(x) % 10, y)


def test_without_an_order_the_images_stay_in_place(numbered):
    seen = torch.cat([positions_of(x) for x, _ in Batches(*numbered, batch_size=30)])
    assert torch.equal(seen, torch.arange(100))


def test_the_seed_decides_the_order_and_each_epoch_has_its_own(numbered):
    def two_epochs(seed):
        batches = Batches(*numbered, 32, order=generator(seed))
        return [torch.cat([positions_of(x) for x, _ in batches]).tolist() for _ in range(2)]

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


@pytest.mark.parametrize("batch_size", [0, -1, 101, 1.5])
def test_a_batch_size_that_does_not_fit_is_refused(numbered, batch_size):
    with pytest.raises(ValueError, match=f"batch size {batch_size} .* 100 images"):
        Batches(*numbered, batch_size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x / 255, y), "uint8 .* as load_mnist gives them, not torch.float32"),
        (lambda x, y: (x.squeeze(1), y), r"not torch.uint8 \(100, 28, 28\)"),
        (lambda x, y: (x[..., :20], y), r"not torch.uint8 \(100, 1, 28, 20\)"),
        (lambda x, y: (x, y[:99]), r"100 images need as many labels .* not torch.int64 \(99,\)"),
        (lambda x, y: (x, y.float()), "labels of type int64, not torch.float32"),
        (lambda x, y: (x, y - 100), r"labels must be 0..9, not -100..-91"),
        (lambda x, y: (x, y + 1), r"labels must be 0..9, not 1..10"),
    ],
)
def test_other_images_or_labels_are_refused(numbered, change, message):
    with pytest.raises(ValueError, match=message):
        Batches(*change(*numbered), batch_size=10)
