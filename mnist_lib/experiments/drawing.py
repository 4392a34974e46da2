"""A digit of MNIST's kind from any picture: a drawing, a scan, a screenshot or a photo.

LeCun, Cortes & Burges (http://yann.lecun.com/exdb/mnist/) describe how they made MNIST. Digits
"were size normalized to fit in a 20x20 pixel box while preserving their aspect ratio". They were
then "centered in a 28x28 image by computing the center of mass of the pixels".
"""

from contextlib import suppress

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from scipy.spatial import ConvexHull

SIDE, BOX, CENTRE = 28, 20, 14  # pixels: an image, the box of its digit, its centre of mass
ENOUGH_SIDE = 640  # pixels that a large picture is reduced to
LEAST_CONTRAST = 26  # distance in RGB between ink and paper; 15 shades of grey
# parts of the contrast: joins strokes; is no ink among much of its like; is ink
FAINT, WEAK, STRONG = 0.1, 0.45, 0.6


class NotADigit(ValueError):
    """This picture cannot be read as one digit; the message tells a user what to do."""


def to_digit(picture: np.ndarray) -> np.ndarray:
    """The image of MNIST's kind that shows the digit of a picture.

    Args:
        picture: uint8 0..255 or float 0..1; grey (h, w), RGB (h, w, 3) or RGBA (h, w, 4).

    Returns:
        uint8 (28, 28). The digit fills a box of 20 pixels, its centre of mass is at (14, 14), and
        its darkest ink is 255.

    Raises:
        ValueError: This is no picture.
        NotADigit: There is no ink, more than one digit, or something that cannot be a digit.
    """
    return as_image(find_ink(without_alpha(checked(picture))))


def as_image(ink: np.ndarray) -> np.ndarray:
    """Ink cut to its box, float32 (h, w) in 0..1, as MNIST has it: uint8 (28, 28)."""
    height, width = (max(1, round(BOX * length / max(ink.shape))) for length in ink.shape)
    digit = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))
    place = np.rint(CENTRE - np.array(ndimage.center_of_mass(digit))).astype(int)
    place = np.clip(place, 0, SIDE - np.array(digit.shape))
    margins = [(start, SIDE - start - side) for start, side in zip(place, digit.shape, strict=True)]
    return np.pad(np.rint(digit * (255 / digit.max())).astype(np.uint8), margins)


