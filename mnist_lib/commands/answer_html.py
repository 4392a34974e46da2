"""An answer as HTML: bars, the picture that the network sees, other guesses, maps."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from mnist_lib.experiments.guesses import SURE, Answer, Guesser

WELCOME = "Draw a digit from 0 to 9, or paste a photo of one."


def as_html(answer: Answer, guesser: Guesser) -> str:
    """The guess in large, ten bars, the 28x28 picture, and two other networks side by side."""
    main = answer.probabilities[guesser.recipe.name]
    guess, certainty = in_words(main)
    word = f"<b>{guess}</b> with a confidence of {certainty}"
    if max(main) < SURE:
        word = f"<b>?</b> Not sure. Most likely {guess} ({certainty}), if it is a digit."
    elif not answer.is_sure:
        word = f"<b>?</b> The networks disagree. This one says {guess} ({certainty})."
    picture = (
        f"<figure>{img(answer.image, 'what the network sees', 6)}"
        "<figcaption>what the network sees</figcaption></figure>"
    )
    return page(word, bars(main) + picture + others(answer, guesser))


def message(word: str) -> str:
    """A word in place of an answer; bars without numbers, so that nothing jumps."""
    return page(word, bars([None] * 10))


def page(word: str, rest: str) -> str:
    return f'<div class="answer"><p class="word" role="status">{word}</p>{rest}</div>'


def in_words(probabilities: list[float]) -> tuple[int, str]:
    """The guess and its probability: 7, '95 %'; it is never quite certain."""
    guess = int(np.argmax(probabilities))
    probability = probabilities[guess]
    return guess, "more than 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def bars(probabilities: list[float | None]) -> str:
    """Ten bars, one a digit, under a line that says what they are."""
    rows = (
        f'{digit}<i><i style="width:{p or 0:.1%}"></i></i><span>{percent(p)}</span>'
        for digit, p in enumerate(probabilities)
    )
    return f'<div class="bars"><p>confidence in each digit</p>{"".join(rows)}</div>'


def percent(probability: float | None) -> str:
    if probability is None:
        return ""
    return "> 99 %" if probability > 0.99 else f"{probability * 100:.1f} %"


def others(answer: Answer, guesser: Guesser) -> str:
    """What the journey's largest and smallest network say; a number only where all are sure."""
    cards = ""
    for size, recipe in (("largest", guesser.largest), ("smallest", guesser.smallest)):
        guess, certainty = in_words(answer.probabilities[recipe.name])
        number = certainty if answer.is_sure else "if it is a digit"
        cards += (
            f'<div class="other"><b>{guess}</b> {number}<span>says the journey\'s {size}, '
            f"{recipe.name} with {guesser.parameters[recipe.name]:,} parameters</span></div>"
        )
    return f'<div class="others">{cards}</div>'


def maps_as_html(answer: Answer) -> str:
    """The maps after the first stages, a strip of channels for each."""
    return '<div class="maps">' + "".join(map(strip, answer.maps)) + "</div>"


def strip(maps: np.ndarray) -> str:
    """The channels of one stage beside each other, each from its lowest to its highest value."""
    channels, height, width = maps.shape
    low, high = (extreme(axis=(1, 2), keepdims=True) for extreme in (maps.min, maps.max))
    shades = (maps - low) / np.maximum(high - low, 1e-6) * 255
    gap = np.pad(shades.astype(np.uint8), ((0, 0), (0, 0), (0, 1)), constant_values=128)
    picture = gap.transpose(1, 0, 2).reshape(height, -1)[:, :-1]
    words = f"{channels} maps of {width} x {height}"
    return f"<p>{words}</p>{img(picture, words, 4)}"


def img(picture: np.ndarray, words: str, scale: int) -> str:
    """A uint8 picture within the page, each pixel so many wide: no file, no further request."""
    content = BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    height, width = (scale * side for side in picture.shape)
    data = base64.b64encode(content.getvalue()).decode()
    size = f'width="{width}" height="{height}"'
    return f'<img alt="{words}" {size} src="data:image/png;base64,{data}">'
