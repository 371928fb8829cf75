"""Record what a GPU would have done: the harness's own strategies, against virtual clocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .base import (
    CPU_REMEDY,
    Availability,
    CaptureConfig,
    CaptureResult,
    Progress,
    register,
)
from .errors import NoTraceWritten, OwnStrategiesOnly, SimulationFailed
from .remarks import NotComputed, Races
from .targets import refuse_interrupted, run_target

DEFAULT_GPU = "l40s"
"""The article's."""

_TARGET = "harness.target"


class SimBackend:
    """Runs the target's strategy in `harness.simgpu.target`, which writes the trace itself."""

    name = "sim"
    summary = "A simulated GPU: what the harness's own strategies would do on it; needs no GPU"
    records = {"no-gpu": "sim", "cuda": "sim"}  # noqa: RUF012
    priority = 90
    commands = False

    def probe(self, device: str, tool: str | None = None) -> Availability:
        """Needs what recording needs: torch and transformers."""
        from importlib.util import find_spec

        if not all(map(find_spec, ("torch", "transformers"))):
            return Availability(
                False,
                "torch and transformers are not installed",
                "pip install 'nsys-harness[strategies]'",
            )
        return Availability(True, "no GPU is used, one is simulated; every figure is marked so")

    def record(self, config: CaptureConfig, progress: Progress) -> CaptureResult:
        """Simulate; the trace is the target's own."""
        from ..analysis.gains.gpu import load_gpu

        gpu = load_gpu(config.gpu or DEFAULT_GPU)
        argv = _simulating(config)
        progress.stage(f"simulating on {gpu.name}")
        ended = run_target(config, argv, progress)
        refuse_interrupted(ended)
        trace = _trace(config)
        if not trace.exists():
            if ended.exit_code:
                raise SimulationFailed(
                    f"the simulation ended with code {ended.exit_code}", exit_code=ended.exit_code
                )
            raise NoTraceWritten("the simulation wrote no trace", remedy="see its output above")
        told = _told(config)
        return CaptureResult(
            backend=self.name,
            exit_code=ended.exit_code,
            origin="simulated",
            sqlite=trace,
            graph_trace=config.graph_trace or "node",
            options=(f"--gpu={config.gpu or DEFAULT_GPU}",),
            notes=_notes(gpu.name, told),
            durations_s={"record": round(ended.wall_s, 3)},
        )


def _simulating(config: CaptureConfig) -> tuple[str, ...]:
    """The harness's own target, with the simulator in its place."""
    words = list(config.argv)
    if _TARGET not in words:
        raise OwnStrategiesOnly(
            "the simulator runs the harness's own strategies, no other program",
            remedy=f"use --strategy NAME; for a program of yours: {CPU_REMEDY}, or harness predict "
            "--from a recording of it",
        )
    place = words.index(_TARGET)
    words[place] = "harness.simgpu.target"
    kept = [word for word in words if not word.startswith("--device=")]
    kept += [f"--gpu={config.gpu or DEFAULT_GPU}", f"--trace={_trace(config)}"]
    if config.graph_trace == "graph":
        kept.append("--whole-graphs")
    return tuple(kept)


def _trace(config: CaptureConfig) -> Path:
    return config.workdir / "trace.sqlite"


def _told(config: CaptureConfig) -> dict[str, Any]:
    """What the target wrote about the simulation; empty where it wrote nothing."""
    for word in config.argv:
        if word.startswith("--result="):
            try:
                told = json.loads(Path(word.partition("=")[2]).read_text())
            except (OSError, ValueError):
                return {}
            return told.get("simulated") or {} if isinstance(told, dict) else {}
    return {}


def _notes(gpu: str, told: dict[str, Any]) -> tuple[str, ...]:
    notes = [f"simulated on {gpu}, nothing was measured"]
    if told.get("values") == "shapes":
        notes.append(
            NotComputed(
                "the model was not computed: its operations are real, its tokens are made up, and "
                "rows end only where --force-eos-at says so"
            )
        )
    races = told.get("races") or []
    if races:
        wrong = sum(race["wrong_value"] for race in races)
        notes.append(
            Races(
                f"{len(races)} host-device races: a flag was read before its copy had landed, "
                f"{wrong} of them with another value than it was to have"
            )
        )
    return tuple(notes)


def without_simulation() -> dict[str, str]:
    """Strategies that cannot be simulated, with the reason."""
    from ..decode.availability import not_simulated
    from ..decode.registry import strategies

    return {found.name: reason for found in strategies() if (reason := not_simulated(found))}


register(SimBackend())
