"""What recording costs, kind by kind: each set of records against the same process without any.

python benchmarks/gpu/ablation.py OUTPUT.json [--loops eager,graph,...] [--rounds 12] [--sets ...]

Steps of one loop run in short blocks, in random order: one set of records on, the same set off
again, and CUPTI let go of. A block is compared with its neighbours in time alone, since the speed
of a host changes within seconds. To use another libcupti, start it with LD_PRELOAD.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

KERNELS, COPIES, MEMSETS, CALLS, WAITS, EVENTS, OVERHEADS = 1, 2, 4, 8, 16, 32, 64
MOST_CALLS, MOST_DRIVER, EVERY_CALL, CONTEXTS, DRIVER_ALONE = 128, 256, 512, 1024, 2048
GPU = KERNELS | COPIES | MEMSETS | CONTEXTS
LIGHT = GPU | CALLS
FULL = GPU | MOST_CALLS | MOST_DRIVER | WAITS | EVENTS | OVERHEADS
SETS = {
    "kernels": KERNELS,
    "gpu": GPU,
    "calls": CALLS,
    "driver-alone": CALLS | DRIVER_ALONE,
    "light": LIGHT,
    "light-driver": LIGHT | DRIVER_ALONE,
    "waits": WAITS,
    "events": EVENTS,
    "overheads": OVERHEADS,
    "most-calls": MOST_CALLS,
    "every-call": EVERY_CALL,
    "most-driver": MOST_DRIVER,
    "gpu+most-calls": GPU | MOST_CALLS,
    "full": FULL,
}
TABLES = (
    "none", "kernel", "memcpy", "memset", "graph", "api", "sync", "overhead", "event", "context",
    "marker", "unknown",
)  # fmt: skip
STEPS = 5
"""Of a block; the first is not looked at."""


class Shim:
    """The product's own shim, on the libcupti that PyTorch has loaded."""

    def __init__(self, options: int = 0) -> None:
        from harness.capture.cupti import build, facts, find

        found = find.found()
        made = build.build(found["includes"], build.find_compiler(), cache=Path("/tmp/shims"))
        self.library = ctypes.CDLL(str(made.path))
        self.library.hs_error.restype = ctypes.c_char_p
        self.library.hs_library_version.restype = ctypes.c_uint32
        loaded = facts.loaded_libraries()
        self.path = loaded[0] if loaded else found["libraries"][0]
        self._ok(self.library.hs_load(os.fsencode(self.path)))
        self._ok(self.library.hs_attach(options, ctypes.c_uint64(2 << 30), b""))
        self.version = self.library.hs_library_version()

    def _ok(self, code: int) -> None:
        if code:
            raise SystemExit(f"shim: {code} {self.library.hs_error()!r}")

    def open(self, records: int) -> float:
        """Records on; how long that took, us."""
        self.library.hs_select(records)
        begin = time.perf_counter_ns()
        self._ok(self.library.hs_open_block())
        return (time.perf_counter_ns() - begin) / 1e3

    def close(self, leave: bool) -> float:
        begin = time.perf_counter_ns()
        self._ok(self.library.hs_close_block(int(leave)))
        return (time.perf_counter_ns() - begin) / 1e3

    def counts(self) -> dict[str, int]:
        counts = (ctypes.c_int64 * len(TABLES))()
        self._ok(self.library.hs_count(counts))
        return {name: n for name, n in zip(TABLES, counts, strict=True) if n}

    def dump(self, path: Path) -> None:
        self._ok(self.library.hs_dump(os.fsencode(path)))


# Loops: each returns what runs one step, and what is done before a block


def eager_loop() -> tuple[Callable[[], None], Callable[[], None]]:
    """GPT-2 with a growing cache, batch 16, `.item()` after each token: the strategy kv-cache."""
    import torch
    from transformers import DynamicCache

    model = gpt2()
    prompt = torch.randint(0, 50000, (16, 40), device="cuda")
    state: dict = {}

    def reset() -> None:
        cache = DynamicCache(config=model.config)
        with torch.inference_mode():
            out = model(prompt, past_key_values=cache, use_cache=True)
        state.update(cache=cache, token=out.logits[:, -1:].argmax(-1))
        state["done"] = torch.zeros(16, 1, dtype=torch.bool, device="cuda")
        torch.cuda.synchronize()

    def step() -> None:
        with torch.inference_mode():
            out = model(state["token"], past_key_values=state["cache"], use_cache=True)
            token = out.logits[:, -1:].argmax(-1)
            token = torch.where(state["done"], 50256, token)
            state["done"] |= token == 50256
            state["token"] = token
            state["done"].all().item()

    return step, reset


