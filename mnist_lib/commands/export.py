"""A network to take away: one ONNX file, with all inside that its user must know."""

import argparse
import warnings
from io import BytesIO

import onnx
import onnxruntime
import torch
from torch import nn

from mnist_lib.data import MEAN, STD, load_mnist, normalise, to_float
from mnist_lib.engine.machine import output_folder, write_atomically
from mnist_lib.experiments import find
from mnist_lib.records import load_checkpoint, records_of

OPSET = 20  # of 2023: the first with AffineGrid, which deskewing needs
LARGEST_DIFFERENCE = 1e-4  # of a logit, between PyTorch and the file
BATCH = 1_000  # digits at once


class FromPixels(nn.Module):
    """A network with its normalisation in front: uint8 images (n, 1, 28, 28) in, logits out."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(normalise(to_float(images)))


def export(options: argparse.Namespace) -> int:
    """Write the network of a recipe and a seed as ONNX, and say what became of it.

    Args:
        options: recipe (its name), seed, output (a file; None:
            my-results/RECIPE-seed-N.onnx).

    Returns:
        0.

    Raises:
        ValueError: for a name that means no recipe.
        OSError: where there is no checkpoint, or if the file cannot be written.
        ArithmeticError: if the file does not compute what PyTorch does; nothing is written then.
    """
    recipe, folder = find(options.recipe), output_folder()
    output = options.output or folder / f"{recipe.name}-seed-{options.seed}.onnx"
    network = FromPixels(load_checkpoint(recipe, options.seed)).eval()
    record = next(r for r in records_of(recipe) if r["seed"] == options.seed)
    model, images = as_onnx(network, facts_of(record)), load_mnist().test_images
    difference = compare(network, model, images)
    write_atomically(output, model)
    print(f"wrote {output}: {len(model):,} bytes, {record['parameters']:,} parameters")
    print(f"it reads all {len(images):,} test digits as PyTorch does, ", end="")
    print(f"and its logits differ by at most {difference:.1e}")
    return 0


def as_onnx(network: FromPixels, facts: dict[str, str]) -> bytes:
    """The network as ONNX for any number of images; the same bytes whenever it is asked for.

    PyTorch has two exporters. This is the older one: it takes a second and needs no further
    package. Its successor takes ten, and packs in where on this machine each line of code lies.
    """
    images, content = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), BytesIO()
    axes = {"images": {0: "n"}, "logits": {0: "n"}}
    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a successor, and that shapes are fixed
        torch.onnx.export(network, (images,), content, opset_version=OPSET, dynamo=False, **names)
    model = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def facts_of(record: dict) -> dict[str, str]:
    """What goes with the file: what comes in and out of it, and where it comes from."""
    return {
        "input": "images: uint8 (n, 1, 28, 28), a digit as MNIST has it: 0 paper, 255 ink",
        "output": "logits: float32 (n, 10), one for each label; a softmax makes probabilities",
        "labels": "0 1 2 3 4 5 6 7 8 9",
        "normalisation": f"in the graph: (pixel / 255 - {MEAN}) / {STD}",
        "recipe": record["recipe"],
        "seed": str(record["seed"]),
        "fingerprint": record["fingerprint"],
        "parameters": str(record["parameters"]),
        "test_accuracy": f"{record['history'][-1]['test_accuracy']:.4f}",
    }


@torch.inference_mode()
def compare(network: FromPixels, model: bytes, images: torch.Tensor) -> float:
    """The largest difference of a logit between PyTorch and onnxruntime on uint8 images.

    Raises:
        ArithmeticError: if it is not small, or if any image is read differently.
    """
    runtime = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ours = torch.cat([network(x) for x in images.split(BATCH)])
    theirs = [runtime.run(None, {"images": x.numpy()})[0] for x in images.split(BATCH)]
    theirs = torch.cat([torch.from_numpy(logits) for logits in theirs])
    difference, others = float((ours - theirs).abs().max()), ours.argmax(1) != theirs.argmax(1)
    if others.any() or not difference < LARGEST_DIFFERENCE:
        raise ArithmeticError(
            f"onnxruntime reads {int(others.sum())} of {len(images):,} digits differently, and "
            f"logits differ by up to {difference:.1e}; nothing was written"
        )
    return difference
