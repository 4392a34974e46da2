"""The ONNX file computes what the network computes, and tells its user what there is to know."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mnist_lib.commands import export
from mnist_lib.commands.main import main
from mnist_lib.engine.machine import DEFAULT_SEED, PROJECT
from mnist_lib.experiments import all_recipes, find
from mnist_lib.records import load_checkpoint, records_of


@pytest.fixture(autouse=True)
def folder(committed, monkeypatch, tmp_path):
    """An empty folder to write into."""
    monkeypatch.setattr(export, "output_folder", lambda: tmp_path / "my-results")
    monkeypatch.chdir(tmp_path)


def made(recipe, seed: int = DEFAULT_SEED) -> tuple[export.FromPixels, bytes]:
    (record,) = [record for record in records_of(recipe) if record["seed"] == seed]
    network = export.FromPixels(load_checkpoint(recipe, seed)).eval()
    return network, export.as_onnx(network, export.facts_of(record))


def logits_of(model: bytes, images: np.ndarray) -> np.ndarray:
    """As somebody else would run the file, without this library."""
    runtime = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return runtime.run(None, {"images": images})[0]


CHECKPOINTS = {path.parent.name: path for path in (PROJECT / "results/runs").glob("*/seed-*.pt")}


@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_every_recipe_that_has_a_checkpoint_can_be_exported(name, digits):
    recipe = {recipe.name: recipe for recipe in all_recipes()}[name]
    network, model = made(recipe, int(CHECKPOINTS[name].stem.removeprefix("seed-")))
    assert 0 <= export.compare(network, model, digits.test_images[:300]) < 1e-4


def test_the_command_writes_a_file_that_is_as_accurate_as_its_record(tmp_path, digits, capfd):
    assert main(["export", "08-small"]) == 0
    (file,) = (tmp_path / "my-results").iterdir()
    said = capfd.readouterr().out
    assert file.name == "08-small-seed-11.onnx" and f"{file.stat().st_size:,} bytes, 2,894" in said
    assert "it reads all 10,000 test digits as PyTorch does" in said
    images, labels = digits.test_images.numpy(), digits.test_labels.numpy()
    accuracy = (logits_of(file.read_bytes(), images).argmax(1) == labels).mean()
    (record,) = [r for r in records_of(find("08-small")) if r["seed"] == DEFAULT_SEED]
    assert accuracy == pytest.approx(record["history"][-1]["test_accuracy"])


def test_what_comes_in_and_out_and_where_it_comes_from_stand_inside():
    recipe = find("06-one-cycle")
    content = made(recipe)[1]
    assert content == made(recipe)[1]
    assert not re.search(rb"mnist_lib|site-packages|\.py\b|/home/|/root/|/tmp/|[A-Z]:\\\\", content)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    (images,), (logits,) = model.graph.input, model.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    for value, rest in ((images, [1, 28, 28]), (logits, [10])):
        first, *others = value.type.tensor_type.shape.dim
        assert first.dim_param == "n" and [size.dim_value for size in others] == rest
    facts = {entry.key: entry.value for entry in model.metadata_props}
    (record,) = [r for r in records_of(recipe) if r["seed"] == DEFAULT_SEED]
    assert facts["recipe"] == recipe.name and facts["seed"] == str(DEFAULT_SEED)
    assert facts["fingerprint"] == record["fingerprint"]
    assert float(facts["test_accuracy"]) == record["history"][-1]["test_accuracy"]
    assert "uint8 (n, 1, 28, 28)" in facts["input"] and "in the graph" in facts["normalisation"]


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch, capsys):
    other = export.FromPixels(load_checkpoint(find("08-small"), 12)).eval()
    as_onnx = export.as_onnx
    monkeypatch.setattr(export, "as_onnx", lambda _network, facts: as_onnx(other, facts))
    assert main(["export", "08-small"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not [*tmp_path.rglob("*.onnx")] and torch.is_tensor(next(other.parameters()))
