"""A network to take away: one ONNX file, with all that its user must know inside."""

import copy
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import onnx
import onnxruntime
import pandas as pd
import torch
from torch import nn

from mnist_lib.data import MEAN, STD, load_mnist, normalise, to_float
from mnist_lib.engine.device import use_threads
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.layers import accelerate
from mnist_lib.recipes import Recipe
from mnist_lib.records import load_checkpoint, records_of

IMAGES, LOGITS = "images", "logits"  # names of the file's input and output
OPSET = 17  # of 2022: runtimes older than that are rare, and nothing newer is needed
LARGEST_DIFFERENCE = 1e-4  # of a logit, between PyTorch and the file
BATCH = 1_000  # digits at once, where there are many
ROUNDS = 15


class FromPixels(nn.Module):
    """A network with its normalisation in front: uint8 images (n, 1, 28, 28) in, logits out."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(normalise(to_float(images)))


def export(recipe: Recipe, seed: int, output: Path | None = None) -> list[str]:
    """Write the network of this recipe and seed; returns lines that say what became of it.

    output  a name that ends in .onnx; None: RECIPE-seed-N.onnx in the current folder
    raises  ValueError, or FileNotFoundError where there is no checkpoint; OSError if it cannot be
            written; ArithmeticError, and no file, if it does not compute the same as PyTorch
    """
    output = output or Path(f"{recipe.name}-seed-{seed}.onnx")
    if output.suffix.lower() != ".onnx":
        raise ValueError(
            f"'{output}' does not end in .onnx; take {output.with_suffix('.onnx').name}"
        )
    network, record = recorded_network(recipe, seed)
    model, images = as_onnx(network, facts_of(record)), load_mnist().test_images
    difference = compare(network, model, images)
    try:
        write_atomically(output, model)
    except OSError as error:
        folder = output.absolute().parent
        reason = f"cannot write {output.name} into {folder}: {error.strerror}"
        raise OSError(reason) from None
    return [
        f"wrote {output}: {len(model):,} bytes, {record['parameters']:,} parameters",
        f"same guesses as PyTorch for all {len(images):,} test digits; "
        f"logits differ by at most {difference:.1e}",
        "microseconds per digit on one thread, median [lowest–highest]:",
        microseconds(network, model, images).to_string(),
    ]


def recorded_network(recipe: Recipe, seed: int) -> tuple[FromPixels, dict]:
    """The network with the weights of this seed's last epoch, in eval mode, and its record.

    raises FileNotFoundError or ValueError that says what to do
    """
    network = FromPixels(load_checkpoint(recipe, seed)).eval()
    return network, next(record for record in records_of(recipe) if record["seed"] == seed)


def as_onnx(network: FromPixels, facts: dict[str, str]) -> bytes:
    """The network as ONNX for any number of images; the same bytes whenever it is asked for.

    PyTorch has two exporters. This is the older one: it is in all versions from 2.4 on, takes a
    second and needs no further package; its successor takes ten, and packs in where on this
    machine each line of code lies.
    """
    images, content = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there is a successor
        torch.onnx.export(
            network,
            (images,),
            content,
            input_names=[IMAGES],
            output_names=[LOGITS],
            dynamic_axes={IMAGES: {0: "n"}, LOGITS: {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def facts_of(record: dict) -> dict[str, str]:
    """What goes with the file: what comes in and out of it, and where it comes from."""
    return {
        "input": f"{IMAGES}: uint8 (n, 1, 28, 28), a digit as MNIST has it: 0 paper, 255 ink",
        "output": f"{LOGITS}: float32 (n, 10), one for each label; a softmax makes probabilities",
        "labels": "0 1 2 3 4 5 6 7 8 9",
        "normalisation": f"in the graph: (pixel / 255 - {MEAN}) / {STD}",
        "recipe": record["recipe"],
        "seed": str(record["seed"]),
        "fingerprint": record["fingerprint"],
        "parameters": str(record["parameters"]),
        "test_accuracy": f"{record['history'][-1]['test_accuracy']:.4f}",
    }


def session(model: bytes) -> onnxruntime.InferenceSession:
    """The file as onnxruntime runs it, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def compare(network: FromPixels, model: bytes, images: torch.Tensor) -> float:
    """The largest difference of a logit between PyTorch and onnxruntime on uint8 images.

    raises ArithmeticError if it is not small, or if the two guess differently anywhere
    """
    runtime = session(model)
    batches = images.split(BATCH)
    ours = torch.cat([network(x) for x in batches])
    theirs = torch.cat([torch.from_numpy(run(runtime, x)) for x in batches])
    difference = float((ours - theirs).abs().max())
    others = int((ours.argmax(1) != theirs.argmax(1)).sum())
    if others or not difference < LARGEST_DIFFERENCE:
        raise ArithmeticError(
            f"onnxruntime guesses differently for {others} of {len(images):,} digits, and logits "
            f"differ by up to {difference:.1e}; nothing was written"
        )
    return difference


def run(runtime: onnxruntime.InferenceSession, images: torch.Tensor):
    """Logits of uint8 images by onnxruntime, as numpy float32 (n, 10)."""
    return runtime.run([LOGITS], {IMAGES: images.numpy()})[0]


@torch.inference_mode()
def microseconds(network: FromPixels, model: bytes, images: torch.Tensor) -> pd.DataFrame:
    """Microseconds per digit on one thread, by turns: median, and lowest to highest in brackets.

    PyTorch has the layout of its images with which it is fastest.
    """
    runtime, fast = session(model), accelerate(copy.deepcopy(network), "cpu")
    ways = {"PyTorch": fast, "onnxruntime": lambda x: run(runtime, x)}
    with use_threads(1):
        columns = {f"{size:,} at once": time_by_turns(ways, images[:size]) for size in (1, BATCH)}
    return pd.DataFrame(columns)


def time_by_turns(ways: dict[str, Callable], images: torch.Tensor) -> dict[str, str]:
    """What each way takes for a digit; they take turns, so that a busy moment hits them all."""
    calls = max(1, 100 // len(images))  # a single digit is too short to be timed alone
    found = {name: [] for name in ways}
    for number in range(1 + ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            for _ in range(calls):
                way(images)
            seconds = (time.perf_counter() - started) / calls / len(images)
            if number:  # the first round warms up
                found[name].append(seconds * 1e6)
    return {
        name: f"{median(times):.1f} [{min(times):.1f}–{max(times):.1f}]"
        for name, times in found.items()
    }
