"""Training repeats with its seed, counts exactly, and says how it ended."""

import io
import math
import random
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from made_up import without_seconds
from torch import nn

from mnist_lib import train
from mnist_lib.augment import RandomAffine
from mnist_lib.data import Batches
from mnist_lib.recipes import SGD, Adam, Constant, StepDecay
from mnist_lib.records import save
from mnist_lib.train import evaluate, predict

fit = partial(train.fit, device="cpu", quiet=True)


def dropping() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# ---- the same seed, the same run ----------------------------------------------------------------


def drawn_globally(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An augmentation that draws from the generators of PyTorch, numpy and Python."""
    return images * (random.random() + np.random.random() + torch.rand(1)) / 3


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": RandomAffine(degrees=10, translate=0.1)},
        {"network": dropping, "augment": drawn_globally},
        {"optimizer": Adam(0.003), "schedule": Constant()},
    ],
    ids=["augmented", "all generators", "adam"],
)
def test_the_same_seed_gives_the_same_run_and_leaves_the_generators(tiny, synthetic, changes):
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    recipe = tiny.but("00-other", "something", **changes)
    one = fit(recipe, synthetic, seed=1)
    random.random(), np.random.random(), torch.rand(7)  # whatever the notebook draws in between
    before = state()
    other = fit(recipe, synthetic, seed=1)
    assert state() == before
    assert without_seconds(one) == without_seconds(other)
    assert same_weights(one.model, other.model)
    assert without_seconds(one) != without_seconds(fit(recipe, synthetic, seed=2))


def test_test_images_decide_nothing(tiny, synthetic):
    """A validation run trains as the run with test images that would follow it."""
    run, validation = fit(tiny, synthetic), fit(tiny, synthetic.without_test())
    assert same_weights(run.model, validation.model)
    for row, other in zip(without_seconds(run), without_seconds(validation), strict=True):
        assert {name: row[name] for name in other} == other
        assert row.keys() - other.keys() == {"test_loss", "test_accuracy"}
    assert validation.sizes == {"train": 640, "validation": 192, "test": 0}


def test_a_run_takes_its_threads_and_its_own_kind_of_batches(tiny, synthetic):
    seen = []

    class Watched(Batches):
        def __init__(self, *given, epochs, **options):
            super().__init__(*given, **options)
            seen.append(epochs)

        def note(self, *_):
            seen.append(torch.get_num_threads())

    run = fit(replace(tiny, batches=Watched, epochs=3), synthetic.first(32), threads=2)
    assert seen == [3, 2, 2, 2] and run.machine["threads"] == 2
    assert torch.get_num_threads() == 1  # as before


# ---- what is measured ---------------------------------------------------------------------------


def test_hand_made_logits_give_the_known_loss_and_accuracy():
    """With a short last batch."""
    logits = torch.tensor([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]])
    batches = [(logits[:2], torch.tensor([0, 2])), (logits[2:], torch.tensor([2]))]
    loss, accuracy = evaluate(nn.Identity(), batches)
    sure = math.log(1 + 2 * math.exp(-3))
    assert loss == pytest.approx((sure + (sure + 3) + sure) / 3)
    assert accuracy == pytest.approx(2 / 3)


def test_an_epochs_training_numbers_are_means_over_images(synthetic):
    """With a rate of 0 nothing moves, so they are those of the evaluation."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    batches = Batches(synthetic.train_images[:50], synthetic.train_labels[:50], 32)
    after_step = Mock()
    measured = train.train_epoch(model, batches, SGD(0.0).build(model), after_step=after_step)
    assert measured == pytest.approx(evaluate(model, batches), rel=1e-5)
    assert model.training is False and after_step.call_count == 2


def test_each_epoch_is_recorded_and_handed_over(tiny, synthetic):
    rows = []
    recipe = replace(tiny, optimizer=SGD(0.1), schedule=StepDecay(every=1))
    run = fit(recipe, synthetic, after_epoch=rows.append)
    assert rows == run.history and [set(row) for row in rows] == [
        {
            "epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss",
            "validation_accuracy", "test_loss", "test_accuracy", "seconds",
        }
    ] * 2  # fmt: skip
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.01])
    assert run.table().index.tolist() == [1, 2]
    assert run.seconds == sum(row["seconds"] for row in rows) > 0
    assert not run.short and not run.interrupted
    for part in ("validation", "test"):
        images, labels = (getattr(synthetic, f"{part}_{kind}") for kind in ("images", "labels"))
        loss, accuracy = evaluate(run.model, Batches(images, labels, 100))
        assert accuracy == rows[-1][f"{part}_accuracy"]
        assert loss == pytest.approx(rows[-1][f"{part}_loss"], abs=1e-5)


