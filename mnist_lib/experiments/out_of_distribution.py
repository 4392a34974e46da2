"""Pictures that are not MNIST's: a few drawings, made of strokes, and the letters of fonts.

Pictures are ink: uint8 (n, 1, PAD, PAD), 255 where it is full.
"""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mnist_lib.experiments.drawing import as_image, box_of

PAD = 300  # pixels of a drawing pad's side
PEN = 20  # pixels, the width of its strokes
FAINT = 0.1  # less ink than this does not count when the box of a picture is found
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LIKE_DIGITS = "BDIOSZ"  # 8, 0, 1, 0, 5 and 2, as far as anybody can tell
FONTS = [
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono",
    "STIXGeneral", "STIXGeneralItalic", "cmss10", "cmr10",
]  # fmt: skip  # they come with matplotlib

# strokes as points (x, y) in parts of the pad, from the upper left; the digit that is meant first
DRAWINGS = {
    "1, plain": [[(0.5, 0.15), (0.5, 0.85)]],
    "1, with upstroke": [[(0.3, 0.4), (0.55, 0.15), (0.55, 0.85)]],
    "1, and with foot": [[(0.3, 0.4), (0.55, 0.15), (0.55, 0.85)], [(0.3, 0.85), (0.8, 0.85)]],
    "7, uncrossed": [[(0.25, 0.2), (0.7, 0.2), (0.42, 0.85)]],
    "7, crossed": [[(0.25, 0.2), (0.7, 0.2), (0.42, 0.85)], [(0.35, 0.52), (0.72, 0.52)]],
    "4, open": [[(0.3, 0.15), (0.27, 0.55), (0.72, 0.55)], [(0.65, 0.2), (0.6, 0.85)]],
    "4, closed": [[(0.65, 0.85), (0.65, 0.15), (0.25, 0.6), (0.8, 0.6)]],
    "0, square": [[(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.2)]],
}


def drawings() -> torch.Tensor:
    """The ink of all DRAWINGS, as a hand would leave it on a drawing pad."""
    pads = []
    for strokes in DRAWINGS.values():
        pads.append(Image.new("L", (PAD, PAD)))
        pen = ImageDraw.Draw(pads[-1])
        for stroke in strokes:
            points = [(x * PAD, y * PAD) for x, y in stroke]
            pen.line(points, fill=255, width=PEN, joint="curve")
            for x, y in (points[0], points[-1]):  # round ends
                pen.ellipse([x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2], fill=255)
    return torch.from_numpy(np.stack(pads))[:, None]


def letter(character: str, font: str) -> torch.Tensor:
    """The ink of a printed character, (1, PAD, PAD)."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    paper = Image.new("L", (PAD, PAD))
    face = ImageFont.truetype(str(file), round(PAD * 0.6))
    ImageDraw.Draw(paper).text((PAD / 2, PAD / 2), character, fill=255, font=face, anchor="mm")
    return torch.from_numpy(np.array(paper))[None]


def letters(characters: str = LETTERS) -> torch.Tensor:
    """What a network sees of each character in each of the FONTS.

    Returns:
        uint8 (characters, fonts, 1, 28, 28).
    """
    pictures = [torch.stack([letter(each, font) for font in FONTS]) for each in characters]
    return torch.stack(list(map(as_digits, pictures)))


def as_digits(pictures: torch.Tensor) -> torch.Tensor:
    """What a network sees of these pictures: uint8 (n, 1, 28, 28).

    As `to_digit` makes it, but nothing is refused: a printed letter may look like no digit.
    """
    inks = [ink / np.float32(255) for ink in pictures[:, 0].numpy()]
    digits = [as_image(ink[box_of(ink > FAINT)]) for ink in inks]
    return torch.from_numpy(np.stack(digits))[:, None]
