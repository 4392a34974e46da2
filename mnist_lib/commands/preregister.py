"""What is decided before the test set is opened: results/registered.json, which only ever grows."""

import argparse
import json
from dataclasses import asdict

from mnist_lib.engine.machine import results_folder, write_atomically
from mnist_lib.experiments import find
from mnist_lib.journey import TARGETS
from mnist_lib.records import registrations, registrations_of


def preregister(options: argparse.Namespace) -> int:
    """Write recipe, target, seeds and reason into results/registered.json.

    Raises:
        ValueError: for a recipe that is registered as it is, for seeds that were registered
            before, or without a reason.
    """
    recipe, seeds, path = (
        find(options.recipe),
        [*options.seeds],
        results_folder() / "registered.json",
    )
    before, target = registrations_of(recipe), TARGETS.get(recipe.name)
    if not options.why.strip():
        raise ValueError(f"'{recipe.name}': say in a sentence why this recipe and this target")
    if any(entry["fingerprint"] == recipe.fingerprint() for entry in before):
        raise ValueError(f"'{recipe.name}' is registered as it is; a registration never changes")
    if used := sorted({seed for entry in before for seed in entry["seeds"]} & {*seeds}):
        raise ValueError(f"'{recipe.name}' was registered with seeds {used}: take new ones")
    entry = {
        "recipe": recipe.name,
        "fingerprint": recipe.fingerprint(),
        "settings": recipe.settings(),
        "seeds": seeds,
        "target": asdict(target) if target else None,
        "why": options.why.strip(),
    }
    write_atomically(path, json.dumps([*registrations(), entry], indent=1) + "\n")
    print(f"registered '{recipe.name}'; commit {path} before any run of it")
    return 0