def gpt2():
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    if "model" not in _KEPT:
        torch.manual_seed(0)
        config = GPT2Config(pad_token_id=None)
        _KEPT["model"] = GPT2LMHeadModel(config).cuda().eval()
    return _KEPT["model"]


_KEPT: dict = {}


def graph_loop() -> tuple[Callable[[], None], Callable[[], None]]:
    """The same model with a static cache, one CUDA graph a step, `.item()` after each."""
    import torch
    from transformers import StaticCache

    model = gpt2()
    cache = StaticCache(config=model.config, max_cache_len=128)
    prompt = torch.randint(0, 50000, (16, 40), device="cuda")
    token = torch.zeros(16, 1, dtype=torch.long, device="cuda")
    place = torch.full((1, 1), 41, device="cuda")
    done = torch.zeros((), dtype=torch.bool, device="cuda")

    def body() -> None:
        out = model(token, past_key_values=cache, use_cache=True, position_ids=place)
        token.copy_(out.logits[:, -1:].argmax(-1))
        done.copy_((token == 50256).all())

    with torch.inference_mode():
        model(prompt, past_key_values=cache, use_cache=True)
        cache.reset()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                body()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            body()

    def step() -> None:
        graph.replay()
        done.item()

    def reset() -> None:  # else the cache overflows
        with torch.inference_mode():
            cache.reset()
        torch.cuda.synchronize()

    return step, reset


def micro(kind: str, times: int = 200) -> tuple[Callable[[], None], Callable[[], None]]:
    """One kind of call, over and over."""
    import torch

    a = torch.zeros(64, device="cuda")
    host = torch.zeros(64, pin_memory=True)
    event, stream = torch.cuda.Event(), torch.cuda.current_stream()
    side = torch.cuda.Stream()
    event.record()
    act: Callable[[], object]
    if kind == "launch":
        act = lambda: a.add_(1)  # noqa: E731
    elif kind == "copy":
        act = lambda: host.copy_(a, non_blocking=True)  # noqa: E731
    elif kind == "memset":
        act = a.zero_
    elif kind == "event":
        act = event.record
    elif kind == "query":
        act = event.query
    elif kind == "stream-wait":
        act = lambda: side.wait_event(event)  # noqa: E731
    elif kind == "synchronize":
        act = stream.synchronize
    elif kind == "nvtx":
        push, pop = torch.cuda.nvtx.range_push, torch.cuda.nvtx.range_pop
        act = lambda: (push("x"), pop())  # noqa: E731
    elif kind == "triton":
        act = triton_launch(a)
    else:
        raise SystemExit(f"no such loop: {kind}")

    def step() -> None:
        for _ in range(times):
            act()
        torch.cuda.synchronize()

    return step, torch.cuda.synchronize


def triton_launch(a) -> Callable[[], object]:
    import _triton_add

    return lambda: _triton_add.add_one[(1,)](a, 64)


LOOPS = {"eager": eager_loop, "graph": graph_loop}


def block(step: Callable[[], None]) -> list[float]:
    """Step times of one block, us; the first follows a change of records and is left out."""
    stamps = []
    for _ in range(STEPS):
        stamps.append(time.perf_counter_ns())
        step()
    stamps.append(time.perf_counter_ns())
    return [(b - a) / 1e3 for a, b in itertools.pairwise(stamps)][1:]


def measured(shim: Shim, name: str, rounds: int, sets: dict[str, int], checks: Path | None) -> dict:
    """Blocks of one loop: before the first record, and then on, off and let go of, by set."""
    made = LOOPS[name]() if name in LOOPS else micro(name)
    step, reset = made
    for _ in range(6):
        reset()
        block(step)
    found: dict = {"before": [], "blocks": [], "first": None}
    import torch

    if not shim.library.hs_selected_once:  # nothing was recorded yet in this process
        for _ in range(rounds * 3):
            reset()
            found["before"].append(block(step))
    order = [one for one in sets for _ in range(rounds)]
    random.shuffle(order)
    for number, one in enumerate(order):
        reset()
        bare = block(step)  # let go of, or never attached
        reset()
        opened = shim.open(sets[one])
        on = block(step)
        closed = shim.close(False)
        counts = shim.counts()
        reset()
        off = block(step)
        left = shim.close(True)
        shim.counts()
        reset()
        after = block(step)
        found["blocks"].append(
            {
                "set": one, "bare": bare, "on": on, "off": off, "after": after,
                "open_us": opened, "close_us": closed, "leave_us": left, "counts": counts,
                "number": number,
            }
        )  # fmt: skip
    shim.library.hs_selected_once = True
    if checks is not None:
        for number in range(4):
            reset()
            shim.open(LIGHT if number % 2 else LIGHT | DRIVER_ALONE)
            block(step)
            shim.close(True)
            shim.dump(checks / f"{name}-{number}.bin")
        torch.cuda.synchronize()
    return found


