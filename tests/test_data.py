"""The digits: whole, cut into ten folds, and handed out in batches that miss no image."""

import hashlib
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.datasets import MNIST

from mnist_lib import data
from mnist_lib.augment import RandomAffine
from mnist_lib.data import MEAN, STD, Batches, Digits, fold_of_each, load_mnist, normalise, to_float
from mnist_lib.engine.download import raw_folder


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


# ---- folds --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> Digits:
    return load_mnist()


@pytest.fixture(scope="module")
def folds(whole) -> torch.Tensor:
    return fold_of_each(whole.train_labels)


def test_sizes_shapes_and_types(digits):
    assert digits.sizes() == {"train": 54_000, "validation": 6_000, "test": 10_000}
    for part, count in digits.sizes().items():
        images, labels = getattr(digits, f"{part}_images"), getattr(digits, f"{part}_labels")
        assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
        assert labels.shape == (count,) and labels.dtype == torch.int64
        assert labels.unique().tolist() == list(range(10))
        assert images.max() == 255 and images.min() == 0


def test_the_digits_are_those_that_torchvision_reads(whole):
    root = raw_folder().parents[1]
    for part, is_train in [("train", True), ("test", False)]:
        theirs = MNIST(root, train=is_train)
        assert torch.equal(getattr(whole, f"{part}_images"), theirs.data.unsqueeze(1))
        assert torch.equal(getattr(whole, f"{part}_labels"), theirs.targets)


def test_without_a_fold_all_training_images_train(whole, digits):
    assert whole.fold == 0 and digits.fold == 1
    assert whole.sizes() == {"train": 60_000, "validation": 0, "test": 10_000}
    assert whole.validation_images.shape == (0, 1, 28, 28)
    assert torch.equal(whole.test_images, digits.test_images)


@pytest.mark.parametrize("fold", [1, 7, 10])
def test_a_fold_is_held_out_and_all_others_train_in_their_order(whole, folds, fold):
    digits = load_mnist(fold=fold)
    for part, chosen in (("validation", folds == fold), ("train", folds != fold)):
        assert torch.equal(getattr(digits, f"{part}_images"), whole.train_images[chosen])
        assert torch.equal(getattr(digits, f"{part}_labels"), whole.train_labels[chosen])


def test_ten_folds_of_6000_share_out_all_training_images(folds):
    assert folds.shape == (60_000,) and folds.dtype == torch.int64
    assert folds.bincount().tolist() == [0] + [6_000] * 10


def imbalance(folds: torch.Tensor, groups: torch.Tensor) -> int:
    """How many more images of one group a fold has than another fold has, at most."""
    counts = torch.stack(
        [folds[groups == group].bincount(minlength=11) for group in groups.unique()]
    )
    return int((counts[:, 1:].amax(1) - counts[:, 1:].amin(1)).max())


def test_each_fold_has_a_tenth_of_every_digit_and_of_both_groups_of_writers(whole, folds):
    """Digits at even positions are of the writers that are harder to read."""
    is_odd = torch.arange(60_000) % 2
    assert imbalance(folds, whole.train_labels) <= 1
    assert imbalance(folds, 2 * whole.train_labels + is_odd) <= 1
    assert imbalance(folds, is_odd) <= 2


def test_the_folds_are_those_that_the_records_were_made_with(folds):
    """Whoever changes the rule changes FOLD_RULE too: the records are then out of date."""
    assert folds[:10].tolist() == [7, 10, 5, 4, 2, 2, 4, 9, 5, 3]
    assert hashlib.sha256(bytes(folds.tolist())).hexdigest()[:16] == "460c469f749ec5dc"
    assert data.FOLD_RULE == "rank by label, parity of position and position, modulo ten"


@given(labels=st.lists(st.integers(0, 9), min_size=1, max_size=300).map(torch.tensor))
def test_any_labels_are_shared_out_evenly(labels):
    folds, is_odd = fold_of_each(labels), torch.arange(len(labels)) % 2
    assert folds.shape == labels.shape and set(folds.tolist()) <= set(range(1, 11))
    for groups in (torch.zeros_like(labels), labels, 2 * labels + is_odd):
        assert imbalance(folds, groups) <= 1


@pytest.mark.parametrize("fold", [-1, 11, 60_000, 2.0, 2.5, "1", True, None])
def test_an_impossible_fold_is_refused(fold):
    message = re.escape(f"fold must be a whole number from 0 to 10, not {fold!r}")
    with pytest.raises(ValueError, match=message):
        load_mnist(fold=fold)


def test_the_first_of_each_part_are_of_the_same_fold(digits):
    few = digits.first(7_000)
    assert few.sizes() == {"train": 7_000, "validation": 6_000, "test": 7_000}
    assert few.fold == 1
    assert torch.equal(few.train_images, digits.train_images[:7_000])
    assert torch.equal(few.test_labels, digits.test_labels[:7_000])


def test_who_chooses_sees_no_test_images(digits):
    blind = digits.without_test()
    assert blind.sizes() == digits.sizes() | {"test": 0} and blind.fold == 1
    assert blind.test_images.shape == (0, 1, 28, 28) and blind.test_labels.shape == (0,)
    assert blind.train_images is digits.train_images
    assert blind.validation_labels is digits.validation_labels


def test_digits_of_the_readers_own_have_no_fold(synthetic):
    assert synthetic.fold is None
    assert synthetic.first(5).fold is None and synthetic.without_test().fold is None


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
