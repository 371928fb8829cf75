"""Which rank a process is, as its launcher told it and as files are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
"""Launchers tell a process its place; the first that is set counts. (rank, number of ranks)"""

_NUMBER = re.compile(r"[0-9]{1,9}")
_NAMED = re.compile(r"(?i)(?<![a-z0-9])r(?:ank)?[-_]?(\d{1,6})(?![a-z0-9])")
_NUMBERED = re.compile(r"\.(\d{1,6})(?=\.)")
"""`rank3`, `rank_3`, `r3`; or a number between two dots, `trace.3.sqlite`."""


def rank_variable(env: Mapping[str, str]) -> tuple[str, int] | None:
    """(variable, rank) of a process among several; None where it is alone or nobody says."""
    for name, size in RANK_VARIABLES:
        if _NUMBER.fullmatch(env.get(name, "")) and _NUMBER.fullmatch(env.get(size, "1")):
            return (name, int(env[name])) if int(env.get(size, "1")) > 1 else None
    return None


def rank_in_path(path: str) -> tuple[int | None, str]:
    """(rank, the path with a star for it), of the last part of the path that names one.

    >>> rank_in_path("run7/rank3.sqlite"), rank_in_path("rank3/run7.sqlite")
    ((3, 'run7/rank*.sqlite'), (3, 'rank*/run7.sqlite'))
    >>> rank_in_path("kv.12.sqlite"), rank_in_path("kv-cache.sqlite")
    ((12, 'kv.*.sqlite'), (None, 'kv-cache.sqlite'))
    """
    parts = list(PurePath(path).parts)
    for k in reversed(range(len(parts))):
        found = [*_NAMED.finditer(parts[k])] or [*_NUMBERED.finditer(parts[k])]
        if found:
            first, last = found[-1].span(1)
            star = parts[k][:first] + "*" + parts[k][last:]
            return int(found[-1][1]), str(PurePath(*parts[:k], star, *parts[k + 1 :]))
    return None, path
