"""Record one program by the CUPTI shim: `python shim.py NAME.sqlite -- PROGRAM ARG...`

Writes NAME.sqlite, and what the recorder counted about itself to NAME.completeness.json.
`harness profile --capture cupti` does the same, and asks nvidia-smi besides, which would disturb a
loop that is measured at that moment.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.cupti.backend import CuptiBackend


class Passed:
    """Progress that passes the program's output on."""

    def stage(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    def output(self, text: str) -> None:
        sys.stderr.write(text)

    def tick(self, elapsed_s: float) -> None:
        pass


def main() -> int:
    trace, dashes, *program = sys.argv[1:]
    if dashes != "--":
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(dir=Path(trace).parent) as folder:
        made = CuptiBackend("shim").record(
            CaptureConfig(
                argv=tuple(program),
                device="cuda",
                workdir=Path(folder),
                capture_range=CaptureRange.parse("cudaProfilerApi"),
                # Nodes recorded one by one make the launch of a graph three times as long.
                graph_trace="graph" if "launch-bound" in program else "node",
            ),
            Passed(),
        )
        if made.sqlite is None:
            return 1
        shutil.move(made.sqlite, trace)
    Path(trace).with_suffix(".completeness.json").write_text(json.dumps(dict(made.completeness)))
    return made.exit_code


if __name__ == "__main__":
    sys.exit(main())
