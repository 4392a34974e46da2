"""A file is either the old one or the new one, never half of either."""

import errno
import os

import pytest

from mnist_lib.engine.files import write_atomically


def test_text_and_bytes_are_written_and_folders_made(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "text", "± 0.1")
    write_atomically(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "± 0.1".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("failing", ["fdopen", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "record.json"
    write_atomically(path, "old")

    def disk_full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, failing, disk_full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_a_full_disk_is_reported_with_the_path(tmp_path, monkeypatch):
    def disk_full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(OSError, match="No space left on device: .*record.json'") as error:
        write_atomically(tmp_path / "record.json", "new")
    assert error.value.errno == errno.ENOSPC


def test_an_interruption_leaves_no_part_either(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "record.json", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_can_read_what_was_written(tmp_path):
    write_atomically(tmp_path / "record.json", "shared")
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o644
