"""Short trainings for the benchmark of sweeps: a worker that imports this has so few digits.

python -m few_digits FIRST LAST trains the same by hand: seed after seed, in this one process,
once it is told to by a line of input

$FEW_DIGITS  how many of each part, 20,000 unless it says otherwise
"""

import os
import sys
from dataclasses import replace

from mnist_lib.commands import training
from mnist_lib.data import Digits, load_mnist
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.records import save
from mnist_lib.train import fit

THREE_EPOCHS = replace(ONE_CYCLE, name="three-epochs", epochs=3)
ONE_EPOCH = replace(ONE_CYCLE, name="one-epoch", epochs=1)


def load_few(fold: int = 0) -> Digits:
    return load_mnist(fold=fold).first(int(os.environ.get("FEW_DIGITS", "20000")))


training.load_mnist = load_few


if __name__ == "__main__":
    input("ready\n")  # until all processes are
    for seed in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
        digits = load_few(THREE_EPOCHS.fold(seed))
        save(fit(THREE_EPOCHS, digits, seed, "cpu", quiet=True))
