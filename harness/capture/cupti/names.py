"""Kernel names as people read them: demangled, and short as nsys shortens them."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Callable, Iterable
from typing import Any


def demangle_all(names: Iterable[str]) -> dict[str, str]:
    """Mangled C++ name -> demangled; names that are not mangled stay as they are."""
    demangle = _demangler()
    return {name: demangle(name) if name.startswith("_Z") else name for name in names}


@functools.cache
def _demangler() -> Callable[[str], str]:
    """__cxa_demangle of the C++ library that is there; names stay mangled where none is."""
    for library in ("libstdc++.so.6", "libc++abi.so.1", ctypes.util.find_library("stdc++")):
        try:
            function = ctypes.CDLL(library).__cxa_demangle
        except (OSError, AttributeError, TypeError):
            continue
        return functools.partial(_demangle, function)
    return lambda name: name


def _demangle(function: Any, name: str) -> str:
    function.restype = ctypes.c_void_p
    made = function(name.encode(), None, None, None)
    if not made:
        return name
    try:
        return (ctypes.string_at(made) or b"").decode(errors="replace")
    finally:
        ctypes.CDLL(None).free(ctypes.c_void_p(made))


def short_name(demangled: str) -> str:
    """The function's own name: no return type, namespaces, template or call arguments.

    >>> short_name("void at::native::fill<4, at::F<int> >(int, at::F<int>)")
    'fill'
    >>> short_name("ampere_sgemm_128x64_tn")
    'ampere_sgemm_128x64_tn'
    """
    text = demangled.replace("(anonymous namespace)", "_anonymous_")
    depth = 0
    outer = []
    for position, letter in enumerate(text):
        if letter == "<" and not _is_operator(text, position):
            depth += 1
        elif letter == ">" and depth and text[position - 1] != "-":
            depth -= 1
        elif depth == 0:
            if letter == "(":
                break
            outer.append(letter)
    words = "".join(outer).strip().split("::")[-1].split()
    return words[-1] if words else demangled


def _is_operator(text: str, position: int) -> bool:
    return text[:position].rstrip("<").endswith("operator")
