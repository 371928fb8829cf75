"""A Python target under nsys runs through our launcher, which adds what nsys does not see."""

from __future__ import annotations

import json

from ...analysis.model.evidence import CPU_MARKS, DOMAIN, NAMES
from ...errors import CaptureError
from ..base import CaptureConfig
from ..cupti.plan import LAUNCHER, python_target


def launched(config: CaptureConfig) -> tuple[str, ...]:
    """The command that nsys is to run; that of the config where it is no Python program.

    Programs that start the target as processes of their own (torchrun, ...) are left as they are:
    nsys follows their children, the launcher would not.
    """
    try:
        target = python_target(config.argv)
    except CaptureError:
        return config.argv
    described = config.workdir / "launch.json"
    session = {"road": "nsys", "domain": DOMAIN, "evidence": NAMES, "marks": CPU_MARKS}
    described.write_text(json.dumps(session))
    return (*target.interpreter, str(LAUNCHER), str(described), "--", *target.words)
