"""What the report says about speed: benchmarks, and what a sweep of everything costs."""

import heapq
import json
from pathlib import Path

import pandas as pd

from mnist_lib import journey
from mnist_lib.commands.markdown import as_markdown
from mnist_lib.engine.environment import results_folder
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.experiments.to_target import SOONER, SOONER_THREADS, beside_tutorials
from mnist_lib.records import NoRecords, records_of
from mnist_lib.results import finals, mean_and_deviation

SCHEDULER_SECONDS = 0.001  # that Dask's scheduler needs for a task, by its documentation


def speeds() -> str:
    """All benchmarks; NoRecords if there are none."""
    paths = sorted(results_folder().glob("speed-*.json"))
    if not paths:
        raise NoRecords("no benchmark yet: make bench makes one")
    return "\n\n".join(map(speed, paths))


def speed(path: Path) -> str:
    """A benchmark as tables: ratios to the library, seconds by threads, and the machine."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        steps, machine = found["steps"], found["machine"]
        ratios = pd.DataFrame({s: steps[s]["times as long as the library"] for s in steps}).T
        table = ratios.map("{0[median]:.2f} ({0[lowest]:.2f} to {0[highest]:.2f})".format)
        device = machine.get("device_name") or machine["device"]
        text = (
            f"{as_markdown(table.rename_axis('step'))}\n\n"
            f"How many times as long as the library: median of {found['rounds']} rounds (lowest to "
            f"highest) on {device}, threads: {machine['threads']}, PyTorch {machine['torch']}."
        )
        for what, by_step in found.get("threads", {}).items():
            seconds = {(s, beside): by_step[s][beside] for s in by_step for beside in by_step[s]}
            table = pd.DataFrame(seconds).T.map("{0[median]:.1f}".format)
            table.index = [", ".join(pair) for pair in table.index]
            text += f"\n\n{as_markdown(table.rename_axis(f'{what}, by threads'))}"
        return text
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no benchmark ({type(error).__name__}: {error})") from None


def soon() -> str:
    """The soonest of notebook 11's second race beside tutorials, in two sentences."""
    beside, accuracy = beside_tutorials(), mean_and_deviation(finals(SOONER)["test_accuracy"])
    times = " and ".join(
        f"{row['part']:.2f} of the {row['plain loop']:.0f} s of {system}"
        for system, row in beside.iterrows()
    )
    seconds, is_tenth = beside["winner"].mean(), beside["part"].iloc[0] <= 0.1
    return (
        f"A mean of 99.40 % with fewer than 8,000 parameters is the second race there: {accuracy} "
        f"in {seconds:.0f} s ({SOONER.name}; the accuracy with one thread, the time with "
        f"{SOONER_THREADS}), that is {times}, trained for 15 epochs by the plain loop in the same "
        "run, on as many cores. A tenth of the first was aimed at, and is "
        f"{'' if is_tenth else 'not '}reached."
    )


def costs(seeds: int = 10) -> str:
    """What a sweep of all recorded recipes takes on few and many cores, by the seconds of records.

    Played through as a sweep does it: seed by seed, each run on the core that is free first.
    """
    runs = {recipe.name: records_of(recipe) for recipe in [*journey.JOURNEY, *SYSTEMS]}
    seconds = pd.Series(
        {name: pd.DataFrame(found)["seconds"].median() for name, found in runs.items() if found}
    )
    hours = []
    for cores in (2, 16, 256):
        free_at = [0.0] * cores
        for run in [*seconds] * seeds:
            heapq.heappush(free_at, heapq.heappop(free_at) + run)
        hours.append(f"{cores} cores {max(free_at) / 3600:.1f} h")
    return (
        f"{seeds} seeds of all {len(seconds)} recipes are {seeds * len(seconds)} runs and "
        f"{seeds * seconds.sum() / 3600:.0f} hours of one core, by the recorded seconds: on "
        f"{', on '.join(hours)}, where {seconds.idxmax()} alone takes "
        f"{seconds.max() / 3600:.1f} h. A run takes {seconds.mean():.0f} s in the mean, and of "
        f"Dask's scheduler about {SCHEDULER_SECONDS * 1000:.0f} ms: it would hold up a sweep on "
        f"more than {round(seconds.mean() / SCHEDULER_SECONDS, -4):,.0f} cores."
    )
