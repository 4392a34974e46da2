"""The committed notebooks are executed pages, and they show what the committed records say.

Nothing is executed here; nbval does that. These tests see to it that it has something to compare.
"""

import ast
import copy
import html
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_lib import journey, records
from mnist_lib.commands import report
from mnist_lib.commands.jobs import DEFAULT_SEED, DEFAULT_SYSTEM
from mnist_lib.data import TEST_SIZE, Batches
from mnist_lib.engine.environment import PROJECT
from mnist_lib.engine.progress import epoch_line
from mnist_lib.engine.store import RUNS, TRIALS, as_json
from mnist_lib.experiments.comparison import comparison
from mnist_lib.experiments.pilots import CHOICES, FRONTIER, WINNERS
from mnist_lib.experiments.registration import registrations_of
from mnist_lib.experiments.systems import SYSTEMS, system
from mnist_lib.experiments.to_target import LOOKS, SOONER, TO_TARGET, WINNER
from mnist_lib.results import ledger, verdict
from mnist_lib.train import evaluate, fit

RESULTS = PROJECT / "results"
CANDIDATES = [recipe for tried in [*CHOICES, *FRONTIER, TO_TARGET, LOOKS] for recipe in tried]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
HOW_TO_RENEW = (
    "page and records differ. After an interrupted `make run` the records are newer than the page: "
    "`make run` again finishes it"
)
HEADINGS = [
    "Target", "Change", "Data", "Network", "Training", "Result", "Analysis", "Ledger", "Next",
]  # fmt: skip
YOUR_TURN = "Your turn"  # before the ledger, where something is trained; see test_exercises.py
LONGEST_CELL = 25
LARGE = "S4-0"  # its checkpoint of 25 MB is not committed

# what a notebook that trains computes anew and compares with its page
DETERMINISTIC = (
    ".changes()", "digits.sizes()", "layer_table(", "receptive_field(",
    "load_checkpoint(", "verdict(TARGET, records_of(RECIPE))", "claim(", "ledger(JOURNEY",
)  # fmt: skip
FREE = re.compile(r"\bfit\(|\brace\(|\bfind_learning_rate\(|verdict\(TARGET, \[as_record\(")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|work|tmp|Users)/|\b[A-Z]:\\(?=\w)")
EPOCH = re.compile(r"^epoch +\d+/\d+ ", re.MULTILINE)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
training_notebooks = pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if journey.recipes_of(p.stem)], ids=lambda path: path.stem
)
every_recipe = pytest.mark.parametrize("recipe", journey.JOURNEY, ids=lambda recipe: recipe.name)


@pytest.fixture(autouse=True)
def committed(results, monkeypatch):
    """The project's own records in place of the empty folder of a test; nothing is written."""
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(RESULTS))


# ---- reading ------------------------------------------------------------------------------------


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tagged(notebook: dict, tag: str) -> list[dict]:
    return [cell for cell in notebook["cells"] if tag in tags(cell)]


def is_exercise(cell: dict) -> bool:
    """A reader's part, which trains nothing before an answer is there."""
    return "exercise" in tags(cell)


def texts(cell: dict) -> list[str]:
    """What a cell printed or returned, as text; pictures are left out."""
    found = []
    for output in cell["outputs"]:
        plain = output.get("text") or output.get("data", {}).get("text/plain", [])
        found.append("".join(plain))
    return found


def page_text(notebook: dict) -> str:
    return "\n".join(text for cell in code_cells(notebook) for text in texts(cell))


def compared(notebook: dict) -> list[dict]:
    """The cells whose output nbval compares.

    It passes over cells with its tags or comments, and, silently, over those never executed. A
    picture alone is not compared either: all that stands beside it is its size.
    """
    return [
        cell
        for cell in code_cells(notebook)
        if cell["execution_count"] is not None
        and any(text.strip() and not text.startswith("<Figure") for text in texts(cell))
        and not any(tag.lower().startswith("nbval") for tag in tags(cell))
        and "NBVAL_" not in source(cell)
    ]


def missing(notebook: dict) -> list[str]:
    """The deterministic parts that no compared cell holds."""
    sources = [source(cell) for cell in compared(notebook)]
    return [part for part in DETERMINISTIC if not any(part in text for text in sources)]


