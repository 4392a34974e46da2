"""What makes a drawing a digit of MNIST: wherever, however large and in whatever colours it is."""

import re
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy import ndimage

from mnist_lib.commands.answer_html import as_html
from mnist_lib.engine.environment import DEFAULT_SEED, PROJECT
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.experiments.guesses import Answer, Guesser, as_batch
from mnist_lib.experiments.ink import LARGEST_SIDE, NotADigit
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.records import load_records

PAD = 500
# strokes as points of a square with side 1
SEVEN = [[(0.1, 0), (0.8, 0), (0.35, 1)]]
ONE = [[(0.5, 0), (0.5, 1)]]
FOUR = [[(0.5, 0), (0.1, 0.6), (0.9, 0.6)], [(0.65, 0.3), (0.65, 1)]]
ZERO = [[(0.5 + 0.35 * np.cos(turn), 0.5 + 0.5 * np.sin(turn)) for turn in np.linspace(0, 6.3, 60)]]
STROKES = {0: ZERO, 1: ONE, 4: FOUR, 7: SEVEN}


def drawn(strokes, size=280, thickness=26, left=100, top=90, colour=(0, 0, 0)) -> np.ndarray:
    """Strokes on a transparent pad, uint8 (500, 500, 4); lengths in pixels."""
    pad = Image.new("RGBA", (PAD, PAD), (*colour, 0))
    pen = ImageDraw.Draw(pad)
    for stroke in strokes:
        points = [(left + size * x, top + size * y) for x, y in stroke]
        pen.line(points, (*colour, 255), thickness, joint="curve")
        for x, y in points:
            r = thickness / 2
            pen.ellipse((x - r, y - r, x + r, y + r), (*colour, 255))
    return np.array(pad)


def on_paper(pad: np.ndarray, paper: tuple, ink: tuple) -> np.ndarray:
    """The same drawing in opaque colours, uint8 (500, 500, 3)."""
    alpha = pad[..., 3:] / 255
    return np.rint(alpha * np.array(ink) + (1 - alpha) * np.array(paper)).astype(np.uint8)


