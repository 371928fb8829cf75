"""Kineto's own JSON layouts, for traces made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from harness.analysis.model.schema import NULL, CopyKind, Kind, SyncType
from harness.analysis.model.trace import Trace

Event = dict[str, Any]

US = 1000

H100 = '{"id": 0, "name": "NVIDIA H100 80GB HBM3", "computeMajor": 9, "warpSize": 32}'


def us(ns: int) -> str:
    """Nanoseconds as Kineto prints them: microseconds with three decimals."""
    sign = "-" if ns < 0 else ""
    return f"{sign}{abs(ns) // 1000}.{abs(ns) % 1000:03}"


def kineto_2_11(
    events: Iterable[Event], head: str = "", tail: str = "", between: str = ", "
) -> bytes:
    """The layout of PyTorch up to 2.12: an event on a few lines, args on their own."""
    parts = [
        '\n  {\n    "schemaVersion": 1,\n    "deviceProperties": [\n    ' + H100 + "\n    ],"
        + head + '\n  "displayTimeUnit": "ms",\n  "baseTimeNanoseconds": 1790857026000000000,'
        '\n  "traceEvents": ['
    ]  # fmt: skip
    end = {"name": "Record Window End", "ph": "i", "s": "g", "pid": "", "tid": "",
           "ts": Raw("9000.000")}  # fmt: skip
    written = []
    for one in [*events, end]:
        event = dict(one)
        args = event.pop("args", None)
        # Bare numbers, as text: no float may touch a time.
        body = between.join(f'"{k}": {_value(v)}' for k, v in event.items())
        if args is not None:
            pairs = ", ".join(f'"{k}": {_value(v)}' for k, v in args.items())
            body += ',\n    "args": {\n      ' + pairs + "\n    }"
        written.append("\n  {\n    " + body + "\n  }")
    parts += [",".join(written), "\n  ]," + tail + '\n  "traceName": "t"\n}']
    return "".join(parts).encode()


def kineto_2_13(events: Iterable[Event], head: str = "", tail: str = "") -> bytes:
    """The layout of PyTorch 2.13: one member a line."""
    return kineto_2_11(events, head, tail, between=",\n    ")


def dumped(**options: Any) -> Callable[..., bytes]:
    """What tools write that read a trace with `json` and save it again."""

    def layout(events: Iterable[Event], head: str = "", tail: str = "") -> bytes:
        text = kineto_2_11(events, head, tail).decode()
        return json.dumps(json.loads(text, parse_float=_Number), cls=_Encoder, **options).encode()

    return layout


class _Number(float):
    """A float that remembers how it was written."""

    def __new__(cls, text: str) -> _Number:
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __repr__(self) -> str:
        return self.text


class _Encoder(json.JSONEncoder):
    def iterencode(self, o: Any, _one_shot: bool = False) -> Any:
        # The C encoder ignores a subclass's repr; the Python one asks float.__repr__.
        from json import encoder

        return encoder._make_iterencode(
            {}, self.default, encoder.py_encode_basestring_ascii, self.indent, repr,
            self.key_separator, self.item_separator, self.sort_keys, self.skipkeys, False,
        )(o, 0)  # fmt: skip


def _value(value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    return json.dumps(value)


class Raw:
    """A value that goes into the file as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text


def event(cat: str, name: str, start: int, end: int, pid: Any, tid: Any, **args: Any) -> Event:
    """A complete event; times are ns."""
    made: Event = {
        "ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid,
        "ts": Raw(us(start)), "dur": Raw(us(end - start)),
    }  # fmt: skip
    return made | ({"args": args} if args else {})


def launch(
    name: str, call: tuple[int, int], gpu: tuple[int, int], correlation: int, stream: int = 7,
    api: str = "cudaLaunchKernel", cat: str = "kernel", pid: int = 100, tid: int = 100,
) -> list[Event]:  # fmt: skip
    """A call and its GPU operation, in the shape that Kineto gives CUDA's."""
    return [
        event("cuda_runtime", api, *call, pid, tid, cbid=211, correlation=correlation),
        event(
            cat, name, *gpu, 0, stream,
            queued=0, device=0, context=1, stream=stream, correlation=correlation,
        ),
    ]  # fmt: skip


_COPY = {1: "HtoD", 2: "DtoH", 8: "DtoD", 10: "PtoP"}
_SYNC = {SyncType.EVENT: "Event Sync", SyncType.STREAM_WAIT_EVENT: "Stream Wait Event",
         SyncType.STREAM: "Stream Sync", SyncType.CONTEXT: "Context Sync"}  # fmt: skip


def profiled_loop(
    more: Sequence[tuple[str, str, int, int]] = (), api: str = "cudaLaunchKernel"
) -> bytes:
    """14 steps of 100 us; host 10, launch call 5, queue 5, kernel 60, from 20 to 80.

    `more`: (category, name, start, length) in each step, us.
    """
    events: list[Event] = []
    for step in range(14):
        base = 1000 + 100 * step
        events.append(
            event("user_annotation", f"ProfilerStep#{step}", base * US, (base + 99) * US, 100, 100)
        )
        events += launch(
            "gemm", ((base + 10) * US, (base + 15) * US), ((base + 20) * US, (base + 80) * US),
            step + 1, api=api,
        )  # fmt: skip
        for k, (category, name, start, length) in enumerate(more):
            place = (-1, 0) if category == "overhead" else (100, 100)
            span = (base + start) * US, (base + start + length) * US
            number = 10_000 + 100 * step + k
            events.append(event(category, name, *span, *place, correlation=number))
    return kineto_2_11(events)


def events_of(trace: Trace) -> list[Event]:
    """A trace from anywhere as Kineto would have written it (one process, no overhead rows)."""
    made: list[Event] = []
    threads = [(t.pid, t.tid) for t in trace.threads]
    o, c, r, s = trace.operations, trace.calls, trace.ranges, trace.synchronizations
    for k in range(len(c)):
        pid, tid = threads[c.thread[k]]
        name = c.names[c.name[k]]
        made.append(
            event("cuda_runtime", name, int(c.start[k]), int(c.end[k]), pid, tid, cbid=1,
                  correlation=int(c.correlation[k]))
        )  # fmt: skip
    for k in range(len(o)):
        place = {"device": trace.devices[o.device[k]].ordinal, "stream": int(o.stream[k])}
        if o.correlation[k] != NULL:
            place["correlation"] = int(o.correlation[k])
        cat, name = {
            Kind.KERNEL: ("kernel", trace.strings[int(o.name[k])]),
            Kind.MEMCPY: ("gpu_memcpy", f"Memcpy {_COPY.get(int(o.copy_kind[k]), '?')} (? -> ?)"),
            Kind.MEMSET: ("gpu_memset", "Memset (Device)"),
        }[Kind(int(o.kind[k]))]
        span = int(o.start[k]), int(o.end[k])
        made.append(event(cat, name, *span, place["device"], place["stream"], **place))
    for k in range(len(s)):
        stream = int(s.stream[k])
        made.append(
            event("cuda_sync", _SYNC[SyncType(int(s.kind[k]))], int(s.start[k]), int(s.end[k]),
                  0, stream, stream=stream, correlation=int(s.correlation[k]), device=0)
        )  # fmt: skip
    for k in np.lexsort((-r.end, r.start)).tolist():
        pid, tid = threads[r.thread[k]]
        name = trace.strings[int(r.name[k])]
        made.append(event("user_annotation", name, int(r.start[k]), int(r.end[k]), pid, tid))
    return made


assert CopyKind.DTOH == 2
