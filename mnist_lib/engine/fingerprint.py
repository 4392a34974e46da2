"""What a fingerprint hashes: settings as text, a network as the list of all that it computes.

The library's own parts count by their names and settings; the golden run of the tests guards what
they do. A reader's function or class counts by its code, so that another body is another recipe.
"""

import enum
import functools
import hashlib
import inspect
import json
import re
import sys
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

MEASURED = ("running_mean", "running_var", "num_batches_tracked")  # buffers that are no settings
ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")  # a place in memory, another one in every process


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
    if isinstance(value, enum.Enum):
        return str(value) + ("" if is_library(type(value)) else f"={as_text(value.value)}")
    if hasattr(value, "to_dict") and hasattr(value, "transforms"):  # an albumentations.Compose
        return json.dumps(value.to_dict()["transform"], sort_keys=True) + own_steps(value)
    if is_dataclass(value):
        shown = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, nn.Module):  # its repr may leave settings out
        bare = vars(nn.Module())
        shown = {name: item for name, item in vars(value).items() if name not in bare}
        shown |= dict(value.named_children())
    elif hasattr(value, "__dict__"):
        shown = vars(value)
    elif type(value).__repr__ is object.__repr__ or not is_library(type(value)):
        raise ValueError(
            f"{value!r} cannot be told apart from other objects of its class: "
            "make the class a dataclass, or give it attributes"
        )
    else:
        return ADDRESS.sub("", repr(value))
    return call(type(value).__name__ + own_code(type(value)), (), shown)


def own_steps(pipeline) -> str:
    """What a reader wrote of the steps of an albumentations pipeline, which names them only."""
    steps = [(type(step), getattr(step, "custom_apply_fns", {})) for step in pipeline.transforms]
    own = [own_code(kind) + "".join(map(own_code, made.values())) for kind, made in steps]
    nested = [own_steps(step) for step in pipeline.transforms if hasattr(step, "transforms")]
    return "".join([*own, *nested])


def call(name: str, arguments, options: dict) -> str:
    """'name(argument, option=value)'."""
    written = [f"{option}={as_text(item)}" for option, item in options.items()]
    return f"{name}({', '.join([*map(as_text, arguments), *written])})"


# ---- what a reader wrote counts by its code -----------------------------------------------------


def is_library(part) -> bool:
    """Whether a function or class is installed, so that its name says what it does."""
    module = getattr(part, "__module__", None) or "builtins"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    top = module.split(".")[0]
    return top == "mnist_lib" or top in sys.stdlib_module_names or "-packages" in file


def own_code(part, known: frozenset = frozenset()) -> str:
    """'#' and a hash of the code of a reader's function or class; '' for an installed one."""
    if is_library(part) or part in known:
        return ""
    known |= {part}
    if inspect.isclass(part):
        own = [each for each in part.__mro__ if not is_library(each)]
        parts = [(n, m) for each in own for n, m in sorted(vars(each).items()) if decides(n, m)]
        return "#" + short_hash([[name, written(member, known)] for name, member in parts])
    if not hasattr(part, "__code__"):
        raise ValueError(f"{part!r} shows no code, so that its changes could not be noticed")
    used = {**inspect.getclosurevars(part).nonlocals}
    used |= {n: part.__globals__[n] for n in names_in(part.__code__) if n in part.__globals__}
    outside = {name: written(used[name], known) for name in sorted(used)}
    defaults = [part.__defaults__ or (), part.__kwdefaults__ or {}]
    return "#" + short_hash([code_of(part.__code__), written(defaults, known), outside])


def decides(name: str, member) -> bool:
    """Whether a member of a class may change what its objects do: no bookkeeping of Python's."""
    is_method = hasattr(getattr(member, "__func__", member), "__code__")
    return is_method or not (name.startswith("_") or isinstance(member, types.MemberDescriptorType))


def written(value, known: frozenset) -> str:
    """A default, a closed-over value or a member of a class as text."""
    for wrapper in ("__func__", "fget", "func"):  # of static methods, properties, cached ones
        if not isinstance(value, functools.partial):
            value = getattr(value, wrapper, None) or value
    if isinstance(value, types.ModuleType):
        return value.__name__
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__ + own_code(value, known)
    return as_text(value)


def names_in(code: types.CodeType) -> set[str]:
    """The names that a function uses, in its inner functions as well."""
    inner = (names_in(each) for each in code.co_consts if isinstance(each, types.CodeType))
    return {*code.co_names}.union(*inner)


def code_of(code: types.CodeType) -> list:
    """Instructions, names and constants of a function, without the lines that it stands on."""
    constants = [
        code_of(each) if isinstance(each, types.CodeType) else as_text(each)
        for each in code.co_consts
    ]
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
    # the tensors that are neither learned nor measured
    fixed = {name: buffer for name, buffer in model.named_buffers() if not name.endswith(MEASURED)}
    fixed |= {name: p for name, p in model.named_parameters() if not p.requires_grad}
    for place, layer in model.named_modules():
        own = vars(layer).items()
        fixed |= {f"{place}.{n}": x for n, x in own if isinstance(x, torch.Tensor)}
    numbers = [f"{name} = {as_text(fixed[name].detach())}" for name in sorted(fixed)]
    return recorder.operations + numbers


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
        return f"{item:.6g}" if isinstance(item, float) else ADDRESS.sub("", str(item))


def has_tensor(item) -> bool:
    """Whether this is a tensor, or a list or tuple with one inside."""
    if isinstance(item, (list, tuple)):
        return any(map(has_tensor, item))
    return isinstance(item, torch.Tensor)
