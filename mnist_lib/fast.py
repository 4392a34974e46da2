"""How few seconds to 99 %: recipes that train for one epoch, raced against each other."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from mnist_lib import results
from mnist_lib.data import Digits
from mnist_lib.files import write_atomically
from mnist_lib.layers import BatchNorm2d
from mnist_lib.recipes import Recipe
from mnist_lib.schedules import Adam, OneCycle
from mnist_lib.train import Run, fit


class Crop(nn.Module):
    """Images without so many pixels at each border."""

    def __init__(self, border: int):
        super().__init__()
        self.border = border

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., self.border : -self.border, self.border : -self.border]


def two_convolutions(
    first: int = 24, hidden: int = 256, border: int = 0, normalised: bool = False
) -> nn.Sequential:
    """5x5 and 3x3 convolutions, each pooled, then a hidden layer; logits (n, 10)."""
    side = ((28 - 2 * border - 4) // 2 - 2) // 2
    return nn.Sequential(
        *([Crop(border)] if border else []),
        *stage(1, first, 5, normalised),
        *stage(first, 32, 3, normalised),
        nn.Flatten(),
        nn.Linear(32 * side**2, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, 10),
    )


def stage(n_in: int, n_out: int, kernel: int, normalised: bool) -> list[nn.Module]:
    """Convolution, pooling, perhaps normalisation, ReLU."""
    return [
        nn.Conv2d(n_in, n_out, kernel, bias=not normalised),
        nn.MaxPool2d(2),
        *([BatchNorm2d(n_out)] if normalised else []),
        nn.ReLU(inplace=True),
    ]


def quick(**changes) -> partial:
    """The network of the last step, or with these changes."""
    last = {"first": 16, "hidden": 128, "border": 2, "normalised": True}
    return partial(two_convolutions, **(last | changes))


# The last step of https://github.com/tuomaso/train_mnist_fast, whose 30 runs end at
# 99.041 ± 0.066 %. It takes the images in the order of the files; here they are shuffled.
PUBLISHED = Recipe(
    "published",
    "two convolutions, Adam, one cycle in one epoch",
    two_convolutions,
    Adam(0.01, betas=(0.7, 0.9)),
    OneCycle(peak=0.01),
    batch_size=256,
    epochs=1,
)
CROPPED = PUBLISHED.but(
    "cropped", "2 pixels less at each border", network=partial(two_convolutions, border=2)
)
NARROWER = CROPPED.but(
    "narrower",
    "16 channels in place of 24 in the first convolution",
    network=partial(two_convolutions, first=16, border=2),
)
NORMALISED = NARROWER.but("normalised", "batch normalisation", network=quick(hidden=256))
HALF_HIDDEN = NORMALISED.but("half-hidden", "128 hidden units in place of 256", network=quick())
STEPS = [PUBLISHED, CROPPED, NARROWER, NORMALISED, HALF_HIDDEN]

TRIED = [
    HALF_HIDDEN.but("border-3", "3 pixels less at each border", network=quick(border=3)),
    HALF_HIDDEN.but("8-channels", "8 channels in place of 16", network=quick(first=8)),
    HALF_HIDDEN.but("64-hidden", "64 hidden units", network=quick(hidden=64)),
    HALF_HIDDEN.but("batch-128", "batches of 128", batch_size=128),
    HALF_HIDDEN.but("batch-512", "batches of 512", batch_size=512),
    HALF_HIDDEN.but(
        "rate-0.02",
        "twice the rate",
        optimizer=Adam(0.02, betas=(0.7, 0.9)),
        schedule=OneCycle(peak=0.02),
    ),
    HALF_HIDDEN.but("usual-betas", "Adam's usual betas", optimizer=Adam(0.01)),
    HALF_HIDDEN.but(
        "earlier-peak",
        "the highest rate after 15 % of the steps in place of 30 %",
        schedule=OneCycle(peak=0.01, warmup=0.15),
    ),
]


def race(
    recipes: Iterable[Recipe], digits: Digits, seeds: Iterable[int], device: str = "auto"
) -> pd.DataFrame:
    """Train all recipes with all seeds, seed by seed, so that a slow minute hits them all.

    returns  a row per run: recipe and its fingerprint, seed, seconds (training and evaluation, data
             in memory), validation_accuracy and test_accuracy (as far as there are such images),
             device, threads, PyTorch's version
    raises   KeyboardInterrupt after Ctrl-C: half a race is none
    """
    recipes = list(recipes)
    finish(recipes[0], digits, 0, device)  # not counted: everything is cold
    rows = []
    for seed in tqdm(list(seeds), unit="seed", disable=None):
        for recipe in recipes:
            run = finish(recipe, digits, seed, device)
            row = {"recipe": recipe.name, "fingerprint": recipe.fingerprint(), "seed": seed}
            row["seconds"] = run.seconds
            for accuracy in ("validation_accuracy", "test_accuracy"):
                if accuracy in run.history[-1]:
                    row[accuracy] = run.history[-1][accuracy]
            row |= {"device": run.device, "threads": torch.get_num_threads()}
            rows.append({**row, "torch": torch.__version__})
    return pd.DataFrame(rows)


def finish(recipe: Recipe, digits: Digits, seed: int, device: str) -> Run:
    """A silent run to its end; KeyboardInterrupt if somebody stopped it."""
    run = fit(recipe, digits, seed, device, quiet=True)
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def without_test(digits: Digits) -> Digits:
    """The digits to choose by: nobody can peep at test images that are not there."""
    none = {name: getattr(digits, name)[:0] for name in ("test_images", "test_labels")}
    return replace(digits, **none)


def summary(table: pd.DataFrame, accuracy: str) -> pd.DataFrame:
    """A race in one row per recipe, in its order; the first recipe is the one to beat.

    accuracy  the column to show, 'validation_accuracy' or 'test_accuracy'
    """
    runs = table.pivot(index="seed", columns="recipe")
    first = table["recipe"].iloc[0]
    rows = []
    for name in dict.fromkeys(table["recipe"]):
        seconds, accuracies = runs["seconds"][name], runs[accuracy][name]
        part = results.with_interval(seconds / runs["seconds"][first])
        relative = f"{part['mean']:.2f} [{part['low']:.2f}, {part['high']:.2f}]"
        rows.append(
            {
                "recipe": name,
                "seeds": len(seconds),
                "seconds": f"{seconds.mean():.2f} ± {seconds.std():.2f}",
                "time relative to the first": relative,
                accuracy.replace("_", " "): results.mean_and_spread(accuracies),
            }
        )
    return pd.DataFrame(rows).set_index("recipe")


def save_race(table: pd.DataFrame, name: str) -> Path:
    """Write results/fast-<name>.csv (a shortened run: below short/); returns its path."""
    path = results.output_folder() / f"fast-{name}.csv"
    write_atomically(path, table.to_csv(index=False))
    return path


def load_race(name: str) -> pd.DataFrame:
    """The recorded race of this name at full length; FileNotFoundError says how to make it."""
    path = results.results_folder() / f"fast-{name}.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not there: python -m mnist_lib run 11 makes it")
    return pd.read_csv(path)


def is_recorded() -> bool:
    """Whether the races of the recipes as they are now are there."""
    raced = {
        "choosing": STEPS,
        "tried": [STEPS[-1], *TRIED],
        "final": [STEPS[0], STEPS[-1]],
    }
    try:
        return all(
            set(load_race(name)["fingerprint"]) == {recipe.fingerprint() for recipe in recipes}
            for name, recipes in raced.items()
        )
    except FileNotFoundError:
        return False
