"""Epochs of the digits that are worth a step: those with a small loss are mostly left out.

After two epochs nine of ten digits of MNIST have almost no loss, and their steps change nothing.
After "Accelerating deep learning by focusing on the biggest losers" (Jiang et al. 2019).
"""

import torch
import torch.nn.functional as F

from mnist_lib.data import Batches


class HardestBatches(Batches):
    """An epoch of a part of the set: its hardest digits and some of the others, drawn evenly.

    A digit's loss is that of its last visit; one that was never visited counts as the hardest.
    All random numbers come from `order`. A recipe chooses these batches by its field `batches`.

    Args:
        *arguments, **options: those of `Batches`.
        epochs: of the run.
        part: of the set in each epoch, 0..1.
        hardest: the part of these that are the digits with the highest loss.
        even_epochs: so many at the end draw all their digits evenly, so that the statistics of
            batch normalisation become those of all digits.
    """

    def __init__(
        self, *arguments, epochs: int, part: float, hardest: float, even_epochs: int, **options
    ):
        super().__init__(*arguments, epochs=epochs, **options)
        self.count = max(self.batch_size, round(part * len(self.labels)))
        self.hardest, self.hard_epochs = round(hardest * self.count), epochs - even_epochs
        self.losses = torch.full((len(self.labels),), torch.inf)
        self.epoch = 0

    def positions(self) -> torch.Tensor:
        """The positions of the digits of this epoch, in random order."""
        self.epoch += 1
        chosen = torch.randperm(len(self.labels), generator=self.order)
        if self.epoch <= self.hard_epochs:
            chosen = self.mostly_hardest(chosen)
        chosen = chosen[: self.count]
        self.visited = iter(chosen.split(self.batch_size))
        return chosen

    def mostly_hardest(self, shuffled: torch.Tensor) -> torch.Tensor:
        """The positions with the highest losses and some of the others, in random order."""
        by_loss = shuffled[self.losses[shuffled].argsort(descending=True, stable=True)]
        hard, rest = by_loss.split([self.hardest, len(by_loss) - self.hardest])
        others = rest[torch.randperm(len(rest), generator=self.order)[: self.count - len(hard)]]
        chosen = torch.cat([hard, others])
        return chosen[torch.randperm(len(chosen), generator=self.order)]

    def note(self, logits: torch.Tensor, y: torch.Tensor) -> None:
        """Remember the loss of each digit of the next batch of this epoch."""
        self.losses[next(self.visited)] = F.cross_entropy(logits, y, reduction="none").cpu()