def recipe_named(name: str, notebook: dict):
    """The recipe that a notebook calls by this name; RECIPE is the one it imports so."""
    if name == "RECIPE":
        code = "\n".join(map(source, code_cells(notebook)))
        (name,) = re.findall(
            r"^from mnist_lib\.journey import (\w+) as RECIPE$", code, re.MULTILINE
        )
    return getattr(journey, name)


def record_of(recipe, seed: int) -> dict:
    (record,) = [r for r in records.records_of(recipe) if r["seed"] == seed]
    return record


def errors_of(record: dict) -> int:
    return round((1 - record["history"][-1]["test_accuracy"]) * TEST_SIZE)


def is_as_committed(path: Path) -> bool:
    """Whether nothing was executed here since; where there is no git, it is taken for granted."""
    try:
        command = ["git", "diff", "--quiet", "HEAD", "--", path.name]
        answer = subprocess.run(command, cwd=path.parent, capture_output=True)
    except OSError:
        return True
    return answer.returncode != 1


def strings(value) -> list[str]:
    """Every text of a notebook with its lines joined, except pictures, whose letters are random."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        kept = [item for key, item in value.items() if not key.startswith("image/")]
        return [*value, *(text for item in kept for text in strings(item))]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return ["".join(value)]
        return [text for item in value for text in strings(item)]
    return []


# ---- form ---------------------------------------------------------------------------------------


def test_the_fourteen_notebooks_are_there():
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert numbers == [f"{number:02d}" for number in range(1, 15)]


@every_notebook
def test_it_was_executed_from_top_to_bottom_without_an_error(path):
    cells = code_cells(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error", source(cell)
            assert output.get("name") != "stderr", "".join(output["text"])
            assert output.get("execution_count", cell["execution_count"]) == cell["execution_count"]


@every_notebook
def test_nothing_of_the_machine_is_left(path):
    notebook = read(path)
    assert not {"widgets", "papermill", "mnist_lib"} & notebook["metadata"].keys()
    for cell in notebook["cells"]:
        assert not {"papermill", "execution"} & cell["metadata"].keys()
        assert "injected-parameters" not in tags(cell)
        mimes = {mime for output in cell.get("outputs", []) for mime in output.get("data", {})}
        assert not any("widget" in mime for mime in mimes)
    paths = [text for text in strings(notebook) if MACHINE_PATH.search(text)]
    assert not paths, paths[0]
    assert path.stat().st_size < 400_000


def test_a_machine_path_would_be_found():
    for text in ("see /home/me/x", '"/tmp/a.png"', "file:///Users/me/", r"in C:\data", "/root/x"):
        assert MACHINE_PATH.search(text), text
    for text in ("https://a.org/home/me/", "../tmp/x", "a/work/b", "tried:\\n", "~/tmp/x"):
        assert not MACHINE_PATH.search(text), text


@every_notebook
def test_it_has_all_headings_in_order(path):
    pages = [source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "markdown"]
    expected = list(HEADINGS)
    if journey.recipes_of(path.stem):
        expected.insert(expected.index("Ledger"), YOUR_TURN)
    assert re.findall(r"^## (.+)$", "\n".join(pages), re.MULTILINE) == expected
    assert re.findall(r"^# (\d\d) · .+$", "\n".join(pages), re.MULTILINE) == [path.stem[:2]]


@every_notebook
def test_its_first_cells_are_bootstrap_and_parameters(path):
    notebook = read(path)
    bootstrap, parameters, *_ = code_cells(notebook)
    assert tagged(notebook, "bootstrap") == [bootstrap]
    assert tagged(notebook, "parameters") == [parameters]
    assert source(bootstrap) == source(tagged(read(NOTEBOOKS[0]), "bootstrap")[0])
    assert len(source(bootstrap).splitlines()) <= 8
    lines = source(parameters).splitlines()
    statements = ast.parse(source(parameters)).body
    assert [statement.lineno for statement in statements] == list(range(1, len(lines) + 1))
    names = [statement.targets[0].id for statement in statements]
    assert names[:3] == ["SEED", "DEVICE", "THREADS"] and all(name.isupper() for name in names)
    assert all(isinstance(statement.value, ast.Constant) for statement in statements)


BOOTSTRAPPED = """
import sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
if {missing}:  # as in Colab: no trace of an installed project
    sys.meta_path = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "")]
    sys.path = ["", *(path for path in sys.path if not (Path(path) / "mnist_lib").is_dir())]
