"""What is decided before the test set is opened: results/registered.json, which only ever grows."""

import argparse
import hashlib
import json
from dataclasses import asdict

from mnist_lib.engine.machine import results_folder, write_atomically
from mnist_lib.experiments import find
from mnist_lib.journey import TARGETS
from mnist_lib.records import registrations, registrations_of


def preregister(options: argparse.Namespace) -> int:
    """Write recipe, target, seeds and reason into results/registered.json.

    Raises:
        ValueError: for a recipe that is registered as it is, or without a reason.
    """
    recipe, path = find(options.recipe), results_folder() / "registered.json"
    before, target = registrations_of(recipe), TARGETS.get(recipe.name)
    if not options.why.strip():
        raise ValueError(f"'{recipe.name}': say in a sentence why this recipe and this target")
    if any(entry["fingerprint"] == recipe.fingerprint() for entry in before):
        raise ValueError(f"'{recipe.name}' is registered as it is; a registration never changes")
    entry = {
        "recipe": recipe.name,
        "fingerprint": recipe.fingerprint(),
        "settings": recipe.settings(),
        "seeds": [],
        "target": asdict(target) if target else None,
        "why": options.why.strip(),
    }
    seeds = entry["seeds"] = own_seeds(entry)
    write_atomically(path, json.dumps([*registrations(), entry], indent=1) + "\n")
    print(
        f"registered '{recipe.name}' with seeds {seeds[0]}-{seeds[-1]}; "
        f"commit {path} before any run of it"
    )
    return 0


def own_seeds(entry: dict) -> list[int]:
    """Ten seeds that follow from recipe, target and reason, so good ones cannot be picked.

    They are above 1,000, begin after a multiple of ten, and so validate on folds 1 to 10.
    """
    decided = json.dumps([entry[name] for name in ("fingerprint", "target", "why")], sort_keys=True)
    start = 1_000 + 10 * (int(hashlib.sha256(decided.encode()).hexdigest(), 16) % 10**6)
    return [*range(start + 1, start + 11)]
