"""Traces analysed by a Dask cluster: scheduling, lost workers and retries are Dask's own.

Workers need this package in the same version, and read the files from their own file systems.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from ..analysis.model.errors import PackageMissing
from ..analysis.reports.base import Failure
from ..version import __version__
from .errors import DaskFailed, DaskVersionDiffers, DaskWorkersDied, NoDask, NotOnWorker
from .task import Outcome, Task, analyse, path_of

WAIT_S = 10
"""How long a scheduler may take to answer, and to have a worker."""


def on_cluster(address: str, tasks: Sequence[Task]) -> Generator[tuple[int, Outcome], None, None]:
    """(position, outcome) of every task, as they come.

    A worker that is lost loses nothing: Dask gives what it did to another. A trace that takes
    several workers with it becomes a Failure. Raises HarnessError where there is no scheduler at
    `address`, no worker, or a worker without this version of the package.
    """
    distributed = _distributed()
    with _connected(distributed, address) as client:
        _check_workers(client, address)
        # Paths mean the same to every worker, whatever folder it was started in.
        sent = [
            (os.path.abspath(file), question, replace(means, alone=False))
            for file, question, means in tasks
        ]
        keys = [f"harness-{k}" for k in _keys(len(tasks))]
        futures = client.map(on_worker, sent, pure=False, key=keys)
        place = {future.key: k for k, future in enumerate(futures)}
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                position = place[future.key]
                yield position, _outcome(future, path_of(tasks[position]), distributed)
                future.release()  # what was fetched need not be kept on a worker
        finally:
            # Left early, by ^C for example: what nobody waits for is not begun.
            with contextlib.suppress(Exception):
                client.cancel([f for f in futures if not f.done()], force=True)


def _keys(count: int) -> list[str]:
    """A name of its own for each task, so that another run's results are not taken for ours."""
    mark = os.urandom(6).hex()
    return [f"{mark}-{k}" for k in range(count)]


def on_worker(task: Task) -> Outcome:
    """`analyse`, on a worker: a file that is not there is missing from the worker's file system."""
    import socket

    outcome, file, path = analyse(task), task[0], path_of(task)
    if isinstance(outcome, Failure) and not os.path.exists(file):
        error = NotOnWorker(
            f"{path} is not on worker {socket.gethostname()}: {file} does not exist there"
        )
        return Failure.of(path, error)
    if isinstance(outcome, Failure):
        return replace(outcome, error=outcome.error.replace(file, path))
    return outcome


def _outcome(future: Any, path: str, distributed: Any) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except distributed.scheduler.KilledWorker as error:
        said = DaskWorkersDied(
            f"{path}: {_times(error)} Dask workers died one after another while they analysed it"
        )
        return Failure.of(path, said)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        failed = DaskFailed(f"{path}: Dask gave no result: {type(error).__name__}: {first}")
        return Failure.of(path, failed)


def _times(error: Any) -> str:
    count = getattr(error, "allowed_failures", None)
    return str(count + 1) if isinstance(count, int) else "several"


def _distributed() -> Any:
    try:
        import distributed
        import distributed.scheduler
    except ImportError as error:
        raise PackageMissing(
            "--dask needs the distributed package, which is not installed",
            remedy="pip install 'nsys-harness[dask]'",
        ) from error
    return distributed


@contextlib.contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Any]:
    # Dask logs what it copes with; what it does not cope with becomes our one line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoDask(
            f"no Dask scheduler answers at {address} ({first[:120]})",
            remedy="start one with `dask scheduler` and give the address that it names",
        ) from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _check_workers(client: Any, address: str) -> None:
    """Raises HarnessError unless there is a worker and every one has this very version."""
    try:
        client.wait_for_workers(1, timeout=WAIT_S)
    except Exception as error:
        raise NoDask(
            f"the Dask scheduler at {address} has no worker",
            remedy=f"start some with `dask worker {address}`",
        ) from error

    # Nested, it travels by value: workers without the package can say so.
    def version() -> str | None:
        try:
            import harness

            return harness.__version__
        except ImportError:
            return None

    for worker, there in client.run(version, on_error="return").items():
        if there != __version__:
            found = f"nsys-harness {there}" if isinstance(there, str) else "no nsys-harness"
            if isinstance(there, Exception):
                found = f"a Python that cannot run it ({type(there).__name__}: {there})"
            raise DaskVersionDiffers(f"Dask worker {worker} has {found}, this is {__version__}")
