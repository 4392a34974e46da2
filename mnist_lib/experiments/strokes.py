"""What strokes look like: how wide they are, and whether they can be one digit at all.

The bounds lie where the first 40,000 training digits end; a test counts how many of the
test digits they would refuse.
"""

import numpy as np
from scipy import ndimage

from mnist_lib.experiments.ink import NotADigit

# All lengths are in parts of the drawing's longer side, and ink in parts of the square on it.
SHORTEST = 1.4  # times as long as its thickest place is thick; a dot is 1
TALL = 0.65  # height of a piece that may be a digit of its own
WIDEST = 2.1  # times as wide as high
LONGEST = 4.0  # strokes one after the other; an 8 has some 3
MOST_INK = 0.74
LONG_AND_INKED = 1.9  # length times ink: an 8 is long, a bold 0 has much ink, and no digit is both
MOST_HOLES, SMALLEST_HOLE = 3, 0.002  # an 8 has two


def stroke_width(mask: np.ndarray) -> float:
    """The mean width of strokes in pixels; mask bool (h, w).

    Within a stroke of width w the distance to its edge is (w + 2) / 4 pixels in the mean.
    """
    distances = edge_distances(mask)
    return max(1.0, 4 * distances[distances > 0].mean() - 2)


def edge_distances(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of ink is from the nearest without, (h + 2, w + 2); 0 where no ink is."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))


def check_one_digit(mask: np.ndarray) -> None:
    """NotADigit for a dot, several digits, what is far too wide, and a scribble.

    mask  bool (h, w), where the ink is; the box that holds it
    """
    height, width = mask.shape
    side = max(height, width)
    if side < SHORTEST * 2 * edge_distances(mask).max():
        raise NotADigit("That is a dot: draw a digit, as large as you like.")
    if count_tall_pieces(mask) > 1:
        raise NotADigit("These look like several digits: draw one at a time.")
    if width > WIDEST * height:
        raise NotADigit("That is wider than a digit: draw one, upright.")
    if is_scribble(mask):
        raise NotADigit("That looks like a scribble: draw one digit with few strokes.")


def is_scribble(mask: np.ndarray) -> bool:
    """Whether there is too much of it for a digit: strokes, ink or holes."""
    side = max(mask.shape)
    ink = mask.sum() / side**2
    length = ink / (stroke_width(mask) / side)
    too_much = ink > MOST_INK or length > LONGEST or ink * length > LONG_AND_INKED
    return too_much or count_holes(mask) > MOST_HOLES


def count_holes(mask: np.ndarray) -> int:
    """Places within that the ink shuts in, but for specks."""
    blank, _ = ndimage.label(~np.pad(mask, 1))
    sizes = np.bincount(blank.ravel())[1:]  # without the ink
    return int((sizes > SMALLEST_HOLE * max(mask.shape) ** 2).sum()) - 1  # nor what is around it


def count_tall_pieces(mask: np.ndarray) -> int:
    """Pieces of ink beside each other that are each about as high as the whole."""
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    tall = [
        columns
        for rows, columns in ndimage.find_objects(pieces)
        if rows.stop - rows.start >= TALL * len(mask)
    ]
    count, end = 0, -1
    for columns in sorted(tall, key=lambda columns: columns.start):
        count += columns.start > end  # a piece below or above another one is not counted
        end = max(end, columns.stop)
    return count
