"""Run a Python program with a recording session in its process: CUPTI's, or one that tells nsys.

    python /path/to/harness/launcher.py SESSION.json -- my.py ARG...
    python /path/to/harness/launcher.py SESSION.json -- -m package ARG...
    python /path/to/harness/launcher.py --find

Started by the `cupti` and `nsys` backends, with the target's own interpreter, which need not have
the harness installed: only the standard library is used. The program sees its own sys.argv,
sys.path, __main__ and environment, as if it had been started directly. `--find` prints what a
recording would use.
"""

from __future__ import annotations

import sys

# Python put this file's folder first; modules in it must not shadow the target's.
if __name__ == "__main__" and not getattr(sys.flags, "safe_path", sys.flags.isolated):
    sys.path.pop(0)

import atexit
import contextlib
import importlib.util
import json
import os
import threading
import types
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:  # the program's modules are its own to import: nothing of this at run time
    from collections.abc import Callable, Mapping
    from types import ModuleType, TracebackType
    from typing import Any, NoReturn

    from harness.capture.cupti.blocks import Blocks
    from harness.capture.cupti.hooks import ImportHooks
    from harness.capture.cupti.nsys_session import NsysSession
    from harness.capture.cupti.ranges import Recorder
    from harness.capture.cupti.session import Refused, ShimSession, TorchSession
    from harness.capture.cupti.window import Window
    from harness.capture.evidence import Kept, Sink, Watcher

OWN_FAILURE = 125
FINISH_S = 60.0
"""So long the end of the program waits for a thread that closes the session."""
NVTX_VARIABLE = "NVTX_INJECTION64_PATH"
# What else brings CUDA into a Python process; torch is told apart, it initialises CUDA late.
CUDA_PACKAGES = ("cupy", "numba.cuda", "pycuda.driver", "jax", "tensorflow", "cuda.bindings.driver")


def helpers() -> str:
    """The package of helpers beside this file, under a private name, whatever sys.path holds."""
    name = "_harness_cupti"
    if name not in sys.modules:
        above = Path(__file__).resolve().parent / "capture"
        folder = above / "cupti"
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder), str(above)]
        )
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    return name


def helper(name: str) -> ModuleType:
    """One helper module."""
    return importlib.import_module(f"{helpers()}.{name}")


