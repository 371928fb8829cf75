"""Rows that can be told apart, means that do not contradict their quantiles, no trace left out."""

from __future__ import annotations

import csv
import io
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.reports.base import Column, Report, Table, Terminal, reporters
from harness.analysis.reports.table import drawn
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, decode_loop
from .test_devices import ONE, TWO, ranks

ALL = Question(all_tables=True)
NOTED = "around operations of no step"
_DRAINED = (
    Column("strategy", "strategy"), Column("device", "GPU", "int"), Column("pid", "pid", "int"),
    Column("tid", "tid", "int"), Column("drained_by", "drained by"),
    Column("idle_ns", "idle µs/step", "us"), Column("share_of_idle", "of idle", "percent"),
)  # fmt: skip


def rendered(folder: Path, question: Question | None = None, form: str = "table", **made) -> str:
    found = []
    for name, trace in made.items():
        trace.write(folder / f"{name}.sqlite", force=True)
        found.append(analyze(folder / f"{name}.sqlite"))
    report = Report(tuple(found), question=question or Question())
    return reporters()[form].render(report, Terminal())


def flat(text: str) -> str:
    return " ".join(text.split())


def outside(steps: int = 14) -> TraceBuilder:
    """As `decode_loop`, and before each step a kernel that is launched in none."""
    trace, thread = builder()
    for k in range(steps):
        at = 1000 + 100 * k
        trace.launch(at * US, (at + 2) * US, (at + 10) * US, (at + 20) * US, thread=thread)
        trace.nvtx((at + 50) * US, (at + 60) * US, f"Step {k}", thread=thread)
        trace.launch((at + 51) * US, (at + 53) * US, (at + 60) * US, (at + 70) * US, thread=thread)
    return trace


def with_autograd(threads: int = 1) -> TraceBuilder:
    trace, thread = builder()
    others = [trace.thread(thread & ~0xFFFFFF, 101 + k, "autograd") for k in range(threads)]
    for k in range(14):
        at = 1000 + 100 * k
        trace.nvtx(at * US, (at + 90) * US, f"Step {k}", thread=thread)
        trace.launch((at + 1) * US, (at + 3) * US, (at + 10) * US, (at + 20) * US, thread=thread)
        for n, other in enumerate(others):
            a = at + 30 + 10 * n
            trace.launch(a * US, (a + 1) * US, (a + 2) * US, (a + 3) * US, thread=other)
    return trace


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_subject_of_a_table_is_never_left_out(width: int) -> None:
    call = "aten::_local_scalar_dense, op_id = * · cudaStreamSynchronize"
    rows = tuple(
        ("a_strategy_of_some_length", gpu, 111 + gpu, 111 + gpu, name, 20_000.0, 0.137)
        for gpu in (0, 1)
        for name in (call, "cudaMemcpy")
    )
    table = Table(
        "drained_by", "What let the queue run dry", _DRAINED, rows, subject=("drained_by",)
    )
    text = drawn([table], [], Terminal(width=width))
    assert max(map(len, text.splitlines())) <= width
    head = text.partition("──")[0]
    assert "drained by" in head
    assert text.count("cudaMemcpy") == 2
    # The thread says nothing here that the GPU does not say.
    assert ("pid" in head) == (width == 120)


def test_idle_time_around_work_of_no_step_is_said_below_the_mean(tmp_path: Path) -> None:
    text = flat(rendered(tmp_path, ALL, a=outside()))
    # Per step 40 us from the one kernel to the other, and 40 us back.
    said = "idle µs holds 80.0 µs/step (100%) around operations of no step (14 in the trace)"
    assert said in text
    for form, question in (("md", ALL), ("html", None), ("table", Question(by="strategy"))):
        assert NOTED in flat(rendered(tmp_path, question, form, a=outside()))
    for question in (Question(by="cause"), Question(by="step"), Question(top=1)):
        assert NOTED not in flat(rendered(tmp_path, question, a=outside()))
    assert NOTED not in flat(rendered(tmp_path, ALL, a=decode_loop()))
    many = flat(rendered(tmp_path, ALL, **{f"t{k}": outside() for k in range(5)}))
    assert "t0.sqlite: idle µs holds" in many
    assert "in 2 more traces." in many


def test_threads_that_launched_work_of_the_steps_are_named(tmp_path: Path) -> None:
    said = "14 operations of the steps were launched by thread autograd 101, and belong"
    for form in ("table", "md", "html"):
        assert said in flat(rendered(tmp_path, ALL, form, a=with_autograd()))
    assert "launched by thread" not in flat(
        rendered(tmp_path, Question(by="strategy"), a=with_autograd())
    )
    assert "launched by thread" not in flat(rendered(tmp_path, ALL, a=decode_loop()))
    several = flat(rendered(tmp_path, ALL, a=with_autograd(5)))
    assert "70 operations of the steps were launched by other threads (autograd 101: 14," in several
    assert "autograd 103: 14 and 2 more)," in several


