"""The report follows from the records alone: the same records, the same bytes."""

from dataclasses import replace

import pytest

from mnist_lib import journey, report
from mnist_lib import results as records
from mnist_lib.train import fit

README = """\
# Digits
<!-- result -->
<!-- /result -->
Words that stay.

<!-- minutes -->
<!-- /minutes -->
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
            runs[recipe.name, seed] = fit(recipe, digits, seed, device="cpu")
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
            records.save(trained(step, seed))
    written = report.rebuild()
    figures = ["accuracy-against-parameters.png", "journey.png", "mistakes.png"]
    assert written == [*(results.parent / "figures" / name for name in figures), readme]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written[:3])

    text = readme.read_text(encoding="utf-8")
    assert "an old table" not in text and "Words that stay." in text
    assert text.endswith("<!-- /ledger -->\nThe end.\n")
    between = text.split("<!-- ledger -->\n")[1].split("<!-- /ledger -->")[0]
    table = between.splitlines()
    assert table == report.as_markdown(records.ledger(steps)).splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| 01-first", "| 02-second"]
    runs = records.finals(steps[1])
    assert f"**{records.mean_and_spread(runs['test_accuracy'])} test accuracy** (2 seeds, " in text
    assert "with 1,940 parameters in 1 epochs." in text

    before = [path.read_bytes() for path in written]
    assert report.rebuild() == written
    assert [path.read_bytes() for path in written] == before


def test_the_table_has_as_many_cells_in_every_line(steps, trained):
    for step in steps:
        records.save(trained(step, 1))
    lines = report.as_markdown(records.ledger(steps)).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 4


def test_the_first_step_alone_is_a_report_too(steps, trained, readme):
    records.save(trained(steps[0], 1))
    written = report.rebuild()
    assert [path.name for path in written] == [
        "accuracy-against-parameters.png", "journey.png", "README.md",
    ]  # fmt: skip
    text = readme.read_text(encoding="utf-8")
    assert "| 01-first |" in text and "02-second" not in text


def test_without_a_readme_there_are_still_the_figures(steps, trained, results):
    records.save(trained(steps[0], 1))
    assert [path.suffix for path in report.rebuild()] == [".png", ".png"]
    assert not (results.parent / "README.md").exists()


def test_a_readme_without_its_regions_is_left_as_it_is(steps, trained, readme, no_data):
    for step in steps:
        records.save(trained(step, 1))
    readme.write_text(
        "# Digits\n<!-- ledger -->\n<!-- /ledger -->\n<!-- minutes -->\n<!-- /minutes -->\n"
        "<!-- systems -->\n<!-- /systems -->\n",
        encoding="utf-8",
    )
    before = readme.read_bytes()
    with pytest.raises(ValueError, match="no region <!-- result -->"):
        report.rebuild()
    assert readme.read_bytes() == before


def test_no_records_no_report(results):
    with pytest.raises(LookupError, match="no records yet: python -m mnist_lib run makes them"):
        report.rebuild()
    assert not results.parent.joinpath("figures").exists()


def test_records_of_older_settings_are_no_report_either(steps, trained):
    older = replace(steps[0], batch_size=64)
    records.save(trained(replace(older, name="01-first"), 7))
    with pytest.raises(LookupError):
        report.rebuild()
