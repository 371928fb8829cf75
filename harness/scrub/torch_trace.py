"""A scrubbed copy of torch.profiler's JSON: the events that figures need, with what they need.

Written anew event by event, so that no argument or event that is not named here can come along.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..analysis.readers.kineto.rows import Rows
from ..analysis.readers.kineto.stream import Args, Event, EventStream
from ..files import write_chunks
from .errors import StillInTheCopy
from .removed import Removed, Searched
from .report import Scrubbed

_HEAD = ("schemaVersion", "baseTimeNanoseconds", "displayTimeUnit", "roctracer_version")
_GPU = (
    "id", "name", "totalGlobalMem", "computeMajor", "computeMinor", "warpSize", "numSms",
    "maxThreadsPerMultiprocessor", "regsPerMultiprocessor", "sharedMemPerMultiprocessor",
)  # fmt: skip
_RANK = ("backend", "rank", "world_size")
_ARGS = {field.name: field.encode_name for field in msgspec.structs.fields(Args)}
"""The arguments that the reader knows."""
_MARKS = frozenset({"thread_name", "Record Window End"})
"""Events without a category that are kept."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
"""What a setting may be called, and a kernel too: `bfloat16`."""
_TELLING = re.compile(r"(?i)env|token|secret|passw|key|user|host|node|name|path|dir|argv|command")
"""Where a word in the head may be a secret all the same."""


def scrub_torch(
    trace: Path, output: Path, *, force: bool = False, allow: tuple[str, ...] = ()
) -> Scrubbed:
    """Write a scrubbed copy of a torch.profiler trace; gzipped where its name ends in `.gz`.

    Raises HarnessError, with nothing written, where a text of the head stands in the copy.
    """
    copy = _Copy(trace)
    removed = Removed()
    copy.note_head(removed)
    found, allowed = _hits(copy, removed, allow)
    chunks = copy.chunks()
    write_chunks(output, _zipped(chunks) if output.name.endswith(".gz") else chunks, force=force)
    kept, dropped = (tuple(sorted(n.items())) for n in (copy.kept, copy.dropped))
    return Scrubbed(
        output=output,
        manifest=None,
        kept=kept,
        emptied=(),
        dropped=dropped,
        strings=None,
        searched=Searched(len({**removed.names, **removed.secrets}), found, allowed),
        short=removed.short,
    )


class _Copy:
    """Reads the trace as often as it is asked for its pieces."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        self._needed = frozenset(Rows().needed)
        self.kept: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.metadata: dict[str, Any] = {}

    def note_head(self, removed: Removed) -> None:
        """Note the texts of the head that are left out."""
        stream = EventStream(self._trace, self._needed, whole_head=True)
        for _ in stream:
            pass
        self.metadata = stream.metadata
        kept = {text for _, text in _named("", _head(self.metadata))}
        for key, value in self.metadata.items():
            # Names of process groups stand at their collectives, and stay there.
            if key == "distributedInfo":
                continue
            for name, text in _named(key, value):
                if text in kept:
                    continue
                if _WORD.fullmatch(text) and not _TELLING.search(name):
                    removed.name(name, text)
                else:
                    removed.secret(name.rpartition(".")[2], text)

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the copy."""
        self.kept.clear()
        self.dropped.clear()
        head = json.dumps(_head(self.metadata))
        yield (head[:-1] + (", " if len(head) > 2 else "") + '"traceEvents": [').encode()
        first = True
        for events in EventStream(self._trace, self._needed):
            written = [text for event in events if (text := self._event(event)) is not None]
            if written:
                yield (("" if first else ",") + "\n" + ",\n".join(written)).encode()
                first = False
        yield b"\n]}\n"

    def _event(self, event: Event) -> str | None:
        called = event.cat if isinstance(event.cat, str) and event.cat else event.name
        task = event.args is not None and bool(bytes(event.args.task))
        if not (event.cat in self._needed if event.cat else called in _MARKS or task):
            self.dropped[str(event.cat or "events without a category")] += 1
            return None
        self.kept["tasks" if task else str(called)] += 1
        parts = {"ph": event.ph, "cat": event.cat, "name": event.name, "pid": event.pid,
                 "tid": event.tid}  # fmt: skip
        if not event.cat:
            del parts["cat"]
        text = json.dumps(parts)[:-1]
        for name in ("ts", "dur"):
            if raw := bytes(getattr(event, name)):
                text += f', "{name}": {raw.decode()}'
        args = [
            f'"{encoded}": {raw.decode()}'
            for name, encoded in _ARGS.items()
            if event.args is not None
            and (raw := bytes(getattr(event.args, name)))
            and raw[:1] not in (b"{", b"[")
            and (name != "name" or called == "thread_name")
        ]
        return text + (f', "args": {{{", ".join(args)}}}' if args else "") + "}"


def _head(metadata: dict[str, Any]) -> dict[str, Any]:
    """What stays of what stands beside the events."""
    kept = {key: metadata[key] for key in _HEAD if isinstance(metadata.get(key), int | str)}
    gpus = metadata.get("deviceProperties")
    if isinstance(gpus, list):
        kept["deviceProperties"] = [_some(gpu, _GPU) for gpu in gpus if isinstance(gpu, dict)]
    ranks = metadata.get("distributedInfo")
    if isinstance(ranks, dict):
        kept["distributedInfo"] = _some(ranks, _RANK)
    return kept


def _some(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if isinstance(values.get(name), int | str)}


def _named(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string among the values, with the path of names to it."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _named(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(name, inner)


def _hits(copy: _Copy, removed: Removed, allow: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """How many values of the head stand in the copy all the same, and who may.

    Raises StillInTheCopy for the others.
    """
    everything = {**removed.names, **removed.secrets}
    sought = {json.dumps(value)[1:-1].encode(): called for value, called in everything.items()}
    names = {json.dumps(value)[1:-1].encode() for value in removed.names.keys() - removed.secrets}
    longest = max(map(len, sought), default=0)
    hits: set[bytes] = set()
    before = b""
    for chunk in copy.chunks():
        data = before + chunk
        hits |= {value for value in sought.keys() - hits if value in data}
        before = data[-longest:] if longest else b""
    told = {sought[value] for value in hits - names}
    bad = sorted(told - set(allow))
    if bad:
        raise StillInTheCopy(
            "nothing was written: texts of the head stand in what is kept: " + ", ".join(bad[:5])
        )
    return len(hits), tuple(sorted(told))


def _zipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, gzipped without a name and a time."""
    packer = zlib.compressobj(6, wbits=31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()
