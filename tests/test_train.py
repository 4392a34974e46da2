"""Training repeats with its seed, counts exactly, and says how it ended."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from made_up import without_validation
from torch import nn

from mnist_lib import models, train
from mnist_lib.augment import RandomAffine
from mnist_lib.data import Batches
from mnist_lib.recipes import SGD, Adam, Constant, StepDecay
from mnist_lib.records import save
from mnist_lib.train import evaluate, fit, predict


@pytest.fixture
def interrupted_in_second_epoch(monkeypatch):
    epochs, train_epoch = [], train.train_epoch

    def second_is_interrupted(*arguments):
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    monkeypatch.setattr(train, "train_epoch", second_is_interrupted)


def dropout_network() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))


def without_seconds(run) -> list[dict]:
    return [{name: row[name] for name in row if name != "seconds"} for row in run.history]


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# ---- the same seed, the same run ----------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augment": RandomAffine(degrees=10, translate=0.1)},
        {"network": dropout_network},
        {"network": partial(models.normalised, dropout=0.1), "epochs": 1},
        {"optimizer": Adam(0.003), "schedule": Constant()},
    ],
    ids=["plain", "augmented", "dropout", "normalised", "adam"],
)
def test_the_same_seed_gives_the_same_run(tiny, synthetic, changes):
    recipe = tiny.but("00-other", "something", **changes)
    one = fit(recipe, synthetic, seed=1, device="cpu")
    torch.rand(7)  # whatever else the notebook draws in between
    other = fit(recipe, synthetic, seed=1, device="cpu")
    assert without_seconds(one) == without_seconds(other)
    assert same_weights(one.model, other.model)


def test_another_seed_gives_another_run(tiny, synthetic):
    one, other = (fit(tiny, synthetic, seed, device="cpu") for seed in (1, 2))
    assert without_seconds(one) != without_seconds(other)
    assert not same_weights(tiny.new_network(1), tiny.new_network(2))


def test_augmentation_moves_neither_the_initial_weights_nor_the_order(tiny, synthetic):
    augmented = tiny.but("00-other", "augmentation", augment=RandomAffine(degrees=10))
    assert same_weights(tiny.new_network(1), augmented.new_network(1))
    plain, moved = (train.training_batches(r, synthetic, 1, "cpu") for r in (tiny, augmented))
    for _ in range(2):  # epochs
        for (x, y), (x_moved, y_moved) in zip(plain, moved, strict=True):
            assert torch.equal(y, y_moved) and not torch.equal(x, x_moved)


def drawn_globally(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An augmentation that draws from the generators of PyTorch, numpy and Python."""
    return images * (random.random() + np.random.random() + torch.rand(1)) / 3


def test_training_seeds_the_global_random_numbers_and_puts_them_back(tiny, synthetic):
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    recipe = tiny.but("00-other", "all", network=dropout_network, augment=drawn_globally)
    runs = []
    for _ in range(2):
        random.random(), np.random.random(), torch.rand(1)
        before = state()
        runs.append(without_seconds(fit(recipe, synthetic, device="cpu")))
        assert state() == before
    assert runs[0] == runs[1]


# ---- what is measured ---------------------------------------------------------------------------


def test_hand_made_logits_give_the_known_loss_and_accuracy():
    logits = torch.tensor([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]])
    batches = [(logits[:2], torch.tensor([0, 2])), (logits[2:], torch.tensor([2]))]
    loss, accuracy = evaluate(nn.Identity(), batches)
    sure = torch.log(1 + 2 * torch.exp(torch.tensor(-3.0))).item()
    assert loss == pytest.approx((sure + (sure + 3) + sure) / 3)
    assert accuracy == pytest.approx(2 / 3)


