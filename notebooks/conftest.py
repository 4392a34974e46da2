"""The notebooks as tests (nbval): shortened, one thread, no live displays, from any folder."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NO_PROFILE = TemporaryDirectory(prefix="ipython-")  # in place of the reader's own; kept until exit
DEFAULTS = {"MNIST_LIB_SHORT": "1", "MNIST_LIB_LIVE": "0", "OMP_NUM_THREADS": "1"}


def pytest_configure(config):
    """Name the file by its whole path, so that pytest may be called in any folder."""
    config.option.nbval_sanitize_with = str(Path(__file__).with_name("nbval_sanitize.cfg"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Set the variables only while a notebook's kernel starts, which is in its first cell's setup.

    Set for good, they would shorten the trainings of the unit tests in the same process as well.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", NO_PROFILE.name)
        for name, value in DEFAULTS.items():
            patch.setenv(name, os.environ.get(name, value))
        return (yield)
