"""How often the article's loop reads a flag that has not landed, and how far it overruns.

    python benchmarks/gpu/stale_flags.py OUTPUT_FOLDER [RUNS]

The published ping-pong loop is run as it is, with one event behind each flag copy that the loop
itself never looks at; `query()` of that event, which waits for nothing, tells whether the slot that
is read next has landed. All rows are made to end at step 50 of 100, so that a stale read has a
price: steps executed for nothing.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from harness.decode import models, session
from harness.decode.registry import choice_class
from harness.decode.strategies import resolve
from harness.decode.workload import Workload
from harness.nvtx import Range, Ranges
from harness.runtime import open_runtime

END = 50
SETUPS = {
    "eager, growing cache": {"cache": "dynamic", "execution": "eager"},
    "eager, fixed cache": {"cache": "static", "execution": "eager"},
    "compiled, fixed cache": {"cache": "static", "execution": "compile"},
    "CUDA graph, fixed cache": {"cache": "static", "execution": "cuda-graph"},
}


class Watched(choice_class("stop_check", "pingpong-published")):
    """The published check, and whether what it reads has landed."""

    def begin(self, runtime):
        super().begin(runtime)
        self.landed = [runtime.new_event(), runtime.new_event()]
        self.stale = self.reads = 0

    def publish(self, step, flag):
        super().publish(step, flag)
        self.landed[step % 2].record()

    def should_stop(self, step):
        if step > 0:
            self.reads += 1
            self.stale += not self.landed[(step + 1) % 2].query()
        return super().should_stop(step)


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    output.mkdir(parents=True, exist_ok=True)
    runtime = open_runtime("cuda")
    rows = []
    for batch in (16, 32):
        for name, choices in SETUPS.items():
            workload = Workload(
                strategy=None, stop_check="pingpong-published", allocator="default", device="cuda",
                batch_size=batch, force_eos_at=str(END), steps=None, **choices,
            )  # fmt: skip
            model = models.load_model(workload, runtime.device)
            ranges = Ranges(100, make=lambda *_: Range(lambda: None, lambda: None))
            strategy = resolve(workload)
            decoder = session.make_decoder(model, workload, runtime, ranges, strategy)
            decoder.stop = Watched(workload)
            try:
                decoder.prepare()
                decoder.run()
                stale, over = [], []
                for _ in range(runs):
                    done = decoder.run()
                    stale.append(decoder.stop.stale / decoder.stop.reads)
                    over.append(done.overshoot)
            except Exception as error:
                print(f"batch {batch}, {name}: {type(error).__name__}: {str(error)[:200]}")
                continue
            rows.append(
                {
                    "batch_size": batch, "setup": name, "runs": runs,
                    "stale_share_median": statistics.median(stale),
                    "stale_share_min": min(stale), "stale_share_max": max(stale),
                    "overshoot_median": statistics.median(over), "overshoot_max": max(over),
                    "step_us": round(done.decode_ns / (done.steps_executed - 1) / 1000, 1),
                }
            )  # fmt: skip
            row = rows[-1]
            print(
                f"batch {batch}, {name}: stale reads {row['stale_share_median']:.0%} "
                f"({row['stale_share_min']:.0%} to {row['stale_share_max']:.0%}), overshoot "
                f"{row['overshoot_median']:g} steps, at most {row['overshoot_max']}; "
                f"{row['step_us']} µs a step",
                flush=True,
            )
    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
    (output / "stale_flags.json").write_text(json.dumps(about, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
