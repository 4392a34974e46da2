"""The drawing pad: what is answered to a picture, and strokes in a real Chromium."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress

import numpy as np
import psutil
import pytest
from PIL import Image

from mnist_lib.engine.machine import PROJECT
from mnist_lib.experiments.reading import Answer, open_pad
from mnist_lib.journey import BEST

pytest.importorskip("gradio", reason="the extra [demo] is not installed")
PATIENCE = 120  # seconds for a busy machine
pytestmark = pytest.mark.usefixtures("committed")


def seven() -> np.ndarray:
    """Black strokes on white paper, as the pad sends them: uint8 (300, 300, 4)."""
    picture = np.full((300, 300, 4), 255, np.uint8)
    picture[80:102, 90:200, :3] = 0
    for row in range(100, 230):
        column = round(185 - 0.45 * (row - 100))
        picture[row, column - 11 : column + 11, :3] = 0
    return picture


def read(picture) -> tuple:
    """What the page shows for a value of the pad: sentence, probabilities, picture, others."""
    from mnist_lib.experiments.pad import page

    (function,) = [f for f in page(BEST, 11).fns.values() if f.api_name == "read"]
    return function.fn(picture)


# ---- answers ------------------------------------------------------------------------------------


def test_a_sure_answer_has_probabilities_the_picture_and_the_others():
    word, probabilities, seen, others = read({"composite": seven(), "layers": []})
    assert word == "### This is a 7, with a probability of more than 99 %."
    assert [*probabilities] == [*"0123456789"] and max(probabilities, key=probabilities.get) == "7"
    assert seen.shape == (224, 224) and seen.max() == 255
    assert re.fullmatch(r"Other networks read: .+ parameters\) a 7; .+ parameters\) a 7\.", others)


@pytest.mark.parametrize(
    "probability, guess_of_other, words",
    [(0.95, 7, "This is a 7, with"), (0.6, 7, "Not sure. Most likely a 7 (60 %)"),
     (0.95, 1, "disagree")],
)  # fmt: skip
def test_below_90_percent_or_in_disagreement_nothing_is_announced(
    probability, guess_of_other, words
):
    from mnist_lib.experiments.pad import sentence

    asked, other = np.full(10, (1 - probability) / 9), np.full(10, 0.01)
    asked[7], other[guess_of_other] = probability, 0.91
    answer = Answer(np.zeros((28, 28), np.uint8), {"asked": [*asked], "other": [*other]})
    assert words in sentence(answer, "asked") and answer.is_sure == ("This is" in words)


@pytest.mark.parametrize("nothing", [None, {"composite": None, "layers": []}])
def test_without_a_digit_there_are_no_probabilities(nothing):
    assert read(nothing) == ("### Draw a digit from 0 to 9", None, None, "")
    word, *rest = read(np.full((300, 300, 4), 255, np.uint8))
    assert word.startswith("### ") and rest == [None, None, ""]


def test_a_page_that_nobody_watches_opens_no_pad(monkeypatch, capsys):
    open_pad(BEST, 11)
    assert "Nobody is here to draw" in capsys.readouterr().out
    monkeypatch.setenv("MNIST_LIB_LIVE", "1")
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "mnist_lib.experiments.pad", raising=False)
    open_pad(BEST, 11)
    assert "The pad needs gradio: python -m pip install gradio" in capsys.readouterr().out


# ---- the browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """`python -m mnist_lib demo` in a process of its own; Ctrl-C ends it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_lib", "demo", "--port", port],
        env=os.environ | {"MNIST_LIB_RESULTS": str(PROJECT / "results"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert f"Draw a digit on http://127.0.0.1:{port}" in process.stdout.readline()
    connections = psutil.Process(process.pid).net_connections()
    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)
    assert os.name == "nt" or process.wait(PATIENCE) == 0


def stroke(page, *points) -> None:
    """Draw by the mouse, points in parts of the paper."""
    box = page.locator("canvas").first.bounding_box()
    for number, (x, y) in enumerate(points):
        across, down = box["width"] / 2 + (x - 0.5) * 220, box["height"] / 2 + (y - 0.5) * 220
        page.mouse.move(box["x"] + across, box["y"] + down, steps=6)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def assert_read(page, digit: int, draw) -> None:
    """The page answers with this digit; what is drawn before it is ready is lost, so draw again."""
    from playwright.sync_api import expect  # an extra; without it there is no browser either

    heading = expect(page.locator("h3").first)
    for seconds in (4, 8, 16, 32, PATIENCE):
        draw()
        with suppress(AssertionError):
            return heading.to_contain_text(f"This is a {digit}", timeout=1000 * seconds)
    heading.to_contain_text(f"This is a {digit}")


@pytest.fixture
def page(browser, server):
    """The pad in a browser that is patient, and asks nobody but the server."""
    page, asked = browser.new_page(), []
    page.set_default_timeout(1000 * PATIENCE)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(server)
    yield page
    page.close()
    assert all(url.startswith((server, "data:", "blob:")) for url in asked)


@pytest.mark.parametrize("width, height, scheme", [(1280, 900, "light"), (390, 844, "dark")])
def test_strokes_are_answered_cleared_and_answered_again(page, width, height, scheme):
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_selector("canvas")
    assert_read(page, 7, lambda: stroke(page, (0.3, 0.2), (0.7, 0.2), (0.45, 0.8)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Clear canvas").click()
    assert_read(page, 1, lambda: stroke(page, (0.5, 0.2), (0.5, 0.8)))


def test_a_photo_is_read(page, server, tmp_path):
    Image.fromarray(seven()).convert("RGB").save(tmp_path / "photo.jpg")

    def upload() -> None:
        page.goto(server)
        page.get_by_role("tab", name="Photo").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Click to Upload").click()
        chooser.value.set_files(tmp_path / "photo.jpg")

    assert_read(page, 7, upload)
