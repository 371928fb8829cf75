"""Figures as bytes: JSON for what has structure, raw values for arrays; nothing is executed.

Only the classes named here come back; anything else is refused, on the way in and on the way out.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from .errors import StoreError


def encode(value: object) -> bytes:
    """Raises TypeError for what cannot be kept."""
    arrays: list[np.ndarray] = []
    text = json.dumps(_plain(value, arrays), separators=(",", ":")).encode()
    return b"".join((f"{len(text)}\n".encode(), text, *(a.tobytes() for a in arrays)))


def decode(data: bytes, known: tuple[type, ...]) -> Any:
    """`known`: the records and enums that may occur. Raises StoreError for anything else."""
    length, _, rest = data.partition(b"\n")
    try:
        at = int(length)
        plain = json.loads(rest[:at])
        return _Decoder({kind.__name__: kind for kind in known}, rest[at:]).value(plain)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreError(f"kept figures cannot be read ({error})") from error


def _plain(value: object, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, StrEnum):
        return {"enum": type(value).__name__, "value": value.value}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": value.dtype.name, "shape": list(value.shape)}
    if isinstance(value, tuple | list):
        return [_plain(one, arrays) for one in value]
    if isinstance(value, dict):
        return {"dict": [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]}
    if isinstance(value, Struct):
        named = {name: _plain(one, arrays) for name, one in asdict(value).items()}
        return {"class": type(value).__name__, "fields": named}
    raise TypeError(f"{type(value).__name__} cannot be kept")


class _Decoder:
    def __init__(self, known: dict[str, type], raw: bytes) -> None:
        self._known = known
        self._raw = raw
        self._at = 0

    def value(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return tuple(self.value(one) for one in plain)
        if not isinstance(plain, dict):
            return plain
        if "enum" in plain:
            return self._known[plain["enum"]](plain["value"])
        if "array" in plain:
            kind, count = np.dtype(plain["array"]), int(np.prod(plain["shape"]))
            found = np.frombuffer(self._raw, kind, count, self._at).reshape(plain["shape"])
            self._at += found.nbytes
            return found
        if "dict" in plain:
            return {self.value(k): self.value(v) for k, v in plain["dict"]}
        named = {name: self.value(one) for name, one in plain["fields"].items()}
        return self._known[plain["class"]](**named)
