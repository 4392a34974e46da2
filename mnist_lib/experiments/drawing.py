"""What makes a drawing a digit of MNIST.

As the authors of MNIST describe it (LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist/): the
digits "were size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", with
the grey levels of an anti-aliasing, and then "centered in a 28x28 image by computing the center of
mass of the pixels, and translating the image so as to position this point at the center".
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from mnist_lib.experiments.ink import find_ink
from mnist_lib.experiments.strokes import check_one_digit

SIDE, BOX = 28, 20  # pixels of an image, and of the box that its digit fills
CENTRE = 14  # row and column of the centre of mass, in all of MNIST within half a pixel
FAINT = 0.1  # the least ink that counts when the box is found
ENOUGH = 0.3  # of the darkest ink: less than a half, or a thin line would fall to pieces
FINE = 100  # pixels of the longer side where strokes are looked at: five for one of the box


def to_digit(picture: np.ndarray) -> np.ndarray:
    """The image of MNIST's kind that a network sees of a picture: uint8 (28, 28).

    picture  see `find_ink`: a drawing on a transparent pad, a scan of either polarity, a photo
    raises   ValueError for what is no picture, and its subclass NotADigit, with a message for the
             user, where no digit can be found: nothing drawn, no contrast, a dot, several digits,
             a scribble, too large
    """
    ink = cropped(find_ink(picture))
    fine = resized(ink, FINE) if max(ink.shape) > FINE else ink
    check_one_digit(fine > ENOUGH * fine.max())
    return centred(resized(ink, BOX))


def cropped(ink: np.ndarray) -> np.ndarray:
    """The box that holds all ink."""
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resized(ink: np.ndarray, side: int) -> np.ndarray:
    """The ink with this longer side, in proportion; each pixel is the mean of what it covers."""
    height, width = (max(1, round(side * length / max(ink.shape))) for length in ink.shape)
    image = Image.fromarray(ink).resize((width, height), Image.Resampling.BOX)
    return np.asarray(image)


def centred(digit: np.ndarray) -> np.ndarray:
    """The box in the middle of an image by its centre of mass: uint8 (28, 28).

    The darkest ink becomes 255, as in MNIST: a pen's thin line would be faint otherwise.
    """
    image = np.zeros((SIDE, SIDE), np.uint8)
    centre = ndimage.center_of_mass(digit)
    top, left = (
        int(np.clip(round(CENTRE - at), 0, SIDE - length))
        for at, length in zip(centre, digit.shape, strict=True)
    )
    height, width = digit.shape
    image[top : top + height, left : left + width] = np.rint(digit * (255 / digit.max()))
    return image
