"""Ways to write one torch.profiler trace: none of them may change a figure."""

from __future__ import annotations

import copy
import gzip
import json
from random import Random
from typing import Any

from .mutator import named

Tree = Any


def written(tree: Tree, random: Random) -> bytes:
    """As JSON, in one of the layouts that tools write."""
    indent = random.choice((None, None, 0, 2, "\t"))
    separators = random.choice((None, (",", ":"), (" , ", " : ")))
    ascii_only = random.random() < 0.7
    text = json.dumps(tree, indent=indent, separators=separators, ensure_ascii=ascii_only)
    data = text.encode("utf-8", "replace")
    if random.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    return gzip.compress(data, 1, mtime=0) if random.random() < 0.1 else data


def other_layout(tree: Tree, random: Random) -> bytes:
    return written(tree, random)


def shuffled_events(tree: Tree, random: Random) -> bytes:
    """Any order: but that of operators, which are kept apart by their order on a thread."""
    found = copy.copy(tree)
    events = list(tree["traceEvents"])
    moving = [k for k, event in enumerate(events) if event.get("cat") != "cpu_op"]
    order = list(moving)
    random.shuffle(order)
    for at, source in zip(moving, order, strict=True):
        events[at] = tree["traceEvents"][source]
    found["traceEvents"] = events
    return written(found, random)


def shuffled_keys(tree: Tree, random: Random) -> bytes:
    def turned(value: Tree) -> Tree:
        if isinstance(value, list):
            return [turned(item) for item in value]
        if isinstance(value, dict):
            items = [(key, turned(item)) for key, item in value.items()]
            random.shuffle(items)
            return dict(items)
        return value

    return written(turned(tree), random)


def unrelated_events(tree: Tree, random: Random) -> bytes:
    """Categories, phases, keys and arguments that nobody has heard of."""
    found = copy.deepcopy(tree)
    events = found["traceEvents"]
    for _ in range(20):
        odd = {
            "ph": random.choice(("X", "C", "s", "f", "M", "Z", None)),
            "cat": random.choice(("python_function", "ac2g", "fwdbwd", "gpu_user_annotation", "x")),
            "name": random.choice(("odd", "process_name", "process_labels", "ProfilerStep")),
            "pid": random.choice((0, 100, "Spans", "Traces")), "tid": random.choice((0, 7, "x")),
            "ts": random.choice((1.5, 10**15, -3)), "dur": 5, "id": 3, "bp": "e",
        }  # fmt: skip
        events.insert(random.randrange(len(events) + 1), odd)
    for event in events:
        if random.random() < 0.2:
            event["novelty"] = {"deep": [1, None, {"ts": 5, "traceEvents": []}]}
    found["novelty"] = [{"traceEvents": 1}, "traceEvents"]
    return written(found, random)


def bare_array(tree: Tree, random: Random) -> bytes:
    return written(tree["traceEvents"], random)


MUTATORS = named(
    (other_layout, shuffled_events, shuffled_keys, unrelated_events, bare_array), unseen=True
)
