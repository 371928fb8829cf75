"""The JSON of torch.profiler as a stream of events, in memory that does not grow with the file.

The file is cut between two events into pieces of a few MiB, each decoded at once by msgspec into
the few fields that matter; numbers stay text, so that no time passes through a float (seven hours
of microseconds with three decimals no longer fit a double to the nanosecond). Of the parsers
compared by benchmarks/kineto_parsers.py this one is the fastest that reads every valid layout.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...model.errors import CannotRead, TraceError
from ..errors import ExpandsTooFar, InvalidJson, ManifestGiven, NotATrace, TraceDamaged, Truncated
from ..formats import BOM, GZIP
from ..other_tools import unpacked
from .braces import scan
from .repair import quoted, repaired

_BLOCK = 1 << 20
_LARGEST = 256 << 20
"""No header and no tail is larger; what is, is no trace."""
_LARGEST_EVENT = 8 << 20
_DEEPEST = 1000
"""Levels of nesting inside the events: the profiler writes five."""
_EXPANSION, _FREE = 100, 8 << 20
"""Times that gzip may have shrunk a trace, and bytes that are let pass in any case. Real traces
shrink 10 to 30 times; what shrinks a thousand times repeats itself and is no trace."""
_NEEDED = frozenset(("schemaVersion", "baseTimeNanoseconds", "deviceProperties", "distributedInfo"))
"""What is decoded of what stands beside the events."""
_LARGEST_MEMBER = 1 << 20
"""None of these is larger; lists within lists take fifty times their bytes."""
_RETURNED = 8
"""Places that look like the start of the events before the search gives up."""

_EVENTS = re.compile(rb'"traceEvents"\s*:\s*\[')
_BOUNDARY = b"\n  },\n  {"
"""Between two events as every Kineto writes them; other layouts are scanned for braces."""
_CATEGORY = re.compile(rb'"cat"\s*:\s*"(\w*)"')

_PLACE = re.compile(r"\(byte (\d+)\)")

ABSENT = msgspec.Raw(b"")

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for text that is no JSON, or is nested thousands of levels deep."""


class Args(msgspec.Struct, gc=False):
    """The members of an event's `args` that say where it belongs, as JSON text."""

    correlation: msgspec.Raw = ABSENT
    stream: msgspec.Raw = ABSENT
    device: msgspec.Raw = ABSENT
    name: msgspec.Raw = ABSENT
    fromDevice: msgspec.Raw = ABSENT
    toDevice: msgspec.Raw = ABSENT
    collective: msgspec.Raw = msgspec.field(default=ABSENT, name="Collective name")
    group: msgspec.Raw = msgspec.field(default=ABSENT, name="Process Group Description")
    group_ranks: msgspec.Raw = msgspec.field(default=ABSENT, name="Process Group Ranks")
    task: msgspec.Raw = msgspec.field(default=ABSENT, name="Task Type")
    task_stream: msgspec.Raw = msgspec.field(default=ABSENT, name="Physic Stream Id")
    group_name: msgspec.Raw = msgspec.field(default=ABSENT, name="Process Group Name")
    context: msgspec.Raw = ABSENT
    sequence: msgspec.Raw = msgspec.field(default=ABSENT, name="Seq")
    external: msgspec.Raw = msgspec.field(default=ABSENT, name="External id")


class Event(msgspec.Struct, gc=False):
    """One event of the Chrome trace format; `ts` and `dur` are microseconds as JSON text."""

    ph: Any = ""
    cat: Any = ""
    name: Any = ""
    pid: Any = 0
    tid: Any = 0
    ts: msgspec.Raw = ABSENT
    dur: msgspec.Raw = ABSENT
    args: Args | None = None


_decode_events = msgspec.json.Decoder(list[Event]).decode


