"""Many trainings on Dask: (recipe, seed) pairs go out to workers, records come back.

Workers need no disk of ours. Only the client writes, each record at once when its training ends, so
that whatever stops the sweep costs no more than what was under way.
"""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import NoReturn

from distributed import CancelledError, Client, Future, KilledWorker, TimeoutError, as_completed
from tqdm import tqdm

from mnist_lib.commands.training import (
    NoDigits,
    OtherVersion,
    Task,
    check_trial,
    find,
    pack_digits,
    train,
)  # fmt: skip
from mnist_lib.engine.environment import is_short, output_folder
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.engine.store import RUNS, TRIALS
from mnist_lib.records import keep, records_of

FETCH_SECONDS = 30  # for a result; after that its worker is taken to have died with it
LINE = "{desc} of {total_fmt} ({elapsed} elapsed, {remaining} remaining)"


def plan(
    names: Iterable[str],
    seeds: Iterable[int],
    trial: bool = False,
    device: str = "auto",
    threads: int = 1,
) -> list[Task]:
    """The trainings, seed by seed, so that a sweep that is stopped has whole seeds.

    raises ValueError for what cannot be trained
    """
    recipes = {name: find(name) for name in dict.fromkeys(names)}
    for name, count in Counter(recipe.name for recipe in recipes.values()).items():
        if count > 1:
            raise ValueError(
                f"{count} of these recipes are called '{name}'; so would their records"
            )
    if trial:
        for recipe in recipes.values():
            check_trial(recipe)
    return [
        Task(name, seed, recipe.fingerprint(), trial, device, threads, is_short())
        for seed in dict.fromkeys(seeds)
        for name, recipe in recipes.items()
    ]


def unrecorded(tasks: list[Task]) -> list[Task]:
    """The tasks whose record is not there yet."""
    recorded = {
        (name, record["seed"])
        for name, trial in {(task.recipe, task.trial) for task in tasks}
        for record in records_of(find(name), output_folder(), TRIALS if trial else RUNS)
    }
    return [task for task in tasks if (task.recipe, task.seed) not in recorded]


class Sweep:
    """Tasks under way on a client's workers.

    failed  the traceback of each task that could not be done
    """

    def __init__(self, client: Client, tasks: list[Task]):
        self.client, self.total = client, len(tasks)
        self.pending: dict[str, Task] = {}  # by the key that Dask knows it by
        self.failed: dict[Task, str] = {}
        self.tries, self.refusing = Counter(), set()
        self.suspects: list[Task] = []  # their workers died, perhaps by another run's fault
        self.alone: set[Task] = set()  # suspects that got their second chance
        self.ended = as_completed(loop=client.loop)
        for number, task in enumerate(tasks):
            self.submit(task, priority=-number)

    def submit(self, task: Task, archives: dict[str, bytes] | None = None, **options) -> None:
        """Hand the task to Dask; what two clients ask for at the same time is done once."""
        self.tries[task] += 1
        digest = short_hash([asdict(task), self.tries[task]])
        key = f"{task.recipe}-{task.seed}-{digest}"
        self.pending[key] = task
        self.ended.add(self.client.submit(train, task, archives, key=key, **options))

    def submit_alone(self, task: Task) -> None:
        """Hand out a suspect while nothing else is under way: no other run can kill its workers."""
        self.alone.add(task)
        self.submit(task)

    def run(self) -> dict[Task, str]:
        """Keep each record as it comes until nothing is under way; returns what failed and why.

        raises ConnectionError if the scheduler is gone
        """
        with tqdm(total=self.total, smoothing=0, disable=None, bar_format=LINE) as bar:
            while self.pending or self.suspects:
                if not self.pending:
                    self.submit_alone(self.suspects.pop())
                self.look(bar)
                for future in self.ended.next_batch(block=False):
                    task = self.pending[future.key]
                    happened = self.take(future)
                    bar.n = self.total - len(self.pending) - len(self.suspects)
                    bar.write(f"[{bar.n}/{self.total}] {task}: {happened}")
                    sys.stdout.flush()
        return self.failed

    def look(self, bar: tqdm) -> None:
        """Show how far it is and wait until a task has ended, a second at most."""
        if self.client.status != "running":
            self.end_without_scheduler()
        if not bar.disable:
            with suppress(OSError):  # the scheduler has just gone; the next look will notice
                ours = [self.pending.keys() & keys for keys in self.client.processing().values()]
                running, done = sum(map(bool, ours)), bar.n - len(self.failed)
                bar.set_description_str(
                    f"{done} done, {running} running, {len(self.failed)} failed"
                )
        for _ in range(10):
            if not self.ended.has_ready():
                time.sleep(0.1)

    def take(self, future: Future) -> str:
        """Keep what came back, or see to it that it is done again; returns what happened."""
        if future.status == "finished":
            return self.keep(future)
        if future.status != "error":
            self.end_without_scheduler()
        task, error = self.pending.pop(future.key), future.exception()
        if isinstance(error, NoDigits):
            self.submit(task, pack_digits())
            return "the worker has no MNIST; sent along"
        if isinstance(error, OtherVersion):
            self.refusing.add(error.worker)
            if others := list(self.client.nthreads().keys() - self.refusing):
                self.submit(task, workers=others, allow_other_workers=True)
                return f"{error}; given to another"
        if isinstance(error, KilledWorker) and task not in self.alone:
            self.suspects.append(task)
            return "its workers died; again at the end, alone"
        lines = traceback.format_exception(type(error), error, future.traceback())
        self.failed[task] = "".join(lines)
        return f"FAILED, {lines[-1].strip()}"

    def keep(self, future: Future) -> str:
        """Fetch record and weights and write them."""
        try:
            record, weights = future.result(FETCH_SECONDS)
        except (TimeoutError, KilledWorker, CancelledError, OSError):
            self.ended.add(future)  # Dask is doing it again
            return "its worker died before the record was fetched"
        keep(record, weights)
        del self.pending[future.key]
        return f"finished in {record['seconds']:.0f} s"

    def end_without_scheduler(self) -> NoReturn:
        raise ConnectionError(
            f"the scheduler {self.client.scheduler.address} is gone; "
            "what was recorded stays, and the same command goes on from there"
        )