def test_the_size_of_a_batch_decides_nothing(tiny, digits):
    images, labels = digits.test_images[:1000], digits.test_labels[:1000]
    # in eval mode neither normalisation nor dropout may look at the rest of the batch
    model = tiny.but("00", "more", network=lambda: models.normalised(dropout=0.5)).new_network(1)
    small, large = (evaluate(model, Batches(images, labels, size)) for size in (7, 1000))
    assert small[0] == pytest.approx(large[0], abs=1e-6)
    assert small[1] == large[1]


def test_an_untrained_network_guesses(tiny, digits):
    batches = Batches(digits.test_images, digits.test_labels, 1000)
    recipe = tiny.but("00-plain", "a larger network", network=models.normalised)
    for seed in (1, 2):
        loss, accuracy = evaluate(recipe.new_network(seed), batches)
        assert loss == pytest.approx(2.303, abs=0.03)  # -log(1/10)
        assert accuracy == pytest.approx(0.1, abs=0.08)


def test_evaluation_changes_nothing(synthetic):
    model = models.normalised().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, Batches(synthetic.test_images, synthetic.test_labels, 100))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_what_can_be_learnt_is_learnt(tiny, synthetic):
    run = fit(tiny, synthetic, device="cpu")
    assert run.history[-1]["test_accuracy"] > 0.9
    assert run.history[-1]["validation_accuracy"] > 0.9
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
    assert not run.short and not run.interrupted


def test_real_digits_are_learnt_too(tiny, digits):
    run = fit(tiny, digits.first(2_000), device="cpu")
    assert run.history[-1]["test_accuracy"] > 0.6


def test_each_epoch_is_recorded_and_printed(tiny, synthetic, capsys):
    run = fit(tiny, synthetic, device="cpu")
    assert [set(row) for row in run.history] == [
        {
            "epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss",
            "validation_accuracy", "test_loss", "test_accuracy", "seconds",
        }
    ] * 2  # fmt: skip
    assert run.table().index.tolist() == [1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    assert f"test {run.history[1]['test_accuracy']:7.2%}" in lines[1]
    batches = Batches(synthetic.test_images, synthetic.test_labels, 100)
    loss, accuracy = evaluate(run.model, batches)
    assert accuracy == run.history[-1]["test_accuracy"]
    assert loss == pytest.approx(run.history[-1]["test_loss"], abs=1e-5)


def test_the_recorded_learning_rate_is_one_the_epoch_was_trained_with(tiny, synthetic):
    recipe = tiny.but("00-other", "steps", optimizer=SGD(0.1), schedule=StepDecay(every=1))
    assert [row["learning_rate"] for row in fit(recipe, synthetic).history] == [0.1, 0.1 * 0.1]


def test_without_folds_there_are_no_validation_numbers(tiny, synthetic, capsys):
    run = fit(replace(tiny, folds=0), without_validation(synthetic), device="cpu")
    assert not [name for row in run.history for name in row if name.startswith("validation")]
    assert "validation" not in capsys.readouterr().out


def test_without_test_images_there_are_no_test_numbers(tiny, synthetic, capsys):
    run = fit(tiny, synthetic.without_test(), device="cpu")
    assert run.sizes == {"train": 640, "validation": 192, "test": 0}
    assert not [name for row in run.history for name in row if name.startswith("test")]
    assert "test" not in capsys.readouterr().out


def test_test_images_decide_nothing(tiny, synthetic):
    """A trial trains as the run with test images that would follow it."""
    run, trial = fit(tiny, synthetic), fit(tiny, synthetic.without_test())
    assert same_weights(run.model, trial.model)
    for row, tried in zip(without_seconds(run), without_seconds(trial), strict=True):
        assert {name: row[name] for name in tried} == tried


def test_clean_training_accuracy_is_that_of_the_images_as_they_are(tiny, synthetic):
    """In eval mode, after the last step: the running one is of dropout and augmented images."""
    augment = RandomAffine(degrees=30, translate=0.2)
    recipe = tiny.but("00-other", "hard to train", network=dropout_network, augment=augment)
    run = fit(recipe, synthetic, device="cpu")
    clean = Batches(synthetic.train_images, synthetic.train_labels, 100)
    assert run.clean_train_accuracy == evaluate(run.model, clean)[1]
    assert run.clean_train_accuracy != run.history[-1]["train_accuracy"]


def test_a_clean_image_is_not_augmented(tiny, synthetic):
    augmented = []

    def counting(images, generator):
        augmented.append(len(images))
        return images

    run = fit(replace(tiny, augment=counting), synthetic, device="cpu")
    assert sum(augmented) == 2 * 640  # once an epoch, and not for the clean accuracy
    assert run.clean_train_accuracy > 0.9


def test_predictions_are_probabilities_in_the_order_of_the_images(tiny, synthetic):
    run = fit(tiny, synthetic, device="cpu")
    probabilities = predict(run.model, synthetic.test_images)
    assert probabilities.shape == (len(synthetic.test_labels), 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(probabilities)))
    correct = (probabilities.argmax(1) == synthetic.test_labels).float().mean().item()
    assert correct == pytest.approx(run.history[-1]["test_accuracy"])


