"""Laws that every GPU keeps: each broken alone, and kept by what only looks like it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.sizes import Sizes
from harness.analysis.model.verdict import Verdict
from harness.analysis.question import DEFAULT_STEP, Question
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.writer.writer import CopyKind, TraceBuilder

from .build import US, builder

LAWS = (
    "graph-nodes-missing", "stream-overlap", "operations-before-launch", "clock-ahead",
    "calls-missing", "operations-missing", "wrong-device", "launches-without-gpu-rows",
    "clock-skew",
)  # fmt: skip


def broken(trace: TraceBuilder, folder: Path) -> dict[str, Verdict]:
    """The laws that a trace breaks, seen in memory and part by part alike."""
    path = folder / "trace.sqlite"
    trace.write(path, force=True)
    # By name: a small trace without steps is otherwise read whole, to look for repeats.
    question = Question(patterns=(DEFAULT_STEP,))
    whole = analyze(path, question)
    place = folder / "store"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    build_store(path, place, 64 << 20, lambda *_: None)
    for rows in (7, 100):
        parts = analyze(Store(place, path), question, Sizes(rows, rows))
        assert parts.verdicts == whole.verdicts
        (place / "facts.bin").unlink()
    return {v.code: v for v in whole.verdicts if v.code in LAWS}


def graphs(
    lose: set[tuple[int, int]],
    launches: int = 20,
    nodes: int = 20,
    *,
    body: bool = False,
    update: str = "",
) -> TraceBuilder:
    """Launches of one graph without the (launch, node) to lose, each in a step."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    for k in range(launches):
        at = k * 1000 * US
        trace.nvtx(at, at + 900 * US, f"Step {k}", thread=thread)
        if update:
            trace.api(at + US, at + 2 * US, update, thread=thread)
        call = trace.api(at + 3 * US, at + 9 * US, "cudaGraphLaunch_v10000", thread=thread)
        for n in range(nodes):
            if (k, n) not in lose:
                start = at + (20 + 20 * n) * US
                inner = body and n > 0
                trace.kernel(
                    start, start + 18 * US, name="k", correlation=0 if inner else call,
                    process=process, graph_node=(7 << 32) + n + 1,
                )  # fmt: skip
    return trace


@pytest.mark.parametrize(
    ("lost", "level"), [(0, None), (1, "degraded"), (40, "invalid"), (100, "invalid")]
)
def test_a_node_that_one_launch_lacks(tmp_path: Path, lost: int, level: str | None) -> None:
    inner = [(k, n) for k in range(1, 19) for n in range(20)]
    found = broken(graphs(set(random.Random(1).sample(inner, lost))), tmp_path)
    verdict = found.get("graph-nodes-missing")
    assert (verdict and str(verdict.level)) == level
    if verdict:
        assert verdict.reason.startswith(f"{lost} of 360 graph nodes")


def test_most_nodes_lost_in_most_launches(tmp_path: Path) -> None:
    lose = {(k, n) for k in range(3, 20) for n in range(5, 20)}
    verdict = broken(graphs(lose), tmp_path)["graph-nodes-missing"]
    assert verdict.level == "invalid"
    assert "240 of 360 graph nodes" in verdict.reason


def test_launches_at_the_edges_may_be_cut(tmp_path: Path) -> None:
    lose = {(0, n) for n in range(5)} | {(19, n) for n in range(10, 20)}
    assert broken(graphs(lose), tmp_path) == {}


@pytest.mark.parametrize("launches", [(9,), (1, 3, 6, 8, 11, 13, 16, 18)])
def test_the_time_to_the_next_launch_is_no_pause(tmp_path: Path, launches: tuple[int, ...]) -> None:
    """Nothing waits for the graph: behind it lies nothing until the next launch is called."""
    lose = {(k, n) for k in launches for n in range(10, 20)}
    found = broken(graphs(lose), tmp_path)
    assert found["graph-nodes-missing"].level == "invalid"


