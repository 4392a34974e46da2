"""What a training shows while it runs: live inside an epoch, one line per epoch in what is kept."""

import os
import sys
import time

from tqdm import tqdm


class Progress:
    """Live progress where somebody watches, and the epoch lines alone where nobody does.

    In a notebook one text output is updated in place (no widget, so the saved page shows the epoch
    lines and nothing else); in a terminal a bar comes and goes; in a pipe, a log file or with
    MNIST_LIB_LIVE=0, which the batch command sets, only the lines are printed. Quiet, it keeps the
    lines and shows nothing.
    """

    REFRESH_SECONDS = 0.5

    def __init__(self, epochs: int, steps: int, quiet: bool = False):
        self.epochs, self.steps, self.quiet = epochs, steps, quiet
        self.lines: list[str] = []
        self.display, self.bar, self.shown_at = None, None, 0.0
        if quiet or os.environ.get("MNIST_LIB_LIVE") == "0":
            return
        if "ipykernel" in sys.modules:
            from IPython.display import display

            self.display = display({"text/plain": ""}, raw=True, display_id=True)
        elif sys.stdout.isatty():
            self.bar = tqdm(total=steps, leave=False, file=sys.stdout, unit="step")

    def step(self, epoch: int, step: int) -> None:
        """Step `step` of epoch `epoch` (both from 1) is done."""
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif self.display is not None and time.monotonic() - self.shown_at > self.REFRESH_SECONDS:
            self.shown_at = time.monotonic()
            self.show(f"epoch {epoch}/{self.epochs}: step {step} of {self.steps}")

    def line(self, text: str) -> None:
        """Keep a line: the result of an epoch, or why the run ended."""
        self.lines.append(text)
        if self.display is not None:
            self.show()
        elif self.bar is not None:
            self.bar.clear()
            self.bar.write(text, file=sys.stdout)
            self.bar.reset()
        elif not self.quiet:
            print(text, flush=True)

    def show(self, *running: str) -> None:
        self.display.update({"text/plain": "\n".join([*self.lines, *running])}, raw=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
