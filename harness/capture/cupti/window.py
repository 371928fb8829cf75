"""Opens and closes the recording from inside the program, where the program does not do it itself.

By the edges of its step ranges, on the thread that opens them; by the clock, on the main thread,
between two bytecodes: the thread that launches is then not inside a launch. Only where the main
thread does not come by for two seconds does the clock's own thread do it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time

from . import mentions, steady
from .step_names import family, matcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class Launcher(Protocol):
        """What the window opens and closes, and what it asks."""

        state: Any  # its `value` is 0 before, 1 during and 2 after the session

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def finish(self) -> None: ...
        def capturing(self) -> bool: ...
        def launches(self) -> tuple[int, bool] | None: ...
        def waits(self) -> bool: ...


TICK_S = 0.05
SILENT_S = 20.0
"""So long nothing may happen before the user hears of it."""
UNSERVED_S = 2.0
DURATION_S = 1.0
LEAST_STEPS = 12
"""Ten whole steps between the first and the last, which the analysis leaves out."""
MOST_S = 30.0
END_GRACE_S = 10.0
CLEANUP_S = 60.0
"""So long a program that is ended may take: to come to Python, and to clean up after itself."""
THEIRS_S = 60.0
"""So long a call of cudaProfilerStart that stands in the program is waited for."""
QUIET_S = 2.0
_NAMES = 5


class Stopped(SystemExit):
    """Ends the program after its window, as sys.exit() would."""

    raised = False

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        type(self).raised = True


class Tell:
    """Lines for the user, in a file that the harness reads: the program's stderr is its own."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, kind: str, **facts: Any) -> None:
        try:
            with open(self._path, "a") as file:
                file.write(json.dumps({"kind": kind, **facts}) + "\n")
        except OSError:
            pass  # a line that is not read


