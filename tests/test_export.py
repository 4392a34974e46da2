"""The ONNX file computes what the network computes, and tells its user what there is to know."""

import re
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from mnist_lib.commands import export
from mnist_lib.commands.command_line import main
from mnist_lib.commands.training import find
from mnist_lib.engine.environment import DEFAULT_SEED, PROJECT
from mnist_lib.records import load_checkpoint, records_of
from mnist_lib.train import predict

RECIPES = ["06-one-cycle", "07-wider", "08-small"]


@pytest.fixture(autouse=True)
def committed(results, monkeypatch, tmp_path):
    """The project's own checkpoints, and an empty folder to write into."""
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    monkeypatch.chdir(tmp_path)


def exported(name: str) -> bytes:
    network, record = export.recorded_network(find(name), DEFAULT_SEED)
    return export.as_onnx(network, export.facts_of(record))


def logits_of(model: bytes, images: np.ndarray) -> np.ndarray:
    """As a stranger would run the file, without this library."""
    runtime = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return runtime.run(None, {"images": images})[0]


@pytest.mark.parametrize("name", RECIPES)
def test_it_guesses_what_the_network_guesses_for_every_test_digit(name, digits):
    recipe, images = find(name), digits.test_images
    theirs = torch.from_numpy(logits_of(exported(name), images.numpy()))
    ours = predict(load_checkpoint(recipe, DEFAULT_SEED), images)
    assert torch.equal(theirs.argmax(1), ours.argmax(1))
    assert torch.allclose(theirs.softmax(1), ours, atol=1e-5)
    (record,) = [r for r in records_of(recipe) if r["seed"] == DEFAULT_SEED]
    accuracy = (theirs.argmax(1) == digits.test_labels).double().mean()
    assert accuracy == pytest.approx(record["history"][-1]["test_accuracy"])


@pytest.mark.parametrize("name", RECIPES)
def test_its_logits_are_those_of_the_network(name, digits):
    network, _ = export.recorded_network(find(name), DEFAULT_SEED)
    images = digits.test_images[:500]
    with torch.no_grad():
        difference = network(images).numpy() - logits_of(exported(name), images.numpy())
    assert 0 < np.abs(difference).max() < 1e-4  # of two libraries, so not quite the same


def test_any_number_of_digits_gives_the_logits_of_each(digits):
    model, images = exported("08-small"), digits.test_images[:7].numpy()
    one_by_one = np.concatenate([logits_of(model, images[i : i + 1]) for i in range(7)])
    assert logits_of(model, images) == pytest.approx(one_by_one, abs=1e-4)
    assert logits_of(model, images[:0]).shape == (0, 10)


def test_what_comes_in_and_out_and_where_it_comes_from_stand_inside():
    model = onnx.load_from_string(exported("06-one-cycle"))
    onnx.checker.check_model(model, full_check=True)
    (images,), (logits,) = model.graph.input, model.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert logits.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    for value, rest in ((images, [1, 28, 28]), (logits, [10])):
        first, *others = value.type.tensor_type.shape.dim
        assert first.dim_param == "n" and [size.dim_value for size in others] == rest
    facts = {entry.key: entry.value for entry in model.metadata_props}
    recipe = find("06-one-cycle")
    (record,) = [r for r in records_of(recipe) if r["seed"] == DEFAULT_SEED]
    assert facts["recipe"] == recipe.name and facts["seed"] == str(DEFAULT_SEED)
    assert facts["fingerprint"] == recipe.fingerprint()
    assert float(facts["test_accuracy"]) == record["history"][-1]["test_accuracy"]
    assert facts["labels"].split() == [str(digit) for digit in range(10)]
    assert "uint8 (n, 1, 28, 28)" in facts["input"] and "in the graph" in facts["normalisation"]


def test_the_same_network_gives_the_same_bytes_and_nothing_of_this_machine():
    model = exported("07-wider")
    assert model == exported("07-wider") != exported("08-small")
    assert not re.search(rb"mnist_lib|site-packages|\.py\b|/home/|/root/|/tmp/|[A-Z]:\\\\", model)
    for node in onnx.load_from_string(model).graph.node:
        assert not node.doc_string and not node.metadata_props and not node.domain


def test_the_command_writes_the_file_and_says_what_it_weighs_and_takes(tmp_path, capfd):
    assert main(["export", "08-small", "--output", "new/digits.onnx"]) == 0
    written = (tmp_path / "new" / "digits.onnx").read_bytes()
    assert written == exported("08-small")
    said, complaints = capfd.readouterr()
    assert f"{len(written):,} bytes, 2,894 parameters" in said and not complaints
    assert "same guesses as PyTorch for all 10,000 test digits" in said
    for way in ("PyTorch", "onnxruntime"):
        (line,) = re.findall(rf"^{way} .+$", said, re.MULTILINE)
        spreads = re.findall(r"([\d.]+) \[([\d.]+)–([\d.]+)\]", line)
        assert len(spreads) == 2  # one digit, and a thousand at once
        for middle, low, high in spreads:
            assert 0 < float(low) <= float(middle) <= float(high)


def test_without_a_name_the_file_is_called_after_recipe_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "microseconds", lambda *_: pd.DataFrame())
    assert main(["export", "08-small", "--seed", "12"]) == 0
    (file,) = tmp_path.glob("*.onnx")
    assert file.name == "08-small-seed-12.onnx" and file.read_bytes() != exported("08-small")


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["06-one"], 2, "there is no recipe '06-one'; there are 06-one-cycle"),
        (["06-one-cycle", "--seed", "1"], 1, "no checkpoint of '06-one-cycle' with seed 1"),
        (["08-small", "--output", "digits.pt"], 2, "does not end in .onnx; take digits.onnx"),
        (["08-small", "--output", "taken/digits.onnx"], 1, "cannot write digits.onnx into"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path, capsys, arguments, status, words):
    (tmp_path / "taken").write_text("a file where a folder should be")
    assert main(["export", *arguments]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert [path.name for path in tmp_path.iterdir() if path.name != "results"] == ["taken"]


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "mnist_lib.commands.export")
    assert main(["export", "08-small"]) == 1
    said = capsys.readouterr().err
    assert said == "onnxruntime is missing: python -m pip install -e '.[export]'\n"


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch, capsys):
    other = exported("08-small")
    monkeypatch.setattr(export, "as_onnx", lambda network, facts: other)
    assert main(["export", "07-wider"]) == 2
    assert "guesses differently for" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.onnx"))
