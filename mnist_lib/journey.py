"""The journey: the chain of recipes behind the numbered notebooks, one change at a time."""

from mnist_lib import models
from mnist_lib.recipes import Recipe
from mnist_lib.schedules import SGD

PLAIN = Recipe(
    name="01-plain",
    change="two convolutions and a fully connected head",
    network=models.plain,
    optimizer=SGD(learning_rate=0.05, momentum=0.9),
)

JOURNEY = [PLAIN]


def recipes_of(notebook: str) -> list[Recipe]:
    """The recipes that a notebook trains: those whose name starts with its number."""
    return [recipe for recipe in JOURNEY if recipe.name[:2] == notebook[:2]]
