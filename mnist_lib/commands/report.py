"""The report: figures and the README's generated regions, rebuilt from the records alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mnist_lib import journey, visualize
from mnist_lib.commands.markdown import as_markdown, fill
from mnist_lib.commands.speeds import costs, soon, speeds
from mnist_lib.data import load_mnist
from mnist_lib.engine import store
from mnist_lib.engine.environment import results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.pictures import as_png
from mnist_lib.experiments.comparison import comparison, points
from mnist_lib.experiments.figures import accuracy_against_parameters
from mnist_lib.experiments.frontier import error_against_parameters, reached
from mnist_lib.experiments.pilots import ACCURATE, ONE_THOUSAND, TAKE_OUTS, TWO_THOUSAND, WINNERS
from mnist_lib.experiments.race import standings
from mnist_lib.experiments.race_store import load_race
from mnist_lib.experiments.to_target import SOONER, WINNER
from mnist_lib.recipes import Recipe
from mnist_lib.records import NoRecords, load_checkpoint, records_of
from mnist_lib.results import Checks, finals, ledger, mean_and_deviation, trials, verdict
from mnist_lib.train import predict

TOO_WIDE = ["change", "epochs", "errors of 10,000", "s/epoch there", "s/epoch here"]
NIGHT = "#0d1117"  # GitHub's dark page
DARK = [
    "dark_background",
    {"figure.facecolor": NIGHT, "axes.facecolor": NIGHT, "grid.color": "gray"},
]


def rebuild() -> tuple[list[Path], list[str]]:
    """Write figures/*.png and the README's regions; returns what was written, and what was wrong.

    Everything is made before anything is written, and nothing is written beside a README without
    the regions: it is of another project.
    raises NoRecords if there are no records of the journey
    """
    recipes = [recipe for recipe in journey.JOURNEY if records_of(recipe)]
    if not recipes:
        raise NoRecords("no records yet: python -m mnist_lib run makes them")
    networks = [*journey.JOURNEY, WINNER, SOONER, *WINNERS]
    figures = {
        "accuracy-against-parameters": lambda: accuracy_against_parameters(*points(journey.STEPS)),
        "frontier": lambda: error_against_parameters(reached(networks)),
        "journey": lambda: journey_curves(recipes),
        "mistakes": mistakes,
    }
    regions = {
        "result": headlines,
        "minutes": lambda: minutes(recipes),
        "ledger": lambda: as_markdown(ledger(recipes)),
        "targets": lambda: targets(recipes),
        "take-outs": take_outs,
        "systems": lambda: as_markdown(comparison().drop(columns=TOO_WIDE)),
        "fastest": fastest,
        "soon": soon,
        "speed": speeds,
        "costs": costs,
    }
    kinds = (store.RUNS, store.TRIALS)
    problems = [p for kind in kinds for p in store.read_records(results_folder(), kind=kind)[1]]
    project = results_folder().parent
    drawn = made({name: partial(in_both_styles, make) for name, make in figures.items()}, problems)
    contents = {
        project / "figures" / f"{name}{ending}.png": picture
        for name, pictures in drawn.items()
        for ending, picture in pictures.items()
    }
    readme = project / "README.md"
    if readme.exists():
        try:
            text = readme.read_text(encoding="utf-8")
            for region, content in made(regions, problems).items():
                text = fill(text, region, content)
        except ValueError as error:
            return [], [*problems, f"nothing is written beside {readme}: {error}"]
        contents[readme] = text
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents), problems


def made(makers: dict[str, Callable], problems: list[str]) -> dict:
    """What could be made, by name; what is wrong with the rest is added to the problems."""
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except NoRecords:
            pass  # not measured yet
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return found


def in_both_styles(make: Callable[[], Figure]) -> dict[str, bytes]:
    """A figure as pictures for light and for dark pages, by what their names end with."""
    light = as_png(make())
    with plt.style.context(DARK):
        return {"": light, "-dark": as_png(make())}


def journey_curves(recipes) -> Figure:
    """Test error of every step, epoch by epoch; side tracks are left to their notebooks."""
    steps = [recipe for recipe in recipes if recipe in journey.STEPS]
    return visualize.compare_curves({recipe.name: records_of(recipe) for recipe in steps})


def mistakes() -> Figure:
    """The test digits that the best step gets wrong with its first recorded seed."""
    seed = int(finals(journey.BEST).index[0])
    digits, model = load_mnist(), load_checkpoint(journey.BEST, seed)
    return visualize.show_mistakes(
        digits.test_images, digits.test_labels, predict(model, digits.test_images)
    )


def headlines() -> str:
    """What keeps the promise, then the most accurate and the smallest, for the first screen."""
    known = {"99.4 %": WINNER, "Accurate": ACCURATE, "Small": TWO_THOUSAND, "Tiny": ONE_THOUSAND}
    shown = {word: recipe for word, recipe in known.items() if records_of(recipe)}
    shown = shown or {"Accurate": journey.BEST}
    return "\n\n".join(f"{word}: {headline(recipe)}" for word, recipe in shown.items())


def headline(recipe: Recipe) -> str:
    """The result of a step in one sentence."""
    runs, target = finals(recipe), journey.TARGETS.get(recipe.name)
    goal = f" {target.mean_accuracy:.2%}" if target and target.mean_accuracy else ""
    outcome = f"; target{goal} {'met' if meets(recipe) else 'missed'}" if target else ""
    return (
        f"{recipe.name}, **{mean_and_deviation(runs['test_accuracy'])} test accuracy** "
        f"({len(runs)} seeds, {runs['errors'].min()}–{runs['errors'].max()} errors of 10,000, "
        f"last epoch) with {runs['parameters'].iloc[0]:,} parameters "
        f"in {runs['epochs'].iloc[0]} epochs{outcome}."
    )


def meets(recipe: Recipe) -> bool:
    """Whether all that its target asks for holds for its recorded seeds."""
    return all(check.holds for check in checks(recipe))


def checks(recipe: Recipe) -> Checks:
    """Its target, line by line, held against its records."""
    return verdict(journey.TARGETS[recipe.name], records_of(recipe))


def targets(recipes: list[Recipe]) -> str:
    """Which steps met the target that was registered before their runs, and which missed it."""
    misses = {
        recipe.name: [check.sentence for check in checks(recipe) if not check.holds]
        for recipe in recipes
        if recipe.name in journey.TARGETS
    }
    met = ", ".join(name for name, lines in misses.items() if not lines) or "none"
    missed = ", ".join(f"{name} ({'; '.join(lines)})" for name, lines in misses.items() if lines)
    return f"Registered targets of these steps met: {met}. Missed: {missed or 'none'}."


def take_outs() -> str:
    """What the finished recipe owes to each of its parts; NoRecords before it was tried."""
    table = trials(TAKE_OUTS)
    if table.empty:
        raise NoRecords("no trials of what the recipe owes to its parts")
    return as_markdown(table.drop(columns="seconds"))


def fastest() -> str:
    """The race of notebook 11 in one sentence."""
    race = load_race("final")
    table = standings(race, "test_accuracy")
    known, ours, run = table.iloc[0], table.iloc[-1], race.iloc[0]
    return (
        f"**{ours['test accuracy']} in {ours['seconds']} s** of training and evaluation "
        f"({run['device']}, threads: {run['threads']}; {ours['seeds']} seeds), in "
        f"{ours['time relative to the first']} of the time of the fastest published recipe that we "
        f"know, which ends at {known['test accuracy']}."
    )


def minutes(recipes) -> str:
    """How long the trainings of each notebook take, from the first recorded seed of each recipe."""
    seconds, machines = {}, set()
    for recipe in recipes:
        first = records_of(recipe)[0]
        notebook, machine = recipe.name[:2], first["machine"]
        seconds[notebook] = seconds.get(notebook, 0) + first["seconds"]
        machines.add(f"{machine['device']}, threads: {machine['threads']}")
    times = " · ".join(f"{notebook}: {total / 60:.1f}" for notebook, total in seconds.items())
    return f"Minutes of training per notebook ({'; '.join(sorted(machines))}): {times}."
