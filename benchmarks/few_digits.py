"""Short trainings for the benchmark of sweeps: a worker that imports this has so few digits.

$FEW_DIGITS  how many of each part, 20,000 unless it says otherwise
"""

import os
from dataclasses import replace

from mnist_lib.data import Digits, load_mnist
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.runner import training

THREE_EPOCHS = replace(ONE_CYCLE, name="three-epochs", epochs=3)
ONE_EPOCH = replace(ONE_CYCLE, name="one-epoch", epochs=1)


def load_few(fold: int = 0) -> Digits:
    return load_mnist(fold=fold).first(int(os.environ.get("FEW_DIGITS", "20000")))


training.load_mnist = load_few
