"""How a record with long columns or nested reports reads in a notebook or a debugger."""

from __future__ import annotations

from msgspec import Struct


def shown_without(record: Struct, *hidden: str) -> str:
    """`Name(field=value, ...)` of the fields that are not `hidden`."""
    fields = [f"{n}={getattr(record, n)!r}" for n in record.__struct_fields__ if n not in hidden]
    return f"{type(record).__name__}({', '.join(fields)})"
