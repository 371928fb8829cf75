"""Why a strategy cannot run on this machine, in one line."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys

from .registry import needs_of
from .strategy import Strategy

MISSING_TORCH = "torch and transformers are not installed; pip install 'nsys-harness[strategies]'"


def _cuda(device: str) -> str | None:
    import torch

    if device == "cpu":
        return "needs a CUDA GPU, the device is cpu"
    if not torch.cuda.is_available():
        return "needs a CUDA GPU, PyTorch sees none here"
    return None


def _compiler(device: str) -> str | None:
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        # Inductor tries this one and no other (torch._inductor.config.cpp.cxx).
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            return f"torch.compile on a CPU needs a C++ compiler ({compiler}), none is on PATH"
    elif importlib.util.find_spec("triton") is None:
        return "torch.compile on a GPU needs triton, which is not installed"
    return None


def _conditional_graphs(device: str) -> str | None:
    import torch

    if not all(map(importlib.util.find_spec, ("cuda", "cuda.bindings"))):
        return "needs the cuda-bindings package (pip install cuda-bindings)"
    have = torch.version.cuda or "0.0"
    if tuple(map(int, have.split(".")[:2])) < (12, 4):
        return f"needs CUDA 12.4 or newer for conditional graph nodes, PyTorch has {have}"
    return None


def _deferred_stop_check(device: str) -> str | None:
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "transformers' DeferredStopCheck needs device events, a CPU has none"
    import transformers
    from transformers.generation import utils

    if not hasattr(utils, "DeferredStopCheck"):
        return f"transformers {transformers.__version__} has no DeferredStopCheck (5.17 to 5.23 do)"
    return None


REQUIREMENTS = {
    "cuda": _cuda,
    "compiler": _compiler,
    "conditional-graphs": _conditional_graphs,
    "deferred-stop-check": _deferred_stop_check,
}


@functools.cache
def unavailable_reason(strategy: Strategy, device: str = "auto") -> str | None:
    """The first unmet need of `strategy` on `device`, or None; imports torch, never raises."""
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        return MISSING_TORCH
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return "no CUDA GPU: PyTorch sees none here"
    for need in needs_of(strategy):
        reason = REQUIREMENTS[need](device)
        if reason:
            return reason
    return None


def not_simulated(strategy: Strategy) -> str | None:
    """Why a simulated GPU cannot run it, or None."""
    if strategy.engine == "hf" and strategy.stop_check == "deferred":
        return "transformers waits for events of its own"
    if strategy.engine == "device-loop":
        return "a simulated device launches nothing by itself"
    return None
