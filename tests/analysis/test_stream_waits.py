"""Which operations a wait for another device held back, against the definition word by word."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.idle.waits import behind_waits
from harness.analysis.readers.open import open_trace

from .build import builder

EVENTS = st.lists(
    st.tuples(st.sampled_from(["launch", "wait", "other"]), st.integers(1, 4)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(events=EVENTS, devices=st.sampled_from([1, 2]), ipc=st.booleans())
def test_held_is_what_follows_a_wait_that_may_reach_outside(
    tmp_path_factory, events: list[tuple[str, int]], devices: int, ipc: bool
) -> None:
    path: Path = tmp_path_factory.mktemp("waits") / "t.sqlite"
    trace, thread = builder()
    process = trace.process(100)
    waiting: set[int] = set()
    held = [False]  # one device and no event of another process: nothing to wait for outside
    call = trace.api(0, 10, "cudaLaunchKernel", thread=thread)
    trace.kernel(20, 30, name="k", correlation=call, process=process, device=devices - 1, stream=99)
    if ipc:
        trace.api(12, 14, "cudaIpcOpenEventHandle_v4010", thread=thread)
    for k, (what, stream) in enumerate(events):
        at = (k + 1) * 100
        name = {"launch": "cudaLaunchKernel", "wait": "cudaStreamWaitEvent"}.get(what, "cudaX")
        correlation = trace.api(at, at + 10, name, thread=thread)
        if what == "launch":
            trace.kernel(
                at + 50, at + 60, name="k", correlation=correlation, process=process, stream=stream
            )
            held.append(stream in waiting and (devices > 1 or ipc))
            waiting.discard(stream)
            continue
        trace.synchronization(
            at + 2, at + 5, correlation=correlation, process=process, sync_type=2, stream=stream
        )
        if what == "wait":
            waiting.add(stream)
    trace.write(path)
    read = open_trace(path)
    operations = read.operations.launch.argsort()
    assert behind_waits(read)[operations].tolist() == held
