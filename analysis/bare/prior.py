"""What is known of recorders' costs before a trace is looked at; see `prior.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import asdict

from ..model.source import OPERATORS_DOMAIN, TORCH_PROFILER
from ..model.trace import Trace
from .costs import Costs, PerCall

CUPTI, NSYS = "harness cupti", "NVIDIA Nsight Systems"
"""`Source.producer` of our own recorder's traces, and of nsys's."""


class _Range(Struct, frozen=True, forbid_unknown_fields=True):
    inside: PerCall = PerCall()
    outside: PerCall = PerCall()
    node: int = 0
    node_gap: int = 0
    iteration_gap: int = 0
    range: int = 0


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    low: _Range
    high: _Range
    machine: str
    date: str
    libcupti: int = 0
    driver: float = 1.0


class Prior(Struct, frozen=True):
    """The costs of one recorder, between `low` and `high`."""

    recorder: str
    low: Costs
    high: Costs
    machine: str
    date: str
    library_version: int = 0
    """Of libcupti; 0 where nobody noted it."""

    @property
    def middle(self) -> Costs:
        """Half-way between the two."""
        plain = {
            name: (getattr(self.low, name) + getattr(self.high, name)) // 2
            for name in ("node", "node_gap", "iteration_gap", "range")
        }
        return Costs(
            _between(self.low.inside, self.high.inside),
            _between(self.low.outside, self.high.outside),
            driver=self.low.driver,
            **plain,
        )


def _between(low: PerCall, high: PerCall) -> PerCall:
    return PerCall(**{name: (ns + getattr(high, name)) // 2 for name, ns in asdict(low).items()})


def priors_of(tables: Mapping[str, Any]) -> dict[str, Prior]:
    """Priors by recorder. Raises msgspec.ValidationError where a table is not of that form."""
    found = {}
    for name, table in tables.items():
        entry = convert(table, _Entry)
        low, high = (
            Costs(driver=entry.driver, **{f: getattr(side, f) for f in side.__struct_fields__})
            for side in (entry.low, entry.high)
        )
        found[name] = Prior(name, low, high, entry.machine, entry.date, entry.libcupti)
    return found


@cache
def priors() -> dict[str, Prior]:
    """Those that come with the harness."""
    import tomllib

    text = (Path(__file__).parent / "prior.toml").read_text("utf-8")
    return priors_of(tomllib.loads(text))


def prior(recorder: str) -> Prior | None:
    """What is known of a recorder; None where nothing was measured."""
    return priors().get(recorder)


def recorder_of(trace: Trace) -> str:
    """Which recorder made a trace, as priors call it; empty where there is no name for it."""
    source = trace.source
    if source.origin != "measured":
        return ""
    table = source.manifest.get("bare")
    named = table.get("recorder") if isinstance(table, dict) else None
    if isinstance(named, str) and named:
        return named
    if source.producer == TORCH_PROFILER:
        if source.stacks:
            return ""  # nobody has measured what frames cost
        operators = bool((trace.ranges.domain == OPERATORS_DOMAIN).any())
        return "torch-profiler-cpu+cuda" if operators else "torch-profiler-cuda"
    if source.producer == NSYS:
        return "nsys"
    if source.producer != CUPTI:
        return ""
    capture = source.manifest.get("capture")
    options = capture.get("options") if isinstance(capture, dict) else None
    light = isinstance(options, list | tuple) and "records=light" in options
    return "cupti-light" if light else "cupti-full"
