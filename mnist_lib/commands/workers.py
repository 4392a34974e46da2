"""Workers: processes of this machine or of a Dask cluster, and what becomes of their results."""

from collections.abc import Callable
from concurrent.futures import CancelledError

import dask.config
from distributed import Client, as_completed

LOCAL = {
    "threads_per_worker": 1,
    "memory_limit": 0,
    "dashboard_address": None,
    # without a dashboard Dask listens at port 8787 all the same, and warns where that is taken
    "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
    "silence_logs": 50,
}


def connect(scheduler: str | None, workers: int) -> Client:
    """A client of the scheduler at this address, or of so many processes that end with it."""
    settings = {
        "scheduler.worker-saturation": 1.0,  # a worker that dies has one run and not two
        "deploy.lost-worker-timeout": "1 day",  # a busy machine needs long for a new worker
        "nanny.pre-spawn-environ": {},  # Dask's own makes PyTorch give memory back all the time
    }
    dask.config.set({f"distributed.{name}": value for name, value in settings.items()})
    if scheduler is None:
        return Client(n_workers=workers, **LOCAL)
    try:
        return Client(scheduler, timeout=5)
    except Exception as error:  # whatever else may listen there
        raise ConnectionError(f"no Dask scheduler answers at {scheduler}: {error}") from None


def finish(client: Client, futures: dict, use: Callable) -> list[str]:
    """Use each result as it comes and print a line about it; says what failed, and why.

    Args:
        client: of the scheduler.
        futures: each with its name.
        use: takes a result; what it returns is printed.

    Raises:
        ConnectionError: if the scheduler is gone before the end.
    """
    failed = []
    for number, future in enumerate(as_completed(futures, client.loop), start=1):
        try:
            words = use(future.result())
        except CancelledError:
            reason = "the scheduler is gone; the same command goes on where this one stopped"
            raise ConnectionError(reason) from None
        except Exception as error:  # whatever a training or a notebook may raise
            words = f"failed, {type(error).__name__}: {' '.join(str(error).split())}"
            failed.append(f"{futures[future]}: {words}")
        print(f"[{number}/{len(futures)}] {futures[future]}: {words}", flush=True)
        future.release()  # so that the worker forgets its result
    return failed
