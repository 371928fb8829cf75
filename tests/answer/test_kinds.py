"""Of what kind an answer is, for loops whose best change is known."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.analysis.analyze import analyze
from harness.analysis.answer.choose import choose, kind_of
from harness.analysis.answer.compose import answer_of
from harness.analysis.answer.kinds import kind_named, kinds
from harness.analysis.answer.of_gains import TOO_LONG
from harness.analysis.answer.sentence import plain_text, sentence
from harness.analysis.figures.units import human
from harness.analysis.gains.changes import changes
from harness.analysis.gains.ladder import Rung
from harness.analysis.gains.stalls import Stalls
from harness.analysis.reports.base import Report
from harness.analysis.reports.json import document
from harness.analysis.reports.tables.figures import overview
from harness.analysis.writer.writer import PINNED, CopyKind
from tests.conftest import ROOT
from tests.gains.support import US, reopened
from tests.gains.test_changes import Drawn

from .support import STEPS, answered, reported

REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"


def test_every_change_is_of_a_kind_whatever_else_wins() -> None:
    for change in changes():
        rung = Rung(
            change=change.name, where="misc", call="", gain_ns=9.0, step_ns=1.0, spent_ns=9.0,
            idle_ns=0.0, blocked_ns=None, launching=0.0, count=1.0, detail="",
            of_host=change.of_host,
        )  # fmt: skip
        assert kind_of(rung).title
    assert kind_of(replace(rung, change="place", of_host=True)).name == "host-code"


def test_kinds_have_names_of_their_own() -> None:
    names = [kind.name for kind in kinds()]
    assert len(set(names)) == len(names)


def test_communication_that_nothing_hides_is_named() -> None:
    def step(loop: Drawn, number: int) -> None:
        for _ in range(6):
            loop.launch(50)
            loop.launch(60, name=REDUCE)

    answer = answered(step)
    assert (answer.kind, answer.rung) == ("exposed-communication", None)
    assert "--by rank" in answer.text


def test_of_two_gpus_that_do_as_much_the_one_that_idles_is_told_of() -> None:
    loops = [Drawn(), Drawn()]
    trace = loops[0].trace
    trace.device(1, name="GPU", uuid="u1")
    process = trace.process(200)
    loops[1].trace, loops[1].process, loops[1].thread = trace, process, trace.thread(process, 200)
    for place, loop in enumerate(loops):
        for number in range(STEPS):
            start, loop.now = loop.now, loop.now + 1
            end = loop.now + 8 + 50
            correlation = loop.call(5, "cudaLaunchKernel_v7000")
            trace.kernel(
                (end - 50) * US, end * US, name="k", correlation=correlation,
                process=loop.process, device=place,
            )  # fmt: skip
            loop.free[7] = end
            loop.wait()
            loop.python(400 * place + 5, "load")
            trace.nvtx(start * US, loop.now * US, f"Step {number}", thread=loop.thread)
    answer = answer_of(analyze(reopened(trace)))
    assert answer.kind == "host-code"
    assert answer.text.startswith("GPU 1")


def test_communication_beside_kernels_is_no_limit() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.launch(200, stream=13, name=REDUCE)
        for _ in range(6):
            loop.launch(50)

    assert answered(step).kind == "gpu"


def test_copies_of_a_gpu_that_is_kept_busy_are_named() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.copy(900, CopyKind.HTOD, PINNED, holds=False, stream=13)
        for _ in range(4):
            loop.launch(50)

    answer = answered(step)
    assert (answer.kind, answer.rung) == ("copy-bound", None)


def test_copies_set_aside_still_take_their_time() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.copy(300, CopyKind.HTOD, PINNED, holds=False)
        for _ in range(4):
            loop.launch(50)

    answer = answered(step)
    assert answer.kind == "copies-on-path"
    assert answer.rung is not None
    assert answer.rung.step_ns == 300 * US


def test_a_collective_that_waits_for_others_is_no_wait_between_streams() -> None:
    def step(loop: Drawn, number: int) -> None:
        for _ in range(4):
            loop.launch(60)
        loop.stream_wait(stream=13, other=7)
        loop.launch(150, stream=13, name=REDUCE)
        loop.stream_wait(stream=7, other=13)
        loop.launch(30)

    assert answered(step).kind == "exposed-communication"


def test_a_host_function_that_was_recorded_is_named_before_work_that_starts_late() -> None:
    def step(loop: Drawn, number: int) -> None:
        end = loop.launch(50)
        correlation = loop.call(2, "cudaLaunchHostFunc_v10000")
        loop.trace.host_function(
            (end + 1) * US, (end + 301) * US, process=loop.process, correlation=correlation
        )
        loop.free[7] = end + 301
        loop.launch(50)

    answer = answered(step)
    assert answer.kind == "host-function"
    assert answer.rung is not None
    assert answer.rung.gain_ns == pytest.approx(300 * US, rel=0.02)


def test_work_that_starts_late_for_no_recorded_reason_is_said_to() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.launch(50)
        loop.launch(50, late=300)

    assert answered(step).kind == "late-starts"


def test_a_host_that_is_ahead_is_not_said_to_launch_too_slowly() -> None:
    """Each kernel takes 5 and needs 3 to follow another; launches take 4."""

    def step(loop: Drawn, number: int) -> None:
        for _ in range(60):
            loop.launch(5, own=4)
            loop.free[7] += 2

    answer = answered(step)
    assert answer.kind == "queue-gaps"
    assert answer.rung is not None
    assert answer.rung.change == "graph"


def test_a_host_that_is_behind_is() -> None:
    def step(loop: Drawn, number: int) -> None:
        for _ in range(60):
            loop.python(5)
            loop.launch(5, own=4)

    assert answered(step).kind == "eager-launches"


def test_nothing_is_to_be_won_where_the_device_cannot_be_believed() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.python(300)
        loop.launch(50)
        loop.call(5, "cudaLaunchKernel_v7000")  # its kernel was lost

    found = reported(step)
    assert any((v.figures, str(v.level)) == ("device", "invalid") for v in found.verdicts)
    assert found.gains
    report = Report((found,))
    (row,) = overview(report).rows
    told = dict(zip((column.name for column in overview(report).columns), row, strict=True))
    assert (told["gain_kind"], told["gain_ns"]) == (None, None)
    (trace,) = document(report)["traces"]
    assert trace["gains"] == []
    assert [series.get("kind") for series in trace["series"]] == [None]


def test_a_copy_that_blocks_though_its_memory_is_pinned_is_a_wait() -> None:
    """cudaMemcpy from pinned memory returns when it is done, and so when the kernels before it
    are."""

    def step(loop: Drawn, number: int) -> None:
        begin = loop.now
        start, end = loop.run(20, 7, begin + 8)
        loop.now = end + 3
        loop.trace.copy(
            begin * US, loop.now * US, start * US, end * US, bytes=64, thread=loop.thread,
            copy_kind=CopyKind.HTOD, src_kind=PINNED, dst_kind=2, api_name="cudaMemcpy_v3020",
        )  # fmt: skip
        loop.python(150)
        for _ in range(8):
            loop.launch(50)

    answer = answered(step)
    assert answer.kind == "explicit-sync"
    assert answer.rung is not None
    assert answer.rung.call == "cudaMemcpy"
    # Nobody waits: eight kernels and the copy, one after the other.
    assert answer.rung.step_ns == (8 * 51 + 21) * US


@pytest.mark.parametrize("inside", [True, False])
def test_the_step_that_stalls_is_the_one_in_whose_range_the_host_was(inside: bool) -> None:
    def step(loop: Drawn, number: int) -> None:
        if number == 7 and not inside:
            loop.now += 5_000
        loop.launch(50)
        loop.wait()
        if number == 7 and inside:
            loop.python(5_000)

    answer = answered(step)
    assert answer.kind == "stalled-step"
    assert "step 7" in answer.text


def test_steps_that_stall_for_a_recorded_reason_are_of_its_kind() -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.launch(50)
        loop.wait()
        if number % 20 == 11:
            loop.python(5_000, "Python GC (generation 2)")

    answer = answered(step, steps=40)
    assert answer.kind == "garbage-collection"
    assert "steps 11, 31" in answer.text
    assert "the median" in answer.text


def test_figures_of_an_answer_are_plain_numbers() -> None:
    def step(loop: Drawn, number: int) -> None:
        for _ in range(20):
            loop.python(5)
            loop.launch(5, own=4)
        loop.copy(5, CopyKind.HTOD, PINNED, holds=False)
        loop.wait()

    assert json.loads(json.dumps(document(Report((reported(step),)))))


def test_a_part_of_the_steps_is_as_sure_as_it_is_like_all_of_them() -> None:
    """Every seventh step takes 1,000 more: of 40 in 4 runs, 5 to 8 are such."""

    def step(loop: Drawn, number: int) -> None:
        loop.launch(50)
        loop.wait()
        if number % 7 == 3:
            loop.python(1_000, "log")

    (found,) = reported(step, steps=350).gains
    assert found.ladder is not None
    assert found.ladder.steps < 100
    (rung,) = (one for one in found.ladder.rungs if one.where == "log")
    every = [number % 7 == 3 for number in range(1, 349)]  # the first and the last are left out
    assert rung.gain_ns == pytest.approx(
        1_000 * US * sum(every) / len(every), abs=found.ladder.error_ns + 1
    )


def test_nothing_wins_more_than_a_step() -> None:
    """Steps 5 to 9 were lost, and with them the time that they took: it is no stall of step 10."""

    def step(loop: Drawn, number: int) -> None:
        loop.launch(50)
        loop.wait()

    found = reported(step)
    (gains,) = found.gains
    steady = found.series[0].steady
    assert steady is not None
    stalls = Stalls((10,), 10**9, steady.period_ns, 2.0 * steady.period_ns, 1.0)
    chosen = choose(replace(gains, stalls=stalls), steady, causes_believed=True)
    assert chosen.kind.name != "stalled-step"


def test_a_window_that_copies_fill_is_told_to_copy_less(public_traces: Path) -> None:
    answer = answer_of(analyze(public_traces / "h100_2gpu_copy_bound.sqlite"))
    assert answer.remedy == (sentence(kind_named("copy-bound").remedy),)
    idle = answer_of(analyze(public_traces / "graph_level.sqlite"))
    assert idle.remedy == ()


def planted(name: str, folder: Path) -> Path:
    """A recording of the corpus, unpacked."""
    packed = ROOT / "tests" / "planted" / "data" / f"{name}.sqlite.gz"
    (folder / "t.sqlite").write_bytes(gzip.decompress(packed.read_bytes()))
    return folder / "t.sqlite"


@pytest.mark.parametrize("name", ["print-logging-fault", "python-fault", "stalled-step-clean"])
def test_the_step_that_is_left_is_that_of_the_table(name: str, tmp_path: Path) -> None:
    answer = answer_of(analyze(planted(name, tmp_path)))
    told = " ".join(plain_text(one) for one in answer.gain)
    assert (answer.rung is None) == (told == "")
    if answer.rung:
        assert f" and leave {human(answer.rung.step_ns)}, give or take " in told


@pytest.mark.parametrize(("host", "long"), [(100, False), (900, True)])
def test_code_longer_than_the_rest_of_the_step_is_not_said_to_fit_beside_it(
    host: int, long: bool
) -> None:
    def step(loop: Drawn, number: int) -> None:
        loop.launch(300)
        loop.wait()
        loop.python(host, "work")

    answer = answered(step)
    gain = " ".join(plain_text(one) for one in answer.gain)
    assert ("That would win up to " in gain) == long
    assert (sentence(TOO_LONG) in answer.because) == long
    assert answer.commands[0].endswith(" --without work") == long


def test_times_of_two_threads_are_said_to_be_added_up(tmp_path: Path) -> None:
    answer = answer_of(analyze(planted("two-threads-fault", tmp_path)))
    said = "These are the times of 2 threads that launch, added up."
    assert said in [plain_text(one) for one in answer.because]
