"""Figures and generated tables, rebuilt from the records alone.

A text file (README.md, docs/*.md) gets the regions whose marks it has: <!-- ledger --> to
<!-- /ledger -->.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mnist_lib import journey, visualize
from mnist_lib.commands.main import sentence
from mnist_lib.engine.machine import results_folder, write_atomically
from mnist_lib.experiments import comparison, figures, speed
from mnist_lib.experiments.pilots import ABLATIONS, REGISTERED
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import finals, held, interval, ledger, mean_and_deviation, pilots, verdict

NETWORKS = [*journey.STEPS, speed.TO_TARGET_FINAL, speed.SOONER, *REGISTERED]


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
        picture = made(name, lambda draw=draw: visualize.as_png(draw()), problems)
        contents[project / "figures" / f"{name}.png"] = picture
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


def goal(least: float = 0.994) -> str:
    """How many seeds of each network keep the goal's accuracy in the last epochs.

    The first line names the network with ten seeds or more that keeps it most often.
    """
    kept, runs, means = {}, {}, {}
    for recipe in filter(records_of, [*journey.VARIANTS, *NETWORKS]):
        kept[recipe.name] = sum(held(records_of(recipe)) >= least)
        runs[recipe.name] = finals(recipe)
        means[recipe.name] = runs[recipe.name]["test_accuracy"].mean()
    enough = [n for n in kept if len(runs[n]) >= 10]
    name = max(enough, key=lambda n: (kept[n] / len(runs[n]), means[n]))
    best = runs[name]
    mean = interval(100 * best["test_accuracy"])
    good = [n for n in kept if means[n] >= least and n != name]
    others = ", ".join(f"{n} {kept[n]} of {len(runs[n])}" for n in good)
    return (
        f"**{kept[name]} of {len(best)} seeds** of {name} reach it: "
        f"{mean_and_deviation(best['test_accuracy'])} (mean and standard deviation; 95 % interval "
        f"of the mean {mean.low:.2f} to {mean.high:.2f}) after the last epoch, "
        f"{best['parameters'].iloc[0]:,} parameters, {best['epochs'].iloc[0]} epochs, "
        f"{best['seconds'].median() / 60:.1f} minutes of training on one CPU core.\n\n"
        f"Of the other networks here with a mean of at least 99.40 %: {others}."
    )


def pages() -> str:
    """The README's table of pages with its last two columns, accuracy and verdict, made anew."""
    text = (results_folder().parent / "README.md").read_text(encoding="utf-8")
    recipes = {recipe.name[:2]: [recipe] for recipe in NETWORKS if records_of(recipe)}
    both = [recipe for recipe in REGISTERED if recipe.name.startswith("13")]  # of page 13
    recipes["13"] = [recipe for recipe in both if records_of(recipe)]
    lines = text.split("<!-- pages -->\n")[1].split("<!-- /pages -->")[0].splitlines()
    for number, line in enumerate(lines):
        page = re.search(r"notebooks/(\d\d)_", line)
        if page and (shown := recipes.get(page[1])):
            accuracies = [mean_and_deviation(finals(recipe)["test_accuracy"]) for recipe in shown]
            ends = ", ".join(accuracies), " ".join(map(mark, shown))
            lines[number] = "|".join([*line.split("|")[:-3], *(f" {end} " for end in ends), ""])
    return "\n".join(lines)


def mark(recipe: Recipe) -> str:
    """Whether all that its target asks for holds for its recorded seeds."""
    return "✓" if all(claim.holds for claim in verdict(recipe)) else "✗"


def result() -> str:
    """The registered networks beside the journey, with targets met or missed."""
    recipes = [*filter(records_of, [speed.TO_TARGET_FINAL, speed.SOONER, *REGISTERED])]
    columns = ["parameters", "epochs", "test accuracy", "seeds", "errors of 10,000"]
    table = ledger(recipes).reindex(columns=columns)
    means = [interval(100 * finals(recipe)["test_accuracy"]) for recipe in recipes]
    table.insert(3, "95 % interval", [f"{each.low:.2f} to {each.high:.2f} %" for each in means])
    return as_markdown(table.assign(target=list(map(mark, recipes))))


REGIONS = {
    "goal": goal,
    "pages": pages,
    "result": result,
    "ledger": lambda: as_markdown(ledger(journey.JOURNEY)),
    "ablations": lambda: as_markdown(pilots(ABLATIONS)),
    "systems": lambda: as_markdown(comparison.comparison().drop(columns=["change", "epochs"])),
    "slips": lambda: as_markdown(comparison.contradictions()),
    "fastest": lambda: as_markdown(speed.compare_speed(speed.ONE_EPOCH_FINAL)),
    "soon": lambda: as_markdown(
        speed.beside_tutorials().dropna(axis="columns").map("{:.3g}".format)
    ),
}


# ---- figures ------------------------------------------------------------------------------------


DRAWN = journey.PLAIN, journey.SKELETON, journey.BATCH_NORM, journey.AUGMENTATION, journey.ONE_CYCLE
FIGURES: dict[str, Callable[[], Figure]] = {
    "journey": lambda: figures.errors_by_step(journey.STEPS),
    "curves": lambda: visualize.compare_curves(*filter(records_of, DRAWN)),
}
