"""What our recorders note of the host beside the user's own ranges, and what it is called.

Each is an NVTX range on the thread that it happened on, in the domain `DOMAIN`. The recorders take
the names from here; the analysis tells by them what a stretch of the host was spent on. These
ranges are never steps. A file without them was recorded by somebody else, or nothing happened.
"""

from __future__ import annotations

DOMAIN = "harness evidence"

GARBAGE_COLLECTION = "garbage-collection"
COMPILATION = "compilation"
INPUT_PIPELINE = "input-pipeline"

COLLECTION = "Python GC (generation {})"
"""A run of Python's garbage collector; the generation is 0, 1 or 2."""
COMPILE = "torch.compile ({})"
"""Dynamo, AOTAutograd or Inductor at work, outermost; of a function, or of a phase of its own."""
TRITON = "Triton compile ({})"
"""A Triton kernel compiled outside of torch.compile."""
NEXT_FROM_WORKERS = "DataLoader.__next__ (worker processes)"
NEXT_HERE = "DataLoader.__next__ (this process)"
WORKERS_START = "DataLoader start (worker processes)"
"""A DataLoader with workers begins an epoch: it starts them."""

NAMES = {
    "collection": COLLECTION,
    "compile": COMPILE,
    "triton": TRITON,
    "next_from_workers": NEXT_FROM_WORKERS,
    "next_here": NEXT_HERE,
    "workers_start": WORKERS_START,
}
"""For the recorder in the target's process, which imports nothing of ours."""

_KINDS = {
    COLLECTION: GARBAGE_COLLECTION,
    COMPILE: COMPILATION,
    TRITON: COMPILATION,
    NEXT_FROM_WORKERS: INPUT_PIPELINE,
    NEXT_HERE: INPUT_PIPELINE,
    WORKERS_START: INPUT_PIPELINE,
}
_BEGINNINGS = {name.partition("{")[0]: kind for name, kind in _KINDS.items()}

CPU_MARKS = {"begin": "CPU time at the range's begin", "end": "CPU time at the range's end"}
"""Marks with the thread's CPU clock, where nsys records: the first and the last in a range."""

CPU_TABLE = "HARNESS_RANGE_CPU"
"""One row a range, evidence or the user's own, that one thread opened and closed, and that stands
in at most one other of its domain.

`start`, `end` and `globalTid` are those of its row in NVTX_EVENTS; `cpuStart` and `cpuEnd` what the
thread's own clock (CLOCK_THREAD_CPUTIME_ID) read there, ns since the thread began. Their difference
is what the thread ran in the range, the rest of it the thread was blocked or had to wait for a
core. The clock is read just outside of the range: up to 1 us more than its length is possible.
"""


def kind_of(name: str) -> str | None:
    """What a range of this name is evidence of; None for a range of the user's own."""
    return next((kind for text, kind in _BEGINNINGS.items() if name.startswith(text)), None)


def is_evidence(name: str) -> bool:
    """Whether a range of this name is one of ours, and so never a step."""
    return kind_of(name) is not None