def paused(
    lose: range,
    *,
    queued: int = 0,
    pause: int = 9000,
    sees: bool = False,
    cut: tuple[int, ...] = (9,),
) -> TraceBuilder:
    """20 launches of a graph of 20 nodes, each waited for; the recorder pauses in those to `cut`,
    behind them or ahead of them, and nodes to lose ran meanwhile. `sees`: it records the waits all
    the same."""
    trace, thread = builder()
    late = 0
    for k in range(20):
        at = (k * 1000 + late) * US
        called = at - queued * US if k in cut else at
        call = trace.api(called + 3 * US, called + 9 * US, "cudaGraphLaunch_v10000", thread=thread)
        for n in range(20):
            if k not in cut or n not in lose:
                start = at + (20 + 20 * n) * US
                trace.kernel(
                    start, start + 18 * US, name="k", correlation=call,
                    process=thread & ~0xFFFFFF, graph_node=(7 << 32) + n + 1,
                )  # fmt: skip
        if k not in cut or sees:
            trace.api(at + 10 * US, at + 423 * US, "cudaDeviceSynchronize_v3020", thread=thread)
        late += pause if k in cut or (queued and k + 1 in cut) else 0
    return trace


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ({"lose": range(12, 20)}, False),
        ({"lose": range(19, 20)}, False),
        ({"lose": range(12), "queued": 5000}, False),
        # The recorder was at work: it saw the host wait.
        ({"lose": range(12, 20), "sees": True}, True),
        ({"lose": range(19, 20), "sees": True}, True),
        # What a pause cuts off is the end, or the beginning.
        ({"lose": range(5, 9)}, True),
        ({"lose": range(12, 19)}, True),
        ({"lose": range(1, 12), "queued": 5000}, True),
        # It is longer than what lies between any two launches.
        ({"lose": range(12, 20), "pause": 500}, True),
        ({"lose": range(12, 20), "pause": 1500}, False),
        # And it is rare.
        ({"lose": range(12, 20), "cut": (5, 9)}, False),
        ({"lose": range(12, 20), "cut": (5, 9, 13)}, True),
    ],
)
def test_a_pause_cuts_a_launch_in_two(tmp_path: Path, how: dict, wrong: bool) -> None:
    assert ("graph-nodes-missing" in broken(paused(**how), tmp_path)) == wrong


@pytest.mark.parametrize(
    "how",
    [{"body": True}, {"update": "cudaGraphExecUpdate_v10020"}, {"update": "cuGraphNodeSetEnabled"}],
)
def test_graphs_that_may_run_other_nodes_are_not_compared(tmp_path: Path, how: dict) -> None:
    lose = {(k, n) for k in range(5, 9) for n in range(3, 9)}
    assert broken(graphs(lose, **how), tmp_path) == {}


def test_two_graphs_under_one_id_are_not_compared(tmp_path: Path) -> None:
    """An id that is given again after its graph is gone."""
    lose = {(k, n) for k in range(20) for n in range(20) if (n < 10) == (k < 10)}
    assert broken(graphs(lose), tmp_path) == {}


def stream(
    over: int, *, call: str = "cudaLaunchKernel_v7000", kernels: bool = True, other: int = 7
) -> TraceBuilder:
    """60 operations of 10 us at every 20 us; the 30th ends `over` ns late."""
    trace, thread = builder()
    for k in range(60):
        at = k * 20 * US
        end = at + 20 * US + (over if k == 30 else 0)
        place = {"thread": thread, "stream": other if k == 30 else 7}
        if kernels:
            trace.launch(at, at + 2 * US, at + 10 * US, end, api_name=call, **place)
        else:
            trace.copy(
                at, at + 2 * US, at + 10 * US, end, bytes=8, copy_kind=CopyKind.HTOD, **place
            )
    return trace


@pytest.mark.parametrize(
    ("over", "how", "wrong"),
    [
        (0, {}, False),
        (10 * US + 1000, {}, False),  # a microsecond is rounding
        (18 * US, {}, True),
        (200 * US, {}, True),
        (18 * US, {"kernels": False}, True),
        # Programmatic launch: begins before, and ends after, the kernel ahead of it.
        (18 * US, {"call": "cudaLaunchKernelExC_v11060"}, False),
        # It never ends before the kernel ahead of it has.
        (200 * US, {"call": "cudaLaunchKernelExC_v11060"}, True),
        (200 * US, {"other": 8}, False),
    ],
)
def test_operations_of_one_stream_at_once(
    tmp_path: Path, over: int, how: dict, wrong: bool
) -> None:
    found = broken(stream(over, **how), tmp_path)
    assert set(found) == ({"stream-overlap"} if wrong else set())


def test_how_long_a_stream_overlaps(tmp_path: Path) -> None:
    """It ends 200 us late, and the next began 10 us after it should have ended."""
    verdict = broken(stream(200 * US), tmp_path)["stream-overlap"]
    assert verdict.reason.startswith("1 operation still runs when the next on its stream")
    assert "0.190 ms in all (23.8% of the time of all operations)" in verdict.reason  # 600 + 200 us


