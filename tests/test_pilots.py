"""Pilots were tried on folds alone, their records are found, and small networks use few numbers."""

from collections import defaultdict
from importlib import import_module

import optuna
import pytest
import torch
from torch import nn

from mnist_lib import journey, models
from mnist_lib.engine.fingerprint import computation
from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments import all_recipes, find, pilots, speed, systems
from mnist_lib.experiments import small_networks as networks
from mnist_lib.experiments.teacher import TaughtBatches
from mnist_lib.recipes import SGD, Recipe
from mnist_lib.records import load_records, records_of
from mnist_lib.summary import count_parameters
from mnist_lib.train import train_epoch

RESULTS = PROJECT / "results"

# ---- names and records --------------------------------------------------------------------------


def test_a_name_means_one_recipe():
    """In any case, because some file systems do not tell the folders of records apart."""
    named = {}
    for module in (journey, systems, pilots, speed):
        for value in vars(module).values():
            for recipe in value if isinstance(value, list) else [value]:
                if isinstance(recipe, Recipe):
                    assert named.setdefault(recipe.name.lower(), recipe) is recipe
    assert sorted(named) == sorted(recipe.name.lower() for recipe in all_recipes())


def test_every_committed_record_is_found_under_the_name_of_its_recipe():
    files = defaultdict(set)
    for path in RESULTS.glob("[rv]*/*/seed-*.json"):
        files[path.parent.name].add(int(path.stem.removeprefix("seed-")))
    found = {
        recipe.name: {record["seed"] for record in records_of(recipe, RESULTS)}
        for recipe in all_recipes()
    }
    assert {name: seeds for name, seeds in found.items() if seeds} == files


def test_no_validation_run_has_seen_a_test_digit():
    records = [record for record in load_records(RESULTS) if not record["sizes"]["test"]]
    assert records
    for record in records:
        assert record["sizes"] == {"train": 54_000, "validation": 6_000, "test": 0}
        assert record["fold"] == (record["seed"] - 1) % 10 + 1
        assert not any("test" in name for row in record["history"] for name in row)


def test_a_recipe_is_found_in_any_case_and_near_names_are_told():
    assert find("s4-6") is systems.S4_6 and find("12-ACCURATE") is pilots.ACCURATE
    with pytest.raises(ValueError, match="no recipe '06-one'; near it are 06-one-cycle$"):
        find("06-one")
    with pytest.raises(ValueError, match="no recipe 'S9'") as refused:
        find("S9")
    assert str(refused.value).count(",") < 5


# ---- pilots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["NETWORKS", "ABLATIONS", "SECOND_06", "SECOND_08", "WIDTHS"])
def test_pilots_differ_in_one_setting_from_the_first_of_them(name):
    first, *others = getattr(pilots, name)
    assert len({recipe.fingerprint() for recipe in others} - {first.fingerprint()}) == len(others)
    for recipe in others:
        before, after = first.settings(), recipe.settings()
        assert sum(before[setting] != after[setting] for setting in before) == 1


@pytest.mark.parametrize(
    "recipes, limit",
    [
        (pilots.NETWORKS + pilots.BELOW_8000 + [pilots.ACCURATE], 7_999),
        (pilots.AT_MOST_2000 + [pilots.TWO_THOUSAND], 2_000),
        ([pilots.FOUR_THOUSAND], 3_999),
        (pilots.AT_MOST_1000 + [pilots.ONE_THOUSAND, pilots.ONE_THOUSAND_SMOOTH], 1_000),
    ],
)
def test_the_networks_are_small_enough(recipes, limit):
    assert max(count_parameters(recipe.network()) for recipe in recipes) <= limit


def test_a_taught_network_gets_the_answers_of_a_teacher_that_saw_its_training_digits_only():
    images, labels = torch.randint(256, (64, 1, 28, 28), dtype=torch.uint8), torch.arange(64) % 10
    teacher = journey.WIDER.but("teacher", "two epochs", epochs=2, augment=None)
    order = torch.Generator().manual_seed(1)
    batches = TaughtBatches(images, labels, 16, teacher=teacher, order=order)
    untaught = teacher.new_network(seed=0).state_dict()
    learned = batches.teacher.state_dict()
    assert any((learned[name] != untaught[name]).any() for name in untaught if "weight" in name)
    given = list(batches)
    assert sum(len(x) for x, _ in given) == 64 and not batches.teacher.training
    for x, y in given:
        assert torch.allclose(y, batches.teacher(x).softmax(1), atol=1e-6) and not y.requires_grad
    network = teacher.new_network(seed=1)
    loss, accuracy = train_epoch(network, batches, SGD(0.1).build(network))
    assert loss > 0 and 0 <= accuracy <= 1


def test_what_was_chosen_is_what_the_journey_takes():
    assert pilots.EARLY.operations == journey.BEST.operations
    assert pilots.MILD.fingerprint() == journey.BEST.fingerprint()


# ---- small networks -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_residual", [False, True])
def test_shared_weights_are_applied_with_a_normalisation_of_each_use(is_residual):
    convolution = nn.Conv2d(7, 7, 3, padding=1, bias=False)
    shared, maps = networks.WeightSharing(convolution, 7, 2, is_residual), torch.randn(4, 7, 6, 6)
    expected = maps
    for norm in shared.norms:
        expected = (norm(convolution(expected)) + (expected if is_residual else 0)).relu()
    torch.testing.assert_close(shared(maps), expected)


def test_blurred_pooling_halves_a_map_and_changes_less_when_strokes_move_by_a_pixel():
    """The strokes of Zhang (2019), down the columns of a map; the rim has other neighbours."""
    strokes = torch.tensor([0.0, 0, 1, 1]).repeat(4).expand(2, 3, 16, 16)
    still, moved = (networks.BlurredPooling()(strokes.roll(n, 3))[..., 1:-1] for n in (0, 1))
    assert still.shape == (2, 3, 8, 6) and still.unique().tolist() == [0.5, 1.0]
    assert moved.unique().tolist() == [0.75]
    plain = nn.MaxPool2d(2)
    assert (plain(strokes) - plain(strokes.roll(1, 3))).abs().max() == 1


def test_a_smooth_network_has_silu_and_blurred_pooling_and_as_many_parameters():
    before, after = pilots.FIVE_USES.network(), pilots.SMOOTH_1000.network()
    assert count_parameters(before) == count_parameters(after)
    kinds = [type(layer) for layer in after.modules()]
    assert nn.ReLU not in kinds and nn.SiLU in kinds and kinds.count(networks.BlurredPooling) == 1
    operations = str(computation(pilots.SMOOTH_1000.network))
    assert "= silu(" in operations and "= relu(" not in operations


def test_the_early_family_holds_the_network_of_the_journey():
    assert computation(networks.early_pooling) == computation(models.normalised)


@pytest.mark.parametrize("name", ["below_8000", "at_most_2000", "at_most_1000"])
def test_all_that_a_space_suggests_keeps_the_limit_and_gives_ten_logits(name):
    space = import_module(f"mnist_lib.experiments.{name}")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(4):
        network = space.suggest(study.ask()).network()
        assert count_parameters(network) <= space.MAX_PARAMETERS
        assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
