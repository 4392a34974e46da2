"""What a fingerprint hashes: settings as text, a network as the list of all that it computes."""

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def as_text(value) -> str:
    """A setting as text that is the same in every process: no addresses, defaults written out."""
    if isinstance(value, functools.partial):
        named = [f"{name}={as_text(item)}" for name, item in value.keywords.items()]
        return f"{value.func.__name__}({', '.join([*map(as_text, value.args), *named])})"
    if inspect.isfunction(value) or inspect.isclass(value):
        return value.__name__
    if hasattr(value, "to_dict") and hasattr(value, "transforms"):  # an albumentations.Compose
        return json.dumps(value.to_dict()["transform"], sort_keys=True)
    if is_dataclass(value):
        arguments = ", ".join(f"{f.name}={as_text(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({arguments})"
    if type(value).__repr__ is object.__repr__:  # it would tell its address
        arguments = ", ".join(f"{name}={as_text(item)}" for name, item in vars(value).items())
        return f"{type(value).__name__}({arguments})"
    return repr(value)


@functools.cache
def computation(network: Callable[[], nn.Module]) -> list[str]:
    """Every tensor operation of making the network and of a pass of two images in either mode.

    Kernels, strides, padding, dilation, momentum, how weights are drawn and which result goes
    where: whatever decides a number is an argument of some operation.
    """
    with torch.random.fork_rng([]), torch.no_grad(), Recorder() as recorder:
        model = network()
        images = torch.zeros(2, 1, 28, 28)
        for training in (True, False):
            model.train(training)(images)
    return recorder.operations


class Recorder(TorchFunctionMode):
    """Writes down what is done with tensors, and gives each of them a number when it appears."""

    def __init__(self):
        super().__init__()
        self.operations: list[str] = []
        self.tensors: list[torch.Tensor] = []  # kept alive, so that none gets the place of another

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        result = function(*arguments, **options)
        takes_tensors = any(isinstance(x, torch.Tensor) for x in (*arguments, *options.values()))
        if takes_tensors and isinstance(result, torch.Tensor) and function.__name__ != "__get__":
            written = [self.written(item) for item in arguments]
            written += [f"{n}={self.written(x)}" for n, x in options.items() if x is not None]
            call = f"{function.__name__}({', '.join(written)})"
            self.operations.append(f"{self.written(result)} = {call}")
        return result

    def written(self, item) -> str:
        """A number to six digits, a tensor as its number and shape, anything else as it is."""
        if isinstance(item, torch.Tensor):
            seen = [number for number, tensor in enumerate(self.tensors) if tensor is item]
            if not seen:
                self.tensors.append(item)
            return f"t{seen[0] if seen else len(self.tensors) - 1}{list(item.shape)}"
        if isinstance(item, (list, tuple)):
            return f"[{', '.join(map(self.written, item))}]"
        return f"{item:.6g}" if isinstance(item, float) else str(item)
