"""A recipe says all that decides a run, compares with its parent, and refuses what cannot work."""

from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up import tiny_network, without_validation
from torch import nn

from mnist_lib import train
from mnist_lib.recipes import SGD, Adam, Constant, OneCycle, Recipe, StepDecay, learning_rates
from mnist_lib.train import fit, predict


@pytest.fixture
def base() -> Recipe:
    return Recipe("00-base", "the beginning", tiny_network, SGD(0.1))


# ---- steps --------------------------------------------------------------------------------------


def test_but_changes_what_is_named_and_remembers_where_it_came_from(base):
    step = base.but("01-step", "smaller batches", batch_size=64)
    assert step == replace(base, name="01-step", change="smaller batches", batch_size=64)
    assert step.parent is base and base.parent is None and base.batch_size == 128


@pytest.mark.parametrize("name", ["../x", "", "a b", ".x", "x-", "a*", "größer", "a\n"])
def test_names_that_are_no_folders_are_refused(base, name):
    with pytest.raises(ValueError, match="is no recipe's name: use letters, digits"):
        base.but(name, "a name")


def test_ten_seeds_in_turn_hold_out_ten_folds(base):
    folds = [base.fold(seed) for seed in (0, *range(1, 11), 11, 2**31 - 1)]
    assert folds == [10, *range(1, 11), 1, 7]
    assert replace(base, folds=0).fold(7) == 0


@pytest.mark.parametrize("folds", [1, 9, -10, 2.5, "10", None])
def test_another_number_of_folds_is_refused(base, folds):
    with pytest.raises(ValueError, match=f"'01' has {folds!r} folds; it can have 10 or 0"):
        base.but("01", "other folds", folds=folds)


def test_changes_are_shown_as_a_diff(base):
    """Those of networks, whose source is shown, are compared on the pages by nbval."""
    step = base.but("01-step", "shorter", epochs=5, optimizer=Adam(0.1))
    assert step.changes().splitlines() == [
        "- optimizer = SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.0)",
        "+ optimizer = Adam(learning_rate=0.1, betas=(0.9, 0.999), weight_decay=0.0)",
        "- epochs = 15",
        "+ epochs = 5",
    ]
    lines = base.changes().splitlines()  # the first recipe lists all
    assert lines == [f"+ {name} = {value}" for name, value in base.settings().items()]


# ---- schedules ----------------------------------------------------------------------------------

STEPS, EPOCHS = 10, 6


def walk(schedule, optimizer) -> list[dict]:
    """The optimizer's settings in each of the 60 steps of a run."""
    built = optimizer.build(nn.Linear(1, 1))
    scheduler = schedule.build(built, steps=STEPS, epochs=EPOCHS)
    seen = []
    for _ in range(STEPS * EPOCHS):
        seen.append({**built.param_groups[0]})
        built.step()
        scheduler.step()
    return seen


def rates(schedule) -> list[float]:
    found = [settings["lr"] for settings in walk(schedule, SGD(0.1))]
    assert learning_rates(SGD(0.1), schedule, STEPS, EPOCHS) == found
    return found


def test_a_rate_stays_or_changes_between_epochs_only():
    assert rates(Constant()) == [0.1] * 60
    expected = [0.1] * 20 + [0.05] * 20 + [0.025] * 20
    assert rates(StepDecay(every=2, factor=0.5)) == pytest.approx(expected)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_one_cycle_starts_low_peaks_once_and_ends_near_nothing(anneal):
    lr = rates(OneCycle(peak=0.2, warmup=0.25, start_divisor=20, end_divisor=100, anneal=anneal))
    assert [lr[0], lr[14], lr[-1]] == pytest.approx([0.2 / 20, 0.2, 0.2 / 20 / 100])
    assert lr[:15] == sorted(lr[:15]) and lr[14:] == sorted(lr[14:], reverse=True)
    assert (lr[1] - lr[0] == pytest.approx(lr[6] - lr[5])) == (anneal == "linear")


def test_one_cycle_moves_the_momentum_only_where_asked_to():
    sgd, adam = SGD(0.1, momentum=0.7), Adam(0.1, betas=(0.8, 0.99))
    assert {settings["momentum"] for settings in walk(OneCycle(peak=0.2), sgd)} == {0.7}
    assert {settings["betas"] for settings in walk(OneCycle(peak=0.2), adam)} == {(0.8, 0.99)}
    cycled = walk(OneCycle(peak=0.2, cycle_momentum=True), sgd)
    momentum = [settings["momentum"] for settings in cycled]
    assert momentum[0] == momentum[-1] == pytest.approx(0.95)
    assert min(momentum) == pytest.approx(0.85)


@given(
    steps=st.integers(1, 12),
    epochs=st.integers(1, 3),
    warmup=st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9]),
)
def test_one_cycle_works_for_any_length(steps, epochs, warmup):
    """Some warm-ups would be phases of no width, by which PyTorch divides."""
    found = learning_rates(SGD(0.1), OneCycle(0.1, warmup=warmup), steps, epochs)
    assert len(found) == steps * epochs and all(0 < rate <= 0.1 + 1e-9 for rate in found)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.3, 0.8, weight_decay=1e-4), Adam(0.01, (0.8, 0.9), weight_decay=1e-3)]
)
def test_optimizers_are_built_as_described(optimizer):
    built, expected = optimizer.build(nn.Linear(3, 2)), asdict(optimizer)
    assert type(built) is getattr(torch.optim, type(optimizer).__name__)
    assert {"lr": expected.pop("learning_rate"), **expected}.items() <= built.defaults.items()


