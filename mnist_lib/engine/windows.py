"""The layers that look through a window: its kernel, stride and padding, and a short name."""

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
