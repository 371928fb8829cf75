"""The manifest of a scrubbed trace: what was recorded and how, not by whom and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ManifestNotScrubbed

if TYPE_CHECKING:
    from .removed import Removed

KEPT = (
    "manifest_version", "origin", "exit_code", "strategy", "label", "choices", "workload", "seeds",
    "versions", "rank", "durations_s", "steps_recorded", "calibration", "bare",
)  # fmt: skip
CAPTURE = ("backend", "graph_trace", "range", "tool_version", "interrupted", "completeness")
DEVICE = (
    "kind", "name", "type", "driver", "cuda", "capability", "threads", "tf32_matmul",
    "memory_bytes", "multiprocessors", "gpus", "before", "throttled_us",
)  # fmt: skip
HOST = ("system", "machine", "cpu", "cores", "memory_gib")
RECORDS = ("records=light", "records=full")
HIDDEN = "***"


def scrubbed_manifest(path: Path, removed: Removed) -> str | None:
    """The manifest's JSON without command line, folders, notes, revision and result.

    What is left out is noted in `removed`. None where the file is no manifest; HarnessError where
    it cannot be read.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestNotScrubbed(
            f"{path}, beside the trace, cannot be read as a manifest ({type(error).__name__})"
        ) from error
    if not isinstance(data, dict) or "manifest_version" not in data:
        return None
    kept: dict[str, Any] = {key: data[key] for key in KEPT if key in data}
    for key, inner in (("capture", CAPTURE), ("device", DEVICE), ("host", HOST)):
        if isinstance(data.get(key), dict):
            kept[key] = {name: data[key][name] for name in inner if name in data[key]}
    options = data.get("capture", {}).get("options") if "capture" in kept else None
    if isinstance(options, list):  # others may name files
        kept["capture"]["options"] = [word for word in options if word in RECORDS]
    workload = kept.get("workload")
    if isinstance(workload, dict):
        kept["workload"] = workload = dict(workload)
        model = workload.get("model")
        if isinstance(model, str) and (model.startswith(("/", ".", "~")) or "\\" in model):
            workload["model"] = HIDDEN
        if workload.get("prompt_tokens") is not None:
            workload["prompt_tokens"] = HIDDEN
    kept["notes"] = ["scrubbed: command line, folders, notes, revision and result were left out"]
    shown = set(_texts(kept))
    for text in _texts(data):
        if text not in shown:
            removed.name("the manifest", text)
    return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def _texts(data: Any) -> list[str]:
    """Every string among the values."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, dict):
        return [text for value in data.values() for text in _texts(value)]
    return [text for value in data for text in _texts(value)] if isinstance(data, list) else []
