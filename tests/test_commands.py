"""The command line from outside: help, mistakes, encodings, tables, registrations, the report."""

import io
import re
import shutil
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mnist_lib.commands import main as commands
from mnist_lib.commands import report
from mnist_lib.commands.arguments import parser
from mnist_lib.commands.main import main
from mnist_lib.engine.machine import PROJECT

NAMES = "run sweep search check preregister export demo show ledger systems report data".split()


# ---- help and mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_help_says_purpose_example_and_defaults(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and f"example: python -m mnist_lib {name}" in shown
    (actions,) = [a.choices for a in parser()._actions if a.choices]
    for action in actions[name]._actions:
        if action.default not in (None, False, [], "==SUPPRESS=="):
            assert f"(default: {action.default})" in " ".join(shown.split()).replace("- ", "-")


SWEEP = "sweep sweep_recipes:TINY --scheduler"
REFUSED = [  # a command, its exit status, what it says of the mistake
    ("show 06-onecycle", 2, "there is no recipe '06-onecycle'; near it are 06-one-cycle"),
    ("show no_such_module:MINE", 2, "No module named 'no_such_module'"),
    ("preregister 7-wider --why better", 2, "07-wider"),
    ("export 06-one-cycel", 2, "06-one-cycle"),
    ("export 06-one-cycle --seed 1", 1, "no checkpoint of '06-one-cycle' with seed 1"),
    ("demo --recipe 06-one-cycl", 2, "there is no recipe '06-one-cycl'"),
    ("demo --seed 999", 1, "no checkpoint of '06-one-cycle' with seed 999"),
    ("demo --port {taken}", 1, "Cannot find empty port in range"),
    ("sweep s4_6", 2, "S4-6"),
    ("sweep S1", 2, "S1: no folds, so only --test measures anything"),
    ("sweep sweep_recipes:TINY sweep_recipes:TWIN", 2, "have the same name"),
    (f"{SWEEP} http://127.0.0.1:8787", 1, "no Dask scheduler answers at"),
    (f"{SWEEP} tcp://127.0.0.1", 1, "no Dask scheduler answers at"),
    (f"{SWEEP} 127.0.0.1:8786/status", 1, "no Dask scheduler answers at"),
    (f"{SWEEP} tcp://127.0.0.1:9", 1, "no Dask scheduler answers at"),
]


@pytest.mark.parametrize("command, code, words", REFUSED)
def test_what_cannot_work_is_said_in_one_line(
    committed, tmp_path, monkeypatch, capsys, command, code, words
):
    monkeypatch.chdir(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        taken = str(server.getsockname()[1])
        assert main(command.replace("{taken}", taken).split()) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words.replace("{taken}", taken) in line and line.startswith("python -m mnist_lib ") == (
        code == 2
    )
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "error, code, said",
    [
        (OSError(28, "No space left on device", "/results/x.json"), 1, "/results/x.json: No space"),
        (ConnectionError("no mirror has MNIST\nbut"), 1, "no mirror has MNIST\n"),
        (ArithmeticError("differs"), 1, "differs"),
        (ModuleNotFoundError("no", name="onnx"), 1, "onnx is missing: python -m pip install"),
        (ValueError("wrong"), 2, "python -m mnist_lib data: wrong"),
        (KeyboardInterrupt(), 130, "the same command goes on where this one stopped"),
    ],
)
def test_what_stops_a_command_is_said_in_a_line(error, code, said, monkeypatch, capsys):
    def stops(_options):
        raise error

    monkeypatch.setattr(commands, "data", stops)
    assert main(["data"]) == code
    printed = capsys.readouterr().err
    assert said in printed and printed.strip().count("\n") == 0


@pytest.mark.parametrize("encoding", ["cp932", "latin-1", "ascii", "utf-8"])
def test_any_encoding_of_the_terminal(encoding, committed, monkeypatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["show", "06-one-cycle"]) == main(["ledger"]) == 0
    stream.flush()
    text = written.getvalue().decode(encoding)
    assert re.search(r"(✓|\[x\]) at most 7,999", text) and re.search(r"99.48 (±|\+-) 0.05 %", text)
    assert "✓" in text or encoding != "utf-8"


# ---- tables -------------------------------------------------------------------------------------


