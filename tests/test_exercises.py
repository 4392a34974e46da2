"""The exercises: open at the start, ticked when solved, crossed when wrong.

An exercise is four cells tagged `exercise`: its text, a start, a check and a folded solution. Here
they run in one process with the set-up of their page, and without its training, as they promise.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from exercise_answers import RIGHT, SLIPS, WRONG
from pages import PAGES, cells_of, tags

from mnist_lib.results import Claims
from mnist_lib.train import fit

SET_UP = ("# @title Imports", "digits = load_mnist(")


def exercises_of(path: Path) -> list[list[dict]]:
    """Text, start, check and solution of each."""
    found = cells_of(path, kind="", tag="exercise")
    return [found[start : start + 4] for start in range(0, len(found), 4)]


EXERCISES = {
    (path.stem[:2], number): cells
    for path in PAGES
    for number, cells in enumerate(exercises_of(path), start=1)
}
every_exercise = pytest.mark.parametrize("page, number", EXERCISES)


pytestmark = pytest.mark.usefixtures("committed")


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

    def names_of(page: str) -> dict:
        if page not in made:
            made[page] = {}
            for cell in cells_of(PAGES[int(page) - 1]):
                if "parameters" in tags(cell) or cell["source"].startswith(SET_UP):
                    exec(cell["source"], made[page])
        return {**made[page], "fit": fit_once}

    return names_of


def outcome(names: dict, page: str, number: int, answer: str = "") -> Claims:
    """What the check shows after the start cell and this answer."""
    _, start, check, _ = EXERCISES[page, number]
    exec(start["source"], names)
    exec(answer, names)
    tree = ast.parse(check["source"])
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "check", "exec"), names)
    return eval(compile(last, "check", "eval"), names)


def solution_of(page: str, number: int) -> str:
    *_, solution = EXERCISES[page, number]
    (code,) = re.findall(r"^```python\n(.+?)^```$", solution["source"], re.MULTILINE | re.DOTALL)
    return code


@every_exercise
def test_its_check_and_solution_are_folded_and_no_test_digit_judges(page, number):
    text, start, check, solution = EXERCISES[page, number]
    assert f"\n### {number} · " in f"\n{text['source']}" and "..." in start["source"]
    assert "hide-input" in tags(check) and "solution" in tags(solution)
    # an empty line between the tags and the code, or it is no code on GitHub and on the site
    opening = "<details>\n<summary>Solution</summary>\n\n```python\n"
    assert solution["source"].startswith(opening) and solution["source"].endswith("\n\n</details>")
    code = "".join(cell["source"] for cell in (text, start, check, solution))
    # the log that a source has published may be compared with
    assert not re.search("(?<!log_)test_(images|labels|accuracy)", code)
    assert ("fit(" in code) == ("without_test()" in code)


@every_exercise
def test_it_is_open_on_the_page_and_ticked_by_its_solution(page, number, set_up):
    untouched = outcome(set_up(page), page, number)
    _, _, check, _ = EXERCISES[page, number]
    assert repr(untouched) == "".join(check["outputs"][0]["data"]["text/plain"])
    assert {claim.holds for claim in untouched} == {None}
    solved = outcome(set_up(page), page, number, solution_of(page, number))
    assert [claim.holds for claim in solved] == [True] * len(untouched), solved


@pytest.mark.parametrize("page, number, answer", RIGHT.values(), ids=RIGHT)
def test_another_right_answer_is_ticked(page, number, answer, set_up):
    claims = outcome(set_up(page), page, number, solution_of(page, number) + answer)
    assert all(claim.holds for claim in claims), claims


MISTAKES = {
    **{name: (*place, solution_of(*place) + answer) for name, (*place, answer) in WRONG.items()},
    **{
        name: (*place, solution_of(*place).replace(right, wrong))
        for name, (*place, right, wrong) in SLIPS.items()
    },
}


@pytest.mark.parametrize("page, number, answer", MISTAKES.values(), ids=MISTAKES)
def test_a_typical_mistake_is_crossed(page, number, answer, set_up):
    claims = outcome(set_up(page), page, number, answer)
    assert any(claim.holds is False for claim in claims), claims


def test_every_exercise_has_two_mistakes_that_are_crossed():
    counts = Counter((page, number) for page, number, _ in MISTAKES.values())
    assert counts.keys() == EXERCISES.keys() and min(counts.values()) >= 2
