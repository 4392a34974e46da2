"""How long a stroke takes to become bars in the browser, and how drawn test digits score.

Run on a machine that does nothing else: python benchmarks/drawing.py
"""

import argparse
import shutil
import subprocess
import sys

import numpy as np
import torch
from measure import spread
from playwright.sync_api import Page, sync_playwright

from mnist_lib.data import load_mnist
from mnist_lib.engine.environment import PROJECT
from mnist_lib.experiments.drawing import to_digit
from mnist_lib.experiments.guesses import as_batch
from mnist_lib.experiments.ink import NotADigit
from mnist_lib.journey import ONE_CYCLE
from mnist_lib.records import load_checkpoint, records_of

sys.path.append(str(PROJECT / "tests"))
from test_drawing import blown_up  # noqa: E402

PORT = 7861
REFUSED = -1
# the time from the end of a stroke to the frame that shows its bars
STOPWATCH = """() => {
  const canvas = document.querySelector("canvas"), shown = document.querySelector(".answer");
  window.milliseconds = [];
  let start = null;
  canvas.addEventListener("pointerup", () => { start = performance.now(); }, { capture: true });
  new MutationObserver(() => requestAnimationFrame(() => {
    if (start !== null) window.milliseconds.push(performance.now() - start);
    start = null;
  })).observe(shown.parentElement.parentElement, { subtree: true, childList: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strokes", type=int, default=50, metavar="N", help="default 50")
    parser.add_argument(
        "--digits", type=int, default=10_000, metavar="N", help="drawn ones; 0: none"
    )
    options = parser.parse_args()
    print(f"stroke to bars, ms: {spread(milliseconds(options.strokes))}", flush=True)
    if options.digits:
        scores(options.digits)


def milliseconds(strokes: int) -> list[float]:
    """Of so many strokes of the mouse, by the browser's clock; the first three do not count."""
    command = [sys.executable, "-m", "mnist_lib", "demo", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    server.stdout.readline()  # it says where it listens
    try:
        with sync_playwright() as driver:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{PORT}")
            page.locator("canvas").wait_for()
            page.evaluate(STOPWATCH)
            for number in range(strokes + 3):
                draw(page, number)
            found = page.evaluate("window.milliseconds")[3:]
            browser.close()
            return found
    finally:
        server.terminate()
        server.wait()


def draw(page: Page, number: int) -> None:
    """One stroke on a clear pad."""
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("The pad is empty").wait_for()
    box = page.locator("canvas").bounding_box()
    left, top = box["x"] + box["width"] * 0.45, box["y"] + 100
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 3 * (number % 20), top + 250, steps=10)
    page.mouse.up()
    page.wait_for_function(f"window.milliseconds.length > {number}")


def scores(count: int) -> None:
    """Test accuracy of every checkpoint on drawn digits against that on the digits themselves."""
    digits, rng = load_mnist().first(count), np.random.default_rng(1)
    originals, labels = digits.test_images[:, 0].numpy(), digits.test_labels
    images, refused = [], {}
    for digit in originals:
        try:
            images.append(to_digit(blown_up(digit, rng)))
        except NotADigit as error:  # counts as an error
            refused[str(error)] = refused.get(str(error), 0) + 1
            images.append(np.zeros_like(digit))
    print(f"refused of {count:,}: {refused}")
    for record in records_of(ONE_CYCLE):
        network = load_checkpoint(ONE_CYCLE, record["seed"])
        as_they_are, drawn = (
            100 * float((guesses(network, part) == labels).sum()) / count
            for part in (originals, np.stack(images))
        )
        print(f"seed {record['seed']}: {as_they_are:.2f} % as they are, {drawn:.2f} % drawn")


@torch.no_grad()
def guesses(network: torch.nn.Module, images: np.ndarray) -> torch.Tensor:
    """The guessed digit of each image, int64 (n,); REFUSED for what is blank."""
    found = torch.cat([network(as_batch(part)).argmax(1) for part in np.array_split(images, 20)])
    return torch.where(torch.from_numpy(images.any((1, 2))), found, REFUSED)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
