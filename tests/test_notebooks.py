"""The committed notebooks are executed pages; nbval executes them again and compares."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, cells_of, tags

from mnist_lib import journey
from mnist_lib.engine.machine import DEFAULT_SEED
from mnist_lib.train import fit

# what differs from run to run, or from machine to machine
VARIES = re.compile(
    r"\bfit\(|\btrain\(|verdict\(run\)|compare_speed|beside_tutorials"
    r'|"seconds"|relative_seconds|on seconds'
)

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def text_of(cell: dict) -> str:
    """What a cell printed and returned, as text."""
    outputs = [o.get("text") or o.get("data", {}).get("text/plain", []) for o in cell["outputs"]]
    return "\n".join("".join(output) for output in outputs)


@every_page
def test_it_was_executed_begins_as_all_do_and_folds_away_its_set_up_and_checks(path):
    """The rest of its form belongs to `make lint`."""
    cells = cells_of(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    set_up, parameters, imports, *_ = cells
    assert set_up["source"] == cells_of(PAGES[0])[0]["source"]
    assert cells_of(path, tag="parameters") == [parameters]  # typed, as papermill reads them
    assert all(isinstance(each, ast.AnnAssign) for each in ast.parse(parameters["source"]).body)
    assert f"SEED: int = {DEFAULT_SEED} " in parameters["source"]
    assert "prepare(SEED, DEVICE, THREADS, SHORT)" in imports["source"]
    for source in [cell["source"] for cell in cells if "hide-input" not in tags(cell)]:
        assert not re.search(r"^# @title|\b(claim|exercise)\(", source), source


@every_page
def test_nbval_compares_all_but_what_varies(path):
    compared = 0
    for cell in cells_of(path):
        varies = bool(VARIES.search(cell["source"])) and "exercise" not in tags(cell)
        assert varies == ("nbval-ignore-output" in tags(cell)), cell["source"]
        assert "nbval-skip" not in tags(cell) and "NBVAL_" not in cell["source"]
        compared += not varies and bool(text_of(cell).strip())
    assert compared >= 3


@every_page
def test_no_claim_is_crossed(path):
    """A missed target keeps its cross, but what an analysis says holds."""
    claims = [text_of(cell) for cell in cells_of(path) if "claim(" in cell["source"]]
    assert claims and "✗" not in "".join(claims) and "✓" in "".join(claims)


@every_page
def test_a_page_trains_all_steps_of_its_number(path):
    """What it prints may differ from the record in the last digits, on another processor."""
    printed = "\n".join(text_of(cell) for cell in cells_of(path))
    trained = set(re.findall(r"^'(.+)', seed \d+, 15 epochs", printed, re.MULTILINE))
    expected = {recipe.name for recipe in journey.JOURNEY if recipe.name[:2] == path.stem[:2]}
    assert trained >= expected


def test_the_network_of_a_readers_own_trains(synthetic):
    _, parameters, imports, *_ = cells_of(PAGES[9])
    names, (own,) = {}, cells_of(PAGES[9], tag="own-system")
    for cell in (parameters, imports, own):
        exec(cell["source"], names)
    run = fit(names["MINE"].but("mine-2", "smaller batches", batch_size=64), synthetic)
    assert run.history[-1]["test_accuracy"] > 0.5


# ---- the set-up cell, in an interpreter that knows no mnist_lib ---------------------------------

HIDDEN = """
import sys
from pathlib import Path
sys.meta_path = [each for each in sys.meta_path if "editable" not in str(each)]
sys.path = [path for path in sys.path if not (Path(path or ".") / "mnist_lib").is_dir()]
sys.prefix = sys.base_prefix
"""
START = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2]])"


def set_up(folder: Path, page: Path, repository: str = "") -> tuple[str, str]:
    """Run the cell in a folder as papermill does; returns where mnist_lib is, and what was said."""
    cell = cells_of(PAGES[0])[0]["source"]
    cell = cell.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
    code = f"{HIDDEN}\n{cell}\nimport mnist_lib\nprint(Path(mnist_lib.__file__).parents[1])"
    answer = subprocess.run(
        [sys.executable, "-c", START, str(page), code], cwd=folder, capture_output=True, text=True
    )
    return answer.stdout.strip(), answer.stderr


@pytest.fixture
def clone(tmp_path) -> Path:
    """A clone of the project, as far as the cell needs it."""
    for name in ("mnist_lib/__init__.py", "mnist_lib/train.py", "notebooks/page.ipynb"):
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "clone"


def test_the_clone_is_found_from_three_folders_without_an_installation(clone, tmp_path):
    page = clone / "notebooks" / "page.ipynb"
    for folder in (clone, page.parent, tmp_path):
        assert set_up(folder, page)[0] == str(clone)
    for folder in (clone, page.parent):  # where nothing names the page
        assert set_up(folder, Path("script.py"))[0] == str(clone)


@pytest.mark.skipif(sys.platform == "win32", reason="for Colab, which is Linux")
def test_without_a_clone_it_is_fetched_once_or_a_sentence_says_what_to_do(clone, tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.org", "-C", str(clone)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    folder, nowhere = tmp_path / "content", Path("page")
    folder.mkdir()
    for address in ("", (tmp_path / "no such project").as_uri()):
        found, said = set_up(folder, nowhere, address)
        assert not found and "open this notebook in a clone of the project: git cannot" in said
    assert not [*folder.iterdir()]
    for _ in range(2):  # the second time it is there
        assert set_up(folder, nowhere, clone.as_uri())[0] == str(folder / "mnist-tutorial")
