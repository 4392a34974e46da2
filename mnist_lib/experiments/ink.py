"""Where the ink of a picture is: of a drawing, a scan of either polarity, a photo of paper."""

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

LARGEST_SIDE = 4_096  # pixels of a picture that is looked at
ENOUGH_SIDE = 640  # pixels; what is larger is reduced first, to half, a third, ...
LEAST_CONTRAST = 30  # shades of 255 between ink and paper
FLAT_RIM = 5  # shades by which the rim of a drawing or scan may vary; a photo's varies more
LEAST_SHEET = 1 / 3  # of the longer side: a sheet that lies in a photo is at least so wide
LEAST_FILLED = 0.8  # part of a sheet that is light, and of its convex hull that is sheet
WIDEST_STROKE = 0.2  # of a photo's longer side: what is wider is light and shadow


class NotADigit(ValueError):
    """This picture cannot be read as one digit; the message tells a user why, and what to do."""


NO_CONTRAST = "There is no ink to see: the picture is nearly the same all over."


def find_ink(picture: np.ndarray) -> np.ndarray:
    """How much ink lies on each pixel.

    picture  uint8 0..255 or float 0..1: grey (h, w), RGB (h, w, 3) or RGBA (h, w, 4)
    returns  float32 (h, w) from 0, paper, to 1, ink; large pictures come back reduced. On a
             transparent pad all that is not transparent is ink, whatever its colour; elsewhere
             ink is what differs from the paper at the rim, darker or lighter
    raises   ValueError for what is no such picture, NotADigit where there is no ink to see
    """
    image = as_image(picture)
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        if alpha.getextrema()[1] < LEAST_CONTRAST:
            raise NotADigit("The pad is empty: draw a digit from 0 to 9.")
        if alpha.getextrema()[0] < 255 and not holds_a_picture(image, alpha):
            return as_fractions(alpha)
        image = on_paper(image, alpha)
    shades = as_fractions(image.convert("L")) * 255
    if np.ptp(shades) < LEAST_CONTRAST:
        raise NotADigit(NO_CONTRAST)
    if (sheet := on_a_sheet(shades)) is not None:
        return ink_of_photo(sheet)
    rim = rim_of(shades)
    paper = np.median(rim)
    if np.percentile(np.abs(rim - paper), 90) > FLAT_RIM:
        return ink_of_photo(shades)
    ink = np.abs(shades - paper)
    return ink / ink.max()


