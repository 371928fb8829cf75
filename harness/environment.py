"""Facts about this machine: each one found, or named among what was not. Imports no torch.

Nothing here reads the values of environment variables into the facts, and nothing raises: a fact
that cannot be had is a line in `missing`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "nvtx", "numpy")


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi saw it at one moment; None where it does not say.

    Clocks are in MHz, power in W, temperature in degrees Celsius, memory in MiB. `throttle` names
    the reasons that held the clocks down; `gpu_idle` is nvidia-smi's word for nothing to do.
    `throttled_us` counts the microseconds since the driver was loaded that each reason held them.
    """

    index: int
    name: str | None
    uuid: str | None
    memory_mib: int | None
    sm_clock_mhz: int | None
    sm_clock_max_mhz: int | None
    memory_clock_mhz: int | None
    memory_clock_max_mhz: int | None
    power_w: float | None
    power_limit_w: float | None
    temperature_c: int | None
    performance_state: str | None
    persistence: str | None
    mig: str | None
    throttle: tuple[str, ...]
    throttled_us: dict[str, int]


@dataclasses.dataclass(frozen=True)
class GpuFacts:
    """The GPUs here, the driver, and the newest CUDA that the driver runs."""

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    missing: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {
            "driver": self.driver,
            "cuda": self.cuda,
            "gpus": [dataclasses.asdict(gpu) for gpu in self.gpus],
        }


def gpu_facts() -> GpuFacts:
    """Ask nvidia-smi, once (about 0.1 to 1 s on a GPU machine); never raises."""
    if shutil.which("nvidia-smi") is None:
        return GpuFacts(missing="no nvidia-smi: GPU, driver, clocks and throttle state unknown")
    text = _said("nvidia-smi", "-q", "-x")
    if text is None:
        return GpuFacts(missing="nvidia-smi failed: GPU, driver, clocks and throttle state unknown")
    return parse_smi(text)


