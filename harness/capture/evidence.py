"""What the target's process does besides its own ranges: collections, compilations, input.

Loaded into the target by the launcher: only the standard library is used. Python's collector says
when it runs; the functions of torch that compile and that fetch the next batch are wrapped where
they are found, and nothing happens where they are not.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class State(Protocol):
        """0 before, 1 during and 2 after the session."""

        value: int

    class Sink(Protocol):
        """Where a range goes: opened and closed on the calling thread, well nested."""

        def begin(self, name: str) -> None: ...
        def end(self) -> None: ...

    Done = tuple[str, int, int, int, int, int]
    _Items = list[tuple[str, int, int, int]]
else:
    _Items = list


class _Stack(_Items):
    """The open ranges of one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_native_id()


class Kept:
    """Keeps ranges in memory: those that were open at any moment of the session."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._done: list[Done] = []
        self._stacks: list[_Stack] = []
        self._local = threading.local()

    def begin(self, name: str) -> None:
        """A range begins on this thread."""
        try:
            stack = self._local.stack
        except AttributeError:
            stack = self._local.stack = _Stack()
            self._stacks.append(stack)
        stack.append((name, time.time_ns(), time.thread_time_ns(), self._state.value))

    def end(self) -> None:
        """The innermost range of this thread ends."""
        cpu, now = time.thread_time_ns(), time.time_ns()
        stack = self._local.stack
        name, start, cpu_start, state = stack.pop()
        if state < 2 and self._state.value:
            self._done.append((name, start, now, stack.thread, cpu_start, cpu))

    def ranges(self) -> list[tuple[Any, ...]]:
        """(name, start, end, thread, CPU time at the start, at the end), epoch ns and CPU ns.

        What is still open ends now, and its CPU time at that end is None.
        """
        now = time.time_ns()
        still = [
            (name, start, now, stack.thread, cpu, None)
            for stack in self._stacks
            for name, start, cpu, state in list(stack)
            if state < 2 and self._state.value
        ]
        return [*self._done, *still]


class Watcher:
    """Tells a sink what happens. `names` are the ranges' names, of `analysis.model.evidence`."""

    def __init__(self, names: Mapping[str, str], sink: Sink) -> None:
        self._names = names
        self._sink = sink
        self._begin, self._end = sink.begin, sink.end
        self._collections = [names["collection"].format(generation) for generation in range(10)]
        self._local = threading.local()
        self._undo: list[tuple[Any, str, Any]] = []
        self._on = False

    def install(self) -> None:
        """Begin with the collector; `hooks` begin with the rest."""
        self._on = True
        gc.callbacks.append(self._collected)
        os.register_at_fork(after_in_child=self._leave)

    def remove(self) -> None:
        """Put everything back."""
        self._leave()
        while self._undo:
            owner, name, value = self._undo.pop()
            setattr(owner, name, value)

    def _leave(self) -> None:
        self._on = False
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._collected)

    def hooks(self) -> dict[str, Callable[[Any], None]]:
        """What to call when a module has been imported."""
        found = {
            "torch.utils.data.dataloader": self._watch_dataloader,
            "torch._dynamo.utils": self._watch_events,
            "torch._dynamo.convert_frame": self._watch_frames,
            "triton.compiler.compiler": self._watch_triton,
        }
        return {name: functools.partial(self._safely, watch) for name, watch in found.items()}

    def _safely(self, watch: Callable[[Any], None], module: Any) -> None:
        """A torch of another shape is recorded without."""
        with contextlib.suppress(AttributeError, TypeError):
            watch(module)

    def _collected(self, phase: str, info: Mapping[str, int]) -> None:
        local = self._local
        if phase == "start":
            local.collecting = True
            self._begin(self._collections[info["generation"]])
        elif getattr(local, "collecting", False):  # else it began before we listened
            local.collecting = False
            self._end()

    # Compilation: the outermost range of a thread, whatever it is made of

    def _open(self) -> list[str]:
        try:
            found: list[str] = self._local.compiling
        except AttributeError:
            found = self._local.compiling = []
        return found

    def _compiling(self, what: str, name: str) -> None:
        stack = self._open()
        if not stack:
            self._begin(self._names[what].format(name))
        stack.append(name)

    def _compiled(self, name: str) -> None:
        """The latest of this name is over, with all that was opened in it and never closed."""
        stack = self._open()
        if name in stack:
            while stack.pop() != name:
                pass
            if not stack:
                self._end()

    def _watch_events(self, utils: Any) -> None:
        """Every phase that dynamo times: compilations of a backward, autotuning, caches."""
        logger = utils.ChromiumEventLogger
        start, end = logger.log_event_start, logger.log_event_end
        watcher = self

        @functools.wraps(start)
        def log_event_start(self: Any, event_name: str, *rest: Any, **others: Any) -> Any:
            if watcher._on:
                watcher._compiling("compile", str(event_name))
            return start(self, event_name, *rest, **others)

        @functools.wraps(end)
        def log_event_end(self: Any, event_name: str, *rest: Any, **others: Any) -> Any:
            if watcher._on:
                watcher._compiled(str(event_name))
            return end(self, event_name, *rest, **others)

        self._replace(logger, "log_event_start", log_event_start)
        self._replace(logger, "log_event_end", log_event_end)

    def _watch_frames(self, convert_frame: Any) -> None:
        """Dynamo's compilation of one function, with all that its backend does."""
        compiles = convert_frame._compile

        def named(code: Any) -> str:
            return f"{code.co_name} {os.path.basename(code.co_filename)}:{code.co_firstlineno}"

        self._replace(convert_frame, "_compile", self._around("compile", named, compiles))

    def _watch_triton(self, compiler: Any) -> None:
        def named(source: Any) -> str:
            return str(getattr(source, "name", None) or "kernel")

        self._replace(compiler, "compile", self._around("triton", named, compiler.compile))

    def _around(
        self, what: str, named: Callable[[Any], str], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """`function` as a compilation of its first argument."""

        @functools.wraps(function)
        def around(*args: Any, **others: Any) -> Any:
            if not self._on:
                return function(*args, **others)
            name = "unnamed"
            with contextlib.suppress(Exception):
                name = named(args[0])
            self._compiling(what, name)
            try:
                return function(*args, **others)
            finally:
                self._compiled(name)

        return around

    # Input

    def _watch_dataloader(self, dataloader: Any) -> None:
        self._hide_from_dynamo()
        base, workers = dataloader._BaseDataLoaderIter, dataloader._MultiProcessingDataLoaderIter
        there, here = self._names["next_from_workers"], self._names["next_here"]
        following, constructed = base.__next__, workers.__init__
        watcher, begin, end = self, self._begin, self._end

        @functools.wraps(following)
        def __next__(self: Any) -> Any:
            if not watcher._on:
                return following(self)
            begin(there if isinstance(self, workers) else here)
            try:
                return following(self)
            finally:
                end()

        @functools.wraps(constructed)
        def __init__(self: Any, *rest: Any, **others: Any) -> None:
            if not watcher._on:
                constructed(self, *rest, **others)
                return
            begin(watcher._names["workers_start"])
            try:
                constructed(self, *rest, **others)
            finally:
                end()

        self._unseen(__next__, __init__)
        self._replace(base, "__next__", __next__)
        self._replace(workers, "__init__", __init__)

    def _hide_from_dynamo(self) -> None:
        sink = type(self._sink)
        self._unseen(type(self)._collected, sink.begin, sink.end)

    def _unseen(self, *functions: Any) -> None:
        """Have torch.compile, which looks at every function that is called, pass ours by."""
        torch: Any = sys.modules.get("torch")
        with contextlib.suppress(Exception):
            for function in functions:
                torch._C._dynamo.eval_frame.skip_code(function.__code__)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self._undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)