# ---- short, interrupted, diverging --------------------------------------------------------------


def test_a_short_run_says_so(tiny, synthetic, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    parts = {
        name: torch.cat([part] * 3) for name, part in vars(synthetic).items() if name != "fold"
    }
    run = fit(replace(tiny, epochs=15), replace(synthetic, **parts), device="cpu")
    assert run.short and len(run.history) == 2
    assert run.sizes == {"train": 1_280, "validation": 576, "test": 768}
    monkeypatch.setenv("MNIST_LIB_SHORT", "0")
    assert not fit(replace(tiny, epochs=1), synthetic, device="cpu").short


@pytest.mark.usefixtures("interrupted_in_second_epoch")
def test_an_interruption_keeps_the_finished_epochs_and_says_so(tiny, synthetic, capsys, results):
    run = fit(tiny, synthetic, device="cpu")
    assert run.interrupted and [row["epoch"] for row in run.history] == [1]
    assert run.table().index.tolist() == [1] and run.seconds > 0
    assert run.clean_train_accuracy is None
    assert "interrupted: 1 of 2 epochs" in capsys.readouterr().out
    with pytest.raises(ValueError, match="interrupted"):
        save(run)
    assert not results.exists()


def test_an_interruption_after_the_last_epoch_keeps_them_all(tiny, synthetic, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "clean_accuracy", interrupt)
    run = fit(tiny, synthetic, device="cpu")
    assert run.interrupted and len(run.history) == 2 and run.clean_train_accuracy is None
    assert "interrupted: 2 of 2 epochs are finished and kept" in capsys.readouterr().out


def test_an_interruption_in_the_first_epoch_leaves_an_empty_table(tiny, synthetic, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_epoch", interrupt)
    run = fit(tiny, synthetic, device="cpu")
    assert run.interrupted and run.table().empty and run.clean_train_accuracy is None


def test_a_loss_that_is_no_number_stops_the_run(tiny, synthetic):
    recipe = tiny.but("00-wild", "far too fast", optimizer=SGD(1e12), schedule=Constant())
    with pytest.raises(FloatingPointError, match="'00-wild' became .* in epoch 1.*learning rate"):
        fit(recipe, synthetic, device="cpu")


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_loss_that_is_no_number_after_the_last_step_stops_it_too(
    tiny, synthetic, monkeypatch, part
):
    """The last step of a run shows in the evaluation alone."""
    good, bad = (0.1, 0.9), (float("nan"), 0.1)
    last = [bad if name == part else good for name in ("validation", "test")]
    measured = iter([good, good, *last])
    monkeypatch.setattr(train, "evaluate", lambda *_: next(measured))
    message = f"the {part} loss of '00-tiny' became nan in epoch 2"
    with pytest.raises(FloatingPointError, match=message):
        fit(tiny, synthetic, device="cpu")
