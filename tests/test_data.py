"""The digits: whole, split as documented, and intact whatever the network or the cache holds."""

import gzip
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from platformdirs import user_cache_dir
from torchvision.datasets import MNIST

from mnist_lib import data

ARCHIVES = [archive for archive, _ in MNIST.resources]
LABELS = "t10k-labels-idx1-ubyte"  # the smallest of the four files


@pytest.fixture(scope="session")
def mirror(digits, tmp_path_factory):
    """A folder with the four intact archives, taken from the cache if it still has them."""
    folder = tmp_path_factory.mktemp("mirror")
    cache = os.path.join(os.environ.get("MNIST_ROOT") or user_cache_dir("mnist_lib"), "MNIST/raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_MIRROR", f"{cache} {os.environ.get('MNIST_MIRROR', '')}")
        for archive, md5 in MNIST.resources:
            data.fetch(archive, md5, folder)
    return folder


@pytest.fixture
def offline(monkeypatch):
    """No public mirrors, neither ours nor torchvision's, and none of the user's own."""
    monkeypatch.setattr(data, "MIRRORS", ())
    monkeypatch.setattr(MNIST, "mirrors", [])
    monkeypatch.delenv("MNIST_MIRROR", raising=False)


@pytest.fixture
def server():
    """Answers each request with the bytes in `server.content`, announcing `server.length`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(server.status)
            self.send_header("Content-Length", str(server.length))
            self.end_headers()
            self.wfile.write(server.content)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.content, server.length = 200, b"", 0
    server.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def raw(root):
    return root / "MNIST" / "raw"


# ---- splits -------------------------------------------------------------------------------------


def test_sizes_shapes_and_types(digits):
    assert digits.sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}
    for part, count in digits.sizes().items():
        images, labels = getattr(digits, f"{part}_images"), getattr(digits, f"{part}_labels")
        assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
        assert labels.shape == (count,) and labels.dtype == torch.int64
        assert labels.unique().tolist() == list(range(10))
        assert images.max() == 255 and images.min() == 0


def test_no_holdout_trains_on_all_images(digits):
    whole = data.load_mnist(holdout=0)
    assert whole.sizes() == {"train": 60_000, "validation": 0, "test": 10_000}
    assert whole.validation_images.shape == (0, 1, 28, 28)
    assert torch.equal(whole.test_images, digits.test_images)


def test_validation_is_evenly_spaced_and_takes_both_groups_of_writers(digits):
    whole = data.load_mnist(holdout=0)
    kept, held_out = data.split_indices(5_000)
    assert held_out[:5].tolist() == [0, 13, 24, 37, 48]
    assert (held_out % 2 == 0).sum() == 2_500  # even positions hold the harder digits
    assert torch.equal(digits.validation_images, whole.train_images[held_out])
    assert torch.equal(digits.validation_labels, whole.train_labels[held_out])
    assert torch.equal(digits.train_images, whole.train_images[kept])
    assert torch.equal(digits.train_labels, whole.train_labels[kept])


@given(holdout=st.integers(0, data.TRAINING_SIZE // 2))
def test_every_image_is_in_exactly_one_part(holdout):
    kept, held_out = data.split_indices(holdout)
    assert len(held_out) == holdout
    assert torch.equal(torch.cat([kept, held_out]).sort().values, torch.arange(60_000))


@pytest.mark.parametrize("holdout", [-1, 30_001, 60_000])
def test_an_impossible_holdout_is_refused(holdout):
    with pytest.raises(ValueError, match=f"holdout .* not {holdout}"):
        data.load_mnist(holdout=holdout)


# ---- mirrors ------------------------------------------------------------------------------------


def test_own_mirrors_come_first_and_folders_become_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_MIRROR", f"https://one.example/mnist {tmp_path} file:///two/")
    own = ["https://one.example/mnist/", tmp_path.resolve().as_uri() + "/", "file:///two/"]
    assert data.mirrors() == [*own, *data.MIRRORS]
    monkeypatch.delenv("MNIST_MIRROR")
    assert data.mirrors() == list(data.MIRRORS)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("as_address", [str, lambda folder: folder.as_uri() + "/"])
def test_a_folder_or_file_address_fills_an_empty_root(
    digits, mirror, tmp_path, monkeypatch, as_address
):
    monkeypatch.setenv("MNIST_MIRROR", as_address(mirror))
    monkeypatch.setenv("MNIST_ROOT", str(tmp_path / "new"))
    loaded = data.load_mnist()
    assert (raw(tmp_path / "new") / LABELS).exists()
    assert all(torch.equal(getattr(loaded, name), whole) for name, whole in vars(digits).items())


@pytest.mark.usefixtures("offline")
def test_a_truncated_archive_is_passed_over_for_the_next_mirror(mirror, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(mirror, broken)
    archive = broken / f"{LABELS}.gz"
    archive.write_bytes(archive.read_bytes()[:1000])
    monkeypatch.setenv("MNIST_MIRROR", f"{broken} {mirror}")
    data.make_available(tmp_path / "root")
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
        data.make_available(tmp_path / "root")
    text = str(error.value)
    assert f"{archive.as_uri()}: truncated or altered" in text
    assert f"put the four archives (*-ubyte.gz) into {raw(tmp_path / 'root')}" in text
    assert "set MNIST_MIRROR" in text
    assert not (raw(tmp_path / "root") / LABELS).exists()


@pytest.mark.usefixtures("offline")
def test_offline_the_error_names_all_that_was_tried(tmp_path, monkeypatch, server):
    server.status = 503
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/",))  # nobody listens there
    missing = (tmp_path / "missing").as_uri()
    monkeypatch.setenv("MNIST_MIRROR", f"{missing} nonsense {server.address}")
    with pytest.raises(ConnectionError) as error:
        data.load_mnist(tmp_path / "root")
    for mirror in (missing + "/", "nonsense/", server.address, "http://127.0.0.1:9/"):
        assert f"  {mirror}{ARCHIVES[0]}: " in str(error.value)


@pytest.mark.usefixtures("offline")
def test_a_connection_that_breaks_off_is_one_more_failed_mirror(
    mirror, tmp_path, monkeypatch, server
):
    server.content, server.length = b"only the beginning", 4542
    monkeypatch.setenv("MNIST_MIRROR", f"{server.address} {mirror}")
    data.make_available(tmp_path)
    assert (raw(tmp_path) / LABELS).exists()


# ---- the cache ----------------------------------------------------------------------------------


@pytest.fixture
def root(mirror, tmp_path, monkeypatch, offline):
    """A filled cache that still holds its archives, on a machine without a network."""
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    data.make_available(tmp_path / "root")
    monkeypatch.delenv("MNIST_MIRROR")
    return tmp_path / "root"


def test_a_damaged_file_is_named_and_replaced(root, capsys):
    file = raw(root) / LABELS
    intact = file.read_bytes()
    file.write_bytes(intact[:5000])
    data.make_available(root)
    assert file.read_bytes() == intact
    assert f"{LABELS} is damaged" in capsys.readouterr().err


def test_a_damaged_file_needs_only_its_own_archive(root, mirror, tmp_path, monkeypatch):
    for archive in ARCHIVES:  # a tidy user has deleted them after unpacking
        (raw(root) / archive).unlink(missing_ok=True)
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(mirror / f"{LABELS}.gz", one)
    monkeypatch.setenv("MNIST_MIRROR", str(one))
    (raw(root) / LABELS).write_bytes(b"damaged")
    data.make_available(root)
    assert (raw(root) / LABELS).stat().st_size == 10_008


def test_archives_put_into_the_folder_by_hand_are_enough(offline, mirror, tmp_path):
    shutil.copytree(mirror, raw(tmp_path))
    assert data.load_mnist(tmp_path, holdout=0).sizes()["train"] == 60_000


def test_an_intact_cache_needs_no_network(root):
    assert data.load_mnist(root).sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}


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
    assert [out for out, _ in answers] == ["55000\n"] * 2, answers
    # one fetched, the other waited for it
    assert sum(err.count("fetching") for _, err in answers) == len(ARCHIVES)
