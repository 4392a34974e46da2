"""Epochs of the digits that are worth a step: what is already known is mostly left out.

After two passes nine of ten digits of MNIST have almost no loss, and their steps change nothing.
So an epoch takes the hardest, by the loss of their last visit, and a few of the others; after
"Accelerating deep learning by focusing on the biggest losers" (Jiang et al. 2019).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mnist_lib.data import Batches
from mnist_lib.recipes import Recipe


class HardestBatches(Batches):
    """One pass over a part of the set: its hardest digits and, evenly drawn, some of the rest.

    part    of the set in each pass, 0..1; hardest of it are the digits with the highest loss
    evenly  the numbers of the passes, from 1, that draw all their digits evenly: at the end, for
            the statistics of normalisation to be those of all digits
    A digit that was never visited counts as the hardest. Random numbers come from `order`.
    """

    def __init__(self, *arguments, part: float, hardest: float, evenly: range, **options):
        super().__init__(*arguments, **options)
        self.count = max(self.batch_size, round(part * len(self.labels)))
        self.hardest, self.evenly, self.passes = round(hardest * self.count), evenly, 0
        self.losses = torch.full((len(self.labels),), torch.inf)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def positions(self) -> torch.Tensor:
        """Of the digits of this pass, in random order."""
        self.passes += 1
        shuffled = torch.randperm(len(self.labels), generator=self.order)
        if self.passes in self.evenly:
            return shuffled[: self.count]
        by_loss = shuffled[self.losses[shuffled].argsort(descending=True, stable=True)]
        hard, rest = by_loss.split([self.hardest, len(by_loss) - self.hardest])
        others = rest[torch.randperm(len(rest), generator=self.order)[: self.count - len(hard)]]
        chosen = torch.cat([hard, others])
        return chosen[torch.randperm(len(chosen), generator=self.order)]

    def batch(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.visited = chosen
        return super().batch(chosen)

    def note(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Remember the loss of each digit of the batch that was yielded last."""
        self.losses[self.visited] = F.cross_entropy(logits, labels, reduction="none").cpu()


@dataclass(frozen=True)
class HardestFirst(Recipe):
    """A recipe whose epochs take a part of the digits, see `HardestBatches`.

    even_epochs  at the end draw all their digits evenly
    """

    part: float = 0.4
    hardest: float = 0.6
    even_epochs: int = 2

    def batches(self, *arguments, **options) -> HardestBatches:
        evenly = range(self.epochs - self.even_epochs + 1, self.epochs + 1)
        return HardestBatches(
            *arguments, part=self.part, hardest=self.hardest, evenly=evenly, **options
        )