class Window:
    """Decides when the session opens and closes; see `steady` for what is waited for.

    `config` has `steps`, `globs`, `regexes`, `delay_s`, `duration_s` and `then`. `gpu` says whether
    CUDA has to be there. `begins` is called before each range of the program; `cuda_used` when
    CUDA begins; `closed` when the session is over, whoever closed it.
    """

    def __init__(
        self, launcher: Launcher, config: Mapping[str, Any], tell: Tell, *, gpu: bool = True
    ) -> None:
        self._launcher = launcher
        self._tell = tell
        self._gpu = gpu
        steps = config["steps"]
        self.steps: tuple[int, int] | None = (steps[0], steps[1]) if steps else None
        self._delay_s: float | None = config["delay_s"]
        self._duration_s: float | None = config["duration_s"]
        self.stops = config["then"] == "stop"
        self.asked = bool(steps) or self._delay_s is not None or self._duration_s is not None
        self._match = matcher(config["globs"], config["regexes"])
        self._owner = os.getpid()
        self._begun_ns = time.monotonic_ns()
        self._cuda_ns: int | None = None if gpu else self._begun_ns
        self._clock = steady.StepClock()
        self._launch_clock = steady.LaunchClock()
        self._family: tuple[str, int] | None = None
        self._numbered = False
        self._known: dict[str, tuple[int | None] | None] = {}
        self._seen: dict[str, int] = {}
        self._numbers: tuple[int, int] | None = None
        self._opened_ns: int | None = None
        self._closed_ns: int | None = None
        self._opened_by: str | None = None
        self._inside = 0
        self._theirs = False
        self._mention: str | None = None
        self._held_ns: int | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._serving = False
        self._failed: str | None = None
        # Kept: ctypes must not free what the interpreter may still call.
        self._pending = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._served)
        self._asked: tuple[Callable[[], object], float] | None = None
        self._thread = threading.Thread(target=self._watch, name="harness window", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    # What the program does

    def cuda_used(self) -> None:
        """CUDA begins in this process."""
        if self._cuda_ns is None:
            self._cuda_ns = time.monotonic_ns()

    def theirs(self) -> None:
        """The program opens the recording itself: its window is the one."""
        self._theirs = True

    def begins(self, name: str, domain: str | None) -> None:
        """A range begins on this thread; called before the range is made."""
        known = self._known
        if name in known:
            found = known[name]
        else:
            found = self._match(name)
            if len(known) < 100_000:
                known[name] = found
        if found is None:
            if self._family is None:
                self._note(name)
            return
        self._step(name, found[0])

    def _note(self, name: str) -> None:
        kind = family(name)
        if kind in self._seen or len(self._seen) < 100:
            self._seen[kind] = self._seen.get(kind, 0) + 1

    def _step(self, name: str, number: int | None) -> None:
        kind = (family(name), threading.get_ident())
        if self._family is None or (
            number is not None and not self._numbered and self._opened_ns is None
        ):
            self._family, self._numbered = kind, number is not None
            self._clock = steady.StepClock()
        if kind != self._family or self._theirs or self._over.is_set():
            return
        now = time.monotonic_ns()
        step = self._clock.count if number is None else number
        first = min(self._numbers[0], step) if self._numbers else step
        last = max(self._numbers[1], step) if self._numbers else step
        self._numbers = (first, last)
        self._clock.begins(now)
        if self._opened_ns is not None:
            if self._ends_before(step, now):
                self._close()
            else:
                self._inside += 1
        elif self._begins_with(step) and not self._capturing():
            self._open(self._why())
            self._inside += 1

    def _begins_with(self, step: int) -> bool:
        if self.steps is not None:
            first, last = self.steps
            if step >= last and self._clock.count == 1:
                self._once("steps-passed", first=step, asked=f"{first}:{last}", family=self._name())
            return first <= step < last
        if self._delay_s is not None or self._cuda_ns is None:
            return False  # the clock says when
        return self._clock.steady and not self._held()

    def _held(self) -> bool:
        """Does the program call cudaProfilerStart somewhere? Then its own window is waited for."""
        if self.asked:
            return False
        now = time.monotonic_ns()
        if self._held_ns is None:
            self._held_ns, self._mention = now, mentions.profiler_calls()
            if self._mention is not None:
                self._once("theirs-awaited", where=self._mention, most_s=round(THEIRS_S))
        return self._mention is not None and now - self._held_ns < THEIRS_S * steady.NS

    def _why(self) -> str:
        if self.steps is not None:
            return f"--steps {self.steps[0]}:{self.steps[1]} of '{self._name()}'"
        if self._clock.capped:
            return f"after {self._clock.count - 1} steps that never agreed"
        return f"after {self._clock.count - 1} steps, when their times agreed"

    def _name(self) -> str:
        return self._family[0].replace("#", "N") if self._family else ""

    def _ends_before(self, step: int, now: int) -> bool:
        assert self._opened_ns is not None
        if self.steps is not None:
            return not self.steps[0] <= step < self.steps[1]
        if self._duration_s is not None or not self._inside:
            return False  # the clock says when
        return self._inside >= LEAST_STEPS and now - self._opened_ns >= DURATION_S * steady.NS

    # What the clock does

    def _watch(self) -> None:
        while not self._over.wait(TICK_S):
            now = time.monotonic_ns()
            self._serve()
            self._follow()
            if self._opened_ns is not None:
                if self._too_long(now):
                    self._on_main_thread(self._close)
                continue
            if not self._theirs:
                self._look(now)

    def _follow(self) -> None:
        """Somebody else may have opened or closed the session, in C."""
        state = self._launcher.state.value
        if state == 1 and self._opened_ns is None and not self._lock.locked():
            self._theirs = True
        elif state == 2 and not self._lock.locked():
            self._on_main_thread(self._launcher.stop)

    def _look(self, now: int) -> None:
        since_start = (now - self._begun_ns) / steady.NS
        if self._cuda_ns is None:
            if since_start >= SILENT_S:
                self._once("no-cuda", after_s=round(since_start), children=_children())
            return
        since_cuda = (now - self._cuda_ns) / steady.NS
        counted = self._launcher.launches()
        if counted is not None:
            self._launch_clock.count(now, counted[0])
            if counted == (0, True) and since_cuda >= SILENT_S:
                self._once("no-launches", after_s=round(since_cuda), children=_children())
        if self.steps is not None:
            if self._family is None and since_cuda >= SILENT_S:
                self._once("no-steps", after_s=round(since_cuda), names=self._commonest())
        elif self._delay_s is not None:
            if since_start >= self._delay_s:
                self._on_main_thread(lambda: self._open(f"--delay {self._delay_s:g}"))
        elif self._family is None and self._settled(now, counted) and not self._held():
            self._on_main_thread(lambda: self._open(self._settled_by()))

    def _settled(self, now: int, counted: tuple[int, bool] | None) -> bool:
        if counted is not None and (counted[1] or self._launch_clock.first_ns is not None):
            return self._launch_clock.steady(now)
        assert self._cuda_ns is not None
        return now - self._cuda_ns >= steady.BLIND_NS

    def _settled_by(self) -> str:
        began = "CUDA's first use" if self._gpu else "its start"
        if self._launch_clock.first_ns is None:
            return f"{steady.BLIND_NS // steady.NS} s after {began}"
        if self._launch_clock.capped:
            return f"{steady.LAUNCHES_CAP_NS // steady.NS} s after {began}: its pace never settled"
        return "when its pace had settled"

    def _too_long(self, now: int) -> bool:
        assert self._opened_ns is not None
        open_s = (now - self._opened_ns) / steady.NS
        if self._duration_s is not None:
            return open_s >= self._duration_s
        if not self._inside:
            by_pace = self._delay_s is None and self._launch_clock.first_ns is not None
            return open_s >= (self._launch_clock.seen_s if by_pace else DURATION_S)
        # The loop may be over, and the program not.
        quiet = self._clock.quiet_ns(now) > QUIET_S * steady.NS
        if self.steps is not None:
            return quiet and self._numbers is not None and self._numbers[1] + 1 >= self.steps[1]
        return open_s >= MOST_S or quiet

    def _on_main_thread(self, action: Callable[[], object]) -> None:
        """Have the main thread call `action` between two bytecodes; once at a time."""
        if self._asked is not None:
            return
        self._asked = (action, time.monotonic())
        if ctypes.pythonapi.Py_AddPendingCall(self._pending, None):
            self._asked = None  # the queue is full: asked again in a moment

    def _served(self, nothing: object) -> int:
        asked, self._asked = self._asked, None
        self._serving = True
        try:
            # A range's own edge may be at it, even below this very call; the clock asks again.
            if asked is not None and not self._lock.locked() and not self._capturing():
                asked[0]()
        except BaseException as error:
            # Nothing may leave a function that the interpreter calls: it is raised after it.
            if threading.current_thread() is threading.main_thread():
                _raise_in_main(type(error))
        finally:
            self._serving = False
        return 0

    def _serve(self) -> None:
        """The main thread waits somewhere in C: what it was asked is done here."""
        asked = self._asked
        if asked is not None and time.monotonic() - asked[1] >= UNSERVED_S:
            self._served(None)

    # Opening and closing

    def _capturing(self) -> bool:
        try:
            return self._launcher.capturing()
        except Exception as error:
            self._fail("opened", error)
            return True

    def _open(self, why: str) -> None:
        with self._lock:
            if self._opened_ns is not None or self._over.is_set() or self._theirs:
                return
            if os.getpid() != self._owner:
                return  # a fork
            try:
                self._launcher.start()
            except Exception as error:
                self._fail("opened", error)
                return
            self._opened_ns, self._opened_by = time.monotonic_ns(), why
        self._tell("opened", why=why)

    def _close(self) -> None:
        with self._lock:
            if self._opened_ns is None or self._over.is_set():
                return
            self._closed_ns = time.monotonic_ns()
            try:
                self._launcher.stop()  # comes back through `closed`
            except Exception as error:
                self._fail("closed", error)

    def _fail(self, what: str, error: Exception) -> None:
        """The program's own CUDA may be broken, and will tell it so: it goes on as it is."""
        self._over.set()
        first = (str(error).splitlines() or [""])[0]
        self._failed = f"the window could not be {what}: {type(error).__name__}: {first}"[:300]
        self._tell("failed", why=self._failed)

    def closed(self) -> None:
        """The session is over and its records are written."""
        if self._over.is_set():
            return
        self._over.set()
        closed_ns = self._closed_ns or time.monotonic_ns()
        lasted = None if self._opened_ns is None else closed_ns - self._opened_ns
        self._tell(
            "closed",
            lasted_s=None if lasted is None else round(lasted / steady.NS, 3),
            steps=self._inside,
            cuda=_cuda_has_begun(),
            then="stop" if self.stops else "go-on",
        )
        if self.stops:
            self._end()

    def finish(self) -> None:
        """The program ends by itself."""
        self._over.set()

    def _end(self) -> None:
        """Have the main thread end the program; where it does not come to that, end the process."""
        self._tell("ended")

        def end() -> None:
            time.sleep(TICK_S)
            while self._serving or self._launcher.waits():
                time.sleep(TICK_S)
            _raise_in_main(Stopped)
            time.sleep(END_GRACE_S)
            if Stopped.raised:
                time.sleep(CLEANUP_S)
            self._launcher.finish()
            os._exit(0)

        threading.Thread(target=end, name="harness end", daemon=True).start()

    def _once(self, kind: str, **facts: Any) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._tell(kind, **facts)

    def _commonest(self) -> list[list[Any]]:
        most = sorted(self._seen.items(), key=lambda item: -item[1])[:_NAMES]
        return [[name.replace("#", "*"), count] for name, count in most]

    def describe(self) -> dict[str, Any]:
        """Facts for host.json."""
        opened = self._opened_ns is not None
        return {
            "opened": opened,
            "opened_by": self._opened_by,
            "theirs": self._theirs,
            "steps_inside": self._inside,
            "steps_seen": self._clock.count,
            "family": self._name() or None,
            "numbers": list(self._numbers) if self._numbers else None,
            "names": self._commonest(),
            "cuda_used": self._cuda_ns is not None,
            "launches": self._launch_clock.total,
            "mention": self._mention,
            "failed": self._failed,
        }


def _raise_in_main(kind: type[BaseException]) -> None:
    """Have the main thread raise it before its next bytecode."""
    main = threading.main_thread().ident
    assert main is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(kind))


def _children() -> int:
    """Processes that this one started."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return len(file.read().split())
    except OSError:
        return 0


def _cuda_has_begun() -> bool:
    """Whether the program may have used the GPU: False where PyTorch has not begun with CUDA, or
    is still being imported, and where no CUDA runtime is in the process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        asked = getattr(getattr(torch, "cuda", None), "is_initialized", None)
        return asked is not None and bool(asked())
    try:
        with open("/proc/self/maps") as maps:
            return any("libcudart" in line for line in maps)
    except OSError:
        return True  # nobody can tell
