"""What a simulated GPU is: one TOML file, every number with its source.

The files in `gpus/` are the built-in ones; a user's own is given by its path. `docs/simulator.md`
describes every key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..model.errors import CannotRead
from .errors import GpuFileInvalid, NoSuchGpu
from .machine import Timing

FOLDER = Path(__file__).parent / "gpus"
SCHEMA = 1

# Section, key, and the least value that makes sense; times in ns, rates per second.
_KEYS: dict[str, dict[str, float]] = {
    "rates": {"float32": 1, "tf32": 1, "bfloat16": 1, "float16": 1, "efficiency": 0.01},
    "memory": {"bytes_per_s": 1, "efficiency": 0.01, "bytes": 1},
    "link": {"to_device_bytes_per_s": 1, "to_host_bytes_per_s": 1},
    "kernels": {
        "elementwise_ns": 1, "reduction_ns": 1, "attention_ns": 1, "copy_ns": 1,
        "matmul_float32_ns": 1, "matvec_float32_ns": 1, "matmul_half_ns": 1,
    },
    "device": {
        "latency_ns": 0, "gap_ns": 0, "event_ns": 0, "wake_ns": 0, "node_gap_ns": 0,
        "queue_depth": 1,
    },
    "host": {
        "op_ns": 0, "view_op_ns": 0, "launch_call_ns": 0, "copy_call_ns": 0,
        "event_record_ns": 0, "event_wait_ns": 0, "event_query_ns": 0, "stream_wait_ns": 0,
        "stream_sync_ns": 0, "device_sync_ns": 0, "malloc_ns": 0, "map_ns": 0,
        "graph_launch_ns": 0, "graph_node_ns": 0, "compiled_entry_ns": 0, "compiled_kernel_ns": 0,
        "range_ns": 0,
    },
}  # fmt: skip
_MOST_NS, _MOST = 1e12, 1e18
"""A thousand seconds, and a rate that no machine has: beyond, times do not add up in int64."""
_NO_NUMBER = 1e300
_MOST_BYTES = 1 << 16
"""A GPU file has a few KiB; what TOML takes in a large one can take minutes to read."""
_FRACTIONS = {("rates", "efficiency"), ("memory", "efficiency")}


class Gpu(Struct, frozen=True):
    """One GPU with the host that feeds it.

    `key` is what `--gpu` calls it, `name` what reports show. `values` maps (section, key) to a
    number and `sources` to where it is from. Times are whole ns.
    """

    key: str
    name: str
    matches: tuple[str, ...]
    values: Mapping[tuple[str, str], float]
    sources: Mapping[tuple[str, str], str]
    path: Path

    def ns(self, section: str, key: str) -> int:
        """A time in ns."""
        return round(self.values[section, key])

    @property
    def bandwidth(self) -> float:
        """Achievable bytes per second of the device's memory."""
        return self.values["memory", "bytes_per_s"] * self.values["memory", "efficiency"]

    @property
    def nominal_bandwidth(self) -> float:
        """Bytes per second on the data sheet."""
        return self.values["memory", "bytes_per_s"]

    def rate(self, dtype: str, *, nominal: bool = False) -> float:
        """Achievable (or nominal) FLOP/s in `float32`, `tf32`, `bfloat16` or `float16`."""
        peak = self.values["rates", dtype]
        return peak if nominal else peak * self.values["rates", "efficiency"]

    @property
    def timing(self) -> Timing:
        """The machine's constants."""
        return Timing(**{key: self.ns("device", key) for key in _KEYS["device"]})

    def is_called(self, name: str) -> bool:
        """Whether a driver's name for a GPU means this one."""
        return any(part.lower() in name.lower() for part in self.matches)


