"""Epochs of the hardest digits: who is chosen, and that a training works with them."""

from dataclasses import replace

import pytest
import torch

from mnist_lib.data import Batches
from mnist_lib.experiments.hardest import HardestBatches, HardestFirst
from mnist_lib.recipes import SGD, OneCycle
from mnist_lib.train import fit

COUNT = 200


@pytest.fixture
def batches():
    """Digits whose only pixel is their number; two fifths a pass, half of them the hardest."""
    images = torch.zeros(COUNT, 1, 28, 28, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(COUNT)
    order = torch.Generator().manual_seed(1)
    labels = torch.zeros(COUNT, dtype=torch.long)
    return HardestBatches(
        images, labels, 16, order=order, part=0.4, hardest=0.5, evenly=range(9, 11)
    )


def one_pass(batches, hard=()) -> list[int]:
    """Who is visited; those in `hard` are guessed wrong."""
    visited = []
    for _, labels in batches:
        visited += batches.visited.tolist()
        logits = torch.zeros(len(labels), 10)
        is_hard = torch.tensor([number in hard for number in batches.visited.tolist()])
        logits[:, 0] = torch.where(is_hard, -9.0, 9.0)
        batches.note(logits, labels)
    return visited


def test_a_pass_visits_its_part_once(batches):
    visited = one_pass(batches)
    assert len(visited) == len(set(visited)) == 80 and len(batches) == 5
    assert visited != sorted(visited)


def test_who_was_never_visited_comes_first(batches):
    seen = set()
    for _ in range(5):
        new = set(one_pass(batches)) - seen
        assert len(new) >= min(40, COUNT - len(seen))
        seen |= new
    assert len(seen) == COUNT


def test_who_was_hard_comes_again_and_others_change(batches):
    hard = set(range(30))
    for _ in range(5):
        one_pass(batches, hard)
    first, second = set(one_pass(batches, hard)), set(one_pass(batches, hard))
    assert hard <= first and hard <= second
    assert len(first & second) < 70


def test_the_last_passes_draw_evenly(batches):
    hard = set(range(40))
    passes = [set(one_pass(batches, hard)) for _ in range(10)]
    assert all(hard <= visited for visited in passes[5:8])
    assert not any(hard <= visited for visited in passes[8:])


def test_the_images_and_labels_of_a_batch_belong_together(batches):
    images, _ = next(iter(batches))
    plain = Batches(batches.images, batches.labels, COUNT)
    assert torch.equal(images, next(iter(plain))[0][batches.visited])


def test_a_training_takes_the_steps_of_its_part_and_can_be_repeated(tiny, synthetic):
    recipe = HardestFirst(
        "00-hardest", "hardest", tiny.network, SGD(0.1), OneCycle(0.1), batch_size=32, epochs=3,
        part=0.25,
    )  # fmt: skip
    steps = []

    class Counted(OneCycle):
        def build(self, optimizer, count, epochs):
            steps.append(count * epochs)
            return super().build(optimizer, count, epochs)

    first = fit(replace(recipe, schedule=Counted(0.1)), synthetic, device="cpu", quiet=True)
    second = fit(recipe, synthetic, device="cpu", quiet=True)
    assert steps == [3 * 5]  # a quarter of 640 digits
    unlike = {"seconds"}
    for one, other in zip(first.history, second.history, strict=True):
        assert {k: v for k, v in one.items() if k not in unlike} == {
            k: v for k, v in other.items() if k not in unlike
        }
    assert first.history[-1]["test_accuracy"] > 0.3


def test_the_part_decides_the_result(tiny):
    recipe = HardestFirst("00-hardest", "hardest", tiny.network, SGD(0.1))
    prints = {
        replace(recipe, **{name: value}).fingerprint()
        for name, value in {"part": 0.5, "hardest": 0.5, "even_epochs": 1}.items()
    }
    assert len(prints | {recipe.fingerprint()}) == 4
