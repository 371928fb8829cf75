"""Numbers, palettes, and drawings of characters."""

from __future__ import annotations

import doctest
import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.figures import palette, text
from harness.analysis.figures.charts import Axis, thinned, upper_end
from harness.analysis.figures.svg import nudged, num, tag, ticks
from harness.analysis.figures.units import human
from harness.analysis.idle.causes import causes
from harness.analysis.scenes.moments import step_moment

from .build import HOSTILE, US, analyzed, loop


@pytest.mark.parametrize("name", ["svg", "units"])
def test_examples_in_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"harness.analysis.figures.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


@given(st.floats(1, 1e12))
def test_durations_keep_three_digits(ns: float) -> None:
    value, unit = human(ns).split()
    back = float(value.replace(",", "")) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert back == pytest.approx(ns, rel=0.0051 if ns >= 100 else 0.51)


@given(low=st.floats(-1e6, 1e6), size=st.floats(1e-3, 1e9), about=st.integers(1, 12))
def test_ticks_lie_inside_and_are_even(low: float, size: float, about: int) -> None:
    high = low + size
    found = ticks(low, high, about)
    assert len(found) <= about + 1
    slack = 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= t <= high + slack for t in found)
    assert "-0" not in [num(t) for t in found]
    assert "-0.0" not in map(str, found)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=25))
def test_labels_are_kept_apart_in_order(positions: list[float]) -> None:
    placed = nudged(positions, 15, 0, 300)
    distance = min(15, 300 / max(len(positions) - 1, 1))
    ordered = sorted(placed)
    assert all(b - a >= distance - 1e-6 for a, b in itertools.pairwise(ordered))
    assert min(placed) >= -1e-6
    assert max(placed) <= 300 + 1e-6
    assert [x for _, x in sorted(zip(positions, placed, strict=True))] == ordered


def test_markup_in_attributes_and_texts_is_escaped() -> None:
    made = tag("rect", class_='"><script>', data_tip=HOSTILE)
    assert "<script>" not in made
    assert "\x1b" not in made
    assert made.count('"') == 4


@pytest.mark.parametrize("theme", [0, 1])
def test_every_tone_stands_out_from_its_paper(theme: int) -> None:
    """WCAG 2.1, 1.4.11: 3:1 for graphics; 1.4.3: 4.5:1 for text."""
    for paper in ("paper", "panel"):
        ground = palette.PAPER[paper][theme]
        for name, pair in palette.tones().items():
            assert palette.contrast(pair[theme], ground) >= 3, (name, paper)
        for name in ("ink", "muted", "accent", "warn", "bad", "shade"):
            assert palette.contrast(palette.PAPER[name][theme], ground) >= 4.5, (name, paper)
    for name, pair in palette.tones().items():
        assert palette.contrast(palette.text_on(pair[theme]), pair[theme]) >= 4.5, name
    for soft, strong in (("warn-soft", "warn"), ("bad-soft", "bad"), ("accent-soft", "ink")):
        pair = palette.PAPER[strong][theme], palette.PAPER[soft][theme]
        assert palette.contrast(*pair) >= 4.5, soft


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as seen without one kind of cone.
_BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def _lab(color: str, matrix: list[list[float]] | None) -> np.ndarray:
    rgb = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if matrix is not None:
        linear = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ linear
    )
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]) + 1e-9)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("sight", ["usual", "protanopia", "deuteranopia"])
def test_usual_causes_are_told_apart_by_everyone(theme: int, sight: str) -> None:
    usual = ["host", "sync", "launch", "queue", "api"]
    matrix = _BLIND.get(sight)
    tones = palette.tones()
    shown = ["busy", *(f"cause-{name}" for name in usual)]
    for a, b in itertools.combinations(shown, 2):
        pair = [_lab(tones[name][theme], matrix) for name in (a, b)]
        assert np.linalg.norm(pair[0] - pair[1]) > 12, (a, b)


def test_every_cause_has_a_colour_and_a_letter_of_its_own() -> None:
    names = {cause.name for cause in causes()}
    assert {f"cause-{name}" for name in names} <= set(palette.tones())
    letters = text.cause_letters()
    assert set(letters) == names
    assert len(set(letters.values())) == len(names)


STEP_5 = """\
          µs         0                    50
             ────────┬─────────────────────┬───────────────
NVTX         ├Step…┤ ├Step 5─────────────────────────────┤
                        ├Model Forwa…┤
CUDA API     ssssss     ll  lll lll  sssssssssssssssssssss
stream 7     █▁           ▆█████████████████████████▆
GPU 0 busy   █▁           ▆█████████████████████████▆
idle          sssshhhhhhllq                         ssssshh

idle: s sync  h host  l launch  q queue
"""


def test_a_step_in_the_terminal(tmp_path: Path) -> None:
    """Step 5 at 60 columns, 2.6 us a cell: idle 28 us, then busy for 60 us."""
    report = analyzed(loop(tmp_path / "a.sqlite")).traces[0]
    scene = step_moment(report, report.series[0], 5).scene
    drawn = text.painted(text.timeline(scene, 60), color=False)
    assert drawn == STEP_5


@pytest.mark.parametrize("width", [40, 80, 81, 200])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    path = loop(tmp_path / "a.sqlite", kernel=HOSTILE * 5, inner=HOSTILE * 5)
    report = analyzed(path).traces[0]
    scene = step_moment(report, report.series[0], 5).scene
    drawn = text.painted([*text.timeline(scene, width), *text.account(scene, width)], color=False)
    assert max(map(len, drawn.splitlines())) <= width
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn


def test_colour_changes_nothing_but_colours(tmp_path: Path) -> None:
    import re

    report = analyzed(loop(tmp_path / "a.sqlite")).traces[0]
    lines = text.timeline(step_moment(report, report.series[0], 5).scene, 80)
    plain, coloured = (text.painted(lines, color=c) for c in (False, True))
    assert coloured != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_bars_are_to_one_scale() -> None:
    rows = [("long", {"host": 60.0 * US, "queue": 40.0 * US}), ("short", {"host": 50.0 * US})]
    drawn = text.painted(text.stacked(rows, 60), color=False).splitlines()
    assert drawn[0].startswith("long  ")
    count = [line.count("h") + line.count("q") for line in drawn[:2]]
    # `short` holds an h of its own.
    assert count[0] == pytest.approx(2 * (count[1] - 1), abs=2)
    assert drawn[0].endswith("100 µs")


def test_sparklines_show_the_worst_of_each_part() -> None:
    values = np.array([1, 1, 8, 1, 1, 1, 4, 1])
    assert text.sparkline(values, 4) == "▁█▁▄"
    assert text.sparkline(values, 99) == "▁▁█▁▁▁▄▁"
    assert text.sparkline(values, 4, most=16) == "▁▄▁▂"
    assert text.sparkline(np.array([], np.int64), 9) == ""


def test_thinned_points_keep_the_worst_step_of_each_group() -> None:
    value = np.zeros(5000, np.int64)
    value[4321] = 7
    points = thinned(np.arange(5000) + 100, value, most=100)
    assert len(points.number) <= 100
    assert 4421 in points.number
    assert points.each == 50


def test_a_few_far_values_do_not_flatten_the_scale() -> None:
    usual = np.full(1000, 50 * US)
    far = usual.copy()
    far[3] = 5000 * US
    assert upper_end([far]) < 200 * US
    assert upper_end([usual]) == pytest.approx(52 * US)
    assert Axis.of_time(0, 52 * US).unit == "µs"
