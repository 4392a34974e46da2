"""The report follows from the records alone: the same records, the same bytes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import finished

from mnist_lib import journey
from mnist_lib.commands import report
from mnist_lib.commands.command_line import main
from mnist_lib.engine.environment import PROJECT
from mnist_lib.records import save
from mnist_lib.results import NoRecords, finals, ledger, mean_and_deviation
from mnist_lib.train import fit

README = """\
# Digits
<!-- result -->
<!-- /result -->
Words that stay.

<!-- minutes -->
<!-- /minutes -->
<!-- targets -->
<!-- /targets -->
<!-- costs -->
<!-- /costs -->
<!-- systems -->
<!-- /systems -->
<!-- ledger -->
an old table
<!-- /ledger -->
The end.
"""


@pytest.fixture(scope="module")
def digits(synthetic):
    """Made-up digits of which every tenth test label is wrong, so that there are mistakes."""
    labels = synthetic.test_labels.clone()
    labels[::10] = (labels[::10] + 1) % 10
    return replace(synthetic, test_labels=labels)


@pytest.fixture(scope="module")
def trained(digits):
    """A function that trains a recipe for one epoch, once for each seed."""
    runs = {}

    def train(recipe, seed):
        if (recipe.name, seed) not in runs:
            runs[recipe.name, seed] = fit(recipe, digits, seed, device="cpu", quiet=True)
        return runs[recipe.name, seed]

    return train


@pytest.fixture
def steps(tiny, monkeypatch) -> list:
    """A journey of two tiny steps."""
    first = replace(tiny, name="01-first", epochs=1)
    second = first.but("02-second", "small batches", batch_size=16)
    monkeypatch.setattr(journey, "JOURNEY", [first, second])
    monkeypatch.setattr(journey, "STEPS", [first, second])
    monkeypatch.setattr(journey, "BEST", second)
    return [first, second]


@pytest.fixture
def readme(results):
    """A README beside the results folder."""
    path = results.parent / "README.md"
    path.write_text(README, encoding="utf-8")
    return path


@pytest.fixture
def no_data(monkeypatch, digits):
    """The picture of mistakes takes made-up digits."""
    monkeypatch.setattr(report, "load_mnist", lambda: digits)


def pictures(*names: str) -> list[str]:
    """The files of these figures, each for light and for dark pages."""
    return [f"{name}{ending}.png" for name in names for ending in ("", "-dark")]


# ---- regions ------------------------------------------------------------------------------------


def test_fill_replaces_one_region_and_nothing_else():
    filled = report.fill(README, "ledger", "| a | b |")
    assert filled == README.replace("an old table", "| a | b |")
    assert report.fill(filled, "ledger", "an old table") == README


def test_fill_takes_its_content_literally():
    content = r"\1 \g<0> \n 100 %"
    assert content in report.fill(README, "result", content)


@pytest.mark.parametrize(
    "text", ["", "<!-- ledger -->\nno end", "<!-- /ledger -->\n<!-- ledger -->"]
)
def test_fill_refuses_a_missing_region(text):
    with pytest.raises(ValueError, match="no region <!-- ledger -->"):
        report.fill(text, "ledger", "a table")


# ---- everything ---------------------------------------------------------------------------------


def test_the_report_is_made_from_the_records(steps, trained, results, readme, no_data):
    for step in steps:
        for seed in (1, 2):
            save(trained(step, seed))
    written, problems = report.rebuild()
    figures = pictures("accuracy-against-parameters", "journey", "mistakes")
    assert written == [*(results.parent / "figures" / name for name in figures), readme]
    assert problems == []
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written[:-1])
    assert len({path.read_bytes() for path in written}) == len(written)

    text = readme.read_text(encoding="utf-8")
    assert "an old table" not in text and "Words that stay." in text
    assert text.endswith("<!-- /ledger -->\nThe end.\n")
    between = text.split("<!-- ledger -->\n")[1].split("<!-- /ledger -->")[0]
    table = between.splitlines()
    assert table == report.as_markdown(ledger(steps)).splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| 01-first", "| 02-second"]
    runs = finals(steps[1])
    assert f"**{mean_and_deviation(runs['test_accuracy'])} test accuracy** (2 seeds, " in text
    assert "with 1,940 parameters in 1 epochs." in text

    before = [path.read_bytes() for path in written]
    assert report.rebuild() == (written, [])
    assert [path.read_bytes() for path in written] == before


def test_met_and_missed_targets_are_named(steps, monkeypatch):
    for step in steps:
        for seed in (1, 2):
            save(finished(step, seed, test=0.98))
    goals = {"01-first": journey.Target(mean_accuracy=0.97, max_parameters=None)}
    monkeypatch.setattr(journey, "TARGETS", goals)
    met = "Registered targets of these steps met: 01-first."
    assert report.targets(steps) == f"{met} Missed: none."
    goals["02-second"] = journey.Target(mean_accuracy=0.99, max_parameters=None)
    missed = "02-second (mean of at least 99.00% over 2 seeds: 98.00 ± 0.00 %)"
    assert report.targets(steps) == f"{met} Missed: {missed}."
    assert report.headline(steps[1]).endswith("in 1 epochs; target 99.00% missed.")


def test_what_a_sweep_costs_by_the_recorded_seconds(steps):
    """Runs of 1 h and of 3 h in turn; of four cores or more each has one run."""
    for step, hours in zip(steps, (1, 3), strict=True):
        for seed in (1, 2):
            save(replace(finished(step, seed), seconds=3600.0 * hours))
    text = report.costs(seeds=2)
    assert "2 seeds of all 2 recipes are 4 runs and 8 hours of one core" in text
    assert "on 2 cores 5.0 h, on 16 cores 3.0 h, on 256 cores 3.0 h, where 02-second alone" in text


def test_the_first_screen_names_what_is_recorded_or_else_the_best_step(steps, trained, monkeypatch):
    save(trained(steps[1], 1))
    assert report.headlines() == f"Accurate: {report.headline(steps[1])}"
    monkeypatch.setattr(report, "TWO_THOUSAND", steps[0])
    save(trained(steps[0], 2))
    assert report.headlines() == f"Small: {report.headline(steps[0])}"


def test_the_table_has_as_many_cells_in_every_line(steps, trained):
    for step in steps:
        save(trained(step, 1))
    lines = report.as_markdown(ledger(steps)).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 4


def test_the_first_step_alone_is_a_report_too(steps, trained, readme):
    save(trained(steps[0], 1))
    written, problems = report.rebuild()
    figures = pictures("accuracy-against-parameters", "journey")
    assert [path.name for path in written] == [*figures, "README.md"]
    assert problems == []
    text = readme.read_text(encoding="utf-8")
    assert "| 01-first |" in text and "02-second" not in text


def test_the_first_recorded_seed_stands_for_a_step(steps, trained, readme, no_data):
    save(trained(steps[0], 1))
    save(trained(steps[1], 2))
    written, problems = report.rebuild()
    assert "mistakes.png" in [path.name for path in written] and problems == []
    text = readme.read_text(encoding="utf-8")
    assert "(cpu, threads: 1): 01: 0.0 · 02: 0.0." in text


def test_without_a_readme_there_are_still_the_figures(steps, trained, results):
    save(trained(steps[0], 1))
    assert [path.suffix for path in report.rebuild()[0]] == [".png"] * 4
    assert not (results.parent / "README.md").exists()


def test_no_records_no_report(results):
    with pytest.raises(NoRecords, match="no records yet: python -m mnist_lib run makes them"):
        report.rebuild()
    assert not results.parent.joinpath("figures").exists()


def test_records_of_older_settings_are_no_report_either(steps, trained):
    older = replace(steps[0], batch_size=64)
    save(trained(replace(older, name="01-first"), 7))
    with pytest.raises(NoRecords):
        report.rebuild()


def test_a_report_that_breaks_off_leaves_every_page_whole(
    steps, trained, results, readme, monkeypatch
):
    save(trained(steps[0], 1))
    report.rebuild()
    pages = [readme, *(results.parent / "figures").iterdir()]
    before = [path.read_bytes() for path in pages]
    save(trained(steps[0], 2))

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError):
        report.rebuild()
    assert [path.read_bytes() for path in pages] == before
    assert set((results.parent / "figures").iterdir()) == set(pages[1:])


# ---- what is wrong is named, and the rest is done -----------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "# Another project\n",
        "",
        "# Digits\n<!-- ledger -->\n<!-- /ledger -->\n<!-- minutes -->\n<!-- /minutes -->\n"
        "<!-- costs -->\n<!-- /costs -->\n"
        "<!-- systems -->\n<!-- /systems -->\n",
    ],
)
def test_beside_a_readme_without_its_regions_nothing_is_written(
    steps, trained, results, readme, no_data, capsys, text
):
    for step in steps:
        save(trained(step, 1))
    readme.write_text(text, encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in results.parent.rglob("*")}
    assert main(["report"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert f"nothing is written beside {readme}: there is no region <!-- result -->" in said.err
    assert {path: path.stat().st_mtime_ns for path in results.parent.rglob("*")} == before


def test_a_bad_record_is_named_and_the_rest_reported(steps, trained, readme, no_data, capsys):
    for step in steps:
        for seed in (1, 2, 3):
            path = save(trained(step, seed))
    path.write_text(path.read_text().replace('"test_accuracy": ', '"test_accuracy": -'))
    assert main(["report"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "wrote README.md"
    assert said.err == f"skipped the unreadable record {path}: history.0.test_accuracy: " + (
        "Input should be greater than or equal to 0\n"
    )
    text = readme.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 0")]
    assert [(row[0], row[5]) for row in rows] == [("| 01-first", "3"), ("| 02-second", "2")]


def test_a_damaged_checkpoint_costs_its_figure_only(steps, trained, readme, no_data):
    for step in steps:
        path = save(trained(step, 1)).with_suffix(".pt")
    path.write_bytes(b"")
    written, (problem,) = report.rebuild()
    figures = pictures("accuracy-against-parameters", "journey")
    assert [path.name for path in written] == [*figures, "README.md"]
    assert problem.startswith(f"{path} holds no weights")


def test_without_the_digits_only_the_mistakes_are_missing(steps, trained, readme, monkeypatch):
    def offline():
        raise ConnectionError("no mirror has MNIST")

    monkeypatch.setattr(report, "load_mnist", offline)
    for step in steps:
        save(trained(step, 1))
    written, problems = report.rebuild()
    figures = pictures("accuracy-against-parameters", "journey")
    assert [path.name for path in written] == [*figures, "README.md"]
    assert problems == ["no mirror has MNIST"]


def test_a_cut_race_is_named_and_the_readme_keeps_its_sentence(
    steps, trained, results, readme, capsys
):
    save(trained(steps[0], 1))
    race = Path(shutil.copy(PROJECT / "results" / "fast-final.csv", results))
    rows = race.read_text().splitlines(keepends=True)
    readme.write_text(README + "<!-- fastest -->\nas it was\n<!-- /fastest -->\n", encoding="utf-8")
    for text in ("".join(rows[:2]), "".join(rows)[:-3], "", "".join(rows).replace("0.9", "nan")):
        race.write_text(text)
        assert main(["report"]) == 1
        assert f"{race} is " in capsys.readouterr().err
        after = readme.read_text(encoding="utf-8")
        assert "nan" not in after and "as it was" in after and "| 01-first |" in after
    race.write_text("".join(rows))
    assert main(["report"]) == 0
    assert "as it was" not in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"steps": {"a": {}}}', '{"steps": []}'])
def test_another_file_is_no_benchmark(steps, trained, results, readme, text):
    save(trained(steps[0], 1))
    path = results / "speed-cpu.json"
    path.write_text(text)
    written, (problem,) = report.rebuild()
    assert readme in written and problem.startswith(f"{path} is no benchmark (")
