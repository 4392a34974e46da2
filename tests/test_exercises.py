"""The exercises of notebooks 01 to 08: open at the start, ticked when solved, crossed when wrong.

An exercise is four cells tagged `exercise`: its text, a start, a check and a folded solution. Here
they run in one process with the set-up of their page, and without its training, as they promise.
"""

import ast
import json
import re
from pathlib import Path

import pytest
from exercise_answers import RIGHT, WRONG

from mnist_lib import journey
from mnist_lib.engine.environment import PROJECT
from mnist_lib.results import Checks
from mnist_lib.train import fit

PAGES = [
    path
    for path in sorted((PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if journey.recipes_of(path.stem)
]
EXERCISES = [(path, number) for path in PAGES for number in (1, 2)]
KINDS = ["markdown", "code", "code", "markdown"] * 2
SET_UP = ("# @title Imports", "digits = load_mnist(")

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
every_exercise = pytest.mark.parametrize(
    "path, number", EXERCISES, ids=[f"{path.stem}-{number}" for path, number in EXERCISES]
)


def cells_of(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def exercise_of(path: Path, number: int) -> list[dict]:
    """Text, start, check and solution."""
    found = [cell for cell in cells_of(path) if "exercise" in tags(cell)]
    return found[4 * (number - 1) : 4 * number]


def solution_of(path: Path, number: int) -> str:
    """The code of the folded solution."""
    text = source(exercise_of(path, number)[3])
    (code,) = re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)
    return code


@pytest.fixture(autouse=True)
def committed(results, monkeypatch):
    """The project's own records and checkpoints in place of the empty folder of a test."""
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


@pytest.fixture(scope="module")
def set_up():
    """The names that the first cells of a page make, on the CPU; each page is set up once."""
    made, trained = {}, {}

    def fit_once(recipe, digits, seed, **_):
        key = (recipe.fingerprint(), len(digits.train_labels), seed)
        if key not in trained:
            trained[key] = fit(recipe, digits, seed, "cpu", quiet=True)
        trained[key].recipe = recipe
        return trained[key]

    def names_of(path: Path) -> dict:
        if path not in made:
            made[path] = {}
            for cell in cells_of(path):
                if "parameters" in tags(cell) or source(cell).startswith(SET_UP):
                    exec(source(cell), made[path])
        return {**made[path], "fit": fit_once}

    return names_of


def outcome(names: dict, path: Path, number: int, answer: str = "") -> Checks:
    """What the check shows after the start cell and this answer."""
    _, start, check, _ = exercise_of(path, number)
    exec(source(start), names)
    exec(answer, names)
    tree = ast.parse(source(check))
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "check", "exec"), names)
    return eval(compile(last, "check", "eval"), names)


# ---- form ---------------------------------------------------------------------------------------


@every_page
def test_two_exercises_stand_under_their_heading(path):
    cells = cells_of(path)
    places = [place for place, cell in enumerate(cells) if "exercise" in tags(cell)]
    assert places == list(range(places[0], places[0] + 8))
    found = [cells[place] for place in places]
    assert [cell["cell_type"] for cell in found] == KINDS
    assert source(found[0]).startswith("## Your turn\n")
    titles = re.findall(r"^### (\d) · .+$", "\n".join(map(source, found)), re.MULTILINE)
    assert titles == ["1", "2"]
    assert source(cells[places[-1] + 1]).startswith("## Ledger")


@every_exercise
def test_check_and_solution_are_folded_and_the_page_shows_an_open_exercise(path, number):
    _, start, check, solution = exercise_of(path, number)
    assert "hide-input" in tags(check) and "exercise(" in source(check)
    assert start["outputs"] == [] and "..." in source(start)
    assert "solution" in tags(solution)
    # an empty line between the tags and the code, or it is no code on GitHub and on the site
    assert source(solution).startswith("<details>\n<summary>Solution</summary>\n\n```python\n")
    assert source(solution).endswith("\n\n</details>")
    (output,) = check["outputs"]
    for line in "".join(output["data"]["text/plain"]).splitlines():
        assert line.startswith("○ not done yet: ")


@every_exercise
def test_no_exercise_is_judged_by_test_digits(path, number):
    code = "\n".join(map(source, exercise_of(path, number)))
    assert "test_images" not in code and "test_labels" not in code and "test_accuracy" not in code
    assert ("fit(" in code) == ("without_test()" in code)


# ---- what the checks say ------------------------------------------------------------------------


@every_exercise
def test_it_is_open_at_the_start_and_ticked_by_its_solution(path, number, set_up):
    untouched = outcome(set_up(path), path, number)
    (page,) = exercise_of(path, number)[2]["outputs"]
    assert repr(untouched) == "".join(page["data"]["text/plain"])
    solved = outcome(set_up(path), path, number, solution_of(path, number))
    assert [check.holds for check in solved] == [True] * len(untouched), solved


def judged(set_up, page: str, number: int, answer: str) -> Checks:
    """What the check of an exercise, as '01' and 2, says of an answer."""
    (path,) = [path for path in PAGES if path.stem[:2] == page]
    return outcome(set_up(path), path, number, answer)


@pytest.mark.parametrize("page, number, answer", RIGHT.values(), ids=RIGHT)
def test_another_right_answer_is_ticked(page, number, answer, set_up):
    checks = judged(set_up, page, number, answer)
    assert all(check.holds for check in checks), checks


@pytest.mark.parametrize("page, number, answer", WRONG.values(), ids=WRONG)
def test_a_typical_mistake_is_crossed(page, number, answer, set_up):
    checks = judged(set_up, page, number, answer)
    assert any(check.holds is False for check in checks), checks


def test_every_exercise_has_a_mistake_that_is_crossed():
    tried = {(page, number) for page, number, _ in WRONG.values()}
    assert tried == {(path.stem[:2], number) for path, number in EXERCISES}
