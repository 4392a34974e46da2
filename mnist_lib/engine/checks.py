"""What cannot work is refused before any time is spent on it, in words that say what to do."""

import math

import torch

IMAGE, CLASSES = (1, 28, 28), 10


def check_digits(images: torch.Tensor, labels: torch.Tensor) -> None:
    """ValueError unless these are uint8 (n, 1, 28, 28) with an int64 label 0..9 for each."""
    if images.dtype != torch.uint8 or images.shape[1:] != IMAGE:
        raise ValueError(
            f"images must be uint8 (n, 1, 28, 28) in 0..255, not {images.dtype} "
            f"{tuple(images.shape)}"
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{len(images)} images need as many labels of type int64, "
            f"not {labels.dtype} {tuple(labels.shape)}"
        )
    if len(labels) and not (0 <= labels.min() and labels.max() < CLASSES):
        raise ValueError(f"labels must be 0..9, not {int(labels.min())}..{int(labels.max())}")


def check_run(recipe, digits, seed: int) -> None:
    """ValueError for a training that cannot work."""
    check_count("seed", seed, lowest=0)
    check_count(f"the number of epochs of '{recipe.name}'", recipe.epochs)
    check_holdout(recipe, digits)
    check_network(recipe)


def check_count(what: str, value, lowest: int = 1) -> None:
    """ValueError unless this is a whole number from the lowest up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ValueError(f"{what} must be a whole number from {lowest} up, not {value!r}")


def check_holdout(recipe, digits) -> None:
    """ValueError unless the digits were loaded for this recipe."""
    found = len(digits.validation_labels)
    if found != recipe.holdout:
        raise ValueError(
            f"'{recipe.name}' sets {recipe.holdout:,} digits aside for validation, and these "
            f"digits {found:,}: load_mnist(holdout=recipe.holdout) makes them fit"
        )


def check_network(recipe) -> None:
    """ValueError unless the recipe's network has weights and turns images into logits."""
    network = recipe.new_network(seed=0).eval()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"the network of '{recipe.name}' has no parameters to train")
    with torch.no_grad():
        shape = tuple(network(torch.zeros(2, *IMAGE)).shape)
    if shape != (2, CLASSES):
        raise ValueError(
            f"the network of '{recipe.name}' turns 2 images into {shape}; "
            f"it must give logits of shape {(2, CLASSES)}"
        )


def check_losses(recipe, row: dict) -> None:
    """FloatingPointError if a loss of this epoch is no number any more."""
    for name, value in row.items():
        if name.endswith("_loss") and not math.isfinite(value):
            which = name.removesuffix("_loss").replace("train", "training")
            raise FloatingPointError(
                f"the {which} loss of '{recipe.name}' became {value} in epoch {row['epoch']}: "
                "the learning rate is probably too high"
            )