def parse_smi(text: str) -> GpuFacts:
    """The facts in `nvidia-smi -q -x`."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError:
        return GpuFacts(missing="nvidia-smi printed no XML: GPU, driver, clocks unknown")
    gpus = tuple(_gpu(index, node) for index, node in enumerate(root.iter("gpu")))
    return GpuFacts(
        gpus=gpus,
        driver=_text(root, "driver_version"),
        cuda=_text(root, "cuda_version"),
        missing=None if gpus else "nvidia-smi lists no GPU",
    )


def _gpu(index: int, node: ET.Element) -> Gpu:
    reasons = node.find("clocks_event_reasons")  # since driver 535; before it, throttle
    if reasons is None:
        reasons = node.find("clocks_throttle_reasons")
    active = [] if reasons is None else [item for item in reasons if item.text == "Active"]
    power = (
        "gpu_power_readings" if node.find("gpu_power_readings") is not None else "power_readings"
    )
    return Gpu(
        index=index,
        name=_text(node, "product_name"),
        uuid=_text(node, "uuid"),
        memory_mib=_whole(node, "fb_memory_usage/total"),
        sm_clock_mhz=_whole(node, "clocks/sm_clock"),
        sm_clock_max_mhz=_whole(node, "max_clocks/sm_clock"),
        memory_clock_mhz=_whole(node, "clocks/mem_clock"),
        memory_clock_max_mhz=_whole(node, "max_clocks/mem_clock"),
        power_w=_number(node, f"{power}/instant_power_draw", f"{power}/power_draw"),
        power_limit_w=_number(node, f"{power}/current_power_limit", f"{power}/power_limit"),
        temperature_c=_whole(node, "temperature/gpu_temp"),
        performance_state=_text(node, "performance_state"),
        persistence=_text(node, "persistence_mode"),
        mig=_text(node, "mig_mode/current_mig"),
        throttle=tuple(sorted(item.tag.split("_reason_", 1)[-1] for item in active)),
        throttled_us=_counters(node),
    )


def _counters(node: ET.Element) -> dict[str, int]:
    """Microseconds by reason; empty where the driver does not count them."""
    prefix = "clocks_event_reasons_counters"
    found = {item.tag.removeprefix(f"{prefix}_"): item.text for item in node.findall(f"{prefix}/*")}
    values = {name: (text or "").removesuffix(" us") for name, text in found.items()}
    return {name: int(value) for name, value in values.items() if value.isdecimal()}


def throttled_between(before: GpuFacts, after: GpuFacts) -> dict[str, dict[str, int]]:
    """Microseconds that each reason held the clocks down between two looks, by GPU UUID.

    Reasons with none are left out; empty where nothing was held or nothing is counted.
    """
    earlier = {gpu.uuid: gpu.throttled_us for gpu in before.gpus}
    grown = {
        gpu.uuid or f"gpu {gpu.index}": {
            name: value - earlier[gpu.uuid].get(name, value)
            for name, value in gpu.throttled_us.items()
            if value > earlier[gpu.uuid].get(name, value)
        }
        for gpu in after.gpus
        if gpu.uuid in earlier
    }
    return {uuid: reasons for uuid, reasons in grown.items() if reasons}


def _text(node: ET.Element, *paths: str) -> str | None:
    for path in paths:
        text = (node.findtext(path) or "").strip()
        if text and text not in ("N/A", "[N/A]", "Requested functionality has been deprecated"):
            return text
    return None


def _number(node: ET.Element, *paths: str) -> float | None:
    text = _text(node, *paths)
    try:
        return float(text.split()[0]) if text else None
    except ValueError:
        return None


def _whole(node: ET.Element, *paths: str) -> int | None:
    value = _number(node, *paths)
    return None if value is None else int(value)


def has_gpu() -> bool:
    """Is an NVIDIA GPU there that this process may use? Costs no call of nvidia-smi."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1", "NoDevFiles"):
        return False
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def versions(interpreter: str | None = None) -> dict[str, str | None] | None:
    """Version of Python and of each of PACKAGES; None where a package is not installed.

    With `interpreter`, those that it sees; None as a whole where it cannot be asked.
    """
    if interpreter is None or os.path.abspath(interpreter) == os.path.abspath(sys.executable):
        found: dict[str, str | None] = {"python": platform.python_version()}
        for package in PACKAGES:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = None
        return found
    said = _said(interpreter, "-c", _ASK_VERSIONS, *PACKAGES)
    try:
        return None if said is None else json.loads(said)
    except ValueError:
        return None


# The same question to another interpreter, in words that any Python 3.8 understands. The current
# folder, where -c looks first, is left out: its json.py is no part of the question.
_ASK_VERSIONS = """
import sys
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
import importlib.metadata, json, platform
found = {"python": platform.python_version()}
for package in sys.argv[1:]:
    try:
        found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found[package] = None
print(json.dumps(found))
"""


def git_facts(folder: Path | None = None) -> dict[str, Any] | None:
    """Revision of the repository around `folder` (default: here), and whether files differ."""
    where = ["-C", str(folder or Path.cwd())]
    revision = _said("git", *where, "rev-parse", "HEAD")
    if revision is None:
        return None
    changes = _said("git", *where, "status", "--porcelain", "--untracked-files=no")
    return {"revision": revision.strip(), "dirty": None if changes is None else bool(changes)}


def host_facts() -> dict[str, Any]:
    """CPU model, cores this process may use, memory in GiB, kernel."""
    model = None
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        memory = None
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": model,
        "cores": cores,
        "memory_gib": None if memory is None else round(memory, 1),
    }


def perf_paranoid() -> int | None:
    """The kernel's perf_event_paranoid level, or None where it cannot be read."""
    try:
        return int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
    except (OSError, ValueError):
        return None


def _said(*argv: str) -> str | None:
    """What a command prints, or None when it fails, is missing or takes over 20 s."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
