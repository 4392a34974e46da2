"""What a run needs of its machine: whole files, folders, a device, threads and random numbers."""

import errno
import os
import stat
import subprocess
from unittest.mock import Mock

import pytest
import torch

from mnist_lib import models
from mnist_lib.engine import machine
from mnist_lib.engine.machine import choose_device, prepare, use_threads, write_atomically

# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["fdopen", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, failing, error
):
    path = tmp_path / "new" / "record.json"
    write_atomically(path, "± 0.1")
    assert path.read_bytes() == "± 0.1".encode()
    if os.name == "posix":  # others can read it
        assert stat.S_IMODE(path.stat().st_mode) == 0o644

    monkeypatch.setattr(os, failing, Mock(side_effect=error))
    with pytest.raises(type(error)) as raised:
        write_atomically(path, b"new")
    assert path.read_bytes() == "± 0.1".encode()
    assert [*path.parent.iterdir()] == [path]
    if isinstance(error, OSError):
        assert str(path) in str(raised.value) and raised.value.errno == errno.ENOSPC


def test_runs_are_written_apart_from_the_committed_results(results, monkeypatch):
    assert machine.results_folder() == results
    assert machine.output_folder() == results.parent / "my-results"
    monkeypatch.setenv("MNIST_LIB_RENEW", "1")
    assert machine.output_folder() == results
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")  # which never counts, whatever is renewed
    assert machine.output_folder() == results.parent / "short" / "results"
    monkeypatch.delenv("MNIST_LIB_RESULTS")
    assert machine.results_folder() == machine.PROJECT / "results"


@pytest.mark.parametrize("word, answer", [("1", True), (" Yes ", True), ("0", False), ("", False)])
def test_a_switch_says_yes_or_no(monkeypatch, word, answer):
    monkeypatch.setenv("MNIST_LIB_SHORT", word)
    assert machine.is_short() is answer
    monkeypatch.setenv("MNIST_LIB_SHORT", "maybe")
    with pytest.raises(ValueError, match="MNIST_LIB_SHORT=maybe is neither yes nor no"):
        machine.is_short()


def test_the_commit_is_known_only_in_a_git_checkout(monkeypatch, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(machine, "PROJECT", tmp_path)
    (tmp_path / "mnist_lib").mkdir()
    command = "git -c user.name=a -c user.email=a commit -q --allow-empty -m first"
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    first = machine.commit()
    assert len(first["commit"]) >= 7 and first["clean"] is True
    (tmp_path / "mnist_lib" / "new.py").touch()
    assert machine.commit() == first | {"clean": False}
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr(machine, "PROJECT", tmp_path.parent)
    assert machine.commit() == {"commit": None, "clean": None}
    monkeypatch.setenv("PATH", "")
    assert machine.commit() == {"commit": None, "clean": None}


# ---- device and threads -------------------------------------------------------------------------


def test_auto_takes_a_device_that_works():
    assert torch.ones(2, device=choose_device()).sum().item() == 2
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == "cpu"


def test_channels_come_last_on_a_cpu_and_weights_stay():
    model, x = models.normalised().eval(), torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        expected = model(x)
        moved = machine.accelerate(model, "cpu")
        torch.testing.assert_close(moved(x), expected)
    assert moved[3][0].weight.is_contiguous(memory_format=torch.channels_last)
    meta = machine.accelerate(models.normalised(), "meta")
    assert all(parameter.is_meta for parameter in meta.parameters())


# ---- a page's parameters ------------------------------------------------------------------------


@pytest.fixture
def page(monkeypatch):
    """Puts back what a page sets for all of its cells."""
    monkeypatch.setenv("MNIST_LIB_SHORT", "0")
    with use_threads(torch.get_num_threads()):
        yield


def test_a_page_sets_its_threads_and_its_length(page):
    prepare(11, "cpu", threads=os.cpu_count())
    assert torch.get_num_threads() == os.cpu_count() and not machine.is_short()
    prepare(0, "auto", threads=1, short=True)
    assert torch.get_num_threads() == 1 and machine.is_short()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((-1,), "SEED must be a whole number from 0 to 2,147,483,647: -1"),
        ((11, "cpu", 10_000), "THREADS must be a whole number from 1 to"),
        ((11, "gpu"), "device 'gpu' is not available here; choose auto or"),
        ((11, "cpu", 1, "yes"), "SHORT must be True or False: 'yes'"),
    ],
)
def test_a_page_refuses_parameters_that_cannot_be_used(page, parameters, message):
    with pytest.raises(ValueError, match=message):
        prepare(*parameters)


# ---- random numbers -----------------------------------------------------------------------------


def test_order_augmentation_and_epochs_draw_from_their_own_generators():
    orders, augmentations = (
        [machine.generator(seed, purpose).initial_seed() for seed in range(50)]
        for purpose in ("order", "augmentation")
    )
    epochs = [machine.epoch_seed(seed, epoch) for seed in range(50) for epoch in range(1, 51)]
    assert len({*orders, *augmentations, *epochs}) == 2 * 50 + 50 * 50
    assert orders[11] == 1_000_014 and machine.epoch_seed(11, 1) == 3_011_004  # of the records