before = list(sys.path)
result = InteractiveShell().run_cell({cell!r})
assert {missing} or sys.path == before
print(result.error_in_exec or Path(sys.modules["mnist_lib"].__file__).parents[1])
"""


def bootstrap(folder: Path, missing: bool, repository: str = "") -> str:
    """The last line of what the first cell prints in this folder: where it found the library."""
    cell = source(tagged(read(NOTEBOOKS[0]), "bootstrap")[0])
    cell = cell.replace('REPOSITORY = ""', f'REPOSITORY = "{repository}"')
    if repository:
        cell += "\nimport mnist_lib"  # as the next cell does
    code = BOOTSTRAPPED.format(missing=missing, cell=cell)
    environment = os.environ | {"VIRTUAL_ENV": sys.prefix}  # IPython adds another one's packages
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return answer.stdout.strip().splitlines()[-1]


def test_the_first_cell_takes_an_installed_library_from_any_folder(tmp_path):
    assert bootstrap(tmp_path, missing=False) == str(PROJECT)


def test_the_first_cell_says_what_to_do_without_library_and_address(tmp_path):
    said = bootstrap(tmp_path, missing=True)
    assert "open this notebook in a clone" in said and "make badges" in said


@pytest.mark.skipif(sys.platform == "win32", reason="for Colab, which is Linux")
def test_the_first_cell_fetches_the_project_once_and_after_a_broken_clone(tmp_path):
    origin, folder = tmp_path / "origin", tmp_path / "content"
    (origin / "mnist_lib").mkdir(parents=True)
    (origin / "mnist_lib" / "__init__.py").write_text("")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        names = ["-c", "user.name=a", "-c", "user.email=a@b.org"]
        subprocess.run(["git", *names, *command], cwd=origin, check=True)
    (folder / "part" / ".git").mkdir(parents=True)  # what an interrupted clone may leave
    expected = str(folder / "mnist-tutorial")
    assert bootstrap(folder, missing=True, repository=origin.as_uri()) == expected
    mine = folder / "mnist-tutorial" / "mine.txt"
    mine.write_text("notes")
    assert bootstrap(folder, missing=True, repository=origin.as_uri()) == expected
    assert mine.exists()


@every_notebook
def test_set_up_and_the_code_of_claims_are_folded_away(path):
    """In the rendered site (hide-input), in JupyterLab and in Colab; a title says what is there."""
    cells = code_cells(read(path))
    for cell in cells:
        text = source(cell)
        sets_up = "bootstrap" in tags(cell) or text.startswith("# @title Imports")
        if sets_up or "claim(" in text or "exercise(" in text:
            assert "hide-input" in tags(cell), text
    for cell in cells:
        if "hide-input" in tags(cell):
            assert cell["metadata"]["jupyter"]["source_hidden"]
            assert cell["metadata"]["cellView"] == "form"
            assert source(cell).startswith("# @title ")


def test_what_a_notebook_runs_by_default_is_what_the_commands_take_for_its_page():
    parameters = "\n".join(source(tagged(read(path), "parameters")[0]) for path in NOTEBOOKS)
    assert set(re.findall(r"^SEED = (\d+)", parameters, re.MULTILINE)) == {str(DEFAULT_SEED)}
    assert re.findall(r'^SYSTEM = "(.+)"', parameters, re.MULTILINE) == [DEFAULT_SYSTEM]


@every_notebook
def test_no_cell_is_too_long(path):
    for cell in code_cells(read(path)):
        folded_imports = source(cell).startswith("# @title Imports")
        limit = LONGEST_CELL + 5 if folded_imports else LONGEST_CELL
        assert len(source(cell).splitlines()) <= limit, source(cell)


# ---- what nbval compares ------------------------------------------------------------------------


@every_notebook
def test_only_what_is_trained_anew_may_differ(path):
    for cell in code_cells(read(path)):
        free = bool(FREE.search(source(cell))) and not is_exercise(cell)
        assert [tag for tag in tags(cell) if "nbval" in tag.lower()] == (
            ["nbval-ignore-output"] if free else []
        ), source(cell)
        assert "NBVAL_" not in source(cell)


@training_notebooks
def test_all_that_is_deterministic_is_compared(path):
    assert missing(read(path)) == []


@every_notebook
def test_something_is_compared_and_stripped_outputs_are_noticed(path):
    notebook = read(path)
    assert len(compared(notebook)) >= 3
    stripped, never_run = copy.deepcopy(notebook), copy.deepcopy(notebook)
    for cell in code_cells(stripped):
        cell["outputs"] = []
    for cell in code_cells(never_run):
        cell["execution_count"] = None
    for copied in (stripped, never_run):
        assert compared(copied) == [] and missing(copied) == list(DETERMINISTIC)


def test_the_guard_sees_what_nbval_passes_over():
    def cell(text="99.52%", count=1, code="evaluate()", **metadata):
        stream = {"output_type": "stream", "name": "stdout", "text": [text]}
        return {
            "cell_type": "code", "execution_count": count, "metadata": metadata,
            "outputs": [stream], "source": [code],
        }  # fmt: skip

    good = cell()
    passed_over = [
        cell(text=" \n"),
        cell(text="<Figure size 585x306 with 1 Axes>"),
        cell(count=None),
        cell(tags=["nbval-ignore-output"]),
        cell(tags=["nbval-skip"]),
        cell(code="# NBVAL_IGNORE_OUTPUT\nevaluate()"),
    ]
    assert compared({"cells": [good, *passed_over]}) == [good]


# ---- what the pages say -------------------------------------------------------------------------


@every_notebook
def test_no_claim_is_crossed(path):
    """What an analysis says has to hold; a target may be missed, and then its cross stays.

    A page that was executed on another machine only has to say what its own records say.
    """
    if not is_as_committed(path):
        pytest.skip("executed here: its sentences were written for the committed numbers")
    cells = [cell for cell in code_cells(read(path)) if "claim(" in source(cell)]
    text = "\n".join("".join(texts(cell)) for cell in cells)
    assert "✗" not in text and "✓" in page_text(read(path))


@training_notebooks
def test_the_verdict_is_that_of_the_records(path):
    notebook = read(path)
    recipe = recipe_named("RECIPE", notebook)
    expected = repr(verdict(journey.TARGETS[recipe.name], records.records_of(recipe)))
    (cell,) = [
        cell
        for cell in code_cells(notebook)
        if source(cell).endswith("verdict(TARGET, records_of(RECIPE))")
        and not source(cell).startswith("verdict(")
    ]
    assert texts(cell)[-1] == expected, HOW_TO_RENEW


@training_notebooks
def test_a_training_shows_one_line_per_epoch_those_of_its_record(path):
    notebook = read(path)
    trained = []
    for cell in [cell for cell in code_cells(notebook) if not is_exercise(cell)]:
        for name in re.findall(r"\bfit\((\w+),", source(cell)):
            recipe = recipe_named(name, notebook)
            history = record_of(recipe, seed=DEFAULT_SEED)["history"]
            *lines, last = "".join(texts(cell)).splitlines()
            assert lines == [epoch_line(row, recipe.epochs) for row in history], HOW_TO_RENEW
            seed = f"seed {DEFAULT_SEED}, {recipe.epochs} epochs on "
            assert last.startswith(f"'{recipe.name}', {seed}")
            assert f"test {history[-1]['test_accuracy']:7.2%} " in lines[-1]
            trained.append(recipe)
    assert {recipe.name for recipe in trained} == {r.name for r in journey.recipes_of(path.stem)}
    assert len(EPOCH.findall(page_text(notebook))) == sum(recipe.epochs for recipe in trained)


@training_notebooks
def test_the_result_is_that_of_the_record(path):
    notebook = read(path)
    record = record_of(recipe_named("RECIPE", notebook), DEFAULT_SEED)
    accuracy = record["history"][-1]["test_accuracy"]
    errors = f"{accuracy:.2%}, {errors_of(record)} errors of 10,000"
    shown = re.findall(r"^checkpoint of seed .*$", page_text(notebook), re.MULTILINE)
    assert shown == [f"checkpoint of seed {DEFAULT_SEED}: {errors}"], HOW_TO_RENEW


@pytest.mark.parametrize("recipe", WINNERS, ids=lambda recipe: recipe.name)
def test_the_frontier_pages_show_their_records(recipe):
    """One line per epoch of the run that was trained there, and the verdict over all seeds."""
    (path,) = [path for path in NOTEBOOKS if path.stem[:2] == recipe.name[:2]]
    page = page_text(read(path))
    for row in record_of(recipe, DEFAULT_SEED)["history"]:
        assert epoch_line(row, recipe.epochs) in page, HOW_TO_RENEW
    shown = repr(verdict(journey.TARGETS[recipe.name], records.records_of(recipe)))
    assert shown in page, HOW_TO_RENEW


def test_notebook_09_shows_the_errors_of_every_seed():
    notebook = read(NOTEBOOKS[8])
    assert recipe_named("RECIPE", notebook) is journey.BEST
    expected = [
        f"seed {record['seed']}: {errors_of(record)} errors of 10,000"
        for record in records.records_of(journey.BEST)
    ]
    shown = re.findall(r"^seed \d+: .*$", page_text(notebook), re.MULTILINE)
    assert shown == expected and len(shown) > 1, HOW_TO_RENEW


@every_notebook
def test_the_ledger_is_that_of_the_records(path):
    (cell,) = [c for c in code_cells(read(path)) if source(c).startswith("ledger(JOURNEY")]
    (end,) = re.fullmatch(r"ledger\(JOURNEY(?:\[:(\d+)\])?\)", source(cell)).groups()
    steps = journey.JOURNEY[: int(end) if end else None]
    # up to the last recipe of this notebook: no step is left out and none told in advance
    assert steps[-1] == (journey.recipes_of(path.stem) or journey.JOURNEY)[-1]
    table = ledger(steps)
    (output,) = cell["outputs"]
    page = "".join(output["data"]["text/html"])
    assert table_cells(page) == table_cells(table._repr_html_()), HOW_TO_RENEW
    assert list(table.index) == [recipe.name for recipe in steps]
    assert table["test accuracy"].iloc[-1] in table_cells(page)


def test_the_table_of_the_systems_is_that_of_the_records():
    notebook = read(NOTEBOOKS[9])
    (cell,) = [c for c in code_cells(notebook) if source(c) == "comparison()"]
    (output,) = cell["outputs"]
    page = "".join(output["data"]["text/html"])
    assert table_cells(page) == table_cells(comparison()._repr_html_()), HOW_TO_RENEW
    lines = EPOCH.findall(page_text(notebook))
    record = record_of(system(DEFAULT_SYSTEM), DEFAULT_SEED)
    assert len(lines) == 15
    for row in record["history"]:
        assert epoch_line(row, 15) in page_text(notebook)


def test_the_readme_is_that_of_the_records(monkeypatch):
    """`report` would change nothing in it."""
    made = {}
    monkeypatch.setattr(
        report, "write_atomically", lambda path, content: made.update({path.name: content})
    )
    _, problems = report.rebuild()
    assert problems == []
    assert made["README.md"] == (PROJECT / "README.md").read_text(encoding="utf-8"), HOW_TO_RENEW


@pytest.fixture
def other_machine(tmp_path, monkeypatch) -> Path:
    """A clone in which the page's seed of every step came out with 30 errors more."""
    for name in ("README.md", "results"):
        copied = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copied(PROJECT / name, tmp_path / name)
    for recipe in journey.JOURNEY:
        path = records.record_path(recipe.name, DEFAULT_SEED, tmp_path / "results")
        record = json.loads(path.read_text(encoding="utf-8"))
        for row in record["history"]:
            row["test_accuracy"] = max(0.0, row["test_accuracy"] - 0.003)
        path.write_text(as_json(record), encoding="utf-8")
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(tmp_path / "results"))
    return tmp_path


