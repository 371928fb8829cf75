"""Which operations belong to which step."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.exports.frames import steps_frame
from harness.analysis.idle.assign import find_steps
from harness.analysis.idle.proposals import common_ranges
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.reports.base import Report
from harness.analysis.reports.tables import steps

from .build import US, builder, decode_loop, report
from .test_steady_state import same_in_parts


def opened(trace, folder: Path) -> Trace:
    path = folder / "t.sqlite"
    trace.write(path, force=True)
    return open_trace(path)


def test_default_pattern_takes_step_n_alone(tmp_path: Path) -> None:
    trace, thread = builder()
    for text in ("Step 1", "Step one", "My Step 2", "Step 2", "Step 3 warm-up"):
        trace.nvtx(10, 20, text, thread=thread)
    (series,) = find_steps(opened(trace, tmp_path)).series
    assert sorted(series.number.tolist()) == [1]  # equal ranges: the outermost one stays


def test_patterns(tmp_path: Path) -> None:
    trace, thread = builder()
    for k, text in enumerate(("train_step/0", "train_step/1", "eval 0", "Train_step/2")):
        trace.nvtx(k * 100, k * 100 + 50, text, thread=thread)
    found = opened(trace, tmp_path)

    def count(pattern: StepPattern) -> int:
        return sum(len(s) for s in find_steps(found, (pattern,)).series)

    assert count(StepPattern.glob("train_step/*")) == 2
    assert count(StepPattern.glob("train_step")) == 0
    assert count(StepPattern.glob("step/*")) == 0  # a wildcard is the whole name, from its start
    assert count(StepPattern.of_regex("step")) == 3
    assert count(StepPattern.of_regex(r"^eval \d$")) == 1
    with pytest.raises(TraceError, match="is not a regular expression"):
        StepPattern.of_regex("(")
    for text in ("a{99999999999999999999}", "(" * 10_000):
        with pytest.raises(TraceError, match="is not a regular expression"):
            StepPattern.of_regex(text)


def test_a_wildcard_sees_the_whole_of_a_long_name(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(3):
        trace.nvtx(k * 100, k * 100 + 50, "X" * 10_000 + f" Step {k}", thread=thread)
    found = opened(trace, tmp_path)
    assert [len(s) for s in find_steps(found, (StepPattern.glob("*Step ?"),)).series] == [3]
    assert find_steps(found, (StepPattern.of_regex("Step"),)).series == ()


@pytest.mark.parametrize(
    "name", ["X" * 59 + "1", "X" * 70 + " {}", "X" * 58 + "{}Y", "layer[3] call {}", "plain {}"]
)
def test_a_proposed_pattern_matches_what_it_was_made_from(tmp_path: Path, name: str) -> None:
    trace, thread = builder()
    for k in range(3):
        trace.nvtx(k * 100, k * 100 + 50, name.format(k), thread=thread)
    (proposed,) = common_ranges(
        opened(trace, tmp_path).ranges.name, opened(trace, tmp_path).strings
    )
    assert proposed[1] == 3
    assert all(StepPattern.glob(proposed[0]).matches(name.format(k)) for k in range(3))


def test_nested_matches_use_the_outermost(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, 100 * US, "Step 0", thread=thread)
    trace.nvtx(10 * US, 90 * US, "Step 7", thread=thread)
    trace.launch(20 * US, 21 * US, 30 * US, 40 * US, thread=thread)
    (series,) = find_steps(opened(trace, tmp_path)).series
    assert series.number.tolist() == [0]
    assert series.step_of.tolist() == [0]


def test_each_thread_is_a_series_of_its_own(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "worker")
    for thread in (first, second):
        for k in range(3):
            trace.nvtx(k * 100, k * 100 + 50, f"Step {k}", thread=thread)
    assert [len(s) for s in find_steps(opened(trace, tmp_path)).series] == [3, 3]


def test_a_launch_belongs_to_the_range_open_when_its_call_began(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(100, 200, "Step 0", thread=thread)
    trace.nvtx(200, 300, "Step 1", thread=thread)
    for begin in (99, 100, 199, 200, 300):
        trace.launch(begin, begin + 10, 1000 + begin, 1001 + begin, thread=thread)
    found = find_steps(opened(trace, tmp_path))
    assert found.series[0].step_of.tolist() == [-1, 0, 0, 1, -1]
    assert found.unassigned == 2


def test_another_threads_work_goes_by_time_and_is_counted(tmp_path: Path) -> None:
    trace, thread = builder()
    autograd = trace.thread(thread & ~0xFFFFFF, 101, "autograd")
    trace.nvtx(100, 200, "Step 0", thread=thread)
    trace.launch(150, 160, 1000, 1001, thread=autograd)
    trace.launch(250, 260, 2000, 2001, thread=autograd)
    found = report(trace, tmp_path)
    (series,) = found.steps.series
    assert series.step_of.tolist() == [0, -1]
    assert series.by_time == 1
    assert found.series[0].other_threads == {"autograd 101": 1}
    assert found.steps.unassigned == 1


def test_work_under_two_open_steps_is_nobodys(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "loader")
    trace.nvtx(100, 200, "Step 0", thread=thread, start_end=True)
    trace.nvtx(150, 250, "Step 1", thread=thread, start_end=True)
    for begin in (120, 160, 220):
        trace.launch(begin, begin + 5, begin * 10, begin * 10 + 1, thread=other)
    found = report(trace, tmp_path)
    assert found.steps.series[0].step_of.tolist() == [0, -1, 1]
    assert found.steps.ambiguous == 1
    assert "ambiguous-operations" in [v.code for v in found.verdicts]


def test_a_range_that_crosses_threads_goes_by_time(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "finisher")
    trace.nvtx(100, 200, "Step 0", thread=thread, start_end=True, end_thread=other)
    trace.launch(150, 160, 1000, 1001, thread=thread)
    (series,) = find_steps(opened(trace, tmp_path)).series
    assert series.step_of.tolist() == [0]
    assert series.by_time == 1
    assert series.other_threads == {}  # by its own thread, though by time


def test_one_graph_launch_brings_many_operations(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, 100, "Step 0", thread=thread)
    launched = trace.api(10, 20, "cudaGraphLaunch_v10000", thread=thread)
    for k in range(3):
        trace.kernel(100 + k * 20, 110 + k * 20, name="node", correlation=launched,
                     process=thread & ~0xFFFFFF, graph_node=k)  # fmt: skip
    assert find_steps(opened(trace, tmp_path)).series[0].step_of.tolist() == [0, 0, 0]


def test_correlation_ids_of_two_processes_do_not_mix(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(trace.process(200, "other"), 200, "main")
    trace.nvtx(0, 100, "Step 0", thread=first)
    trace.nvtx(0, 100, "Step 5", thread=second)
    for thread, start in ((first, 1000), (second, 2000)):
        trace.api(10, 20, "cudaLaunchKernel_v7000", thread=thread, correlation=77)
        trace.kernel(start, start + 10, name="k", correlation=77, process=thread & ~0xFFFFFF)
    found = find_steps(opened(trace, tmp_path))
    assert [s.step_of.tolist() for s in found.series] == [[0, -1], [-1, 0]]


def test_unclosed_steps_end_with_the_recording(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(100, 200, "Step 0", thread=thread)
    trace.nvtx(300, None, "Step 1", thread=thread)
    trace.launch(400, 410, 1000, 5000, thread=thread)
    found = report(trace, tmp_path)
    (series,) = found.steps.series
    assert series.end.tolist() == [200, 5000]
    assert series.step_of.tolist() == [1]
    assert "unclosed-steps" in [v.code for v in found.verdicts]


def test_dead_steps_are_listed_not_averaged(tmp_path: Path) -> None:
    trace = decode_loop()
    thread = trace.thread(trace.process(100), 100)
    trace.nvtx(100_000 * US, 100_010 * US, "Step 99", thread=thread)
    found = report(trace, tmp_path)
    alone = report(decode_loop(), tmp_path)
    assert found.series[0].dead_steps == (99,)
    assert found.series[0].steady == alone.series[0].steady
    assert "step 99" in next(v.reason for v in found.verdicts if v.code == "dead-steps")


def test_a_dead_step_began_at_no_time_on_the_gpu(tmp_path: Path) -> None:
    trace = decode_loop()
    thread = trace.thread(trace.process(100), 100)
    trace.nvtx(100_000 * US, 100_010 * US, "Step 99", thread=thread)
    found = report(trace, tmp_path)
    table = steps(Report((found,), (), Question(by="step")))
    at = [column.name for column in table.columns].index("gpu_start_ns")
    assert [row[at] is None for row in table.rows] == [False] * 14 + [True]
    frame = steps_frame(found)
    assert frame["gpu_start_ns"].isna().tolist() == [False] * 14 + [True]
    assert frame["gpu_start_ns"].tolist()[:-1] == [row[at] for row in table.rows][:-1]


def test_numbers_come_from_names_where_they_tell_steps_apart(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(3):
        trace.nvtx(k * 100, k * 100 + 50, f"iter {k * 10} of 90", thread=thread)
        trace.nvtx(1000 + k * 100, 1000 + k * 100 + 50, f"epoch {k * 5}", thread=thread)
    found = opened(trace, tmp_path)
    (same,) = find_steps(found, (StepPattern.glob("iter *"),)).series
    (own,) = find_steps(found, (StepPattern.glob("epoch *"),)).series
    assert same.number.tolist() == [0, 1, 2]
    assert own.number.tolist() == [0, 5, 10]


def test_a_slice_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"no step in 50:60 \(it has 0\.\.13\)"):
        report(decode_loop(), tmp_path, Question(steps=(50, 60)))


def test_overlapping_ranges_of_the_launching_thread_itself(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(100, 200, "Step 0", thread=thread, start_end=True)
    trace.nvtx(150, 250, "Step 1", thread=thread, start_end=True)
    for begin in (99, 100, 149, 150, 199, 200, 249, 250):
        trace.launch(begin, begin + 1, begin * 10, begin * 10 + 1, thread=thread)
    found = report(trace, tmp_path).steps
    assert found.series[0].step_of.tolist() == [-1, 0, 0, -1, -1, 1, 1, -1]
    assert (found.ambiguous, found.unassigned) == (2, 2)
    assert found.series[0].by_time == 0


def test_work_goes_by_time_to_steps_of_its_own_process_alone(tmp_path: Path) -> None:
    trace, first = builder()
    helper = trace.thread(first & ~0xFFFFFF, 101, "helper")
    second = trace.thread(trace.process(200, "other"), 200, "main")
    trace.nvtx(100, 200, "Step 0", thread=first)
    trace.nvtx(100, 300, "Step 5", thread=second)
    trace.launch(150, 160, 1000, 1001, thread=helper)  # both are open, one of them is ours
    trace.launch(250, 260, 2000, 2001, thread=helper)  # only the other process's is
    found = find_steps(opened(trace, tmp_path))
    assert [s.step_of.tolist() for s in found.series] == [[0, -1], [-1, -1]]
    assert (found.ambiguous, found.unassigned) == (0, 1)


def test_of_calls_with_one_id_the_nearest_earlier_one_launched(tmp_path: Path) -> None:
    """A counter that began anew: step 1's call has the id of step 0's, on another thread too."""
    trace, thread = builder()
    for k in range(3):
        at = 1000 * (k + 1)
        trace.nvtx(at, at + 900, f"Step {k}", thread=thread)
        trace.api(at + 10, at + 20, "cudaLaunchKernel_v7000", thread=thread, correlation=7)
        trace.kernel(at + 100, at + 200, name="k", correlation=7, process=thread & ~0xFFFFFF)
    found = opened(trace, tmp_path)
    assert find_steps(found).series[0].step_of.tolist() == [0, 1, 2]
    assert found.duplicate_calls == 2
    same_in_parts(trace, tmp_path)


def test_a_call_of_the_driver_inside_one_of_the_runtime_is_the_same(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(1000, 1900, "Step 0", thread=thread)
    trace.api(1010, 1050, "cudaLaunchKernel_v7000", thread=thread, correlation=7)
    trace.api(1020, 1040, "cuLaunchKernel", thread=thread, correlation=7)
    trace.kernel(1100, 1200, name="k", correlation=7, process=thread & ~0xFFFFFF)
    found = opened(trace, tmp_path)
    launched = found.calls.names[found.calls.name[found.operations.launch[0]]]
    assert launched == "cudaLaunchKernel"
