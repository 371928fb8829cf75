"""The built-in GPUs, and what is wrong with a user's own."""

from __future__ import annotations

import pytest

from harness.analysis.gains.gpu import built_in, find_gpu, load_gpu, read_gpu
from harness.analysis.model.errors import TraceError

L40S = built_in()["l40s"].read_text()


def test_the_gpus_that_are_promised_are_there():
    assert {"l40s", "h100", "h200", "a100", "rtx4090"} <= set(built_in())


@pytest.mark.parametrize("name", built_in())
def test_every_number_has_a_source(name):
    gpu = load_gpu(name)
    assert set(gpu.sources) == set(gpu.values)
    assert all(len(source) > 15 for source in gpu.sources.values()), gpu.sources
    assert gpu.timing.queue_depth >= 1


def test_one_set_of_host_constants_for_all():
    # Host constants belong to the machine that feeds the GPU; none is tuned to a GPU.
    sets = {
        tuple(v for (section, _), v in load_gpu(name).values.items() if section == "host")
        for name in built_in()
    }
    assert len(sets) == 1


@pytest.mark.parametrize(
    ("driver", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"), ("NVIDIA H200", "h200"), ("NVIDIA L40S", "l40s"),
        ("NVIDIA A100-SXM4-80GB", "a100"), ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA L40", None), ("Tesla T4", None), ("", None),
    ],
)  # fmt: skip
def test_found_by_the_name_that_drivers_give(driver, key):
    found = find_gpu(driver)
    assert (found.key if found else None) == key


def test_a_file_of_the_users_own(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(L40S.replace("NVIDIA L40S 48GB", "My GPU"))
    assert load_gpu(str(mine)).name == "My GPU"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema = 1", "schema = 2", "schema = 2, 1 was expected"),
        ('name = "NVIDIA L40S 48GB"', "", "has no name"),
        ("[rates]", "[rate]", "has no \\[rates\\]"),
        ("gap_ns = {", "gap = {", "has 'gap', which nothing reads"),
        ("latency_ns = { value = 3_470", "latency_ns = { value = -1", "latency_ns is -1"),
        ("efficiency = { value = 0.9,", "efficiency = { value = 9,", "it must be 0.01 to 1"),
        ('latency_ns = { value = 3_470, source = "latency" }', "latency_ns = 3470", "another form"),
        ('source = "latency"', 'source = ""', "has no source"),
        ("value = 3_470", 'value = "fast"', "value is a number"),
        ("value = 3_470", "value = nan", "value is a number"),
        ("schema = 1", "schema = ", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, old, new, says):
    assert old in L40S
    path = tmp_path / "mine.toml"
    path.write_text(L40S.replace(old, new))
    with pytest.raises(TraceError, match=says) as caught:
        read_gpu(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(TraceError, match="use a100, h100") as caught:
        load_gpu("b300")
    assert caught.value.exit_code == 2
    with pytest.raises(TraceError, match="No such file"):
        load_gpu("./nothing.toml")
