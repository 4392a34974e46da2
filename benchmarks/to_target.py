"""How long to 99.40 %: 11-sooner of notebook 11 beside the training of a tutorial.

python benchmarks/to_target.py [--rounds 5] [--quick]

By turns in one run: the whole training of 11-sooner, with two threads, then the plain loop
(plain.py, two workers that prepare images beside it) for the published system S4-6, with an
evaluation after each epoch. All epochs of the plain loop cost the same, so 2 of its 15 are measured
and multiplied. The loop, too, may take both cores: it gets as many threads as make its epoch
faster. Five rounds give the ratio an interval, in about 15 idle minutes; results go to
my-results/, or to results/ with MNIST_LIB_RENEW=1.
"""

import argparse
import json
import time

import plain
import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

from mnist_lib import fit, load_mnist
from mnist_lib.engine.machine import (
    choose_device,
    describe_machine,
    output_folder,
    write_atomically,
)
from mnist_lib.experiments import find
from mnist_lib.experiments.speed import SOONER, SOONER_THREADS
from mnist_lib.recipes import Recipe

TUTORIAL = "S4-6"
WORKERS = 2
EPOCHS_MEASURED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description="11-sooner beside a tutorial")
    parser.add_argument("--rounds", type=int, default=5, help="five give an interval")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    options = parser.parse_args()
    device = choose_device(options.device)
    load_mnist()  # the plain loop reads its files
    images = 640 if options.quick else 60_000
    recipe = find(TUTORIAL)
    threads = faster(recipe, device, images)
    print(f"threads of the plain loop: {threads}", flush=True)
    found = {"machine": describe_machine(device), "winner": SOONER.fingerprint()}
    found |= {"workers": WORKERS, "threads of the plain loop": threads, "rounds": []}
    for number in range(options.rounds):
        seconds = {f"winner beside {TUTORIAL}": winner(number + 1, device, images)}
        seconds[TUTORIAL] = tutorial(recipe, device, threads, images)
        print(json.dumps(seconds), flush=True)
        found["rounds"].append(seconds)
    if not options.quick:
        path = output_folder() / f"to-target-{device.split(':')[0]}.json"
        write_atomically(path, json.dumps(found, indent=1) + "\n")
        print(f"wrote {path}")


def faster(recipe: Recipe, device: str, images: int) -> int:
    """The number of threads, one or two, with which the plain loop is faster."""
    return min((1, 2), key=lambda threads: tutorial(recipe, device, threads, images))


def winner(seed: int, device: str, images: int = 60_000) -> float:
    """Wall seconds of the winner's training and of an evaluation after each epoch."""
    digits = load_mnist(fold=SOONER.fold(seed)).first(images)
    return fit(SOONER, digits, seed, device, threads=SOONER_THREADS, quiet=True).seconds


def tutorial(recipe: Recipe, device: str, threads: int, images: int = 60_000) -> float:
    """The same of a published system by the plain loop, from the first of its epochs."""
    torch.set_num_threads(threads)
    model = plain.build_network(recipe).to(device)
    optimizer = plain.build_optimizer(recipe.optimizer, model)
    batches = plain.loader(recipe, images, WORKERS, device)
    schedule = recipe.schedule.build(optimizer, len(batches), recipe.epochs)
    test = plain.digits(train=False, transform=transforms.Compose(plain.TO_TENSOR))
    test = Subset(test, range(min(images, len(test))))
    test_batches = DataLoader(test, recipe.batch_size, num_workers=WORKERS)
    started = time.perf_counter()
    for _ in range(EPOCHS_MEASURED):
        plain.train_epoch(model, batches, optimizer, schedule, device)
        evaluate(model, test_batches, device)
    return (time.perf_counter() - started) * recipe.epochs / EPOCHS_MEASURED


@torch.no_grad()
def evaluate(model, batches: DataLoader, device: str) -> float:
    """Accuracy, as tutorials compute it."""
    model.eval()
    correct = 0
    for images, labels in batches:
        guesses = model(images.to(device)).argmax(dim=1)
        correct += guesses.eq(labels.to(device)).sum().item()
    return correct / len(batches.dataset)


if __name__ == "__main__":
    main()