def test_a_note_on_a_column_needs_the_column() -> None:
    columns = (
        *(Column(name, name) for name in ("strategy", "gain_kind", "a", "b")),
        Column("idle_max_ns", "sofar µs", "us", "sofar µs: so much."),
    )
    table = Table("steps", "t", columns, (("one", "gpu", "a", "b", 1e9),))
    assert "so much" in drawn([table], [], Terminal(width=80))
    assert "sofar" not in drawn([table], [], Terminal(width=20))


def test_traces_of_one_label_are_named_in_every_table(tmp_path: Path) -> None:
    found = []
    for folder, sync in (("a", "stream"), ("b", "never")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "x.sqlite"
        decode_loop(sync=sync).write(path)
        found.append(analyze(path, Question(label="x")))
    text = reporters()["table"].render(Report(tuple(found), (), ALL), Terminal())
    tables = [part for part in text.split("\n\n") if "──" in part]
    assert len(tables) == 6
    for table in tables[:4]:
        assert "trace" in table.partition("──")[0].split(), table
        # Two files of one name are told apart by their folders.
        assert "a/x.sqlite" in table
    assert "b/x.sqlite" in tables[0]


def test_all_tables_have_one_order(tmp_path: Path) -> None:
    text = rendered(tmp_path, ALL, z=decode_loop(), a=decode_loop(), m=decode_loop())
    tables = [part.splitlines() for part in text.split("\n\n") if "──" in part]
    assert len(tables) == 5
    for table in tables:
        names = [line[0] for line in table[3:] if line[1:2] == " " and line[0].islower()]
        assert names == ["a", "m", "z"], table


def test_all_gpus_together_are_called_all(tmp_path: Path) -> None:
    text = rendered(tmp_path, a=ranks((ONE, TWO)))
    below = [line.split()[0] for line in text.splitlines() if line.startswith("   ")]
    assert "all" in below
    assert "–" not in below
    assert "GPU all: all GPUs of the trace together" in flat(text)
    assert "| all |" in rendered(tmp_path, None, "md", a=ranks((ONE, TWO)))
    rows = list(csv.DictReader(io.StringIO(rendered(tmp_path, None, "csv", a=ranks((ONE, TWO))))))
    assert [row["device"] for row in rows] == ["0", "1", "all"]
    assert "GPU all" not in flat(rendered(tmp_path, a=ranks((ONE,))))


@pytest.mark.parametrize(
    "question",
    [Question(), Question(by="step"), Question(by="cause"), Question(by="stream"), Question(top=2),
     Question(definitions=True), Question(by="rank"), Question(by="strategy")],
)  # fmt: skip
def test_csv_has_a_row_for_every_trace(tmp_path: Path, question: Question) -> None:
    host_only, thread = builder()
    for k in range(4):
        host_only.nvtx(k * 100, k * 100 + 50, f"Step {k}", thread=thread)
    text = rendered(
        tmp_path, question, "csv", z=decode_loop(), device_only=ranks((ONE,)), host_only=host_only
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    key = "strategy" if question.by == "strategy" else "trace"
    named = [Path(row[key]).stem.split(" ")[0] for row in rows]
    assert set(named) == {"z", "device_only", "host_only"}
    if question == Question():
        assert named == ["device_only", "host_only", "z"]
        bare = {k for k, v in rows[1].items() if v}
        assert bare == {"strategy", "trace"}
        assert rows[2]["period_ns"]


def test_the_next_command_runs_as_it_was_called(tmp_path: Path) -> None:
    """From an environment that no PATH knows, `harness` alone would find nothing."""
    import sys

    decode_loop().write(tmp_path / "t.sqlite")
    script = tmp_path / "venv" / "bin" / "harness"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable}\nfrom harness.cli import main\nmain()\n")
    script.chmod(0o755)
    here = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}

    def next_line(command: str, **variables: str) -> str:
        run = subprocess.run(
            shlex.split(command), cwd=tmp_path, env={**here, **variables}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        (line,) = (one for one in run.stdout.splitlines() if one.startswith("Next: "))
        return line.removeprefix("Next: ")

    line = next_line("venv/bin/harness gaps t.sqlite")
    assert line == "venv/bin/harness gaps t.sqlite --by cause"
    subprocess.run(shlex.split(line), cwd=tmp_path, env=here, capture_output=True, check=True)
    known = f"{script.parent}:/usr/bin:/bin"
    assert next_line(f"{script} gaps t.sqlite", PATH=known).startswith("harness gaps ")
