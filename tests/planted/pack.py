"""Make a recording small and anonymous: `python pack.py RECORDING PACKED.gz`

Both kinds are copied by `harness scrub`. Of torch.profiler's, only the steps `train_step N` stay,
and of its Python frames, which scrub leaves out, those of the loops and what they call directly.
Prints {"lost_launches": N}: how many launches of a torch.profiler trace have no GPU row.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Event = dict[str, Any]
CALLS = ("cuda_runtime", "cuda_driver")
GPU = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCHES = re.compile(r"cu(da)?Launch|cu(da)?GraphLaunch")
DROPPED = frozenset({"Trace", "ac2g", "fwdbwd", "gpu_user_annotation", "python_function"})


def scrubbed(recording: Path, copy: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "harness", "scrub", str(recording), "-o", str(copy)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def pack_sqlite(recording: Path, packed: Path, folder: Path) -> None:
    copy = folder / "copy.sqlite"
    scrubbed(recording, copy)
    with sqlite3.connect(copy, isolation_level=None) as base:
        base.execute("VACUUM")
    base.close()
    packed.write_bytes(gzip.compress(copy.read_bytes(), 9, mtime=0))


def pack_torch(recording: Path, packed: Path, folder: Path) -> int:
    """How many launches have no GPU row."""
    with open(recording) as file:
        trace = json.load(file)
    events, lost = steps_alone(trace["traceEvents"])
    frames = frames_of_loops(trace["traceEvents"], *bounds(trace["traceEvents"]))
    cut, copy = folder / "cut.json", folder / "copy.json"
    cut.write_text(json.dumps({**trace, "traceEvents": events}))
    scrubbed(cut, copy)
    with open(copy) as file:
        clean = json.load(file)
    clean["traceEvents"] += frames
    text = json.dumps(clean, separators=(",", ":")).replace("},{", "},\n{")
    packed.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return lost


def bounds(events: list[Event]) -> tuple[float, float]:
    """From the first step's start to the end of the wait behind the last, us."""
    steps = [
        e for e in events
        if e.get("cat") == "user_annotation" and e["name"].startswith("train_step ")
    ]  # fmt: skip
    first = min(e["ts"] for e in steps)
    last = max(e["ts"] + e["dur"] for e in steps)
    waits = [
        e for e in events
        if e.get("cat") in CALLS and e["name"] == "cudaDeviceSynchronize" and e["ts"] >= last
    ]  # fmt: skip
    wait = min(waits, key=lambda e: e["ts"], default=None)
    return first, wait["ts"] + wait["dur"] if wait else last


def steps_alone(events: list[Event]) -> tuple[list[Event], int]:
    """The events of the steps, the GPU's by their launch; and how many launches have no GPU row."""
    first, last = bounds(events)
    calls = {
        e["args"].get("correlation")
        for e in events
        if e.get("cat") in CALLS and first <= e["ts"] <= last
    } - {None}
    kept: list[Event] = []
    ran: set[int] = set()
    launched: set[int] = set()
    for event in events:
        cat = event.get("cat")
        if event.get("ph") == "M":
            kept.append(event)
        elif cat in GPU:
            if event["args"].get("correlation") in calls:
                kept.append(event)
                ran.add(event["args"]["correlation"])
        elif cat and cat not in DROPPED and first <= event.get("ts", -1) <= last:
            kept.append(event)
            if cat in CALLS and LAUNCHES.match(event["name"]):
                launched.add(event["args"].get("correlation"))
    return kept, len(launched - ran)


def frames_of_loops(events: list[Event], first: float, last: float) -> list[Event]:
    """Python frames of the loops' own files, and what these call directly."""
    frames = [e for e in events if e.get("cat") == "python_function" and first <= e["ts"] <= last]
    own = {e["args"]["Python id"] for e in frames if "loops/" in e["name"]}
    return [
        {
            **{key: e[key] for key in ("ph", "cat", "pid", "tid", "ts", "dur")},
            "name": without_folders(e["name"]),
            "args": {key: e["args"].get(key) for key in ("Python id", "Python parent id")},
        }
        for e in frames
        if e["args"]["Python id"] in own or e["args"].get("Python parent id") in own
    ]


def without_folders(name: str) -> str:
    """A frame's name without the folders of the machine: the last two parts of an absolute path."""
    if not name.startswith("/"):
        return name
    path, bracket, rest = name.partition("(")
    return "/".join(Path(path).parts[-2:]) + bracket + rest


def main() -> None:
    recording, packed = map(Path, sys.argv[1:])
    folder = Path(tempfile.mkdtemp())
    told: dict[str, int] = {}
    try:
        if recording.suffix == ".sqlite":
            pack_sqlite(recording, packed, folder)
        else:
            told["lost_launches"] = pack_torch(recording, packed, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
