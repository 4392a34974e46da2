"""What the tests share: real and made-up digits, a tiny recipe, a results folder of their own."""

import os
import shutil
import signal
from contextlib import suppress
from unittest.mock import patch

import pytest
import torch
from hypothesis import settings
from made_up import tiny_network

from mnist_lib.data import Digits, load_mnist
from mnist_lib.engine.machine import PROJECT
from mnist_lib.recipes import SGD, OneCycle, Recipe

# the same examples in every run, and no test that fails because the machine is busy
settings.register_profile("mnist_lib", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("mnist_lib")

# a job in the background ignores Ctrl-C, and so would the commands that are tested here
with suppress(ValueError):  # outside of the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)


BROWSERS = ("chromium", "chromium-browser", "google-chrome")

torch.set_num_threads(1)  # on sets this small, more threads only wait for each other


@pytest.fixture(autouse=True)
def results(tmp_path):
    """A results folder of the test's own, full-length runs and no live progress."""
    folder = tmp_path / "results"
    # commands set variables, too: left behind, they would reach the pages in the same process
    with patch.dict(os.environ, MNIST_LIB_RESULTS=str(folder), MNIST_LIB_LIVE="0"):
        for variable in ("MNIST_LIB_SHORT", "MNIST_LIB_RENEW"):
            os.environ.pop(variable, None)
        yield folder


@pytest.fixture
def committed(results, monkeypatch):
    """The project's own records and checkpoints, to be read, in place of the empty folder."""
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


@pytest.fixture(scope="session")
def digits() -> Digits:
    """Real MNIST with its first fold held out; where it cannot be had, its own message says so."""
    return load_mnist(fold=1)


@pytest.fixture(scope="session")
def synthetic() -> Digits:
    """Made-up digits that are learnt in seconds: a bright square whose place is the class."""
    return Digits(*squares(640, 1), *squares(192, 2), *squares(256, 3))


def squares(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    images = torch.randint(64, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 4 + 12 * (label // 5), 1 + 5 * (label % 5)
        image[0, row : row + 8, column : column + 6] += 150
    return images, labels


@pytest.fixture
def tiny() -> Recipe:
    """Two epochs with a network of 1,940 parameters."""
    return Recipe(
        name="00-tiny",
        change="for the tests",
        network=tiny_network,
        optimizer=SGD(learning_rate=0.1, momentum=0.9),
        schedule=OneCycle(peak=0.1),
        batch_size=32,
        epochs=2,
    )


@pytest.fixture(scope="session")
def browser():
    """Chromium as the system has it; nothing is downloaded. One for all files: two would clash."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: pip install -e '.[dev]'"
    )
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(
            "no Chromium on this machine, so nobody looked at the pages: apt install chromium"
        )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
