"""The second look at a trace: fast, never stale, bounded, and never needed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from harness.cli import cli
from harness.question import Means
from harness.run import background, cache, memory
from harness.run import one_trace as look

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from grow import grow

from .compare import figures, in_detail, ordered
from .invent import invent


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace that counts as large, and a cache of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(look, "SMALL", 0)
    return invent(11, tmp_path / "trace.sqlite")


def seen(path: Path, question: Question | None = None, **means: object) -> TraceReport:
    """One look, and what it keeps."""
    report = look.run(path, in_detail(question or Question()), Means(**means))  # type: ignore[arg-type]
    background.finish()
    return report


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The traces that are read in whole."""
    found: list[Path] = []

    def counting(path: Path) -> Trace:
        found.append(Path(path))
        return open_trace(path)

    monkeypatch.setattr(look, "open_trace", counting)
    monkeypatch.setattr("harness.analysis.analyze.open_trace", counting)
    return found


def test_the_second_look_reads_nothing_and_says_the_same(trace: Path, reads: list[Path]) -> None:
    first, second = seen(trace), seen(trace)
    assert reads == [trace]
    assert ordered(figures(second)) == ordered(figures(first))


def test_another_question_reads_the_stored_columns(trace: Path, reads: list[Path]) -> None:
    seen(trace)
    question = Question(start=2000, end=5000, steps=(1, None))
    found = seen(trace, question)
    assert reads == [trace]
    assert ordered(figures(found)) == ordered(figures(analyze(open_trace(trace), question)))


@pytest.mark.parametrize(
    "words",
    [["--by", "cause"], ["--by", "stream"], ["--by", "step"], ["--top", "3"], ["--top", "20"]],
)
def test_other_views_of_the_same_figures_need_no_columns(
    trace: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    command = ["gaps", str(trace), "--format", "json", *words]
    expected = CliRunner().invoke(cli, [*command, "--no-cache"])
    seen_first = CliRunner().invoke(cli, ["gaps", str(trace)])
    background.finish()
    assert expected.exit_code == seen_first.exit_code == 0, expected.stderr
    monkeypatch.setattr(look.Store, "trace", None)  # no rows
    monkeypatch.setattr(look, "_chunked", None)
    assert CliRunner().invoke(cli, command).stdout == expected.stdout


@pytest.mark.parametrize("cached", [True, False])
def test_beyond_the_budget_the_figures_are_the_same(
    trace: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path], cached: bool
) -> None:
    expected = ordered(figures(analyze(trace, Question())))
    reads.clear()
    monkeypatch.setattr(memory, "needed", lambda path: 10**12)
    found = seen(trace, memory=10**9, cached=cached)
    assert reads == []
    assert ordered(figures(found)) == expected
    assert len(cache.entries()) == int(cached)


def test_rows_beyond_the_budget_are_refused_with_the_sizes(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "needed", lambda path: 5 * 10**9)
    with pytest.raises(TraceError, match=r"5\.0 GB of memory, and 1\.0 GB may be taken"):
        seen(trace, memory=10**9, rows=True)