def test_whatever_another_machine_measures_is_reported_and_nothing_breaks(other_machine):
    """After `make run` there: the report says what the records say, and a second one agrees."""
    _, problems = report.rebuild()
    readme = (other_machine / "README.md").read_text(encoding="utf-8")
    assert problems == [] and readme != (PROJECT / "README.md").read_text(encoding="utf-8")
    report.rebuild()
    assert (other_machine / "README.md").read_text(encoding="utf-8") == readme
    best = verdict(journey.TARGETS[journey.BEST.name], records.records_of(journey.BEST))
    assert "✗" in repr(best)  # shown as it is


def test_a_page_executed_elsewhere_need_not_bear_out_the_sentences(tmp_path):
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        (tmp_path / "page.ipynb").write_text("{}")
        names = ["-c", "user.name=a", "-c", "user.email=a@b.org"]
        subprocess.run(["git", *names, *command], cwd=tmp_path, check=True)
    assert is_as_committed(tmp_path / "page.ipynb")
    (tmp_path / "page.ipynb").write_text("{} ")
    assert not is_as_committed(tmp_path / "page.ipynb")


def test_the_own_system_of_the_page_trains(synthetic):
    """In fewer than 20 lines, as shown, here on made-up digits."""
    (cell,) = tagged(read(NOTEBOOKS[9]), "own-system")
    assert len(source(cell).splitlines()) < 20
    names = {}
    exec("from mnist_lib.experiments.systems import *", names)
    exec("from mnist_lib.experiments.system_networks import *", names)
    exec("from mnist_lib.summary import layer_table", names)
    exec(source(cell), names)
    run = fit(replace(names["MINE"], batch_size=64, folds=10), synthetic)
    assert run.history[-1]["test_accuracy"] > 0.5


