"""The command `run` on small notebooks, in folders with odd names; nothing touches results/."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from filelock import FileLock

from mnist_lib.commands.arguments import parser
from mnist_lib.commands.jobs import plan
from mnist_lib.commands.main import main
from mnist_lib.engine.machine import output_folder

KILLS = int(os.environ.get("MNIST_LIB_TEST_KILLS", "1"))  # 50 by hand
PARAMETERS = 'SEED: int = 11\nDEVICE = "cpu"'
WAITS = """\
import pathlib, time
pathlib.Path(f'begun-{SEED}').touch()
while not pathlib.Path('go').exists():
    time.sleep(0.1)"""
TRAINS = """\
from mnist_lib import fit, journey, load_mnist, save
recipe = journey.PLAIN
save(fit(recipe, load_mnist(fold=recipe.fold(SEED)), SEED, DEVICE))"""


def write_notebook(folder: Path, stem: str, *sources: str, parameters: str = PARAMETERS) -> Path:
    """A notebook with a cell of text, a cell of parameters, then these cells."""
    new = nbformat.v4
    notebook = new.new_notebook(
        cells=[
            new.new_markdown_cell("# Step"),
            new.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            *(new.new_code_cell(source) for source in sources),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "any", "language": "python"}},
    )
    path = folder / f"{stem}.ipynb"
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder for notebooks, with all results beside it."""
    project = tmp_path / "a{b} {} [x] 100% #1 größer"
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(project / "results"))
    (project / "notebooks").mkdir(parents=True)
    return project / "notebooks"


def planned(folder: Path, *arguments: str) -> list:
    return plan(parser().parse_args(["run", "--folder", str(folder), *arguments]))


def cells_of(path: Path) -> list:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


# ---- pages --------------------------------------------------------------------------------------


