"""The second race of notebook 11: how soon is 99.40 % reached with fewer than 8,000 parameters?"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd
from torch import nn

from mnist_lib.engine.environment import results_folder
from mnist_lib.experiments.hardest import HardestFirst
from mnist_lib.experiments.one_epoch import Crop
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.models import average_and_classify, conv_norm_relu, normalised
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
    """Three 3x3 layers of 16 channels in place of five of 13: wider is hardly slower."""
    return nn.Sequential(
        Crop(2), conv_norm_relu(1, 16, 5, pool=2), conv_norm_relu(16, 8, 1),
        conv_norm_relu(8, 16, padding=1), conv_norm_relu(16, 16), conv_norm_relu(16, 16),
        average_and_classify(16),
    )  # fmt: skip


def hardest(name: str, change: str, network: Callable, rate: float, **options) -> HardestFirst:
    """LARGE_BATCHES with epochs of the hardest digits."""
    return HardestFirst(
        name, change, network, SGD(rate, momentum=0.9), OneCycle(rate), ONE_CYCLE.augment,
        batch_size=256, **options,
    )  # fmt: skip


HALF = hardest("11-hardest-half", "half of the digits an epoch", cropped, 0.3, part=0.5)


def three_of_sixteen() -> list[nn.Module]:
    """Three layers of 16 channels and the classes: what two cores share well."""
    layers = [conv_norm_relu(16, 16, padding=1), conv_norm_relu(16, 16), conv_norm_relu(16, 16)]
    return [*layers, average_and_classify(16)]


def folded(border: int = 2) -> nn.Sequential:
    """Squares of 2x2 pixels become four channels of half the size, and nothing has to be pooled."""
    edge = Crop(border) if border else nn.Identity()
    return nn.Sequential(edge, nn.PixelUnshuffle(2), conv_norm_relu(4, 16), *three_of_sixteen())


def sixteen() -> nn.Sequential:
    """A wide first layer, pooled, before them."""
    return nn.Sequential(Crop(2), conv_norm_relu(1, 16, 5, pool=2), *three_of_sixteen())


def eight() -> nn.Sequential:
    """Fewer maps where they are large, 16 where they are small."""
    return nn.Sequential(
        Crop(2), conv_norm_relu(1, 8, 5, pool=2), conv_norm_relu(8, 16, padding=1),
        conv_norm_relu(16, 16), conv_norm_relu(16, 16), conv_norm_relu(16, 8),
        average_and_classify(8),
    )  # fmt: skip


FOLDED = LARGE_BATCHES.but(
    "11-folded", "2x2 pixels as 4 channels, 10 epochs", network=folded, epochs=10
)
LOOKS = [  # epochs of the hardest digits, and other networks
    hardest("11-hardest", "two fifths of the digits an epoch, mostly the hardest", cropped, 0.3),
    hardest("11-hardest-wide", "the same, fewer and wider layers", fewer_layers, 0.3),
    hardest("11-hardest-fast", "the same, the rate up to 0.5", fewer_layers, 0.5),
    LARGE_BATCHES.but("11-wide-six", "all digits, 6 epochs", network=fewer_layers, epochs=6),
    HALF,
    FOLDED,
    FOLDED.but("11-folded-fifteen", "15 epochs of that", epochs=15),
    FOLDED.but("11-folded-whole", "with the border", network=partial(folded, border=0)),
    hardest("11-folded-hardest", "three fifths of 15 epochs", folded, 0.3, part=0.6),
    LARGE_BATCHES.but("11-sixteen", "four layers of 16, 12 epochs", network=sixteen, epochs=12),
    hardest("11-eight-first", "8 maps first, then 16; 0.7 of the digits", eight, 0.3, part=0.7),
]

# what was registered: to learn from all digits costs a tenth more time, and none are left to choose
WINNER = LARGE_BATCHES.but(
    "11-to-target", "10 epochs of that, all 60,000 digits to learn from", epochs=10, folds=0
)
# and registered after it, for both cores: what is chosen and what is learned from as with WINNER
SOONER = HALF.but("11-sooner", "half of all 60,000 digits an epoch", folds=0)
SOONER_THREADS = 2


def beside_tutorials(device: str = "cpu") -> pd.DataFrame:
    """SOONER's seconds beside whole trainings of tutorials, from benchmarks/to_target.py.

    returns  one row a published system: plain loop and winner in seconds (medians over rounds),
             part; what the winner takes of the loop's time in the same round
    raises NoRecords if it was not measured on this kind of device
    """
    path = results_folder() / f"to-target-{device}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.get("winner") != SOONER.fingerprint():
        raise NoRecords(f"no {path.name} of {SOONER.name}: benchmarks/to_target.py makes it")
    rounds = pd.DataFrame(found["rounds"])
    rows = {}
    for name in (column for column in rounds if not column.startswith("winner")):
        plain, winner = rounds[name], rounds[f"winner beside {name}"]
        rows[name] = {
            "plain loop": plain.median(), "winner": winner.median(),
            "part": (winner / plain).median(),
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("system")
