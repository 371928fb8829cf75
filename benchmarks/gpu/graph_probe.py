"""May CUPTI be let go of where CUDA graphs run? Each case in a process of its own.

python benchmarks/gpu/graph_probe.py            runs them all
python benchmarks/gpu/graph_probe.py CASE       one: words of capture, replay, open, close, leave
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from ablation import LIGHT, SETS, Shim

CASES = (
    "capture replay open replay close replay",
    "capture replay open replay close leave replay",
    "capture replay open replay close leave replay open replay close replay",
    "capture replay calls replay close leave replay",
    "capture replay open close leave replay",
    "open close leave capture replay",
    "open eager close leave capture replay open replay close replay",
    "capture replay open replay close leave capture replay",
    "capture replay open replay close replay open replay close replay open replay close replay",
    "capture replay full replay close replay",
)


def main() -> None:
    if len(sys.argv) < 2:
        for case in CASES:
            done = subprocess.run(
                [sys.executable, __file__, *case.split()],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            said = (done.stdout.strip() or "-").splitlines()[-1]
            wrong = [line for line in done.stderr.splitlines() if "rror" in line][-1:]
            print(f"{case}: exit {done.returncode} {said} {wrong}", flush=True)
        return
    import torch

    shim = Shim()
    a = torch.zeros(64, device="cuda")
    graphs = []
    found = []
    for word in sys.argv[1:]:
        if word == "capture":
            graph = torch.cuda.CUDAGraph()
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                a.add_(1)
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                for _ in range(300):
                    a.add_(1)
            graphs.append(graph)
        elif word == "replay":
            times = []
            for _ in range(60):
                begin = time.perf_counter_ns()
                graphs[-1].replay()
                torch.cuda.synchronize()
                times.append((time.perf_counter_ns() - begin) / 1e3)
            found.append(f"{statistics.median(times[5:]):.1f}")
        elif word == "eager":
            for _ in range(100):
                a.add_(1)
        elif word in ("open", "calls", "full"):
            shim.open({"open": LIGHT, "calls": SETS["calls"], "full": SETS["full"]}[word])
        elif word == "close":
            shim.close(False)
            found.append(str(shim.counts()))
        elif word == "leave":
            shim.close(True)
    print(" ".join(found), float(a[0].item()))


if __name__ == "__main__":
    main()