@cache
def built_in() -> dict[str, Path]:
    """Files of the built-in GPUs by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load_gpu(name: str) -> Gpu:
    """A built-in GPU by name, or a user's file by path (`./my.toml`).

    Raises UsageError for an unknown name, TraceError for a file that is no GPU.
    """
    if name.endswith(".toml") or "/" in name:
        return read_gpu(Path(name))
    if name.lower() not in built_in():
        raise NoSuchGpu(
            f"no GPU is called {name!r}",
            remedy=f"use {', '.join(built_in())}, or the path of a .toml file of your own",
        )
    return _read_built_in(name.lower())


@cache
def _read_built_in(key: str) -> Gpu:
    return read_gpu(built_in()[key])


def find_gpu(driver_name: str) -> Gpu | None:
    """The built-in GPU that a recorded trace calls by this name, if any."""
    # A name that holds a file's own name is most likely that one's: the others need no reading.
    for key in sorted(built_in(), key=lambda key: key not in driver_name.lower()):
        gpu = load_gpu(key)
        if driver_name and gpu.is_called(driver_name):
            return gpu
    return None


def read_gpu(path: Path) -> Gpu:
    """Read and check a file; TraceError, one line, says what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise GpuFileInvalid(
                f"{path} has more than {_MOST_BYTES} bytes: no GPU file",
                remedy="copy a built-in one",
            )
        data = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError too
        raise GpuFileInvalid(f"{path} is not TOML: {str(error).splitlines()[0]}") from error
    if data.get("schema") != SCHEMA:
        raise GpuFileInvalid(f"{path} has schema = {data.get('schema')!r}, {SCHEMA} was expected")
    name = data.get("name")
    if not isinstance(name, str) or not name:
        raise GpuFileInvalid(f"{path} has no name", remedy='add name = "..."')
    if not name.isprintable():
        raise GpuFileInvalid(f"{path}: the name {name[:40]!r} does not fit a line")
    matches = data.get("matches", [])
    if not isinstance(matches, list) or not all(isinstance(part, str) for part in matches):
        raise GpuFileInvalid(
            f"{path}: matches is not a list of texts", remedy='write matches = ["..."]'
        )
    known_sources = _table(path, data, "sources")
    values: dict[tuple[str, str], float] = {}
    sources: dict[tuple[str, str], str] = {}
    for section, keys in _KEYS.items():
        table = _table(path, data, section)
        unknown = sorted(set(table) - set(keys))
        if unknown:
            raise GpuFileInvalid(
                f"{path}: [{section}] has {unknown[0]!r}, which nothing reads",
                remedy=f"its keys are {', '.join(keys)}",
            )
        for key, least in keys.items():
            where = f"{path}: [{section}] {key}"
            value, source = _entry(where, table, key, known_sources)
            high = _MOST_NS if key.endswith("_ns") else _MOST
            if (section, key) in _FRACTIONS:
                high = 1.0
            if not least <= value <= high:
                raise GpuFileInvalid(
                    f"{where} is {value:g}", remedy=f"it must be {least:g} to {high:g}"
                )
            values[section, key] = value
            sources[section, key] = source
    return Gpu(path.stem, name, tuple(matches), values, sources, path)


def _table(path: Path, data: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    table = data.get(section)
    if not isinstance(table, dict):
        raise GpuFileInvalid(f"{path} has no [{section}]", remedy="copy it from a built-in file")
    return table


def _entry(
    where: str, table: Mapping[str, Any], key: str, sources: Mapping[str, Any]
) -> tuple[float, str]:
    """One `key = { value = 1, source = "id" }`."""
    entry = table.get(key)
    if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
        raise GpuFileInvalid(
            f"{where} is missing or has another form",
            remedy=f'write {key} = {{ value = 1, source = "..." }}',
        )
    value, source = entry["value"], entry["source"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _NO_NUMBER:
        raise GpuFileInvalid(f"{where} is {str(value)[:40]}", remedy="value is a number")
    if not isinstance(source, str) or not source.strip():
        raise GpuFileInvalid(f"{where} has no source", remedy="say where the number is from")
    told = sources.get(source, source)
    if not isinstance(told, str) or not told.strip():
        raise GpuFileInvalid(
            f"{where}: source {source!r} says nothing", remedy="write where it is from"
        )
    return float(value), told
