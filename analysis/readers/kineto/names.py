"""What Kineto's names say: kinds of copies and waits, collectives, threads."""

from __future__ import annotations

import re

import msgspec

from ...model.communication import among
from ...model.schema import NULL, PAGEABLE, PINNED, SyncType
from .stream import NO_JSON, Event

SYNCS = {
    "Event Sync": SyncType.EVENT,
    "Stream Wait Event": SyncType.STREAM_WAIT_EVENT,
    "Stream Sync": SyncType.STREAM,
    "Context Sync": SyncType.CONTEXT,
}

_KINDS = {
    "HtoD": 1, "DtoH": 2, "HtoA": 3, "AtoH": 4, "AtoA": 5, "AtoD": 6, "DtoA": 7, "DtoD": 8,
    "HtoH": 9, "PtoP": 10,
}  # fmt: skip
_MEMORY = {"Pageable": PAGEABLE, "Pinned": PINNED}
_RANK = re.compile(r"\d{1,9}")
_WORLD = "default_pg"
"""The group of all ranks."""
THREAD = re.compile(r"thread \d+(?: \((.*)\))?", re.DOTALL)
"""What Kineto calls a thread, with the system's name for it if it has one."""
_WORDS = re.compile(r"Copy(Host|Device|Peer)To(Host|Device|Peer)")
_LETTERS = re.compile(r"\b([HDAP]to[HDAP])\b")


def kernel_name(event: Event) -> object:
    """A kernel's name; that of a collective with what it is and among whom, as PyTorch said.

    Names of NCCL's kernels alone tell neither: `ncclDevKernel_Generic` is any of them.
    """
    args = event.args
    if args is None or not bytes(args.collective):
        return event.name
    group = text_of(bytes(args.group))
    if not group or group == "undefined":
        group = text_of(bytes(args.group_name))
    members = _RANK.findall(text_of(bytes(args.group_ranks)) or bytes(args.group_ranks).decode())
    if group != _WORLD and members:
        group = f"{group} {among(members)}".strip()
    said = ", ".join(filter(None, (text_of(bytes(args.collective)), group)))
    return f"{event.name} [{said}]" if said else event.name


def copy_kind(name: object) -> int:
    """ENUM_CUDA_MEMCPY_OPER from `Memcpy DtoH (Device -> Pinned)` or `CopyDeviceToHost`; 0 unknown.

    >>> copy_kind("Memcpy DtoH (Device -> Pageable)"), copy_kind("CopyHostToDevice")
    (2, 1)
    """
    text = str(name)
    letters = _LETTERS.search(text)
    if letters:
        return _KINDS.get(letters.group(1), 0)
    words = _WORDS.search(text)
    return _KINDS.get(f"{words.group(1)[0]}to{words.group(2)[0]}", 0) if words else 0


def memory_kinds(name: object) -> tuple[int, int]:
    """ENUM_CUDA_MEM_KIND of both ends, from `Memcpy DtoH (Device -> Pageable)`; NULL for others
    than the host's.

    >>> memory_kinds("Memcpy HtoD (Pageable -> Device)")[0] == PAGEABLE
    True
    """
    _, found, ends = str(name).partition("(")
    first, _, second = ends.rstrip(")").partition("->") if found else ("", "", "")
    return _MEMORY.get(first.strip(), NULL), _MEMORY.get(second.strip(), NULL)


def text_of(text: bytes) -> str:
    """A JSON string's value; empty for anything else."""
    try:
        value = msgspec.json.decode(text)
    except NO_JSON:
        return ""
    return value if isinstance(value, str) else ""
