"""Every table of the GPT-2 token generation article.

Random weights give no end of sequence, so it is switched off: the stop check is made and read as
ever, and all steps are executed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...decode.workload import Workload
from ..cells import Cell, product
from ..plan import Preset, Section

BATCH = 32
LENGTHS = (100, 200, 400)
SWEEP = (1, 4, 16, 32, 64, 128)
SWEEP_LENGTH = 100

SETUPS = ("baseline", "kv-cache", "kv-cache-expandable", "static-cache", "compiled")
PIPELINED = tuple(f"{setup}+pingpong" for setup in SETUPS)
CEILINGS = ("baseline+never", "no-stop-check", "static-cache+never", "compiled+never")


def make(base: Workload) -> tuple[tuple[Cell, ...], tuple[Section, ...]]:
    """Cells and sections; the base decides model, device, dtype and prompt."""
    if base.eos_id is None and base.force_eos_at is None:
        base = dataclasses.replace(base, eos_id=-1)

    def cells(
        strategies: Sequence[str], batches: Sequence[int], lengths: Sequence[int]
    ) -> tuple[Cell, ...]:
        return product(strategies, batches, lengths, base)

    synchronous = cells(SETUPS, (BATCH,), LENGTHS)
    pipelined = cells(PIPELINED, (BATCH,), LENGTHS)
    sweep = cells(("kv-cache", "pipelined", "no-stop-check"), SWEEP, (SWEEP_LENGTH,))
    plain = cells(("baseline", "kv-cache", "static-cache", "compiled"), (BATCH,), (SWEEP_LENGTH,))
    piped = cells(
        ("baseline+pingpong", "pipelined", "pipelined-static", "pipelined-compiled"),
        (BATCH,),
        (SWEEP_LENGTH,),
    )
    ceilings = cells(CEILINGS, (BATCH,), (SWEEP_LENGTH,))
    everything = {c.key: c for c in (*synchronous, *pipelined, *sweep, *ceilings)}
    ranked = [
        key
        for key, c in everything.items()
        if (c.workload.batch_size, c.workload.max_new_tokens) == (BATCH, SWEEP_LENGTH)
    ]
    overhead = [c for group in zip(plain, piped, ceilings, strict=True) for c in group]
    return tuple(everything.values()), (
        Section("Synchronous stop check", "tables", _keys(synchronous)),
        Section("Pipelined (two streams, safe)", "tables", _keys(pipelined)),
        Section("Batch sweep", "sweep", _keys(sweep), against="kv-cache"),
        Section("Cost of the stop check", "overhead", _keys(overhead), against="never"),
        Section("Ranking", "ranking", tuple(ranked), against="baseline"),
    )


def _keys(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell.key for cell in cells)


PRESET = Preset(
    "article",
    f"every table of the GPT-2 token generation article: five setups at batch {BATCH} and "
    f"{', '.join(map(str, LENGTHS))} tokens, each pipelined as well, a batch sweep, the cost of "
    "the stop check, the ranking",
    make,
)
