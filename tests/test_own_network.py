"""Networks as course repositories have them, right and wrong, and the sentence for each."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from made_up import tiny_network, validation_run
from torch import nn

from mnist_lib import journey, models
from mnist_lib.commands.check import network_in
from mnist_lib.commands.main import main
from mnist_lib.experiments import own_network
from mnist_lib.experiments.own_network import check, own_recipe, report, rules, train
from mnist_lib.recipes import SGD, Constant
from mnist_lib.records import records_of, save
from mnist_lib.results import effect

flat, nets = nn.Flatten, nn.Sequential

# ---- what is right, and single faults ------------------------------------------------------------


class TwoLayers(nn.Module):
    """The first example of many courses: too large, and its dropout never stops."""

    def __init__(self, stops=False):
        super().__init__()
        self.stops = stops
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2)).view(-1, 320)
        x = F.dropout(F.relu(self.fc1(x)), training=self.training or not self.stops)
        return self.fc2(x)


def crossed(network, **changes) -> list[str]:
    """The sentences marked ✗."""
    return [each.sentence for each in check(own_recipe(network, **changes)) if each.holds is False]


class Around(nn.Module):
    """A small right network, with a function after it."""

    def __init__(self, function, *others):
        super().__init__()
        self.body, self.function = tiny_network(), function
        self.others = nn.ModuleList(others)

    def forward(self, x):
        return self.function(self.body(x))


def test_a_right_network_passes_and_its_log_softmax_is_called_harmless():
    recipe, state = own_recipe(lambda: Around(lambda x: x.log_softmax(1))), torch.get_rng_state()
    found = check(recipe)
    assert torch.equal(torch.get_rng_state(), state)
    assert [each.holds for each in found] == [True, None, True]
    assert "log-softmax at the end is harmless" in str(found)
    assert all(each.holds for each in check(own_recipe(tiny_network)))


def test_what_a_table_cannot_show_is_told_in_its_place():
    facts = own_network.facts(own_recipe(lambda: TwoLayers(stops=True)))
    assert "No receptive field: 24 cells became 12" in facts and "Total params: 21,840" in facts


def in_a_list():
    network = tiny_network()
    network.branches = [nn.Linear(1, 1)]
    return network


own_statistics = partial(nn.BatchNorm1d, 10, track_running_stats=False)


@pytest.mark.parametrize(
    "network, part",
    [
        (TwoLayers, "F.dropout needs training=self.training"),
        (lambda: Around(lambda x: x.repeat(16, 1)), "112 digits give the shape (1792, 10). A "),
        (lambda: Around(lambda x: x.softmax(1)), "A softmax at the end keeps the loss above 1.46."),
        (lambda: Around(lambda x: (x, 1)), "forward returns a tuple."),
        (lambda: Around(torch.sigmoid), "A sigmoid at the end"),
        (lambda: Around(torch.tanh), "A tanh at the end keeps the loss above 0.80"),
        (lambda: Around(lambda x: x[:, :9]), "A digit gives the shape (9,)"),
        (lambda: Around(lambda x: x / 0), "NaN or infinite"),
        (lambda: Around(lambda x: x.unsqueeze(2).squeeze()), "squeeze() removes the batch"),
        (lambda: Around(lambda x: x - x.mean(0)), "depend on its batch"),
        (lambda: nets(flat(), nn.Linear(784, 10), own_statistics()), "track_running_stats=False?"),
        (lambda: Around(nn.Identity(), nn.Linear(3, 4)), "does not use others.0.weight"),
        (lambda: nets(flat(), nn.Linear(700, 10)), "expects 700 numbers of a digit and gets 784"),
        (lambda: nets(nn.Conv2d(3, 10, 3)), "to have 3 channels, but got 1"),
        (lambda: Around(lambda x: x.view(113, -1)), "flatten(1) keeps one row for each digit"),
        (lambda: nets(nn.AvgPool2d(28), flat()), "no parameters to train"),
        (lambda width: None, "missing 1 required positional argument"),
        (in_a_list, "PyTorch sees no layer of the list branches"),
        (lambda: Around(lambda x: nn.Linear(10, 10)(x)), "layers belong in __init__"),
    ],
)
def test_each_fault_gets_its_sentence(network, part):
    (sentence,) = crossed(network)
    assert part in sentence


def test_a_relu_at_the_end_is_remarked_through_the_average():
    def ending():
        return nets(nn.Conv2d(1, 10, 9), nn.ReLU(), nn.AdaptiveAvgPool2d(1), flat())

    assert "A ReLU at the end" in str(check(own_recipe(ending)))


def test_a_last_batch_of_one_is_a_fault_only_where_there_is_one():
    def normalised():
        return nets(nn.Conv2d(1, 10, 28), nn.BatchNorm2d(10), flat())

    assert "Has the last batch one digit" in crossed(normalised, batch_size=11)[0]
    assert not crossed(normalised)


# ---- training, rules, report --------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")


def test_recorded_folds_are_not_trained_again(short, capsys):
    recipe = own_recipe(tiny_network, epochs=2)
    train(recipe, 1)
    first = capsys.readouterr().out
    train(recipe, 2)
    assert first.count("epoch ") == capsys.readouterr().out.count("epoch ") == 2
    assert [(r["seed"], r["fold"]) for r in records_of(recipe)] == [(11, 1), (12, 2)]
    assert not any(record["sizes"]["test"] for record in records_of(recipe))


def test_what_cannot_be_trained_is_explained(short):
    with pytest.raises(ValueError, match="mended: forward returns a tuple"):
        train(own_recipe(lambda: Around(lambda x: (x, 1))), 1)
    wild = own_recipe(tiny_network, epochs=1, optimizer=SGD(1e9), schedule=Constant())
    with pytest.raises(FloatingPointError, match="the learning rate is probably too high"):
        train(wild, 1)


def test_the_same_network_as_a_step_has_its_records(committed, capsys):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = models.lean(20)

        def forward(self, images):
            return self.layers(images)

    recipe = train(own_recipe(Mine), 5)
    assert recipe is journey.SMALL and "of 08-small" in capsys.readouterr().out
    assert f"10): {effect(recipe, journey.BEST)} points" in report(recipe)


def test_rules_name_the_layer_with_most_parameters():
    size, epochs, accuracy = rules(own_recipe(lambda: TwoLayers(stops=True), epochs=20))
    assert size.sentence == "fewer than 8,000 parameters: 21,840; fc1.weight has 16,000 of them"
    assert (size.holds, epochs.holds, accuracy.holds) == (False, False, None)


def test_a_report_compares_on_common_folds_and_needs_five_for_a_verdict():
    recipe, texts = own_recipe(tiny_network), []
    assert "not trained yet" in report(recipe)
    for seed, accuracy in enumerate([0.995, 0.9951, 0.9953, 0.9948, 0.9952], start=11):
        save(validation_run(recipe, seed, accuracy, clean=0.999, earlier=0.994))
        save(validation_run(journey.BEST, seed, 0.99, clean=0.999))
        texts.append(report(recipe))
    assert "06-one-cycle (folds in common: 1): +0.50 points. A verdict needs five" in texts[0]
    assert "not compared with itself" in report(journey.BEST)
    assert "points, more accurate." in texts[-1]
    assert "0.39% more of the validation digits: possibly overfitting" in texts[-1]
    assert "three epochs: 5 of 5 folds" in texts[-1]


# ---- the command --------------------------------------------------------------------------------

FILE = """
from torch import nn

