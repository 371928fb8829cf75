"""The nsys command line for three releases, word by word."""

from pathlib import Path

import pytest

from harness.capture.base import CaptureRange
from harness.capture.nsys.argv import (
    export_argv,
    graph_level,
    import_argv,
    nvtx_range,
    profile_argv,
    profile_options,
)
from harness.capture.nsys.features import NsysFeatures, from_help
from harness.errors import UsageError

HELP = Path(__file__).parent / "nsys_help"
CUDA_API = CaptureRange("cudaProfilerApi")
NVTX = CaptureRange("nvtx", "harness capture")
NONE = CaptureRange("none")


def features(release: str) -> NsysFeatures:
    text = (HELP / f"{release}.txt").read_text()
    return from_help("/opt/nsys", f"{release}.1", f"{release}.1.0-abc", text)


LAST = "--resolve-symbols=false --wait=primary"
COMMON = "--sample=none --cpuctxsw=none"
GOLDEN = [
    (
        ("2022.4", "cuda", CUDA_API, None),
        f"--trace=cuda,nvtx,osrt {COMMON} --capture-range=cudaProfilerApi "
        f"--capture-range-end=stop --cuda-graph-trace=node {LAST}",
    ),
    (
        ("2023.4", "cuda", CUDA_API, None),
        f"--trace=cuda,nvtx,osrt {COMMON} --capture-range=cudaProfilerApi "
        f"--capture-range-end=stop --cuda-graph-trace=node {LAST}",
    ),
    (
        ("2026.4", "cuda", CUDA_API, None),
        f"--trace=cuda,nvtx,osrt {COMMON} --capture-range=cudaProfilerApi "
        "--capture-range-end=stop --cuda-graph-trace=graph:host-only --cuda-event-trace=false "
        f"--discard-environment=true {LAST}",
    ),
    (
        ("2025.3", "cuda", CUDA_API, None),
        f"--trace=cuda,nvtx,osrt {COMMON} --capture-range=cudaProfilerApi "
        "--capture-range-end=stop --cuda-graph-trace=graph:host-only --cuda-event-trace=false "
        f"{LAST}",
    ),
    (
        ("2026.4", "cuda", CUDA_API, "node"),
        f"--trace=cuda,nvtx,osrt {COMMON} --capture-range=cudaProfilerApi "
        "--capture-range-end=stop --cuda-graph-trace=node --cuda-event-trace=false "
        f"--discard-environment=true {LAST}",
    ),
    (
        ("2022.4", "cuda", NONE, "graph"),
        f"--trace=cuda,nvtx,osrt {COMMON} --cuda-graph-trace=graph {LAST}",
    ),
    (
        ("2022.4", "cpu", NONE, "node"),
        f"--trace=nvtx,osrt {COMMON} {LAST}",
    ),
    (
        ("2026.4", "cpu", NONE, None),
        f"--trace=nvtx,osrt {COMMON} --discard-environment=true {LAST}",
    ),
]


@pytest.mark.parametrize(("case", "expected"), GOLDEN)
def test_options(case, expected):
    release, device, capture_range, asked = case
    nsys = features(release)
    level, _ = graph_level(nsys, device, asked)
    options = profile_options(nsys, device=device, capture_range=capture_range, graph_trace=level)
    assert options == tuple(expected.split(" "))


def test_a_cpu_recording_opens_with_an_nvtx_range_of_any_domain():
    options = profile_options(features("2022.4"), device="cpu", capture_range=NVTX)
    assert options == (
        "--trace=nvtx,osrt",
        "--sample=none",
        "--cpuctxsw=none",
        "--capture-range=nvtx",
        "--nvtx-capture=harness capture@*",
        "--capture-range-end=stop",
        "--resolve-symbols=false",
        "--wait=primary",
    )


def test_graph_level_without_a_table_for_it_is_said():
    level, note = graph_level(features("2023.4"), "cuda", "graph")
    assert level == "graph"
    assert "--graph-trace node" in note
    assert graph_level(features("2026.4"), "cuda", None) == ("graph", None)
    assert graph_level(features("2026.4"), "cpu", "node") == (None, None)


def test_no_statistics_and_no_force_are_ever_asked_for():
    for release in ("2022.4", "2023.4", "2026.4"):
        for device in ("cuda", "cpu"):
            options = " ".join(
                profile_options(features(release), device=device, capture_range=CUDA_API)
            )
            assert "--stats" not in options
            assert "--force-overwrite" not in options


def test_the_target_follows_untouched():
    target = ["python", "a b.py", "--flag=$HOME", "; rm -rf /", "--output=x"]
    argv = profile_argv(features("2022.4"), ("--trace=nvtx",), "/t/50% off/report", target)
    assert argv == [
        "/opt/nsys",
        "profile",
        "--trace=nvtx",
        "--output=/t/50%% off/report",
        *target,
    ]


def test_import_and_export():
    assert import_argv("/i", "/t/r.qdstrm", "/t/r.nsys-rep") == [
        "/i",
        "--input-file",
        "/t/r.qdstrm",
        "--output-file",
        "/t/r.nsys-rep",
    ]
    assert export_argv(features("2023.4"), "/t/r.nsys-rep", "/t/r.sqlite") == [
        "/opt/nsys",
        "export",
        "--type=sqlite",
        "--force-overwrite=true",
        "--output=/t/r.sqlite",
        "/t/r.nsys-rep",
    ]


@pytest.mark.parametrize(
    ("text", "shown", "nsys"),
    [
        ("nvtx:decode", "nvtx:decode", "decode@*"),
        ("nvtx:decode@mine", "nvtx:decode@mine", "decode@mine"),
        ("nvtx:a b:c", "nvtx:a b:c", "a b:c@*"),
    ],
)
def test_ranges(text, shown, nsys):
    parsed = CaptureRange.parse(text)
    assert str(parsed) == shown
    assert nvtx_range(parsed) == nsys


@pytest.mark.parametrize("text", ["", "nvtx", "nvtx:", "cuda", "NVTX:x"])
def test_ranges_that_are_none(text):
    with pytest.raises(UsageError, match="nvtx:NAME"):
        CaptureRange.parse(text)