def test_show_says_all_of_a_recipe(committed, capsys):
    assert main(["show", "06-one-cycle"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("06-one-cycle: the rate up")
    assert "epochs = 15" in shown and "registered, try 1, seeds 11 to 20" in shown
    rows = [line.split() for line in shown.splitlines() if line[:2] in map(str, range(11, 21))]
    assert len(rows) == 10 and rows[0][1:4] == ["99.32%", "99.37%", "63"]
    assert main(["show", "05-none"]) == 0
    shown = capsys.readouterr().out
    assert "validation_accuracy" in shown and "test_accuracy" not in shown


def test_ledger_and_systems_are_listed(committed, capsys):
    assert main(["ledger"]) == main(["systems"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.startswith("08-small ")]
    assert "99.38 ± 0.06 %" in row
    assert sum(line.startswith("S") for line in lines) == 21
    (row,) = [line for line in lines if line.startswith("S0-3 ")]
    assert "2,211 (claimed 9,752)" in row and "99.02%" in row


# ---- the report ---------------------------------------------------------------------------------

README = """\
# Digits
<!-- ledger -->
an old table
<!-- /ledger -->
Words that stay.
<!-- pages -->
| page | what you learn | accuracy | verdict |
| --- | --- | --- | --- |
| [01](notebooks/01_setup.ipynb) <!-- badge -->x<!-- /badge --> | words | – | – |
| [09](notebooks/09_where_it_fails.ipynb) | words | – | – |
<!-- /pages -->
"""


@pytest.fixture
def project(results, monkeypatch) -> Path:
    """Two committed steps, a README, a folder of texts, and one figure that is quickly drawn."""
    for name in ("01-plain", "02-skeleton"):
        shutil.copytree(PROJECT / "results/runs" / name, results / "runs" / name)
    project = results.parent
    (project / "README.md").write_text(README, encoding="utf-8")
    (project / "docs").mkdir()
    text = "<!-- goal -->\n<!-- /goal -->\n<!-- soon -->\nas it was\n<!-- /soon -->\n"
    (project / "docs" / "more.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(report, "FIGURES", {"journey": report.FIGURES["journey"]})
    return project


def test_the_report_fills_what_each_text_has(project, capsys):
    assert main(["report"]) == 0
    wrote = ["figures/journey.png", "README.md", "docs/more.md"]
    assert capsys.readouterr().out.splitlines() == [f"wrote {Path(name)}" for name in wrote]
    assert (project / wrote[0]).read_bytes()[:4] == b"\x89PNG"
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Digits\n<!-- ledger -->\n| step |") and "an old table" not in text
    assert "| 02-skeleton |" in text and "03-batch" not in text
    assert "<!-- /ledger -->\nWords that stay.\n<!-- pages -->\n| page | what you" in text
    assert "<!-- badge -->x<!-- /badge --> | words | 98.77 ± 0.26 % | ✓ |" in text
    assert "fails.ipynb) | words | – | – |" in text
    more = (project / "docs" / "more.md").read_text(encoding="utf-8")
    assert "**0 of 10 seeds** of 02-skeleton" in more and "as it was" in more
    assert main(["report"]) == 0 and capsys.readouterr().out == ""


def test_one_broken_record_is_named_and_the_rest_is_made(project, results, capsys):
    broken = results / "runs/01-plain/seed-11.json"
    broken.write_text(broken.read_text()[:100])
    (results / "to-target-cpu.json").write_text("{")
    with (project / "docs" / "more.md").open("a") as file:
        file.write("<!-- result -->\n")
    assert main(["report"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count(str(broken)) == 1 and "Traceback" not in printed.err
    assert "soon cannot be made: " in printed.err
    assert f"{project / 'docs' / 'more.md'}: <!-- result --> has no end" in printed.err
    assert printed.err.count("\n") == 3
    rows = (project / "README.md").read_text(encoding="utf-8").split("\n| ")
    (row,) = [row for row in rows if row.startswith("01-plain")]
    assert row.split(" | ")[5] == "9"
    assert "02-skeleton" in (project / "docs" / "more.md").read_text(encoding="utf-8")


def test_without_records_nothing_is_written(project, results, capsys):
    shutil.rmtree(results)
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    assert main(["report"]) == 1
    assert capsys.readouterr().err == f"no records yet in {results}: nothing to report\n"
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


def test_the_committed_texts_are_what_the_committed_records_make(committed):
    """What they say is computed a second time in test_readme.py."""
    problems: list[str] = []
    for path in [PROJECT / "README.md", *PROJECT.glob("docs/*.md")]:
        assert report.filled(path, problems) == path.read_text(encoding="utf-8")
    assert problems == []
