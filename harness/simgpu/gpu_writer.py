"""A GPU file from a GPU: what `harness calibrate` writes."""

from __future__ import annotations

import json

from ..analysis.gains.gpu import _KEYS, SCHEMA, Gpu


def to_toml(gpu: Gpu) -> str:
    """The text of a file that `gpu.read_gpu` reads back as the same numbers and sources."""
    ids: dict[str, str] = {}
    lines = [f"schema = {SCHEMA}", f"name = {_text(gpu.name)}"]
    lines += [f"matches = [{', '.join(map(_text, gpu.matches))}]", ""]
    for section, keys in _KEYS.items():
        lines.append(f"[{section}]")
        for key in keys:
            source = gpu.sources[section, key]
            name = ids.setdefault(source, f"s{len(ids) + 1}")
            value = _number(gpu.values[section, key])
            lines.append(f"{key} = {{ value = {value}, source = {_text(name)} }}")
        lines.append("")
    lines.append("[sources]")
    lines += [f"{name} = {_text(source)}" for source, name in ids.items()]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    # A JSON string is a TOML basic string, but for the characters that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else repr(value)