class Launcher:
    """Wires session, ranges and import hooks together around one program."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        session = helper("session")
        self.config = config
        self.folder = config["folder"]
        self.refused: type[Refused] = session.Refused
        roads: dict[str, type[ShimSession | TorchSession | NsysSession]] = {
            "shim": session.ShimSession,
            "torch": session.TorchSession,
            "nsys": helper("nsys_session").NsysSession,
        }
        self.session = roads[config["road"]](config)
        window = config["range"]
        named = None
        own = config["road"] != "nsys"  # else nsys itself waits for what the range says
        if window["kind"] == "nvtx" and own:
            text, _, domain = window["name"].partition("@")
            named = (text, domain or None)
        self.state = self.session.state
        self.recording = self.session.recording
        self._stopped = False
        self.blocks: Blocks | None = None
        self.no_blocks: str | None = None
        self.ranges: Recorder = helper("ranges").Recorder(self, named)
        self.window: Window | None = None
        self.follows = window["kind"] == "cudaProfilerApi" and own
        if window["kind"] == "auto":
            inside = helper("window")
            tell, gpu = inside.Tell(config["told"]), config.get("device", "cuda") == "cuda"
            self.window = made = inside.Window(self, config["window"], tell, gpu=gpu)
            self.ranges.before = made.begins
            self.follows = window["follow"]
        self.captures = helper("captures").Captures(self.ranges)
        hooks: dict[str, Callable[[Any], None]] = {
            "torch": self._torch_imported,
            "nvtx": self._nvtx_imported,
        }
        if config["road"] != "torch":
            hooks |= dict.fromkeys(CUDA_PACKAGES, self._cuda_package_imported)
        self.kept: Kept = helper("evidence").Kept(self.state)
        self.watcher = self._watcher(config)
        hooks |= {} if self.watcher is None else self.watcher.hooks()
        self.hooks: ImportHooks = helper("hooks").ImportHooks(hooks)
        self.owner = os.getpid()
        self._closing = threading.Lock()
        self.nvtx_opened: bool | None = None

    def _watcher(self, config: Mapping[str, Any]) -> Watcher | None:
        """What tells of collections and their like: kept here, or under nsys sent to it."""
        sink: Sink | None = self.kept
        if config["road"] == "nsys":
            sink, self.ranges.marks = helper("under_nsys").sinks(config)
            if sink is None:
                return None
        watcher: Watcher = helper("evidence").Watcher(config["evidence"], sink)
        return watcher

    # The session, guarded: the target must not suffer for a recording that fails

    def attach(self) -> None:
        """Attach, or end the process: nobody wants an hour's run without its recording."""
        try:
            self.session.attach()
        except self.refused as refusal:
            self._refuse(refusal)

    def start(self) -> None:
        """Open the session."""
        if os.getpid() == self.owner:
            self.attach()
            try:
                self._check_capture()
                self.session.start()
            except self.refused as refusal:
                self._refuse(refusal)

    def _check_capture(self) -> None:
        """Refuse inside torch.cuda.graph: idling the devices would break that capture."""
        torch: Any = sys.modules.get("torch")
        asked = getattr(getattr(torch, "cuda", None), "is_current_stream_capturing", None)
        if self.state.value == 0 and asked is not None and torch.cuda.is_initialized() and asked():
            raise self.refused(
                "in-graph-capture", "the capture range begins inside a CUDA graph capture"
            )

    def stop(self) -> None:
        """Close the session and write what it recorded: the program may not live to its end."""
        if os.getpid() != self.owner or not self._closing.acquire(blocking=False):
            return  # it is being closed, perhaps by the very call that this one interrupts
        try:
            self.session.stop()
            self._save()
        finally:
            self._closing.release()
        if self.state.value != 2 or self._stopped:
            return
        self._stopped = True  # several may find it closed
        self.ranges.before = None
        self._time_blocks()
        if self.window is not None:
            self.window.closed()

    def _time_blocks(self) -> None:
        """Time steps with the recorder and without it, as long as the program makes any."""
        most_s = float(self.config.get("bare_s") or 0)
        self.no_blocks = self.session.no_blocks() if most_s else "not asked for"
        if self.no_blocks is not None:
            return
        inside = helper("blocks")
        try:
            self.session.let_go()
        except RuntimeError as error:
            self.no_blocks = str(error)
            return
        self.blocks = inside.Blocks(
            self,
            self.ranges.done,
            self.config.get("window") or {},
            round(most_s * 1e9),
            waited_for=self.window is not None and self.window.stops,
        )
        if not self.blocks.finished:
            self.ranges.before = self.blocks.begins

    def blocks_over(self) -> None:
        """Nobody needs to hear of ranges any more."""
        self.ranges.before = None

    def waits(self) -> bool:
        """Is there something for which the program goes on past its window?"""
        return self.blocks is not None and not self.blocks.finished and not self.blocks.late

    def capturing(self) -> bool:
        """Is a CUDA graph being captured, by this thread or any other?"""
        going_on: bool = self.captures.going_on()
        return going_on

    def launches(self) -> tuple[int, bool] | None:
        """How many launches there were, or something that grows with them; whether it is exact."""
        return self.session.launches()

    def _refuse(self, refusal: Refused) -> NoReturn:
        told = {"code": refusal.code, "refusal": str(refusal), "remedy": refusal.remedy}
        self._write(told)
        print(f"harness: error: {refusal} [{refusal.code}]", file=sys.stderr, flush=True)
        os._exit(OWN_FAILURE)

    def _save(self) -> None:
        try:
            self.session.save(self.folder)
        except (OSError, RuntimeError) as error:
            self._write(
                {"code": "records-damaged", "refusal": f"the records could not be written: {error}"}
            )
            return
        self._write({})

    def _write(self, more: Mapping[str, Any]) -> None:
        facts = helper("facts")
        path = os.path.join(self.folder, "host.json")
        told = {
            "pid": self.owner,
            "name": os.path.basename(sys.argv[0]) or "python",
            "session": self.session.describe(),
            "state": self.state.value,
            "ranges": self.ranges.done,
            "evidence": self.kept.ranges(),
            "threads": facts.threads(),
            "devices": facts.devices(),
            "versions": facts.python_facts(),
            "children_s": sum(os.times()[2:4]),
            "window": None if self.window is None else self.window.describe(),
            "nvtx_opened": self.nvtx_opened,
            "bare": self._bare(),
            **more,
        }
        with open(path + ".part", "w") as file:
            json.dump(told, file)
        os.replace(path + ".part", path)

    def _bare(self) -> Mapping[str, Any]:
        if self.blocks is not None:
            return self.blocks.describe()
        return {"reason": self.no_blocks, "blocks": []}

    def finish(self) -> None:
        """At the end of the process: close, write, and put everything back."""
        if os.getpid() != self.owner:
            return
        if self.blocks is not None:
            self.blocks.finish()
        if self.window is not None:
            self.window.finish()
        self.hooks.remove()
        if self.watcher is not None:
            self.watcher.remove()
        self.ranges.restore()
        self._closing.acquire(timeout=FINISH_S)
        try:
            self.session.finish(self.folder)
        except (OSError, RuntimeError) as error:
            self._write(
                {"code": "records-damaged", "refusal": f"the records could not be written: {error}"}
            )
            return
        self._write({})

    # What is watched

    def watch(self) -> None:
        """Begin: hooks first, the session where nothing has to be waited for."""
        atexit.register(self.finish)
        self.hooks.install()
        if self.watcher is not None:
            self.watcher.install()
        if self.window is not None:
            self.window.start()

    def _cuda_begins(self) -> None:
        if self.config["range"]["kind"] == "none" and self.config["road"] != "nsys":
            self.start()
        elif self.window is not None:
            self.window.cuda_used()

    def _torch_imported(self, torch: Any) -> None:
        core: Any = getattr(torch, "_C", None)
        if not hasattr(core, "_cuda_init"):
            return  # a PyTorch without CUDA
        initialise = core._cuda_init

        def cuda_init() -> Any:
            if os.getpid() == self.owner:
                self.attach()
            result = initialise()
            self._cuda_begins()
            return result

        self.ranges.replace(core, "_cuda_init", cuda_init)
        if self.follows or self.window is not None:
            self._watch_profiler_calls(core._cudart)
        if self.window is not None or self.config.get("bare_s"):
            self.captures.watch(torch)
        self.ranges.watch_torch(torch.cuda.nvtx)
        self._listen(lambda: core._nvtx.markA("harness"))

    def _watch_profiler_calls(self, runtime: Any) -> None:
        start, stop = runtime.cudaProfilerStart, runtime.cudaProfilerStop

        def profiler_start() -> Any:
            if os.getpid() != self.owner:
                return start()
            if not self.follows:
                return 0  # the command line says when
            try:
                self._check_capture()
                if self.window is not None:
                    self.window.theirs()
                result = start()
                self.session.theirs()
                if self.state.value == 0:  # the shim's callback has done it already
                    self.start()
                elif self.blocks is not None:
                    self.session.start()  # it is counted: CUPTI was let go of, and sees no calls
                self.session.check_started()
            except self.refused as refusal:
                self._refuse(refusal)
            return result

        def profiler_stop() -> Any:
            if not self.follows and os.getpid() == self.owner:
                return 0
            if self.config["road"] == "torch":
                self.stop()
            result = stop()
            if self.state.value:
                self.stop()
            return result

        profiler_start.__wrapped__ = start  # type: ignore[attr-defined]
        profiler_stop.__wrapped__ = stop  # type: ignore[attr-defined]
        self.ranges.replace(runtime, "cudaProfilerStart", profiler_start)
        self.ranges.replace(runtime, "cudaProfilerStop", profiler_stop)

    def _nvtx_imported(self, nvtx: Any) -> None:
        if not isinstance(getattr(nvtx, "annotate", None), type) or not hasattr(nvtx, "pop_range"):
            return  # a module of the target's own
        if self.config.get("open_nvtx"):
            self.nvtx_opened = helper("nvtx_gate").open_gate(nvtx)
        self._listen(lambda: nvtx.mark("harness"))
        with contextlib.suppress(AttributeError, TypeError):  # of another shape
            self.ranges.watch_nvtx(nvtx)

    def _cuda_package_imported(self, module: Any) -> None:
        self.attach()
        self._cuda_begins()

    def _listen(self, first_call: Callable[[], object]) -> None:
        """Have one NVTX client take libcupti for its tool: each looks once, at its first call."""
        if self.config["road"] != "shim" or not self.config.get("nvtx"):
            return
        if TYPE_CHECKING:
            assert isinstance(self.session, ShimSession)
        try:
            library = self.session.load()
        except self.refused as refusal:
            self._refuse(refusal)
        if not self.session.markers or NVTX_VARIABLE in os.environ:
            return
        os.environ[NVTX_VARIABLE] = library
        try:
            with contextlib.suppress(Exception):
                first_call()
        finally:
            del os.environ[NVTX_VARIABLE]


