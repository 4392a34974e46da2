"""The page on which digits are drawn, made of gradio's own parts."""

import os

import numpy as np

from mnist_lib.experiments.reading import SURE, Answer, Guesser
from mnist_lib.recipes import Recipe

# gradio counts its users unless it is told otherwise before its import
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
import gradio as gr  # noqa: E402

SIDE = 300  # pixels of the paper
# with paper under it the brush is at hand; an empty pad waits until somebody picks the brush
PAPER = {"background": np.full((SIDE, SIDE, 3), 255, np.uint8), "layers": [], "composite": None}
WELCOME = "### Draw a digit from 0 to 9"


def page(recipe: Recipe, seed: int) -> gr.Blocks:
    """The pad, a place for photos, and the answer, which comes after each stroke.

    Args:
        recipe: of the network that reads.
        seed: of its run.

    Raises:
        FileNotFoundError: where this seed has no checkpoint of the recipe.
    """
    guesser = Guesser(recipe, seed)

    def read(picture) -> tuple:
        """What is shown for a picture: a sentence, probabilities, what the network sees, others."""
        drawn = picture.get("composite") if isinstance(picture, dict) else picture
        if drawn is None:
            return WELCOME, None, None, ""
        try:
            answer = guesser(drawn)
        except ValueError as error:
            return f"### {error}", None, None, ""
        probabilities = dict(zip("0123456789", answer.probabilities[recipe.name], strict=True))
        seen = np.kron(answer.image, np.ones((8, 8), np.uint8))  # a browser would blur 28 pixels
        label = probabilities if answer.is_sure else None
        return sentence(answer, recipe.name), label, seen, others(answer, guesser)

    with gr.Blocks(
        title="Draw a digit", analytics_enabled=False, delete_cache=(600, 600)
    ) as blocks:
        about = f"{recipe.name}, seed {seed}, {guesser.parameters[recipe.name]:,} parameters"
        gr.Markdown(f"# Draw a digit\nIt is read by {about}.")
        with gr.Row():
            with gr.Column(min_width=300):
                with gr.Tab("Draw"):
                    pad = gr.Sketchpad(
                        PAPER, show_label=False, height=SIDE + 100, canvas_size=(SIDE, SIDE),
                        brush=gr.Brush(SIDE // 28, ["#000000"], color_mode="fixed"),
                        transforms=(), layers=False, buttons=[], format="png",
                    )  # fmt: skip
                with gr.Tab("Photo"):
                    photo = gr.Image(
                        show_label=False, image_mode="RGBA", sources=["upload", "clipboard"]
                    )
            with gr.Column(min_width=300):
                word = gr.Markdown(WELCOME)
                label = gr.Label(label="Probability", num_top_classes=3)
                seen = gr.Image(label="What the network sees", height=224, width=224, buttons=[])
                rest = gr.Markdown()
        shown = [word, label, seen, rest]
        # without the queue an answer comes in one request; always_last never answers old strokes
        how = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}
        pad.input(read, pad, shown, api_name="read", **how)
        pad.clear(lambda: PAPER, None, pad, api_name=False, **how)
        photo.change(read, photo, shown, api_name=False, **how)
    return blocks


def sentence(answer: Answer, name: str) -> str:
    """The answer in large, or why there is none."""
    digit, most = answer.digits[name], max(answer.probabilities[name])
    probability = "more than 99 %" if most > 0.99 else f"{100 * most:.0f} %"
    if answer.is_sure:
        return f"### This is a {digit}, with a probability of {probability}."
    if most < SURE:
        return f"### Not sure. Most likely a {digit} ({probability}), if it is a digit."
    return f"### The networks disagree. This one reads a {digit} ({probability})."


def others(answer: Answer, guesser: Guesser) -> str:
    """What the other networks read."""
    _, *names = answer.digits
    read = (f"{n} ({guesser.parameters[n]:,} parameters) a {answer.digits[n]}" for n in names)
    return f"Other networks read: {'; '.join(read)}."


def launch(blocks: gr.Blocks, **options) -> None:
    """Serve the page, and send nothing anywhere else.

    Args:
        blocks: the page.
        options: of gradio's ``launch``, such as server_port.
    """
    # in Colab gradio would lend the page an address that everybody can reach
    blocks.launch(
        share=False, quiet=True, footer_links=[], max_file_size="8mb", height=900, **options
    )
