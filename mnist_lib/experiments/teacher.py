"""A teacher: a larger network whose answers a smaller one learns (Hinton et al. 2015).

The source is "Distilling the knowledge in a neural network", https://arxiv.org/abs/1503.02531.
"""

from collections.abc import Iterator

import torch

from mnist_lib.data import Batches
from mnist_lib.engine.machine import accelerate
from mnist_lib.recipes import Recipe
from mnist_lib.train import train_epoch


class TaughtBatches(Batches):
    """Batches whose ``y`` are a teacher's probabilities, float32 (batch, 10), in place of labels.

    The teacher learns first, from the same images and labels. So it sees no validation digit. It
    answers to each image as it was moved for this step, as Beyer et al. 2022 advise
    (https://arxiv.org/abs/2106.05237).

    Args:
        *arguments, **options: those of `Batches`.
        teacher: the recipe of the larger network.
        device: of the batches.
    """

    def __init__(self, *arguments, teacher: Recipe, device: str = "cpu", **options):
        super().__init__(*arguments, device=device, **options)
        self.teacher = accelerate(teacher.new_network(seed=0), device)
        optimizer = teacher.optimizer.build(self.teacher)
        schedule = teacher.schedule.build(optimizer, len(self), teacher.epochs)
        labelled = Batches(*arguments, device=device, **options)
        for _ in range(teacher.epochs):
            train_epoch(self.teacher, labelled, optimizer, schedule)
        self.teacher.eval()

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, _ in super().__iter__():
            with torch.no_grad():
                probabilities = self.teacher(x).softmax(1)
            yield x, probabilities
