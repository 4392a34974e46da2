"""Notebook 14: digits are disturbed as asked, and what is measured of them is kept and right."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from mnist_lib.commands import inline
from mnist_lib.engine.environment import DEFAULT_SEED, PROJECT
from mnist_lib.experiments import out_of_distribution as strangers
from mnist_lib.experiments import robustness
from mnist_lib.experiments.calibration import calibration_error, reliability
from mnist_lib.experiments.corruptions import (
    DISTURBANCES,
    noisy,
    scaled,
    shifted,
    thickened,
    turned,
)
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.journey import AUGMENTATION, BATCH_NORM, BEST, PLAIN, SKELETON, SMALL
from mnist_lib.records import load_checkpoint, records_of, save
from mnist_lib.train import fit, predict


@pytest.fixture
def committed(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))


# ---- disturbances -------------------------------------------------------------------------------


@pytest.fixture
def bars() -> torch.Tensor:
    """Four upright bars, 4 pixels wide and 14 high, in the middle."""
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 7:21, 12:16] = 255
    return images


@pytest.mark.parametrize("each", DISTURBANCES, ids=lambda each: each.name)
def test_a_disturbance_of_no_strength_changes_nothing_and_more_of_it_more(each, digits):
    images = digits.test_images[:40]
    before = images.clone()
    assert torch.equal(each.apply(images, each.none), images)
    for side in (-1, 1):
        strengths = [s for s in each.strengths if (s - each.none) * side > 0]
        strengths.sort(key=lambda strength: abs(strength - each.none))
        changes = [(each.apply(images, s).float() - images).abs().mean() for s in strengths]
        assert changes == sorted(set(changes))
    assert each.apply(images, each.strengths[0]).dtype == torch.uint8
    assert each.apply(images, each.strengths[0]).shape == images.shape
    assert torch.equal(images, before)


def test_a_shift_moves_neighbours_to_the_right_down_left_and_up(bars):
    for image, (rows, columns) in zip(
        shifted(bars, 2), [(0, 2), (2, 0), (0, -2), (-2, 0)], strict=True
    ):
        assert torch.equal(image, bars[0].roll((rows, columns), (1, 2)))


def test_a_quarter_turn_lays_a_bar_down_and_neighbours_turn_against_each_other(bars):
    lying = turned(bars, 90)
    assert torch.allclose(lying[0].float(), bars[0].transpose(1, 2).float(), atol=1)
    leaning = turned(bars, 20)
    assert torch.allclose(leaning[0].float(), leaning[1].flip(2).float(), atol=1)
    top = leaning[0, 0, 8].float()
    assert (top * torch.arange(28)).sum() / top.sum() > 14.5  # clockwise: its head to the right


def test_strokes_grow_and_shrink_by_whole_pixels(bars):
    width = {pixels: int((thickened(bars, pixels)[0, 0, 14] > 0).sum()) for pixels in range(-2, 4)}
    assert width == {-2: 2, -1: 3, 0: 4, 1: 5, 2: 6, 3: 7}


def test_a_digit_grows_by_its_factor_about_the_centre(bars):
    rows = (scaled(bars, 1.5)[0, 0, :, 13] > 127).nonzero()
    assert (len(rows), int(rows[0]), int(rows[-1])) == (21, 4, 24) or len(rows) in (20, 21, 22)
    assert abs(float(rows.float().mean()) - 13.5) <= 0.5


def test_noise_has_its_deviation_and_is_the_same_every_time():
    grey = torch.full((50, 1, 28, 28), 128, dtype=torch.uint8)
    assert float(noisy(grey, 0.1).float().std()) == pytest.approx(25.5, rel=0.03)
    assert torch.equal(noisy(grey, 0.1), noisy(grey, 0.1))


# ---- confidence ---------------------------------------------------------------------------------


def test_the_calibration_error_is_the_weighted_distance_of_the_bins():
    confidence = torch.tensor([0.95] * 6 + [0.65] * 4)
    right = torch.tensor([True] * 3 + [False] * 3 + [True] * 4)
    # 95 % sure and 50 % right, six times; 65 % sure and all right, four times
    assert calibration_error(confidence, right) == pytest.approx(0.6 * 0.45 + 0.4 * 0.35)
    table = reliability(confidence, right)
    assert list(table["count"]) == [4, 6]
    assert list(table["accuracy"]) == [1.0, 0.5]


def test_confidence_that_is_kept_has_no_error():
    generator = torch.Generator().manual_seed(1)
    confidence = torch.rand(200_000, generator=generator)
    right = torch.rand(200_000, generator=generator) < confidence
    assert calibration_error(confidence, right) < 0.01
    assert calibration_error(torch.ones(5), torch.zeros(5, dtype=torch.bool)) == 1.0
    assert calibration_error(torch.ones(5), torch.ones(5, dtype=torch.bool)) == 0.0


# ---- what is measured ---------------------------------------------------------------------------


@pytest.fixture
def trained(tiny, synthetic):
    """A recorded network of the test's own, and digits to show it."""
    for seed in (1, 2):
        save(fit(tiny, synthetic, seed=seed, device="cpu", quiet=True))
    return tiny, synthetic.test_images[:60], synthetic.test_labels[:60]


