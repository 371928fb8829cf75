"""What of a trace may be passed on: tables, columns and strings that a figure or a name needs.

Everything is left out that is not named here. `docs/secrets.md` says the same in words.
"""

from __future__ import annotations

import re

from ..analysis.model.source import ERROR, WARNING
from ..analysis.readers.diagnostics import safe

EMPTIED = frozenset(
    {
        "TARGET_INFO_SYSTEM_ENV",
        "TARGET_INFO_PROCESS",
        "TARGET_INFO_NVTX_CUDA_DEVICE",
        "TARGET_INFO_NVTX_CUDA_CONTEXT",
        "TARGET_INFO_NVTX_CUDA_STREAM",
        "TARGET_INFO_WDDM_CONTEXTS",
        "TARGET_INFO_NIC_INFO",
        "TARGET_INFO_NETWORK_DEVICES",
        "TARGET_INFO_XMC_SPEC",
        "META_DATA_CAPTURE",
        "ProcessStreams",
        "ANALYSIS_FILE",
        "OSRT_FILE_ACCESS_DESCRIPTORS",
        "OSRT_FILE_ACCESS_EVENTS",
        "CUDA_CALLCHAINS",
        "OSRT_CALLCHAINS",
        "SAMPLING_CALLCHAINS",
        "CUDA_GPU_MEMORY_USAGE_EVENTS",
    }
)
"""Tables of every known schema whose rows are left out: environment, command line, user, host,
output of the target, files, stacks. The table itself stays, as a sign that it was there."""

KEPT = re.compile(
    r"CUPTI_ACTIVITY_KIND_\w+|CUDA_GRAPH(_NODE)?_EVENTS|CUDA_UM_\w+|CUDNN_EVENTS|CUBLAS_EVENTS"
    r"|NVTX_EVENTS|NVTX_PAYLOAD_SCHEMAS|NVTX_PAYLOAD_SCHEMA_ENTRIES|OSRT_API|PROFILER_OVERHEAD"
    r"|COMPOSITE_EVENTS|SCHED_EVENTS|GPU_CONTEXT_SWITCH_EVENTS|ThreadNames|PROCESSES|StringIds"
    r"|ANALYSIS_DETAILS|TARGET_INFO_GPU|TARGET_INFO_CUDA_\w+|TARGET_INFO_SESSION_START_TIME|META_DATA_EXPORT"
    r"|HARNESS_RANGE_CPU|EXPORT_META_DATA|DIAGNOSTIC_EVENT|ENUM_\w+|UnwindMethodType"
)
"""Tables whose rows stay: their numbers, and the texts of TEXTS."""

TEXTS: dict[str, frozenset[str]] = {
    "StringIds": frozenset({"value"}),
    "NVTX_EVENTS": frozenset({"text", "jsonText", "binaryData"}),
    "NVTX_PAYLOAD_SCHEMAS": frozenset({"name"}),
    "NVTX_PAYLOAD_SCHEMA_ENTRIES": frozenset({"name", "description"}),
    "TARGET_INFO_GPU": frozenset({"name", "uuid", "chipName", "busLocation"}),
    "TARGET_INFO_CUDA_DEVICE": frozenset({"uuid"}),
    "TARGET_INFO_SESSION_START_TIME": frozenset({"utcTime"}),
    "META_DATA_EXPORT": frozenset({"name", "value"}),
    "EXPORT_META_DATA": frozenset({"name", "value"}),
    "DIAGNOSTIC_EVENT": frozenset({"text"}),
    "UnwindMethodType": frozenset({"name"}),
}
ENUM_TEXTS = frozenset({"name", "label"})

MACHINE = ("TARGET_INFO_", "META_DATA_EXPORT", "EXPORT_META_DATA", "ENUM_", "UnwindMethodType")
"""Tables of hardware and versions: an emptied value that stands there too gives nobody away."""

THREADS = "ThreadNames"
"""Where a value is said to stand that is, in full, the name of a thread."""
NAMES_A_THREAD = "id IN (SELECT nameId FROM ThreadNames)"
VERSIONS = "versions in the manifest"
VERSIONS_IN_MANIFEST = ("versions", "device", "host")
HARMLESS = (*MACHINE, THREADS, VERSIONS)
"""Places in which a value that was left out gives nobody away: the names of threads stay anyway."""

REFERENCES = frozenset(
    {"nameId", "endNameId", "textId", "jsonTextId", "demangledName", "shortName", "mangledName"}
)
"""Columns of kept tables that refer to StringIds; strings that nothing kept refers to go."""

_EXPORT_NAMES = re.compile(
    r"EXPORT_(PRODUCT|SCHEMA)_\w+|EXPORT_(PLATFORM|ARCH)|HARNESS_(PRODUCER|ORIGIN|STRATEGY)"
)


def texts_of(table: str) -> frozenset[str]:
    """The columns of a kept table whose text stays."""
    return ENUM_TEXTS if table.startswith("ENUM_") else TEXTS.get(table, frozenset())


def keeps_fact(name: object) -> int:
    """Does this row of an export's metadata stay? It names the producer, not the exporter."""
    return int(isinstance(name, str) and _EXPORT_NAMES.fullmatch(name) is not None)


def diagnostic(severity: object, text: object) -> str:
    """A message of the profiler as it is kept: warnings and errors, without paths and values."""
    return safe(text) if severity in (WARNING, ERROR) and isinstance(text, str) else ""
