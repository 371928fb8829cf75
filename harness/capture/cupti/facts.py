"""What a target process knows about itself: its libcupti, its threads, its GPUs."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIBRARY = re.compile(r"/libcupti(-[0-9a-f]+)?\.so[.\d]*$")

# Attributes of CUdevice_attribute -> column of TARGET_INFO_GPU.
_ATTRIBUTES = {
    "clockRate": (13, 1000),
    "smCount": (16, 1),
    "threadsPerWarp": (10, 1),
    "maxThreadsPerBlock": (1, 1),
    "maxRegistersPerBlock": (12, 1),
    "maxShmemPerBlock": (8, 1),
    "maxShmemPerSm": (81, 1),
    "maxRegistersPerSm": (82, 1),
    "l2CacheSize": (38, 1),
    "asyncEngines": (40, 1),
    "computeMajor": (75, 1),
    "computeMinor": (76, 1),
}


def loaded_libraries() -> list[str]:
    """Paths of every libcupti in this process, each once."""
    found: list[str] = []
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                parts = line.rstrip("\n").partition("/")
                path = parts[1] + parts[2]
                if _LIBRARY.search(path) and path not in found:
                    found.append(path)
    except OSError:
        pass
    return found


def threads() -> list[list[Any]]:
    """[system thread id, name, pthread id or None] of every thread of this process."""
    known = {thread.native_id: thread for thread in threading.enumerate()}
    found: list[list[Any]] = []
    try:
        ids = sorted(int(name) for name in os.listdir("/proc/self/task"))
    except OSError:
        ids = sorted(number for number in known if number)
    for number in ids:
        thread = known.get(number)
        name = thread.name if thread else None
        if name is None:
            try:
                with open(f"/proc/self/task/{number}/comm") as comm:
                    name = comm.read().strip()
            except OSError:
                continue
        found.append([number, name, thread.ident if thread else None])
    return found


def devices() -> list[dict[str, Any]]:
    """One dict a visible GPU, from libcuda where it is loaded and initialised; else none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOW | getattr(os, "RTLD_NOLOAD", 4))
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [_device(cuda, index) for index in range(count.value)]


def _device(cuda: ctypes.CDLL, index: int) -> dict[str, Any]:
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, 256, index)
    uuid = (ctypes.c_ubyte * 16)()
    get_uuid = getattr(cuda, "cuDeviceGetUuid_v2", cuda.cuDeviceGetUuid)
    get_uuid(ctypes.byref(uuid), index)
    text = bytes(uuid).hex()
    total = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(total), index)
    properties = {"totalMemory": total.value}
    for column, (number, scale) in _ATTRIBUTES.items():
        value = ctypes.c_int()
        if not cuda.cuDeviceGetAttribute(ctypes.byref(value), number, index):
            properties[column] = value.value * scale
    return {
        "cuda_id": index,
        "name": name.value.decode(errors="replace"),
        "uuid": "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])),
        "properties": properties,
    }


def python_facts() -> dict[str, str | None]:
    """Interpreter and torch version, where torch was imported."""
    torch = sys.modules.get("torch")
    return {
        "python": sys.version.split()[0],
        "torch": str(getattr(torch, "__version__", "")) or None,
        "cuda": getattr(getattr(torch, "version", None), "cuda", None),
    }


def allocations() -> tuple[int, bool] | None:
    """Tensors that PyTorch has allocated on its GPUs so far, and False: not the launches
    themselves. None before PyTorch has begun with CUDA. Calls nothing of CUDA."""
    torch: Any = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if not getattr(cuda, "is_initialized", bool)():
        return None
    total = 0
    for device in range(_device_count(torch)):
        try:
            total += torch._C._cuda_memoryStats(device)["allocation"]["all"]["allocated"]
        except (RuntimeError, AttributeError, KeyError, TypeError):
            continue  # a device that this process does not use
    return total, False


def _device_count(torch: Any) -> int:
    try:
        return int(torch._C._cuda_getDeviceCount())
    except (RuntimeError, AttributeError):
        return 0
