"""What a run needs from its machine: a device, a memory layout, and random numbers of its own."""

import ctypes
import functools
import platform
from contextlib import contextmanager

import torch
from torch import nn


def choose_device(name: str = "auto") -> str:
    """The device to use; raises ValueError if this machine does not have it."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return available[0]
    try:
        if name.split(":")[0] in available:
            torch.zeros(1, device=name)
            return name
    except RuntimeError:
        pass  # the kind is there, but not this number
    raise ValueError(f"device '{name}' is not available here; choose auto or {available}")


def placed(model: nn.Module, device: str) -> nn.Module:
    """The model on the device, where its convolutions lay out their images in the fastest way.

    On a CPU that is channels last, which makes a training step of these narrow networks up to twice
    as fast. Several threads on 10 channels or fewer are an exception: S3-3 takes a tenth longer.
    """
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    narrow = all(convolution.out_channels <= 10 for convolution in convolutions)
    channels_last = device == "cpu" and not (narrow and torch.get_num_threads() > 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return model.to(device, memory_format=layout)


@functools.cache
def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, in place of giving it back to the system.

    Each step frees and asks for the same megabytes; to get them anew from Linux each time takes
    up to a quarter of a step. The process then holds on to its peak. Other systems are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        mmap_threshold, trim_threshold = -3, -1  # names of malloc.h
        libc = ctypes.CDLL(None)
        # older versions take no more than 2**25
        if libc.mallopt(mmap_threshold, 2**30) or libc.mallopt(mmap_threshold, 2**25):
            libc.mallopt(trim_threshold, 2**31 - 1)


@contextmanager
def own_randomness(seed: int, device: str = "cpu"):
    """PyTorch's global generators, seeded inside and put back as they were outside.

    Initialisation and dropout draw from them; nothing else here does.
    """
    on_mps = device.startswith("mps")
    mps_state = torch.mps.get_rng_state() if on_mps else None  # fork_rng knows CPU and CUDA
    with torch.random.fork_rng([device] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            if on_mps:
                torch.mps.set_rng_state(mps_state)


def generator(seed: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that changing one thing moves no other draw."""
    offset = {"order": 1_000_003, "augmentation": 2_000_003}[purpose]
    return torch.Generator(device).manual_seed(seed + offset)