def photographed(pad: np.ndarray, seed: int, shadow: bool = False) -> np.ndarray:
    """The same drawing as a photo of dark ink on paper: uneven light, blur, noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:1, 0:1:500j][1], np.linspace(0, 1, PAD)[:, None]
    light = 90 + 110 * (0.6 * x + 0.4 * y)
    if shadow:
        light = light * np.where(x + 0.4 * y > 0.75, 1, 0.6)
    ink = ndimage.gaussian_filter(pad[..., 3] / 255, 1.5)
    shades = light * (1 - 0.7 * ink) + rng.normal(0, 4, (PAD, PAD))
    return np.repeat(shades.clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def blown_up(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A digit of MNIST as a drawing of 150 to 400 pixels at a random place of a transparent pad."""
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = rng.integers(150, 401) / max(digit.size)
    digit = digit.resize([round(side * scale) for side in digit.size], Image.Resampling.BICUBIC)
    pad = Image.new("L", (PAD, PAD))
    pad.paste(digit, tuple(int(rng.integers(0, PAD - side + 1)) for side in digit.size))
    black = Image.new("RGBA", (PAD, PAD), "black")
    black.putalpha(pad)
    return np.asarray(black)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in shades of 255, where either has ink."""
    return np.abs(a.astype(float) - b)[(a > 0) | (b > 0)].mean()


def word(picture: np.ndarray) -> str:
    with pytest.raises(NotADigit) as refused:
        to_digit(picture)
    return str(refused.value)


@pytest.fixture
def guesser(monkeypatch) -> Guesser:
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    return Guesser(ONE_CYCLE, DEFAULT_SEED)


def guess(guesser: Guesser, picture: np.ndarray) -> int:
    return int(np.argmax(guesser(picture).probabilities[ONE_CYCLE.name]))


# ---- the form -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strokes", STROKES.values(), ids=STROKES)
def test_a_box_of_20_pixels_centred_by_mass(strokes):
    image = to_digit(drawn(strokes))
    assert image.dtype == np.uint8 and image.shape == (28, 28)
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 == 20
    assert np.abs(np.array(ndimage.center_of_mass(image)) - 14).max() <= 0.51
    assert image.max() == 255
    assert len(np.unique(image)) > 5, "no grey level of an anti-aliasing"


def test_proportions_are_kept():
    image = to_digit(drawn(ZERO, thickness=20))
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    assert len(columns) / len(rows) == pytest.approx((0.7 * 280 + 20) / (280 + 20), abs=0.06)


def test_a_digit_of_mnist_comes_back_as_it_was(digits):
    """Each pixel ten times as large; a digit with a faint rim may come back a little larger."""
    pads = digits.train_images[:200, 0].numpy().repeat(10, 1).repeat(10, 2)
    same = [np.array_equal(to_digit(pad), pad[::10, ::10]) for pad in pads]
    assert np.mean(same) > 0.5


# ---- what must not matter -----------------------------------------------------------------------


@pytest.mark.parametrize("left, top", [(20, 20), (201, 20), (33, 187), (180, 180)])
def test_the_place_does_not_matter(left, top):
    assert np.array_equal(to_digit(drawn(FOUR, left=left, top=top)), to_digit(drawn(FOUR)))


@pytest.mark.parametrize(
    "paper, ink",
    [
        ((255, 255, 255), (0, 0, 0)), ((0, 0, 0), (255, 255, 255)),
        ((250, 240, 200), (20, 30, 160)), ((20, 60, 40), (230, 230, 225)),
    ],
)  # fmt: skip
def test_colours_and_polarity_do_not_matter(paper, ink):
    pad = drawn(SEVEN)
    assert difference(to_digit(on_paper(pad, paper, ink)), to_digit(pad)) < 1.5


def test_on_a_transparent_pad_all_colours_are_ink():
    black = to_digit(drawn(SEVEN))
    for colour in [(255, 255, 255), (200, 30, 60)]:
        assert np.array_equal(to_digit(drawn(SEVEN, colour=colour)), black)


def test_a_faint_drawing_is_a_drawing():
    pad = drawn(SEVEN)
    pad[..., 3] //= 6
    assert difference(to_digit(pad), to_digit(drawn(SEVEN))) < 6


def test_grey_and_floats_are_pictures_too():
    pad = drawn(SEVEN)
    grey = on_paper(pad, (255,) * 3, (0,) * 3)[..., 0]
    assert np.array_equal(to_digit(grey), to_digit(grey / 255))
    assert np.array_equal(to_digit(pad), to_digit((pad / 255).astype(np.float32)))


@pytest.mark.parametrize("size", [60, 140, 400])
def test_the_size_does_not_matter(size):
    small = to_digit(drawn(FOUR, size, thickness=round(size * 0.1), left=40, top=40))
    assert difference(small, to_digit(drawn(FOUR, 280, thickness=28))) < 25


def test_a_large_picture_is_the_same_digit():
    pad = drawn(FOUR)
    assert difference(to_digit(pad.repeat(5, 0).repeat(5, 1)), to_digit(pad)) < 12


@pytest.mark.parametrize("thickness", [1, 3, 8, 16, 32, 50])
@pytest.mark.parametrize("digit", STROKES)
def test_the_thickness_does_not_change_the_guess(guesser, digit, thickness):
    assert guess(guesser, drawn(STROKES[digit], thickness=thickness)) == digit


@pytest.mark.parametrize("shadow", [False, True], ids=["light", "shadow"])
@pytest.mark.parametrize("thickness", [6, 14, 30])
@pytest.mark.parametrize("digit", STROKES)
def test_a_photo_of_dark_ink_on_unevenly_lit_paper(guesser, digit, thickness, shadow):
    photo = photographed(drawn(STROKES[digit], thickness=thickness), digit, shadow)
    assert guess(guesser, photo) == digit


@pytest.mark.parametrize("table", [60, 140], ids=["dark", "light"])
@pytest.mark.parametrize("digit", STROKES)
def test_a_whole_sheet_on_a_table(guesser, digit, table):
    sheet = photographed(drawn(STROKES[digit], thickness=18), digit)[..., 0] // 3 + 160
    sheet = Image.fromarray(sheet).rotate(6, expand=True, fillcolor=table)
    photo = Image.new("L", (sheet.width + 120, sheet.height + 90), table)
    photo.paste(sheet, (50, 40))
    assert guess(guesser, np.asarray(photo)) == digit


def test_a_photo_may_lie_on_a_part_of_the_transparent_pad(guesser):
    pad = np.zeros((PAD, PAD, 4), np.uint8)
    pad[80:420, :, :3] = photographed(drawn(SEVEN, 200, 16), 1)[60:400]
    pad[80:420, :, 3] = 255
    assert guess(guesser, pad) == 7


# ---- words --------------------------------------------------------------------------------------


def scribble(seed: int, turns: int = 30, thickness: int = 16) -> np.ndarray:
    """To and fro in straight lines."""
    points = np.random.default_rng(seed).random((turns, 2))
    return drawn([[tuple(point) for point in points]], thickness=thickness)


def test_an_empty_pad():
    assert "empty" in word(np.zeros((PAD, PAD, 4), np.uint8))


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_no_contrast(shade):
    assert "no ink" in word(np.full((PAD, PAD, 3), shade, np.uint8))
    assert "no ink" in word(np.full((PAD, PAD), shade, np.uint8))


def test_an_empty_sheet_in_a_photo():
    empty = np.zeros((PAD, PAD, 4), np.uint8)
    assert "no ink" in word(photographed(empty, 1))


@pytest.mark.parametrize("thickness", [4, 20, 60])
def test_a_dot(thickness):
    assert "dot" in word(drawn([[(0.5, 0.5), (0.5, 0.51)]], thickness=thickness))


def test_several_digits():
    beside = [[(x * 0.4 + 0.7, y) for x, y in SEVEN[0]]]
    for first in (ONE, SEVEN):
        pair = [[(x * 0.4, y) for x, y in first[0]], *beside]
        assert "several" in word(drawn(pair, thickness=20))


def test_a_dash():
    assert "wider" in word(drawn([[(0, 0.5), (1, 0.5)]]))


def test_a_scribble():
    words = []
    for seed in range(40):
        try:
            to_digit(scribble(seed))
        except NotADigit as refused:
            words.append(str(refused))
    assert sum("scribble" in each for each in words) >= 36


@pytest.mark.parametrize("turns", [12, 20, 30, 50])
def test_a_scribble_with_the_pad_s_own_pen_is_rarely_taken_for_a_digit(guesser, turns):
    answered = 0
    for seed in range(40):
        with suppress(NotADigit):
            answered += guesser(scribble(seed, turns, thickness=36)).is_sure
    assert answered <= 10


def test_a_filled_square_is_no_digit():
    pad = np.zeros((PAD, PAD, 4), np.uint8)
    pad[100:300, 100:350, 3] = 255
    with pytest.raises(NotADigit):
        to_digit(pad)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros(5, np.uint8), np.zeros((5, 5, 2), np.uint8), np.zeros((0, 5), np.uint8),
        np.zeros((2, 5, 5, 3), np.uint8), np.zeros((5, 5), np.int64), np.zeros((5, 5), bool),
        np.full((5, 5), np.nan), np.full((5, 5), 1.5), np.full((5, 5), -np.inf),
        np.array([["a"]]), None,
    ],
)  # fmt: skip
def test_what_is_no_picture_is_named(picture):
    with pytest.raises(ValueError, match="picture"):
        to_digit(picture)


def test_too_large_a_picture():
    assert "too large" in word(np.zeros((2, LARGEST_SIDE + 1), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 3, 4), (28, 28), (2, 700, 3)])
def test_noise_gives_an_image_or_a_word(shape):
    rng = np.random.default_rng(1)
    for _ in range(20):
        try:
            assert to_digit(rng.integers(0, 256, shape, dtype=np.uint8)).max() == 255
        except NotADigit as refused:
            assert str(refused).endswith(".")


# ---- the proof ----------------------------------------------------------------------------------


def test_all_test_digits_drawn_score_as_they_do(guesser, digits):
    """10,000 drawings of 150 to 400 pixels: within 0.10 points of the checkpoint, few refused."""
    rng, images, refused = np.random.default_rng(1), [], 0
    for number, digit in enumerate(digits.test_images[:, 0].numpy()):
        pad = blown_up(digit, rng)
        try:
            images.append(to_digit(pad))
            if number < 100:
                assert np.array_equal(guesser(pad).image, images[-1]), "not the demo's path"
        except NotADigit:
            refused += 1
            images.append(np.zeros((28, 28), np.uint8))
    assert refused <= 10
    network = guesser.networks[ONE_CYCLE.name]
    with torch.no_grad():
        logits = torch.cat([network(as_batch(part)) for part in np.split(np.stack(images), 10)])
    is_read = torch.from_numpy(np.stack(images).any((1, 2)))
    right = (logits.argmax(1) == digits.test_labels) & is_read
    accuracy = float(right.float().mean())
    record = next(r for r in load_records(name=ONE_CYCLE.name) if r["seed"] == DEFAULT_SEED)
    assert abs(accuracy - record["history"][-1]["test_accuracy"]) <= 0.001
    sure = [guesser.look(image).is_sure for image in digits.test_images[:1000, 0].numpy()]
    assert np.mean(sure) > 0.95


@pytest.mark.parametrize("asked, numbers", [(0.999, 3), (0.85, 1)])
def test_the_cards_give_numbers_only_beside_a_sure_answer(guesser, asked, numbers):
    """A scribble that is called 'not sure' has no card that is."""
    main = [(1 - asked) / 9] * 8 + [asked, (1 - asked) / 9]
    sure = [0.0] * 8 + [1.0, 0.0]
    shown = [(guesser.recipe, main), (guesser.largest, sure), (guesser.smallest, sure)]
    found = {recipe.name: probabilities for recipe, probabilities in shown}
    page = as_html(Answer(np.zeros((28, 28), np.uint8), found, []), guesser)
    words = page.split('class="bars"')[0] + page.split('class="others"')[1]
    assert len(re.findall(r"\d %", words)) == numbers
    assert "100.0 %" not in page
