"""nsys's words and the target's come through one pipe."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.capture.nsys.log import _PROBLEM, NsysLog

from .fake_nsys import THROWN

SAID = """\
hello from target
Importer error status: The importer binary and its dependencies were not found.
Unable to retrieve the importer version: skipping importation of the QDSTRM file.
Capture range started in the application.
Generating '/tmp/nsys-report-6d1f.qdstrm'
Capture range ended in the application.
Generated:
    /home/me/t/out1.qdstrm
    /home/me/t/out1.sqlite
bye
    /not/a/report
"""


def read(text: str) -> tuple[NsysLog, list[str]]:
    log = NsysLog()
    own = [log.take(piece) for piece in text.splitlines(keepends=True)]
    return log, [piece for piece in own if piece is not None]


def test_what_is_kept_and_what_is_passed_on():
    log, own = read(SAID)
    assert own == ["hello from target\n", "bye\n", "    /not/a/report\n"]
    assert log.generated == [Path("/home/me/t/out1.qdstrm"), Path("/home/me/t/out1.sqlite")]
    assert log.temporary == Path("/tmp/nsys-report-6d1f.qdstrm")
    assert not log.usage_error


def test_an_empty_list_of_reports():
    log, own = read("Generated:\nafter\n")
    assert log.generated == []
    assert own == ["after\n"]


def test_a_rejected_command_line():
    log, _ = read("unrecognised option '--bad'\n\nusage: nsys profile [<args>] [application]\n")
    assert log.usage_error
    assert log.problems == ["unrecognised option '--bad'"]


def test_words_that_are_no_utf8():
    log, own = read("Message parsing failed.\n")
    assert log.not_utf8
    assert log.problems == ["Message parsing failed."]
    assert own == ["Message parsing failed.\n"]


def test_an_exception_of_nsys_itself():
    log, own = read(f"{THROWN}\n")
    assert own == ["\n"]
    assert log.failure() == "sem_open: No such file or directory"
    assert not log.heard
    said = (
        "/x/QuadD/Client.cpp(381): Throw in function QuadD::Get()\n[QuadD::tag_message*] = Lost.\n"
    )
    assert read(said)[0].failure() == "Lost"
    assert read("/x/QuadD/Client.cpp(381): Throw in function f()\n")[0].failure() is not None


def test_an_exception_of_the_target():
    said = THROWN.replace("QuadD", "Mine")
    log, own = read(said)
    assert "".join(own) == said
    assert log.failure() is None
    assert log.heard


@pytest.mark.parametrize("line", ["Connection reset by peer", "End of file"])
def test_a_lone_line_of_a_lost_helper(line):
    log, _ = read(f"{line}\n")
    assert (log.failure(), log.before_start()) == (line, True)
    for more in (f"recv: {line}\n", f"hello\n{line}\n", f"{line}\nhello\n"):
        log, own = read(more)
        assert (log.failure(), log.before_start()) == (None, False)
        assert "".join(own) == more
    log, _ = read(f"Collecting data...\n{line}\n")
    assert (log.failure(), log.before_start()) == (line, False)


def test_a_diverted_report(tmp_path):
    elsewhere = tmp_path / "nsys-report-2ec9.nsys-rep"
    elsewhere.write_bytes(b"report")
    log, _ = read(
        f"Failed to create '/full/report.qdstrm': No space\nGenerated:\n    {elsewhere}\n"
    )
    assert log.diverted() == elsewhere
    assert log.problems == ["Failed to create '/full/report.qdstrm': No space"]


def test_only_a_temporary_report_is_ever_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    precious = tmp_path / "precious.txt"
    left = tmp_path / "nsys-report-00aa.qdstrm"
    for path in (precious, left):
        path.write_text("x")
        log, _ = read(f"Generating '{path}'\n")
        log.remove_temporary()
    assert precious.exists()
    assert not left.exists()


def test_blocks_are_read_as_their_lines_are():
    known = [
        *("[1/8] [0%  ] x", "Exporting 12 events: x", "The --wait option is x", "  FATAL ERROR: x"),
        *("Capture range ended in the application.", "The target application returned non-zero"),
        *("No space left on device", "usage: nsys profile [<args>]", "Unknown executable format x"),
        *("Use the `--wait` option", "Failed to create 'x'", "Importer error status: x"),
        *("Collecting data...", "Processing [==", "Importing [==", "Saved report file to x"),
        *("Processing events...", "Saving temporary x", "Waiting for termination of x"),
        *("unrecognised option x", "Illegal x", "Invalid x", "Error: x", "ERROR: x"),
        *THROWN.splitlines()[:1],
        *("Substitution error x", "Unable to retrieve the importer version", "Generating 'a' x"),
    ]
    heard = [line for line in known if NsysLog().take(line) is None or _PROBLEM.match(line.strip())]
    assert len(heard) >= len(known) - 2  # the others are heard by their flags
    for text in (SAID, *known):
        block = f"mine\n{text}\nmine too\r\n\n{text}\n"
        by_line, own = read(block)
        by_block = NsysLog()
        assert by_block.take_block(block) == "".join(own)
        assert by_block == by_line


@given(
    st.lists(
        st.sampled_from([*SAID.splitlines(), *THROWN.splitlines(), "", "x", "[1/8] [", " /tmp/a"]),
        max_size=30,
    )
)
def test_blocks_cut_anywhere_give_the_same(lines):
    by_line, own = read("".join(f"{line}\n" for line in lines))
    log, said = NsysLog(), ""
    for k in range(0, len(lines), 3):
        said += log.take_block("".join(f"{line}\n" for line in lines[k : k + 3]))
    assert said == "".join(own)
    assert log == by_line
