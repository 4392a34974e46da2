"""What a run needs of its machine: folders, whole files, a device, threads, random numbers."""

import os
import platform
import random
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_SEED = 11  # of the pages: seeds 1 to 10 choose on folds, registered runs begin here
LARGEST_SEED = 2**31 - 1
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")

# ---- settings and folders -----------------------------------------------------------------------


def is_on(name: str, default: str = "") -> bool:
    """Whether an environment variable says yes; ValueError for any word but yes and no."""
    word = os.environ.get(name, default).strip().lower()
    if word not in (*YES, *NO):
        raise ValueError(f"{name}={word} is neither yes nor no; use 1 or 0")
    return word in YES


def is_short() -> bool:
    """Whether MNIST_LIB_SHORT asks for shortened runs, which only show that all works."""
    return is_on("MNIST_LIB_SHORT")


def results_folder() -> Path:
    """The committed results: $MNIST_LIB_RESULTS or results/ of the project."""
    return Path(os.environ.get("MNIST_LIB_RESULTS") or PROJECT / "results").expanduser()


def output_folder() -> Path:
    """Where runs are written: my-results/, or results/ if MNIST_LIB_RENEW asks for it.

    Shortened runs go to short/results/, far from the full ones.
    """
    project = results_folder().parent
    if is_short():
        return project / "short" / "results"
    return results_folder() if is_on("MNIST_LIB_RENEW") else project / "my-results"


def commit() -> dict:
    """The project's commit and whether its files are as committed; None outside a git checkout."""
    found = []
    for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", "mnist_lib"]):
        try:
            found.append(
                subprocess.check_output(
                    ["git", *command], cwd=PROJECT, stderr=subprocess.DEVNULL, text=True
                )
            )
        except (OSError, subprocess.CalledProcessError):  # no git here, or no checkout
            return {"commit": None, "clean": None}
    return {"commit": found[0].strip(), "clean": not found[1]}


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write beside the target, then rename: a kill or a full disk leaves the old file intact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(part, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(part, path)
    except BaseException as error:
        Path(part).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk names no file
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


# ---- device and threads -------------------------------------------------------------------------
# torch is imported where it is used: commands such as --help must not wait for it


def choose_device(name: str = "auto") -> str:
    """The device to train on.

    Args:
        name: ``"auto"`` (CUDA, else MPS, else CPU) or a name of PyTorch's, such as ``"cuda:1"``.

    Raises:
        ValueError: if this machine does not have the device.
    """
    available = [kind for kind in ("cuda", "mps", "cpu") if works(kind)]
    name = available[0] if name == "auto" else str(name)
    if name.split(":")[0] in available and works(name):
        return name
    raise ValueError(
        f"device '{name}' is not available here; choose auto or {', '.join(available)}"
    )


def works(device: str) -> bool:
    """Whether this device can hold a number: some virtual machines have an MPS that cannot."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):  # a PyTorch without CUDA asserts that it has it
        return False
    return True


def accelerate(model, device: str):
    """The model on its device; on a CPU with channels last, which takes up to a third less time."""
    import torch

    layout = torch.channels_last if device == "cpu" else torch.contiguous_format
    return model.to(device, memory_format=layout)


@contextmanager
def use_threads(count: int):
    """So many threads of the CPU inside, as many as before outside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe_machine(device: str) -> dict:
    """What a run is made on, for its record."""
    import torch

    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "started": f"{datetime.now():%FT%T}",
        **commit(),
    }


def check_count(what: str, value, lowest: int = 1, highest: int = LARGEST_SEED) -> None:
    """ValueError unless this is a whole number from the lowest to the highest."""
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"{what} must be a whole number from {lowest} to {highest:,}: {value!r}")


def prepare(seed: int, device: str = "auto", threads: int = 1, short: bool = False) -> None:
    """Check a page's parameters and set its threads and its length, for all of its cells.

    Args:
        seed: of the page's training, 0 to 2,147,483,647.
        device: see `choose_device`.
        threads: of the CPU, at most as many as there are cores.
        short: few digits and epochs, only to see that all cells work.

    Raises:
        ValueError: for a value that cannot be used, with a sentence that says why.
    """
    import torch

    check_count("SEED", seed, lowest=0)
    check_count("THREADS", threads, highest=os.cpu_count() or 1)
    choose_device(device)
    if not isinstance(short, bool):
        raise ValueError(f"SHORT must be True or False: {short!r}")
    refuse_unknown_parameters()
    if short:
        os.environ["MNIST_LIB_SHORT"] = "1"
    torch.set_num_threads(threads)


def refuse_unknown_parameters() -> None:
    """ValueError if papermill passed a parameter that the page lacks: it only warns of that."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    cells = get_ipython().user_ns.get("In", []) if get_ipython() else []
    for page, given in zip(cells, cells[1:], strict=False):
        if given.startswith("# Parameters\n"):  # papermill's cell stands after the page's own
            known, wanted = (set(re.findall(r"^(\w+)\s*[:=]", c, re.M)) for c in (page, given))
            if unknown := sorted(
                name for name in wanted - known if not name.startswith("PAPERMILL")
            ):
                names = ", ".join(sorted(known))
                raise ValueError(f"this page has no parameter {', '.join(unknown)}, but {names}")


# ---- random numbers -----------------------------------------------------------------------------


@contextmanager
def seeded(seed: int, device: str = "cpu"):
    """The global generators of PyTorch, numpy and Python, seeded inside and as before outside.

    Initialisation, dropout and per-image pipelines draw from them; nothing else here does.
    """
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state()
    mps_state = torch.mps.get_rng_state() if device.startswith("mps") else None
    with torch.random.fork_rng([device] if device.startswith("cuda") else []):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            if mps_state is not None:  # fork_rng knows CPU and CUDA only
                torch.mps.set_rng_state(mps_state)


def generator(seed: int, purpose: str, device: str = "cpu"):
    """A generator of its own for each purpose, so that changing one thing moves no other draw."""
    import torch

    offset = {"order": 1_000_003, "augmentation": 2_000_003}[purpose]
    return torch.Generator(device).manual_seed(seed + offset)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of what an epoch draws from the global generators, such as dropout."""
    return 3_000_003 + 1_000 * seed + epoch