def test_what_is_measured_is_kept_and_not_measured_again(trained, results, monkeypatch):
    tiny, images, labels = trained
    table = robustness.measure([(tiny, 1), (tiny, 2)], images, labels)
    assert len(table) == 2 * (1 + sum(len(each.strengths) for each in DISTURBANCES))
    confidence, guesses = predict(load_checkpoint(tiny, 1), images).max(1)
    first = table.iloc[0]
    assert first["disturbance"] == robustness.CLEAN and first["seed"] == 1
    assert first["accuracy"] == pytest.approx(float((guesses == labels).float().mean()), abs=1e-5)
    assert first["confidence"] == pytest.approx(float(confidence.mean()), abs=1e-4)
    before = (results / "disturbed.csv").read_bytes()
    monkeypatch.setattr(robustness, "judge", None)  # whatever is measured now fails
    again = robustness.measure([(tiny, 2), (tiny, 1)], images, labels)
    key = ["seed", "disturbance", "strength"]
    pd.testing.assert_frame_equal(
        again.sort_values(key, ignore_index=True), table.sort_values(key, ignore_index=True),
        check_dtype=False,
    )  # fmt: skip
    assert (results / "disturbed.csv").read_bytes() == before


def test_other_weights_are_measured_anew_and_replace_the_old_rows(trained, synthetic, results):
    tiny, images, labels = trained
    old = robustness.measure([(tiny, 1), (tiny, 2)], images, labels)
    path = results / "runs" / tiny.name
    (path / "seed-1.pt").write_bytes((path / "seed-2.pt").read_bytes())
    with (results / "disturbed.csv").open("a") as file:
        file.write("00-other,1,49fb60f8b556,none,0.0,0.99,0.98,0.01\n")
    new = robustness.measure([(tiny, 1)], images, labels)
    assert set(new["weights"]) == set(old.loc[old["seed"] == 2, "weights"])
    kept = pd.read_csv(results / "disturbed.csv")
    assert list(kept.pop("recipe")).count("00-other") == 1  # another recipe's row stays
    kept = kept[kept["weights"] != "49fb60f8b556"]
    assert len(kept) == len(old) and set(kept["weights"]) == set(new["weights"])


def test_a_shortened_run_looks_at_few_digits_and_keeps_nothing(trained, results, monkeypatch):
    tiny, images, labels = trained
    monkeypatch.setenv("MNIST_LIB_SHORT", "1")
    monkeypatch.setattr(robustness, "SHORT", 7)
    table = robustness.measure([(tiny, 1)], images, labels)
    assert set((table["accuracy"] * 7).round(3) % 1) <= {0.0}
    assert not (results / "disturbed.csv").exists()


def test_a_broken_table_is_named(results):
    results.mkdir(exist_ok=True)
    (results / "disturbed.csv").write_text("recipe,seed\n06-one-cycle,11\n")
    with pytest.raises(ValueError, match="disturbed.csv is no table of measurements, delete it"):
        robustness.recorded()


NETWORKS = [(BEST, seed) for seed in range(11, 21)]
OTHERS = (PLAIN, SKELETON, BATCH_NORM, AUGMENTATION, SMALL)
NETWORKS += [(recipe, seed) for recipe in OTHERS for seed in range(11, 16)]


def test_the_committed_table_is_of_the_committed_weights(committed):
    table = robustness.recorded()
    known = {tuple(row) for row in table[robustness.NETWORK].itertuples(index=False)}
    wanted = {
        (recipe.name, seed, robustness.hash_of(load_checkpoint(recipe, seed)))
        for recipe, seed in NETWORKS
    }
    assert known == wanted, "networks were trained anew: python -m mnist_lib run 14 --force"
    clean = table[table["disturbance"] == robustness.CLEAN].set_index(["recipe", "seed"])
    for recipe, seed in NETWORKS:
        (record,) = [r for r in records_of(recipe) if r["seed"] == seed]
        recorded = record["history"][-1]["test_accuracy"]
        assert clean.loc[(recipe.name, seed), "accuracy"] == pytest.approx(recorded, abs=3e-4)


@pytest.mark.parametrize("each", DISTURBANCES, ids=lambda each: each.name)
def test_the_committed_table_can_be_measured_again(committed, digits, each):
    """One strength of each; on another processor a digit on the border may go the other way."""
    strength = each.strengths[1]
    again = robustness.judge(
        load_checkpoint(SMALL, DEFAULT_SEED),
        each.apply(digits.test_images, strength),
        digits.test_labels,
    )
    table = robustness.recorded().set_index(["recipe", "seed", "disturbance", "strength"])
    row = table.loc[(SMALL.name, DEFAULT_SEED, each.name, strength)]
    for name, value in again.items():
        assert row[name] == pytest.approx(value, abs=5e-4), name


# ---- drawings and letters -----------------------------------------------------------------------


def test_drawings_and_letters_become_digits_of_the_usual_size():
    drawn = strangers.as_digits(
        [strangers.drawing(strokes) for _, strokes in strangers.DRAWINGS.values()]
    )
    for image, (_, strokes) in zip(drawn, strangers.DRAWINGS.values(), strict=True):
        assert np.array_equal(image[0], to_digit(strangers.drawing(strokes)))  # as on the pad
    written = strangers.letters("AX").flatten(0, 1)
    assert len(written) == 2 * len(strangers.FONTS)
    for image in torch.cat([drawn, written]):
        rows, columns = (image[0] > 25).nonzero().T
        longer = max(np.ptp(rows.numpy()), np.ptp(columns.numpy())) + 1
        assert image.dtype == torch.uint8 and 18 <= longer <= 20
    assert not torch.equal(written[0], written[1])  # another font


def test_a_pad_opens_only_where_somebody_can_draw(monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_LIVE", "0")
    inline.open_pad(BEST, DEFAULT_SEED)
    assert "Nobody is here to draw" in capsys.readouterr().out
    monkeypatch.setenv("MNIST_LIB_LIVE", "1")
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "mnist_lib.commands.pad", raising=False)
    inline.open_pad(BEST, DEFAULT_SEED)
    said = capsys.readouterr().out
    assert re.fullmatch(r"The pad needs gradio: .*\[demo\]'\n", said)
