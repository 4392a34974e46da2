"""One door: what it offers is there, it opens at once, and imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mnist_lib

ROOT = Path(mnist_lib.__file__).parent
BELOW = {  # what each part may import
    "engine": {"engine"},
    "top": {"engine", "top"},
    "experiments": {"engine", "top", "experiments"},
    "commands": {"engine", "top", "experiments", "commands"},
}
PROGRAM = """
import sys
import mnist_lib
print([name for name in ("torch", "numpy", "pandas", "matplotlib") if name in sys.modules])
"""


@pytest.mark.parametrize("name", mnist_lib.__all__)
def test_the_door_has_what_it_offers(name):
    assert getattr(mnist_lib, name) is not None and name in dir(mnist_lib)


def test_another_name_is_refused_with_what_there_is():
    with pytest.raises(AttributeError, match="has no 'load_digits'; it offers .*load_mnist"):
        mnist_lib.load_digits  # noqa: B018


def test_the_door_opens_at_once_because_it_loads_no_library():
    command = [sys.executable, "-c", PROGRAM]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "[]\n"


def part(module: str) -> str:
    return module.split(".")[0] if module.split(".")[0] in BELOW else "top"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    here = part(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if path.name == "__main__.py" or path == ROOT / "__init__.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnist_lib"):
            inside = node.module.removeprefix("mnist_lib").lstrip(".")
            for name in [inside] if inside else [each.name for each in node.names]:
                assert part(name) in BELOW[here], f"{path} imports {name}"