def as_image(picture: np.ndarray) -> Image.Image:
    """The picture as Pillow's, of mode L, RGB or RGBA, and not larger than needed."""
    picture = np.asarray(picture)
    if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,), (4,)) or not picture.size:
        raise ValueError(
            f"a picture is grey (h, w), RGB (h, w, 3) or RGBA (h, w, 4), not {picture.shape}"
        )
    height, width = picture.shape[:2]
    if max(height, width) > LARGEST_SIDE:
        raise NotADigit(
            f"The picture is too large, {width:,} x {height:,} pixels: "
            f"make it at most {LARGEST_SIDE:,} wide and high."
        )
    if np.issubdtype(picture.dtype, np.floating):
        if not (picture.min() >= 0 and picture.max() <= 1):  # of NaN both are wrong
            raise ValueError("a picture of floats has numbers from 0 to 1, and no NaN")
        picture = np.rint(picture * 255).astype(np.uint8)
    if picture.dtype != np.uint8:
        raise ValueError(f"a picture is uint8 0..255 or float 0..1, not {picture.dtype}")
    image = Image.fromarray(picture)
    return image.reduce(-(-max(image.size) // ENOUGH_SIDE))


def as_fractions(image: Image.Image) -> np.ndarray:
    """An image of one channel as float32 (h, w) in 0..1."""
    return np.asarray(image, np.float32) / 255


def holds_a_picture(image: Image.Image, alpha: Image.Image) -> bool:
    """Whether a picture lies on the transparent pad, not strokes: a filled box with contrast."""
    opaque = alpha.point(lambda value: 255 * (value > 127))
    box = opaque.getbbox()
    if box is None or np.asarray(opaque.crop(box)).mean() < 0.95 * 255:
        return False
    shades = np.flatnonzero(image.convert("L").histogram(opaque))
    return shades[-1] - shades[0] >= LEAST_CONTRAST


def on_paper(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """The opaque part, with the shade of its median behind it."""
    box = alpha.point(lambda value: 255 * (value > 127)).getbbox()
    if box is None:
        raise NotADigit(NO_CONTRAST)
    image, alpha = image.crop(box), alpha.crop(box)
    shades = image.convert("L")
    paper = Image.new("L", image.size, int(np.median(np.asarray(shades))))
    paper.paste(shades, mask=alpha)
    return paper


def rim_of(shades: np.ndarray) -> np.ndarray:
    """The pixels along the four sides."""
    return np.concatenate([shades[0], shades[-1], shades[:, 0], shades[:, -1]])


def on_a_sheet(shades: np.ndarray) -> np.ndarray | None:
    """What lies on a light sheet of which a photo shows all edges; None where there is none.

    A sheet is a large light piece that is nearly filled and nearly convex; a chalk digit is not.
    """
    table, light = np.median(rim_of(shades)), np.percentile(shades, 90)
    if light - table < LEAST_CONTRAST:
        return None
    is_light = shades > (table + light) / 2
    pieces, _ = ndimage.label(is_light)
    largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    sheet = ndimage.binary_fill_holes(largest)
    box = ndimage.find_objects(sheet.astype(int))[0]
    sides = sheet[box].shape
    if rim_of(sheet).any() or min(sides) < LEAST_SHEET * max(shades.shape):
        return None
    whole = ConvexHull(np.argwhere(sheet)).volume
    if is_light[sheet].mean() < LEAST_FILLED or sheet.sum() < LEAST_FILLED * whole:
        return None
    inside = ndimage.binary_erosion(sheet, iterations=max(sides) // 40)
    return np.where(inside, shades, np.median(shades[inside]))[box]


def ink_of_photo(shades: np.ndarray) -> np.ndarray:
    """Ink on unevenly lit paper, float32 (h, w) in 0..1; shades float (h, w) in 0..255.

    A stroke is narrow, light and shadow are wide: the paper is what remains when all that is narrow
    and dark has been filled, by a morphological closing. Ink takes the same part of the light
    everywhere. A photo has noise and specks, so only what is half as dark as the ink counts, and
    no small piece.
    """
    shades = ndimage.gaussian_filter(shades, max(shades.shape) / 500)
    if is_light_on_dark(shades):
        shades = 255 - shades
    width = round(max(shades.shape) * WIDEST_STROKE)
    paper = ndimage.grey_closing(shades, size=(width, width))
    darkness = 1 - shades / np.maximum(paper, LEAST_CONTRAST)
    darkest = np.percentile(darkness, 99.8)  # a pen's thin line is some thousandths of a photo
    if darkest < max(LEAST_CONTRAST / 255, 5 * np.median(darkness)):
        raise NotADigit(NO_CONTRAST)
    ink = np.clip(darkness / darkest * 4 - 1.5, 0, 1)
    return np.where(large_pieces(ink > 0.5), ink, 0).astype(np.float32)


def is_light_on_dark(shades: np.ndarray) -> bool:
    """Whether what stands out of its surroundings is lighter than these: chalk, not ink."""
    image = Image.fromarray(shades.astype(np.uint8))
    image.thumbnail((64, 64), Image.Resampling.BOX)
    small = np.asarray(image, np.float32)
    difference = small - ndimage.median_filter(small, size=27)
    darker, lighter = np.percentile(difference, [1, 99])
    return lighter > -darker


def large_pieces(mask: np.ndarray) -> np.ndarray:
    """Where the pieces of a photo are that may belong to a digit, a little widened.

    Small ones are dust, and what runs out of the picture is the edge of something else.
    """
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())
    inside = sizes.copy()
    inside[[0, *pieces[0], *pieces[-1], *pieces[:, 0], *pieces[:, -1]]] = 0
    kept = inside > inside.max() / 20 if inside.any() else sizes > 0
    kept[0] = False
    return ndimage.binary_dilation(kept[pieces], iterations=2)
