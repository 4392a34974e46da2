"""The digits: fetched intact, cut into ten folds, and handed out in batches that miss no image."""

import gzip
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import md5, sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from made_up import generator
from torchvision.datasets import MNIST

from mnist_lib import data
from mnist_lib.augment import RandomAffine
from mnist_lib.data import FILES, MEAN, STD, Batches, load_mnist, make_available, raw_folder

LABELS = "t10k-labels-idx1-ubyte"  # the smallest of the four files


# ---- folds --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> data.Digits:
    return load_mnist()


@pytest.fixture(scope="module")
def folds(whole) -> torch.Tensor:
    return data.fold_of_each(whole.train_labels)


def test_the_digits_are_those_that_torchvision_reads(whole):
    for part, is_train in [("train", True), ("test", False)]:
        theirs = MNIST(raw_folder().parents[1], train=is_train)
        assert torch.equal(getattr(whole, f"{part}_images"), theirs.data.unsqueeze(1))
        assert torch.equal(getattr(whole, f"{part}_labels"), theirs.targets)
    assert whole.train_images.dtype == torch.uint8 and whole.train_labels.dtype == torch.int64
    pixels = data.normalise(data.to_float(whole.train_images))
    assert [pixels.mean().item(), pixels.std().item()] == pytest.approx([0, 1], abs=1e-3)
    assert whole.fold == 0 and whole.sizes() == {"train": 60_000, "validation": 0, "test": 10_000}


@pytest.mark.parametrize("fold", [1, 10])
def test_a_fold_is_held_out_and_all_others_train_in_their_order(whole, folds, fold):
    digits = load_mnist(fold=fold)
    for part, chosen in (("validation", folds == fold), ("train", folds != fold)):
        assert torch.equal(getattr(digits, f"{part}_images"), whole.train_images[chosen])
        assert torch.equal(getattr(digits, f"{part}_labels"), whole.train_labels[chosen])
    few = digits.first(7_000).without_test()
    assert few.sizes() == {"train": 7_000, "validation": 6_000, "test": 0} and few.fold == fold
    assert torch.equal(few.train_images, digits.train_images[:7_000])


def test_the_folds_are_those_that_the_records_were_made_with(folds):
    """Whoever changes the rule changes FOLD_RULE too: the records are then out of date."""
    assert sha256(bytes(folds.tolist())).hexdigest()[:16] == "460c469f749ec5dc"
    assert data.FOLD_RULE == "rank by label, parity of position and position, modulo ten"


@pytest.mark.parametrize("fold", [-1, 11, 2.0, "1", None])
def test_an_impossible_fold_is_refused(fold):
    with pytest.raises(ValueError, match=f"fold must be .* from 0 to 10: {fold!r}"):
        load_mnist(fold=fold)


# ---- download -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mirror(tmp_path_factory) -> Path:
    """A folder with the four intact archives, packed anew from the cache."""
    folder = tmp_path_factory.mktemp("mirror")
    make_available(raw_folder())
    for name in FILES:
        content = (raw_folder() / name).read_bytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    return folder


@pytest.fixture
def raw(monkeypatch, tmp_path) -> Path:
    """An empty cache on a machine that knows no mirror."""
    monkeypatch.setattr(data, "MIRRORS", ())
    monkeypatch.delenv("MNIST_MIRROR", raising=False)
    return tmp_path / "root" / "MNIST" / "raw"


@pytest.fixture
def serve():
    """Makes a folder's files readable at the address that it returns."""
    servers = []

    def start(folder: Path) -> str:
        handler = partial(SimpleHTTPRequestHandler, directory=folder)
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def is_whole(raw: Path, names=tuple(FILES)) -> bool:
    """Whether each of these files has the right content."""
    return all(md5((raw / name).read_bytes()).hexdigest() == FILES[name] for name in names)


KINDS = {
    "unpacked": lambda name: name,
    "as Kaggle and 7-Zip name it": lambda name: name.replace("-idx", ".idx"),
    "unpacked by a browser that kept the ending": lambda name: f"{name}.gz",
    "each in a folder": lambda name: f"{name}/{name.replace('-idx', '.idx')}",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["mirror", "cache"])
def test_intact_content_counts_whatever_its_name_and_packing(
    raw, mirror, tmp_path, monkeypatch, kind, place
):
    """In a mirror, and put into the cache by hand."""
    monkeypatch.setattr(data, "FILES", {LABELS: FILES[LABELS]})
    file = (raw if place == "cache" else tmp_path / "mirror") / KINDS[kind](LABELS)
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.decompress((mirror / f"{LABELS}.gz").read_bytes()))
    monkeypatch.setenv("MNIST_MIRROR", str(tmp_path / "mirror"))
    make_available(raw)
    assert is_whole(raw, [LABELS])


