"""What a fingerprint hashes: settings as text, a network as the list of all that it computes."""

import functools
import hashlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def short_hash(decisive: list) -> str:
    """Twelve hexadecimal digits that stand for plain values."""
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:12]


def as_text(value) -> str:
    """A setting as text that is the same in every process: no addresses, defaults written out."""
    if isinstance(value, functools.partial):
        return call(as_text(value.func), value.args, value.keywords)
    if inspect.ismethod(value):
        return f"{as_text(value.__self__)}.{value.__name__}"
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__
    if type(value) in (list, tuple):
        return call("", value, {})
    if hasattr(value, "to_dict") and hasattr(value, "transforms"):  # an albumentations.Compose
        return json.dumps(value.to_dict()["transform"], sort_keys=True)
    if is_dataclass(value):
        shown = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, nn.Module):  # its repr may leave settings out
        bare = vars(nn.Module())
        shown = {name: item for name, item in vars(value).items() if name not in bare}
        shown |= dict(value.named_children())
    elif type(value).__repr__ is object.__repr__:
        shown = getattr(value, "__dict__", {})
    else:
        return without_addresses(repr(value))
    return call(type(value).__name__, (), shown)


def call(name: str, arguments, options: dict) -> str:
    """'name(argument, option=value)'."""
    written = [f"{option}={as_text(item)}" for option, item in options.items()]
    return f"{name}({', '.join([*map(as_text, arguments), *written])})"


def without_addresses(text: str) -> str:
    """The text without places in memory, which are others in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def computation(network: Callable[[], nn.Module]) -> list[str]:
    """Every tensor operation of making the network and of a pass of two images in either mode.

    Kernels, strides, padding, dilation, momentum, how weights are drawn and which result goes
    where: whatever decides a number is an argument of some operation. A fixed tensor counts with
    its shape only.
    """
    with torch.no_grad(), Recorder() as recorder:
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
        self.tensors = {}  # number by id; kept alive, so that none gets the id of another

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        result = function(*arguments, **options)
        name = function.__name__
        changes = has_tensor(result) and name != "__get__" or name == "__setitem__"
        if changes and has_tensor([*arguments, *options.values()]):
            written = [self.written(item) for item in arguments]
            written += [f"{n}={self.written(x)}" for n, x in options.items() if x is not None]
            self.operations.append(f"{self.written(result)} = {name}({', '.join(written)})")
        return result

    def written(self, item) -> str:
        """A number to six digits, a tensor as its number and shape, anything else as it is."""
        if isinstance(item, torch.Tensor):
            number, _ = self.tensors.setdefault(id(item), (len(self.tensors), item))
            return f"t{number}{list(item.shape)}"
        if isinstance(item, (list, tuple)):
            return f"[{', '.join(map(self.written, item))}]"
        return f"{item:.6g}" if isinstance(item, float) else without_addresses(str(item))


def has_tensor(item) -> bool:
    """Whether this is a tensor, or a list or tuple with one inside."""
    if isinstance(item, (list, tuple)):
        return any(map(has_tensor, item))
    return isinstance(item, torch.Tensor)
