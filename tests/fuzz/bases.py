"""The small, sound files that mutants are made from."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import tomllib
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from harness.analysis.gains.gpu import built_in
from harness.analysis.readers.open import open_trace
from harness.manifest import RunManifest
from tests.analysis.build import decode_loop
from tests.analysis.test_metamorphic import invent
from tests.kineto.kineto_json import event, events_of, kineto_2_11, kineto_2_13

PAGE = 512
"""Bytes: the smallest that SQLite has, so that small files hold b-trees of several levels."""

SQLITE = ("loop", "mixed", "graphs")
JSON = ("kineto_2_11", "kineto_2_13")


@cache
def sqlite_base(name: str) -> bytes:
    """A synchronous decode loop, an invented mix of processes and devices, or whole graphs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.sqlite"
        if name == "mixed":
            invent(5, path)
        else:
            trace = decode_loop(14, kernels=2, sync="stream")
            if name == "graphs":
                thread = trace.thread(trace.process(200), 201, "worker")
                for k in range(8):
                    at = 1_000_000 + 90_000 * k
                    call = trace.api(at, at + 9_000, "cudaGraphLaunch_v10000", thread=thread)
                    trace.graph_trace(
                        at + 12_000, at + 60_000, correlation=call, process=trace.process(200)
                    )
                    trace.overhead(at + 20_000, at + 21_000, "CUPTI Buffer flush", thread=thread)
            trace.write(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("VACUUM")
        return path.read_bytes()


@cache
def json_base(name: str) -> bytes:
    """The decode loop as two releases of PyTorch write it, with operators and a thread's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.sqlite"
        path.write_bytes(sqlite_base("loop"))
        events = events_of(open_trace(path))
    named = {"ph": "M", "name": "thread_name", "pid": 100, "tid": 100, "ts": 0,
             "args": {"name": "thread 100 (python)"}}  # fmt: skip
    operators = [
        event("cpu_op", "aten::linear", 1000 + 5000 * k, 3000 + 5000 * k, 100, 100)
        for k in range(12)
    ]
    extra = [named, event("overhead", "Command Buffer Full", 5_000, 9_000, 100, 100), *operators]
    layout = {"kineto_2_11": kineto_2_11, "kineto_2_13": kineto_2_13}[name]
    head = '\n  "distributedInfo": {"backend": "nccl", "rank": 1, "world_size": 2},'
    return layout([*extra, *events], head)


@cache
def json_tree(name: str) -> Any:
    """The same, parsed."""
    return json.loads(json_base(name))


@cache
def manifest_tree() -> Any:
    """A manifest with something under every key that the analysis looks at."""
    made = RunManifest(
        origin="measured",
        capture={
            "backend": "nsys", "graph_trace": "node",
            "completeness": {"dropped": 0, "zero_timestamps": 0, "ranges_issued": 40,
                             "ranges_found": 40, "known_problem": None},
        },
        exit_code=0,
        argv=("python", "loop.py", "--token", "***"),
        strategy="kv-cache",
        label="before",
        choices={"cache": "dynamic"},
        workload={"model": "gpt2", "batch_size": 16},
        seeds={"torch": 0},
        device={"name": "NVIDIA H100 80GB HBM3", "count": 1, "gpus": [{"name": "x", "uuid": "u"}]},
        host={"cpu": "cpu"},
        versions={"torch": "2.11.0", "nsys": None},
        git={"commit": "0" * 40, "dirty": False},
        rank=0,
        durations_s={"target": 1.5},
        steps_recorded=14,
        result={"tokens_per_s": 100.0},
        calibration={
            "unprofiled_step_ns": {"mean": 9e5, "runs": 2}, "profiled_step_ns": {"mean": 1e6},
            "method": "wall clock",
        },
        notes=("a note",),
        left_out=("clocks",),
    )  # fmt: skip
    return json.loads(made.to_json())


@cache
def gpu_base() -> bytes:
    """A built-in GPU."""
    return built_in()["h100"].read_bytes()


@cache
def gpu_tree() -> Any:
    """The same, parsed."""
    return tomllib.loads(gpu_base().decode())
