"""Dask's workers: processes of this machine, or those of a scheduler elsewhere."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dask.config
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

SETTINGS = {
    "distributed.worker.preload": ["mnist_lib.commands.training"],
    "distributed.worker.profile.enabled": False,
    # a worker that looks at itself fifty times a second takes Python's lock from its training
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    # a thread's own heap gives memory back, and a training asks for it anew in every step
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
    "distributed.scheduler.worker-saturation": 1.0,  # what waits, waits for all workers
    "distributed.deploy.lost-worker-timeout": "1 day",  # a busy machine needs long for a new one
    "distributed.admin.large-graph-warning-threshold": "1 GiB",  # the archives of MNIST are large
}


@contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A client of the scheduler at this address, or of so many processes that end with it.

    workers  None: one for each core
    raises   OSError if no scheduler answers
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        stack.enter_context(quiet())
        cluster = scheduler or stack.enter_context(
            LocalCluster(
                n_workers=workers or CPU_COUNT,
                threads_per_worker=1,  # of Dask's: one training at a time
                memory_limit=0,  # no process is killed for what a training takes
                silence_logs=logging.CRITICAL,
            )
        )
        try:
            client = Client(cluster, name="mnist_lib", set_as_default=False)
        except OSError as error:
            place = scheduler or cluster.scheduler_address
            raise ConnectionError(f"no scheduler answers at {place}: {error}") from None
        yield stack.enter_context(client)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Dask tells of itself; what matters is said by the command."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Port .* is already in use")  # of the dashboard
            yield
    finally:
        logging.disable(logging.NOTSET)
