"""What an export and the manifest beside it say about where the trace came from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..model.launchers import rank_variable
from ..model.schema import ANALYSIS, EXPORT, GPU, NULL, SESSION, SYSTEM_ENV
from ..model.source import ORIGINS, Diagnostic, Source
from .diagnostics import read_diagnostics
from .sqlite.database import Database

_MANIFEST_MOST_BYTES = 4 << 20
"""What is larger is no manifest: a torch.profiler trace may have that name, and take gigabytes."""


class Metadata(Struct, frozen=True):
    """What an export says about itself, whatever stands beside it."""

    facts: dict[str, str]
    session_start_utc_ns: int | None
    duration_ns: int | None
    diagnostics: tuple[Diagnostic, ...] = ()
    rank: int | None = None
    """By the launcher's variable in the recorded environment; the manifest may know better."""
    rank_from: str = ""
    gpus: int = 0
    """How many GPUs it lists."""


def read_source(database: Database) -> Source:
    """Metadata rows of the export, and the manifest beside it."""
    return source_of(read_metadata(database), database.path)


def read_metadata(database: Database) -> Metadata:
    """Metadata rows of the export."""
    rows = database.read(EXPORT)
    session = database.read(SESSION)["utcEpochNs"]
    duration = database.read(ANALYSIS)["duration"]
    return Metadata(
        dict(zip(rows["name"], rows["value"], strict=True)),
        int(session[0]) if len(session) and session[0] != NULL else None,
        int(duration[0]) if len(duration) and duration[0] != NULL else None,
        read_diagnostics(database),
        *_rank_of_environment(database),
        len(set(database.read(GPU)["id"].tolist())),
    )


def source_of(metadata: Metadata, path: Path) -> Source:
    """The source of the trace at `path`, with the manifest that stands beside it now."""
    meta = metadata.facts
    manifest, notes = _manifest(path)
    product = meta.get("EXPORT_PRODUCT_NAME", "unknown")
    if "HARNESS_PRODUCER" in meta:
        product = f"harness {meta['HARNESS_PRODUCER']}"
    origin = meta.get("HARNESS_ORIGIN", "measured")
    if origin not in ORIGINS:
        # Written by us, and by no version known here: whatever it is, it is not a measurement.
        notes = (*notes, f"metadata calls the origin {origin[:40]!r}, taken as simulated")
        origin = "simulated"
    # A file that calls itself simulated stays so, whatever a manifest beside it says.
    if origin == "measured" and manifest.get("origin") in ORIGINS:
        origin = manifest["origin"]
    rank, rank_from = _rank(manifest, metadata)
    strategy = manifest.get("strategy") or meta.get("HARNESS_STRATEGY") or ""
    return Source(
        producer=product,
        version=meta.get("EXPORT_PRODUCT_VERSION", ""),
        schema=meta.get("EXPORT_SCHEMA_VERSION", ""),
        origin=origin,
        strategy=_text(strategy),
        label=_text(manifest.get("label") or strategy or meta.get("HARNESS_LABEL") or path.stem),
        session_start_utc_ns=metadata.session_start_utc_ns,
        duration_ns=metadata.duration_ns,
        manifest=manifest,
        notes=notes,
        diagnostics=metadata.diagnostics,
        rank=rank,
        rank_from=rank_from,
        gpus=metadata.gpus,
        accelerator=meta.get("HARNESS_ACCELERATOR", "CUDA"),
    )


def _rank(manifest: dict[str, Any], metadata: Metadata) -> tuple[int | None, str]:
    """The rank of what was recorded, and who says so."""
    told = manifest.get("rank")
    if isinstance(told, int) and not isinstance(told, bool) and told >= 0:
        return told, "manifest"
    return metadata.rank, metadata.rank_from


def _rank_of_environment(database: Database) -> tuple[int | None, str]:
    """The same by the environment that nsys keeps: only the launchers' variables are looked at."""
    rows = database.read(SYSTEM_ENV)
    for name, value in zip(rows["name"], rows["value"], strict=True):
        if name == "DeviceEnvironment":
            pairs = (entry.partition("=") for entry in value.split("\0"))
            found = rank_variable({key: text for key, _, text in pairs})
            if found is not None:
                return found[1], found[0]
    return None, ""


def _text(value: object) -> str:
    """A name as text that any encoding can hold."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _finite(text: str) -> float | None:
    """None for what no double holds: a figure without a value, as NaN is one."""
    value = float(text)
    return value if math.isfinite(value) else None


def _manifest(trace: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    path = trace.with_suffix(".json")
    if path == trace or not path.is_file():
        return {}, ()
    try:
        if path.stat().st_size > _MANIFEST_MOST_BYTES:
            return {}, ()
        text = path.read_text("utf-8")
        loaded = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
        if "\\u" in text:  # half a surrogate pair is JSON, but no text that could be printed
            whole = json.dumps(loaded, ensure_ascii=False).encode("utf-8", "replace")
            loaded = json.loads(whole)
    except (OSError, ValueError, RecursionError) as error:
        return {}, (f"manifest {path.name} cannot be read ({type(error).__name__}); ignored",)
    if not isinstance(loaded, dict) or "manifest_version" not in loaded:
        return {}, ()
    return loaded, ()
