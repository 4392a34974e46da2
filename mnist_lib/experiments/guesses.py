"""From a picture to guesses: the networks that look at a drawing, and what they see in it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mnist_lib.data import normalise, to_float
from mnist_lib.engine.environment import DEFAULT_SEED
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.journey import JOURNEY
from mnist_lib.recipes import Recipe
from mnist_lib.records import load_checkpoint
from mnist_lib.summary import count_parameters

SURE = 0.9  # a guess with less probability than this is none
STAGES = 3  # first stages of a network whose maps are shown


@dataclass(frozen=True)
class Answer:
    """What is said about one picture.

    image          uint8 (28, 28), what the networks see
    probabilities  a row of ten for each network, by its recipe's name; the asked one is the first
    maps           what the first stages of that network make of the image: float32
                   (channels, height, width) each
    """

    image: np.ndarray
    probabilities: dict[str, list[float]]
    maps: list[np.ndarray]

    @property
    def is_sure(self) -> bool:
        """Whether the asked network is, and the others agree: of a scribble they seldom do."""
        asked, *_ = self.probabilities.values()
        guesses = {int(np.argmax(each)) for each in self.probabilities.values()}
        return max(asked) >= SURE and len(guesses) == 1


class Guesser:
    """A trained network, and beside it the largest and the smallest of the journey.

    raises FileNotFoundError or ValueError where this seed has no checkpoint of the recipe
    """

    def __init__(self, recipe: Recipe, seed: int):
        self.recipe, self.networks = recipe, {recipe.name: load_checkpoint(recipe, seed)}
        sizes = {step: count_parameters(step.new_network(seed)) for step in JOURNEY}
        self.largest, self.smallest = max(sizes, key=sizes.get), min(sizes, key=sizes.get)
        for step in (self.largest, self.smallest):
            if step.name not in self.networks:
                self.networks[step.name] = checkpoint_near(step, seed)
        self.parameters = {name: count_parameters(net) for name, net in self.networks.items()}

    def __call__(self, picture: np.ndarray) -> Answer:
        """What the networks say to a picture; raises as `to_digit` does."""
        return self.look(to_digit(picture))

    @torch.no_grad()
    def look(self, image: np.ndarray) -> Answer:
        """What the networks say to a digit as they take it, uint8 (28, 28)."""
        x = as_batch(image[None])
        probabilities = {
            name: network(x).softmax(1)[0].tolist() for name, network in self.networks.items()
        }
        return Answer(image, probabilities, first_maps(self.networks[self.recipe.name], x))


def as_batch(images: np.ndarray) -> torch.Tensor:
    """Images uint8 (n, 28, 28) as a network takes them: float32 (n, 1, 28, 28), normalised."""
    return normalise(to_float(torch.from_numpy(images)[:, None]))


def checkpoint_near(recipe: Recipe, seed: int) -> nn.Module:
    """The network of this seed, or of the pages' seed where this one has none."""
    try:
        return load_checkpoint(recipe, seed)
    except FileNotFoundError:
        return load_checkpoint(recipe, DEFAULT_SEED)


def first_maps(network: nn.Module, x: torch.Tensor) -> list[np.ndarray]:
    """The maps after each of the first stages, float32 (channels, height, width)."""
    maps = []
    for stage in list(network.children())[:STAGES]:
        x = stage(x)
        if x.dim() != 4:
            break
        maps.append(x[0].numpy())
    return maps
