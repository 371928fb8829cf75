"""The recording session inside the target: CUPTI through the shim, or torch.profiler.

Both have `state.value` (0 idle, 1 open, 2 closed), `attach`, `start`, `stop` and `finish`. Nothing
here imports anything but the standard library; torch is used where the target imported it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

from . import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

GRAPH_LEVEL, MARKERS, FOLLOW_PROFILER, COUNT_LAUNCHES = 1, 2, 4, 32
# When graphs as a whole are enabled, with their option: "attach" is what works.
GRAPH_FROM = {"attach": 0, "start": 8, "with kernels": 16}
OPENED = "opened"
"""The file in the working folder that says that the range was reached."""
MULTIPLE_SUBSCRIBERS = 39
FIRST_LIBRARY = 22  # CUDA 12.4, as cuptiGetVersion counts
BREAKS_NVTX = 130000  # 13.0.0 crashes as an NVTX tool
LETS_GO = 24
"""CUDA 12.6: from there on PyTorch's own profiler lets go of CUPTI after each session, with CUDA
graphs, too."""
LIGHT, FULL = 1 | 2 | 4 | 8 | 1024, 1 | 2 | 4 | 16 | 32 | 64 | 128 | 256 | 1024
"""HS_LIGHT and HS_FULL of shim.h."""
_TABLES = (
    "none", "kernel", "memcpy", "memset", "graph", "api", "sync", "overhead", "event", "context",
    "marker", "unknown",
)  # fmt: skip


class Refused(Exception):
    """Recording cannot work here: the code of the error in errors.py, what was found, a remedy."""

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


def cuda_release(library_version: int) -> tuple[int, int | None]:
    """The CUDA release of a cuptiGetVersion number: 130001 -> (13, 0), 28 -> (12, None)."""
    if library_version >= 10000:
        return library_version // 10000, library_version // 100 % 100
    return 12, None


class ShimSession:
    """CUPTI activity records through the C shim: no Python in any callback."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._shim = ctypes.CDLL(config["shim"])
        self._shim.hs_error.restype = ctypes.c_char_p
        self._shim.hs_header_version.restype = ctypes.c_uint32
        self._shim.hs_library_version.restype = ctypes.c_uint32
        self._shim.hs_ignored_starts.restype = ctypes.c_int64
        self._shim.hs_attach.argtypes = [ctypes.c_uint32, ctypes.c_uint64, ctypes.c_char_p]
        self._shim.hs_dump.argtypes = [ctypes.c_char_p]
        self.state = ctypes.c_int.in_dll(self._shim, "hs_session")
        self.recording = ctypes.c_int.in_dll(self._shim, "hs_recording")
        self._launches = ctypes.c_int64.in_dll(self._shim, "hs_launches")
        self.attached = False
        self.markers = False
        self._dumped = False

    def _error(self) -> str:
        said: bytes = self._shim.hs_error() or b""
        return said.decode(errors="replace")

    def load(self) -> str:
        """Open the libcupti that is already here, else the one that was found beforehand."""
        loaded = facts.loaded_libraries()
        if len(loaded) > 1:
            raise Refused(
                "libcupti-unusable",
                f"two libcupti are loaded: {', '.join(loaded)}",
                "start the target without the tool or library path that brings the second one",
            )
        path: str | None = loaded[0] if loaded else self._config["libcupti"]
        if path is None:
            raise Refused("libcupti-unusable", "no libcupti found")
        if self._shim.hs_load(os.fsencode(path)):
            raise Refused(
                "libcupti-unusable",
                f"libcupti cannot be loaded: {self._error()}",
                "run harness doctor",
            )
        version, headers = self._shim.hs_library_version(), self._shim.hs_header_version()
        if version < FIRST_LIBRARY or cuda_release(version)[0] != cuda_release(headers)[0]:
            raise Refused(
                "libcupti-unusable",
                f"{path} has version {version}, the shim was built for {headers}",
                "install the CUPTI headers of the libcupti that PyTorch uses (nvidia-cuda-cupti)",
            )
        self.library, self.version = path, version
        self.markers = bool(self._config.get("nvtx")) and version != BREAKS_NVTX
        return path

    def attach(self) -> None:
        """Become the CUPTI client of this process; Refused where that is not possible."""
        if self.attached:
            return
        self.load()
        window = self._config["range"]
        follow = window.get("follow", window["kind"] == "cudaProfilerApi")
        options = FOLLOW_PROFILER if follow else 0
        options |= COUNT_LAUNCHES if window["kind"] == "auto" else 0
        if self._config["graph"]:
            options |= GRAPH_LEVEL | GRAPH_FROM[self._config.get("graph_from", "attach")]
        options |= MARKERS if self.markers else 0
        self._shim.hs_select(FULL if self._config.get("records") == "full" else LIGHT)
        opened = os.path.join(self._config["folder"], OPENED)
        code = self._shim.hs_attach(options, self._config["max_bytes"], os.fsencode(opened))
        if code == MULTIPLE_SUBSCRIBERS:
            raise Refused(
                "cupti-in-use",
                "another CUPTI client is attached to this process (Nsight, torch.profiler, ...)",
            )
        if code:
            raise self._why(code)
        self._check_driver()
        self.attached = True

    def _why(self, code: int) -> Refused:
        error = self._error()
        if code < 0:
            return Refused("no-driver", f"no NVIDIA driver: {error}", "run on a GPU machine")
        if not facts.devices():
            remedy = "check nvidia-smi, CUDA_VISIBLE_DEVICES"
            return Refused("no-driver", f"no GPU is visible to CUDA ({error})", remedy)
        self._check_driver()
        return Refused("cupti-refused", f"CUPTI refused: {error}")

    def _check_driver(self) -> None:
        driver = self._shim.hs_driver_version()
        major, minor = cuda_release(self.version)
        if driver and major > driver // 1000:
            name = f"{major}.{minor}" if minor is not None else f"{major}"
            raise Refused(
                "libcupti-unusable",
                f"libcupti of CUDA {name} does not match the driver, which runs CUDA "
                f"{driver // 1000}.{driver % 1000 // 10}",
                "update the driver, or install a PyTorch built for that CUDA",
            )

    def start(self) -> None:
        """Open the session; a second start of a process is counted and ignored."""
        if self.attached:
            self._shim.hs_start()
            self.check_started()

    def theirs(self) -> None:
        """The program has called cudaProfilerStart: the shim saw it."""

    def check_started(self) -> None:
        """Refused where CUPTI would not record: better told now than after the run."""
        if self._shim.hs_start_result():
            raise Refused("cupti-refused", f"CUPTI could not record: {self._error()}")

    def launches(self) -> tuple[int, bool] | None:
        """Launches since CUDA began, as long as they are counted: until the session opens."""
        return (self._launches.value, True) if self.attached else None

    def stop(self) -> None:
        """Close the session, with everything that was launched in it."""
        if self.attached:
            self._shim.hs_stop()

    def no_blocks(self) -> str | None:
        """Why no stretch can be recorded besides the session; None where it can."""
        if self._config["graph"]:
            return "CUDA graphs are recorded as a whole, from before the first one is made"
        if self.version < LETS_GO:
            return "libcupti before CUDA 12.6 cannot be let go of safely"
        return None

    def open_block(self) -> None:
        """Record a stretch besides the session; RuntimeError where CUPTI refuses."""
        if self._shim.hs_open_block():
            raise RuntimeError(f"CUPTI could not record again: {self._error()}")

    def let_go(self) -> None:
        """Let go of CUPTI after the session."""
        if self._shim.hs_close_block(1):
            raise RuntimeError(f"CUPTI could not be let go of: {self._error()}")

    def close_block(self) -> dict[str, int]:
        """End it, and let go of CUPTI: how many records of each kind there were."""
        self.let_go()
        counts = (ctypes.c_int64 * len(_TABLES))()
        if self._shim.hs_count(counts):
            raise RuntimeError(f"the records could not be counted: {self._error()}")
        return {name: counts[k] for k, name in enumerate(_TABLES) if counts[k]}

    def save(self, folder: str) -> None:
        """Write the records once the session is closed; costs about 0.1 us a record."""
        if self.state.value == 2 and not self._dumped:
            path = os.path.join(folder, "records.bin")
            if self._shim.hs_dump(os.fsencode(path + ".part")):
                raise OSError(self._error())
            os.replace(path + ".part", path)
            self._dumped = True

    def finish(self, folder: str) -> None:
        """Close, let go of CUPTI, write."""
        if self.attached:
            self._shim.hs_detach()
            self.attached = False
        self.save(folder)

    def describe(self) -> dict[str, Any]:
        """Facts for host.json."""
        return {
            "road": "shim",
            "library": getattr(self, "library", None),
            "library_version": getattr(self, "version", None),
            "header_version": self._shim.hs_header_version(),
            "ignored_starts": self._shim.hs_ignored_starts(),
            "markers": self.markers,
            "records": self._config.get("records", "light"),
            "error": self._error() or None,
        }


