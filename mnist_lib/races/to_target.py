"""The second race of notebook 11: how soon is 99.40 % reached with fewer than 8,000 parameters?"""

import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
from torch import nn

from mnist_lib.engine.environment import results_folder
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised
from mnist_lib.races.entries import Crop
from mnist_lib.races.hardest import HardestFirst
from mnist_lib.recipes import SGD, OneCycle
from mnist_lib.records import NoRecords


def cropped() -> nn.Sequential:
    """The network of step 06 without two pixels at each border: a third less to compute."""
    return nn.Sequential(Crop(2), *normalised())


EIGHT = replace(ONE_CYCLE, name="11-eight", change="8 epochs of step 06", epochs=8, parent=None)
CROPPED = EIGHT.but("11-cropped", "the same, 2 pixels less at each border", network=cropped)
LARGE_BATCHES = CROPPED.but(
    "11-cropped-large-batches", "256 digits a batch and twice the rate", batch_size=256,
    optimizer=SGD(learning_rate=0.3, momentum=0.9), schedule=OneCycle(peak=0.3),
)  # fmt: skip
TO_TARGET = [
    EIGHT,
    CROPPED,
    CROPPED.but("11-cropped-six", "6 epochs", epochs=6),
    CROPPED.but("11-cropped-as-they-are", "without augmentation", augment=None),
    LARGE_BATCHES,
    LARGE_BATCHES.but("11-ten", "10 epochs of that", epochs=10),
    LARGE_BATCHES.but("11-ten-as-they-are", "without augmentation", epochs=10, augment=None),
]


def fewer_layers() -> nn.Sequential:
    """Four layers of 16 channels after the first in place of five of 13: wider is hardly slower."""
    return nn.Sequential(
        Crop(2),
        conv_norm_relu(1, 16, 5, pool=2),
        conv_norm_relu(16, 8, 1),
        conv_norm_relu(8, 16, padding=1),
        conv_norm_relu(16, 16),
        conv_norm_relu(16, 16),
        average_and_classify(16),
    )


def hardest(name: str, change: str, network: Callable, rate: float, **options) -> HardestFirst:
    """LARGE_BATCHES with epochs of the hardest digits."""
    return HardestFirst(
        name, change, network, SGD(rate, momentum=0.9), OneCycle(rate), ONE_CYCLE.augment,
        batch_size=256, **options,
    )  # fmt: skip


HARDEST = [
    hardest("11-hardest", "two fifths of the digits an epoch, mostly the hardest", cropped, 0.3),
    hardest("11-hardest-wide", "the same, fewer and wider layers", fewer_layers, 0.3),
    hardest("11-hardest-fast", "the same, the rate up to 0.5", fewer_layers, 0.5),
    LARGE_BATCHES.but("11-wide-six", "all digits, 6 epochs", network=fewer_layers, epochs=6),
]

# what was registered: to learn from all digits costs a tenth more time, and none are left to choose
WINNER = LARGE_BATCHES.but(
    "11-to-target", "10 epochs of that, all 60,000 digits to learn from", epochs=10, folds=0
)


def beside_tutorials(device: str = "cpu") -> pd.DataFrame:
    """The winner's seconds beside whole trainings of tutorials, from benchmarks/to_target.py.

    returns  one row a published system: plain loop and winner in seconds (medians over rounds),
             part; what the winner takes of the loop's time in the same round
    raises NoRecords if this winner was not measured on this kind of device
    """
    path = results_folder() / f"to-target-{device}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.get("winner") != WINNER.fingerprint():
        raise NoRecords(f"no {path.name} of {WINNER.name}: benchmarks/to_target.py makes it")
    rounds = pd.DataFrame(found["rounds"])
    rows = {}
    for name in (column for column in rounds if not column.startswith("winner")):
        plain, winner = rounds[name], rounds[f"winner beside {name}"]
        rows[name] = {
            "plain loop": plain.median(), "winner": winner.median(),
            "part": (winner / plain).median(),
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("system")