def run(target: list[str]) -> None:
    """Run `SCRIPT ARG...`, `-m MODULE ARG...` or `-c CODE ARG...` as Python itself would."""
    if target[0] == "-m":
        import runpy

        sys.argv = target[1:]
        _look_first_in(os.getcwd())
        runpy.run_module(target[1], run_name="__main__", alter_sys=True)
        return
    main: Any = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    if target[0] == "-c":
        code = compile(target[1], "<string>", "exec")
        sys.argv = ["-c", *target[2:]]
        _look_first_in("")
    else:
        path = target[0]
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        main.__file__ = path
        sys.argv = list(target)
        _look_first_in(os.path.dirname(os.path.realpath(path)))
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _look_first_in(folder: str) -> None:
    """As Python does, which -P and -I forbid; whatever the launcher needs is imported by now."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path.insert(0, folder)


def _without_launcher(trace: TracebackType | None) -> TracebackType | None:
    """A traceback that begins in the program."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    return trace


def main(arguments: list[str]) -> None:
    """Exit code 125 where the recording cannot begin; else the program's own end."""
    if arguments == ["--find"]:
        print(json.dumps(helper("find").found()))
        return
    with open(arguments[0]) as file:
        config = json.load(file)
    target = arguments[2:]
    try:
        launcher = Launcher(config)
    except OSError as error:
        print(f"harness: error: {error}", file=sys.stderr)
        sys.exit(OWN_FAILURE)
    launcher.watch()
    try:
        run(target)
    except OSError as error:
        inner = error.__traceback__ and error.__traceback__.tb_next
        if error.filename == target[0] and inner and inner.tb_next is None:
            said = f"{sys.executable}: can't open file '{target[0]}': {error.strerror}"
            print(said, file=sys.stderr)
            sys.exit(2)
        raise
    except Exception as error:
        error.__traceback__ = _without_launcher(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
