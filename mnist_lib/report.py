"""The report: figures and the README's generated regions, rebuilt from the records alone."""

import json
import re
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mnist_lib import comparison, fast, journey, published, results, visualize
from mnist_lib.data import load_mnist
from mnist_lib.files import write_atomically
from mnist_lib.train import predict

TOO_WIDE = ["change", "epochs", "errors of 10,000", "s/epoch there", "s/epoch here"]


def rebuild() -> list[Path]:
    """Write figures/*.png and the README's ledger; returns what was written.

    raises LookupError if there are no records of the journey
    """
    recipes = [recipe for recipe in journey.JOURNEY if results.records_of(recipe)]
    if not recipes:
        raise LookupError("no records yet: python -m mnist_lib run makes them")
    project = results.results_folder().parent
    written = [
        write_figure(project / "figures" / "accuracy-against-parameters.png", overview(recipes)),
        write_figure(project / "figures" / "journey.png", journey_curves(recipes)),
    ]
    if journey.BEST in recipes:
        written.append(write_figure(project / "figures" / "mistakes.png", mistakes()))
    readme = project / "README.md"
    if readme.exists():
        ledger = as_markdown(results.ledger(recipes))
        text = fill(readme.read_text(encoding="utf-8"), "ledger", ledger)
        text = fill(text, "systems", as_markdown(comparison.comparison().drop(columns=TOO_WIDE)))
        text = fill(text, "minutes", minutes(recipes))
        if journey.BEST in recipes:
            text = fill(text, "result", headline())
        if (results.results_folder() / "fast-final.csv").exists():
            text = fill(text, "fastest", fastest())
        speeds = sorted(results.results_folder().glob("speed-*.json"))
        if speeds:
            text = fill(text, "speed", "\n\n".join(map(speed, speeds)))
        write_atomically(readme, text)
        written.append(readme)
    return written


def write_figure(path: Path, figure: Figure) -> Path:
    """Save as PNG without a date or version inside, so that equal records give equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path


def overview(recipes) -> Figure:
    """Accuracy against parameters: every step with its error bar beside the published systems."""
    steps, systems = [], []
    for recipe in recipes:
        steps.append({"step": recipe.name, **comparison.point(recipe)})
    for recipe in published.SYSTEMS:
        claimed = comparison.facts_of(recipe)["claimed_test_accuracy"]
        systems.append({"system": recipe.name, "claimed": claimed, **comparison.point(recipe)})
    return visualize.accuracy_against_parameters(pd.DataFrame(steps), pd.DataFrame(systems))


def journey_curves(recipes) -> Figure:
    """Test error of every step, epoch by epoch; side tracks are left to their notebooks."""
    side_tracks = set(journey.JOURNEY) - set(journey.STEPS)
    return visualize.compare_curves(
        {r.name: results.records_of(r) for r in recipes if r not in side_tracks}
    )


def mistakes() -> Figure:
    """The test digits that the best step's first seed gets wrong."""
    digits = load_mnist()
    model = results.load_checkpoint(journey.BEST, seed=1)
    return visualize.show_mistakes(
        digits.test_images, digits.test_labels, predict(model, digits.test_images)
    )


def headline() -> str:
    """The result in one sentence, for the README's first screen."""
    runs = results.finals(journey.BEST)
    return (
        f"**{results.mean_and_spread(runs['test_accuracy'])} test accuracy** "
        f"({len(runs)} seeds, {runs['errors'].min()}–{runs['errors'].max()} errors of 10,000, "
        f"last epoch) with {runs['parameters'].iloc[0]:,} parameters "
        f"in {runs['epochs'].iloc[0]} epochs."
    )


def fastest() -> str:
    """The race of notebook 11 in one sentence."""
    race = fast.load_race("final")
    table = fast.summary(race, "test_accuracy")
    known, ours, run = table.iloc[0], table.iloc[-1], race.iloc[0]
    return (
        f"**{ours['test accuracy']} in {ours['seconds']} s** of training and evaluation "
        f"({run['device']}, threads: {run['threads']}; {ours['seeds']} seeds), in "
        f"{ours['time relative to the first']} of the time of the fastest published recipe that we "
        f"know, which ends at {known['test accuracy']}."
    )


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
        for record in results.records_of(recipe):
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
