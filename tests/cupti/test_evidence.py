"""What a target does besides its own ranges: on its thread, whole, and nobody's step."""

from __future__ import annotations

import gc
import json
import sqlite3
import textwrap
import threading
import time
from collections import Counter
from contextlib import closing
from itertools import pairwise
from types import SimpleNamespace

import pytest

from harness.analysis.idle.proposals import common_ranges
from harness.analysis.model import evidence
from harness.analysis.model.trace import Strings
from harness.capture.evidence import Kept, Watcher

from .conftest import in_process

WATCHED = """
import gc, json, sys, time
from types import SimpleNamespace
from harness.analysis.model.evidence import NAMES
from harness.capture.cupti.hooks import ImportHooks
from harness.capture.evidence import Kept, Watcher
kept = Kept(SimpleNamespace(value=1))
watcher = Watcher(NAMES, kept)
hooks = ImportHooks(watcher.hooks())
hooks.install()
watcher.install()
gc.disable()
"""
TOLD = """
watcher.remove()
hooks.remove()
mine = __import__("threading").get_native_id()
print(json.dumps([row for row in kept.ranges() if row[3] == mine]))
"""
EVIDENCE = """
SELECT s.value, n.start, n.end, n.globalTid FROM NVTX_EVENTS n JOIN StringIds s ON s.id = n.textId
WHERE n.domainId = (SELECT domainId FROM NVTX_EVENTS d LEFT JOIN StringIds t ON t.id = d.textId
                    WHERE d.eventType = 75 AND COALESCE(d.text, t.value) = 'harness evidence')
AND n.eventType = 59 ORDER BY n.start
"""


def watched(script):
    """(name, start, end, thread, cpu, cpu) of what the main thread of this script did."""
    (line,) = in_process(WATCHED + textwrap.dedent(script) + TOLD)
    return json.loads(line)


def ask(path, query):
    """All rows of a query."""
    with closing(sqlite3.connect(path)) as base:
        return base.execute(query).fetchall()


@pytest.fixture
def kept():
    """A sink whose session is open."""
    state = SimpleNamespace(value=1)
    sink = Kept(state)
    sink.state = state
    return sink


def names_of(kept):
    """The names of all ranges, in the order of their ends."""
    return [row[0] for row in kept.ranges()]


def test_a_collection_is_a_range_of_the_thread_that_collects(kept):
    watcher = Watcher(evidence.NAMES, kept)
    watcher.install()
    try:
        thread = threading.Thread(target=lambda: gc.collect(1))
        thread.start()
        thread.join()
        gc.collect()
    finally:
        watcher.remove()
    gc.collect()
    found = [row for row in kept.ranges() if not row[0].endswith("0)")]
    assert [row[0] for row in found] == ["Python GC (generation 1)", "Python GC (generation 2)"]
    assert found[0][3] != found[1][3] == threading.get_native_id()
    for _, start, end, _, cpu_start, cpu_end in found:
        assert 0 < cpu_end - cpu_start <= end - start


@pytest.mark.parametrize(
    ("before", "during", "kept_there"),
    [(0, 1, True), (1, 1, True), (1, 2, True), (0, 2, True), (0, 0, False), (2, 2, False)],
)
def test_a_range_is_kept_where_it_was_open_in_the_session(kept, before, during, kept_there):
    kept.state.value = before
    kept.begin("a")
    kept.state.value = during
    open_ones = names_of(kept)
    kept.end()
    assert names_of(kept) == open_ones == (["a"] if kept_there else [])


def test_what_is_still_open_ends_where_the_program_does(kept):
    kept.begin("a")
    ((name, start, end, thread, _, cpu_end),) = kept.ranges()
    assert (name, thread, cpu_end) == ("a", threading.get_native_id(), None)
    assert start <= end <= time.time_ns()