def table_cells(page: str) -> list[str]:
    """The texts of an HTML table's cells."""
    return [html.unescape(text) for text in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page)]


# ---- the committed records ----------------------------------------------------------------------


@every_recipe
def test_every_step_has_its_records(recipe):
    found = records.records_of(recipe)
    (entry,) = [e for e in registrations_of(recipe) if e["fingerprint"] == recipe.fingerprint()]
    assert {record["seed"] for record in found} >= {*entry["seeds"], DEFAULT_SEED}
    assert len(entry["seeds"]) >= (5 if recipe in journey.SIDE_TRACKS else 10)
    for record in found:
        assert record["short"] is False and record["change"] == recipe.change
        assert record["fingerprint"] == recipe.fingerprint()
        assert record["settings"] == recipe.settings()
        assert record["parent"] == (recipe.parent.name if recipe.parent else None)
        assert [row["epoch"] for row in record["history"]] == list(range(1, 16))
        assert record["fold"] == recipe.fold(record["seed"])
        assert record["sizes"] == {"train": 54_000, "validation": 6_000, "test": 10_000}


@pytest.mark.parametrize("kind", [RUNS, TRIALS])
def test_no_record_is_left_over(kind):
    """Records of older settings, or of recipes that are no more, would only confuse."""
    recipes = [*journey.JOURNEY, WINNER, SOONER, *WINNERS, *SYSTEMS] if kind == RUNS else CANDIDATES
    known = {(recipe.name, recipe.fingerprint()) for recipe in recipes}
    found = {(r["recipe"], r["fingerprint"]) for r in records.load_records(kind=kind)}
    assert found and found <= known
    assert {path.suffix for path in RESULTS.glob("runs/*/*")} <= {".json", ".pt"}


