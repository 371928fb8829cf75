"""What is asked of traces, and with what means it is answered: what commands hand to the engine."""

from __future__ import annotations

from msgspec import Struct

from .analysis.question import Question

__all__ = ["Means", "Question"]


class Means(Struct, frozen=True):
    """With what a question is answered. The figures do not depend on it."""

    nsys: str | None = None
    """The nsys that exports .nsys-rep reports; None for the one on PATH."""
    memory: int | None = None
    """Bytes that the analysis may take, all processes together; None for a share of what is free.
    """
    cached: bool = True
    """Look in the cache, and keep there what was found."""
    rows: bool = False
    """Reports hold the rows of their traces, for drawings and exports, not figures alone."""
    jobs: int | None = None
    """Processes that share the traces; None: one a core, if there is enough to do."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers analyse the traces."""
    room: str | None = None
    """A folder for exports that are not cached, on the machine that asked."""
    beside: int = 1
    """Processes at work at once, which share the memory."""
    alone: bool = True
    """There is one trace only: what nobody foresaw is raised, as everywhere else."""
