"""TOML from whatever a mutator has made of a GPU's data; what TOML cannot say is left out."""

from __future__ import annotations

import json
from typing import Any

Tree = Any


def written(tree: Tree) -> str:
    """Tables at the top as `[tables]`, everything below inline."""
    if not isinstance(tree, dict):
        return f"value = {_value(tree)}\n"
    lines = [f"{_key(k)} = {_value(v)}" for k, v in tree.items() if not isinstance(v, dict)]
    for key, table in tree.items():
        if isinstance(table, dict):
            lines += ["", f"[{_key(key)}]"]
            lines += [f"{_key(k)} = {_value(v)}" for k, v in table.items()]
    return "\n".join(lines) + "\n"


def _key(key: Any) -> str:
    return _value(str(key))


def _value(value: Tree) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if value is None:
        return '""'
    return str(value).lower() if isinstance(value, bool) else repr(value)
