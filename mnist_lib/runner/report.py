"""The report: figures and the README's generated regions, rebuilt from the records alone."""

import io
import json
import re
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mnist_lib import journey, visualize
from mnist_lib.data import load_mnist
from mnist_lib.engine import store
from mnist_lib.engine.environment import results_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.published import comparison, figures
from mnist_lib.published.systems import SYSTEMS
from mnist_lib.races.race import standings
from mnist_lib.races.store import load_race
from mnist_lib.records import load_checkpoint, records_of
from mnist_lib.results import NoRecords, finals, ledger, mean_and_deviation
from mnist_lib.train import predict

TOO_WIDE = ["change", "epochs", "errors of 10,000", "s/epoch there", "s/epoch here"]


def rebuild() -> tuple[list[Path], list[str]]:
    """Write figures/*.png and the README's regions; returns what was written, and what was wrong.

    Everything is made before anything is written, so a mistake leaves the old pages whole.
    raises NoRecords if there are no records of the journey
    """
    _, problems = store.read_records(results_folder())
    recipes = [recipe for recipe in journey.JOURNEY if records_of(recipe)]
    if not recipes:
        raise NoRecords("no records yet: python -m mnist_lib run makes them")
    project = results_folder().parent
    contents = {
        project / "figures" / "accuracy-against-parameters.png": as_png(overview(recipes)),
        project / "figures" / "journey.png": as_png(journey_curves(recipes)),
    }
    try:
        contents[project / "figures" / "mistakes.png"] = as_png(mistakes())
    except (FileNotFoundError, ValueError, NoRecords) as error:
        problems.append(str(error))
    readme = project / "README.md"
    if readme.exists():
        text = readme.read_text(encoding="utf-8")
        for region, make in regions(recipes).items():
            try:
                text = fill(text, region, make())
            except (FileNotFoundError, NoRecords):
                pass  # not measured yet: what the region says stays
            except ValueError as error:
                problems.append(str(error))
        contents[readme] = text
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents), problems


def regions(recipes) -> dict:
    """The generated regions of the README, each with what makes its text."""
    columns = TOO_WIDE
    return {
        "result": headline,
        "minutes": lambda: minutes(recipes),
        "ledger": lambda: as_markdown(ledger(recipes)),
        "systems": lambda: as_markdown(comparison.comparison().drop(columns=columns)),
        "fastest": fastest,
        "speed": speeds,
    }


def as_png(figure: Figure) -> bytes:
    """A picture without a date or version inside, so that equal records give equal files."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def overview(recipes) -> Figure:
    """Accuracy against parameters: every step with its error bar beside the published systems."""
    steps, systems = [], []
    for recipe in recipes:
        steps.append({"step": recipe.name, **comparison.point(recipe)})
    for recipe in SYSTEMS:
        claimed = comparison.facts_of(recipe)["claimed_test_accuracy"]
        systems.append({"system": recipe.name, "claimed": claimed, **comparison.point(recipe)})
    return figures.accuracy_against_parameters(pd.DataFrame(steps), pd.DataFrame(systems))


def journey_curves(recipes) -> Figure:
    """Test error of every step, epoch by epoch; side tracks are left to their notebooks."""
    side_tracks = set(journey.JOURNEY) - set(journey.STEPS)
    return visualize.compare_curves(
        {r.name: records_of(r) for r in recipes if r not in side_tracks}
    )


def mistakes() -> Figure:
    """The test digits that the best step gets wrong with its first recorded seed."""
    seed = finals(journey.BEST).index[0]
    digits, model = load_mnist(), load_checkpoint(journey.BEST, seed)
    return visualize.show_mistakes(
        digits.test_images, digits.test_labels, predict(model, digits.test_images)
    )


def headline() -> str:
    """The result in one sentence, for the README's first screen."""
    runs = finals(journey.BEST)
    return (
        f"**{mean_and_deviation(runs['test_accuracy'])} test accuracy** "
        f"({len(runs)} seeds, {runs['errors'].min()}–{runs['errors'].max()} errors of 10,000, "
        f"last epoch) with {runs['parameters'].iloc[0]:,} parameters "
        f"in {runs['epochs'].iloc[0]} epochs."
    )


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


def speeds() -> str:
    """All benchmarks; FileNotFoundError if there are none."""
    paths = sorted(results_folder().glob("speed-*.json"))
    if not paths:
        raise FileNotFoundError("no benchmark yet: make bench makes one")
    return "\n\n".join(map(speed, paths))


def speed(path: Path) -> str:
    """A benchmark's ratios as a table, and the machine that they belong to."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for step, measured in found["steps"].items():
        ratios = measured["times as long as the library"]
        cells = {
            name: f"{ratio['median']:.2f} ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
            for name, ratio in ratios.items()
        }
        rows.append({"step": step, **cells})
    machine = found["machine"]
    device = machine.get("device_name") or machine["device"]
    return (
        f"{as_markdown(pd.DataFrame(rows).set_index('step'))}\n\n"
        f"How many times as long as the library: median of {found['rounds']} rounds (lowest to "
        f"highest) on {device}, {machine['threads']} threads, PyTorch {machine['torch']}."
    )


def minutes(recipes) -> str:
    """How long the trainings of each notebook take, from the records of its default seed."""
    seconds: dict[str, float] = {}
    threads = set()
    for recipe in recipes:
        for record in records_of(recipe):
            if record["seed"] == 1:
                notebook = recipe.name[:2]
                seconds[notebook] = seconds.get(notebook, 0) + record["seconds"]
                machine = record["machine"]
                threads.add(f"{machine['device']}, threads: {machine['threads']}")
    times = " · ".join(f"{notebook}: {total / 60:.1f}" for notebook, total in seconds.items())
    return f"Minutes of training per notebook ({'; '.join(sorted(threads))}): {times}."


def as_markdown(table: pd.DataFrame) -> str:
    """A table, its index first, in Markdown."""
    table = table.reset_index()
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def fill(text: str, region: str, content: str) -> str:
    """Replace what stands between <!-- region --> and <!-- /region -->.

    raises ValueError if the text has no such region
    """
    pattern = re.compile(f"(<!-- {region} -->\n).*?(<!-- /{region} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there is no region <!-- {region} --> … <!-- /{region} --> to fill")
    return pattern.sub(lambda match: match[1] + content + "\n" + match[2], text)
