"""What is decided before the test set is opened: results/registered.json, which only ever grows."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mnist_lib.engine.environment import results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.journey import TARGETS, Target
from mnist_lib.recipes import Recipe


def path() -> Path:
    """Where the registrations stand."""
    return results_folder() / "registered.json"


def registered() -> list[dict]:
    """All registrations, the oldest first: recipe, fingerprint, seeds, target and why."""
    return json.loads(path().read_text(encoding="utf-8")) if path().exists() else []


def registrations_of(recipe: Recipe) -> list[dict]:
    """The registrations of the recipe's name, the oldest first: a second one is a second try."""
    return [entry for entry in registered() if entry["recipe"] == recipe.name]


def register(recipe: Recipe, seeds: Sequence[int], why: str) -> dict:
    """Write down what is about to be run on the test set, and what for; returns the entry.

    raises ValueError for a recipe that is registered as it is, or without a reason
    """
    if not why.strip():
        raise ValueError(f"'{recipe.name}': say in a sentence why this recipe and this target")
    before, target = registrations_of(recipe), TARGETS.get(recipe.name)
    if any(entry["fingerprint"] == recipe.fingerprint() for entry in before):
        raise ValueError(f"'{recipe.name}' is registered as it is; a registration never changes")
    if used := sorted({seed for entry in before for seed in entry["seeds"]} & set(seeds)):
        raise ValueError(f"'{recipe.name}' was registered with seeds {used}: take new ones")
    entry = {
        "recipe": recipe.name,
        "fingerprint": recipe.fingerprint(),
        "settings": recipe.settings(),
        "seeds": list(seeds),
        "target": asdict(target) if target else None,
        "why": why.strip(),
    }
    write_atomically(path(), json.dumps([*registered(), entry], indent=1) + "\n")
    return entry


def target_of(recipe: Recipe) -> Target | None:
    """The target of the latest registration; None for a side track, which has none."""
    target = registrations_of(recipe)[-1]["target"]
    return Target(**target) if target else None


def tries(recipe: Recipe) -> str:
    """One line per registration of this step, the oldest first: which seeds it opened, and why."""
    return "\n".join(
        f"try {number}, seeds {min(entry['seeds'])} to {max(entry['seeds'])}: {entry['why']}"
        for number, entry in enumerate(registrations_of(recipe), start=1)
    )