def test_clean_accuracy_is_that_of_the_training_images_as_they_are(tiny, synthetic):
    """In eval mode, after the last step: the running one is of dropout and augmented images."""
    augment = Mock(side_effect=RandomAffine(degrees=30, translate=0.2))
    run = fit(replace(tiny, network=dropping, augment=augment), synthetic)
    clean = Batches(synthetic.train_images, synthetic.train_labels, 100)
    assert run.clean_train_accuracy == evaluate(run.model, clean)[1]
    assert run.clean_train_accuracy != run.history[-1]["train_accuracy"]
    augmented = sum(len(images) for images, _ in (call.args for call in augment.call_args_list))
    assert augmented == 2 * 640  # once an epoch, and not for the clean accuracy


def test_predictions_are_probabilities_in_the_order_of_the_images(tiny, synthetic):
    run = fit(tiny, synthetic)
    probabilities = predict(run.model.train(), synthetic.test_images)
    assert probabilities.shape == (256, 10) and not run.model.training
    torch.testing.assert_close(probabilities.sum(1), torch.ones(256))
    correct = (probabilities.argmax(1) == synthetic.test_labels).float().mean().item()
    assert correct == pytest.approx(run.history[-1]["test_accuracy"])


# ---- short, interrupted, diverging --------------------------------------------------------------


def test_a_short_run_has_few_images_and_epochs_and_says_so(tiny, digits, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    run = fit(replace(tiny, epochs=15), digits, seed=1)
    assert run.short and len(run.history) == 2 and run.recipe.epochs == 15
    assert run.sizes == {"train": 1_280, "validation": 1_280, "test": 1_280}
    assert str(run).startswith("shortened run, its accuracy means nothing: '00-tiny', seed 1, 2 ep")
    assert len(fit(replace(tiny, epochs=1), digits, seed=1).history) == 1


@pytest.mark.parametrize("finished", [1, 0])
def test_an_interruption_keeps_the_finished_epochs_and_is_no_result(
    tiny, synthetic, monkeypatch, capsys, finished
):
    """Ctrl-C, or the stop button of Jupyter, after the first epoch or within it."""

    def interrupt(*_):
        raise KeyboardInterrupt

    if not finished:
        monkeypatch.setattr(train, "train_step", interrupt)
    state, run = torch.get_rng_state(), fit(tiny, synthetic, after_epoch=interrupt)
    assert torch.equal(torch.get_rng_state(), state)
    assert run.interrupted and len(run.history) == len(run.table()) == finished
    assert run.clean_train_accuracy is None
    assert f"interrupted after {finished} of 2 epochs" in capsys.readouterr().out
    assert str(run).startswith("interrupted, so this is no result: '00-tiny'")
    assert save(run) is None


def test_a_loss_that_is_no_number_stops_the_run(tiny, synthetic):
    wild = replace(tiny, name="00-wild", optimizer=SGD(1e12), schedule=Constant())
    with pytest.raises(FloatingPointError, match="of '00-wild' became .* in epoch 1: the learning"):
        fit(wild, synthetic, threads=2)
    assert torch.get_num_threads() == 1  # put back whatever happens


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_last_step_may_show_in_the_evaluation_alone(tiny, synthetic, monkeypatch, part):
    good, bad = (0.1, 0.9), (float("nan"), 0.1)
    last = [bad if name == part else good for name in ("validation", "test")]
    measured = iter([good, good, *last])
    monkeypatch.setattr(train, "evaluate", lambda *_: next(measured))
    with pytest.raises(FloatingPointError, match=f"{part}_loss of '00-tiny' became nan in epoch 2"):
        fit(tiny, synthetic)


# ---- what shows while it runs -------------------------------------------------------------------


LINE = re.compile(
    r"epoch +\d/2   loss \d+\.\d{4}   train +\d+\.\d\d%   validation +(\d+\.\d\d%) .* s$", re.M
)


@pytest.mark.parametrize(
    ("live", "is_terminal", "has_bar"), [("1", True, True), ("1", False, False), ("0", True, False)]
)
def test_one_line_an_epoch_stays_and_a_bar_shows_where_somebody_watches(
    tiny, synthetic, monkeypatch, live, is_terminal, has_bar
):
    monkeypatch.setenv("MNIST_LIB_LIVE", live)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with redirect_stdout(io.StringIO()) as terminal:
        terminal.isatty = lambda: is_terminal
        run = train.fit(tiny, synthetic, device="cpu")
    assert (run.seed, run.machine["threads"]) == (1, 1)
    accuracies = [f"{row['validation_accuracy']:.2%}" for row in run.history]
    assert LINE.findall(terminal.getvalue()) == accuracies
    assert ("step" in terminal.getvalue()) is has_bar
