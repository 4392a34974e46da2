"""The command line on tiny notebooks, in a folder of their own; nothing touches results/.

Importing torch takes most of the time here, so only what needs a process of its own gets one.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import torch

from mnist_lib import badges, batch, jobs
from mnist_lib.__main__ import main
from mnist_lib.results import PROJECT, load_records, output_folder

KILLS = int(os.environ.get("MNIST_LIB_TEST_KILLS", "2"))  # 20 by hand
TRAIN = """\
from mnist_lib import results
from mnist_lib.data import load_mnist
from mnist_lib.journey import recipes_of
from mnist_lib.train import fit
for recipe in recipes_of("01"):
    results.save(fit(recipe, load_mnist(holdout=recipe.holdout), seed=SEED, device=DEVICE))"""
BOOTSTRAP = 'REPOSITORY = ""\nprint("ready")'
PARAMETERS = 'SEED = 1\nDEVICE = "cpu"'


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
    assert "[1/1] 01_plain seed 1: finished in" in printed
    assert "1 finished, 0 skipped, 0 failed" in printed
    assert list(records(folder)) == ["seed-1"]
    assert page.read_bytes() == source, "a shortened run changed the page"
    assert not (folder.parent / "results").exists(), "a shortened run wrote among the full ones"
    executed = (folder.parent / "short/results/executed/01_plain-seed-1.ipynb").read_text()
    assert "epoch  2/2" in executed
    assert "papermill" not in executed
    assert str(folder) not in executed

    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    monkeypatch.setattr(batch, "run", lambda waiting, width: dict.fromkeys(waiting, Exception()))
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
    assert main(arguments_for(folder, "--jobs", "2", "--seeds", "2")) == 1
    printed = capsys.readouterr().out
    assert "1 finished, 0 skipped, 2 failed" in printed
    assert "ValueError: on purpose" in printed
    assert "02_silent.ipynb has no parameter SEED" in printed
    copy = folder.parent / "short/results/executed/01_broken-seed-2.failed.ipynb"
    assert str(copy) in printed
    assert "on purpose" in copy.read_text()
    assert (folder.parent / "short/results/executed/99_looks-seed-1.ipynb").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["07"], "there is no notebook '07'; there are 01_plain"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--seeds", "-1"], "'-1' is not a whole number from 0 up"),
        (["--jobs", "0"], "'0' is not a whole number from 1 up"),
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
    arguments = ["--jobs", "2", "--seeds", *map(str, seeds)]
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
    assert "0 failed" in run(folder, *arguments)
    assert records(folder).keys() == {f"seed-{seed}" for seed in seeds}
    left = {path.name for path in executed.iterdir()}
    assert left == {f"01_plain-seed-{seed}.ipynb" for seed in seeds}


def has_begun(executed: Path, since: float) -> bool:
    """Whether a notebook has been under way since that time."""
    return any(part.stat().st_mtime >= since for part in executed.glob("*.part.ipynb"))


def test_interrupt_ends_the_kernels(folder, monkeypatch, capsys):
    """Ctrl-C, sent from a thread as soon as two of three notebooks are under way."""
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    for stem in ("97_a", "98_b", "99_c"):
        write_notebook(folder, stem, "import time\ntime.sleep(600)")
    kernels = []

    def press() -> None:
        while len(kernels) < 2:
            time.sleep(0.1)
            kernels[:] = psutil.Process().children()
        os.kill(os.getpid(), signal.SIGINT)

    # a test run started in the background by a shell ignores Ctrl-C, and Python leaves it so
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        assert main(arguments_for(folder, "--jobs", "2")) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in capsys.readouterr().err
    assert not any(kernel.is_running() for kernel in kernels)


def test_a_page_is_replaced_as_if_run_by_hand(folder):
    """At full length, but with a notebook that trains nothing."""
    page = write_notebook(folder, "99_looks", "SEED + 1", "print('done')")
    before = json.loads(page.read_text())
    job = jobs.Job(page, seed=1, device="cpu")
    assert batch.run([job], width=1) == {}
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
    job = jobs.Job(page, seed=1)
    failed = batch.run([job], width=1)
    assert "was edited while it ran" in str(failed[job])
    assert '"execution_count": 1' not in page.read_text()


def test_kernels_side_by_side_share_the_cores_and_do_not_spin(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with batch.surroundings(tmp_path, at_once=max(2, os.cpu_count() or 1)):
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE" and os.environ["GOMP_SPINCOUNT"] == "0"
    assert dict(os.environ) == before
    with batch.surroundings(tmp_path, at_once=1):
        assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(("given", "expected"), [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5")])
def test_threads_spin_for_a_short_time_unless_told_otherwise(given, expected):
    code = "import os, sys, mnist_lib; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    surroundings = {name: os.environ[name] for name in os.environ if name != "GOMP_SPINCOUNT"}
    answer = subprocess.check_output(
        [sys.executable, "-c", code], env=surroundings | given, text=True, cwd=PROJECT
    )
    assert answer.split() == [expected, "False"]  # it is read when PyTorch is loaded


def test_phases(folder):
    notebooks = [write_notebook(folder, stem) for stem in ("01_a", "02_b", "99_c")]
    found = jobs.phases(jobs.plan(notebooks, seeds=[1, 2]), width=2)
    assert [([str(job) for job in group], at_once) for group, at_once in found] == [
        (["01_a seed 2", "02_b seed 2"], 2),
        (["01_a seed 1", "02_b seed 1"], 1),
        (["99_c seed 1"], 1),
    ]


# ---- published systems --------------------------------------------------------------------------

TRAIN_SYSTEM = """\
from mnist_lib import results
from mnist_lib.data import load_mnist
from mnist_lib.published import system
from mnist_lib.train import fit
recipe = system(SYSTEM)
results.save(fit(recipe, load_mnist(holdout=recipe.holdout), seed=SEED, device=DEVICE))"""


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
    (job,) = jobs.plan([systems_page], [1])
    assert [recipe.name for recipe in job.recipes] == [jobs.DEFAULT_SYSTEM] and job.makes_page
    assert batch.parameters_of(job) == {}


def test_only_the_default_system_becomes_the_page_and_it_comes_last(folder, systems_page):
    step = write_notebook(folder, "01_a")
    planned = jobs.plan([step, systems_page], [1, 2], None, jobs.find_systems(["all"]))
    assert len(planned) == 2 * (1 + 21)
    (others, _), (pages, at_once) = jobs.phases(planned, width=2)
    assert [str(job) for job in pages] == ["01_a seed 1", "10_systems S4-6 seed 1"] and at_once == 1
    assert len(others) == 42


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--system", "S9"], "no published system 'S9'; there are S0-1, "),
        (["--system", "S1", "--", "01"], "leave out the others"),
    ],
)
def test_a_system_that_cannot_be_run_is_refused(
    folder, systems_page, capsys, monkeypatch, arguments, message
):
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    assert main(["run", "--short", "--folder", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err


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
