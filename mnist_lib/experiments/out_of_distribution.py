"""Pictures that are not MNIST's: a few drawings, made of strokes, and the letters of fonts."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mnist_lib.experiments.drawing import BOX, centred, cropped, resized
from mnist_lib.experiments.ink import find_ink

PAD = 300  # pixels of a drawing pad's side
PEN = 20  # pixels, the width of its strokes
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LIKE_DIGITS = "BDIOSZ"  # 8, 0, 1, 0, 5 and 2, as far as anybody can tell
FONTS = [
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono",
    "STIXGeneral", "STIXGeneralItalic", "cmss10", "cmr10",
]  # fmt: skip  # they come with matplotlib

# the digit that is meant, and its strokes as points (x, y) in parts of the pad, from the upper left
DRAWINGS = {
    "plain": (1, [[(0.5, 0.15), (0.5, 0.85)]]),
    "with upstroke": (1, [[(0.3, 0.4), (0.55, 0.15), (0.55, 0.85)]]),
    "and with foot": (
        1, [[(0.3, 0.4), (0.55, 0.15), (0.55, 0.85)], [(0.3, 0.85), (0.8, 0.85)]],
    ),
    "uncrossed": (7, [[(0.25, 0.2), (0.7, 0.2), (0.42, 0.85)]]),
    "crossed": (7, [[(0.25, 0.2), (0.7, 0.2), (0.42, 0.85)], [(0.35, 0.52), (0.72, 0.52)]]),
    "open": (4, [[(0.3, 0.15), (0.27, 0.55), (0.72, 0.55)], [(0.65, 0.2), (0.6, 0.85)]]),
    "closed": (4, [[(0.65, 0.85), (0.65, 0.15), (0.25, 0.6), (0.8, 0.6)]]),
    "square": (0, [[(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.2)]]),
}  # fmt: skip


def drawing(strokes: list[list[tuple[float, float]]]) -> np.ndarray:
    """Black strokes on a transparent pad, uint8 (PAD, PAD, 4), as a hand would leave them."""
    pad = Image.new("RGBA", (PAD, PAD))
    pen = ImageDraw.Draw(pad)
    for stroke in strokes:
        points = [(x * PAD, y * PAD) for x, y in stroke]
        pen.line(points, fill="black", width=PEN, joint="curve")
        for x, y in (points[0], points[-1]):  # round ends
            pen.ellipse([x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2], fill="black")
    return np.asarray(pad)


def letter(character: str, font: str) -> np.ndarray:
    """A printed character, black on white: uint8 (PAD, PAD)."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    paper = Image.new("L", (PAD, PAD), 255)
    middle = (PAD / 2, PAD / 2)
    face = ImageFont.truetype(str(file), round(PAD * 0.6))
    ImageDraw.Draw(paper).text(middle, character, fill=0, font=face, anchor="mm")
    return np.asarray(paper)


def as_digits(pictures: list[np.ndarray]) -> torch.Tensor:
    """What a network sees of these pictures: uint8 (n, 1, 28, 28).

    As `to_digit` does it, but nothing is refused: a printed letter may look like a scribble.
    """
    digits = [centred(resized(cropped(find_ink(picture)), BOX)) for picture in pictures]
    return torch.from_numpy(np.stack(digits))[:, None]


def letters(characters: str = LETTERS) -> torch.Tensor:
    """Each character in each of the FONTS, as images: uint8 (characters, fonts, 1, 28, 28)."""
    return torch.stack([as_digits([letter(each, font) for font in FONTS]) for each in characters])
