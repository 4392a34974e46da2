"""What cannot work is refused before any time is spent on it, in words that say what to do."""

import math

import torch

IMAGE, CLASSES = (1, 28, 28), 10
LARGEST_SEED = 2**31 - 1


def check_digits(images: torch.Tensor, labels: torch.Tensor) -> None:
    """ValueError unless these are uint8 (n, 1, 28, 28) with an int64 label 0..9 for each."""
    if images.dtype != torch.uint8 or images.shape[1:] != IMAGE:
        raise ValueError(
            "images must be uint8 (n, 1, 28, 28) in 0..255, as load_mnist gives them, "
            f"not {images.dtype} {tuple(images.shape)}"
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{len(images)} images need as many labels of type int64, "
            f"not {labels.dtype} {tuple(labels.shape)}"
        )
    if len(labels) and not (0 <= labels.min() and labels.max() < CLASSES):
        raise ValueError(f"labels must be 0..9, not {int(labels.min())}..{int(labels.max())}")


def check_augmentable(images: torch.Tensor) -> None:
    """ValueError unless these are square images of floats, as Batches gives them to an augment."""
    if not images.is_floating_point() or images.dim() != 4 or images.shape[2] != images.shape[3]:
        raise ValueError(
            "augmentations take floats (n, 1, 28, 28) in 0..1, as to_float makes them, "
            f"not {images.dtype} {tuple(images.shape)}"
        )


def check_run(recipe, digits, seed: int, threads: int) -> None:
    """ValueError for a training that cannot work."""
    check_recipe(recipe, seed)
    check_count("threads", threads)
    check_fold(recipe, digits, seed)


def check_recipe(recipe, seed: int) -> None:
    """ValueError for a training that cannot work, whatever the digits."""
    check_count("seed", seed, lowest=0, highest=LARGEST_SEED)
    check_count(f"the number of epochs of '{recipe.name}'", recipe.epochs)
    check_network(recipe)


def check_count(what: str, value, lowest: int = 1, highest: float = math.inf) -> None:
    """ValueError unless this is a whole number from the lowest to the highest."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not (is_whole and lowest <= value <= highest):
        limits = f"from {lowest} up" if highest == math.inf else f"from {lowest} to {highest:,}"
        raise ValueError(f"{what} must be a whole number {limits}, not {value!r}")


def check_fold(recipe, digits, seed: int) -> None:
    """ValueError unless the digits are cut as this recipe and this seed want them."""
    if digits.fold is None:  # digits of the reader's own: only whether there are any to validate on
        words = ("no digits", "a part of the digits")
        asked, found = words[recipe.fold(seed) > 0], words[len(digits.validation_labels) > 0]
    else:
        folds = (recipe.fold(seed), digits.fold)
        asked, found = (f"fold {fold}" if fold else "no digits" for fold in folds)
    if asked != found:
        raise ValueError(
            f"'{recipe.name}' with seed {seed} holds out {asked}, and these digits hold out "
            f"{found}: load_mnist(fold=recipe.fold(seed)) makes them fit"
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
