"""Records: one JSON file and one checkpoint per run, and the numbers that follow from them."""

import json
import os
import platform
import re
import subprocess
import warnings
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from mnist_lib.files import write_atomically
from mnist_lib.recipes import Recipe
from mnist_lib.summary import count_parameters
from mnist_lib.train import Run, is_short, new_network

SCHEMA = 1
TEST_SIZE = 10_000
PROJECT = Path(__file__).resolve().parent.parent


def results_folder() -> Path:
    """Where the full-length results are: $MNIST_LIB_RESULTS or results/ of the project."""
    return Path(os.environ.get("MNIST_LIB_RESULTS") or PROJECT / "results")


def output_folder(short: bool | None = None) -> Path:
    """Where runs are written; short ones (None: as MNIST_LIB_SHORT says) never near the full."""
    short = is_short() if short is None else short
    return results_folder().parent / "short" / "results" if short else results_folder()


def record_path(name: str, seed: int, folder: Path | None = None) -> Path:
    """results/runs/<recipe>/seed-<n>.json; the checkpoint stands beside it with the ending .pt."""
    return (folder or results_folder()) / "runs" / name / f"seed-{seed}.json"


def save(run: Run) -> Path:
    """Write the run's record and the checkpoint of its last epoch; returns the record's path.

    raises ValueError for an interrupted run: its result would not be comparable with any other.
    """
    if run.interrupted:
        raise ValueError(f"'{run.recipe.name}' was interrupted; only finished runs are recorded")
    path = record_path(run.recipe.name, run.seed, output_folder(run.short))
    checkpoint = BytesIO()
    weights = {name: value.cpu().contiguous() for name, value in run.model.state_dict().items()}
    torch.save(weights, checkpoint)
    write_atomically(path.with_suffix(".pt"), checkpoint.getvalue())
    # the record comes last: where there is a record, the run is complete
    write_atomically(path, json.dumps(as_record(run), indent=1) + "\n")
    return path


def as_record(run: Run) -> dict:
    """The run in plain values: what was asked for, what came out, and on what machine."""
    return {
        "schema": SCHEMA,
        "recipe": run.recipe.name,
        "change": run.recipe.change,
        "parent": run.recipe.parent.name if run.recipe.parent else None,
        "settings": run.recipe.settings(),
        "fingerprint": run.recipe.fingerprint(),
        "seed": run.seed,
        "short": run.short,
        "parameters": count_parameters(run.model),
        "history": run.history,
        "seconds": run.seconds,
        "machine": machine(run.device),
    }


def machine(device: str) -> dict:
    """What a measurement was made on."""
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "commit": commit(),
    }


