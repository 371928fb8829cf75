"""The launcher that runs in the target's process: what it is told, and how it is started."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import CaptureConfig
from .window import Window

LAUNCHER = Path(__file__).resolve().parents[1] / "launcher.py"


def told_path(folder: Path) -> Path:
    """The file in the working folder where the launcher says what happens."""
    return folder / "told.jsonl"


def described(config: CaptureConfig, road: str, more: Mapping[str, Any]) -> Path:
    """Write the file that the launcher reads; returns its path."""
    window = config.window or Window()
    session = {
        "road": road,
        "folder": str(config.workdir),
        "told": str(told_path(config.workdir)),
        "device": config.device,
        "range": {
            "kind": config.capture_range.kind,
            "name": config.capture_range.name,
            # A window of the command line stands above the program's own calls.
            "follow": config.capture_range.kind in ("cudaProfilerApi", "auto") and not window.asked,
        },
        "window": window.to_dict(),
        **more,
    }
    path = config.workdir / "session.json"
    path.write_text(json.dumps(session))
    return path


def under_launcher(
    interpreter: Sequence[str], words: Sequence[str], session: Path
) -> tuple[str, ...]:
    """The command that runs `words` as `interpreter` would, with the session in its process."""
    return (*interpreter, str(LAUNCHER), str(session), "--", *words)


def host_facts(folder: Path) -> dict[str, Any] | None:
    """What the target told about itself; None where it did not live to tell."""
    try:
        told = json.loads((folder / "host.json").read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