def checked(picture: np.ndarray) -> np.ndarray:
    """The picture, reduced if it is large: float32 (h, w, 4) in 0..255.

    Raises:
        ValueError: This is no picture.
    """
    picture = np.asarray(picture)
    # a float picture with NaN or numbers outside of 0..1 stays float, and is refused below
    if picture.dtype.kind == "f" and picture.size and picture.min() >= 0 and picture.max() <= 1:
        picture = np.rint(picture * 255).astype(np.uint8)
    has_shape = picture.ndim > 1 and picture.shape[2:] in ((), (3,), (4,)) and picture.size
    if picture.dtype != np.uint8 or not has_shape:
        found = f"{picture.dtype} {picture.shape}"
        raise ValueError(f"a picture is uint8 or float 0..1; grey, RGB or RGBA; not {found}")
    image = Image.fromarray(picture).convert("RGBA")
    return np.asarray(image.reduce(-(-max(image.size) // ENOUGH_SIDE)), np.float32)


def without_alpha(rgba: np.ndarray) -> np.ndarray:
    """Opaque colours, float32 (height, width, 3), of a picture (h, w, 4) in 0..255.

    An opaque box with several colours is a picture that lies on the pad. Otherwise all that is
    opaque becomes black ink on white paper, whatever its colour.
    """
    colours, alpha = rgba[..., :3], rgba[..., 3]
    opaque = alpha > 0.9 * alpha.max()  # the edge of a box is blurred
    has_colours = opaque.any() and np.ptp(colours[opaque], axis=0).max() > LEAST_CONTRAST
    if opaque.all() or (has_colours and opaque[box_of(opaque)].mean() > 0.95):
        return cut_out(colours, opaque)
    # ink may reach the edge of the pad, so a rim is added
    return np.pad(255 - alpha, 1, constant_values=255)[..., None].repeat(3, axis=2)


def find_ink(colours: np.ndarray, least: float = LEAST_CONTRAST, sheets: int = 3) -> np.ndarray:
    """The ink of one digit, float32 (height, width) in 0..1, cut to its box.

    Args:
        colours: float32 (h, w, 3) in 0..255.
        least: The least contrast of ink, a distance in RGB.
        sheets: How many sheets or frames may lie one within the other.

    Raises:
        NotADigit: There is no ink, or it cannot be one digit.
    """
    rim = rim_of(colours)
    flat = np.median(rim, axis=0)
    found = [ink_on(colours, flat, least)]
    if np.percentile(np.abs(rim - flat).max(-1), 90) > 5:  # a photo: uneven light, and noise
        smooth = ndimage.gaussian_filter(colours, max(colours.shape) / 500, axes=(0, 1))
        found.append(ink_on(smooth, local_paper(smooth), least))
    if not (found := [each for each in found if each]):
        raise NotADigit("There is no ink to see: draw a digit from 0 to 9, with more contrast.")
    for _, pieces, contrast in found:
        if sheets and (sheet := find_sheet(pieces)).any():
            with suppress(NotADigit):  # where it is empty it may be the digit itself, such as a 0
                ink = find_ink(cut_out(colours, sheet), max(least, contrast / 3), sheets - 1)
                # a small mark in a ring is a part of a 0; a digit on a sheet may be small
                if max(ink.shape) > max(sheet[box_of(sheet)].shape) / 5 or 1 in pieces[sheet]:
                    return ink
    return one_digit(*min(found, key=lambda each: doubt(*each))[:2])


def ink_on(colours: np.ndarray, paper: np.ndarray, least: float) -> tuple | None:
    """What differs from the paper by `least` or more; None where nothing does.

    Args:
        colours: float32 (h, w, 3) in 0..255.
        paper: Its colour, float32 (3,) or (h, w, 3).
        least: A distance in RGB.

    Returns:
        The strength, float32 (h, w), 0 for paper and about 1 for ink. The connected pieces, int
        (h, w), 1 for the main piece and 0 for paper. The contrast, a distance in RGB.
    """
    light = np.maximum(paper.mean(-1), 2 * LEAST_CONTRAST)  # in shadow there is less contrast
    change = (colours - paper) * (light.mean() / light)[..., None]
    amount = np.linalg.norm(change, axis=-1)
    faint = amount > max(least, 8 * np.percentile(rim_of(amount), 25))  # the rim shows the noise
    if not faint.any():
        return None
    main = main_first(faint, amount) == 1
    contrast = np.percentile(amount[main], 90)
    # towards the colour of the ink; an edge of a sheet is seldom darker and lighter at once
    change = change @ change[main & (amount >= contrast)].mean(axis=0)
    strength = change / max(np.percentile(change[main], 90), 1e-6)
    return strength, main_first(strength > STRONG, strength), contrast


def main_first(mask: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """The connected pieces of a mask; number 1 is the one with the largest amount.

    What runs out of the picture is rarely a digit, so it counts less, the longer its cut is. It is
    left out where another piece is the main one.
    """
    pieces = ndimage.label(mask, np.ones((3, 3)))[0]
    amounts = np.bincount(pieces[mask], amount[mask], minlength=1)
    at_rim, cuts = np.unique(rim_of(pieces), return_counts=True)
    amounts[at_rim] /= cuts
    main = amounts.argmax()
    if main not in at_rim:
        pieces[np.isin(pieces, at_rim)] = 0
    return np.where(pieces == main, 1, pieces + (pieces > 0))


def doubt(strength: np.ndarray, pieces: np.ndarray, contrast: float) -> float:
    """How badly ink and paper are separated: grey pixels, less contrast, ink at the rim."""
    ink = np.clip(strength, 0, 1)
    return (ink * (1 - ink)).sum() / ink.sum() / contrast * (1.5 if 1 in rim_of(pieces) else 1)


def local_paper(colours: np.ndarray) -> np.ndarray:
    """The colour of the paper at each pixel, float32 (h, w, 3): the median of a large window."""
    image = Image.fromarray(colours.astype(np.uint8))
    small = image.reduce(-(-max(image.size) // 32)).filter(ImageFilter.MedianFilter(13))
    return np.asarray(small.resize(image.size), np.float32)


def find_sheet(pieces: np.ndarray) -> np.ndarray:
    """Where a sheet is, a canvas, or the inside of a frame: bool (h, w), nowhere without one.

    It is convex, and the main piece is a part of it or lies on it.
    """
    whole = main_first(ndimage.binary_fill_holes(pieces), pieces == 1) == 1
    hole, box = whole & (pieces == 0), whole[box_of(whole)]
    is_convex = min(box.shape) > 8 and box.sum() > 0.95 * ConvexHull(np.argwhere(box)).volume
    part = 1 - hole.sum() / whole.sum()
    # the stroke of a 0 fills a part between these two, or its hole is like a 1 on a round sheet
    most = 0.98 if hole.any() and compactness(whole) > 12.2 and compactness(hole) > 7 else 0.8
    if part < 0.5:  # a frame; what lies in it is a part of its hole
        whole = ndimage.binary_fill_holes(main_first(hole, whole) == 1)
    is_sheet = is_convex and not (0.5 <= part <= most or rim_of(whole).any())
    return ndimage.binary_erosion(whole & is_sheet, iterations=max(2, max(whole.shape) // 60))


def compactness(mask: np.ndarray) -> float:
    """Area by spread: 12 for a rectangle, 12.6 for an ellipse, the less the longer its outline."""
    # a pixel has a spread of its own, 1 / 12
    return mask.sum() / np.linalg.det(np.cov(*np.nonzero(mask), bias=True) + np.eye(2) / 12) ** 0.5


def one_digit(strength: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The ink of the main piece and of those near it, float32 (height, width) in 0..1.

    Raises:
        NotADigit: There is another digit, or this is a dot, too wide or too full.
    """
    distances = ndimage.distance_transform_edt(pieces == 0)
    size = max(pieces[box_of(pieces == 1)].shape)
    reach = size / 14  # half of the widest gap within a digit
    # what lies around the digit is no ink: ruled lines, noise, another shade of the paper
    weak = min(np.percentile(np.where(distances > 3 * reach, strength, 0), 99), WEAK)
    # a gap may be three times as wide where there is faint ink
    near = distances <= reach * np.where(strength > weak + FAINT, 3, 1)
    near = ndimage.label(near, np.ones((3, 3)))[0]
    group = np.isin(near, near[pieces == 1])
    rows, _ = box_of(group & (pieces > 0))
    for other in filter(None, ndimage.find_objects(np.where(group, 0, pieces))):
        height, width = pieces[other].shape
        above, below = rows.start - other[0].stop, other[0].start - rows.stop  # gaps
        is_flat = width > max(1.1 * height, 0.2 * size)
        # a flat part such as the bar of a 5; a low piece below it may be a line under the digit
        if is_flat and max(above, below) < 0.43 * size and (above > -height or height > 0.3 * size):
            group[other] = True
        elif height > 0.4 * (rows.stop - rows.start):
            raise NotADigit("These look like several digits: draw one at a time.")
    mask = group & (pieces > 0)
    mask = mask[box_of(mask)]
    thickness = 2 * ndimage.distance_transform_edt(np.pad(mask, 1)).max()
    # a digit may touch a side or fill its picture; what spans it otherwise goes on outside
    is_edge = 1 in (shares := np.divide(mask.shape, pieces.shape)) and shares.min() < 0.4
    if is_edge or max(mask.shape) < max(8, 1.5 * thickness) or mask.shape[1] > 2.5 * len(mask):
        raise NotADigit("That is a dot or a line: draw one digit, upright, with paper around it.")
    holes = np.bincount(ndimage.label(np.pad(~mask, 1, constant_values=True))[0].ravel())[2:]
    if mask.sum() > 0.62 * max(mask.shape) ** 2 or (holes > thickness**2).sum() > 3:
        raise NotADigit("That is too full for a digit: draw one, with few strokes.")
    ink = np.clip((strength - weak) / (1 - 1.5 * weak), 0, 1) * group
    return ink[box_of(ink > 0.1)]


def cut_out(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The box of the mask, (height, width, 3); the nearest colour within where the mask is not."""
    if mask.all():  # most often, and the distances take long
        return colours
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return colours[tuple(nearest)][box_of(mask)]


def box_of(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold all of the mask."""
    return ndimage.find_objects(mask.astype(np.uint8))[0]


def rim_of(picture: np.ndarray) -> np.ndarray:
    """The pixels along the four sides."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
