"""The nsys command line, built by pure functions: same input, same argv, nothing looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..base import CaptureRange
from ..window import Window
from .features import NsysFeatures

GraphTrace = Literal["graph", "node"]


def graph_level(
    features: NsysFeatures, device: str, asked: GraphTrace | None
) -> tuple[GraphTrace | None, str | None]:
    """The level at which CUDA graphs are recorded, and a note where it is not what was asked.

    Graph level costs least and is the default. An nsys whose export has no graph table would lose
    the graphs' work, so node level is used there.
    """
    if device != "cuda" or not features.knows("cuda-graph-trace"):
        return None, None
    if features.exports_graph_trace:
        return asked or "graph", None
    if asked == "graph":
        return "graph", (
            f"nsys {features.version} exports no graph-level rows: work inside CUDA graphs will be "
            "missing from the SQLite file; --graph-trace node records it"
        )
    return "node", None


def profile_options(
    features: NsysFeatures,
    *,
    device: str,
    capture_range: CaptureRange,
    window: Window | None = None,
    graph_trace: GraphTrace | None = None,
) -> tuple[str, ...]:
    """The options of `nsys profile` that decide what is recorded; kept in the manifest.

    `window` is one that nsys itself can keep: by the clock. Sampling and context switches are off:
    they need privileges and disturb the host times.
    `stop` is asked for because the default end of a range kills the target and hides its exit code.
    """
    apis = ("cuda", "nvtx", "osrt") if device == "cuda" else ("nvtx", "osrt")
    options = [f"--trace={','.join(apis)}", "--sample=none", "--cpuctxsw=none"]
    if capture_range.kind != "none":
        options.append(f"--capture-range={capture_range.kind}")
        if capture_range.kind == "nvtx":
            options.append(f"--nvtx-capture={nvtx_range(capture_range)}")
        options.append("--capture-range-end=stop")
    if window is not None and window.delay_s is not None:
        options.append(f"--delay={window.delay_s:g}")
    if window is not None and window.duration_s is not None:
        options.append(f"--duration={window.duration_s:g}")
    if graph_trace is not None:
        # Graphs launched by the GPU itself cost overhead to trace, and PyTorch launches none.
        origin = ":host-only" if graph_trace == "graph" and features.launch_origin else ""
        options.append(f"--cuda-graph-trace={graph_trace}{origin}")
    if device == "cuda" and features.knows("cuda-event-trace"):
        # NVIDIA's manual warns that event tracing makes false dependencies between streams.
        options.append("--cuda-event-trace=false")
    if features.knows("discard-environment"):
        options.append("--discard-environment=true")
    if features.knows("resolve-symbols"):
        # Only stack samples have symbols to resolve; reading every library's costs seconds.
        options.append("--resolve-symbols=false")
    if features.knows("wait"):
        # A target that leaves a daemon behind would otherwise be waited for without end.
        options.append("--wait=primary")
    return tuple(options)


def nvtx_range(capture_range: CaptureRange) -> str:
    """The range as nsys takes it; without a domain, that of any domain.

    A bare name would mean the default domain alone, and a range that never opens records nothing.
    """
    name = capture_range.name or ""
    return name if "@" in name else f"{name}@*"


def profile_argv(
    features: NsysFeatures, options: Sequence[str], output: str, target: Sequence[str]
) -> list[str]:
    """`nsys profile OPTIONS --output=FILE TARGET...`; `output` has no suffix.

    Percent signs in `output` are doubled: nsys would expand them.
    """
    return [
        features.path,
        "profile",
        *options,
        f"--output={output.replace('%', '%%')}",
        *target,
    ]


def export_argv(features: NsysFeatures, report: str, sqlite: str) -> list[str]:
    """`nsys export` of a report to SQLite, over what a failed attempt may have left."""
    return [
        features.path,
        "export",
        "--type=sqlite",
        "--force-overwrite=true",
        f"--output={sqlite}",
        report,
    ]


def import_argv(importer: str, qdstrm: str, report: str) -> list[str]:
    """`QdstrmImporter` of a raw stream to a report."""
    return [importer, "--input-file", qdstrm, "--output-file", report]
