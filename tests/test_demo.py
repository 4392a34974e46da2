"""The drawing pad as its user meets it: a server of its own, and strokes in a real Chromium."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing

import numpy as np
import psutil
import pytest
from PIL import Image

from mnist_lib.commands.command_line import main
from mnist_lib.engine.environment import PROJECT

pytest.importorskip("gradio", reason="the extra [demo] is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="the extra [dev] is not installed")

PATIENCE = 120  # seconds for a busy machine
PREFIX = "data:image/png;base64,"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`python -m mnist_lib demo` in a process of its own, behind a proxy that lets nothing out."""

    def __init__(self):
        self.way_out = socket.create_server(("127.0.0.1", 0))
        self.way_out.setblocking(False)
        proxy = f"http://127.0.0.1:{self.way_out.getsockname()[1]}"
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = os.environ | {
            "MNIST_LIB_RESULTS": str(PROJECT / "results"), "OMP_NUM_THREADS": "1",
            "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
        }  # fmt: skip
        for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "mnist_lib", "demo", "--port", self.url.split(":")[-1]]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.greeting = self.process.stdout.readline()

    def answer(self, drawn, timeout: float = PATIENCE) -> str:
        """What the page shows for this value of the pad; HTTPError for what is refused."""
        body = json.dumps({"data": [drawn]}).encode()
        request = urllib.request.Request(
            f"{self.url}/gradio_api/run/answer", body, {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout) as response:
            return json.load(response)["data"][0]

    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.way_out.close()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def page(browser, server):
    """The page, loaded once, with all that it asked for and complained of."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("requestfailed", lambda request: page.complaints.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.goto(server.url)
    page.wait_for_selector("canvas", timeout=1000 * PATIENCE)
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    page.close()


# ---- strokes in the browser ---------------------------------------------------------------------


def answered(page):
    """Waits for the answer to what is done inside."""
    return page.expect_response(lambda r: "/run/" in r.url, timeout=1000 * PATIENCE)


def clear(page) -> str:
    with answered(page):
        page.get_by_role("button", name="Clear").click()
    return shown(page)


def draw(page, *strokes) -> str:
    """Strokes by the mouse, points in parts of the pad; returns the word above the bars."""
    box = page.locator("canvas").bounding_box()
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
            if number == 0:
                page.mouse.down()
        with answered(page):
            page.mouse.up()
    return shown(page)


def shown(page) -> str:
    page.wait_for_timeout(200)
    return page.locator(".word").inner_text()


TURN = np.linspace(0, 2 * np.pi, 30)
ONE = [(0.5, 0.2), (0.5, 0.8)]
ZERO = [(0.5 + 0.2 * np.sin(t), 0.5 - 0.3 * np.cos(t)) for t in TURN]
SEVEN = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]
SCRIBBLE = [(0.2 + 0.05 * k, 0.15 if k % 2 else 0.85) for k in range(13)]


def test_a_file_that_is_no_picture_gets_a_word_and_the_old_answer_goes(page, tmp_path):
    clear(page)
    assert draw(page, SEVEN).startswith("7")
    (tmp_path / "photo.jpg").write_text("no picture")
    with answered(page):
        page.locator("input[type=file]").set_input_files(tmp_path / "photo.jpg")
    assert "cannot be opened" in shown(page)


@pytest.mark.parametrize("digit, stroke", [(1, ONE), (0, ZERO), (7, SEVEN)])
def test_a_drawn_digit_is_guessed(page, digit, stroke):
    clear(page)
    assert draw(page, stroke).startswith(str(digit))
    assert page.locator(".bars span").count() == 10
    assert page.locator(".other").count() == 2
    assert page.locator(".answer img").evaluate("img => [img.naturalWidth, img.width]")[0] == 28


def test_each_stroke_is_answered(page):
    clear(page)
    assert draw(page, [(0.5, 0.5)]).startswith("That is a dot")
    assert draw(page, [(0.5, 0.2), (0.5, 0.8)]).startswith("1")


def test_empty_pad_scribble_and_several_digits_get_their_words(page):
    assert "empty" in clear(page)
    assert "scribble" in draw(page, SCRIBBLE)
    clear(page)
    words = draw(page, [(0.25, 0.3), (0.25, 0.7)], [(0.5, 0.3), (0.8, 0.3), (0.6, 0.7)])
    assert "several" in words


def test_the_percentages_are_named_and_there_are_none_without_an_answer(page):
    clear(page)
    assert "confidence in each digit" in page.locator(".bars").inner_text()
    assert "%" not in page.locator(".answer").inner_text()
    assert "confidence of" in draw(page, SEVEN)


def test_a_photo_is_read(page, tmp_path):
    clear(page)
    y, x = np.mgrid[:600, :800]
    shades = 120 + x / 8 + np.random.default_rng(1).normal(0, 3, (600, 800))
    shades[150:450, 390:410] *= 0.3
    Image.fromarray(shades.astype(np.uint8)).save(tmp_path / "photo.jpg")
    with answered(page):
        page.locator("input[type=file]").set_input_files(tmp_path / "photo.jpg")
    assert shown(page).startswith("1")


def test_the_maps_are_there_for_who_looks_inside(page):
    clear(page)
    draw(page, SEVEN)
    page.get_by_text("Look inside").click()
    page.locator(".maps img").first.wait_for()
    assert "12 maps of 12 x 12" in page.locator(".maps").inner_text()
    page.get_by_text("Look inside").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_by_finger(browser, server, scheme):
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme
    )
    page = phone.new_page()
    page.goto(server.url)
    pad = page.locator("canvas")
    pad.wait_for(timeout=1000 * PATIENCE)
    with answered(page):
        pad.tap()
    assert shown(page).startswith("That is a dot")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()


def test_nothing_leaves_the_machine_and_nothing_fails(page, server):
    """Runs after the drawings above."""
    draw(page, ONE)
    outside = [url for url in page.asked if not url.startswith((server.url, "data:", "blob:"))]
    assert page.asked and not outside
    assert not page.complaints
    with pytest.raises(BlockingIOError):  # nobody came to the proxy
        server.way_out.accept()


# ---- anything else ------------------------------------------------------------------------------


def png(picture: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return PREFIX + base64.b64encode(content.getvalue()).decode()


def pad_with_a_one() -> str:
    pad = np.zeros((500, 500, 4), np.uint8)
    pad[100:400, 230:260, 3] = 255
    return png(pad)


def random_input(rng: np.random.Generator):
    """A value for the pad: broken, huge, of another type, or a picture of noise."""
    noise = rng.integers(0, 256, (*rng.integers(1, 300, 2), 4), dtype=np.uint8)
    good = pad_with_a_one()
    cut = int(rng.integers(len(PREFIX), len(good)))
    letters = "".join(map(chr, rng.integers(32, 1_000, 50)))
    return [
        lambda: png(noise), lambda: png(noise[..., 0]), lambda: png(noise[..., :3]),
        lambda: good[:cut], lambda: good[:cut] + letters, lambda: letters,
        lambda: PREFIX + base64.b64encode(rng.bytes(500)).decode(),
        lambda: png(np.zeros((4_000, 4_000), np.uint8)),
        lambda: png(np.zeros((60_000, 500), np.uint8)),
        lambda: PREFIX + "A" * int(rng.integers(1_000_000, 20_000_000)),
        lambda: None, lambda: 7, lambda: [good], lambda: {"picture": good},
    ][rng.integers(14)]()  # fmt: skip


def send(server: Server, drawn) -> int:
    """The status of the answer, whatever it is."""
    try:
        page = server.answer(drawn)
        assert "Traceback" not in page and 'class="answer"' in page
        return 200
    except urllib.error.HTTPError as error:
        return error.code
    except (BrokenPipeError, ConnectionResetError, urllib.error.URLError):
        return 413  # it answered and closed before all was sent


def test_200_random_inputs_leave_it_answering_and_its_memory_where_it_was(server):
    rng = np.random.default_rng(1)
    for _ in range(60):
        send(server, random_input(rng))
    before = server.memory()
    statuses = {send(server, random_input(rng)) for _ in range(200)}
    assert statuses == {200, 413}
    assert "<b>1</b>" in server.answer(pad_with_a_one())
    assert server.memory() <= 1.1 * before


# ---- the command --------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_only_there(server):
    assert server.url in server.greeting
    connections = psutil.Process(server.process.pid).net_connections()
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_what_cannot_work_is_one_sentence(server, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_LIB_RESULTS", str(PROJECT / "results"))
    assert main(["demo", "--recipe", "06-one-cycl"]) == 2
    assert "there is no recipe '06-one-cycl'" in capsys.readouterr().err
    assert main(["demo", "--seed", "999"]) == 1
    assert "no checkpoint of '06-one-cycle' with seed 999" in capsys.readouterr().err
    assert main(["demo", "--port", server.url.split(":")[-1]]) == 1
    said = capsys.readouterr().err
    assert "the port is taken" in said and len(said.splitlines()) == 1


def test_without_gradio_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "mnist_lib.commands.pad", raising=False)
    assert main(["demo"]) == 1
    assert "pip install -e '.[demo]'" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="there is no Ctrl-C to send to a process on Windows")
def test_ctrl_c_ends_it():
    server = Server()
    assert "Draw a digit" in server.greeting
    server.process.send_signal(2)
    assert server.process.wait(PATIENCE) == 0
    server.stop()
