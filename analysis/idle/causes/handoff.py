"""Another thread launched the work before the gap, and this one had not begun."""

from __future__ import annotations

import numpy as np

from ...model.arrays import Bool
from .base import Cause, GapContext, Phase


def _claims(context: GapContext) -> Bool:
    calls = context.trace.calls
    claimed = np.zeros(len(context.launch), np.bool_)
    rows = np.flatnonzero(context.launch_before >= 0)
    launch, earlier = context.launch[rows], context.launch_before[rows]
    changed = calls.thread[launch] != calls.thread[earlier]
    rows, launch, earlier = rows[changed], launch[changed], earlier[changed]
    # Calls are sorted by (thread, start): the row above the launch is its thread's previous call.
    previous = np.maximum(launch - 1, 0)
    quiet = (
        (launch == 0)
        | (calls.thread[previous] != calls.thread[launch])
        | (calls.start[previous] < calls.start[earlier])
    )
    claimed[rows[quiet]] = True
    return claimed


CAUSE = Cause(
    name="handoff",
    phase=Phase.BEFORE,
    priority=50,
    meaning="another thread launched the work before the gap; this one had made no CUDA call since",
    remedy="launch from one thread, or hand over earlier than the queue runs dry",
    claims=_claims,
)
