"""Host ranges recorded in the process: every way to open one, and only while a session is open."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from harness.capture.cupti.ranges import Recorder

from .conftest import fetched, in_process

SCRIPT = """
import json, sys
from types import SimpleNamespace
import nvtx
from harness.capture.cupti.ranges import Recorder
state = SimpleNamespace(value=0)
recorder = Recorder(SimpleNamespace(recording=state))
before = nvtx.annotate.__enter__, nvtx.push_range, nvtx.annotate.__init__
recorder.watch_nvtx(nvtx)
@nvtx.annotate("decorated")
def f(): return 3
@nvtx.annotate()
def named(): pass
with nvtx.annotate("before"): pass
state.value = 1
with nvtx.annotate("with", domain="d", color="red", payload=3):
    with nvtx.annotate("inner", category="c"): pass
assert f() == 3
named()
nvtx.push_range("pushed", domain="d"); nvtx.pop_range(domain="d")
handle = nvtx.start_range("started"); nvtx.end_range(handle)
if hasattr(nvtx.get_domain("d"), "push_range"):
    domain = nvtx.get_domain("d")
    domain.push_range(message="domain pushed"); domain.pop_range()
    number = domain.start_range(message="domain started"); domain.end_range(number)
state.value = 2
with nvtx.annotate("after"): pass
recorder.restore()
assert before == (nvtx.annotate.__enter__, nvtx.push_range, nvtx.annotate.__init__)
print(json.dumps([[row[0], row[1], row[5]] for row in recorder.done]))
"""
SINCE_0_2_11 = [
    ["inner", None, 59], ["with", "d", 59], ["decorated", None, 59], ["named", None, 59],
    ["pushed", "d", 59], ["started", None, 60],
]  # fmt: skip


@pytest.mark.parametrize("version", ["0.2.11", "0.2.17"])
def test_the_nvtx_package(version):
    path = [str(fetched(f"nvtx=={version}")), os.environ.get("PYTHONPATH", "")]
    (line,) = in_process(SCRIPT, PYTHONPATH=os.pathsep.join(path))
    rows = [tuple(row) for row in __import__("json").loads(line)]
    assert rows[:6] == [tuple(row) for row in SINCE_0_2_11]
    # Without a tool a domain of 0.2.17 forgets its name.
    assert [row[0] for row in rows[6:]] == (
        [] if version == "0.2.11" else ["domain pushed", "domain started"]
    )


@pytest.fixture
def recorder():
    """One with a session that is open."""
    return Recorder(SimpleNamespace(recording=SimpleNamespace(value=1)))


def test_torch_s_functions(recorder):
    module = SimpleNamespace(
        range_push=lambda msg: 1, range_pop=lambda: 0, range_start=lambda msg: 7,
        range_end=lambda number: None,
    )  # fmt: skip
    recorder.watch_torch(module)
    assert module.range_push("a") == 1
    handle = module.range_start("b")
    module.range_pop()
    module.range_end(handle)
    assert [(row[0], row[5]) for row in recorder.done] == [("a", 59), ("b", 60)]


def test_times_are_nested_and_of_this_thread(recorder):
    recorder.push("outer")
    recorder.push("inner")
    recorder.pop()
    recorder.pop()
    inner, outer = recorder.done
    assert outer[2] <= inner[2] <= inner[3] <= outer[3]
    assert outer[4] == threading.get_native_id()


def test_threads_and_domains_have_stacks_of_their_own(recorder):
    recorder.push("mine")
    recorder.push("other domain", "d")
    worker = threading.Thread(target=lambda: (recorder.pop(), recorder.push("b"), recorder.pop()))
    worker.start()
    worker.join()
    recorder.pop()
    recorder.pop("d")
    assert [row[0] for row in recorder.done] == ["b", "mine", "other domain"]
    assert recorder.done[0][4] != recorder.done[1][4]


def test_a_range_from_before_the_session_does_not_end_one_in_it(recorder):
    state = recorder.session.recording
    state.value = 0
    recorder.push("before")
    state.value = 1
    recorder.push("in")
    recorder.pop()
    recorder.pop()
    assert [row[0] for row in recorder.done] == ["in"]


def test_a_range_that_outlives_the_session_is_kept_and_later_ones_are_not(recorder):
    recorder.push("open")
    recorder.session.recording.value = 2
    recorder.push("later")
    recorder.pop()
    recorder.pop()
    assert [row[0] for row in recorder.done] == ["open"]


def test_the_window_s_range_opens_and_closes_the_session():
    log = []
    state = SimpleNamespace(value=0)

    def start():
        log.append("start")
        state.value = 1

    def stop():
        log.append("stop")
        state.value = 2

    recorder = Recorder(SimpleNamespace(recording=state, start=start, stop=stop), ("w", "d"))
    recorder.push("w", "other")
    recorder.pop("other")
    assert log == []
    recorder.push("w", "d")
    recorder.push("x")
    recorder.pop()
    recorder.pop("d")
    assert log == ["start", "stop"]
    assert [row[0] for row in recorder.done] == ["x", "w"]
