"""What a network is made of: its layer table and its receptive field, computed by walking it."""

import contextlib
import copy
import io
import re

import pandas as pd
import torch
import torchsummary
from torch import nn

from mnist_lib.data import IMAGE

WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Linear)


def count_parameters(model: nn.Module) -> int:
    """Learnable numbers of the network; a shared layer counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def layer_table(model: nn.Module) -> str:
    """torchsummary's table of layers, output shapes and parameters, as text.

    torchsummary moves the statistics of batch normalisation and draws random numbers, so it gets a
    copy, and the global generator its state back.

    Raises:
        ValueError: when torchsummary's total is wrong. It misses parameters that belong to no
            layer, and counts shared layers twice.
    """
    printed = io.StringIO()
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(printed):
        torchsummary.summary(copy.deepcopy(model).cpu().eval(), IMAGE, device="cpu")
    table = re.split(r"\n-+\nInput size", printed.getvalue())[0]  # without its estimates of memory
    total = count_parameters(model)
    if f"Total params: {total:,}\n" not in table:
        raise ValueError(f"torchsummary does not count the {total:,} parameters right:\n{table}")
    return table


def receptive_field(model: nn.Module) -> pd.DataFrame:
    """The receptive field after each convolution, pooling and linear layer, in the data's order.

    Global average pooling counts with its true kernel, the width of its input, and so does a linear
    layer on a flattened map; a dilated kernel counts with its gaps. Computed by sending one blank
    image through a copy (Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields).

    Returns:
        One row per layer, with k, s, p: kernel, stride and padding in cells of the layer's input;
        n: width of the output in cells;
        j: distance of neighbouring cells in input pixels, j_out = j_in * s;
        r: width in pixels of what one cell depends on, r_out = r_in + (k - 1) * j_in.

    Raises:
        ValueError: for branches, and where something that is no layer changes the width.
    """
    rows, n, j, r = [], IMAGE[-1], 1, 1
    walked = copy.deepcopy(model).cpu().eval()

    def visit(layer: nn.Module, images: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal n, j, r
        check_follows(images[0], results, f"before {describe(layer)}")
        results.append(output.grad_fn)
        width = images[0].shape[-1]
        if images[0].dim() == 4 and width != n:
            raise ValueError(f"{n} cells became {width} before {describe(layer)}, by no layer")
        k, s, p = window(layer, n)
        n = output.shape[-1] if output.dim() == 4 else 1
        r, j = r + (k - 1) * j, j * s
        rows.append({"layer": describe(layer), "k": k, "s": s, "p": p, "n": n, "j": j, "r": r})

    for layer in walked.modules():
        if isinstance(layer, WINDOWED):
            layer.register_forward_hook(visit)
    with torch.enable_grad():  # its graph remembers what was computed from what
        image = torch.zeros(1, *IMAGE, requires_grad=True).clone()
        results = [image.grad_fn]
        check_follows(walked(image), results, "at the end")
    return pd.DataFrame(rows)


def window(layer: nn.Module, n_in: int) -> tuple[int, int, int]:
    """Kernel, stride and padding of a layer on a map of n_in by n_in cells."""
    if isinstance(layer, nn.Linear):
        return n_in, n_in, 0
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        n_out = layer.output_size if isinstance(layer.output_size, int) else layer.output_size[0]
        if n_in % n_out:
            raise ValueError(f"adaptive pooling of {n_in} cells to {n_out} has uneven windows")
        return n_in // n_out, n_in // n_out, 0
    settings = (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    k, s, p, d = (value[0] if isinstance(value, tuple) else value for value in settings)
    k = d * (k - 1) + 1
    return k, s, {"same": (k - 1) // 2, "valid": 0}.get(p, p)


def check_follows(tensor: torch.Tensor, results: list, where: str) -> None:
    """ValueError unless a tensor was computed from the last of these results and no earlier one.

    Args:
        tensor: what comes next.
        results: ``grad_fn`` of the image and of what each layer has made of it so far.
        where: this is, for the message.
    """
    found, waiting, seen = set(), [tensor.grad_fn], set()
    while waiting:  # back through autograd's graph, each of its steps once
        step = waiting.pop()
        if step in results:
            found.add(step)
        elif step not in seen:
            waiting += [earlier for earlier, _ in getattr(step, "next_functions", ())]
            seen.add(step)
    if found != {results[-1]}:
        raise ValueError(
            f"there is a branch {where}: a receptive field is only known where each layer follows "
            "the one before it"
        )


def describe(layer: nn.Module) -> str:
    """A short name for a table: 'conv 8→16', 'depthwise conv 16', 'max pool', ..."""
    if isinstance(layer, nn.Conv2d):
        if layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1:
            return f"depthwise conv {layer.in_channels}"
        return f"conv {layer.in_channels}→{layer.out_channels}"
    if isinstance(layer, nn.Linear):
        return f"linear {layer.in_features}→{layer.out_features}"
    if isinstance(layer, nn.MaxPool2d):
        return "max pool"
    return "global average pool" if isinstance(layer, nn.AdaptiveAvgPool2d) else "average pool"
