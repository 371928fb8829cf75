"""Repeats that are no steps: layers, blocks that upload weights, turns of an inner loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.idle.infer.infer import infer_steps
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace

from .loops import Host, forward, kv_cache, opened, recorded, training

EXPERT = ("expert_up", "silu_mul", "expert_down")


def mixture(host: Host, layers: int = 12) -> None:
    """One forward pass whose layers hold eight experts each."""
    host.kernel("embed")
    for _ in range(layers):
        for name in ("norm", "qkv", "attention", "out", "norm2", "gate", "dispatch"):
            host.kernel(name)
        for name in EXPERT * 8:
            host.kernel(name)
        host.kernel("combine")
        host.kernel("add")
    host.kernel("norm_f")
    host.kernel("head")


def ranged(host: Host, begun: int, name: str) -> None:
    host.trace.nvtx(begun, host.now, name, thread=host.thread)


@pytest.mark.parametrize("name", ["ProfilerStep#1", "Step 0", "train_step 7", "iteration 12"])
def test_layers_inside_one_step_range_are_refused(tmp_path: Path, name: str) -> None:
    host = Host()
    begun = host.now
    mixture(host)
    ranged(host, begun - 1, name)
    with pytest.raises(TraceError, match="holds 12 of the 12 repeats: they are parts of a step"):
        infer_steps(opened(host.trace, tmp_path))


def test_experts_alone_make_layers_no_sure_steps(tmp_path: Path) -> None:
    host = Host()
    mixture(host)
    found = infer_steps(opened(host.trace, tmp_path))
    assert found.confidence <= 0.5
    assert "may be layers" in found.explanation


def blocks(names: str | None = None, *, waits: bool) -> Host:
    """16 blocks that copy their weights to the device before they run, as offloaded ones do.

    `waits`: each reads back which experts it needs, and `names` its range.
    """
    host = Host()
    host.kernel("embed")
    for layer in range(16):
        begun = host.now
        host.upload()
        for kernel in ("norm", "qkv", "attention", "out", "up", "down"):
            host.kernel(kernel)
        if waits:
            host.item()
        if names:
            ranged(host, begun, names.format(layer))
    host.kernel("head")
    return host


@pytest.mark.parametrize("names", ["layers.{}", "FSDP::pre_forward (blocks.{})", "Block {}"])
def test_ranges_whose_number_rises_with_each_repeat_tell_layers(tmp_path: Path, names: str) -> None:
    with pytest.raises(TraceError, match="goes up once a repeat") as raised:
        infer_steps(opened(blocks(names, waits=True).trace, tmp_path))
    assert f"--step '{names.format('*')}'" in str(raised.value)


def test_blocks_that_upload_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"16 times .* nothing marks them as a step"):
        infer_steps(opened(blocks(waits=False).trace, tmp_path))


def test_numbered_steps_speak_for_themselves(tmp_path: Path) -> None:
    """Ranges that count steps rise once a repeat too, and so does what is inside of them."""
    host = recorded(kv_cache)
    for number in range(20):
        host.trace.nvtx(number, number + 1, f"unrelated {number}", thread=host.thread)
    found = infer_steps(opened(host.trace, tmp_path))
    assert len(found.series) == 20
    assert found.confidence > 0.9


def diffusion(images: int, turns: int, decoder: int) -> Trace:
    """Each image: a text encoder, `turns` of one denoiser, a decoder of so many kernels."""

    def image(host: Host) -> None:
        for _ in range(turns):
            host.upload()
            forward(host, layers=30)
        for _ in range(decoder):
            host.kernel("convolution")

    host = Host()
    for _ in range(images):
        image(host)
    return host.trace


def test_turns_of_an_inner_loop_are_refused(tmp_path: Path) -> None:
    """200 turns of 338 operations, after every 20th a decoder of 16."""
    with pytest.raises(TraceError, match="turns of a loop inside a longer step") as raised:
        infer_steps(opened(diffusion(10, 20, 16), tmp_path))
    assert "every 20. repeat" in str(raised.value)


def test_an_inner_loop_with_a_long_decoder_is_no_step_either(tmp_path: Path) -> None:
    found = infer_steps(opened(diffusion(10, 20, 60), tmp_path))
    assert len(found.series) in (9, 10)


@pytest.mark.parametrize("turns", [1, 3])
def test_waits_in_few_repeats_leave_a_doubt(tmp_path: Path, turns: int) -> None:
    host = Host()
    for _ in range(30):
        for _ in range(turns):
            forward(host)
        host.item()
    found = infer_steps(opened(host.trace, tmp_path))
    assert len(found.series) == 30 * turns
    assert ("a loop inside a longer step" in found.explanation) == (turns > 1)


def test_a_loss_read_every_few_steps_is_no_inner_loop(tmp_path: Path) -> None:
    found = infer_steps(opened(recorded(training, steps=40).trace, tmp_path))
    assert len(found.series) == 40