class Block(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))

def two():
    return nn.Sequential(Block(), nn.ReLU())
"""


def test_the_command_checks_trains_and_reports(short, tmp_path, capsys):
    file = tmp_path / "my_network.py"
    file.write_text(FILE)
    assert main(["check", str(file), "--epochs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "epoch  1/1" in shown and "Total params: 7,850" in shown and "## Analysis" in shown
    assert main(["check", str(file), "--epochs", "1", "--no-train"]) == 0
    assert "epoch  1/1" not in capsys.readouterr().out
    assert network_in(file, "two")()(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize(
    "text, arguments, code, part",
    [
        (FILE.replace("784", "700"), [], 1, "expects 700 numbers of a digit and gets 784"),
        (FILE.replace("def two", "class Other(Block): pass\ndef two"), [], 2, "Block, Other"),
        (FILE, ["--network", "three"], 2, "name one by --network"),
        ("x = (", [], 2, "does not load: SyntaxError"),
        ("exit(3)", [], 2, "does not load: SystemExit"),
        (FILE, ["--against", "06-onecycle"], 2, "06-one-cycle"),
        (None, [], 2, "does not load: FileNotFoundError"),
    ],
)
def test_a_bad_file_gets_a_sentence(text, arguments, code, part, tmp_path, capsys):
    file = tmp_path / "my_network.py"
    if text is not None:
        file.write_text(text)
    assert main(["check", str(file), "--no-train", *arguments]) == code
    found = capsys.readouterr()
    assert part in found.out + found.err


def test_a_recipe_is_named_by_its_file_and_network_in_letters_that_any_folder_may_have():
    assert own_recipe(tiny_network).name == "my-tiny_network"
    assert own_recipe(lambda: tiny_network(), "net").name == "my-net-lambda"
