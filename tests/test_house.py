"""The house: what a learner reads stands at the top, and imports point one way."""

import ast
import functools
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import mnist_lib
from mnist_lib.train import fit

ROOT = Path(mnist_lib.__file__).parent
READ = {
    "data", "augment", "models", "recipes", "journey", "train", "records", "results", "summary",
    "visualize",
}  # fmt: skip
# what each storey may import; nothing imports the runner but the door to the command line
BELOW = {
    "engine": {"engine"},
    "top": {"top", "engine"},
    "published": {"published", "top", "engine"},
    "races": {"races", "top", "engine"},
    "choosing": {"choosing", "top", "engine"},
    "demo": {"demo", "top", "engine"},
    "runner": {"runner", "demo", "published", "races", "choosing", "top", "engine"},
    "__main__": {"runner"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
}


def imports(module: str) -> set[str]:
    """The modules of the library that this one imports anywhere, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnist_lib"):
            folder = node.module.removeprefix("mnist_lib").lstrip(".")
            for name in node.names:
                whole = f"{folder}.{name.name}".lstrip(".")
                found.add(whole if whole in MODULES else folder)
    return found


def storey(module: str) -> str:
    first = module.split(".")[0]
    return first if first in BELOW else "top"


@functools.cache
def floor(module: str) -> int:
    return 1 + max((floor(below) for below in imports(module)), default=0)


def test_a_learner_finds_ten_modules_and_six_packages():
    names = {module.name: module.ispkg for module in pkgutil.iter_modules([str(ROOT)])}
    assert {name for name, is_package in names.items() if not is_package} == READ | {"__main__"}
    packages = {name for name, is_package in names.items() if is_package}
    assert packages == BELOW.keys() - {"top", "__main__"}
    for name in packages:
        assert len(import_module(f"mnist_lib.{name}").__doc__.strip().splitlines()) >= 2


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down_only(module):
    for name in imports(module):
        assert storey(name) in BELOW[storey(module)], f"{module} imports {name}"


def test_there_are_at_most_nine_floors_and_the_door():
    assert max(floor(module) for module in MODULES if module != "__main__") <= 9


def test_files_can_be_read_in_one_sitting():
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert max(lines.values()) <= 250
    assert sum(count for name, count in lines.items() if storey(name) == "top") <= 1_540
    assert sum(lines.values()) <= 7_430
    assert len(inspect.getsource(fit).splitlines()) <= 42  # one screen