class EventStream:
    """Iterate over it for lists of events; `metadata` is complete when it is exhausted.

    `needed`: the categories of events without which there would be other figures. An event of
    another category that is no JSON is left out; names that Kineto did not escape are mended.

    Raises TraceError, one line, from the iteration: no JSON, no traceEvents, cut short, damaged.
    """

    def __init__(
        self, path: Path, needed: Container[str] = (), *, whole_head: bool = False
    ) -> None:
        self.path = path
        self._whole_head = whole_head
        self._needed = needed
        self.metadata: dict[str, Any] = {}
        """What stands beside `traceEvents` at the top of the file: what a trace needs of it, or
        with `whole_head` all."""
        self.count = 0
        """Events decoded so far, of every kind."""
        self._blocks = _blocks(path)
        self._rest = b""
        self._ended = False
        self._known_layout = True

    def __iter__(self) -> Iterator[list[Event]]:
        bare_array = self._find_events()
        while True:
            self._skip_blank()
            if self.count and self._rest.startswith(b","):
                self._rest = self._rest[1:]
                self._skip_blank()
            if self._rest.startswith(b"]"):
                self._tail(self._rest[1:], bare_array)
                return
            cut = self._cut()
            try:
                events = self._decode(self._rest[:cut])
            except NO_JSON as error:
                if not self._known_layout:
                    raise self._malformed(error) from error
                self._known_layout = False  # cut at the wrong place? then look at every brace
                continue
            if not any(event.ph for event in events):
                raise self._malformed(f"{len(events)} events without a phase (`ph`)")
            self.count += len(events)
            self._rest = self._rest[cut:]
            yield events

    def _skip_blank(self) -> None:
        self._rest = self._rest.lstrip()
        while not self._rest and not self._ended:
            self._rest = self._more(b"").lstrip()

    def _find_events(self) -> bool:
        """Read up to the first event; whether the file is an array without anything around it."""
        head = b""
        tried: set[int] = set()
        while True:
            head = (head + self._more(head)).removeprefix(BOM).lstrip()
            if not head and not self._ended:
                continue
            if not head.startswith((b"{", b"[")):
                raise unpacked(self.path, head) or NotATrace(
                    f"{self.path} is neither an SQLite trace nor a torch.profiler JSON trace"
                )
            if head.startswith(b"["):
                self._rest = head[1:]
                return True
            for match in _EVENTS.finditer(head):
                if match.start() in tried or len(tried) > _RETURNED:
                    continue
                tried.add(match.start())
                try:
                    found = _object(head[: match.end()] + b"]}")
                except NO_JSON:
                    continue  # a member of something else that has this name
                self.metadata = self._kept(found)
                self._rest = head[match.end() :]
                return False
            if self._ended or len(head) > _LARGEST:
                raise self._no_events(head)

    def _no_events(self, head: bytes) -> TraceError:
        try:
            found = msgspec.json.decode(head, type=dict[str, msgspec.Raw])
        except NO_JSON as error:
            return self._malformed(error)
        if "manifest_version" in found:
            return ManifestGiven(f"{self.path} is the manifest of a trace")
        return NotATrace(
            f"{self.path} is JSON without a traceEvents array: no torch.profiler trace"
        )

    def _cut(self) -> int:
        """Length of the whole events at the start of what was read, reading on where none is."""
        while True:
            if not self._ended and len(self._rest) < 2 * _BLOCK:
                self._rest += self._more(self._rest)
            if self._known_layout:
                at = self._rest.rfind(_BOUNDARY)
                if at >= 0:
                    return at + 4
            cut, end, deepest = scan(self._rest)
            if deepest > _DEEPEST:
                raise self._malformed(f"something nested {deepest} levels deep")
            if cut:
                return cut
            if end >= 0:
                raise self._malformed("an event that is not an object")
            if self._ended:
                raise Truncated(
                    f"{self.path} ends in the middle of its events, after {self.count} of them: "
                    "the export or a copy of it was cut short"
                )
            if len(self._rest) > _LARGEST_EVENT:
                raise self._malformed(f"an event of more than {_LARGEST_EVENT >> 20} MiB")
            self._rest += self._more(self._rest)

    def _more(self, have: bytes) -> bytes:
        """The next bytes: as many again as there are, so that a huge event is not rescanned."""
        parts = []
        wanted = max(len(have), 2 * _BLOCK)
        while wanted > 0:
            block = next(self._blocks, b"")
            if not block:
                self._ended = True
                break
            parts.append(block)
            wanted -= len(block)
        return b"".join(parts)

    def _decode(self, piece: bytes) -> list[Event]:
        wrapped = b"[" + piece + b"]"
        try:
            return _decode_events(wrapped)
        except NO_JSON:
            text = repaired(wrapped)
        try:
            return _decode_events(text)
        except NO_JSON as error:
            with contextlib.suppress(*NO_JSON):
                return _decode_events(quoted(text))
            if self._known_layout:
                return self._one_by_one(piece)
            place = _PLACE.search(str(error))
            if not place:
                raise
            at = int(place.group(1))
            near = text[max(at - 40, 0) : at + 20].decode("utf-8", "replace")
            raise self._malformed(f"{error}, near {' '.join(near.split())}") from error

    def _one_by_one(self, piece: bytes) -> list[Event]:
        """Events of a piece without those that are no JSON, of which no figure may need one."""
        events: list[Event] = []
        for one in piece.split(_BOUNDARY):
            whole = b"[{" + one.strip().removeprefix(b"{").removesuffix(b"\n  }") + b"}]"
            try:
                events += _decode_events(quoted(repaired(whole)))
            except NO_JSON:
                category = _CATEGORY.search(one)
                if category is None or category[1].decode() in self._needed:
                    raise
        return events

    def _tail(self, tail: bytes, bare_array: bool) -> None:
        while not self._ended and len(tail) <= _LARGEST:
            tail += self._more(tail)
        if bare_array:
            if tail.strip():
                raise self._malformed("something stands after the closing bracket")
            return
        try:
            found = _object(b'{"":0' + tail)
        except NO_JSON as error:
            raise self._malformed(error) from error
        if "traceEvents" in found:
            raise self._malformed("traceEvents stands in it twice")
        found.pop("", None)
        self.metadata |= self._kept(found)

    def _kept(self, found: dict[str, msgspec.Raw]) -> dict[str, Any]:
        """The members that are asked for, decoded. Raises what `NO_JSON` holds."""
        return {
            key: msgspec.json.decode(raw)
            for key, raw in found.items()
            if key != "traceEvents"
            and (self._whole_head or (key in _NEEDED and len(bytes(raw)) <= _LARGEST_MEMBER))
        }

    def _malformed(self, why: object) -> TraceError:
        return InvalidJson(f"{self.path} is not valid JSON: {why} (after {self.count} events)")


def _object(text: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object as text, mended where it has to be. Raises what `NO_JSON` holds.

    As text, because an object of Python takes far more memory than what it is written with.
    """
    try:
        return _MEMBERS.decode(text)
    except NO_JSON:
        mended = repaired(text)
    try:
        return _MEMBERS.decode(mended)
    except NO_JSON:
        return _MEMBERS.decode(quoted(mended))


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a plain or gzipped file, about 1 MiB at a time."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if zipped else raw
            most = _EXPANSION * path.stat().st_size + _FREE if zipped else math.inf
            given = 0
            while block := file.read(_BLOCK):
                given += len(block)
                if given > most:
                    raise ExpandsTooFar(
                        f"{path}: the gzip data expands more than {_EXPANSION} times: it repeats "
                        "itself as no trace does"
                    )
                yield block
    except EOFError as error:
        raise Truncated(
            f"{path}: the gzip data ends early: the export or a copy of it was cut short"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TraceDamaged(f"{path}: the gzip data is damaged ({error})") from error
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror or error}") from error
