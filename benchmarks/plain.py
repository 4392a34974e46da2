"""The training of a step as tutorials usually write it: one image, one transform call at a time.

This is what the library is measured against, so it is written as they do: pictures, transforms per
image, a DataLoader, the optimizer's default kernels, and `.item()` in every step.
"""

from functools import partial
from multiprocessing import set_start_method

import albumentations
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from measure import timed
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from mnist_lib.data import MEAN, STD, raw_folder
from mnist_lib.experiments.system_networks import Dropout2d
from mnist_lib.recipes import Recipe

TO_TENSOR = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
TURN = [
    transforms.RandomApply([transforms.CenterCrop(22)], p=0.1),
    transforms.Resize((28, 28)),
    transforms.RandomRotation((-15.0, 15.0), fill=0),
]
MOVE = [
    transforms.RandomRotation((-6.0, 6.0), fill=1),
    transforms.RandomAffine(7, shear=10, translate=(0.1, 0.1), scale=(0.8, 1.2)),
    transforms.ColorJitter(brightness=0.40, contrast=0.40, saturation=0.40, hue=0.1),
]
MILD = [transforms.RandomAffine(5, translate=(0.05, 0.05), scale=(0.95, 1.05), shear=3)]
SHIFT = albumentations.Compose(
    [
        albumentations.Affine(
            translate_percent=(-0.09, 0.09), scale=(0.91, 1.09), rotate=(-7, 7),
            border_mode=cv2.BORDER_REFLECT_101, p=0.5,
        ),
        albumentations.RandomBrightnessContrast(p=0.5),
        albumentations.Normalize((MEAN,), (STD,)),
        albumentations.ToTensorV2(),
    ]
)  # fmt: skip


def shifted(picture) -> torch.Tensor:
    """A function with a name, because workers may be sent it."""
    return SHIFT(image=np.array(picture)[..., None])["image"]


TRANSFORMS = {
    "S0-6": transforms.Compose(TURN + TO_TENSOR),
    "S3-3": shifted,
    "S4-6": transforms.Compose(MOVE + TO_TENSOR),
    "06-one-cycle": transforms.Compose(MILD + TO_TENSOR),
    "07-separable": transforms.Compose(MILD + TO_TENSOR),
}

WORKERS = (0, 2)
LOOPS = {}  # of this process, by the number of workers


def prepare(recipe: Recipe, images: int, device: str) -> None:
    """One loop for each number of workers, with one thread as the library's."""
    torch.set_num_threads(1)
    set_start_method(None, force=True)  # the workers start as in any script
    for workers in WORKERS:
        model = build_network(recipe).to(device)
        optimizer = build_optimizer(recipe.optimizer, model)
        batches = loader(recipe, images, workers, device)
        schedule = recipe.schedule.build(optimizer, len(batches), 1_000)
        LOOPS[workers] = partial(train_epoch, model, batches, optimizer, schedule, device)


def seconds(workers: int, device: str) -> float:
    """Wall seconds of one pass with so many workers."""
    return timed(LOOPS[workers], device)


def build_network(recipe: Recipe) -> nn.Module:
    """The network as its source has it, with PyTorch's own layers.

    The 3x3 convolutions of S0-6 pad with copies of the border (of no pixels at all), and dropout of
    no map follows each stage; both cost time.
    """
    model = recipe.new_network(seed=1)
    for layer in model.modules():
        if isinstance(layer, Dropout2d):
            layer.__class__ = nn.Dropout2d
        is_3x3 = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
        if is_3x3 and recipe.name == "S0-6":
            layer.padding_mode = "replicate"
    return model


def digits(train: bool, transform) -> MNIST:
    """The files that the library has fetched, as a tutorial reads them."""
    return MNIST(raw_folder().parents[1], train=train, transform=transform)


def loader(recipe: Recipe, images: int, workers: int, device: str) -> DataLoader:
    """The first images of the training set, as the tutorial of this step loads them."""
    dataset = digits(train=True, transform=TRANSFORMS[recipe.name])
    few, on_gpu = Subset(dataset, range(images)), device.startswith("cuda")
    return DataLoader(few, recipe.batch_size, shuffle=True, num_workers=workers, pin_memory=on_gpu)


def loss_of(model: nn.Module):
    """The tutorials end their networks with a logarithm of probabilities, the journey does not."""
    *_, last = model.modules()
    return F.nll_loss if isinstance(last, nn.LogSoftmax) else F.cross_entropy


def train_epoch(model, batches, optimizer, schedule, device: str) -> tuple[float, float]:
    """One pass; loss and accuracy are read in every step, for the progress bar of the tutorials."""
    model.train()
    loss_function = loss_of(model)
    loss_sum, correct, count = 0.0, 0, 0
    for data, target in batches:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = loss_function(output, target)
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += loss.item()
        correct += output.argmax(dim=1).eq(target).sum().item()
        count += len(target)
    return loss_sum / len(batches), correct / count


def build_optimizer(optimizer, model) -> torch.optim.Optimizer:
    """The recipe's optimizer with PyTorch's default kernels."""
    kind = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[type(optimizer).__name__]
    settings = {"momentum": optimizer.momentum} if hasattr(optimizer, "momentum") else {}
    return kind(model.parameters(), lr=optimizer.learning_rate, **settings)
