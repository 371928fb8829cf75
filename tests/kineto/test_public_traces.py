"""torch.profiler traces of other people's programs, against figures by an independent union.

The figures are the union of all GPU events, by a plain loop over Python's own parser; its times are
exact decimals.
"""

from __future__ import annotations

import pytest

from harness.analysis.analyze import analyze
from tests.conftest import DATA

FIGURES = [
    ("h100_bert_with_stack", 3_907_825, 309_437),
    ("h100_vit_with_stack", 7_559_844, 1_225_310),
    ("mi300x_vllm_decode_graph", 10_743_181, 10_717_708),
    ("v100_dlrm_rank0", 13_009_000, 6_590_000),
    ("v100_dlrm_rank1", 18_749_000, 12_321_000),
]


@pytest.mark.parametrize(("name", "window", "busy"), FIGURES)
def test_device_figures_to_the_nanosecond(name: str, window: int, busy: int) -> None:
    report = analyze(DATA / f"{name}.json.gz")
    (device,) = report.devices
    assert (device.window_ns, device.busy_ns, device.idle_ns) == (window, busy, window - busy)
    assert sum(device.causes.values()) == device.idle_ns
    assert len(report.series) == 1
