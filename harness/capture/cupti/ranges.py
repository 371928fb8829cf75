"""Host ranges recorded in the target's own process, whatever becomes of them in NVTX.

The functions of `nvtx` and `torch.cuda.nvtx` are wrapped while the target runs; each range becomes
(name, domain, start, end, thread, kind, CPU time at its start, at its end) with CLOCK_REALTIME
nanoseconds, the clock of libcupti. CPU times are the thread's own, ns; None where a range may end
on another thread, or stands in `DEPTH` others.
"""

from __future__ import annotations

import functools
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any, Protocol

    class State(Protocol):
        """0 before, 1 while, and 2 after something is recorded."""

        value: int

    class Session(Protocol):
        """What opens and closes, and whether anything is recorded."""

        recording: State

        def start(self) -> None: ...
        def stop(self) -> None: ...

    class Marks(Protocol):
        """What is told of the edges of push/pop ranges."""

        def opened(self, domain: str | None) -> None: ...
        def closes(self, domain: str | None) -> None: ...

    _Items = list[tuple[str, int | None, int] | None]
    Done = tuple[str, str | None, int, int, int, int, int | None, int | None]
else:
    _Items = list

PUSH_POP, START_END = 59, 60
DEPTH = 2
"""Ranges that stand in fewer others of their thread and domain get CPU times: 0.25 us a reading."""
_now, _cpu = time.time_ns, time.thread_time_ns


class _Stack(_Items):
    """The open ranges of one thread in one domain; None stands for one that is not recorded."""

    def __init__(self) -> None:
        super().__init__()
        # Kept: asking is a system call.
        self.thread = threading.get_native_id()