ENOUGH = dict.fromkeys(["S0-6", "S1", "S2-3", "S3-3", "S3-x5", "S4-6"], 5) | {LARGE: 1}


@pytest.mark.parametrize("recipe", SYSTEMS, ids=lambda recipe: recipe.name)
def test_every_system_has_its_records(recipe):
    found = records.records_of(recipe)
    assert len(found) >= ENOUGH.get(recipe.name, 3)
    for record in found:
        assert record["short"] is False and len(record["history"]) == recipe.epochs
        assert record["settings"] == recipe.settings()
        assert record["sizes"] == {"train": 60_000, "validation": 0, "test": 10_000}


@every_recipe
def test_every_checkpoint_can_be_loaded_and_is_small(recipe):
    for record in records.records_of(recipe):
        path = records.record_path(recipe.name, record["seed"]).with_suffix(".pt")
        assert path.stat().st_size < 150_000
        model = records.load_checkpoint(recipe, record["seed"])
        assert not model.training
        assert sum(parameter.numel() for parameter in model.parameters()) == record["parameters"]


def seeds_of(recipe) -> list[int]:
    """The recorded seeds, for the names of tests."""
    return [record["seed"] for record in records.records_of(recipe, RESULTS)]


CHECKED = [(recipe, DEFAULT_SEED) for recipe in journey.JOURNEY]
CHECKED += [(journey.BEST, seed) for seed in seeds_of(journey.BEST) if seed != DEFAULT_SEED]
CHECKED += [(recipe, DEFAULT_SEED) for recipe in WINNERS]
CHECKED += [(recipe, seeds_of(recipe)[0]) for recipe in SYSTEMS if recipe.name != LARGE]


@pytest.mark.parametrize("recipe, seed", CHECKED, ids=[f"{r.name}-{seed}" for r, seed in CHECKED])
def test_a_checkpoint_makes_the_errors_of_its_record(recipe, seed, digits):
    batches = Batches(digits.test_images, digits.test_labels, batch_size=1_000)
    _, accuracy = evaluate(records.load_checkpoint(recipe, seed), batches)
    assert round((1 - accuracy) * TEST_SIZE) == errors_of(record_of(recipe, seed))