def test_batches_of_a_data_loader():
    found = watched("""
        import torch
        from torch.utils.data import DataLoader, Dataset
        class Slow(Dataset):
            def __len__(self): return 4
            def __getitem__(self, index):
                time.sleep(0.02)
                return index
        assert [batch.tolist() for batch in DataLoader(Slow(), batch_size=2)] == [[0, 1], [2, 3]]
        assert len(list(DataLoader(Slow(), batch_size=2, num_workers=1))) == 2
    """)
    assert [row[0] for row in found] == [
        *["DataLoader.__next__ (this process)"] * 3,
        "DataLoader start (worker processes)",
        *["DataLoader.__next__ (worker processes)"] * 3,
    ]
    here, there = found[0], found[4]
    for _, start, end, _, cpu_start, cpu_end in (here, there):
        assert end - start >= 30_000_000
        assert cpu_end - cpu_start < (end - start) / 2  # it slept, or waited for a worker


COMPILED = """
import torch
@torch.compile(backend="eager")
def double(x):
    return x * 2
for size in (2, 3, 3, 3):
    double(torch.ones(size, size))
"""


def test_compilations_are_named_by_their_function_and_outermost():
    found = watched(COMPILED)
    compiled = [row[0] for row in found if row[0].startswith("torch.compile (double <string>:")]
    assert len(compiled) == 2  # of two shapes; the third and fourth call find theirs
    times = sorted((start, end) for name, start, end, *_ in found if "compile" in name)
    assert all(end <= later for (_, end), (later, _) in pairwise(times))
    kinds = {evidence.kind_of(row[0]) for row in found if "GC" not in row[0]}  # dynamo collects
    assert kinds == {"compilation"}


def test_a_loop_that_is_compiled_has_as_many_graphs_with_us_as_without():
    loop = """
import torch
from torch.utils.data import DataLoader
from torch._dynamo.testing import CompileCounter
counter = CompileCounter()
@torch.compile(backend=counter)
def epoch(loader):
    total = torch.zeros(())
    for batch in loader:
        total = total + batch.float().sum()
    return total
loader = DataLoader(list(range(6)), batch_size=2)
for _ in range(3):
    assert epoch(loader).item() == 15
print(counter.frame_count)
"""
    with_us, without = in_process(WATCHED + loop)[0], in_process(loop)[0]
    assert with_us == without


@pytest.mark.parametrize("module", list(Watcher(evidence.NAMES, Kept(SimpleNamespace())).hooks()))
def test_a_torch_of_another_shape_is_left_alone(module, kept):
    watcher = Watcher(evidence.NAMES, kept)
    watcher.hooks()[module](SimpleNamespace())
    watcher.remove()
    assert names_of(kept) == []


def test_events_that_are_closed_out_of_order_leave_nothing_open(kept):
    logger = type("Logger", (), {"log_event_start": lambda *_: 1, "log_event_end": lambda *_: 2})
    watcher = Watcher(evidence.NAMES, kept)
    watcher.install()
    watcher.hooks()["torch._dynamo.utils"](SimpleNamespace(ChromiumEventLogger=logger))
    made = logger()
    try:
        assert made.log_event_start("outer", 0, {}) == 1
        made.log_event_start("inner", 0, {})
        made.log_event_end("never begun", 0, {})
        assert made.log_event_end("outer", 0, {}) == 2
        made.log_event_end("inner", 0, {})
        made.log_event_start("later", 0, {})
        made.log_event_end("later", 0, {})
    finally:
        watcher.remove()
    wanted = ["torch.compile (outer)", "torch.compile (later)"]
    assert [name for name in names_of(kept) if "GC" not in name] == wanted


def test_every_name_has_a_kind_and_no_one_else_s_has():
    kinds = Counter(evidence.kind_of(name.format(7)) for name in evidence.NAMES.values())
    assert kinds == {"garbage-collection": 1, "compilation": 2, "input-pipeline": 3}
    for name in ("Step 1", "GC", "torch.compile", "DataLoader", "Torch-Compiled Region: 0/0"):
        assert evidence.kind_of(name) is None


