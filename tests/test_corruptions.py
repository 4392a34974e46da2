"""Page 14: digits are corrupted as asked, and what is recorded of them is right."""

import numpy as np
import pytest
import torch

from mnist_lib.experiments import corruptions, find, out_of_distribution
from mnist_lib.experiments.calibration import calibration_error, reliability
from mnist_lib.experiments.corruptions import CLEAN, CORRUPTIONS, LEVELS, NEUTRAL
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.journey import SMALL
from mnist_lib.records import load_checkpoint, records_of

# ---- corruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_neutral_strength_changes_nothing_and_more_of_it_more(name, digits):
    (corrupt, strengths), images = CORRUPTIONS[name], digits.test_images[:40]
    before, neutral = images.clone(), NEUTRAL[name]
    assert torch.equal(corrupt(images, neutral), images)
    for side in (-1, 1):
        ordered = sorted((s for s in strengths if (s - neutral) * side > 0), key=lambda s: s * side)
        changes = [(corrupt(images, s).float() - images).abs().mean() for s in ordered]
        assert changes == sorted(set(changes))
    assert corrupt(images, strengths[0]).dtype == torch.uint8
    assert torch.equal(images, before)


def test_neighbours_are_shifted_to_the_right_down_left_and_up():
    image, places = torch.zeros(1, 1, 28, 28, dtype=torch.uint8), [(0, 2), (2, 0), (0, -2), (-2, 0)]
    image[..., 7:21, 12:16] = 255
    shifted = corruptions.shifted(image.expand(4, -1, -1, -1), 2)
    for each, place in zip(shifted, places, strict=True):
        assert torch.equal(each, image[0].roll(place, (1, 2)))


# ---- calibration --------------------------------------------------------------------------------


def test_the_calibration_error_is_the_weighted_distance_of_the_bins():
    confidence = torch.tensor([1.0] * 6 + [0.65] * 4)
    right = torch.tensor([True] * 3 + [False] * 3 + [True] * 4)
    # 100 % sure and 50 % right, six times; 65 % sure and all right, four times
    assert calibration_error(confidence, right) == pytest.approx(0.6 * 0.5 + 0.4 * 0.35)
    table = reliability(confidence, right)
    assert (list(table["count"]), list(table["accuracy"])) == ([4, 6], [1.0, 0.5])


# ---- measured -----------------------------------------------------------------------------------


def test_the_committed_table_is_of_the_committed_weights(committed):
    table = corruptions.recorded()
    assert not table.duplicated(["recipe", "seed", "corruption", "strength"]).any()
    for (name, seed, weights), rows in table.groupby(["recipe", "seed", "weights"]):
        recipe = find(name)
        model = load_checkpoint(recipe, seed)
        assert corruptions.hash_of(model) == weights, "trained anew: run benchmarks/corruptions.py"
        assert set(zip(rows["corruption"], rows["strength"], strict=True)) == {CLEAN, *LEVELS}
        (record,) = [record for record in records_of(recipe) if record["seed"] == seed]
        clean = corruptions.values_at(rows, recipe, CLEAN, "accuracy")[seed]
        assert clean == pytest.approx(record["history"][-1]["test_accuracy"], abs=3e-4)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_committed_table_can_be_measured_again(committed, digits, name):
    """One strength of each; on another processor a digit on the border may go the other way."""
    (corrupt, strengths), model = CORRUPTIONS[name], load_checkpoint(SMALL, 11)
    images = corrupt(digits.test_images, strengths[1])
    for column, value in corruptions.judge(model, images, digits.test_labels).items():
        recorded = corruptions.values_at(
            corruptions.recorded(), SMALL, (name, strengths[1]), column
        )[11]
        assert recorded == pytest.approx(value, abs=5e-4)


# ---- drawings and letters -----------------------------------------------------------------------


def test_drawings_and_letters_become_digits_of_the_usual_size():
    pictures = out_of_distribution.drawings()
    drawn = out_of_distribution.as_digits(pictures)
    for image, ink in zip(drawn, pictures, strict=True):
        assert np.array_equal(image[0], to_digit(ink[0].numpy()))  # as on the drawing pad
    written = out_of_distribution.letters("AX").flatten(0, 1)
    assert len(written) == 2 * len(out_of_distribution.FONTS)
    assert len(written.flatten(1).unique(dim=0)) == len(written)  # each font is another
    for image in torch.cat([drawn, written]):
        rows, columns = (image[0] > 25).nonzero().T
        longer = max(np.ptp(rows.numpy()), np.ptp(columns.numpy())) + 1
        assert image.dtype == torch.uint8 and 18 <= longer <= 20
