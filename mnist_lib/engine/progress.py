"""What a training shows while it runs, and how it ends when somebody stops it."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from mnist_lib.engine.environment import is_on


class Progress:
    """Live progress where somebody watches, and the epoch lines alone where nobody does.

    In a notebook one text output is updated in place (no widget, so the saved page shows the epoch
    lines and nothing else); in a terminal a bar comes and goes; in a pipe, a log file or with
    MNIST_LIB_LIVE=0, which the batch command sets, only the lines are printed. Quiet, it keeps the
    lines and shows nothing.

    As a context manager it swallows Ctrl-C and Jupyter's stop button and remembers them as
    `interrupted`; what was finished before is kept.
    """

    REFRESH_SECONDS = 0.5

    def __init__(
        self,
        epochs: int,
        steps: int,
        quiet: bool = False,
        after_epoch: Callable[[dict], None] | None = None,
    ):
        self.epochs, self.steps, self.quiet, self.after_epoch = epochs, steps, quiet, after_epoch
        self.lines: list[str] = []
        self.epoch, self.finished, self.interrupted = 0, 0, False
        self.epoch_started = time.perf_counter()
        self.display, self.bar, self.shown_at = None, None, 0.0
        if quiet or not is_on("MNIST_LIB_LIVE", default=True):
            return
        if "ipykernel" in sys.modules:
            from IPython.display import display

            self.display = display({"text/plain": ""}, raw=True, display_id=True)
        elif sys.stdout.isatty():
            self.bar = tqdm(total=steps, leave=False, file=sys.stdout, unit="step")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind, error, traceback) -> bool:
        self.interrupted = kind is KeyboardInterrupt
        if self.interrupted:
            self.line(f"interrupted: {self.finished} of {self.epochs} epochs are finished and kept")
        if self.bar is not None:
            self.bar.close()
        return self.interrupted

    def __iter__(self):
        """The numbers of the epochs, from 1."""
        for epoch in range(1, self.epochs + 1):
            self.epoch, self.epoch_started = epoch, time.perf_counter()
            yield epoch

    def finish_epoch(self, row: dict) -> dict:
        """Show the epoch's results; returns them with the seconds that it took."""
        row = {**row, "seconds": time.perf_counter() - self.epoch_started}
        self.line(epoch_line(row, self.epochs))
        if self.after_epoch is not None:
            self.after_epoch(row)
        self.finished = self.epoch
        return row

    def step(self, step: int) -> None:
        """Step `step` (from 1) of the epoch is done."""
        if self.bar is not None:
            self.bar.set_description(f"epoch {self.epoch}/{self.epochs}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif self.display is not None and time.monotonic() - self.shown_at > self.REFRESH_SECONDS:
            self.shown_at = time.monotonic()
            self.show(f"epoch {self.epoch}/{self.epochs}: step {step} of {self.steps}")

    def line(self, text: str) -> None:
        """Keep a line: the result of an epoch, or why the run ended."""
        self.lines.append(text)
        if self.display is not None:
            self.show()
        elif self.bar is not None:
            self.bar.write(text, file=sys.stdout)
            self.bar.reset()
        elif not self.quiet:
            print(text, flush=True)

    def show(self, *running: str) -> None:
        self.display.update({"text/plain": "\n".join([*self.lines, *running])}, raw=True)


def epoch_line(row: dict, epochs: int) -> str:
    """The one line that a notebook keeps of an epoch."""
    accuracies = [
        f"{part} {row[f'{part}_accuracy']:7.2%}   "
        for part in ("train", "validation", "test")
        if f"{part}_accuracy" in row
    ]
    return (
        f"epoch {row['epoch']:2d}/{epochs}   loss {row['train_loss']:.4f}   "
        f"{''.join(accuracies)}{row['seconds']:5.1f} s"
    )
