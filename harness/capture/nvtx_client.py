"""NVTX without a package: the calls that the profiler in this process offers, through ctypes.

Loaded into the target by the launcher: only the standard library is used. NVTX is a handshake: the
client loads the library that `NVTX_INJECTION64_PATH` names, and shows it tables of pointers, which
the tool fills with its functions. The tool is not asked whether a domain is enabled, which is what
the nvtx package does since 0.2.12 and Nsight Systems before 2024 does not answer.
"""

from __future__ import annotations

import ctypes
import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "NVTX_INJECTION64_PATH"
VERSION = 3
_CALLBACKS, _VERSION_INFO = 1, 3
"""Export tables that the client has."""
_CORE, _CORE2 = 1, 5
"""Modules: functions without and with a domain. Others (CUDA, OpenCL, ...) name objects."""
_SLOTS = 16
"""Functions of either module, number 0 being none."""
_MARK, _PUSH, _POP, _CREATE = 1, 4, 5, 11
"""Numbers in the second module; wide strings are 12."""
_ASCII, _SIGNED = 1, 2
"""Types of a message and of a payload."""


class _Attributes(ctypes.Structure):
    """nvtxEventAttributes_t."""

    _fields_ = (
        ("version", ctypes.c_uint16),
        ("size", ctypes.c_uint16),
        ("category", ctypes.c_uint32),
        ("color_type", ctypes.c_int32),
        ("color", ctypes.c_uint32),
        ("payload_type", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("payload", ctypes.c_int64),
        ("message_type", ctypes.c_int32),
        ("message", ctypes.c_char_p),
    )


def _attributes(text: str) -> _Attributes:
    made = _Attributes(version=VERSION, size=ctypes.sizeof(_Attributes))
    made.message_type = _ASCII
    made.message = text.encode(errors="replace").replace(b"\0", b" ")
    return made


_GetTable = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_uint32, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint)
)
_SetVersion = ctypes.CFUNCTYPE(None, ctypes.c_uint32)
_GetExport = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)


class _Callbacks(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("get_table", _GetTable))


class _VersionInfo(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("version", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("set_version", _SetVersion),
    )


class _Handshake:
    """The tables of one client; the tool keeps pointers into them, so they live on."""

    def __init__(self) -> None:
        self.functions = {module: (ctypes.c_void_p * (_SLOTS + 1))() for module in (_CORE, _CORE2)}
        self.tables = {module: self._table(module) for module in self.functions}
        self.get_table = _GetTable(self._get_table)
        self.set_version = _SetVersion(lambda version: None)
        self.callbacks = _Callbacks(ctypes.sizeof(_Callbacks), self.get_table)
        self.version = _VersionInfo(ctypes.sizeof(_VersionInfo), VERSION, 0, self.set_version)
        self.get_export = _GetExport(self._get_export)

    def _table(self, module: int) -> Any:
        """Pointers to where the tool is to put its functions; none at either end."""
        slots, width = self.functions[module], ctypes.sizeof(ctypes.c_void_p)
        made = (ctypes.c_void_p * (_SLOTS + 1))()
        for number in range(1, _SLOTS):
            made[number] = ctypes.addressof(slots) + number * width
        return made

    def _get_table(self, module: int, table: Any, size: Any) -> int:
        found = self.tables.get(module)
        if found is None:
            return 0
        table[0] = ctypes.addressof(found)
        if size:
            size[0] = _SLOTS
        return 1

    def _get_export(self, number: int) -> int | None:
        if number == _CALLBACKS:
            return ctypes.addressof(self.callbacks)
        return ctypes.addressof(self.version) if number == _VERSION_INFO else None


_kept: list[_Handshake | None] = []
"""The one of this process, None where the tool would not have it."""
_shown: list[_Handshake] = []
"""Every one that a tool saw: it may have kept a pointer, whatever it answered."""


class Domain:
    """One domain of the tool that listens here. The calls hold Python's lock: they are short."""

    def __init__(self, functions: Any, name: str | None) -> None:
        attributes = ctypes.POINTER(_Attributes)
        create = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(functions[_CREATE])
        push = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, attributes)(functions[_PUSH])
        pop = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(functions[_POP])
        mark = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, attributes)(functions[_MARK])
        self._handle = ctypes.c_void_p(None if name is None else create(name.encode()))
        self._push, self._pop, self._mark = push, pop, mark
        self._known: dict[str, _Attributes] = {}
        self._local = threading.local()

    def begin(self, name: str) -> None:
        """A range begins on this thread."""
        made = self._known.get(name)
        if made is None:
            made = _attributes(name)
            if len(self._known) < 1000:
                self._known[name] = made
        self._push(self._handle, made)

    def end(self) -> None:
        """The innermost range of this thread ends."""
        self._pop(self._handle)

    def mark(self, name: str, payload: int) -> None:
        """A moment on this thread, with a number."""
        marks: dict[str, _Attributes] = self._local.__dict__
        made = marks.get(name)
        if made is None:
            made = marks[name] = _attributes(name)
            made.payload_type = _SIGNED
        made.payload = payload
        self._mark(self._handle, made)


def open_domain(name: str | None, env: Mapping[str, str] = os.environ) -> Domain | None:
    """A domain of this name, or the default one; None where no tool listens to NVTX here."""
    path = env.get(VARIABLE)
    if not path:
        return None
    if not _kept:
        _kept.append(_begun(path))
    functions = _kept[0] and _kept[0].functions[_CORE2]
    if not functions or not all(functions[number] for number in (_MARK, _PUSH, _POP, _CREATE)):
        return None
    return Domain(functions, name)


def _begun(path: str) -> _Handshake | None:
    try:
        begin = ctypes.CDLL(path).InitializeInjectionNvtx2
    except (OSError, AttributeError):
        return None
    begin.argtypes, begin.restype = [_GetExport], ctypes.c_int
    handshake = _Handshake()
    _shown.append(handshake)
    return handshake if begin(handshake.get_export) else None
