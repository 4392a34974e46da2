"""No tensor of a training is left on the CPU when it should run on a GPU: shown with fake tensors.

PyTorch's FakeTensorMode computes shapes and devices only, so this needs no GPU. It does not show
that a GPU gives the right numbers, nor how fast.
"""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from mnist_lib import data, journey
from mnist_lib.experiments import speed, systems

RECIPES = [
    journey.PLAIN, journey.DROPOUT, journey.ONE_CYCLE, journey.SMALL, systems.S0_6, systems.S3_X5,
    systems.S4_6, speed.SOONER,
]  # fmt: skip


class GeneratorOnGpu:
    """Stands for `torch.Generator("cuda")`, which only a machine with a GPU can make."""

    device = torch.device("cuda")


@pytest.fixture
def no_gpu_needed(monkeypatch):
    rand = torch.rand

    def without_generator(*shape, generator=None, **options):
        device = options.pop("device", None)
        if generator is not None:  # PyTorch refuses a generator of another device
            device = device or torch.device("cpu")
            assert torch.device(device).type == generator.device.type
        return rand(*shape, device=device, **options)

    monkeypatch.setattr(torch, "rand", without_generator)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(data, "check_digits", lambda *_: None)  # reads values, fakes have none


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_training_step_stays_on_the_gpu(recipe, synthetic, no_gpu_needed):
    images, labels = synthetic.train_images[:64], synthetic.train_labels[:64]
    order, draws = torch.Generator().manual_seed(1), GeneratorOnGpu()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        with torch.device("cuda"):
            network = recipe.network()
        batches = recipe.batches(
            images, labels, 32, recipe.augment, order=order, draws=draws, device="cuda", epochs=15
        )
        x, y = next(iter(batches))
        logits = network.train()(x)
        loss = F.cross_entropy(logits, y)
        batches.note(logits, y)
    assert {tensor.device.type for tensor in (x, y, logits, loss)} == {"cuda"}
