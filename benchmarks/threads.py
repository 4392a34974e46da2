"""What more threads bring to a training on a CPU, idle and beside another busy process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from measure import RECIPES, alternate, in_words, library_loop, spread

from mnist_lib.data import Digits
from mnist_lib.engine.device import use_threads

COUNTS = [count for count in (1, 2, 4, 8, 16) if count <= max(2, os.cpu_count() or 1)]
PER = 12_800  # digits


@contextmanager
def busy_process() -> Iterator[None]:
    """Another program that keeps a core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


COMPANY = {"idle": nullcontext, "beside a busy process": busy_process}


def measured(steps: list[str], digits: Digits, rounds: int) -> dict:
    """Seconds that the library takes for 12,800 digits, by step, company and threads."""
    found = {}
    for step in steps:
        loop = library_loop(RECIPES[step], digits, "cpu")
        pairs = [(company, count) for company in COMPANY for count in COUNTS]
        seconds = alternate({pair: partial(one_pass, loop, *pair) for pair in pairs}, rounds)
        scale = PER / len(digits.train_labels)
        found[step] = {company: {} for company in COMPANY}
        for company, count in pairs:
            found[step][company][count] = spread([scale * s for s in seconds[company, count]])
        for company, spreads in found[step].items():
            print(f"{step} {company}, seconds by threads: {in_words(spreads)}", flush=True)
    return {f"seconds for {PER:,} digits": found}


def one_pass(loop: Callable[[], float], company: str, threads: int) -> float:
    with COMPANY[company](), use_threads(threads):
        return loop()
