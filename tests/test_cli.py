"""The command line on tiny notebooks, in a folder of their own; nothing touches results/.

Importing torch takes most of the time here, so only what needs a process of its own gets one.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
import torch
from jupyter_client.manager import AsyncKernelManager
from markdown_it import MarkdownIt

from mnist_lib.commands import badges, jobs, notebooks
from mnist_lib.commands.command_line import main
from mnist_lib.engine.environment import PROJECT, output_folder
from mnist_lib.experiments import race_store as store
from mnist_lib.experiments.systems import SYSTEMS
from mnist_lib.records import load_records

KILLS = int(os.environ.get("MNIST_LIB_TEST_KILLS", "2"))  # 20 by hand
TRAIN = """\
from mnist_lib.data import load_mnist
from mnist_lib.journey import recipes_of
from mnist_lib.records import save
from mnist_lib.train import fit
for recipe in recipes_of("01"):
    save(fit(recipe, load_mnist(fold=recipe.fold(SEED)), seed=SEED, device=DEVICE))"""
BOOTSTRAP = 'REPOSITORY = ""\nprint("ready")'
PARAMETERS = 'SEED = 11\nDEVICE = "cpu"'


def write_notebook(folder: Path, stem: str, *sources: str, parameters: str = PARAMETERS) -> Path:
    """A notebook in the project's form: title, bootstrap, parameters, then these cells."""
    new = nbformat.v4
    notebook = new.new_notebook(
        cells=[
            new.new_markdown_cell("# Step\n<!-- badge --><!-- /badge -->"),
            new.new_code_cell(BOOTSTRAP, metadata={"tags": ["bootstrap"]}),
            new.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            *(new.new_code_cell(source) for source in sources),
        ],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.ipynb"
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder for notebooks, with all results beside it."""
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MNIST_LIB_SHORT", raising=False)
    path = tmp_path / "notebooks"
    path.mkdir()
    return path


def arguments_for(folder: Path, *arguments: str) -> list[str]:
    return ["run", *arguments, "--short", "--folder", str(folder)]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_lib", *arguments_for(folder, *arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run to the end, expecting this exit code; returns what was printed."""
    process = start(folder, *arguments)
    printed, _ = process.communicate()
    assert process.returncode == code, printed
    return printed


def records(folder: Path) -> dict[str, int]:
    """Time of last change, in ns, of each shortened record; every one of them must be readable."""
    found = {}
    for path in sorted((folder.parent / "short").glob("results/runs/*/seed-*.json")):
        assert json.loads(path.read_text())["short"]
        assert torch.load(path.with_suffix(".pt"), weights_only=True)
        found[path.stem] = path.stat().st_mtime_ns
    return found


def test_execute_skip_and_force(folder, monkeypatch, capsys):
    page = write_notebook(folder, "01_plain", TRAIN)
    source = page.read_bytes()
    printed = run(folder, "01")
    assert "[1/1] 01_plain seed 11: finished in" in printed
    assert "1 finished, 0 skipped, 0 failed" in printed
    assert list(records(folder)) == ["seed-11"]
    assert page.read_bytes() == source, "a shortened run changed the page"
    assert not (folder.parent / "results").exists(), "a shortened run wrote among the full ones"
    executed = (folder.parent / "short/results/executed/01_plain-seed-11.ipynb").read_text()
    assert "epoch  2/2" in executed
    assert "papermill" not in executed
    assert str(folder) not in executed

    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    failing = lambda waiting: dict.fromkeys(waiting, Exception())  # noqa: E731
    monkeypatch.setattr(notebooks, "execute_all", failing)
    assert main(arguments_for(folder, "01_plain")) == 0
    assert "0 notebooks to execute, 1 finished before" in capsys.readouterr().out
    assert main(arguments_for(folder, str(page), "--renew")) == 0
    assert main(arguments_for(folder, "1", "--force")) == 1
    assert "1 notebooks to execute, 0 finished before" in capsys.readouterr().out


def test_a_failing_notebook_does_not_stop_the_others(folder, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    write_notebook(folder, "01_broken", "raise ValueError('on purpose')")
    write_notebook(folder, "02_silent", "print('fine')", parameters="DEVICE = 'cpu'")
    write_notebook(folder, "99_looks", "print(6 * 7)", parameters="")
    assert main(arguments_for(folder, "--seeds", "2")) == 1
    printed = capsys.readouterr().out
    assert "1 finished, 0 skipped, 2 failed" in printed
    assert "ValueError: on purpose" in printed
    assert "02_silent.ipynb has no parameter SEED" in printed
    copy = folder.parent / "short/results/executed/01_broken-seed-2.failed.ipynb"
    assert str(copy) in printed
    assert "on purpose" in copy.read_text()
    assert (folder.parent / "short/results/executed/99_looks-seed-11.ipynb").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["07"], "there is no notebook '07'; there are 01_plain"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--seeds", "-1"], "'-1' is not a whole number from 0 up"),
        (["--seeds", str(2**31)], "2147483648 is more than 2,147,483,647"),
        (["--seeds", "1", str(2**63)], "9223372036854775808 is more than 2,147,483,647"),
        (["--seeds", "5", "7-6"], "'7-6' is no range of seeds such as 11-20"),
        (["--threads", "0"], "'0' is not a whole number from 1 up"),
    ],
)
def test_wrong_usage_is_explained(folder, arguments, message, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    write_notebook(folder, "01_plain")
    try:
        code = main(arguments_for(folder, *arguments))
    except SystemExit as exit_:  # what argparse itself refuses
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_kill_at_any_moment_and_go_on(folder):
    """Killed with SIGKILL again and again: no record lost or half written, and it gets done."""
    write_notebook(folder, "01_plain", TRAIN)
    executed = folder.parent / "short/results/executed"
    seeds = range(1, KILLS + 2)
    arguments = ["--seeds", *map(str, seeds)]
    before: dict[str, int] = {}
    for kill in range(1, KILLS + 1):
        process = start(folder, *arguments)
        started = time.time()
        while process.poll() is None and not has_begun(executed, since=started):
            time.sleep(0.1)
        import_seconds = time.time() - started  # a kernel needs about the same again, and trains
        time.sleep(random.uniform(0, 2 * import_seconds))
        kernels = psutil.Process(process.pid).children() if process.poll() is None else []
        process.kill()
        process.communicate()
        after = records(folder)
        moment = f"{time.time() - started:.1f} s, {len(kernels)} kernels"
        print(f"kill {kill} after {moment}: {len(after)} records")
        assert before.keys() <= after.keys(), "a record was lost"
        before = after
        _, alive = psutil.wait_procs(kernels, timeout=10)
        assert not alive, "a kernel goes on without its runner"
    printed = run(folder, *arguments)
    assert "0 failed" in printed
    assert "waiting" not in printed, "a killed runner holds up the next one"
    assert records(folder).keys() == {f"seed-{seed}" for seed in seeds}
    left = {path.name for path in executed.iterdir()}
    assert left == {f"01_plain-seed-{seed}.ipynb" for seed in seeds}


def has_begun(executed: Path, since: float) -> bool:
    """Whether a notebook has been under way since that time."""
    return any(part.stat().st_mtime >= since for part in executed.glob("*.part.ipynb"))


@pytest.mark.parametrize("begun", [False, True], ids=["starting", "at work"])
def test_interrupt_ends_the_kernel(folder, monkeypatch, capsys, begun):
    """Ctrl-C, sent from a thread as soon as the first of two notebooks is under way.

    begun  its own code runs; else its kernel has just been started
    """
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    for stem in ("98_a", "99_b"):
        code = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(120)"
        write_notebook(folder, stem, code)
    kernels = []

    def press() -> None:
        while not kernels or begun > (folder / "begun").exists():
            time.sleep(0.1)
            kernels[:] = psutil.Process().children()
        os.kill(os.getpid(), signal.SIGINT)

    # a test run started in the background by a shell ignores Ctrl-C, and Python leaves it so
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        assert main(arguments_for(folder)) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in capsys.readouterr().err
    assert not any(kernel.is_running() for kernel in kernels)


def test_a_page_is_replaced_as_if_run_by_hand(folder):
    """At full length, but with a notebook that trains nothing."""
    page = write_notebook(folder, "99_looks", "SEED + 1", "print('done')")
    before = json.loads(page.read_text())
    job = jobs.Job(page, seed=11, device="cpu")
    assert notebooks.execute_all([job]) == {}
    after = json.loads(page.read_text())
    counts = [cell["execution_count"] for cell in after["cells"] if cell["cell_type"] == "code"]
    assert counts == [1, 2, 3, 4]
    assert after["cells"][3]["outputs"][0]["execution_count"] == 3
    assert after["metadata"] == before["metadata"]
    for old, new in zip(before["cells"], after["cells"], strict=True):
        assert (new["id"], new["source"], new["metadata"]) == (
            old["id"], old["source"], old["metadata"],
        )  # fmt: skip
    assert jobs.unfinished([job]) == []
    page.write_text(page.read_text().replace("SEED + 1", "SEED + 2"))
    assert jobs.unfinished([job]) == [job], "an edited notebook still counts as executed"


def test_a_page_edited_meanwhile_is_not_overwritten(folder):
    page = write_notebook(folder, "99_looks", "open('99_looks.ipynb', 'a').write(' ')")
    job = jobs.Job(page, seed=11)
    failed = notebooks.execute_all([job])
    assert "was edited while it ran" in str(failed[job])
    assert '"execution_count": 1' not in page.read_text()


def test_an_edit_while_a_copy_is_made_does_not_count_as_executed(folder, monkeypatch):
    """No page is replaced here, so nothing but the key tells the old code from the new."""
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    edit = "page = __import__('pathlib').Path('98_edits.ipynb')\n"
    edit += "page.write_text(page.read_text().replace('6 * 7', '7 * 7'))"
    pages = [write_notebook(folder, "98_edits", "6 * 7", edit), write_notebook(folder, "99_looks")]
    first, second = jobs.plan(pages, seeds=[11])
    assert notebooks.execute_all([first, second]) == {}
    assert "7 * 7" in pages[0].read_text()
    assert jobs.unfinished([first, second]) == [first]
    for damaged in ("", "[]", "{}", '{"metadata": []}'):
        second.executed().write_text(damaged)
        assert jobs.unfinished([second]) == [second]


def test_two_runs_on_the_same_results_take_turns(folder):
    """The notebook of the first waits until the second has said that it waits, or 300 s."""
    wait = "import pathlib, time\nfor _ in range(3000):\n"
    wait += "    pathlib.Path('go').exists() or time.sleep(0.1)"
    write_notebook(folder, "99_waits", wait)
    executed = folder.parent / "short/results/executed"
    runners = [start(folder)]
    try:
        while not has_begun(executed, since=0) and runners[0].poll() is None:
            time.sleep(0.1)
        runners.append(start(folder))
        said = runners[1].stdout.readline()
        assert said == f"waiting for another run that works on {executed.parent}\n"
        (folder / "go").touch()
        printed = [runner.communicate()[0] for runner in runners]
        assert [runner.returncode for runner in runners] == [0, 0], printed
        assert "1 notebooks to execute, 0 finished before" in printed[0]
        assert printed[1].startswith("0 notebooks to execute, 1 finished before")
    finally:
        for runner in runners:
            runner.kill()


def test_the_lock_is_nothing_to_commit():
    command = ["git", "check-ignore", "-q", "results/.running.lock"]
    assert subprocess.run(command, cwd=PROJECT).returncode in (0, 128)  # 128: no git checkout


def test_the_kernel_is_not_interrupted_when_it_has_done_its_work(folder, monkeypatch):
    """It would say "KeyboardInterrupt caught in kernel" on the terminal, now and then."""
    signals = []
    monkeypatch.setattr(
        AsyncKernelManager, "_async_signal_kernel", lambda self, signum: signals.append(signum)
    )
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    job = jobs.Job(write_notebook(folder, "99_looks"), seed=11)
    assert notebooks.execute_all([job]) == {}
    assert signals == []


def test_kernels_take_one_thread_and_the_environment_comes_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    with notebooks.kernel_environment():
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert dict(os.environ) == before


def test_threads_reach_the_notebook(folder, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert_two = "assert THREADS == 2, THREADS"
    page = write_notebook(folder, "99_looks", assert_two, parameters=PARAMETERS + "\nTHREADS = 1")
    (job,) = jobs.plan([page], seeds=[11], threads=2)
    assert notebooks.execute_all([job]) == {}
    assert notebooks.parameters_of(jobs.Job(page, seed=11)) == {}
    (job,) = jobs.plan([write_notebook(folder, "01_plain")], seeds=[11], threads=2)
    with pytest.raises(ValueError, match="01_plain.ipynb has no parameter THREADS"):
        notebooks.parameters_of(job)


def test_the_word_for_short_may_be_no(folder, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "false")
    write_notebook(folder, "99_looks", "6 * 7")
    assert main(["run", "--folder", str(folder)]) == 0
    assert (folder.parent / "results/executed/99_looks-seed-11.ipynb").exists()
    monkeypatch.setenv("MNIST_LIB_SHORT", "maybe")
    capsys.readouterr()
    assert main(["run", "--folder", str(folder)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "python -m mnist_lib run: MNIST_LIB_SHORT=maybe is neither yes nor no; use 1 or 0\n"
    )


def test_pages_come_after_what_they_show(folder):
    pages = [write_notebook(folder, stem) for stem in ("01_a", "02_b", "99_c")]
    assert [str(job) for job in jobs.plan(pages, seeds=[11, 12, 13])] == [
        "01_a seed 12", "02_b seed 12", "01_a seed 13", "02_b seed 13",
        "01_a seed 11", "02_b seed 11", "99_c seed 11",
    ]  # fmt: skip


# ---- what is broken -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"cells": [1]}', '{"cells": null}'])
def test_a_broken_notebook_is_named_and_the_others_go_on(folder, text, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    broken = folder / "01_broken.ipynb"
    broken.write_text(text)
    write_notebook(folder, "99_looks")
    executed = output_folder() / "executed"
    executed.mkdir(parents=True)
    for kind in ("part", "failed"):
        (executed / f"01_broken-seed-11.{kind}.ipynb").write_text("of an earlier attempt")
    assert main(arguments_for(folder)) == 1
    printed = capsys.readouterr().out
    assert f"{broken} is no notebook: it is not JSON with cells" in printed
    assert "kept" not in printed
    assert "1 finished, 0 skipped, 1 failed" in printed


def test_a_notebook_deleted_meanwhile_is_named(folder, monkeypatch, capsys):
    """The second by the first, and the third by itself, so that its page cannot be replaced."""
    delete = "__import__('pathlib').Path('{}.ipynb').unlink()"
    write_notebook(folder, "97_deletes", delete.format("98_deleted"))
    deleted = [
        write_notebook(folder, "98_deleted"),
        write_notebook(folder, "99_itself", delete.format("99_itself")),
    ]
    assert main(["run", "--folder", str(folder)]) == 1
    printed = capsys.readouterr().out
    for page in deleted:
        assert f"  {page.stem} seed 11: {page}: No such file or directory" in printed
    assert "1 finished, 0 skipped, 2 failed" in printed
    kept = [path.name for path in (output_folder() / "executed").glob("*.failed.ipynb")]
    assert kept == ["99_itself-seed-11.failed.ipynb"] and printed.count("kept") == 1


@pytest.fixture
def bad_record(results) -> Path:
    """Half a record in the results folder."""
    path = results / "runs/S1/seed-1.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"recipe": "S1", "se')
    return path


def assert_named_once(path: Path, printed, recwarn) -> None:
    assert printed.err.count(str(path)) == 1 and "Traceback" not in printed.err
    assert not [warning for warning in recwarn if str(path) in str(warning.message)]


def test_systems_are_listed_and_a_bad_record_is_named(bad_record, capsys, recwarn):
    assert main(["systems"]) == 1
    printed = capsys.readouterr()
    assert sum(line.startswith("S") for line in printed.out.splitlines()) == 21
    assert_named_once(bad_record, printed, recwarn)


def test_a_report_is_made_and_a_bad_record_is_named(results, bad_record, capsys, recwarn):
    assert main(["report"]) == 1
    printed = capsys.readouterr()
    assert "no records yet" in printed.err
    assert_named_once(bad_record, printed, recwarn)
    shutil.copytree(PROJECT / "results/runs/01-plain", results / "runs/01-plain")
    assert main(["report"]) == 1
    printed = capsys.readouterr()
    assert "wrote journey.png" in printed.out
    assert_named_once(bad_record, printed, recwarn)
    bad_record.unlink()
    assert main(["report"]) == 0


@pytest.mark.parametrize("short", [False, True])
def test_a_run_is_made_and_a_bad_record_is_named(folder, bad_record, capsys, recwarn, short):
    write_notebook(folder, "99_looks")
    arguments = ["run", "--folder", str(folder)]
    if short:
        shutil.move(bad_record.parents[2], output_folder(short=True))
        bad_record = output_folder(short=True) / "runs/S1/seed-1.json"
        arguments = arguments_for(folder)
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "1 finished, 0 skipped, 0 failed" in printed.out
    assert_named_once(bad_record, printed, recwarn)


@pytest.mark.parametrize("obstacle", ["results", "results/.running.lock"])
def test_results_that_cannot_be_locked(folder, obstacle, capsys):
    """A file where the folder should be, or a folder where the lock should be."""
    write_notebook(folder, "99_looks")
    path = folder.parent / obstacle
    path.mkdir(parents=True) if path.name == ".running.lock" else path.touch()
    assert main(["run", "--folder", str(folder)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{path}: ") and printed.err.count("\n") == 1


def test_a_full_disk_is_named_with_the_path(folder, monkeypatch, capsys):
    def no_space(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    write_notebook(folder, "99_looks")
    part = output_folder() / "executed/99_looks-seed-11.part.ipynb"
    monkeypatch.setattr(papermill, "execute_notebook", no_space)
    assert main(arguments_for(folder)) == 1
    assert f"{part}: No space left on device" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_named_with_the_path(results, capsys):
    shutil.copytree(PROJECT / "results/runs/01-plain", results / "runs/01-plain")
    figures = results.parent / "figures"
    figures.touch()
    assert main(["report"]) == 1
    assert capsys.readouterr().err == f"{figures}: File exists\n"


# ---- published systems --------------------------------------------------------------------------

TRAIN_SYSTEM = """\
from mnist_lib.data import load_mnist
from mnist_lib.experiments.systems import system
from mnist_lib.records import save
from mnist_lib.train import fit
recipe = system(SYSTEM)
save(fit(recipe, load_mnist(fold=recipe.fold(SEED)), seed=SEED, device=DEVICE))"""


@pytest.fixture
def systems_page(folder):
    parameters = PARAMETERS + f'\nSYSTEM = "{jobs.DEFAULT_SYSTEM}"'
    return write_notebook(folder, "10_systems", TRAIN_SYSTEM, parameters=parameters)


def test_any_system_runs_by_name_and_only_once(folder, systems_page, monkeypatch):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    arguments = arguments_for(folder, "--system", "s1", "S4-6", "--seeds", "1", "2")
    assert main(arguments) == 0
    found = {(r["recipe"], r["seed"]) for r in load_records(output_folder(short=True))}
    assert found == {("S1", 1), ("S1", 2), ("S4-6", 1), ("S4-6", 2)}
    copies = sorted(path.name for path in (folder.parent / "short/results/executed").iterdir())
    assert copies == [
        f"10_systems-{name}-seed-{seed}.ipynb" for name in ("S1", "S4-6") for seed in (1, 2)
    ]
    planned = jobs.plan([systems_page], [1, 2], "cpu", ["S1", "S4-6"])
    assert jobs.unfinished(planned) == []


def test_without_a_name_the_notebook_runs_its_own_system(folder, systems_page):
    (job,) = jobs.plan([systems_page], [11])
    assert [recipe.name for recipe in job.recipes] == [jobs.DEFAULT_SYSTEM] and job.makes_page
    assert notebooks.parameters_of(job) == {}


def test_only_the_default_system_becomes_the_page_and_it_comes_last(folder, systems_page):
    step = write_notebook(folder, "01_a")
    planned = jobs.plan([step, systems_page], [11, 12], None, [recipe.name for recipe in SYSTEMS])
    assert len(planned) == 2 * (1 + 21)
    assert [str(job) for job in planned[-2:]] == ["01_a seed 11", "10_systems S4-6 seed 11"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--system", "S9"], "no published system 'S9'; there are S0-1, "),
        (["--system", "S1", "--", "01"], "leave out the others"),
        (["--system", "all", "S1"], "all means every one; leave out the other names"),
    ],
)
def test_a_system_that_cannot_be_run_is_refused(
    folder, systems_page, capsys, monkeypatch, arguments, message
):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert main(["run", "--short", "--folder", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_parameters_say_what_a_notebook_makes_not_its_number(folder, monkeypatch):
    step = write_notebook(folder, "10_step")
    systems = write_notebook(folder, "42_systems", parameters=PARAMETERS + '\nSYSTEM = "S1"')
    races = write_notebook(folder, "43_races", parameters=PARAMETERS + "\nFINAL_SEEDS = 20")
    assert jobs.choose([], ["S1", "s2-1", "s1"], folder) == ([systems], ["S1", "S2-1"])
    assert [job.system for job in jobs.plan([step, systems], [11])] == [jobs.DEFAULT_SYSTEM, None]
    for recorded in (True, False):
        monkeypatch.setattr(store, "is_recorded", lambda recorded=recorded: recorded)
        assert (jobs.unfinished(jobs.plan([races], [11])) == []) == recorded
    systems.write_text("broken")
    with pytest.raises(ValueError, match="has the parameter SYSTEM"):
        jobs.choose([], ["S1"], folder)


def test_the_systems_are_listed(folder, capsys):
    assert main(["systems"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("S") for line in lines) == 21
    (row,) = [line for line in lines if line.startswith("S0-3 ")]
    assert "2,211 (claimed 9,752)" in row and "99.02%" in row


# ---- badges -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "remote, slug",
    [
        ("https://github.com/owner/name", "owner/name"),
        ("https://github.com/owner/name.git", "owner/name"),
        ("https://user@github.com/owner/na.me/", "owner/na.me"),
        ("git@github.com:owner/name.git", "owner/name"),
        ("ssh://git@github.com/owner/name.git", "owner/name"),
        ("https://notgithub.com/owner/name", ""),
        ("../elsewhere.git", ""),
        (None, ""),
    ],
)
def test_badges_follow_the_remote(folder, remote, slug):
    project = folder.parent
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    if remote:
        subprocess.run(["git", "remote", "add", "origin", remote], cwd=project, check=True)
    page = write_notebook(folder, "01_plain", "'π'")
    readme = project / "README.md"
    readme.write_text("# Title <!-- badge -->old<!-- /badge -->\n")
    before = page.read_text()
    badges.stamp(project)
    stamped = page.read_text()
    if slug:
        assert f'REPOSITORY = \\"https://github.com/{slug}\\"' in stamped
        assert f"/github/{slug}/blob/main/notebooks/01_plain.ipynb" in stamped
        assert slug in readme.read_text()
    else:
        assert stamped == before, "without a remote nothing but the source may be written"
        assert readme.read_text() == "# Title <!-- badge --><!-- /badge -->\n"
    badges.stamp(project)
    assert page.read_text() == stamped


def test_a_badge_is_a_picture_that_leads_to_colab(folder):
    """Beside a comment Markdown is text: a reader would see brackets and an address."""
    page = write_notebook(folder, "01_plain", "'π'")
    badges.stamp_file(page, "owner/name", page.name)
    cell = json.loads(page.read_text(encoding="utf-8"))["cells"][0]["source"]
    shown = MarkdownIt().render("".join(cell))
    assert "<img alt='Open in Colab' src='https://colab" in shown and "](" not in shown
