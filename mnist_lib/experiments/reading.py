"""How a picture is read: by the asked network, and by two others that must agree with it."""

from dataclasses import dataclass

import numpy as np
import torch

from mnist_lib.engine.machine import DEFAULT_SEED, is_on
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.journey import PLAIN, SEPARABLE
from mnist_lib.recipes import Recipe
from mnist_lib.records import load_checkpoint
from mnist_lib.summary import count_parameters
from mnist_lib.train import predict

SURE = 0.9  # an answer with less probability than this is none


@dataclass(frozen=True)
class Answer:
    """What is said about one picture.

    Attributes:
        image: uint8 (28, 28), what the networks see.
        probabilities: ten for each network, by its recipe's name; those of the asked one first.
    """

    image: np.ndarray
    probabilities: dict[str, list[float]]

    @property
    def digits(self) -> dict[str, int]:
        """What each network reads, by its recipe's name."""
        return {name: int(np.argmax(row)) for name, row in self.probabilities.items()}

    @property
    def is_sure(self) -> bool:
        """Whether the asked network is, and the others agree: of a scribble they seldom do."""
        asked, *_ = self.probabilities.values()
        return max(asked) >= SURE and len({*self.digits.values()}) == 1


class Guesser:
    """A trained network, and beside it the largest and the smallest of the journey.

    Args:
        recipe: of the asked network.
        seed: of its run. The others take the pages' seed where they have no run of this one.

    Raises:
        FileNotFoundError: where this seed has no checkpoint of the recipe.
    """

    def __init__(self, recipe: Recipe, seed: int):
        self.networks = {recipe.name: load_checkpoint(recipe, seed)}
        for step in (PLAIN, SEPARABLE):  # the largest and the smallest
            try:
                self.networks.setdefault(step.name, load_checkpoint(step, seed))
            except FileNotFoundError:
                self.networks[step.name] = load_checkpoint(step, DEFAULT_SEED)
        self.parameters = {name: count_parameters(net) for name, net in self.networks.items()}

    def __call__(self, picture: np.ndarray) -> Answer:
        """What the networks read in a picture; raises as `to_digit` does."""
        return self.answer(to_digit(picture))

    def answer(self, image: np.ndarray) -> Answer:
        """What the networks read in a digit as MNIST has it: uint8 (28, 28)."""
        x = torch.from_numpy(image)[None, None]
        rows = {name: predict(network, x)[0].tolist() for name, network in self.networks.items()}
        return Answer(image, rows)


def open_pad(recipe: Recipe, seed: int) -> None:
    """Open the drawing pad below a notebook's cell, where somebody can draw on it.

    A page that is executed without a person (MNIST_LIB_LIVE=0) gets a sentence instead.

    Args:
        recipe: of the network that reads.
        seed: of its run.
    """
    if not is_on("MNIST_LIB_LIVE", default="1"):
        print("Nobody is here to draw. Run this cell in Jupyter or Colab, and it opens a pad.")
        return
    try:
        from mnist_lib.experiments.pad import launch, page
    except ModuleNotFoundError as error:
        print(f"The pad needs {error.name}: python -m pip install gradio")
        return
    launch(page(recipe, seed), prevent_thread_lock=True)
