"""Which GPU operations are communication between ranks, by the names of their kernels."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

import numpy as np

from .arrays import Bool

_KNOWN = re.compile(
    # Libraries: NVIDIA's, AMD's, Microsoft's, Intel's, Huawei's, DeepSeek's.
    r"nccl|rccl|mscclpp|nvshmem|rocshmem|ishmem|oneccl|hccl|hcom_|deep_?ep"
    # Kernels of inference engines and PyTorch's symmetric memory: vLLM and SGLang, AMD's quick
    # reduce, TensorRT-LLM, FlashInfer, multimem.
    r"|cross_device_reduce|quick_?reduce|userbuffers|multimem_"
    r"|(?<!warp)(?<!block)(?<!thread)(?<!group)(?<!cta)_?"
    r"(all_?reduce|all_?gather(?!v?_copy)|reduce_?scatter|all_?to_?all)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"all_?reduce|all_?gather|reduce_?scatter|cross_device_reduce|quick_?reduce", re.IGNORECASE
)
_GROUP = re.compile(r"of ranks [0-9. ()]+\]$")
_FEW = 8
"""Ranks of a group that are named; of more, the first and the last are, and their number."""
_LONGEST = 4096
"""Characters of a name that are looked at."""


class Communication:
    """What counts as communication: what is known, and what the user names by wildcards."""

    def __init__(self, globs: Sequence[str] = ()) -> None:
        self._own = [re.compile(fnmatch.translate(glob)) for glob in globs]

    def is_communication(self, name: str) -> bool:
        """Whether a kernel of this name works between ranks, and may spin while it waits."""
        return self._named(name) or _KNOWN.search(name[:_LONGEST]) is not None

    def is_collective(self, name: str) -> bool:
        """Whether no rank can leave such a kernel before the last has come: others may end for one
        rank while another still waits (broadcast, send and receive), or do not say what they are.
        """
        if self._named(name):
            return True
        return self.is_communication(name) and _TOGETHER.search(name[:_LONGEST]) is not None

    def which(self, names: Iterable[str]) -> Bool:
        """`is_communication` of each."""
        return np.array([self.is_communication(name) for name in names], np.bool_)

    def _named(self, name: str) -> bool:
        return any(own.match(name) for own in self._own)


def among(ranks: Sequence[str]) -> str:
    """How a kernel's name says which ranks a collective is among; see `of_group`."""
    if len(ranks) > _FEW:
        ranks = (ranks[0], "..", ranks[-1], f"({len(ranks)})")
    return f"of ranks {' '.join(ranks)}"


def of_group(name: str) -> bool:
    """Whether a kernel's name says which ranks its collective is among."""
    return _GROUP.search(name[-_LONGEST:]) is not None


KNOWN = Communication()