def test_evidence_is_never_proposed_as_steps():
    import numpy as np

    texts = {number: name.format(2) for number, name in enumerate(evidence.NAMES.values())}
    texts[99] = "train_step 7"
    ids = np.array([*texts] * 5 + [0] * 100, np.int64)
    assert common_ranges(ids, Strings(texts)) == (("train_step *", 5),)


LOOP = """
import gc, time, torch
gc.disable()
for step in range(6):
    if step == 1: torch.cuda.profiler.start()
    torch.cuda.nvtx.range_push(f"Step {step}")
    for name in ("inner", "too deep"): torch.cuda.nvtx.range_push(name)
    for _ in range(2): torch.cuda.nvtx.range_pop()
    torch.cuda.launch("gemm", 5000)
    if step == 2: gc.collect()
    if step == 3: time.sleep(0.05)
    if step == 4:
        until = time.thread_time() + 0.05
        while time.thread_time() < until: pass
    torch.cuda.nvtx.range_pop()
torch.cuda.profiler.stop()
gc.collect()
"""


def test_a_recording_holds_collections_and_the_cpu_time_of_each_range(machine):
    done = machine.profile(LOOP)
    assert done.returncode == 0, done.stderr
    ((name, start, end, tid),) = ask(machine.trace, EVIDENCE)
    assert name == "Python GC (generation 2)"
    steps = {
        name: (start, end, ran)
        for name, start, end, ran in ask(
            machine.trace,
            "SELECT s.value, n.start, n.end, c.cpuEnd - c.cpuStart FROM HARNESS_RANGE_CPU c JOIN "
            "NVTX_EVENTS n USING (start, end, globalTid) JOIN StringIds s ON s.id = n.textId",
        )
    }
    assert set(steps) == {*(f"Step {number}" for number in range(1, 6)), "inner", name}
    assert steps["Step 2"][0] < start < end < steps["Step 2"][1]
    assert ask(machine.trace, "SELECT DISTINCT globalTid FROM HARNESS_RANGE_CPU") == [(tid,)]
    low, high, ran = steps["Step 3"]
    assert high - low >= 50_000_000
    assert ran < 25_000_000
    assert steps["Step 4"][2] >= 50_000_000
    found = machine.manifest["capture"]["completeness"]
    assert (found["ranges_issued"], found["ranges_found"], found["complete"]) == (15, 15, True)


CUT = """
import threading, time, torch
from torch.utils.data import DataLoader
class Slow(list):
    def __getitem__(self, index):
        entered.set()
        leave.wait(10)
        return index
entered, leave = threading.Event(), threading.Event()
def load():
    for _ in DataLoader(Slow([0])): pass
loading = threading.Thread(target=load)
loading.start()
entered.wait(10)
torch.cuda.profiler.start()
torch.cuda.launch("gemm", 5000)
if CLOSES_FIRST: torch.cuda.profiler.stop()
leave.set()
loading.join()
torch.cuda.profiler.stop()
"""


@pytest.mark.parametrize("closes_first", [False, True])
def test_a_wait_that_the_window_cuts_ends_at_its_edges(machine, closes_first):
    done = machine.profile(f"CLOSES_FIRST = {closes_first}\n{CUT}")
    assert done.returncode == 0, done.stderr
    name, start, end, tid = ask(machine.trace, EVIDENCE)[0]
    assert name == "DataLoader.__next__ (this process)"
    ((last,),) = ask(machine.trace, "SELECT duration FROM ANALYSIS_DETAILS")
    assert 0 <= start < 1_000_000
    assert start < end <= last
    # Its CPU time is known at one edge at most: it is left out.
    tables = ask(machine.trace, "SELECT name FROM sqlite_master WHERE name LIKE 'HARNESS_%'")
    assert not tables or (start, end, tid) not in ask(
        machine.trace, "SELECT start, end, globalTid FROM HARNESS_RANGE_CPU"
    )