def test_branches_of_a_graph_under_one_stream(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(12):
        at = k * 100 * US
        call = trace.api(at, at + 5 * US, "cudaGraphLaunch_v10000", thread=thread)
        for n in range(3):
            trace.kernel(
                at + (10 + n) * US, at + 60 * US, name="k", correlation=call,
                process=thread & ~0xFFFFFF, graph_node=(7 << 32) + n + 1,
            )  # fmt: skip
    assert broken(trace, tmp_path) == {}


@pytest.mark.parametrize("other", [8, 7])
def test_branches_of_two_graphs_under_one_stream(tmp_path: Path, other: int) -> None:
    """Two graphs may run at once, and their branches stand under one stream; one graph does not run
    beside itself."""
    trace, thread = builder()
    for k in range(12):
        for graph, stream, later in ((7, 20, 0), (other, 21, 10 * US)):
            at = k * 200 * US + later
            call = trace.api(at, at + 5 * US, "cudaGraphLaunch_v10000", thread=thread)
            for n, place in enumerate((stream, 99)):
                trace.kernel(
                    at + 10 * US, at + 60 * US, name="k", correlation=call, stream=place,
                    process=thread & ~0xFFFFFF, graph_node=(graph << 32) + n + 1,
                )  # fmt: skip
    assert set(broken(trace, tmp_path)) == ({"stream-overlap"} if other == 7 else set())


def waiting(
    ahead: int, *, streams: tuple[int, ...] = (7,), api: str = "cudaStreamSynchronize_v3020"
) -> TraceBuilder:
    """20 launches, each waited for until 4 us after its end, on a GPU clock that is `ahead`."""
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        for place in streams:
            trace.launch(
                at, at + 3, at + 10 * US + ahead, at + 60 * US + ahead, thread=thread, stream=place
            )
        trace.wait(at + 20 * US, at + 64 * US, thread=thread, api_name=api, stream=streams[0])
    return trace


@pytest.mark.parametrize("api", ["cudaStreamSynchronize_v3020", "cudaDeviceSynchronize_v3020"])
@pytest.mark.parametrize(
    ("ahead", "level"), [(0, None), (4 * US, None), (5 * US + 1, "degraded"), (25 * US, "invalid")]
)
def test_waits_return_after_their_work(
    tmp_path: Path, api: str, ahead: int, level: str | None
) -> None:
    verdict = broken(waiting(ahead, api=api), tmp_path).get("clock-ahead")
    assert (verdict and str(verdict.level)) == level


def test_a_wait_for_one_stream_says_nothing_of_another(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.launch(at, at + 3, at + 10 * US, at + 20 * US, thread=thread, stream=7)
        trace.launch(at, at + 3, at + 10 * US, at + 90 * US, thread=thread, stream=8)
        trace.wait(at + 5 * US, at + 24 * US, thread=thread, stream=7)
    assert broken(trace, tmp_path) == {}


@pytest.mark.parametrize("api", ["cudaStreamSynchronize_v3020", "cuCtxSynchronize"])
def test_a_wait_for_an_empty_stream_or_context_says_nothing_of_the_work(
    tmp_path: Path, api: str
) -> None:
    """The work begins soon after its launch, as behind no clock that is so far ahead."""
    trace, thread = builder()
    for k in range(20):
        at = k * 200 * US
        trace.launch(at, at + 3 * US, at + 10 * US, at + 150 * US, thread=thread)
        trace.api(at + 5 * US, at + 7 * US, api, thread=thread)
    assert broken(trace, tmp_path) == {}


def test_a_copy_that_returns_before_it_is_done(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.copy(
            at, at + 50 * US, at + 30 * US, at + 60 * US, bytes=8, thread=thread,
            api_name="cudaMemcpy_v3020",
        )  # fmt: skip
    verdict = broken(trace, tmp_path)["clock-ahead"]
    assert "20 of 20 waits" in verdict.reason
    assert "10.0 µs" in verdict.reason


@pytest.mark.parametrize(
    ("bad", "early", "code", "level"),
    [
        (0, 0, None, None),
        (1, 3_000_000 * US, "operations-before-launch", "invalid"),
        (5, 3_000_000 * US, "operations-before-launch", "invalid"),
        # All of them: the clock, and not the rows.
        (40, 5_000 * US, "clock-skew", "invalid"),
    ],
)
def test_rows_long_before_their_launch(
    tmp_path: Path, bad: int, early: int, code: str | None, level: str | None
) -> None:
    trace, thread = builder()
    for k in range(40):
        at = 5_000_000 * US + k * 500 * US
        late = 0 if k < bad else early
        start = at + 10 * US - early + late
        trace.launch(at, at + 5 * US, start, start + 300 * US, thread=thread)
    found = broken(trace, tmp_path)
    assert (str(found[code].level) if code else None) == level
    assert set(found) == ({code} if code else set())


def calls(lose: set[tuple[int, int]], *, unrecorded: int = 2, polls: int = 0) -> TraceBuilder:
    """20 steps of 30 launches, each followed by ids of calls that are not recorded."""
    trace, thread = builder()
    rng, free = random.Random(3), 100
    for k in range(20):
        base = k * 1000 * US
        trace.nvtx(base, base + 900 * US, f"Step {k}", thread=thread)
        for n in range(30):
            at = base + n * 20 * US
            if (k, n) not in lose:
                trace.api(at, at + 3, "cudaLaunchKernel_v7000", thread=thread, correlation=free)
                trace.kernel(
                    at + 5 * US, at + 9 * US, name="k", correlation=free, process=thread & ~0xFFFFFF
                )
            free += 1 + unrecorded
        for _ in range(rng.randrange(polls + 1)):
            trace.api(
                base + 700 * US, base + 701 * US, "cudaEventQuery_v3020", thread=thread,
                correlation=free,
            )  # fmt: skip
            free += 1
    return trace


@pytest.mark.parametrize(("lost", "seen"), [(0, False), (20, True), (100, True)])
def test_calls_lost_with_what_they_launched(tmp_path: Path, lost: int, seen: bool) -> None:
    inner = [(k, n) for k in range(1, 19) for n in range(1, 30)]
    found = broken(calls(set(random.Random(1).sample(inner, lost))), tmp_path)
    assert set(found) == ({"calls-missing"} if seen else set())
    if seen:
        assert found["calls-missing"].level == "invalid"


@pytest.mark.parametrize("lost", [0, 60])
def test_without_steps_what_lies_between_waits_is_compared(tmp_path: Path, lost: int) -> None:
    inner = [(k, n) for k in range(1, 19) for n in range(30)]
    lose = set(random.Random(1).sample(inner, lost))
    trace, thread = builder()
    for k in range(20):
        for n in range(31):
            at, ids = (k * 40 + n) * 20 * US, 100 + 2 * (k * 31 + n)
            if n == 30:
                trace.api(
                    at, at + 19 * US, "cudaStreamSynchronize_v3020", thread=thread, correlation=ids
                )
            elif (k, n) not in lose:
                trace.api(at, at + US, "cudaLaunchKernel_v7000", thread=thread, correlation=ids)
                trace.kernel(
                    at + 5 * US, at + 9 * US, name="k", correlation=ids, process=thread & ~0xFFFFFF
                )
    found = broken(trace, tmp_path)
    assert set(found) == ({"calls-missing"} if lost else set())
    assert not lost or f"about {lost} of " in found["calls-missing"].reason


def test_a_call_that_is_not_recorded_may_stand_anywhere(tmp_path: Path) -> None:
    """Another thread's, one in each step: no step has fewer rows than another."""
    trace, thread = builder()
    place = random.Random(1)
    for k in range(40):
        at = k * 200 * US
        trace.nvtx(at, at + 190 * US, f"Step {k}", thread=thread)
        unseen = place.randrange(1, 11)
        for n in range(10):
            if n == unseen:
                trace.next_correlation()
            trace.launch(
                at + n * 8 * US, at + (n * 8 + 5) * US, at + (n * 8 + 6) * US,
                at + (n * 8 + 12) * US, thread=thread,
            )  # fmt: skip
        if unseen == 10:
            trace.next_correlation()
    assert broken(trace, tmp_path) == {}


def test_steps_that_call_more_often_have_lost_nothing(tmp_path: Path) -> None:
    assert broken(calls(set(), polls=5), tmp_path) == {}


@pytest.mark.parametrize("same", [True, False])
def test_steps_of_two_kinds_are_not_alike(tmp_path: Path, same: bool) -> None:
    """They take equally many ids, and the one records fewer of its calls."""
    trace, thread = builder()
    for k in range(40):
        at, few = k * 100 * US, bool(k % 2)
        trace.nvtx(at, at + 90 * US, f"Step {k}", thread=thread)
        name = "cudaLaunchKernel_v7000" if same or not few else "cuLaunchKernel"
        for n in range(0, 8, 2 if few else 1):
            start = at + n * 10 * US
            ids = 100 + 8 * k + n
            trace.api(start, start + US, name, thread=thread, correlation=ids)
            trace.kernel(
                start + 2 * US, start + 9 * US, name="k", correlation=ids,
                process=thread & ~0xFFFFFF,
            )  # fmt: skip
    # As far as the ids tell, the same calls in every other step are lost: half of the places.
    assert set(broken(trace, tmp_path)) == ({"calls-missing"} if same else set())


@pytest.mark.parametrize(
    ("lost", "took", "seen"),
    [
        (0, 3 * US, False), (20, 3 * US, True), (20, 200, False), (20, 2 * US, False),
        (20, 2400, True),
    ],
)  # fmt: skip
def test_some_of_the_copies_lost(tmp_path: Path, lost: int, took: int, seen: bool) -> None:
    """A call that returns within a microsecond has queued nothing, nor has one (of no bytes) that
    is quicker by a quarter than all that queued a copy."""
    trace, thread = builder()
    for k in range(40):
        at = k * 100 * US
        if k % 2 and k < 2 * lost:
            trace.api(at, at + took, "cudaMemcpyAsync_v3020", thread=thread)
        else:
            trace.copy(at, at + 3 * US, at + 10 * US, at + 60 * US, bytes=8, thread=thread)
    assert ("operations-missing" in broken(trace, tmp_path)) == seen


@pytest.mark.parametrize(
    ("kept", "took", "seen"), [(1, 12, True), (3, 4, True), (9, 12, True), (10, 12, False)]
)
def test_few_copies_do_not_tell_how_long_others_take(
    tmp_path: Path, kept: int, took: int, seen: bool
) -> None:
    """The first calls may be slow: those of 3 us are no quicker than others were."""
    trace, thread = builder()
    for k in range(40):
        at = k * 100 * US
        trace.launch(at, at + 5 * US, at + 10 * US, at + 30 * US, thread=thread)
        call, end = at + 40 * US, at + (40 + (took if k < kept else 3)) * US
        if k < kept:
            trace.copy(call, end, at + 60 * US, at + 63 * US, bytes=8, thread=thread)
        else:
            trace.api(call, end, "cudaMemcpyAsync_v3020", thread=thread)
    assert ("operations-missing" in broken(trace, tmp_path)) == seen


def test_copies_of_no_bytes_beside_quick_ones_of_another_kind(tmp_path: Path) -> None:
    """How long a call takes is told by calls of its own name."""
    trace, thread = builder()
    for k in range(40):
        at = k * 200 * US
        trace.copy(at, at + 9 * US, at + 10 * US, at + 60 * US, bytes=8, thread=thread)
        trace.api(at + 70 * US, at + 74 * US, "cudaMemcpyAsync_v3020", thread=thread)
        trace.copy(
            at + 80 * US, at + 82 * US, at + 90 * US, at + 99 * US, bytes=8, thread=thread,
            api_name="cudaMemcpy2DAsync_v3020",
        )  # fmt: skip
    assert broken(trace, tmp_path) == {}


def test_all_copies_of_one_name_lost(tmp_path: Path) -> None:
    """None of them tells how long such a call takes, and a copy of another name may take longer."""
    trace, thread = builder()
    for k in range(40):
        at = k * 200 * US
        trace.copy(at, at + 50 * US, at + 10 * US, at + 40 * US, bytes=8, thread=thread)
        trace.api(at + 70 * US, at + 74 * US, "cudaMemcpyToSymbolAsync_v3020", thread=thread)
    assert "operations-missing" in broken(trace, tmp_path)


NAMES = (
    "cudaLaunchKernel_v7000", "cudaLaunchKernel_ptsz_v7000", "cudaLaunchKernelExC_v11060",
    "cuLaunchKernel", "cuLaunchKernelEx_ptsz", "cudaLaunchCooperativeKernel_v9000",
    "cudaLaunchCooperativeKernelMultiDevice_v9000", "cuLaunchCooperativeKernel",
    "cuLaunchCooperativeKernelMultiDevice", "cudaGraphLaunch_ptsz_v10000", "cuGraphLaunch",
    "cudaLaunch_v3020", "cudaLaunch_ptsz_v7000", "cuLaunch", "cuLaunchGrid", "cuLaunchGridAsync",
    "cudaLaunchDevice", "hipLaunchKernel", "hipModuleLaunchKernel", "hipExtLaunchKernel",
    "hipLaunchByPtr", "hipDrvLaunchKernelEx", "hipLaunchCooperativeKernel", "hipGraphLaunch",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_call_that_launches_is_known(tmp_path: Path, name: str) -> None:
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.launch(at, at + US, at + 5 * US, at + 60 * US, thread=thread, api_name=name)
        trace.api(at + 2 * US, at + 3 * US, name, thread=thread)
    assert broken(trace, tmp_path)["launches-without-gpu-rows"].level == "invalid"


@pytest.mark.parametrize("name", ["cudaLaunchHostFunc_v10000", "cuLaunchHostFunc"])
def test_a_host_function_leaves_no_gpu_row(tmp_path: Path, name: str) -> None:
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.launch(at, at + US, at + 5 * US, at + 60 * US, thread=thread)
        trace.api(at + 2 * US, at + 3 * US, name, thread=thread)
    assert broken(trace, tmp_path) == {}


@pytest.mark.parametrize("waited", [True, False])
def test_gpu_rows_that_stop_while_waits_return(tmp_path: Path, waited: bool) -> None:
    """What was launched before a wait for all work came back has run."""
    trace, thread = builder()
    for k in range(40):
        at = k * 100 * US
        if k < 20:
            trace.launch(at, at + US, at + 5 * US, at + 60 * US, thread=thread)
        else:
            trace.api(at, at + US, "cudaLaunchKernel_v7000", thread=thread)
        if waited:
            trace.wait(at + 10 * US, at + 90 * US, thread=thread)
    found = broken(trace, tmp_path)
    assert set(found) == ({"launches-without-gpu-rows"} if waited else set())


@pytest.mark.parametrize("api", ["cuda", "hip"])
def test_launches_under_stream_capture_are_none(tmp_path: Path, api: str) -> None:
    trace, thread = builder()
    trace.api(0, 5, f"{api}StreamBeginCapture", thread=thread)
    for k in range(20):
        trace.api(10 + k, 11 + k, f"{api}LaunchKernel", thread=thread)
    trace.api(50, 55, f"{api}StreamEndCapture", thread=thread)
    for k in range(20):
        at = (k + 1) * 100 * US
        trace.launch(at, at + US, at + 5 * US, at + 60 * US, thread=thread)
    assert broken(trace, tmp_path) == {}


def test_launches_without_an_id_have_rows_all_the_same(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.api(at, at + US, "cudaLaunchKernel_v7000", thread=thread)
        trace.kernel(at + 5 * US, at + 60 * US, name="k", correlation=0, process=thread & ~0xFFFFFF)
    assert broken(trace, tmp_path) == {}
    verdicts = {
        v.code: (v.figures, str(v.level)) for v in analyze(tmp_path / "trace.sqlite").verdicts
    }
    assert verdicts["launches-unknown"] == ("causes", "invalid")
    assert not {"device", "all"} & {figures for figures, _ in verdicts.values()}


def test_kernels_under_a_microsecond_are_not_lost(tmp_path: Path) -> None:
    """Files of whole microseconds give them no length."""
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    process = trace.process(100)
    thread = trace.thread(process, 100)
    for k in range(20):
        at = k * 100 * US
        trace.launch(at, at + US, at + 5 * US, at + 60 * US, thread=thread)
        trace.launch(at + US, at + 2 * US, at + 60 * US, at + 60 * US, thread=thread)
    assert broken(trace, tmp_path) == {}
    reasons = {v.code: v.reason for v in analyze(tmp_path / "trace.sqlite").verdicts}
    assert reasons["rows-dropped"].endswith("in all at most 20 µs")


@pytest.mark.parametrize(("wrong", "contexts", "level"), [
    (0, False, None), (1, False, "degraded"), (30, False, "invalid"),
    # Each device has a context of its own.
    (30, True, None),
])  # fmt: skip
def test_a_context_has_one_device(
    tmp_path: Path, wrong: int, contexts: bool, level: str | None
) -> None:
    trace, thread = builder()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    for k in range(200):
        at, other = k * 100 * US, k < wrong
        trace.launch(
            at, at + US, at + 5 * US, at + 60 * US, thread=thread, device=int(other),
            context=2 if other and contexts else 1,
        )  # fmt: skip
    verdict = broken(trace, tmp_path).get("wrong-device")
    assert (verdict and str(verdict.level)) == level
