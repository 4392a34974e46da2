"""What cannot work is refused before anything is trained, in words that say what to do."""

import re
from dataclasses import replace

import pytest
from made_up import without_validation
from torch import nn

from mnist_lib import train
from mnist_lib.train import fit, predict


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test as soon as anything is trained."""

    def trained(*_, **__):
        pytest.fail("training began")

    monkeypatch.setattr(train, "train_step", trained)


def nine_classes() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 9))


def no_parameters() -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d((2, 5)), nn.Flatten())


def frozen() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).requires_grad_(False)


def a_map() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 10, 3))


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "number of epochs of '00-wrong' must be a whole number .* not 0"),
        ({"epochs": -3}, "number of epochs of '00-wrong' must be a whole number .* not -3"),
        ({"epochs": 1.5}, "number of epochs of '00-wrong' must be a whole number .* not 1.5"),
        ({"epochs": True}, "number of epochs of '00-wrong' must be a whole number .* not True"),
        ({"batch_size": 641}, "batch size 641 .* 640 images"),
        ({"batch_size": 0}, "batch size 0"),
        ({"network": no_parameters}, "network of '00-wrong' has no parameters to train"),
        ({"network": frozen}, "network of '00-wrong' has no parameters to train"),
        ({"network": nine_classes}, r"'00-wrong' turns 2 images into \(2, 9\)"),
        ({"network": a_map}, r"into \(2, 10, 26, 26\).*must give logits of shape \(2, 10\)"),
    ],
)
def test_settings_that_cannot_work_are_refused_first(tiny, synthetic, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(tiny.but("00-wrong", "a slip", **changes), synthetic, device="cpu")


FITTING = re.escape("load_mnist(fold=recipe.fold(seed)) makes them fit")


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("folds", "seed", "fold", "message"),
    [
        (10, 1, 2, "'00-wrong' with seed 1 holds out fold 1, and these digits hold out fold 2: "),
        (10, 11, 10, "with seed 11 holds out fold 1, and these digits hold out fold 10: "),
        (10, 0, 9, "with seed 0 holds out fold 10, and these digits hold out fold 9: "),
        (10, 7, 0, "with seed 7 holds out fold 7, and these digits hold out no digits: "),
        (0, 7, 7, "with seed 7 holds out no digits, and these digits hold out fold 7: "),
        (0, 1, None, "holds out no digits, and these digits hold out a part of the digits: "),
    ],
)
def test_digits_of_another_fold_are_refused_first(tiny, synthetic, folds, seed, fold, message):
    recipe = tiny.but("00-wrong", "a slip", folds=folds)
    with pytest.raises(ValueError, match=message + FITTING):
        fit(recipe, replace(synthetic, fold=fold), seed, device="cpu")


@pytest.mark.usefixtures("no_training")
def test_own_digits_without_validation_do_not_fit_a_recipe_with_folds(tiny, synthetic):
    with pytest.raises(ValueError, match="a part .* hold out no digits: " + FITTING):
        fit(tiny, without_validation(synthetic), device="cpu")


@pytest.mark.parametrize(("seed", "fold"), [(1, 1), (10, 10), (11, 1), (20, 10)])
def test_digits_of_the_seeds_own_fold_are_taken(tiny, synthetic, seed, fold):
    run = fit(replace(tiny, epochs=1), replace(synthetic, fold=fold), seed, device="cpu")
    assert run.fold == fold and "validation_accuracy" in run.history[0]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "train_images",
            lambda images: images / 255,
            "as load_mnist gives them, not torch.float32",
        ),
        ("test_images", lambda images: images / 255, "as load_mnist gives them, not torch.float32"),
        ("train_labels", lambda labels: labels - 100, "labels must be 0..9, not -100..-91"),
        ("test_labels", lambda labels: labels - 100, "labels must be 0..9, not -100..-91"),
        ("train_labels", lambda labels: labels[1:], "640 images need as many labels"),
        ("validation_images", lambda images: images[1:], "191 images need as many labels"),
        ("test_labels", lambda labels: labels[:0], "256 images need as many labels"),
    ],
)
def test_digits_that_cannot_be_learnt_are_refused_first(tiny, synthetic, part, change, message):
    wrong = replace(synthetic, **{part: change(getattr(synthetic, part))})
    with pytest.raises(ValueError, match=message):
        fit(tiny, wrong, device="cpu")


def test_images_as_floats_are_not_predicted(tiny, synthetic):
    with pytest.raises(ValueError, match="as load_mnist gives them, not torch.float32"):
        predict(tiny.new_network(1), synthetic.test_images / 255)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", None, 2**31])
def test_an_impossible_seed_is_refused_first(tiny, synthetic, seed):
    with pytest.raises(ValueError, match=f"seed must be a whole number .* not {seed!r}"):
        fit(tiny, synthetic, seed, device="cpu")
    with pytest.raises(ValueError, match=f"seed must be a whole number .* not {seed!r}"):
        train.find_learning_rate(tiny, synthetic, seed, device="cpu")


def test_the_largest_seed_is_one(tiny, synthetic):
    assert len(fit(tiny, synthetic, 2**31 - 1, device="cpu").history) == 2


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "a", None])
def test_an_impossible_number_of_threads_is_refused_first(tiny, synthetic, threads):
    with pytest.raises(ValueError, match=f"threads must be a whole number .* not {threads!r}"):
        fit(tiny, synthetic, device="cpu", threads=threads)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("device", ["gpu", "tpu:0", "", "cuda:99", "cpu:banana"])
def test_an_unknown_device_is_refused_first(tiny, synthetic, device):
    with pytest.raises(ValueError, match=f"device '{device}'"):
        fit(tiny, synthetic, device=device)
