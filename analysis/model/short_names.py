"""Names of kernels cut to a length, each still told from the others that stand beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .text import plain

LONGEST = 48
"""Characters of a kernel's name in a sentence or a row."""
_HEAD = 0.3
"""Share of the room for the beginning that several names have in common."""
_READ = 4096
"""Characters of a name that are looked at."""


def shortened(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """The names of kernels without their namespaces and cut to `longest` characters, the end kept,
    which tells a kernel from its kin; where that leaves two of them alike, what differs is kept.

    >>> shortened(["void at::native::vectorized_elementwise_kernel<4, CUDAFunctor_add<float>>"], 40)
    ['vectorized_elementwise_k…_add<float>>']
    >>> shortened(["gemm_f32_f32_nn_tile128_stage3", "gemm_f32_f32_tn_tile128_stage3"], 24)
    ['gemm_f3…nn_tile128_stag…', 'gemm_f3…tn_tile128_stag…']
    """
    whole = [plain(name, _READ) for name in names]
    bare = {name: _bare(name) for name in whole}
    for same in _alike(bare):
        bare |= {name: name for name in same}
    short = {name: cut(name, longest) for name in bare.values()}
    for same in _alike(short):
        short |= _apart(same, longest)
    return [short[bare[name]] for name in whole]


def _alike(texts: Mapping[str, str]) -> list[list[str]]:
    """Names, two or more each, that have one text."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, text in texts.items():
        groups[text].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _bare(name: str) -> str:
    head = name.partition("<")[0].partition("(")[0]
    start = head.rfind("::") + 2 if "::" in head else len("void ") * head.startswith("void ")
    return name[start:] or name


def cut(name: str, longest: int) -> str:
    """A name in at most `longest` characters: its beginning and its end.

    >>> cut("at::native::elementwise_kernel<add>", 20)
    'at::native::e…l<add>'
    """
    if len(name) <= longest:
        return name
    keep = (longest - 1) // 3
    return f"{name[: longest - 1 - keep]}…{name[len(name) - keep :]}"


def _apart(group: Sequence[str], longest: int) -> dict[str, str]:
    """Names of which the ends are alike: their beginning, then from where they differ."""
    least = min(map(len, group))
    same = next((k for k in range(least) if len({name[k] for name in group}) > 1), least)
    head = max(int(longest * _HEAD), 1)
    found = {}
    for name in group:
        rest = name[same:]
        begin = f"{name[:head]}…" if same > head else name[:same]
        room = longest - len(begin)
        found[name] = begin + (rest if len(rest) <= room else f"{rest[: room - 1]}…")
    for alike in _alike(found):
        if len(alike) < len(group):
            found |= _apart(alike, longest)
    return found
