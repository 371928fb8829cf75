#!/usr/bin/env python
"""Which JSON parser reads torch.profiler traces best? What readers/kineto/stream.py rests on.

    pip install msgspec orjson ijson pysimdjson
    python benchmarks/kineto_parsers.py TRACE.json

Each candidate runs in a process of its own and counts the events of the kinds that are kept, with
times that stay exact where the parser allows it. Candidates that are not installed are named.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

KEPT = {"kernel", "gpu_memcpy", "gpu_memset", "cuda_runtime", "cuda_driver", "user_annotation"}
PIECE = 4 << 20


def pieces(path: str) -> Iterator[bytes]:
    """The events in pieces of about 4 MiB, cut where Kineto's own layout ends an event."""
    with open(path, "rb") as file:
        rest = file.read(PIECE)
        rest = rest[rest.index(b"[", rest.index(b'"traceEvents"')) + 1 :]
        while block := file.read(PIECE):
            rest += block
            cut = rest.rfind(b"\n  },\n  {")
            yield rest[: cut + 4]
            rest = rest[cut + 5 :]
        yield rest[: rest.rindex(b"\n  ]")]


def whole_json(path: str) -> int:
    events = json.loads(Path(path).read_bytes())["traceEvents"]
    return sum(e.get("cat") in KEPT for e in events)


def json_in_pieces(path: str) -> int:
    """Exact: `parse_float=str` keeps the digits."""
    return sum(
        e.get("cat") in KEPT
        for piece in pieces(path)
        for e in json.loads(b"[" + piece + b"]", parse_float=str)
    )


def orjson_in_pieces(path: str) -> int:
    """Not exact: every number with a point becomes a double."""
    import orjson

    return sum(
        e.get("cat") in KEPT for piece in pieces(path) for e in orjson.loads(b"[" + piece + b"]")
    )


def ijson_stream(path: str) -> int:
    """Not exact with use_float; exact, and slower by a third, without."""
    import ijson

    with open(path, "rb") as file:
        events = ijson.items(file, "traceEvents.item", use_float=True)
        return sum(e.get("cat") in KEPT for e in events)


def simdjson_in_pieces(path: str) -> int:
    """Not exact; and each event must be let go before the next piece."""
    import simdjson

    parser, count = simdjson.Parser(), 0
    for piece in pieces(path):
        events = parser.parse(b"[" + piece + b"]")
        for event in events:
            count += event.get("cat") in KEPT
        del event, events
    return count


def msgspec_in_pieces(path: str) -> int:
    """Exact: numbers stay text (`msgspec.Raw`), and what is not asked for is skipped."""
    from harness.analysis.readers.kineto.stream import _decode_events

    return sum(e.cat in KEPT for piece in pieces(path) for e in _decode_events(b"[" + piece + b"]"))


def regex_of_the_layout(path: str) -> int:
    """Exact, and blind to every layout but Kineto's before PyTorch 2.13."""
    kinds = "|".join(sorted(KEPT))
    pattern = re.compile(
        rb'"ph": "X", "cat": "(?:%s)", "name": "([^"]*)", "pid": (-?\d+), "tid": (-?\d+),\s+'
        rb'"ts": ([\d.]+), "dur": ([\d.]+)' % kinds.encode()
    )
    return sum(len(pattern.findall(piece)) for piece in pieces(path))


def whole_reader(path: str) -> int:
    """What it all amounts to: the trace as columns, ready for the analysis."""
    from harness.analysis.readers.kineto.tables import read_kineto

    trace = read_kineto(Path(path))
    return len(trace.operations) + len(trace.calls) + int((trace.ranges.domain == 0).sum())


CANDIDATES = {
    f.__name__: f
    for f in (
        whole_json, json_in_pieces, orjson_in_pieces, ijson_stream, simdjson_in_pieces,
        regex_of_the_layout, msgspec_in_pieces, whole_reader,
    )
}  # fmt: skip


def main() -> None:
    if len(sys.argv) == 3:
        begun = time.perf_counter()
        count = CANDIDATES[sys.argv[2]](sys.argv[1])
        seconds = time.perf_counter() - begun
        peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        print(seconds, int(peak.group(1)) / 1024 if peak else 0, count)
        return
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    size = Path(sys.argv[1]).stat().st_size / 1e6
    print(f"{sys.argv[1]}: {size:.0f} MB; median of 3")
    for name in CANDIDATES:
        runs = []
        for _ in range(3):
            command = [sys.executable, __file__, sys.argv[1], name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name:22} not run: {done.stderr.strip().splitlines()[-1]}")
                break
            runs.append([float(word) for word in done.stdout.split()])
        else:
            seconds, peak, count = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{name:22} {seconds:6.2f} s {size / seconds:6.0f} MB/s {peak:6.0f} MB peak "
                  f"{count:9.0f} events kept")  # fmt: skip


if __name__ == "__main__":
    main()
