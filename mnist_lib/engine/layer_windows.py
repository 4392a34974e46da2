"""The layers that look through a window: kernel, stride and padding, their order, their names."""

import torch
from torch import nn

WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Linear)


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

    results  `grad_fn` of the image and of what each layer has made of it so far
    """
    if origins(tensor.grad_fn, results) != {results[-1]}:
        raise ValueError(
            f"there is a branch {where}: a receptive field is only known where each layer follows "
            "the one before it"
        )


def origins(step, results: list) -> set:
    """Those of the results to which autograd's graph leads back from a step, the nearest only."""
    if step in results:
        return {step}
    found = set()
    for earlier, _ in getattr(step, "next_functions", ()):
        found |= origins(earlier, results)
    return found


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
