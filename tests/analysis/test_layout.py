"""Tables in 40 to 200 columns: nothing is cut in two, nothing stands out, no number is folded."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.reports.base import Column, Report, Table, Terminal, reporters
from harness.analysis.reports.grid import cell_width, folded, grid_of

from .build import decode_loop

LABELS = ("sync", "pipelined-published-static-cache-compiled-b32-t400-20261123-224839",
          "名前が長い日本語のラベルです", "a_label_without_any_blank_" * 6)  # fmt: skip
QUESTIONS = (
    Question(), Question(by="step"), Question(by="cause"), Question(by="stream"),
    Question(by="strategy"), Question(top=3), Question(definitions=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("traces")
    found = []
    for k, label in enumerate(LABELS * 5):
        path = folder / f"{k}.sqlite"
        if k < len(LABELS):
            decode_loop(sync=("stream", "pageable", "never")[k % 3]).write(path)
        else:
            path = folder / f"{k % len(LABELS)}.sqlite"
        found.append(analyze(path, Question(label=label)))
    return Report(tuple(found))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda r: r.by or f"top{r.top}{r.definitions}")
def test_every_view_fits(report: Report, question: Question, width: int) -> None:
    text = reporters()["table"].render(Report(report.traces, (), question), Terminal(width=width))
    lines = [line for line in text.splitlines() if "harness gaps" not in line]
    assert max(map(cell_width, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    for label in LABELS[:2]:
        assert label[:10] in text


def heads(report: Report, width: int) -> str:
    """The lines of the column heads of the table of steps."""
    text = reporters()["table"].render(report, Terminal(width=width))
    _, title, table = text.partition("Idle per steady")
    assert title
    return table.partition("\n")[2].partition("\n─")[0]


def test_a_header_is_never_broken(report: Report) -> None:
    for width in (60, 80):
        head = heads(report, width)
        assert "step µs" in head
        assert "idle µs" in head


def test_more_columns_show_more(report: Report) -> None:
    shown = [heads(report, w).split() for w in (60, 80, 120, 200)]
    assert [len(head) for head in shown] == sorted(len(head) for head in shown)
    assert len(shown[-1]) > len(shown[0])


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 14, ["short"]),
        ("two words here", 9, ["two words", "here"]),
        ("unbreakable_name", 6, ["unbrea", "kable_", "name"]),
        ("日本語です", 4, ["日本", "語で", "す"]),
        ("", 3, [""]),
    ],
)
def test_folding(text: str, width: int, lines: list[str]) -> None:
    assert list(folded(text, width)) == lines


def test_numbers_are_never_folded_and_columns_give_way_in_order() -> None:
    columns = (Column("strategy", "strategy"), Column("a_ns", "a", "us"), Column("b_ns", "b", "us"),
               Column("c_ns", "c", "us"), Column("d_ns", "d", "us"))  # fmt: skip
    cells = [["name", "1,234.5", "1,234.5", "1,234.5", "1,234.5"]]
    table = Table("t", "t", columns, ())
    assert grid_of(table, cells, ("b_ns", "a_ns"), 80).chosen == (0, 1, 2, 3, 4)
    assert grid_of(table, cells, ("b_ns", "a_ns"), 34).chosen == (0, 1, 3, 4)
    # At least four columns stay, and their numbers are whole, even where they do not fit.
    assert grid_of(table, cells, ("b_ns", "a_ns"), 10).chosen == (0, 1, 3, 4)
    assert list(grid_of(table, cells, (), 10).line(cells[0])) == [
        "name      1,234.5  1,234.5  1,234.5  1,234.5"
    ]


def test_hostile_names_in_verdicts_stay_on_their_line(inside, tmp_path: Path) -> None:
    trace = decode_loop()
    thread = trace.thread(trace.process(100), 100)
    for k in range(30):
        trace.nvtx(k, k + 1, "evil\n\x1b[31mname\x9b", thread=thread)
    trace.write(tmp_path / "t.sqlite")
    run = inside("gaps", "t.sqlite", "--step", "nothing")
    assert "evil" in run.stdout
    assert "\x1b" not in run.stdout
    assert "\x9b" not in run.stdout


@pytest.mark.parametrize("columns", ["abc", "0", "-5", "", "99999999999999999999", "1"])
def test_a_strange_COLUMNS_is_no_failure(inside, tmp_path: Path, columns: str) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    run = inside("gaps", "t.sqlite", COLUMNS=columns)
    assert run.returncode == 0, run.stderr
    assert "What each change alone would win" in " ".join(run.stdout.split())


@pytest.mark.parametrize("time", ["1e999999999", "nan", "-inf", "1e-999999999", "9" * 5000 + "s"])
def test_a_strange_time_is_a_usage_error_or_nothing(inside, tmp_path: Path, time: str) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    run = inside("gaps", "t.sqlite", f"--start={time}")
    assert run.returncode == (0 if time.startswith("1e-") else 2), run.stderr
    assert inside("gaps", "t.sqlite", f"--steps={'9' * 5000}:").returncode == 2