def test_pages_are_replaced_as_if_run_by_hand_and_failures_leave_theirs(
    folder, monkeypatch, capsys
):
    personal = folder.parent / "personal"
    (personal / "profile_default").mkdir(parents=True)
    setting = "get_config().InteractiveShell.ast_node_interactivity = 'all'"
    (personal / "profile_default" / "ipython_config.py").write_text(setting)
    other = personal / "kernels" / "python3" / "kernel.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    monkeypatch.setenv("IPYTHONDIR", str(personal))
    monkeypatch.setenv("JUPYTER_PATH", str(personal))
    epochs = "for n in (1, 2):\n    print(f'epoch {n:2}/2   loss 0.1   test  99.4{n}%     1.0 s')"
    good = write_notebook(folder, "90_good", "1 + 1\nSEED + 1", "", epochs)
    ends = write_notebook(folder, "91_ends", "import sys; sys.exit(0)", "print('never')")
    write_notebook(folder, "92_raises", "'''\n'''; raise ValueError('on purpose\\nsecond line')")
    write_notebook(folder, "93_dies", "import os; os.kill(os.getpid(), 9)")
    edits = write_notebook(folder, "94_edits", "open('94_edits.ipynb', 'a').write(' ')")
    write_notebook(folder, "95_deletes", "import os; os.remove('95_deletes.ipynb')")
    before = {path: path.read_bytes() for path in (ends, edits)}
    source = good.read_text()

    assert main(["run", "--folder", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "6 notebooks to execute, 0 finished before" in printed
    assert "90_good-seed-11: finished in" in printed and "test 99.42%" in printed
    assert "1 finished, 5 failed" in printed
    for name, reason in (
        ("91_ends", "cell 2 of 3 was not executed to its end: no cell may end"),
        ("92_raises", "ValueError: on purpose; kept up to there as "),
        ("93_dies", f"Kernel died (started as: {sys.executable} -m ipykernel"),
        ("94_edits", "the notebook was edited while it ran, so it was not"),
    ):
        assert f"{name}-seed-11: failed, NotExecuted: {reason}" in printed
    assert "No such file or directory" in printed and "Traceback" not in printed

    cells = cells_of(good)
    assert [cell.execution_count for cell in cells] == [1, 2, None, 3]
    assert [o.data["text/plain"] for o in cells[1].outputs] == ["12"], "a personal profile counts"
    emptied = nbformat.read(good, as_version=4)
    for cell in emptied.cells[1:]:
        cell.execution_count, cell.outputs = None, []
    assert nbformat.writes(emptied) + "\n" == source, "more than the outputs changed"
    assert ends.read_bytes() == before[ends] and edits.read_bytes() == before[edits] + b" "

    kept = output_folder() / "executed" / "92_raises-seed-11.part.ipynb"
    assert str(kept) in printed and "on purpose" in kept.read_text()
    waiting = [job.name[:2] for job in planned(folder) if not job.is_finished()]
    assert waiting == ["91", "92", "93", "94"]


def test_a_shortened_training_with_another_seed_makes_a_record_and_no_page(folder, capsys):
    page = write_notebook(folder, "01_plain", TRAINS)
    before = page.read_bytes()
    arguments = ["run", "1", "--short", "--folder", str(folder), "--seeds", "3"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "1 finished, 0 failed" in printed
    assert re.search(r"01_plain-seed-3: finished in \d+ s  validation .*%", printed)
    assert "SEED = 3" in (output_folder() / "executed" / "01_plain-seed-3.ipynb").read_text()
    assert page.read_bytes() == before and not (folder.parent / "results").exists()
    record = output_folder() / "runs" / "01-plain" / "seed-3.json"
    assert "short" in str(record) and json.loads(record.read_text())["short"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "0 notebooks to execute, 1 finished before\n"


def test_what_is_finished_follows_code_parameters_and_copy(folder, monkeypatch):
    page = write_notebook(folder, "01_plain", TRAINS)
    (job,) = planned(folder)

    def finished(*arguments: str) -> list[bool]:
        return [job.is_finished() for job in planned(folder, *arguments)]

    assert finished() == [False]
    job.copy.parent.mkdir(parents=True)
    job.copy.write_text(json.dumps({"metadata": {"mnist_lib": job.key}}))
    assert finished() == [True]
    assert finished("--device", "auto") == finished("--seeds", "12") == [False]
    job.part.touch()
    assert finished() == [False], "what was stopped half way counts as finished"
    job.part.unlink()
    for damaged in ("", "[]", "{}", '{"metadata": []}', '{"metadata": {"mnist_lib": 1}}'):
        job.copy.write_text(damaged)
        assert finished() == [False]
    job.copy.write_text(json.dumps({"metadata": {"mnist_lib": job.key}}))
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert finished() == [False], "a full run counts for a shortened one"
    monkeypatch.setenv("MNIST_LIB_SHORT", "")
    page.write_text(page.read_text().replace("PLAIN", "SKELETON"))
    assert finished() == [False]


def test_the_order_is_the_longest_first_and_those_that_look_last(folder):
    for number, minutes in enumerate([1, 3, 2]):
        page = write_notebook(folder, f"9{number}_page", TRAINS)
        text = page.read_text().replace('"outputs": []', f'"outputs": [{{"output_type": "stream", '
            f'"name": "stdout", "text": "15 epochs on cpu in {minutes} min 5 s"}}]')  # fmt: skip
        page.write_text(text)
    write_notebook(folder, "01_looks", "print('fitting')")
    names = [job.name for job in planned(folder, "--seeds", "11", "12")]
    assert [name[:2] for name in names] == ["91", "91", "92", "92", "90", "90", "01"]
    assert [name[-2:] for name in names] == ["11", "12", "11", "12", "11", "12", "11"]


def test_systems_run_in_the_notebook_that_has_the_parameter(folder):
    write_notebook(folder, "10_systems", TRAINS, parameters=PARAMETERS + '\nSYSTEM = "S4-6"')
    write_notebook(folder, "01_plain", TRAINS)
    jobs = planned(folder, "--system", "s1", "S4-6", "--seeds", "11", "12")
    found = [(job.name, job.parameters, job.makes_page) for job in jobs]
    assert sorted(found, key=str) == [
        ("10_systems-S1-seed-11", {"SYSTEM": "S1"}, False),
        ("10_systems-S1-seed-12", {"SYSTEM": "S1", "SEED": 12}, False),
        ("10_systems-S4-6-seed-11", {}, True),
        ("10_systems-S4-6-seed-12", {"SEED": 12}, False),
    ]
    assert len(planned(folder, "--system", "all")) == 21


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["07"], "there is no notebook '07'; there are 01_plain"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--seeds", "-1"], "'-1' is not a whole number from 0 to 2,147,483,647"),
        (["--seeds", "1", str(2**63)], "'9223372036854775808' is not a whole number from 0 to"),
        (["--seeds", "5", "7-6"], "'7-6' is no range of seeds such as 11-20"),
        (["--threads", "0"], "'0' is not a whole number from 1 to"),
        (["--threads", "1"], "01_plain.ipynb has no parameter THREADS"),
        (["--system", "S9"], "there is no recipe 'S9'"),
        (["--system", "S1", "--", "01"], "leave out the others"),
        (["--folder", "nowhere"], "there are no notebooks NN_name.ipynb in nowhere"),
    ],
)
def test_wrong_usage_is_explained_before_anything_runs(folder, arguments, message, capsys):
    write_notebook(folder, "01_plain", TRAINS)
    with pytest.raises(SystemExit) as ended:  # by argparse for some, with the same code
        sys.exit(main(["run", "--short", "--folder", str(folder), *arguments]))
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert not output_folder().exists()


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"cells": [1]}', ""])
def test_a_file_that_is_no_notebook_is_named(folder, text, capsys):
    (folder / "01_broken.ipynb").write_text(text)
    assert main(["run", "--folder", str(folder)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert f"run: {folder / '01_broken.ipynb'} is no notebook: " in printed.err


def test_two_runs_do_not_work_on_the_same_results(folder, capsys):
    write_notebook(folder, "90_looks")
    output_folder().mkdir()
    with FileLock(output_folder() / ".running.lock"):
        assert main(["run", "--folder", str(folder)]) == 1
    assert ".running.lock" in capsys.readouterr().err


# ---- stopped ------------------------------------------------------------------------------------


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "mnist_lib", "run", "--folder", str(folder), *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen(command, **streams)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_kernel_and_no_half_page_and_goes_on(folder, sign, monkeypatch):
    pages = [write_notebook(folder, f"9{n}_waits", f"SEED += {n}", WAITS) for n in range(2)]
    before, usual = {page: page.read_bytes() for page in pages}, 0.0
    for kill in range(KILLS):
        process, begun = start(folder, "--jobs", "2"), time.time()
        if kill:  # at any other moment
            time.sleep(random.uniform(0, 1.5 * usual))
        while not kill and process.poll() is None and len(list(folder.glob("begun-*"))) < 2:
            time.sleep(0.1)
        usual = usual or time.time() - begun
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(sign)
        printed, _ = process.communicate()
        assert process.returncode == (130 if sign == signal.SIGINT else -sign), printed
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive, "a kernel goes on without its command"
        assert {page: page.read_bytes() for page in pages} == before
    if sign == signal.SIGINT:
        assert "the same command goes on where this one stopped" in printed
        assert "Traceback" not in printed
    (folder / "go").touch()
    assert main(["run", "--folder", str(folder)]) == 0
    assert all(job.is_finished() for job in planned(folder))
    assert not list(output_folder().rglob("*.part*")) and not list(folder.glob(".*"))