def checked(path: Path) -> dict:
    """Launches, operations and nodes of one later session: is every one where it belongs?"""
    import numpy as np

    from harness.capture.cupti import dump

    records = dump.read_dump(path)
    kernels, api = records.table("kernel"), records.table("api")
    names = records.strings
    launches = [i for i, n in enumerate(names) if "Launch" in n]
    mine = api[np.isin(api["name"], launches)]
    by_id = {int(row["correlation"]): row for row in mine}
    lost = [int(row["correlation"]) for row in kernels if int(row["correlation"]) not in by_id]
    early = sum(
        int(row["start"]) < int(by_id[int(row["correlation"])]["start"])
        for row in kernels
        if int(row["correlation"]) in by_id
    )
    graph = [i for i, n in enumerate(names) if "GraphLaunch" in n]
    of_graph = {
        int(r["correlation"]): int(r["end"] - r["start"]) for r in api if r["name"] in graph
    }
    nodes = [int((kernels["correlation"] == one).sum()) for one in of_graph]
    twice = len(mine) - len(by_id)
    seen = {}
    for row in api:
        key = names[row["name"]]
        count, total = seen.get(key, (0, 0))
        seen[key] = (count + 1, total + int(row["end"] - row["start"]))
    gaps = []
    for one, call_ns in of_graph.items():
        rows = np.sort(kernels[kernels["correlation"] == one], order="start")
        if len(rows) > 1:
            gaps.append(
                [
                    len(rows),
                    int(rows["end"].max() - rows["start"].min()),
                    int((rows["end"] - rows["start"]).sum()),
                    call_ns,
                ]
            )
    return {
        "kernels": len(kernels), "launches": len(mine), "without_launch": len(lost),
        "before_launch": early, "launch_twice": twice, "nodes": nodes[:12],
        "graph_span_busy_call_ns": gaps[:12],
        "zero_times": int((kernels["start"] == 0).sum()),
        "calls": {k: [c, round(t / c)] for k, (c, t) in seen.items()},
        "dropped": int(records.dropped), "stop": int(records.stop_result),
    }  # fmt: skip


def ratios(pairs: list[tuple[list[float], list[float]]]) -> tuple[float, float, float]:
    """Median of the pairs' ratios of medians, and the quartiles of a bootstrap's middle 95 %."""
    each = [statistics.median(a) / statistics.median(b) for a, b in pairs]
    if len(each) < 2:
        return (each[0], each[0], each[0]) if each else (0, 0, 0)
    draws = sorted(statistics.median(random.choices(each, k=len(each))) for _ in range(1000))
    return statistics.median(each), draws[25], draws[974]


def table(found: dict, sets: dict[str, int]) -> list[str]:
    lines = []
    if found["before"]:
        before = [statistics.median(one) for one in found["before"]]
        lines.append(f"  before the first record {statistics.median(before):9.1f} us a step")
    later = [statistics.median(b["bare"]) for b in found["blocks"][3:]]
    lines.append(f"  let go of               {statistics.median(later):9.1f} us a step")
    for one in sets:
        mine = [b for b in found["blocks"] if b["set"] == one]
        if not mine:
            continue
        bare = [b["bare"] + b["after"] for b in mine]
        on, low, high = ratios([(b["on"], n) for b, n in zip(mine, bare, strict=True)])
        off, *_ = ratios([(b["off"], n) for b, n in zip(mine, bare, strict=True)])
        us = statistics.median(
            statistics.median(b["on"]) - statistics.median(n)
            for b, n in zip(mine, bare, strict=True)
        )
        count = mine[-1]["counts"]
        many = sum(count.values()) / STEPS
        lines.append(
            f"  {one:18} {on:6.3f} ({low:.3f}..{high:.3f})  off {off:6.3f}  +{us:8.1f} us a step, "
            f"{many:7.1f} records {us / many if many else 0:6.2f} us each  open "
            f"{statistics.median(b['open_us'] for b in mine):7.0f} us, leave "
            f"{statistics.median(b['leave_us'] for b in mine):7.0f}  {count}"
        )
    return lines


