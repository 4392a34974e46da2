"""What a network is made of: its layer table and its receptive field, computed by walking it."""

import contextlib
import copy
import io
import re

import pandas as pd
import torch
import torchsummary
from torch import nn

from mnist_lib.engine.checks import IMAGE
from mnist_lib.engine.layer_windows import WINDOWED, check_follows, describe, window


def count_parameters(model: nn.Module) -> int:
    """Learnable numbers of the network; a shared layer counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def layer_table(model: nn.Module) -> str:
    """torchsummary's table of layers, output shapes and parameters, as text.

    torchsummary moves the statistics of batch normalisation and draws random numbers, so it gets a
    copy, and the global generator its state back. It also misses parameters that belong to no layer
    and counts shared layers twice: raises ValueError when its total is wrong.
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
    """One row per convolution, pooling and linear layer, in the order in which an image meets them.

    k, s, p  kernel, stride and padding in cells of the layer's input
    n        width of the output in cells
    j        jump: distance of two neighbouring cells, in input pixels; j_out = j_in * s
    r        receptive field: width of what one cell sees, in pixels; r_out = r_in + (k-1) * j_in

    Global average pooling counts with its true kernel, the width of its input, and so does a linear
    layer on a flattened map; a dilated kernel counts with its gaps. Computed by sending one blank
    image through a copy; raises ValueError for branches, and where something that is no layer
    changes the width.
    """
    rows, n, j, r = [], IMAGE[-1], 1, 1
    walked = copy.deepcopy(model).cpu().eval()

    def visit(layer: nn.Module, images: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal n, j, r
        check_follows(images[0], results, f"before {describe(layer)}")
        results.append(output.grad_fn)
        width = images[0].shape[-1]
        if images[0].dim() == 4 and width != n:
            raise ValueError(
                f"between the layers {n} cells became {width} before {describe(layer)}"
            )
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
