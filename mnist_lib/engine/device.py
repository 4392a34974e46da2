"""What a run needs from its machine: a device, threads, memory, and random numbers of its own."""

import ctypes
import functools
import platform
import random
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch


def choose_device(name: str | torch.device = "auto") -> str:
    """The device to use; raises ValueError if this machine does not have it."""
    available = [kind for kind in ("cuda", "mps", "cpu") if works(kind)]
    name = available[0] if name == "auto" else str(name)
    if name.split(":")[0] in available and works(name):
        return name
    raise ValueError(f"device '{name}' is not available here; choose auto or {available}")


def works(device: str) -> bool:
    """Whether this device can hold a number: some virtual machines have an MPS that cannot."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):  # a PyTorch without CUDA asserts that it has it
        return False
    return True


@contextmanager
def use_threads(count: int):
    """So many threads of the CPU inside, as many as before outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, in place of giving it back to the system.

    Each step frees and asks for the same megabytes. The process then holds on to its peak. Other
    systems are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        mmap_threshold, trim_threshold = -3, -1  # names of malloc.h
        libc = ctypes.CDLL(None)
        # older versions take no more than 2**25
        if libc.mallopt(mmap_threshold, 2**30) or libc.mallopt(mmap_threshold, 2**25):
            libc.mallopt(trim_threshold, 2**31 - 1)


@contextmanager
def seeded(seed: int, device: str = "cpu"):
    """The global generators of PyTorch, numpy and Python, seeded inside and as before outside.

    Initialisation, dropout and per-image pipelines draw from them; nothing else here does.
    """
    states = random.getstate(), np.random.get_state()
    on_mps = device.startswith("mps")
    mps_state = torch.mps.get_rng_state() if on_mps else None  # fork_rng knows CPU and CUDA
    with torch.random.fork_rng([device] if device.startswith("cuda") else []):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            if on_mps:
                torch.mps.set_rng_state(mps_state)


def generator(seed: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that changing one thing moves no other draw."""
    offset = {"order": 1_000_003, "augmentation": 2_000_003}[purpose]
    return torch.Generator(device).manual_seed(seed + offset)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of what an epoch draws from the global generators, such as dropout."""
    return 3_000_003 + 1_000 * seed + epoch


def describe_machine(device: str) -> dict:
    """What a measurement is made on here and now."""
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
    }