@pytest.mark.parametrize("kind", ["path", "file", "http", "http with a slash"])
def test_a_mirror_may_have_any_name_and_address(raw, mirror, tmp_path, monkeypatch, serve, kind):
    folder = tmp_path / "мой mirror 100%20 a#b"
    folder.symlink_to(mirror)
    address = {"path": str(folder), "file": folder.as_uri(), "http": serve(mirror)}
    address["http with a slash"] = f"{serve(mirror)}/"
    monkeypatch.setenv("MNIST_MIRROR", address[kind])
    assert len(data.fetch(LABELS, raw)) == 10_008


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:1000], lambda whole: whole[:-1] + b"?", lambda _: b"<html>"]
)
def test_a_damaged_archive_is_passed_over_for_the_next_mirror(
    raw, mirror, tmp_path, monkeypatch, serve, damage
):
    archive = tmp_path / "broken" / f"{LABELS}.gz"
    archive.parent.mkdir()
    archive.write_bytes(damage((mirror / archive.name).read_bytes()))
    monkeypatch.setenv("MNIST_MIRROR", str(archive.parent))
    with pytest.raises(ConnectionError, match=re.escape(archive.as_uri())):
        data.fetch(LABELS, raw)
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9", serve(mirror)))
    assert len(data.fetch(LABELS, raw)) == 10_008


def test_offline_the_error_names_places_files_and_ways_out(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", ("http://127.0.0.1:9/",))  # nobody listens there
    monkeypatch.setenv("MNIST_MIRROR", str(tmp_path / "missing"))
    with pytest.raises(ConnectionError) as raised:
        load_mnist(tmp_path / "root")
    places = [
        str(raw),
        "http://127.0.0.1:9/train-images",
        "MNIST_MIRROR",
        str(tmp_path / "missing"),
    ]
    assert all(part in str(raised.value) for part in [*FILES, *places])
    assert not [*raw.glob("*-ubyte")]


def test_a_truncated_file_is_made_anew_and_the_others_are_left_alone(raw, mirror, monkeypatch):
    shutil.copytree(mirror, raw)
    make_available(raw)
    before = {name: (raw / name).stat().st_mtime_ns for name in FILES}
    (raw / LABELS).write_bytes((raw / LABELS).read_bytes()[:5000])
    make_available(raw)
    assert is_whole(raw)
    assert {name for name in FILES if (raw / name).stat().st_mtime_ns != before[name]} == {LABELS}
    for archive in raw.glob("*.gz"):
        archive.unlink()
    monkeypatch.setattr(data, "FileLock", None)  # a read-only disk
    assert load_mnist(raw.parents[1], fold=3).sizes()["validation"] == 6_000


def test_two_trainings_may_start_at_once(raw, mirror, monkeypatch):
    """The second waits for the first, and fetches nothing again."""
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    with patch.object(data.urllib.request, "urlopen", wraps=data.urllib.request.urlopen) as opened:
        with ThreadPoolExecutor(2) as both:
            list(both.map(make_available, [raw, raw]))
    addresses = [call.args[0] for call in opened.call_args_list]
    assert is_whole(raw) and sum(mirror.as_uri() in address for address in addresses) == 4


# ---- batches ------------------------------------------------------------------------------------


@pytest.fixture
def numbered():
    """100 images whose grey is their position, with its last figure as label."""
    positions = torch.arange(100)
    images = positions.byte().view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
    return images, positions % 10


def positions_of(x: torch.Tensor) -> torch.Tensor:
    """Which of the numbered images a batch holds."""
    return ((x[:, 0, 14, 14] * STD + MEAN) * 255).round().long()


def order_of(*arguments, **options) -> list[int]:
    """The positions in one pass of such batches."""
    return [n for x, _ in Batches(*arguments, **options) for n in positions_of(x).tolist()]


@pytest.mark.parametrize("augment", [None, RandomAffine(degrees=0)])
def test_an_epoch_meets_every_image_once_with_its_label(numbered, augment):
    batches, sizes, seen = Batches(*numbered, 32, augment, generator(1), generator(2)), [], []
    for x, y in batches:
        assert x.shape == (len(y), 1, 28, 28) and x.dtype == torch.float32
        assert torch.equal(positions_of(x) % 10, y)
        sizes.append(len(y))
        seen += positions_of(x).tolist()
    assert sizes == [32, 32, 32, 4] and len(batches) == 4
    assert sorted(seen) == list(range(100)) and seen != list(range(100))
    again = [n for x, _ in batches for n in positions_of(x).tolist()]
    assert again != seen  # each epoch has its own order
    assert order_of(*numbered, 50, order=generator(1)) == seen  # which the seed alone decides
    assert order_of(*numbered, batch_size=100) == list(range(100))


@pytest.mark.parametrize("batch_size", [0, -1, 101, 1.5])
def test_a_batch_size_that_does_not_fit_is_refused(numbered, batch_size):
    with pytest.raises(ValueError, match=f"batch size {batch_size} .* 100 images"):
        Batches(*numbered, batch_size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x / 255, y), "uint8 .* as load_mnist gives them, not torch.float32"),
        (lambda x, y: (x.squeeze(1), y), r"not torch.uint8 \(100, 28, 28\)"),
        (lambda x, y: (x[..., :20], y), r"not torch.uint8 \(100, 1, 28, 20\)"),
        (lambda x, y: (x, y[:99]), r"100 images need as many labels .* not torch.int64 \(99,\)"),
        (lambda x, y: (x, y.float()), "labels of type int64, not torch.float32"),
        (lambda x, y: (x, y + 1), r"labels must be 0..9, not 1..10"),
        (lambda x, y: (x, y - 1), r"labels must be 0..9, not -1..8"),
    ],
)
def test_other_images_or_labels_are_refused(numbered, change, message):
    with pytest.raises(ValueError, match=message):
        Batches(*change(*numbered), batch_size=10)