def peer(kind: str, name: str, rounds: int) -> dict:
    """Another recorder in this process: blocks before its first session, within, and after each.

    `kind`: kineto, kineto-cpu (operators, too), or calls: the profiler calls that nsys waits for.
    """
    import torch

    step, reset = LOOPS[name]() if name in LOOPS else micro(name)
    for _ in range(6):
        reset()
        block(step)
    found: dict = {"before": [], "blocks": []}
    for _ in range(rounds):
        reset()
        found["before"].append(block(step))
    activities = [torch.profiler.ProfilerActivity.CUDA]
    if kind == "kineto-cpu":
        activities.append(torch.profiler.ProfilerActivity.CPU)
    for number in range(rounds + 1):
        reset()
        bare = block(step)
        reset()
        if kind == "calls":
            torch.cuda.profiler.start()
            on = block(step)
            torch.cuda.profiler.stop()
        else:
            with torch.profiler.profile(activities=activities):
                on = block(step)
        reset()
        after = block(step)
        if number:  # the first session loads what the others find
            found["blocks"].append({"set": kind, "bare": bare, "on": on, "after": after})
    mine = found["blocks"]
    before = statistics.median(statistics.median(one) for one in found["before"])
    within = statistics.median(statistics.median(b["on"]) for b in mine)
    outside = statistics.median(statistics.median(b["bare"] + b["after"]) for b in mine)
    on, low, high = ratios([(b["on"], b["bare"] + b["after"]) for b in mine])
    print(
        f"{kind} {name}: before {before:.1f} us a step, within {within:.1f}, between "
        f"{outside:.1f}; within / between {on:.3f} ({low:.3f}..{high:.3f})",
        flush=True,
    )
    return found


def pair(rounds: int) -> dict:
    """A process that records nothing beside one that did and let go, block by block in turns.

    The ratio of the two after letting go, over that before the first record: processes differ.
    """
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "-", "--child"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip

    def ask(child: int, word: str) -> list[float]:
        process = children[child]
        process.stdin.write(word + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    found: dict = {"before": [], "after": []}
    for child in (0, 1):
        ask(child, "block")
    for phase in ("before", "after"):
        for _ in range(rounds):
            found[phase].append([ask(0, "block"), ask(1, "block")])
        if phase == "before":
            for _ in range(3):
                ask(1, "record")
    for process in children:
        process.stdin.close()
        process.wait()
    return found


def child() -> None:
    # One core for both, which are never at work together: cores differ.
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-2]})
    shim = Shim()
    step, reset = eager_loop()
    for _ in range(5):
        reset()
        block(step)
    for line in sys.stdin:
        reset()
        if line.strip() == "record":
            shim.open(SETS["full"])
            block(step)
            shim.close(True)
            shim.counts()
            print("[1]", flush=True)
        else:
            print(json.dumps(block(step)), flush=True)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("output")
    asked.add_argument(
        "--loops",
        default="eager,graph,launch,copy,memset,event,query,stream-wait,synchronize,nvtx,triton",
    )
    asked.add_argument("--sets", default=",".join(SETS))
    asked.add_argument("--rounds", type=int, default=12)
    asked.add_argument("--pair", type=int, default=0)
    asked.add_argument("--child", action="store_true")
    asked.add_argument("--peer", choices=["kineto", "kineto-cpu", "calls"])
    options = asked.parse_args()
    if options.child:
        child()
        return
    random.seed(1)
    result: dict = {}
    if options.peer:
        for name in options.loops.split(","):
            result[name] = peer(options.peer, name, options.rounds)
        Path(options.output).write_text(json.dumps(result))
        return
    if options.pair:
        result["pair"] = found = pair(options.pair)
        for phase in ("before", "after"):
            each, low, high = ratios([(b, a) for a, b in found[phase]])
            print(
                f"recorded and let go / never recorded, {phase}: {each:.4f} ({low:.4f}..{high:.4f})"
            )
    sets = {name: SETS[name] for name in options.sets.split(",")}
    import torch

    shim = Shim()
    shim.library.hs_selected_once = False
    torch.zeros(1, device="cuda")
    print("libcupti", shim.version, shim.path, torch.cuda.get_device_name(), flush=True)
    result |= {"library": shim.version, "gpu": torch.cuda.get_device_name(), "loops": {}}
    checks = Path(tempfile.mkdtemp())
    for name in options.loops.split(","):
        if not name:
            continue
        try:
            found = measured(shim, name, options.rounds, sets, checks)
        except (Exception, SystemExit) as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            continue
        result["loops"][name] = found
        print(name)
        print("\n".join(table(found, sets)), flush=True)
        for path in sorted(checks.glob(f"{name}-*.bin")):
            found.setdefault("checks", []).append(checked(path))
            print("  session", path.stem, json.dumps(found["checks"][-1]), flush=True)
        Path(options.output).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
