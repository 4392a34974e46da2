"""What stays on the page: one line per epoch, wherever a run is watched from."""

import io
import re
import sys
from contextlib import redirect_stdout

import nbformat
import pytest
from nbclient import NotebookClient

from mnist_lib.engine.progress import Progress
from mnist_lib.train import fit

LINE = re.compile(r"epoch +\d/2   loss \d+\.\d{4}   train +\d+\.\d\d%   .*test .* s")

PROGRAM = """
import torch
from torch import nn
from mnist_lib.data import Digits
from mnist_lib.engine.progress import Progress
from mnist_lib.recipes import SGD, Recipe
from mnist_lib.train import fit

def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

images, labels = torch.zeros(64, 1, 28, 28, dtype=torch.uint8), torch.arange(64) % 10
Progress.REFRESH_SECONDS = 0  # shows every step
recipe = Recipe("00", "", network, SGD(0.001), batch_size=8, epochs=2)
run = fit(recipe, Digits(*[images, labels] * 3))
"""


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv("MNIST_LIB_LIVE")


def test_a_pipe_or_a_file_gets_one_line_per_epoch(tiny, synthetic, live, monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with redirect_stdout(io.StringIO()) as pipe:
        fit(tiny, synthetic, device="cpu")
    lines = pipe.getvalue().splitlines()
    assert len(lines) == 2 and all(LINE.fullmatch(line) for line in lines), lines


def test_a_notebook_keeps_one_line_per_epoch_and_no_widget(live, tmp_path):
    cell = nbformat.v4.new_code_cell(PROGRAM)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    assert [output.output_type for output in cell.outputs] == ["display_data"]
    assert set(cell.outputs[0].data) == {"text/plain"}
    lines = cell.outputs[0].data["text/plain"].splitlines()
    assert len(lines) == 2 and all(LINE.fullmatch(line) for line in lines), lines
    assert "widgets" not in notebook.metadata


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def screen(self) -> list[str]:
        """What a reader sees in the end: a carriage return starts to write over the line."""
        lines = []
        for text in self.getvalue().split("\n"):
            seen = ""
            for part in text.split("\r"):
                seen = part + seen[len(part) :]
            lines.append(seen.rstrip())
        return [line for line in lines if line]


def test_a_terminal_shows_a_bar_and_keeps_the_lines(tiny, synthetic, live, monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with redirect_stdout(Terminal()) as terminal:
        fit(tiny, synthetic, device="cpu")
    assert "epoch 2/2" in terminal.getvalue() and "step" in terminal.getvalue()  # the bar
    lines = terminal.screen()
    assert len(lines) == 2 and all(LINE.fullmatch(line) for line in lines), lines


def test_the_batch_command_silences_the_bar(monkeypatch):
    monkeypatch.setenv("MNIST_LIB_LIVE", "0")
    with redirect_stdout(Terminal()) as terminal:
        with Progress(epochs=1, steps=3) as progress:
            for step in (1, 2, 3):
                progress.step(step)
            progress.line("epoch 1")
    assert terminal.getvalue() == "epoch 1\n"
