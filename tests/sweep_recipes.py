"""Recipes that a sweep finds as sweep_recipes:NAME; some of them are not at their best at work.

A worker is told of files by $SWEEP_FLAGS.
"""

import os
import time
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path

from made_up import tiny_network

from mnist_lib.recipes import SGD, Recipe

IN_WORKER = parent_process() is not None


def deadly():
    if IN_WORKER:
        os._exit(1)
    return tiny_network()


def deadly_once():
    flag = Path(os.environ.get("SWEEP_FLAGS", ".")) / "died"
    if IN_WORKER and not flag.exists():
        flag.touch()
        os._exit(1)
    return tiny_network()


def endless():
    if IN_WORKER:
        time.sleep(600)
    return tiny_network()


TINY = Recipe("00-tiny", "for the tests", tiny_network, SGD(0.1), batch_size=64, epochs=2)
TWIN = replace(TINY, epochs=1)
HOPELESS = replace(TINY, name="00-hopeless", optimizer=SGD(1e30))
DEADLY = replace(TINY, name="00-deadly", network=deadly)
DEADLY_ONCE = replace(TINY, name="00-deadly-once", network=deadly_once)
ENDLESS = replace(TINY, name="00-endless", network=endless)
OTHER = replace(TINY, name="00-other")
