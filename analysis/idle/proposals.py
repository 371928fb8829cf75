"""Which ranges to propose as steps: the user's own, never those of operators and libraries."""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum

import numpy as np

from ..model.arrays import Bool, Code
from ..model.evidence import is_evidence
from ..model.intervals import Int64
from ..model.source import OPERATORS_DOMAIN, TORCH_PROFILER
from ..model.trace import Strings
from ..store.opened import Store
from ..store.whole import Whole
from .attribute import family

Proposed = tuple[tuple[str, int], ...]
"""Families of ranges as `--step` takes them, and how many ranges are theirs."""

LOOKED_AT = 100_000
"""Ranges whose names are counted to propose a step pattern."""
MOST = 3
LONGEST = 4096
"""Characters of a name that are looked at."""
_SHOWN = 60
"""Characters of a proposed pattern."""

_LIBRARY = re.compile(
    r"(aten|autograd|c10d?|torch|torchvision|prim|quantized|inductor|triton|fbgemm|xformers|vllm|_C\w*"
    r"|cub|thrust|cudf|raft|nvjpeg)::|cu(dnn|blas|fft|sparse|solver)[A-Z_]|nccl[A-Z:]|MPI_"
)
"""What operators and libraries call their ranges."""
_RECORDED_OPERATOR = re.compile(r", (op_id|seq) = \d")
"""What `emit_nvtx` adds to the name of an operator."""
_FRAMEWORK = re.compile(
    r"(Optimizer\.|enumerate\(DataLoader\)|DistributedDataParallel|FSDP|FullyShardedDataParallel"
    r"|DataParallel|record_param_comms|## |Torch-Compiled Region|TorchDynamo|CompiledFunction"
    r"|PyTorch Profiler|ProfilerStep$)"
)
"""What PyTorch itself marks in every program: proposed after the user's own."""


class Whose(Enum):
    """Who marked a range."""

    USER = "user"
    FRAMEWORK = "framework"
    """PyTorch, in every program."""
    LIBRARY = "library"
    """A library, an operator, or the recorder itself."""


def whose(name: str) -> Whose:
    """Who marks ranges of this name."""
    if is_evidence(name) or of_library(name):
        return Whose.LIBRARY
    return Whose.FRAMEWORK if _FRAMEWORK.match(name) else Whose.USER


def proposed_ranges(
    tables: Whole | Store, threads: Bool | None = None, most: int = MOST
) -> Proposed:
    """The commonest families among the first ranges of a trace, of some of its threads if given
    (shape (threads,))."""
    ranges, first = tables.ranges, slice(0, LOOKED_AT)
    names = ranges.one(first, "name")
    if tables.source.producer == TORCH_PROFILER:
        mine = ranges.one(first, "domain") != OPERATORS_DOMAIN
    else:
        mine = np.ones(len(names), np.bool_)
    if threads is not None:
        owner: Code = ranges.one(first, "thread")
        mine &= (owner >= 0) & threads[owner]
    return common_ranges(names[mine], tables.strings, most)


def common_ranges(names: Int64, strings: Strings, most: int = MOST) -> Proposed:
    """The commonest families of these names (string ids), and their number."""
    ids, first, count = np.unique(names, return_index=True, return_counts=True)
    order = np.argsort(first)  # of equally common ones the first goes first
    own: Counter[str] = Counter()
    frameworks: Counter[str] = Counter()
    for string_id, number in zip(ids[order].tolist(), count[order].tolist(), strict=True):
        name = strings[string_id]
        owner = whose(name)
        if owner is not Whose.LIBRARY:
            (frameworks if owner is Whose.FRAMEWORK else own)[_wildcard(name)] += number
    return (*own.most_common(most), *frameworks.most_common(most))[:most]


def of_library(name: str) -> bool:
    """Whether an operator or a library called a range so, not the user or PyTorch's own loop."""
    recorded = " = " in name and _RECORDED_OPERATOR.search(name[:LONGEST])
    return bool(recorded or _LIBRARY.match(name))


def glob_of(name: str) -> str:
    """What `--step` takes for this name and its family."""
    return family(name).replace("[", "[[]")  # else it would begin a set of characters


def _wildcard(name: str) -> str:
    """The same; a long name is cut at a star."""
    text = family(name)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip("*") + "*"
    return text.replace("[", "[[]")