@pytest.mark.parametrize("same_time", [False, True])
def test_a_trace_written_again_is_another_one(
    trace: Path, reads: list[Path], same_time: bool
) -> None:
    before = seen(trace)
    info = trace.stat()
    with closing(sqlite3.connect(trace)) as database, database:
        database.execute("UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET end = end + 1")
    if same_time:
        os.utime(trace, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert trace.stat().st_size == info.st_size
    after = seen(trace)
    assert len(reads) == 2
    assert ordered(figures(after)) != ordered(figures(before))
    assert ordered(figures(after)) == ordered(figures(analyze(trace)))


def test_a_manifest_is_read_anew(trace: Path, reads: list[Path]) -> None:
    assert seen(trace).label == "trace"
    manifest = trace.with_suffix(".json")
    manifest.write_text('{"manifest_version": 1, "label": "mine", "capture": {"completeness": '
                        '{"dropped": 3}}}')  # fmt: skip
    report = seen(trace)
    assert report.label == "mine"
    assert "capture-dropped" in [verdict.code for verdict in report.verdicts]
    manifest.unlink()
    assert seen(trace).label == "trace"
    assert reads == [trace]


def test_what_is_damaged_is_built_again(trace: Path, reads: list[Path]) -> None:
    first = seen(trace)
    (entry,) = cache.entries()
    for answer in (entry.folder / "answers").iterdir():
        answer.write_bytes(b"nonsense")
    assert ordered(figures(seen(trace))) == ordered(figures(first))
    assert reads == [trace]
    (entry.folder / "operations.start.bin").write_bytes(b"")
    assert ordered(figures(seen(trace))) == ordered(figures(first))
    assert reads == [trace, trace]
    seen(trace)
    assert reads == [trace, trace]


def test_nothing_is_kept_of_small_traces_or_where_nobody_wants_it(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(trace, cached=False)
    monkeypatch.setattr(look, "SMALL", trace.stat().st_size + 1)
    seen(trace)
    monkeypatch.setattr(look, "SMALL", 0)
    monkeypatch.setenv("HARNESS_CACHE", "off")
    seen(trace)
    assert not Path("off").exists()
    monkeypatch.setenv("HARNESS_CACHE", str(trace.parent / "cache"))
    assert cache.entries() == []


def test_a_cache_that_cannot_be_written_is_done_without(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(trace / "no folder"))
    assert seen(trace).devices
    monkeypatch.setattr(memory, "needed", lambda path: 10**12)
    assert seen(trace, memory=10**9).devices


def test_the_cache_is_bounded_and_the_entry_used_last_stays(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [trace.with_name(f"copy{k}.sqlite") for k in range(3)]
    seen(trace)
    (entry,) = cache.entries()
    monkeypatch.setenv("HARNESS_CACHE_SIZE", str(int(entry.size * 2.5)))
    for age, other in enumerate(others):
        shutil.copy(trace, other)
        seen(other)
        for found in cache.entries():
            if found.trace != str(other):
                os.utime(found.folder, (age, age))
        if age == 1:
            seen(trace)  # used again: the one that nobody looked at goes instead
    kept = {Path(found.trace).name for found in cache.entries()}
    assert len(kept) == 2
    assert others[2].name in kept


def test_what_a_killed_run_left_is_removed_in_time(trace: Path) -> None:
    left = cache.traces_folder() / ".build-killed"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    seen(trace)
    assert not left.exists()
    assert [p for p in cache.traces_folder().iterdir() if p.name.startswith(".")] == []


def test_the_command_lists_and_clears(trace: Path, harness) -> None:
    where = {"HARNESS_CACHE": str(trace.parent / "cache")}
    seen(trace)
    shown = harness("cache", **where)
    assert str(trace.resolve()) in shown.stdout
    assert "at most 10.0 GB" in shown.stdout
    cleared = harness("cache", "clear", **where)
    assert cleared.stdout == ""
    assert cleared.stderr.startswith("1 kept traces and exports removed")
    assert cache.entries() == []


@pytest.mark.parametrize(
    ("size", "said"), [("much", "'much' is not a size"), ("1MB", "the least is 384 MB")]
)
def test_what_is_no_budget(trace: Path, harness, size: str, said: str) -> None:
    run = harness("gaps", trace, "--memory", size)
    assert run.returncode == 2
    assert said in run.stderr


def test_the_command_line_gives_the_same_within_a_budget(
    harness, public_traces: Path, tmp_path: Path
) -> None:
    """A real process, 30 times the real export: chunks, the store, and the second look."""
    big = tmp_path / "big.sqlite"
    grow(public_traces / "power_iteration.sqlite", big, 140_000)
    where = {"HARNESS_CACHE": str(tmp_path / "cache")}
    asked = ("gaps", big, "--step", "*", "--format", "json", "--top", "3")
    plain = harness(*asked, "--no-cache", **where)
    assert not (tmp_path / "cache").exists()
    first, second = harness(*asked, **where), harness(*asked, **where)
    window = (*asked, "--start", "5s", "--end", "6s")
    cut = harness(*window, **where)
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout == first.stdout == second.stdout
    assert cut.stdout == harness(*window, "--no-cache", **where).stdout


def test_a_window_of_a_stored_trace_reads_little_of_it(
    trace: Path, public_traces: Path, tmp_path: Path
) -> None:
    from harness.analysis.question import StepPattern
    from harness.analysis.readers.metadata import read_metadata
    from harness.analysis.readers.sqlite.database import open_database
    from harness.analysis.store.opened import Store
    from harness.analysis.store.save import save_trace

    big = tmp_path / "big.sqlite"
    grow(public_traces / "power_iteration.sqlite", big, 100_000)
    place = tmp_path / "store"
    place.mkdir()
    save_trace(open_trace(big), read_metadata(open_database(big)), place)
    pattern = (StepPattern.glob("Step *"), StepPattern.glob("*"))[:1]
    analyze(Store(place, big), Question(patterns=pattern))
    columns = sum(path.stat().st_size for path in place.glob("*.bin"))
    for question in (
        Question(patterns=pattern, start=20_000_000_000, end=20_200_000_000),
        Question(patterns=pattern, steps=(300, 305)),
    ):
        store = Store(place, big)
        report = analyze(store, question)
        assert 0 < report.devices[0].operations < 2000
        assert store.bytes_read < columns / 20