class Recorder:
    """Collects the ranges that begin while a session is open.

    `session.recording.value` is 0 before, 1 during and 2 after the session. `window`, where given,
    is the (name, domain) of the range that opens and closes the session itself.
    """

    def __init__(self, session: Session, window: tuple[str, str | None] | None = None) -> None:
        self.session = session
        self._state = session.recording
        self.window = window
        self.done: list[Done] = []
        self._open: dict[Hashable, tuple[str, str | None, int, int]] = {}
        self._local = threading.local()
        self._undo: list[tuple[Any, str, Any]] = []
        self.before: Callable[[str, str | None], None] | None = None
        """Told of each range right before it begins; None: nobody is."""
        self.marks: Marks | None = None
        """Told of each range right after it began and before it ends; set before the watching."""

    def _stacks(self) -> dict[Any, _Stack]:
        return self._local.__dict__

    def begins(self, name: str, domain: str | None) -> None:
        """A range of any kind is about to begin on this thread."""
        if self.before is not None:
            self.before(name, domain)

    def push(self, name: str, domain: str | None = None) -> None:
        """A push/pop range begins on this thread."""
        if self.marks is not None:
            self.marks.opened(domain)
        if self.window is not None and self._is_window(name, domain):
            self.session.start()
        state = self._state.value
        if state:
            stack = self._stacks().get(domain)
            if stack is None:
                stack = self._stacks()[domain] = _Stack()
            if state != 1:
                stack.append(None)
            else:
                cpu = _cpu() if len(stack) < DEPTH else None
                stack.append((name, cpu, _now()))

    def pop(self, domain: str | None = None) -> None:
        """The innermost range of this thread and domain ends."""
        if self.marks is not None:
            self.marks.closes(domain)
        end = _now()
        stack = self._stacks().get(domain)
        if not stack:
            return  # it began before the session
        item = stack.pop()
        if item is not None:
            name, cpu, start = item
            ran = None if cpu is None else _cpu()
            self.done.append((name, domain, start, end, stack.thread, PUSH_POP, cpu, ran))
            if self.window is not None and self._is_window(name, domain):
                self.session.stop()

    def start(self, handle: Hashable, name: str, domain: str | None = None) -> None:
        """A range begins that may end on another thread; `handle` is what ends it."""
        if self._state.value == 1:
            self._open[handle] = (name, domain, _now(), threading.get_native_id())

    def end(self, handle: Hashable) -> None:
        """The range of that handle ends."""
        found = self._open.pop(handle, None)
        if found is not None:
            name, domain, start, thread = found
            self.done.append((name, domain, start, _now(), thread, START_END, None, None))

    def _is_window(self, name: str, domain: str | None) -> bool:
        assert self.window is not None
        wanted, where = self.window
        return name == wanted and (where is None or where == domain)

    # Wrapping

    def watch_nvtx(self, nvtx: Any) -> None:
        """Wrap the `nvtx` package, of any version since 0.2."""
        annotate = nvtx.annotate
        original = {name: getattr(annotate, name) for name in ("__init__", "__enter__", "__exit__")}
        decorate = annotate.__call__
        recorder, push, pop = self, self.push, self.pop
        state = self.session.recording
        construct, begin, finish = original.values()
        windowed, marked = self.window is not None, self.marks is not None

        @functools.wraps(construct)
        def init(
            self: Any,
            message: object = None,
            color: Any = None,
            domain: str | None = None,
            category: Any = None,
            payload: Any = None,
            **others: Any,
        ) -> None:
            construct(self, message, color, domain, category, payload, **others)
            self._harness_range = ("" if message is None else str(message), domain)

        # Hot: a range costs the target about 1 us more while the session is open.
        @functools.wraps(begin)
        def enter(self: Any) -> Any:
            if recorder.before is not None:
                recorder.before(*self._harness_range)
            entered = begin(self)
            if state.value or windowed or marked:
                push(*self._harness_range)
            return entered

        @functools.wraps(finish)
        def leave(self: Any, *exception: Any) -> Any:
            if state.value or marked:
                pop(self._harness_range[1])
            return finish(self, *exception)

        @functools.wraps(decorate)
        def call(self: Any, function: Callable[..., Any]) -> Callable[..., Any]:
            wrapped = decorate(self, function)
            name, domain = self._harness_range
            name = name or getattr(function, "__name__", "")

            @functools.wraps(function)
            def inner(*args: Any, **kwargs: Any) -> Any:
                recorder.begins(name, domain)
                recorder.push(name, domain)
                try:
                    return wrapped(*args, **kwargs)
                finally:
                    recorder.pop(domain)

            return inner

        made = {"__init__": init, "__enter__": enter, "__exit__": leave, "__call__": call}
        self._replace_all(annotate, made)
        for module in {nvtx, getattr(nvtx, "nvtx", nvtx)}:
            self._watch_functions(module)
        lib = sys.modules.get("nvtx._lib.lib")
        for name in ("Domain", "DummyDomain"):
            kind = getattr(lib, name, None)
            if hasattr(kind, "push_range"):  # from nvtx 0.2.12 on
                self._watch_domain(kind)

    def _watch_domain(self, kind: Any) -> None:
        """Wrap the methods of a domain; nvtx's own functions do not go through them."""
        push, pop = kind.push_range, kind.pop_range
        start, end = kind.start_range, kind.end_range

        @functools.wraps(push)
        def push_range(domain: Any, attributes: Any = None, **others: Any) -> None:
            self.begins(_message(attributes, others), _domain_name(domain))
            push(domain, attributes, **others)
            self.push(_message(attributes, others), _domain_name(domain))

        @functools.wraps(pop)
        def pop_range(domain: Any) -> Any:
            self.pop(_domain_name(domain))
            return pop(domain)

        @functools.wraps(start)
        def start_range(domain: Any, attributes: Any = None, **others: Any) -> Any:
            self.begins(_message(attributes, others), _domain_name(domain))
            handle = start(domain, attributes, **others)
            self.start(("domain", handle), _message(attributes, others), _domain_name(domain))
            return handle

        @functools.wraps(end)
        def end_range(domain: Any, range_id: Any) -> Any:
            self.end(("domain", range_id))
            return end(domain, range_id)

        made = {
            "push_range": push_range,
            "pop_range": pop_range,
            "start_range": start_range,
            "end_range": end_range,
        }
        self._replace_all(kind, made)

    def _watch_functions(self, module: Any) -> None:
        push, pop = module.push_range, module.pop_range
        start, end = module.start_range, module.end_range

        @functools.wraps(push)
        def push_range(
            message: object = None,
            color: Any = None,
            domain: str | None = None,
            *rest: Any,
            **others: Any,
        ) -> Any:
            self.begins("" if message is None else str(message), domain)
            result = push(message, color, domain, *rest, **others)
            self.push("" if message is None else str(message), domain)
            return result

        @functools.wraps(pop)
        def pop_range(domain: str | None = None) -> Any:
            self.pop(domain)
            return pop(domain)

        @functools.wraps(start)
        def start_range(
            message: object = None,
            color: Any = None,
            domain: str | None = None,
            *rest: Any,
            **others: Any,
        ) -> Any:
            self.begins("" if message is None else str(message), domain)
            handle = start(message, color, domain, *rest, **others)
            self.start(_hashable(handle), "" if message is None else str(message), domain)
            return handle

        @functools.wraps(end)
        def end_range(handle: Any) -> Any:
            self.end(_hashable(handle))
            return end(handle)

        made = {
            "push_range": push_range,
            "pop_range": pop_range,
            "start_range": start_range,
            "end_range": end_range,
        }
        self._replace_all(module, made)

    def watch_torch(self, module: Any) -> None:
        """Wrap `torch.cuda.nvtx`; its `range` context manager calls the wrapped functions."""
        push, pop = module.range_push, module.range_pop
        start, end = module.range_start, module.range_end

        @functools.wraps(push)
        def range_push(msg: object) -> Any:
            self.begins(str(msg), None)
            result = push(msg)
            self.push(str(msg))
            return result

        @functools.wraps(pop)
        def range_pop() -> Any:
            self.pop()
            return pop()

        @functools.wraps(start)
        def range_start(msg: object) -> Any:
            self.begins(str(msg), None)
            handle = start(msg)
            self.start(("torch", handle), str(msg))
            return handle

        @functools.wraps(end)
        def range_end(range_id: Any) -> Any:
            self.end(("torch", range_id))
            return end(range_id)

        made = {
            "range_push": range_push,
            "range_pop": range_pop,
            "range_start": range_start,
            "range_end": range_end,
        }
        self._replace_all(module, made)

    def _replace_all(self, owner: Any, made: Mapping[str, Any]) -> None:
        for name, value in made.items():
            self.replace(owner, name, value)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute and remember what was there."""
        self._undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def restore(self) -> None:
        """Put back everything that was wrapped."""
        while self._undo:
            owner, name, value = self._undo.pop()
            setattr(owner, name, value)


def _message(attributes: Any, others: Mapping[str, Any]) -> str:
    """The text of a domain's range; empty where nobody listens and the package drops it."""
    message = others.get("message")
    if message is None:
        message = getattr(attributes, "message", None)
    return str(getattr(message, "string", message) or "")


def _domain_name(domain: Any) -> str | None:
    handle = getattr(domain, "handle", None)
    return getattr(handle, "name", "") or None


def _hashable(handle: Any) -> Hashable:
    return tuple(handle) if isinstance(handle, list) else handle
