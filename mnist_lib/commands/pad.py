"""The drawing pad in the browser."""

import argparse

from mnist_lib.engine.machine import use_threads
from mnist_lib.experiments import find
from mnist_lib.experiments.pad import launch, page


def demo(options: argparse.Namespace) -> int:
    """Serve the page on which digits are drawn, until Ctrl-C.

    Args:
        options: recipe (its name), seed, host, port.

    Returns:
        0.

    Raises:
        ValueError: for a name that means no recipe.
        OSError: without a checkpoint, or if it cannot listen there.
    """
    blocks = page(find(options.recipe), options.seed)
    where = {"server_name": options.host, "server_port": options.port}
    try:
        launch(blocks, prevent_thread_lock=True, **where)
    except OSError as error:
        reason = "the port is taken, or the address is not of this machine"
        raise OSError(f"cannot listen on {options.host}:{options.port}: {reason}") from error
    print(f"Draw a digit on {blocks.local_url} (Ctrl-C ends it)", flush=True)
    with use_threads(1):  # one digit is too little for more
        blocks.block_thread()
    return 0
