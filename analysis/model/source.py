"""Where a trace came from: who wrote it, how, and what its manifest and its profiler say."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from .shown import shown_without

ORIGINS = ("measured", "simulated", "synthetic")
TORCH_PROFILER = "torch.profiler"
"""`Source.producer` of a Kineto trace."""
OPERATORS_DOMAIN = 1
"""The domain that its reader gives to ATen and autograd operators; all else there is annotated."""
PROFILER_STEP_NAME = re.compile(r"^(ProfilerStep#|Step )\d+$")
"""What `prof.step()` marks there, and the harness's own steps."""

KNOWN_CALLS = frozenset({"CUDA", "HIP", "XPU"})
"""Accelerators whose calls are known by name."""

WARNING, ERROR = 2, 3
"""ENUM_DIAGNOSTIC_SEVERITY_LEVEL; 0 unknown, 1 information, 4 verbose."""
_DOUBTS = (
    ("CUDA", re.compile(r"Not all CUDA events might have been collected\.")),
    ("NVTX", re.compile(r"Not all NVTX events might have been collected\.")),
    ("CUDA", re.compile(r"CUDA profiling might have not been started correctly\.?")),
    ("CUDA", re.compile(r"No CUDA events collected\..*")),
    ("CUDA", re.compile(r"Installed CUDA driver version .* is not supported by this build .*")),
    ("unified memory", re.compile(r"(CUDA device \d+: )?Unified Memory cannot be traced .*")),
)
"""What is doubted, and the messages that say no more than that."""


class Diagnostic(Struct, frozen=True):
    """One kind of message: `severity` is WARNING or ERROR, `count` how often it was said."""

    severity: int
    text: str
    count: int
    pids: tuple[int, ...] = ()
    """Processes of which it was said, where the profiler names them."""

    @property
    def doubted(self) -> str | None:
        """`CUDA`, `NVTX` or `unified memory` where this only says that its events might be
        missing."""
        return next((what for what, text in _DOUBTS if text.fullmatch(self.text)), None)


class Source(Struct, frozen=True):
    """Producer and origin of one trace."""

    producer: str
    """`NVIDIA Nsight Systems`, `harness cupti`, ..."""
    version: str
    schema: str
    """Export schema version, empty where the export does not say (before 2022.4)."""
    origin: str
    """`measured`, `simulated` or `synthetic`."""
    strategy: str
    """One of ours, from the manifest, else the metadata; empty for a loop of one's own."""
    label: str
    """What the tables call it: from the manifest, else the strategy, else the file's name."""
    session_start_utc_ns: int | None
    duration_ns: int | None
    manifest: dict[str, Any]
    """The JSON beside the trace; empty where there is none."""
    notes: tuple[str, ...] = ()
    """What was wrong with the metadata, for the validity report."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and errors of the profiler itself."""
    rank: int | None = None
    """Of the recorded process among several, where the manifest or the environment says."""
    rank_from: str = ""
    """`manifest`, the environment variable, or `distributedInfo` of a torch.profiler trace."""
    gpus: int = 0
    """GPUs of the machine, as the trace lists them; 0 where it lists none."""
    stacks: bool = False
    """The frames of Python were recorded, too: torch.profiler's with_stack."""
    accelerator: str = "CUDA"
    """Whose API the calls are of: `CUDA`, `HIP`, `XPU`, ..."""

    def __repr__(self) -> str:
        return shown_without(self, "manifest")

    @property
    def calls_known(self) -> bool:
        """Whether the names of its calls say which of them launch, wait and allocate."""
        return self.accelerator in KNOWN_CALLS

    @property
    def graph_trace(self) -> str | None:
        """`graph` or `node`, as the manifest says CUDA graphs were recorded."""
        capture = self.manifest.get("capture")
        value = capture.get("graph_trace") if isinstance(capture, dict) else None
        return value if isinstance(value, str) else None
