"""docs/simulator.md says what the code does: its keys, its commands and its figures."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from harness.analysis.gains.gpu import _KEYS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "simulator.md").read_text()


def test_every_key_of_a_gpu_file_is_described():
    for section, keys in _KEYS.items():
        assert f"| `{section}` |" in TEXT
        for key in keys:
            assert f"`{key}`" in TEXT, key


def test_what_ifs_are_those_of_the_command():
    from harness.simgpu.from_trace import Asked, predict_from

    table = predict_from(Asked(str(ROOT / "traces" / "example-sync.sqlite"))).tables[0]
    shown = {row[0] for row in table.rows} - {"–", "replay"}
    described = set(re.findall(r"^\| ([a-z+ ]+) \|", TEXT, re.M))
    assert shown <= described


@pytest.fixture(scope="module")
def tables():
    pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")
    spec = importlib.util.spec_from_file_location(
        "simulator_tables", ROOT / "scripts" / "simulator_tables.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("strategy", "batch"),
    [("kv-cache", 1), ("baseline", 16), ("compiled", 16), ("cuda-graph", 16),
     ("pipelined-compiled", 32)],
)  # fmt: skip
def test_the_figures_against_the_h100_are_the_models(tables, strategy, batch):
    rows = json.loads(tables.MEASURED.read_text())["rows"]
    (row,) = (
        r
        for r in rows
        if (r["strategy"], r["batch_size"], r["dtype"], r["max_new_tokens"])
        == (strategy, batch, "float32", 100)
    )
    assert tables.measured_row(row) in TEXT


def test_the_articles_gap_is_the_models(tables):
    sync, late = tables.predicted("kv-cache", 16), tables.predicted("pipelined", 16)
    assert f"| {sync.steady.inter_ns / 1e3:.1f} µs |" in TEXT
    assert f"| {late.steady.inter_ns / 1e3:.1f} µs (the stream's own gap) |" in TEXT
    # The article: a gap with the synchronous check, none without.
    assert sync.steady.inter_ns > 20 * late.steady.inter_ns


def test_the_articles_gain_is_the_models(tables):
    base, best = tables.predicted("baseline", 32), tables.predicted("pipelined-compiled", 32)
    assert f"| {base.step_ns / best.step_ns:.1f} x |" in TEXT


def test_a_faster_host_gives_the_articles_shape(tables):
    gains = []
    for batch in (1, 16, 64):
        a = tables.predicted("kv-cache", batch, host=0.125)
        b = tables.predicted("pipelined", batch, host=0.125)
        gains.append(1 - b.step_ns / a.step_ns)
    assert gains == sorted(gains, reverse=True)
    assert f"| {gains[0]:.1%} |" in TEXT
    assert 0 < gains[-1] < gains[0] < 0.116
