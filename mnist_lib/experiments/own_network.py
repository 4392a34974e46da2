"""A network of the reader's own: what is wrong with it, its folds, a verdict, a block to copy."""

import re
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn

from mnist_lib.data import CLASSES, IMAGE, load_mnist
from mnist_lib.engine.machine import DEFAULT_SEED, results_folder, seeded
from mnist_lib.journey import BEST, JOURNEY, Target
from mnist_lib.recipes import Recipe, checked_logits
from mnist_lib.records import records_of, save
from mnist_lib.results import Claim, Claims, claim, effect, finals, held, mean_and_deviation
from mnist_lib.summary import count_parameters, layer_table, receptive_field
from mnist_lib.train import fit

GOAL = Target(test_accuracy=0.994, last_epochs=3)  # of the README: 7,999 parameters, 15 epochs
TRAINING_SIZE = 54_000  # digits of a validation run
COLUMN = "validation_accuracy"

SHAPES = ("View", "UnsafeView", "Squeeze", "Mean", "AvgPool", "AdaptiveAvgPool")  # change no sign
ENDS = {  # of a network, as autograd calls them
    "Softmax": Claim("A softmax at the end keeps the loss above 1.46. Return the logits.", False),
    "Sigmoid": Claim("A sigmoid at the end keeps the loss above 1.46. Return the logits.", False),
    "Tanh": Claim("A tanh at the end keeps the loss above 0.80. Return the logits.", False),
    "LogSoftmax": Claim("A log-softmax at the end is harmless: it changes no loss.", None),
    "Relu": Claim("A ReLU at the end stops the gradient of negative logits. Leave it out.", None),
}
ERRORS = {  # of PyTorch, and what to do
    r"cannot be multiplied \(\d+x(\d+) and (\d+)x": "A linear layer expects {1} numbers of a digit "
    "and gets {0}. Put flatten(1) before it, and the right number into it.",
    r"shape '(.+)' is invalid": "view({0}) does not fit. flatten(1) keeps one row for each digit.",
    "more than 1 value per channel": "BatchNorm cannot normalise a single number. Has the last "
    "batch one digit, or is there track_running_stats=False?",
}


def own_recipe(network: Callable[[], nn.Module], file: str = "", **changes) -> Recipe:
    """A network of the reader's own with the training of step 06.

    Args:
        network: a class or function that makes it, without arguments.
        file: a part of its name: the class is called Net in the files of many courses.
        changes: of the training, such as ``epochs=10`` or ``batch_size=64``.
    """
    name = getattr(network, "__name__", "network").strip("_<>")
    name = "-".join(filter(None, ["my", file, name]))
    return BEST.but(name, "a network of your own", network=network, **changes)


# ---- before any training ------------------------------------------------------------------------


def check(recipe: Recipe) -> Claims:
    """What is right and what is wrong with a network, found in a second and without training.

    Returns:
        ✓ for what is right, ✗ for what must be mended, ○ for what is harmless. A fault that hides
        others comes last.
    """
    found = Claims()
    try:
        with seeded(0):
            for each in remarks(recipe):
                found.append(each)
    except Exception as error:  # whatever somebody's network may raise
        found.append(Claim(explained(error), False))
    return found


def explained(error: Exception) -> str:
    """An error as a sentence that says what to do, where its cause is known."""
    reason = (str(error) or "no reason given").splitlines()[0]
    for pattern, sentence in ERRORS.items():
        if found := re.search(pattern, reason):
            return sentence.format(*found.groups())
    return reason if isinstance(error, ValueError) else f"{type(error).__name__}: {reason}"


def remarks(recipe: Recipe) -> Iterator[Claim]:
    """The claims of `check`, the most basic first; raises at what hides the others."""
    model, count = recipe.network(), (TRAINING_SIZE - 1) % recipe.batch_size + 1  # a last batch
    for name, value in vars(model).items():
        if isinstance(value, list) and any(isinstance(each, nn.Module) for each in value):
            raise ValueError(f"PyTorch sees no layer of the list {name}. Use nn.ModuleList.")
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError("It has no parameters to train. Are its layers made in __init__?")
    logits = checked_logits(model.train()(torch.randn(count, *IMAGE)), count)
    yield Claim("It makes ten logits for each digit.", True)
    F.cross_entropy(logits, torch.arange(count) % CLASSES).backward()
    if unused := [name for name, weight in model.named_parameters() if weight.grad is None]:
        yield Claim(f"forward does not use {', '.join(unused)}.", False)
    if ending := ENDS.get(last_operation(logits)):
        yield ending
    # with as many images as before, each sum is the same to the last digit
    images, neighbours = torch.randn(8, *IMAGE), torch.randn(7, *IMAGE)
    with torch.no_grad():
        first, again = (checked_logits(model.eval()(images), 8) for _ in range(2))
        other = model(torch.cat([images[:1], neighbours]))
        checked_logits(model(images[:1]), 1)
    if not first.equal(again):
        cause = "F.dropout needs training=self.training, and layers belong in __init__."
        raise ValueError(f"In eval mode a digit gets other logits each time. {cause}")
    if not first[:1].equal(other[:1]):
        cause = "Is there track_running_stats=False, or an operation over dimension 0?"
        raise ValueError(f"In eval mode the logits of a digit depend on its batch. {cause}")
    yield Claim("In eval mode a digit always gets the same logits.", True)