# ---- what cannot work is refused before anything is trained -------------------------------------


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """Fails the test as soon as anything is trained."""
    monkeypatch.setattr(train, "train_step", lambda *_: pytest.fail("training began"))


class Net(nn.Module):
    """A flat linear network, and what else a test makes of its output."""

    def __init__(self, wrapped, layer=None):
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), layer or nn.Identity(), nn.Linear(784, 10))
        self.wrapped = wrapped

    def forward(self, images):
        return self.wrapped(self.inner(images))


WRONG_NETWORKS = {
    "nine classes": (lambda: Net(lambda logits: logits[:, :9]), r"gives the shape \(9,\)"),
    "a map": (lambda: nn.Sequential(nn.Conv2d(1, 10, 3)), r"the shape \(10, 26, 26\).* \(10,\)"),
    "a tuple": (lambda: Net(lambda logits: (logits, 1)), "returns a tuple"),
    "squeezed": (lambda: Net(lambda logits: logits.squeeze()), "batch of 1: .* squeeze"),
    "batch norm": (lambda: Net(lambda x: x, nn.BatchNorm1d(784)), "training mode on a batch of 1:"),
    "no parameters": (nn.Flatten, "no parameters to train"),
    "frozen": (lambda: tiny_network().requires_grad_(False), "no parameters to train"),
    "mixed images": (lambda: Net(lambda x: x.view(-1, 5)), r"give the shape \(4, 5\)"),
    "other images": (lambda: nn.Linear(32, 10), "fails in evaluation mode on a batch of 2"),
}


@pytest.mark.parametrize("kind", WRONG_NETWORKS)
def test_a_network_that_cannot_work_is_refused(tiny, synthetic, kind):
    """With the last batch of a run, which is here a single image."""
    network, message = WRONG_NETWORKS[kind]
    recipe = tiny.but("00-wrong", "a slip", network=network)
    with pytest.raises(ValueError, match=f"the network of '00-wrong' .*{message}"):
        fit(recipe, synthetic.first(33), device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({"epochs": n}, f"number of epochs of '00-wrong' must .*{n}") for n in (0, 1.5, True)],
        ({"batch_size": 641}, "batch size 641 .* 640 images"),
        ({"batch_size": 0}, "batch size 0"),
        ({"schedule": StepDecay(0)}, "schedule of '00-wrong' fail in a run of 40 steps"),
        ({"schedule": OneCycle(0.1, warmup=1.5)}, "schedule of '00-wrong' fail"),
        ({"schedule": OneCycle(0.1, anneal="cosine")}, "schedule of '00-wrong' fail"),
        ({"optimizer": SGD(-0.1)}, "optimizer .* of '00-wrong' fail"),
    ],
)
def test_settings_that_cannot_work_are_refused(tiny, synthetic, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(tiny.but("00-wrong", "a slip", **changes), synthetic, device="cpu")


@pytest.mark.parametrize(
    ("folds", "seed", "fold", "message"),
    [
        (10, 11, 10, "seed 11 validates on fold 1, these digits on 10"),
        (10, 0, 9, "seed 0 validates on fold 10, these digits on 9"),
        (10, 7, 0, "seed 7 validates on fold 7, these digits on none"),
        (0, 7, 7, "seed 7 validates on fold none, these digits on 7"),
        (0, 1, None, "seed 1 validates on fold none, these digits on"),
    ],
)
def test_digits_of_another_fold_are_refused(tiny, synthetic, folds, seed, fold, message):
    with pytest.raises(ValueError, match=rf"{message}.*load_mnist\(fold=recipe.fold\(seed\)\)"):
        fit(replace(tiny, folds=folds), replace(synthetic, fold=fold), seed, device="cpu")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("test_images", lambda images: images / 255, "as load_mnist gives them, not torch.float"),
        ("test_labels", lambda labels: labels - 100, "labels must be 0..9, not -100..-91"),
        ("validation_images", lambda images: images[1:], "191 images need as many labels"),
    ],
)
def test_digits_that_cannot_be_learnt_are_refused(tiny, synthetic, part, change, message):
    wrong = replace(synthetic, **{part: change(getattr(synthetic, part))})
    with pytest.raises(ValueError, match=message):
        fit(tiny, wrong, device="cpu")


def test_images_as_floats_are_not_predicted(tiny, synthetic):
    with pytest.raises(ValueError, match="as load_mnist gives them, not torch.float32"):
        predict(tiny.new_network(1), synthetic.test_images / 255)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "1", None, 2**31])
def test_impossible_seeds_and_threads_are_refused(tiny, synthetic, wrong):
    with pytest.raises(ValueError, match=f"seed must be a whole number .*{wrong!r}"):
        fit(replace(tiny, folds=0), without_validation(synthetic), wrong, device="cpu")
    with pytest.raises(ValueError, match=f"threads must be a whole number .*{wrong!r}"):
        fit(tiny, synthetic, device="cpu", threads=wrong)


@pytest.mark.parametrize("device", ["gpu", "tpu:0", "", "cuda:99", "cpu:banana"])
def test_an_unknown_device_is_refused(tiny, synthetic, device):
    with pytest.raises(ValueError, match=f"device '{device}' is not available here; choose"):
        fit(tiny, synthetic, device=device)
