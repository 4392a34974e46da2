"""Figures and generated tables, rebuilt from the records alone.

A text file (README.md, docs/*.md) gets the regions whose marks it has: <!-- ledger --> to
<!-- /ledger -->.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mnist_lib import journey, visualize
from mnist_lib.commands.main import sentence
from mnist_lib.data import load_mnist
from mnist_lib.engine.machine import results_folder, write_atomically
from mnist_lib.experiments import comparison, figures, speed
from mnist_lib.experiments.pilots import ABLATIONS, ACCURATE, ONE_THOUSAND, REGISTERED, TWO_THOUSAND
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, load_checkpoint, records_of
from mnist_lib.results import finals, interval, ledger, mean_and_deviation, pilots, verdict
from mnist_lib.train import predict

NETWORKS = [*journey.STEPS, speed.TO_TARGET_FINAL, speed.SOONER, *REGISTERED]
TOO_WIDE = ["change", "epochs", "errors of 10,000", "s/epoch there", "s/epoch here"]
NIGHT = "#0d1117"  # GitHub's dark page
DARK = [
    "dark_background",
    {"figure.facecolor": NIGHT, "axes.facecolor": NIGHT, "grid.color": "gray"},
]


def report(_options: argparse.Namespace) -> int:
    """Write figures/*.png and the regions of the text files, where they changed.

    Everything is made before anything is written. What cannot be made is said in a line each, and
    the rest is done; what has no records yet stays as it is.

    Raises:
        NoRecords: if there are none at all.
    """
    if not any(map(records_of, NETWORKS)):
        raise NoRecords(f"no records yet in {results_folder()}: nothing to report")
    problems: list[str] = []
    project, contents = results_folder().parent, {}
    for name, draw in FIGURES.items():
        for ending, style in (("", nullcontext()), ("-dark", plt.style.context(DARK))):
            with style:
                picture = made(name, lambda draw=draw: visualize.as_png(draw()), problems)
            contents[project / "figures" / f"{name}{ending}.png"] = picture
    for path in [project / "README.md", *sorted((project / "docs").glob("*.md"))]:
        if path.exists():
            contents[path] = filled(path, problems).encode()
    for path, content in contents.items():
        if content and not (path.exists() and path.read_bytes() == content):
            write_atomically(path, content)
            print(f"wrote {path.relative_to(project)}")
    for problem in dict.fromkeys(problems):
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def made(name: str, make: Callable, problems: list[str]):
    """What it makes; None where records are missing, or where something is wrong with them."""
    try:
        return make()
    except NoRecords:
        return None
    except Exception as error:  # one broken file must not cost the rest
        problems.append(f"{name} cannot be made: {sentence(error)}")
        return None


def filled(path: Path, problems: list[str]) -> str:
    """The text of a file with its regions made anew."""
    text = path.read_text(encoding="utf-8")
    for name in [name for name in REGIONS if f"<!-- {name} -->" in text]:
        region = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not region.search(text):
            problems.append(f"{path}: <!-- {name} --> has no end <!-- /{name} -->")
        elif content := made(name, REGIONS[name], problems):
            text = region.sub(lambda marks, new=content: f"{marks[1]}{new}\n{marks[2]}", text)
    return text


def as_markdown(table: pd.DataFrame) -> str:
    """A table, its index first, in Markdown."""
    if table.empty:
        raise NoRecords("an empty table")
    table = table.reset_index()
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


# ---- regions ------------------------------------------------------------------------------------


def in_full(accuracies: pd.Series) -> str:
    """'99.52 % (standard deviation 0.07, 95 % interval of the mean 99.47 to 99.56, 10 seeds)'."""
    if len(accuracies) < 2:
        return f"{mean_and_deviation(accuracies)} (1 seed)"
    mean, deviation = interval(accuracies * 100), accuracies.std() * 100
    return (
        f"{mean.mean:.2f} % (standard deviation {deviation:.2f}, 95 % interval of the mean "
        f"{mean.low:.2f} to {mean.high:.2f}, {mean.pairs} seeds)"
    )


def goal(least: float = 0.994, last: int = 3) -> str:
    """The network that keeps the goal's accuracy in the last epochs of the most seeds."""
    rows = []
    for recipe in NETWORKS:
        if records := records_of(recipe):
            ends = [[row["test_accuracy"] for row in r["history"][-last:]] for r in records]
            kept = sum(min(end) >= least for end in ends)
            rows.append((kept / len(records), -records[0]["parameters"], kept, recipe.name))
    *_, kept, name = max(rows)
    recipe = next(recipe for recipe in NETWORKS if recipe.name == name)
    runs = finals(recipe)
    return (
        f"**{kept} of {len(runs)} seeds** of {name} reach it: "
        f"{in_full(runs['test_accuracy'])} after the last epoch, "
        f"{runs['parameters'].iloc[0]:,} parameters, {runs['epochs'].iloc[0]} epochs, "
        f"{runs['seconds'].median() / 60:.1f} minutes of training on one CPU core."
    )


def pages() -> str:
    """The README's table of pages with its last two columns, accuracy and verdict, made anew."""
    text = (results_folder().parent / "README.md").read_text(encoding="utf-8")
    recipes = {recipe.name[:2]: recipe for recipe in NETWORKS}
    lines = text.split("<!-- pages -->\n")[1].split("<!-- /pages -->")[0].splitlines()
    for number, line in enumerate(lines):
        page = re.search(r"notebooks/(\d\d)_", line)
        recipe = recipes.get(page[1]) if page else None
        if recipe and records_of(recipe):
            accuracy = mean_and_deviation(finals(recipe)["test_accuracy"])
            word = "✓" if meets(recipe) else "✗"
            lines[number] = "|".join([*line.split("|")[:-3], f" {accuracy} ", f" {word} ", ""])
    return "\n".join(lines)


def result() -> str:
    """What keeps the goal, then the most accurate and the smallest."""
    known = {"99.4 %": speed.TO_TARGET_FINAL, "Accurate": ACCURATE}
    known |= {"Small": TWO_THOUSAND, "Tiny": ONE_THOUSAND}
    found = [f"{word}: {headline(known[word])}" for word in known if records_of(known[word])]
    return "\n\n".join(found or [f"Accurate: {headline(journey.BEST)}"])


def headline(recipe: Recipe) -> str:
    """The result of a recipe in one sentence."""
    runs, target = finals(recipe), journey.TARGETS.get(recipe.name)
    goal = f" {target.mean_accuracy:.2%}" if target and target.mean_accuracy else ""
    outcome = f"; target{goal} {'met' if meets(recipe) else 'missed'}" if target else ""
    return (
        f"{recipe.name} has a test accuracy of {in_full(runs['test_accuracy'])} after the last of "
        f"{runs['epochs'].iloc[0]} epochs, {runs['errors'].min()}–{runs['errors'].max()} errors of "
        f"10,000, with {runs['parameters'].iloc[0]:,} parameters{outcome}."
    )


def meets(recipe: Recipe) -> bool:
    """Whether all that its target asks for holds for its recorded seeds."""
    return all(claim.holds for claim in verdict(recipe))


def targets() -> str:
    """Which steps met the target that was registered before their runs, and which missed it."""
    misses = {
        recipe.name: [claim.sentence for claim in verdict(recipe) if not claim.holds]
        for recipe in journey.JOURNEY
        if recipe.name in journey.TARGETS and records_of(recipe)
    }
    met = ", ".join(name for name, lines in misses.items() if not lines) or "none"
    missed = ", ".join(f"{name} ({'; '.join(lines)})" for name, lines in misses.items() if lines)
    return f"Registered targets of these steps met: {met}. Missed: {missed or 'none'}."


def minutes() -> str:
    """How long the trainings of each notebook take, from the first recorded seed of each recipe."""
    seconds, machines = {}, set()
    for recipe in journey.JOURNEY:
        for record in records_of(recipe)[:1]:
            machine = record["machine"]
            seconds[recipe.name[:2]] = seconds.get(recipe.name[:2], 0) + record["seconds"]
            machines.add(f"{machine['device']}, threads: {machine['threads']}")
    times = " · ".join(f"{notebook}: {total / 60:.1f}" for notebook, total in seconds.items())
    return f"Minutes of training per notebook ({'; '.join(sorted(machines))}): {times}."


def fastest() -> str:
    """The first benchmark of notebook 11 in one sentence."""
    table, run = (
        speed.compare_speed(speed.ONE_EPOCH_FINAL),
        records_of(speed.ONE_EPOCH_FINAL[-1])[0]["machine"],
    )
    known, ours = map(finals, speed.ONE_EPOCH_FINAL)
    return (
        f"**{in_full(ours['test_accuracy'])} in {table['seconds'].iloc[-1]} s** (mean ± standard "
        f"deviation) of training and evaluation ({run['device']}, threads: {run['threads']}). That "
        f"is {table['relative time'].iloc[-1]} of the time of the fastest published recipe that we "
        f"know, which ends at {in_full(known['test_accuracy'])} here."
    )


def soon() -> str:
    """The second benchmark of notebook 11 beside tutorials, in a few sentences."""
    beside, accuracy = speed.beside_tutorials(), in_full(finals(speed.SOONER)["test_accuracy"])
    rounds = int(beside["rounds"].iloc[0])
    row = beside.iloc[0]
    reached = "" if row["ratio"] <= 0.1 else "not "
    interval = f" [{row.low:.2f}, {row.high:.2f}]" if rounds > 1 else " (no interval: one round)"
    return (
        f"{accuracy} in {row[speed.SOONER.name]:.0f} s ({speed.SOONER.name}; the accuracy with one "
        f"thread, the time with {speed.SOONER_THREADS}). That is {row['ratio']:.2f}{interval} of "
        f"the {row['plain loop']:.0f} s of {beside.index[0]}, which the plain loop takes in the "
        f"same run for 15 epochs. The seconds are medians of {rounds} alternating rounds, the "
        f"ratio is their mean. The aim was a tenth of the time of {beside.index[0]}; it is "
        f"{reached}reached."
    )


def speeds() -> str:
    """The benchmark as tables: times as long as the library, and seconds by threads."""
    path = results_folder() / "speed-cpu.json"
    if not path.exists():
        raise NoRecords("no benchmark yet: make bench makes one")
    found = json.loads(path.read_text(encoding="utf-8"))
    ratios = {step: row["times as long as the library"] for step, row in found["steps"].items()}
    table = pd.DataFrame(ratios).T.map(
        "{0[median]:.2f} ({0[lowest]:.2f} to {0[highest]:.2f})".format
    )
    machine = found["machine"]
    text = (
        f"{as_markdown(table.rename_axis('step'))}\n\n"
        f"How many times as long as the library: median of {found['rounds']} rounds (lowest to "
        f"highest) on {machine.get('device_name') or machine['device']}, threads: "
        f"{machine['threads']}, PyTorch {machine['torch']}."
    )
    for what, by_step in found.get("threads", {}).items():
        rows = {f"{s}, {beside}": by_step[s][beside] for s in by_step for beside in by_step[s]}
        table = pd.DataFrame(rows).T.map("{0[median]:.1f}".format)
        text += f"\n\n{as_markdown(table.rename_axis(f'{what}, by threads'))}"
    return text


REGIONS = {
    "goal": goal,
    "pages": pages,
    "result": result,
    "minutes": minutes,
    "ledger": lambda: as_markdown(ledger(journey.JOURNEY)),
    "targets": targets,
    "ablations": lambda: as_markdown(pilots(ABLATIONS)),
    "systems": lambda: as_markdown(comparison.comparison().drop(columns=TOO_WIDE)),
    "fastest": fastest,
    "soon": soon,
    "speed": speeds,
}


# ---- figures ------------------------------------------------------------------------------------


def mistakes() -> Figure:
    """The test digits that the best step gets wrong with its first recorded seed."""
    seed = int(finals(journey.BEST).index[0])
    digits, model = load_mnist(), load_checkpoint(journey.BEST, seed)
    return visualize.show_mistakes(
        digits.test_images, digits.test_labels, predict(model, digits.test_images)
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "accuracy-against-parameters": lambda: figures.accuracy_against_parameters(journey.STEPS),
    "frontier": lambda: figures.error_against_parameters(NETWORKS),
    "journey": lambda: visualize.compare_curves(*filter(records_of, journey.STEPS)),
    "mistakes": mistakes,
}