def last_operation(logits: torch.Tensor) -> str:
    """What autograd calls the last operation, averages and changes of shape left out."""
    step = logits.grad_fn
    while step.name().startswith(SHAPES) and step.next_functions[0][0]:
        step = step.next_functions[0][0]
    return re.sub(r"Backward\d*$", "", step.name())


def facts(recipe: Recipe) -> str:
    """Layer table and receptive field, or for each the reason why it cannot be computed."""
    said, model = [], recipe.new_network(DEFAULT_SEED)
    for what, compute in {"layer table": layer_table, "receptive field": receptive_field}.items():
        try:
            said.append(str(compute(model)))
        except Exception as error:  # torchsummary fails in its own ways
            said.append(f"No {what}: {str(error).splitlines()[0]}.")
    return "\n\n".join(said)


# ---- training and verdict -----------------------------------------------------------------------


def train(recipe: Recipe, folds: int, seed: int = DEFAULT_SEED, device="auto", threads=1) -> Recipe:
    """Train what is not recorded yet: a validation run for each fold, without test digits.

    Args:
        recipe: from `own_recipe`.
        folds: how many, 0 to 10.
        seed: of the first; from 11 on the journey has records of the same folds.
        device, threads: see `fit`.

    Returns:
        The recipe whose records count: a step of the journey if the network is one of them.

    Raises:
        ValueError: if `check` finds a fault.
        FloatingPointError: if a loss is no number any more.
    """
    if faults := [each.sentence for each in check(recipe) if each.holds is False]:
        raise ValueError(f"nothing is trained before this is mended: {faults[0]}")
    for step in JOURNEY:
        if step.fingerprint() == recipe.fingerprint() and records_of(step, results_folder()):
            print(f"This is the network of {step.name}, whose committed records count.")
            return step
    recorded = {record["seed"] for record in records_of(recipe)}
    for each in sorted({*range(seed, seed + folds)} - recorded):
        digits = load_mnist(fold=recipe.fold(each)).without_test()
        run = fit(recipe, digits, each, device, threads)
        if not save(run):  # interrupted
            break
        print(run)
    return recipe


def rules(recipe: Recipe) -> Claims:
    """Whether network and training keep to the goal; ○ for accuracy before any training."""
    model = recipe.new_network(DEFAULT_SEED)
    size, most = count_parameters(model), GOAL.max_parameters
    name, largest = max(model.named_parameters(), key=lambda each: each[1].numel())
    where = f"; {name} has {largest.numel():,} of them" if size > most else ""
    lowest = held(records_of(recipe), COLUMN, GOAL.last_epochs)
    good = sum(lowest >= GOAL.test_accuracy)
    found = f"{good} of {len(lowest)} folds" if len(lowest) else "not trained yet"
    found = f"99.40 % of the validation digits in each of the last three epochs: {found}"
    return Claims([
        claim(f"fewer than {most + 1:,} parameters: {size:,}{where}", size <= most),
        claim(f"at most 15 epochs: {recipe.epochs}", recipe.epochs <= GOAL.max_epochs),
        Claim(found, good == len(lowest) if len(lowest) else None),
    ])  # fmt: skip


def report(recipe: Recipe, step: Recipe = BEST) -> str:
    """Target, Result and Analysis as Markdown, to copy.

    Args:
        recipe: from `train`.
        step: of the journey, to compare with on the same folds.
    """
    result, analysis = [f"- {each}" for each in rules(recipe)], ["not trained yet"]
    if records_of(recipe):
        runs = finals(recipe)
        missed = 1 - runs["clean_train_accuracy"].mean()
        gap = 1 - missed - runs[COLUMN].mean()
        result += [f"- last epoch (folds: {len(runs)}): {mean_and_deviation(runs[COLUMN])}"]
        analysis = [
            f"{compared(recipe, step)}",
            f"It misses {missed:.2%} of the digits that it has learned from: capacity or epochs. "
            f"It misses {gap:.2%} more of the validation digits: possibly overfitting.",
            "What I changed, and why: …",
        ]
    target = "At least 99.40 % in each of the last three epochs, with fewer than 8,000 parameters"
    target = ["## Target", f"{target}, in at most 15 epochs."]
    return "\n".join([*target, "## Result", *result, "## Analysis", *analysis])


def compared(recipe: Recipe, step: Recipe) -> str:
    """Whether a network is more accurate than a step of the journey, on the same folds."""
    pairs = (finals(recipe)[COLUMN] - finals(step)[COLUMN]).dropna() if records_of(step) else ()
    common = f"Against {step.name} (folds in common: {len(pairs)})"
    if len(pairs) < 5:
        found = f"{pairs.mean() * 100:+.2f} points" if len(pairs) else "not compared yet"
        return f"{common}: {found}. A verdict needs five."
    if recipe == step:
        return f"{step.name} is not compared with itself."
    gain = effect(recipe, step)
    words = {"helps": "more accurate", "hurts": "less accurate"}.get(gain.words, gain.words)
    return f"{common}: {gain} points, {words}."
