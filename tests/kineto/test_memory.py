"""Memory follows what is kept, not the size of the JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .kineto_json import event, kineto_2_11, launch

MEASURE = """
import re, sys
from pathlib import Path
from harness.analysis.readers.kineto.tables import read_kineto
trace = read_kineto(Path(sys.argv[1]))
# Not getrusage: its maximum begins with what the parent had at the fork.
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
print(len(trace.operations), peak.group(1))
"""


def peak_mib(path: Path) -> tuple[int, float]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], check=True, capture_output=True, text=True
    )
    operations, kib = map(int, done.stdout.split())
    return operations, kib / 1024


def test_eight_times_the_json_takes_no_more_memory(tmp_path: Path) -> None:
    kept = [e for k in range(500) for e in launch("k", (k, k + 1), (k + 2, k + 3), k + 1)]
    frames = [
        event("python_function", f"model.py({k}): forward", k, k + 5, 1, 1,
              **{"Python id": k, "Python parent id": k - 1})
        for k in range(30_000)
    ]  # fmt: skip
    peaks = []
    for times in (1, 8):
        path = tmp_path / f"{times}.json"
        path.write_bytes(kineto_2_11([*kept, *(frames * times)]))
        operations, peak = peak_mib(path)
        assert operations == 500
        peaks.append(peak)
    size = (tmp_path / "8.json").stat().st_size / 2**20
    assert size > 40
    assert peaks[1] - peaks[0] < 8, f"{peaks} MiB for a JSON of {size:.0f} MiB"
