"""What a fingerprint hashes: settings as text, a network as the list of all that it computes.

The library's own parts count by their names and settings; the golden run of the tests guards what
they do. A reader's function or class counts by its code, so that another body is another recipe.
"""

import functools
import hashlib
import inspect
import json
import re
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# what comes with a version number of its own, or is guarded by the golden run
MEASURED = ("running_mean", "running_var", "num_batches_tracked")  # buffers that are no settings
LIBRARIES = ("mnist_lib", "torch", "torchvision", "albumentations", "numpy", "builtins")


def short_hash(decisive: list) -> str:
    """Twelve hexadecimal digits that stand for plain values."""
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:12]


def as_text(value) -> str:
    """A setting as text that is the same in every process: no addresses, defaults written out.

    Raises:
        ValueError: for an object that cannot be told apart from others of its class.
    """
    if isinstance(value, functools.partial):
        return call(as_text(value.func), value.args, value.keywords)
    if inspect.ismethod(value):
        return f"{as_text(value.__self__)}.{value.__name__}"
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__ + own_code(value)
    if type(value) in (list, tuple):
        return call("", value, {})
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(as_text, value))) + "}"
    if isinstance(value, dict):
        return call("", (), value)
    if isinstance(value, (torch.Tensor, np.ndarray)):  # their text leaves numbers out
        return call(type(value).__name__, [short_hash([np.asarray(value).tolist()])], {})
    if hasattr(value, "to_dict") and hasattr(value, "transforms"):  # an albumentations.Compose
        return json.dumps(value.to_dict()["transform"], sort_keys=True)
    if is_dataclass(value):
        shown = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, nn.Module):  # its repr may leave settings out
        bare = vars(nn.Module())
        shown = {name: item for name, item in vars(value).items() if name not in bare}
        shown |= dict(value.named_children())
    elif type(value).__repr__ is object.__repr__ or not is_library(type(value)):
        shown = settings_of(value)
    else:
        return without_addresses(repr(value))
    return call(type(value).__name__ + own_code(type(value)), (), shown)


def settings_of(value) -> dict:
    """The attributes of an object; ValueError if it shows none and may hide some."""
    if not hasattr(value, "__dict__"):
        raise ValueError(
            f"{value!r} cannot be told apart from other objects of its class: "
            "make the class a dataclass, or give it attributes"
        )
    return vars(value)


def call(name: str, arguments, options: dict) -> str:
    """'name(argument, option=value)'."""
    written = [f"{option}={as_text(item)}" for option, item in options.items()]
    return f"{name}({', '.join([*map(as_text, arguments), *written])})"


def without_addresses(text: str) -> str:
    """The text without places in memory, which are others in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


# ---- what a reader wrote counts by its code -----------------------------------------------------


def is_library(part) -> bool:
    """Whether a function or class comes from a library, where its name says what it does."""
    return (getattr(part, "__module__", None) or "builtins").split(".")[0] in LIBRARIES


def own_code(part, known: frozenset = frozenset()) -> str:
    """'#' and a hash of the code of a reader's function or class; '' for a library's."""
    if is_library(part) and getattr(part, "__name__", "") != "<lambda>" or part in known:
        return ""
    known |= {part}
    if inspect.isclass(part):
        members = [vars(each) for each in part.__mro__ if not is_library(each)]
        parts = [m[name] for m in members for name in sorted(m) if not name.startswith("__")]
        parts += [m["__call__"] for m in members if "__call__" in m]
        return "#" + short_hash([written(each, known) for each in parts])
    if not hasattr(part, "__code__"):
        raise ValueError(f"{part!r} shows no code, so that its changes could not be noticed")
    used = inspect.getclosurevars(part)
    outside = {**used.globals, **used.nonlocals}
    decisive = [code_of(part.__code__), [written(each, known) for each in part.__defaults__ or ()]]
    return "#" + short_hash([*decisive, {n: written(outside[n], known) for n in sorted(outside)}])


def written(value, known: frozenset) -> str:
    """A default, a closed-over value or a member of a class as text."""
    value = getattr(value, "__func__", value)  # of a static or class method
    if isinstance(value, types.ModuleType):
        return value.__name__
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__ + own_code(value, known)
    return as_text(value) if not isinstance(value, property) else written(value.fget, known)


def code_of(code: types.CodeType) -> list:
    """Instructions, names and constants of a function, without the lines that it stands on."""
    constants = [code_of(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]


# ---- what a network computes --------------------------------------------------------------------


def computation(network: Callable[[], nn.Module]) -> list[str]:
    """Every tensor operation of making the network and of a pass of two images in either mode.

    Kernels, strides, padding, dilation, momentum, how weights are drawn and which result goes
    where: whatever decides a number is an argument of some operation. Fixed numbers, such as
    a blur's kernel, count as they are.
    """
    with torch.no_grad(), Recorder() as recorder:
        model = network()
        images = torch.zeros(2, 1, 28, 28)
        for training in (True, False):
            model.train(training)(images)
    fixed = {n: b for n, b in model.named_buffers() if not n.endswith(MEASURED)}
    return recorder.operations + [f"{name} = {as_text(fixed[name])}" for name in sorted(fixed)]


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
            shown = [self.shown(item) for item in arguments]
            shown += [f"{n}={self.shown(x)}" for n, x in options.items() if x is not None]
            self.operations.append(f"{self.shown(result)} = {name}({', '.join(shown)})")
        return result

    def shown(self, item) -> str:
        """A number to six digits, a tensor as its number and shape, anything else as it is."""
        if isinstance(item, torch.Tensor):
            number, _ = self.tensors.setdefault(id(item), (len(self.tensors), item))
            return f"t{number}{list(item.shape)}"
        if isinstance(item, (list, tuple)):
            return f"[{', '.join(map(self.shown, item))}]"
        return f"{item:.6g}" if isinstance(item, float) else without_addresses(str(item))


def has_tensor(item) -> bool:
    """Whether this is a tensor, or a list or tuple with one inside."""
    if isinstance(item, (list, tuple)):
        return any(map(has_tensor, item))
    return isinstance(item, torch.Tensor)
