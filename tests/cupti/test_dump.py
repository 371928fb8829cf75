"""Reading the shim's dump: what was packed comes back; a broken file is one line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.capture.cupti.dump import HEAD, read_dump
from harness.errors import CaptureError

from .packed import CLOSED, OPENED, at, dump, kernel, launch


def test_what_was_packed_comes_back(tmp_path):
    path = tmp_path / "records.bin"
    path.write_bytes(
        dump(
            head={"dropped": 3, "broken_buffers": 1, "capturing": 1},
            kernel=[kernel(5, 10, 12), kernel(6, 13, 20)],
            api=[launch(5, 1), launch(6, 4)],
        )
    )
    records = read_dump(path)
    assert records.table("kernel")["correlation"].tolist() == [5, 6]
    assert records.table("kernel")["end"].tolist() == [at(12), at(20)]
    assert records.table("kernel")["block"].tolist() == [[32, 1, 1]] * 2
    assert records.table("api")["start"].tolist() == [at(1), at(4)]
    assert len(records.table("memcpy")) == 0
    assert records.strings[1] == "gemm"
    assert (records.dropped, records.broken_buffers, records.capturing) == (3, 1, True)
    assert (records.opened.cupti_ns, records.closed.cupti_ns) == (OPENED, CLOSED)
    assert (records.opened.offset_ns, records.opened.half_width_ns) == (0, 20)


def test_what_ran_before_the_session_is_not_in_it(tmp_path):
    path = tmp_path / "records.bin"
    rows = [
        {"start": OPENED - 900, "end": OPENED - 100, "correlation": 1},
        {"start": at(5), "end": at(9), "correlation": 2},
        {"start": 0, "end": 0, "correlation": 3},  # no valid time: kept, to be counted
    ]
    path.write_bytes(dump(graph=rows))
    assert read_dump(path).table("graph")["correlation"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "is not a dump of the CUPTI shim"),
        (lambda data: b"PK" + data[2:], "is not a dump of the CUPTI shim"),
        (lambda data: data[:8] + np.uint32(1).tobytes() + data[12:], "has layout 1, 2 was"),
        (lambda data: data[: HEAD.itemsize], "is cut short"),
        (lambda data: data[:-1], "is cut short"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, change, words):
    path = tmp_path / "records.bin"
    path.write_bytes(change(dump(kernel=[kernel(5, 10, 12)])))
    with pytest.raises(CaptureError, match=words):
        read_dump(path)


def test_no_file(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        read_dump(tmp_path / "records.bin")


_WHOLE = dump(kernel=[kernel(5, 10, 12)], api=[launch(5, 1)])


@given(st.integers(0, len(_WHOLE) - 1))
def test_a_dump_cut_anywhere_is_refused(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "records.bin"
    path.write_bytes(_WHOLE[:length])
    with pytest.raises(CaptureError):
        read_dump(path)
