"""The files of MNIST: intact, whatever the network or the cache holds, or an error that helps."""

import errno
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from platformdirs import user_cache_dir
from torchvision.datasets import MNIST

from mnist_lib.data import load_mnist
from mnist_lib.engine import download
from mnist_lib.engine.download import FILES, fetch, make_available

ARCHIVES = [f"{name}.gz" for name in FILES]
LABELS = "t10k-labels-idx1-ubyte"  # the smallest of the four files


@pytest.fixture(scope="session")
def mirror(digits, tmp_path_factory):
    """A folder with the four intact archives, packed anew from the cache."""
    folder = tmp_path_factory.mktemp("mirror")
    root = Path(os.environ.get("MNIST_ROOT") or user_cache_dir("mnist_lib")).expanduser()
    for name in FILES:
        content = (root / "MNIST" / "raw" / name).read_bytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    return folder


@pytest.fixture
def offline(monkeypatch):
    """No public mirrors, neither ours nor torchvision's, and none of the user's own."""
    monkeypatch.setattr(download, "MIRRORS", ())
    monkeypatch.setattr(MNIST, "mirrors", [])
    monkeypatch.delenv("MNIST_MIRROR", raising=False)


@pytest.fixture
def server():
    """Answers each request with the pieces of `server.content`, announcing `server.length`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(server.status)
            self.send_header("Content-Length", str(server.length))
            self.end_headers()
            try:
                for piece in server.content:
                    self.wfile.write(piece)
            except ConnectionError:
                pass  # the client has given up

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.content, server.length = 200, [], 0
    server.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def raw(root: Path) -> Path:
    return root / "MNIST" / "raw"


# ---- mirrors ------------------------------------------------------------------------------------


def test_own_mirrors_come_first_and_folders_become_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", f"https://one.example/mnist {tmp_path} file:///two/")
    own = ["https://one.example/mnist/", tmp_path.resolve().as_uri() + "/", "file:///two/"]
    assert download.mirrors() == [*own, *download.MIRRORS]
    monkeypatch.delenv("MNIST_MIRROR")
    assert download.mirrors() == list(download.MIRRORS)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("as_address", [str, lambda folder: folder.as_uri() + "/"])
def test_a_folder_or_file_address_fills_an_empty_root(
    digits, mirror, tmp_path, monkeypatch, as_address
):
    monkeypatch.setenv("MNIST_MIRROR", as_address(mirror))
    monkeypatch.setenv("MNIST_ROOT", str(tmp_path / "new"))
    loaded = load_mnist(fold=1)
    assert (raw(tmp_path / "new") / LABELS).exists()
    assert loaded.fold == digits.fold == 1
    parts = [name for name in vars(digits) if name != "fold"]
    assert all(torch.equal(getattr(loaded, name), getattr(digits, name)) for name in parts)


def test_folders_and_addresses_may_hold_spaces_side_by_side(tmp_path, monkeypatch):
    spaced = tmp_path / "my own mirror"
    spaced.mkdir()
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    monkeypatch.setenv(
        "MNIST_MIRROR",
        f"{spaced} file://{spaced.as_posix()}/ https://one.example/a b ~/{spaced.name}",
    )
    here = spaced.resolve().as_uri() + "/"
    assert "%20" in here
    assert download.mirrors()[:4] == [here, here, "https://one.example/a%20b/", here]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_mirror_with_spaces_is_read(mirror, tmp_path, monkeypatch, scheme):
    spaced = tmp_path / "my own mirror"
    shutil.copytree(mirror, spaced)
    monkeypatch.setenv("MNIST_MIRROR", f"{scheme}{tmp_path}/not here {scheme}{spaced}")
    assert len(fetch(LABELS, tmp_path)) == 10_008


@pytest.mark.usefixtures("offline")
def test_a_truncated_archive_is_passed_over_for_the_next_mirror(mirror, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(mirror, broken)
    archive = broken / f"{LABELS}.gz"
    archive.write_bytes(archive.read_bytes()[:1000])
    monkeypatch.setenv("MNIST_MIRROR", f"{broken} {mirror}")
    make_available(raw(tmp_path / "root"))
    unpacked = (raw(tmp_path / "root") / LABELS).read_bytes()
    assert unpacked == gzip.decompress((mirror / archive.name).read_bytes())


@pytest.mark.usefixtures("offline")
def test_an_altered_archive_is_refused_with_the_ways_out(mirror, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(mirror, broken)
    archive = broken / f"{LABELS}.gz"
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("MNIST_MIRROR", str(broken))
    with pytest.raises(ConnectionError) as error:
        make_available(raw(tmp_path / "root"))
    text = str(error.value)
    assert f"{archive.as_uri()}: truncated or altered" in text
    assert f"put the four archives (*-ubyte.gz) into {raw(tmp_path / 'root')}" in text
    assert "set MNIST_MIRROR" in text
    assert not (raw(tmp_path / "root") / LABELS).exists()


@pytest.mark.usefixtures("offline")
def test_offline_the_error_names_all_that_was_tried(tmp_path, monkeypatch, server):
    server.status = 503
    monkeypatch.setattr(download, "MIRRORS", ("http://127.0.0.1:9/",))  # nobody listens there
    missing = (tmp_path / "missing").as_uri()
    monkeypatch.setenv("MNIST_MIRROR", f"nonsense {missing} {server.address}")
    with pytest.raises(ConnectionError) as error:
        load_mnist(tmp_path / "root")
    for mirror in (missing + "/", "nonsense/", server.address, "http://127.0.0.1:9/"):
        assert f"  {mirror}{ARCHIVES[0]}: " in str(error.value)


@pytest.mark.usefixtures("offline")
def test_a_connection_that_breaks_off_is_one_more_failed_mirror(
    mirror, tmp_path, monkeypatch, server
):
    server.content, server.length = [b"only the beginning"], 4542
    monkeypatch.setenv("MNIST_MIRROR", f"{server.address} {mirror}")
    make_available(raw(tmp_path))
    assert (raw(tmp_path) / LABELS).exists()


@pytest.mark.usefixtures("offline")
def test_a_server_that_only_drips_is_given_up(tmp_path, monkeypatch, server):
    def drops():
        for _ in range(200):
            time.sleep(0.05)
            yield b"."

    server.content, server.length = drops(), 4542
    monkeypatch.setattr(download, "ARCHIVE_SECONDS", 0.2)
    monkeypatch.setenv("MNIST_MIRROR", server.address)
    with pytest.raises(ConnectionError, match="not complete after 0.2 s"):
        fetch(LABELS, tmp_path)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("seconds", [0, 1_000])
def test_a_bar_shows_what_takes_long(mirror, tmp_path, monkeypatch, server, capsys, seconds):
    packed = (mirror / f"{LABELS}.gz").read_bytes()
    server.content, server.length = [packed], len(packed)
    monkeypatch.setattr(download, "BAR_SECONDS", seconds)
    monkeypatch.setenv("MNIST_MIRROR", server.address)
    assert len(fetch(LABELS, tmp_path)) == 10_008
    said = capsys.readouterr().err
    assert f"fetching {server.address}{LABELS}.gz" in said
    assert ("B/s]" in said) is (seconds == 0)


# ---- the cache ----------------------------------------------------------------------------------


@pytest.fixture
def root(offline, mirror, tmp_path):
    """A filled cache that still holds its archives, on a machine without a network."""
    shutil.copytree(mirror, raw(tmp_path / "root"))
    make_available(raw(tmp_path / "root"))
    return tmp_path / "root"


def test_a_damaged_file_is_named_and_replaced(root, capsys):
    file = raw(root) / LABELS
    intact = file.read_bytes()
    file.write_bytes(intact[:5000])
    make_available(raw(root))
    assert file.read_bytes() == intact
    assert f"{LABELS} is damaged" in capsys.readouterr().err


def test_a_damaged_archive_beside_it_is_named_and_passed_over(root, mirror, monkeypatch, capsys):
    file, archive = raw(root) / LABELS, raw(root) / f"{LABELS}.gz"
    intact = file.read_bytes()
    file.write_bytes(b"damaged")
    archive.write_bytes(archive.read_bytes()[:1000])
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    make_available(raw(root))
    assert file.read_bytes() == intact
    said = capsys.readouterr().err
    assert f"{LABELS} is damaged" in said and f"{archive.name}: truncated or altered" in said


def test_a_damaged_file_needs_only_its_own_archive(root, mirror, tmp_path, monkeypatch):
    for archive in ARCHIVES:  # a tidy user has deleted them after unpacking
        (raw(root) / archive).unlink(missing_ok=True)
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(mirror / f"{LABELS}.gz", one)
    monkeypatch.setenv("MNIST_MIRROR", str(one))
    (raw(root) / LABELS).write_bytes(b"damaged")
    make_available(raw(root))
    assert (raw(root) / LABELS).stat().st_size == 10_008


def test_archives_put_into_the_folder_by_hand_are_enough(offline, mirror, tmp_path):
    shutil.copytree(mirror, raw(tmp_path))
    assert load_mnist(tmp_path).sizes()["train"] == 60_000


def test_an_intact_cache_needs_no_network(root):
    sizes = {"train": 54_000, "validation": 6_000, "test": 10_000}
    assert load_mnist(root, fold=3).sizes() == sizes


def test_an_intact_cache_on_a_read_only_disk_is_enough(root, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    for writing in ("FileLock", "write_atomically"):
        monkeypatch.setattr(download, writing, read_only)
    monkeypatch.setattr(Path, "mkdir", read_only)
    assert load_mnist(root).sizes()["train"] == 60_000


def test_a_full_disk_is_reported_with_the_path(offline, mirror, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", lambda handle, mode: os.close(handle) or Full())
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    with pytest.raises(OSError, match=f"No space left on device: .*{next(iter(FILES))}'") as error:
        make_available(tmp_path)
    assert error.value.errno == errno.ENOSPC


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_the_root_may_stand_in_the_home_folder(offline, mirror, tmp_path, monkeypatch, given):
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    if given == "variable":
        monkeypatch.setenv("MNIST_ROOT", "~/digits")
    load_mnist("~/digits" if given == "argument" else None)
    assert (raw(tmp_path / "digits") / LABELS).exists()


def test_a_machine_that_forbids_md5_for_security_is_no_obstacle(root, monkeypatch):
    md5 = hashlib.md5

    def under_fips(content: bytes = b"", *, usedforsecurity: bool = True):
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return md5(content, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "md5", under_fips)
    (raw(root) / LABELS).write_bytes(b"damaged")
    assert load_mnist(root).sizes()["test"] == 10_000


def test_two_processes_may_start_at_once(mirror, tmp_path):
    load = "from mnist_lib.data import load_mnist; print(load_mnist().sizes()['train'])"
    environment = os.environ | {"MNIST_ROOT": str(tmp_path), "MNIST_MIRROR": str(mirror)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", load],
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    answers = [process.communicate(timeout=600) for process in both]
    assert [out for out, _ in answers] == ["60000\n"] * 2, answers
    # one fetched, the other waited for it
    assert sum(err.count("fetching") for _, err in answers) == len(ARCHIVES)
