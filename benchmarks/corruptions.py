"""Measure how recorded networks read corrupted test digits, for page 14.

It writes results/corruptions.json, from which the page and its tests read.
"""

import json

from mnist_lib import journey, load_checkpoint, load_mnist
from mnist_lib.engine.machine import results_folder, write_atomically
from mnist_lib.experiments.corruptions import CLEAN, CORRUPTIONS, LEVELS, hash_of, judge
from mnist_lib.records import records_of

STEPS = [
    journey.PLAIN, journey.SKELETON, journey.BATCH_NORM, journey.AUGMENTATION, journey.BEST,
    journey.SMALL,
]  # fmt: skip
SEEDS = 5  # of each step, the first ones; all of them for the best step


def main() -> None:
    """A row for each network and level of corruption."""
    digits, rows = load_mnist(), []
    corrupted = {CLEAN: digits.test_images}
    for name, strength in LEVELS:
        corrupted[name, strength] = CORRUPTIONS[name][0](digits.test_images, strength)
    for recipe in STEPS:
        seeds = [record["seed"] for record in records_of(recipe)]
        for seed in seeds if recipe == journey.BEST else seeds[:SEEDS]:
            model = load_checkpoint(recipe, seed)
            network = {"recipe": recipe.name, "seed": seed, "weights": hash_of(model)}
            for (name, strength), images in corrupted.items():
                level = {"corruption": name, "strength": strength}
                rows.append({**network, **level, **judge(model, images, digits.test_labels)})
            print(f"{recipe.name}, seed {seed}: clean {rows[-len(corrupted)]['accuracy']:.2%}")
    lines = ",\n".join(f" {json.dumps(row)}" for row in rows)
    write_atomically(results_folder() / "corruptions.json", f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