class _State:
    value = 0


class TorchSession:
    """torch.profiler with CUDA activities alone, for machines without a C compiler."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.state = self.recording = _State()
        self.attached = False
        self.markers = False
        self._profiler: Any = None
        self._clocks: dict[str, Any] = {}
        self._ignored = 0
        self._saved = False
        self._error: str | None = None

    def attach(self) -> None:
        """Nothing to attach: Kineto subscribes when the session opens."""
        self.attached = True

    def start(self) -> None:
        """Open the session."""
        if self.state.value:
            self._ignored += 1
            return
        torch: Any = sys.modules.get("torch")
        if torch is None:
            raise self._cannot(
                "PyTorch is not imported yet", "import torch before the capture range opens"
            )
        with open(os.path.join(self._config["folder"], OPENED), "w"):
            pass
        torch.cuda.synchronize()
        try:
            options = torch._C._profiler._ExperimentalConfig(enable_cuda_sync_events=True)
        except (AttributeError, TypeError):  # an older torch: no synchronisation records
            options = None
        try:
            self._profiler = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CUDA], experimental_config=options
            )
            self._profiler.__enter__()
        except RuntimeError as error:
            first = (str(error).splitlines() or ["no reason given"])[0]
            raise self._cannot(first, "stop the other profiler") from error
        self._clocks["opened"] = time.time_ns()
        self.state.value = 1

    def _cannot(self, reason: str, remedy: str) -> Refused:
        self._error = reason
        return Refused("cupti-refused", f"torch.profiler cannot start: {reason}", remedy)

    def theirs(self) -> None:
        """The program has called cudaProfilerStart: nobody but the launcher knows."""

    def check_started(self) -> None:
        """A start that failed was refused at once."""

    def launches(self) -> tuple[int, bool] | None:
        """Allocations, which keep step with launches where no graph makes them."""
        return facts.allocations()

    def no_blocks(self) -> str:
        """Why no stretch can be recorded besides the session."""
        return "torch.profiler stays in the process after its session"

    def let_go(self) -> None:
        """Nothing to let go of."""

    def stop(self) -> None:
        """Close it, with everything that was launched in it."""
        if self.state.value != 1:
            return
        self._clocks["closed"] = time.time_ns()
        self.state.value = 2
        # Bracketed: where this call stands in the trace tells how far the clocks are apart.
        before = time.time_ns()
        sys.modules["torch"].cuda.synchronize()
        self._clocks["drain"] = [before, time.time_ns()]
        self._profiler.__exit__(None, None, None)

    def save(self, folder: str) -> None:
        """Write Kineto's chrome trace once the session is closed."""
        if self.state.value == 2 and not self._saved:
            path = os.path.join(folder, "trace.json")
            self._profiler.export_chrome_trace(path + ".part.json")
            os.replace(path + ".part.json", path)
            self._saved = True
            self._profiler = None

    def finish(self, folder: str) -> None:
        """Close and write."""
        self.stop()
        self.save(folder)

    def describe(self) -> dict[str, Any]:
        """Facts for host.json."""
        loaded = facts.loaded_libraries()
        version = ctypes.c_uint32()
        if loaded:
            ctypes.CDLL(loaded[0]).cuptiGetVersion(ctypes.byref(version))
        return {
            "road": "torch",
            "library": loaded[0] if loaded else None,
            "library_version": version.value or None,
            "ignored_starts": self._ignored,
            "markers": False,
            "clocks": self._clocks,
            "error": self._error,
        }