def commit() -> str | None:
    """The project's current commit, or None outside a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
        )
    except OSError:
        return None
    return answer.stdout.strip() or None


def load_records(folder: Path | None = None, name: str = "*") -> list[dict]:
    """All readable records, or those of one recipe, by recipe and seed.

    Unreadable ones are named in a warning and left alone.
    """
    records = []
    for path in sorted((folder or results_folder()).glob(f"runs/{name}/seed-*.json")):
        try:
            record = json.loads(path.read_text())
            for key in ("recipe", "seed", "fingerprint", "parameters", "seconds"):
                record[key]
            record["history"][-1]["test_accuracy"]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            warnings.warn(f"skipped the unreadable record {path}: {error!r}", stacklevel=2)
            continue
        records.append(record)
    return sorted(records, key=lambda record: (record["recipe"], record["seed"]))


def records_of(recipe: Recipe, folder: Path | None = None) -> list[dict]:
    """The records of exactly these settings; older versions of the recipe do not count."""
    fingerprint = recipe.fingerprint()
    return [
        record
        for record in load_records(folder, recipe.name)
        if record["recipe"] == recipe.name and record["fingerprint"] == fingerprint
    ]


def load_checkpoint(recipe: Recipe, seed: int, folder: Path | None = None) -> nn.Module:
    """The recipe's network with the weights of this seed's last epoch, on the CPU, in eval mode."""
    path = record_path(recipe.name, seed, folder).with_suffix(".pt")
    if not path.exists():
        raise FileNotFoundError(
            f"no checkpoint of '{recipe.name}' with seed {seed}: "
            f"{how_to_run(recipe)} --seeds {seed} makes it"
        )
    model = new_network(recipe, seed)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def how_to_run(recipe: Recipe) -> str:
    """What makes its record; names of the journey begin with 01, those of systems with S0."""
    number = recipe.name[:2]
    if number.isdigit():
        return f"python -m mnist_lib run {number}"
    if re.fullmatch(r"S\d", number):
        return f"python -m mnist_lib run --system {recipe.name}"
    return "save(fit(recipe, digits))"


def finals(recipe: Recipe, folder: Path | None = None) -> pd.DataFrame:
    """The last epoch of every recorded seed: one row per seed, accuracies as fractions."""
    rows = []
    for record in records_of(recipe, folder):
        last = record["history"][-1]
        rows.append(
            {
                "seed": record["seed"],
                **{key: value for key, value in last.items() if key not in ("epoch", "seconds")},
                "errors": round((1 - last["test_accuracy"]) * TEST_SIZE),
                "parameters": record["parameters"],
                "epochs": len(record["history"]),
                "seconds": record["seconds"],
            }
        )
    if not rows:
        raise LookupError(f"no records of '{recipe.name}': {how_to_run(recipe)} makes one")
    return pd.DataFrame(rows).set_index("seed")


def mean_and_spread(values: pd.Series) -> str:
    """'99.52 ± 0.04 %': mean and standard deviation over seeds; one seed has no deviation."""
    spread = f" ± {values.std() * 100:.2f}" if len(values) > 1 else ""
    return f"{values.mean() * 100:.2f}{spread} %"


def effect(recipe: Recipe, parent: Recipe, column: str = "validation_accuracy") -> dict:
    """Paired difference to another recipe over the seeds both have, with a 95 % t-interval.

    Pairs share the seed, hence the order of the images, and all share the validation images.
    returns {mean, low, high, seeds} as fractions
    raises LookupError with fewer than two common seeds
    """
    difference = (finals(recipe)[column] - finals(parent)[column]).dropna()
    if len(difference) < 2:
        raise LookupError(
            f"'{recipe.name}' and '{parent.name}' share {len(difference)} seeds, an interval needs "
            f"two: python -m mnist_lib run {parent.name[:2]} {recipe.name[:2]} --seeds 1 2"
        )
    return {**with_interval(difference), "seeds": len(difference)}


def with_interval(values: pd.Series) -> dict[str, float]:
    """{mean, low, high}: the mean and its 95 % interval by Student's t."""
    from scipy import stats  # takes a second to import, and few commands need it

    mean, error = values.mean(), stats.sem(values)
    half = error * stats.t.ppf(0.975, len(values) - 1)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def ledger(recipes: list[Recipe]) -> pd.DataFrame:
    """The table of the journey so far: one row per recipe that has records."""
    rows = []
    for recipe in recipes:
        try:
            runs = finals(recipe)
        except LookupError:
            continue
        validated = "validation_accuracy" in runs
        gap = (runs["train_accuracy"] - runs["test_accuracy"]).mean()
        try:
            gain = as_interval(effect(recipe, recipe.parent)) if recipe.parent else "–"
        except LookupError:  # no parent recorded, or no two seeds in common
            gain = "–"
        rows.append(
            {
                "step": recipe.name,
                "change": recipe.change,
                "parameters": f"{runs['parameters'].iloc[0]:,}",
                "epochs": runs["epochs"].iloc[0],
                "test accuracy": mean_and_spread(runs["test_accuracy"]),
                "seeds": len(runs),
                "errors of 10,000": f"{runs['errors'].min()}–{runs['errors'].max()}",
                "validation": mean_and_spread(runs["validation_accuracy"]) if validated else "–",
                "train − test": f"{gap * 100:+.2f}",
                "effect on validation": gain,
                "seconds": f"{np.median(runs['seconds']):.0f}",
            }
        )
    return pd.DataFrame(rows).set_index("step") if rows else pd.DataFrame()


def as_interval(gain: dict) -> str:
    """'+0.12 [+0.05, +0.19]': an effect in percentage points with its 95 % interval."""
    return f"{gain['mean'] * 100:+.2f} [{gain['low'] * 100:+.2f}, {gain['high'] * 100:+.2f}]"
