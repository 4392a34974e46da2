"""The page on which digits are drawn: gradio's blocks, for a browser or inline in a notebook."""

import base64
import binascii
import os
from io import BytesIO
from pathlib import Path
from signal import SIGINT, signal
from threading import Event

import numpy as np
from PIL import Image

from mnist_lib.commands.answer_html import WELCOME, as_html, maps_as_html, message
from mnist_lib.experiments.guesses import Guesser
from mnist_lib.experiments.ink import LARGEST_SIDE, NotADigit
from mnist_lib.recipes import Recipe

# gradio counts its users unless it is told otherwise before its import
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
import gradio as gr  # noqa: E402

HERE = Path(__file__).parent
PREFIX = "data:image/png;base64,"
LARGEST_BODY = 8_000_000  # bytes of a request; the pad sends some thousands, a photo less than 1 MB
INLINE_HEIGHT = 980  # pixels below a notebook's cell, where nothing is cut off
SYSTEM_FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}


def drawing_page(recipe: Recipe, seed: int) -> gr.Blocks:
    """The pad and its answers; raises as `Guesser` does where there is no checkpoint."""
    guesser = Guesser(recipe, seed)

    def answer(drawn: str) -> tuple[str, str]:
        try:
            found = guesser(decoded(drawn))
        except ValueError as error:  # NotADigit is one
            return message(str(error)), ""
        return as_html(found, guesser), maps_as_html(found)

    with gr.Blocks(title="Draw a digit", analytics_enabled=False) as blocks:
        name = f"{recipe.name}, seed {seed}, {guesser.parameters[recipe.name]:,} parameters"
        gr.HTML(f"<h1>Draw a digit</h1><p>It is read by {name}.</p>")
        with gr.Row():
            with gr.Column(min_width=320):
                pad = gr.HTML(
                    "",
                    html_template=text("pad.html"),
                    css_template=text("pad.css"),
                    js_on_load=text("pad.js"),
                )
            with gr.Column(min_width=320):
                shown = gr.HTML(message(WELCOME), css_template=text("answer.css"))
        with gr.Accordion("Look inside: the maps after the first layers", open=False):
            maps = gr.HTML("", css_template=text("answer.css"))
        # without the queue an answer comes in one request; always_last never answers old strokes
        pad.input(
            answer, pad, [shown, maps], api_name="answer",
            queue=False, show_progress="hidden", trigger_mode="always_last",
        )  # fmt: skip
    return blocks


def launch(blocks: gr.Blocks, **options) -> None:
    """Serve the page with system fonts, bounded requests, and nothing that leaves the machine.

    options  of gradio's `launch`, such as server_port; inline in a notebook none is needed
    raises   OSError if the port is taken
    """
    # in Colab gradio would lend the page an address that everybody can reach
    options = {"share": False, "height": INLINE_HEIGHT, **options}
    blocks.launch(
        theme=gr.themes.Default(**SYSTEM_FONTS), footer_links=[], run_history=False,
        max_file_size=LARGEST_BODY, app_kwargs={"middleware": [(BoundedBody, (), {})]},
        **options,
    )  # fmt: skip


def serve(blocks: gr.Blocks, host: str, port: int) -> None:
    """Serve the page to browsers until Ctrl-C; raises OSError if it cannot listen there."""
    try:
        where = {"server_name": host, "server_port": port}
        launch(blocks, quiet=True, prevent_thread_lock=True, inbrowser=False, **where)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port}: the port is taken, or the address is not of this "
            "machine; --port and --host take others"
        ) from error
    ended = Event()  # an exception could be lost in somebody's callback, an event cannot
    signal(SIGINT, lambda *_: ended.set())
    print(f"Draw a digit on {blocks.local_url} (Ctrl-C ends it)", flush=True)
    while not ended.wait(timeout=1):  # without a timeout Windows would not hear Ctrl-C
        pass
    blocks.close(verbose=False)


def text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def decoded(drawn: str) -> np.ndarray:
    """The picture of a PNG in a data URL, as the pad sends it: uint8 (h, w, 4).

    raises ValueError for anything else, NotADigit for one that is too large to be opened
    """
    if not isinstance(drawn, str) or not drawn.startswith(PREFIX):
        raise ValueError("This picture cannot be opened here: try a JPEG or PNG.")
    try:
        content = base64.b64decode(drawn.removeprefix(PREFIX), validate=True)
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            if max(image.size) > LARGEST_SIDE:
                raise NotADigit(f"The picture is too large: {image.width:,} x {image.height:,}.")
            return np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError("This picture is broken: it is no PNG.") from error


class BoundedBody:
    """ASGI middleware that refuses a request of more than LARGEST_BODY bytes before it is read."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"0")
            chunked = b"transfer-encoding" in headers
            if chunked or not length.isdigit() or int(length) > LARGEST_BODY:
                await send({"type": "http.response.start", "status": 413, "headers": []})
                await send({"type": "http.response.body", "body": b"too large"})
                return
        await self.app(scope, receive, send)
