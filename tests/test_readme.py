"""README and docs say what the records hold: computed here once more, from the JSON files alone.

Nothing is imported from mnist_lib, so a mistake in its tables would show. A printed number may be
half a unit of its last digit away from what is computed.
"""

import json
import math
import re
from itertools import chain
from pathlib import Path
from statistics import mean, median, stdev

from scipy.stats import t

PROJECT = Path(__file__).parent.parent
RESULTS = PROJECT / "results"
MARKS = {True: "✓", False: "✗"}
OF_PAGE = {
    "01": "01-plain", "02": "02-skeleton", "03": "03-batch-norm", "04": "04-dropout",
    "05": "05-augmentation", "06": "06-one-cycle", "07": "07-wider", "08": "08-small",
    "11": "11-sooner", "12": "12-accurate", "13": "13-four-thousand",
}  # fmt: skip
# shown on the same line of the table of pages
ALSO = {"13": ["13-two-thousand", "13-one-thousand", "13-one-thousand-smooth"]}


def text(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


def region(name: str, mark: str) -> str:
    found = re.search(f"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", text(name), re.DOTALL)[1]
    assert found.strip(), f"{name}: nothing between the marks of {mark}; run the report"
    return found


def rows(name: str, mark: str) -> list[dict[str, str]]:
    """A generated table, one dict a row."""
    lines = [line for line in region(name, mark).splitlines() if line.startswith("|")]
    heads, _, *cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return [dict(zip(heads, row, strict=True)) for row in cells]


def numbers(cell: str) -> list[float]:
    return [float(n.replace(",", "")) for n in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?", cell)]


def assert_says(cell: str, *values: float) -> None:
    """The numbers of a cell are these, as far as it prints them."""
    found = numbers(cell)
    assert len(found) == len(values), f"'{cell}' and {values}"
    for number, value in zip(found, values, strict=True):
        assert abs(number - value) < 0.005 + 1e-9, f"'{cell}' and {values}"


# ---- from the records ---------------------------------------------------------------------------


def records(name: str, kind: str = "runs") -> dict[int, dict]:
    """The records of a recipe by seed, all of one version."""
    found = [json.loads(p.read_text("utf-8")) for p in (RESULTS / kind / name).glob("*.json")]
    assert len({record["fingerprint"] for record in found}) <= 1, f"several versions of {name}"
    return {record["seed"]: record for record in sorted(found, key=lambda each: each["seed"])}


def last(name: str, column: str, kind: str = "runs") -> dict[int, float]:
    """A column of the last epoch, in percent, by seed."""
    return {seed: 100 * r["history"][-1][column] for seed, r in records(name, kind).items()}


def of_test(name: str) -> list[float]:
    """The test accuracies of the last epoch, in percent."""
    return [*last(name, "test_accuracy").values()]


def spread(values) -> list[float]:
    """Mean and standard deviation."""
    return [mean(values), stdev(values)]


def ends(values, factor: float = 1.0) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean."""
    half = factor * t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def on_folds(ours: dict[int, float], theirs: dict[int, float]) -> tuple[list[float], str]:
    """Mean and interval (Nadeau and Bengio 2003) of paired differences, and the verdict."""
    pairs = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    low, high = ends(pairs, math.sqrt(1 + len(pairs) * 6_000 / 54_000))
    largest = max(-low, high)
    if len(pairs) < 5:
        word = "too few pairs"
    elif low > 0 or high < 0:
        word = "helps" if low > 0 else "hurts"
    else:
        word = f"no difference larger than {largest:.2f}" if largest <= 0.1 else "undecided"
    return [mean(pairs), low, high], word


# ---- the tables ---------------------------------------------------------------------------------


def assert_measured(row: dict[str, str]) -> None:
    """What tables of steps say of their runs."""
    runs, accuracies = records(row["step"]), of_test(row["step"])
    first, errors = next(iter(runs.values())), [round(10_000 - 100 * each) for each in accuracies]
    assert_says(row["parameters"], first["parameters"])
    assert_says(row["epochs"], len(first["history"]))
    assert_says(row["test accuracy"], *spread(accuracies))
    assert_says(row["seeds"], len(runs))
    assert_says(row["errors of 10,000"], min(errors), max(errors))


def test_the_ledger():
    table = rows("docs/ledger.md", "ledger")
    assert [row["step"] for row in table] == list(dict.fromkeys(row["step"] for row in table))
    assert {row["step"] for row in table} == {path.name for path in RESULTS.glob("runs/0*")}
    for row in table:
        assert_measured(row)
        name, runs = row["step"], records(row["step"])
        validated = last(name, "validation_accuracy")
        clean = mean(100 * run["clean_train_accuracy"] for run in runs.values())
        assert_says(row["validation"], *spread(validated.values()))
        assert_says(row["clean train − test"], clean - mean(of_test(name)))
        if parent := next(iter(runs.values()))["parent"]:
            effect, word = on_folds(validated, last(parent, "validation_accuracy"))
            assert_says(row["effect on validation"], *effect)
            assert row["the change"] == word
        else:
            assert row["effect on validation"] == row["the change"] == "–"


def test_the_ablations():
    first, *others = rows("docs/ledger.md", "ablations")
    reference = last(first["recipe"], "validation_accuracy", "validation")
    assert len(others) == 5 and first["verdict"] == "–"
    for row in [first, *others]:
        runs = last(row["recipe"], "validation_accuracy", "validation")
        assert_says(row["folds"], len(runs))
        assert_says(row["validation"], *spread(runs.values()))
        if row is not first:
            effect, word = on_folds(runs, reference)
            assert_says(row["against the first"], *effect)
            assert row["verdict"] == word


def test_the_systems():
    facts, table = json.loads(text("results/published.json")), rows("docs/systems.md", "systems")
    variances, freedom, seen = 0.0, 0, set()
    for row in table:  # two names of one recipe count once
        runs = {(r["fingerprint"], s): r for s, r in records(row["system"]).items()}
        new = [r["history"][-1]["test_accuracy"] for key, r in runs.items() if key not in seen]
        seen |= {*runs}
        if len(new) > 1:
            variances += (len(new) - 1) * stdev(new) ** 2 / (mean(new) * (1 - mean(new)) / 10_000)
            freedom += len(new) - 1
    for row in table:
        log = facts[row["system"]]["log_test_accuracy"]
        runs = records(row["system"]).values()
        found = of_test(row["system"])
        assert_says(row["here"], *(spread(found) if len(found) > 1 else found))
        assert_says(row["seeds"], len(runs))
        if not log:
            claim = 100 * facts[row["system"]]["own_test_accuracy"]
            assert_says(row["difference"], mean(found) - claim)
            assert row["verdict"] == "–"
            continue
        ours = [run["history"][len(log) - 1]["test_accuracy"] for run in runs]
        binomial = mean(ours) * (1 - mean(ours)) / 10_000
        deviation = math.sqrt(variances / freedom * binomial * (1 + 1 / len(ours)))
        gap, half = mean(ours) - log[-1], t.ppf(0.975, freedom) * deviation
        assert_says(row["difference"], *(100 * end for end in (gap, gap - half, gap + half)))
        word = "compatible with" if abs(gap) <= half else "outside"
        assert row["verdict"] == f"{word} our runs"


# ---- README -------------------------------------------------------------------------------------


def meets(name: str) -> bool:
    """Whether the runs meet the target that was registered last."""
    registered = json.loads(text("results/registered.json"))
    target = [entry["target"] for entry in registered if entry["recipe"] == name][-1]
    histories = [run["history"] for run in records(name).values()]
    last_ones = [history[-1]["test_accuracy"] for history in histories]
    # exact to 1e-9: the mean of equal numbers may be a little less
    limits = {
        "max_parameters": -max(run["parameters"] for run in records(name).values()),
        "max_epochs": -max(map(len, histories)),
        "mean_accuracy": mean(last_ones) + 1e-9,
        "lower_end": ends(last_ones)[0] + 1e-9,
    }
    found = [
        abs(value) <= target[part] if value < 0 else value >= target[part]
        for part, value in limits.items()
        if target[part] is not None
    ]
    if target["test_accuracy"] is not None:
        enough = math.ceil(target["of_seeds"] * len(histories))
        found.append(kept(name, target["last_epochs"], target["test_accuracy"]) >= enough)
    return all(found)


def kept(name: str, epochs: int = 3, least: float = 0.994) -> int:
    """How many seeds have this test accuracy in each of the last epochs."""
    ends = [run["history"][-epochs:] for run in records(name).values()]
    return sum(min(row["test_accuracy"] for row in end) >= least for end in ends)


def test_the_pages():
    pages = {}
    for line in region("README.md", "pages").splitlines()[2:]:
        *_, accuracy, verdict = (cell.strip() for cell in line.strip("|").split("|"))
        pages[re.search(r"notebooks/(\d\d)_", line)[1]] = accuracy, verdict
    assert {*OF_PAGE} <= {*pages}
    for page, (accuracy, verdict) in pages.items():
        if page not in OF_PAGE:
            assert accuracy == verdict == "–"
            continue
        names = [OF_PAGE[page], *ALSO.get(page, [])]
        assert_says(accuracy, *chain.from_iterable(spread(of_test(name)) for name in names))
        assert verdict == " ".join(MARKS[meets(name)] for name in names)


def test_the_goal():
    found, others = region("README.md", "goal").strip().split("\n\n")
    name = re.search(r"seeds\*\* of (\S+) reach it", found)[1]
    runs = records(name)
    first, minutes = next(iter(runs.values())), [run["seconds"] / 60 for run in runs.values()]
    assert first["parameters"] < 8_000 and len(first["history"]) <= 15
    said = found.replace(name, "").replace("95 %", "")
    counted = [kept(name), len(runs), *spread(of_test(name)), *ends(of_test(name))]
    size = [first["parameters"], len(first["history"])]
    assert_says(said.split(", 15 epochs")[0] + ", 15 epochs", *counted, *size)
    (shown,) = numbers(said.split("15 epochs")[1])
    assert abs(shown - median(minutes)) < 0.051
    named = [*OF_PAGE.values(), *chain.from_iterable(ALSO.values())]
    assert kept(name) / len(runs) >= max(kept(each) / len(records(each)) for each in named)
    counts = {n: (int(k), int(of)) for n, k, of in re.findall(r"(\S+) (\d+) of (\d+)", others)}
    assert counts == {each: (kept(each), len(records(each))) for each in counts}
    assert {each for each in named if mean(of_test(each)) >= 99.4} <= {name, *counts}


def test_the_registered_networks():
    for row in rows("docs/ledger.md", "result"):
        assert_measured(row)
        assert_says(row["95 % interval"], *ends(of_test(row["step"])))
        assert row["target"] == MARKS[meets(row["step"])]


def test_the_fastest():
    table = rows("docs/speed.md", "fastest")
    seconds = [[run["seconds"] for run in records(row["recipe"]).values()] for row in table]
    for row, own in zip(table, seconds, strict=True):
        ratios = [one / other for one, other in zip(own, seconds[0], strict=True)]
        assert_says(row["test accuracy"], *spread(of_test(row["recipe"])))
        assert_says(row["seconds"], *spread(own))
        assert_says(row["relative time"], mean(ratios), *ends(ratios))


def test_the_second_benchmark():
    rounds = json.loads(text("results/to-target-cpu.json"))["rounds"]
    for row in rows("docs/speed.md", "soon"):
        system = row["system"]
        share = mean(each[f"winner beside {system}"] / each[system] for each in rounds)
        assert row["plain loop"] == f"{median(each[system] for each in rounds):.3g}"
        assert row["ratio"] == f"{share:.3g}"
