"""What no figure needs does not refuse a file: names without escapes, numbers without value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.readers.kineto.repair import quoted, repaired
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport

from .kineto_json import Event, dumped, event, kineto_2_11, kineto_2_13, launch

US = 1000
MARK = "A NAME"


def loop(steps: int = 14) -> list[Event]:
    """Steps of 100 us: launch at 10, kernel 20..80; and Python frames that no figure needs."""
    made: list[Event] = []
    for k in range(1, steps + 1):
        at = k * 100 * US
        made.append(event("user_annotation", f"ProfilerStep#{k}", at, at + 99 * US, 100, 100))
        call, gpu = (at + 10 * US, at + 15 * US), (at + 20 * US, at + 80 * US)
        made += launch("gemm", call, gpu, k)
        made.append(event("python_function", MARK, at, at + 9 * US, 100, 100))
    return made


def read(folder: Path, data: bytes) -> TraceReport:
    path = folder / "t.json"
    path.write_bytes(data)
    return analyze(path)


def assert_whole(found: TraceReport) -> None:
    (device,) = found.devices
    assert (device.busy_ns, device.idle_ns) == (840 * US, 520 * US)
    (series,) = found.series
    assert series.steady is not None
    assert (series.steady.period_ns, series.steady.busy_ns) == (100 * US, 60 * US)
    assert found.verdicts == ()


LAYOUTS = (kineto_2_11, kineto_2_13, dumped(), dumped(separators=(",", ":")), dumped(indent=1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name",
    [
        b"config.py(0): \x01\x02\x1f.py",
        b"two\nlines\tand a tab",
        rb"torch\cuda\__init__.py(219): _lazy_init",
        rb"C:\users\x",
        rb"half \ud83d of a pair",
        rb"\ud83d\ude00 whole",
        b"\xff\xfe no UTF-8",
        rb"\\server\share",
    ],
)
def test_names_that_were_not_escaped(tmp_path: Path, layout: object, name: bytes) -> None:
    data = layout(loop())  # type: ignore[operator]
    assert_whole(read(tmp_path, data.replace(MARK.encode(), name)))


@pytest.mark.parametrize("layout", [kineto_2_11, kineto_2_13])
@pytest.mark.parametrize("name", [b'say "hi" now', b'"', b'a "b', b'"quoted"', b'ends with "x"'])
def test_quotes_that_pytorch_does_not_escape(tmp_path: Path, layout: object, name: bytes) -> None:
    data = layout(loop())  # type: ignore[operator]
    assert_whole(read(tmp_path, data.replace(MARK.encode(), name)))


def test_a_name_that_is_needed_keeps_its_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(kineto_2_11(loop()).replace(b"gemm", b'gemm<"a", \\x>'))
    names = open_trace(path).strings.values.values()
    assert 'gemm<"a", \\x>' in names


def test_an_event_that_no_figure_needs_may_be_beyond_mending(tmp_path: Path) -> None:
    data = kineto_2_11(loop()).replace(b'"name": "' + MARK.encode(), b'"name": 7x"')
    assert_whole(read(tmp_path, data))


@pytest.mark.parametrize("name", [b"gemm", b"ProfilerStep#7", b"cudaLaunchKernel"])
def test_an_event_that_a_figure_needs_may_not(tmp_path: Path, name: bytes) -> None:
    data = kineto_2_11(loop()).replace(b'"name": "' + name, b'"name": 7x"', 1)
    with pytest.raises(TraceError, match="is not valid JSON"):
        read(tmp_path, data)


@pytest.mark.parametrize("head", ['"x": NaN,', '"x": [1, -Infinity, nan],', '"x": {"y": inf},'])
def test_numbers_without_a_value_around_the_events(tmp_path: Path, head: str) -> None:
    assert_whole(read(tmp_path, kineto_2_11(loop(), head=head)))
    assert_whole(read(tmp_path, kineto_2_11(loop(), tail=head)))


def test_control_characters_and_backslashes_around_the_events(tmp_path: Path) -> None:
    head = '"cwd": "C:\\projects\\x\x01",'
    assert_whole(read(tmp_path, kineto_2_11(loop(), head=head)))
    assert_whole(read(tmp_path, kineto_2_11(loop(), tail=head)))


def test_empty_lists_of_args(tmp_path: Path) -> None:
    data = kineto_2_11(loop()).replace(
        f'"name": "{MARK}"'.encode(), f'"name": "{MARK}", "args": []'.encode()
    )
    assert b'"args": []' in data
    assert_whole(read(tmp_path, data))


def test_mending_leaves_good_json_as_it_is() -> None:
    text = json.dumps({"a": ['x "y" \\ \n \t é 😀', 1.5, None, {"b": [True, "c, nan"]}]}).encode()
    assert json.loads(repaired(text)) == json.loads(text)
    assert json.loads(quoted(text)) == json.loads(text)
