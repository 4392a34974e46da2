"""As fast as possible: recipes of one epoch, and recipes that reach 99.40 % in few seconds."""

import json
from dataclasses import replace
from functools import partial

import pandas as pd
from torch import nn

from mnist_lib.engine.machine import results_folder
from mnist_lib.experiments.hardest import HardestBatches
from mnist_lib.experiments.pilots import one_cycle, pilot
from mnist_lib.experiments.small_networks import Crop, dense
from mnist_lib.models import normalised
from mnist_lib.recipes import Adam, OneCycle, Recipe
from mnist_lib.records import NoRecords
from mnist_lib.results import Effect, finals, interval, mean_and_deviation

# ---- one epoch ----------------------------------------------------------------------------------


def two_convolutions(
    first: int = 24, hidden: int = 256, border: int = 0, is_normalised: bool = False
) -> nn.Sequential:
    """5x5 and 3x3 convolutions, each pooled, then a hidden layer; logits (n, 10)."""

    def pooled(n_in: int, n_out: int, kernel: int) -> list[nn.Module]:
        convolution = nn.Conv2d(n_in, n_out, kernel, bias=not is_normalised)
        norm = [nn.BatchNorm2d(n_out)] if is_normalised else []
        return [convolution, nn.MaxPool2d(2), *norm, nn.ReLU(inplace=True)]

    side = ((28 - 2 * border - 4) // 2 - 2) // 2
    return nn.Sequential(
        *([Crop(border)] if border else []), *pooled(1, first, 5), *pooled(first, 32, 3),
        nn.Flatten(), nn.Linear(32 * side**2, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 10),
    )  # fmt: skip


cropped_by_2 = partial(two_convolutions, border=2)
narrower = partial(cropped_by_2, first=16)
normalised_too = partial(narrower, is_normalised=True)
half_hidden = partial(normalised_too, hidden=128)


# The last step of https://github.com/tuomaso/train_mnist_fast, whose 30 runs end at
# 99.041 ± 0.066 %. It takes the images in the order of the files; here they are shuffled.
PUBLISHED = Recipe(
    "11-epoch-published", "two convolutions, Adam, one cycle in one epoch", two_convolutions,
    Adam(0.01, betas=(0.7, 0.9)), OneCycle(peak=0.01), batch_size=256, epochs=1,
)  # fmt: skip
ONE_EPOCH = [PUBLISHED]
for name, change, network in (
    ("cropped", "2 pixels less at each border", cropped_by_2),
    ("narrower", "16 channels in place of 24 in the first convolution", narrower),
    ("normalised", "batch normalisation", normalised_too),
    ("half-hidden", "128 hidden units in place of 256", half_hidden),
):
    ONE_EPOCH.append(ONE_EPOCH[-1].but(f"11-epoch-{name}", change, network=network))
HALF_HIDDEN = ONE_EPOCH[-1]


def changed(name: str, change: str, **changes) -> Recipe:
    """HALF_HIDDEN with one thing changed."""
    return HALF_HIDDEN.but(f"11-epoch-{name}", change, **changes)


ONE_EPOCH_PILOTS = [
    changed("reference", "half-hidden again, timed beside the others"),
    changed("border-3", "3 pixels less at each border", network=partial(half_hidden, border=3)),
    changed("8-channels", "8 channels in place of 16", network=partial(half_hidden, first=8)),
    changed("64-hidden", "64 hidden units", network=partial(half_hidden, hidden=64)),
    changed("batch-128", "batch size 128", batch_size=128),
    changed("batch-512", "batch size 512", batch_size=512),
    changed(
        "rate-0.02", "twice the rate",
        optimizer=Adam(0.02, betas=(0.7, 0.9)), schedule=OneCycle(peak=0.02),
    ),
    changed("usual-betas", "Adam's usual betas", optimizer=Adam(0.01)),
    changed(
        "earlier-peak", "the highest rate after 15 % of the steps in place of 30 %",
        schedule=OneCycle(peak=0.01, warmup=0.15),
    ),
]  # fmt: skip

# the first and the last step, on all 60,000 digits and with the test digits
ONE_EPOCH_FINAL = [
    replace(recipe, name=f"{recipe.name}-60000", folds=0) for recipe in (PUBLISHED, HALF_HIDDEN)
]

# ---- 99.40 % with fewer than 8,000 parameters ---------------------------------------------------


def cropped() -> nn.Sequential:
    """The network of step 06 without two pixels at each border: a third less to compute."""
    return nn.Sequential(Crop(2), *normalised())


EIGHT = pilot("11-eight", "8 epochs of step 06", epochs=8)
CROPPED = EIGHT.but("11-cropped", "the same, 2 pixels less at each border", network=cropped)
large = {"batch_size": 256, **one_cycle(0.3)}
LARGE_BATCHES = CROPPED.but(
    "11-cropped-large-batches", "batch size 256 and twice the rate", **large
)
TEN = LARGE_BATCHES.but("11-ten", "10 epochs of that", epochs=10)
TO_TARGET = [
    EIGHT,
    CROPPED,
    CROPPED.but("11-cropped-six", "6 epochs", epochs=6),
    CROPPED.but("11-cropped-as-they-are", "without augmentation", augment=None),
    LARGE_BATCHES,
    TEN,
    LARGE_BATCHES.but("11-ten-as-they-are", "without augmentation", epochs=10, augment=None),
]


def hardest(name: str, change: str, part: float) -> Recipe:
    """15 epochs of LARGE_BATCHES that take a part of the digits, mostly the hardest."""
    batches = partial(HardestBatches, part=part, hardest=0.6, even_epochs=2)
    return pilot(name, change, network=cropped, batches=batches, **large)


HALF = hardest("11-hardest-half", "half of the digits an epoch", part=0.5)
# few and wide layers: two cores share them well, and wider is hardly slower
sixteen = partial(dense, (16, 5, 2), (16, 3, 1, 1), (16,), (16,), border=2)
TO_TARGET_PILOTS = [  # epochs of the hardest digits, and another network
    TEN,
    hardest("11-hardest", "two fifths of the digits an epoch, mostly the hardest", part=0.4),
    HALF,
    LARGE_BATCHES.but("11-sixteen", "four layers of 16, 12 epochs", network=sixteen, epochs=12),
]

# registered: all digits train, which takes a tenth more time, and none are left to choose by
TO_TARGET_FINAL = TEN.but("11-to-target", "all 60,000 digits to learn from", folds=0)
SOONER = HALF.but("11-sooner", "half of all 60,000 digits an epoch", folds=0)
SOONER_THREADS = 2

# ---- tables and figures -------------------------------------------------------------------------


def relative_seconds(recipe: Recipe, other: Recipe) -> Effect:
    """Seconds of a run as a multiple of another recipe's, paired by seed, with a 95 % interval."""
    return interval((finals(recipe)["seconds"] / finals(other)["seconds"]).dropna())


def compare_speed(recipes: list[Recipe]) -> pd.DataFrame:
    """Seconds and accuracy of recorded recipes, one a row; the first is what others are timed by.

    Raises:
        NoRecords: if one of them has no record.
    """
    part, table = "validation" if recipes[0].folds else "test", {}
    for recipe in recipes:
        runs, ratio = finals(recipe), relative_seconds(recipe, recipes[0])
        table[recipe.name] = {
            "change": recipe.change,
            "seeds": len(runs),
            "seconds": f"{runs['seconds'].mean():.2f} ± {runs['seconds'].std():.2f}",
            "relative time": f"{ratio.mean:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            f"{part} accuracy": mean_and_deviation(runs[f"{part}_accuracy"]),
        }
    return pd.DataFrame(table).T.rename_axis("recipe")


def beside_tutorials(device: str = "cpu") -> pd.DataFrame:
    """SOONER's seconds beside those of a tutorial's training, from benchmarks/to_target.py.

    Returns:
        One row a published system: the plain loop and SOONER in seconds (medians over rounds), and
        the mean ratio of the two in the same round. Then low and high of its 95 % interval (NaN for
        one round), and the number of rounds.

    Raises:
        NoRecords: if SOONER was not measured on this kind of device.
    """
    path = results_folder() / f"to-target-{device}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.get("winner") != SOONER.fingerprint():
        raise NoRecords(f"no {path.name} of {SOONER.name}: benchmarks/to_target.py makes it")
    rounds, rows = pd.DataFrame(found["rounds"]), {}
    for system in rounds.columns[~rounds.columns.str.startswith("winner")]:
        plain, ours = rounds[system], rounds[f"winner beside {system}"]
        ratio = interval(ours / plain)
        rows[system] = {"plain loop": plain.median(), SOONER.name: ours.median()}
        rows[system] |= {"ratio": ratio.mean, "low": ratio.low, "high": ratio.high}
        rows[system] |= {"rounds": len(rounds)}
    return pd.DataFrame(rows).T.rename_axis("system")
