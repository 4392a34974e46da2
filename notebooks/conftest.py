"""The notebooks as tests (nbval): shortened, and without live displays."""

import os

import pytest

DEFAULTS = {"MNIST_LIB_SHORT": "1", "MNIST_LIB_LIVE": "0", "OMP_NUM_THREADS": "1"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Set the variables only while a notebook's kernel starts, which is in its first cell's setup.

    Set for good, they would shorten the trainings of the unit tests in the same process as well.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in DEFAULTS.items():
            patch.setenv(name, os.environ.get(name, value))
        return (yield)
