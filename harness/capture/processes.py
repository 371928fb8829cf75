"""Run a process and everything it starts, and be able to stop all of it.

A profiler's daemons leave our process group and even our session, and outlive the profiler when it
is killed. A keeper of ours therefore stands above what is started, adopts what is orphaned below
it, and ends it all when we are killed ourselves. Should the keeper be killed, the orphans come to
this process, which ends them.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import keeper
from .errors import KeeperKilled
from .keeper import KILL_AFTER_S, adopt_orphans, below, process_table, send

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_BYTES = 1 << 20
"""Output taken in one turn: a target that prints faster than it is read must not hide a signal."""

LOOKS_S = 20.0
"""How long a target is looked for, which reads the table of processes again and again."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    `exit_code` is the leader's as shells give it (128 + N for signal N); `killed_by` names the
    signal that ended the leader itself. `interrupted` names the signal that we were asked to stop
    with; `forced` says that the tree had to be killed before the leader was done. `left_running`
    lists (pid, name) of what the target left behind on purpose. `wall_s` is the leader's wall time
    in seconds.
    """

    exit_code: int
    killed_by: str | None
    interrupted: str | None
    forced: bool
    left_running: tuple[tuple[int, str], ...]
    wall_s: float


@dataclass
class _Signals:
    """Which stop signals came, in order, and a pipe that wakes the loop when one does."""

    came: list[int]
    wake_fd: int


def supervise(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    on_output: Callable[[str], None] = lambda text: None,
    on_block: Callable[[str], None] | None = None,
    on_tick: Callable[[float], None] = lambda elapsed_s: None,
    on_interrupt: Callable[[str], None] = lambda signal_name: None,
    on_target: Callable[[], None] | None = None,
    grace_s: float = 60.0,
    helpers: Sequence[str] = (),
    signal_group: bool = False,
) -> Ended:
    """Run `argv` to its end; OSError when it cannot be started.

    Standard output and error arrive at `on_output` in pieces that keep their line end; or, much
    faster where a target prints gigabytes, at `on_block` in blocks of whole lines. Ctrl-C,
    SIGTERM and SIGHUP are passed on to the leader (with `signal_group`, to its whole group), which
    may take `grace_s` to finish; a second signal, or the end of that time, kills the whole tree.
    `on_interrupt` is told the first signal's name. `on_target` is called once, when a process below
    the leader is seen that `helpers` does not name; one of a few hundredths of a second may be
    missed, and after `LOOKS_S` nobody looks any more.
    After an interruption nothing of the tree is left. After a normal end, processes named in
    `helpers` (the profiler's own) are ended, and others that the target left are let alone. A
    leader that a signal ended, or that reports so of its child (a code of 128 + N), left nothing on
    purpose: the rest of its tree is ended. So it is when this process is killed.
    Raises CaptureError where somebody killed the keeper.
    """
    with _reaping_orphans(), _catching_signals() as signals:
        before = frozenset(_children(os.getpid()))
        run = _Run(argv, env, before)
        try:
            forced = _wait(
                run,
                signals,
                on_block=on_block or (lambda text: _one_by_one(text, on_output)),
                on_tick=on_tick,
                on_interrupt=on_interrupt,
                on_target=None if on_target is None else (frozenset(helpers), on_target),
                grace_s=grace_s,
                signal_group=signal_group,
            )
            status = run.status
            if status is None:
                raise KeeperKilled(
                    "the process that watches over the recording was killed, and what it had "
                    "started was ended"
                )
            code = os.waitstatus_to_exitcode(status)
            came = signal.Signals(signals.came[0]).name if signals.came else None
            killed = code < 0 or 128 < code <= 128 + signal.NSIG
            left = _clear(run.tree, helpers, everything=came is not None or killed)
        except BaseException:
            run.tree.end()
            raise
        finally:
            run.close()
    killed_by = _signal_name(-code) if code < 0 else None
    return Ended(128 - code if code < 0 else code, killed_by, came, forced, left, run.wall_s)


def _signal_name(number: int) -> str:
    """`SIGKILL`; Python knows no names of real-time signals but the first and the last."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Run:
    """A started command: its keeper, its output pipe, and how it ended, once that is known."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str] | None, before: frozenset[int]
    ) -> None:
        self.status: int | None = None
        self.wall_s = 0.0
        self.over = False
        self._said = b""
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__]  # noqa: RUF005
                + [str(theirs.fileno()), str(os.getpid()), *argv],
                env=None if env is None else dict(env),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        self.tree = _Tree(before, self.keeper.pid)
        assert self.keeper.stdout is not None
        self.output = self.keeper.stdout.fileno()
        os.set_blocking(self.output, False)
        try:
            said = self._line()
        except BaseException:
            self.tree.end()
            self.close()
            raise
        if said[:1] == [b"failed"]:
            self.close()
            number = int(said[1])
            raise OSError(number, os.strerror(number), argv[0])
        self.leader = int(said[1]) if said[:1] == [b"started"] else 0
        self.socket.setblocking(False)

    def _line(self) -> list[bytes]:
        """The keeper's first words: that it started the command, or could not."""
        while b"\n" not in self._said:
            data = self.socket.recv(256)
            if not data:
                return []
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return line.split()

    def hear(self) -> None:
        """Take what the keeper says; `over` once the command ended, or the keeper did."""
        with contextlib.suppress(BlockingIOError):
            try:
                data = self.socket.recv(256)
            except ConnectionError:
                data = b""
            self._said += data
            self.over = not data
        if b"\n" in self._said:
            _, status, wall_ns = self._said.split()
            self.status, self.wall_s, self.over = int(status), int(wall_ns) / 1e9, True

    def signal(self, number: int, *, group: bool) -> None:
        """Have the leader, or its group, sent a signal while it lives."""
        with contextlib.suppress(OSError):
            self.socket.send(f"{'group' if group else 'leader'} {number}\n".encode())

    def close(self) -> None:
        """Let the keeper go; what is below it comes to us."""
        self.keeper.kill()
        self.keeper.wait()
        self.socket.close()
        if self.keeper.stdout is not None:
            self.keeper.stdout.close()


def _wait(
    run: _Run,
    signals: _Signals,
    *,
    on_block: Callable[[str], None],
    on_tick: Callable[[float], None],
    on_interrupt: Callable[[str], None],
    on_target: tuple[frozenset[str], Callable[[], None]] | None,
    grace_s: float,
    signal_group: bool,
) -> bool:
    """Pump output until the leader ends; True when the tree had to be killed."""
    pipe = run.output
    begun = ticked = time.monotonic()
    deadline: float | None = None
    passed_on = 0
    forced = False
    tail = b""
    open_pipe = True
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        selector.register(signals.wake_fd, selectors.EVENT_READ)
        selector.register(run.socket, selectors.EVENT_READ)
        while not run.over:
            if on_target is not None and time.monotonic() - begun > LOOKS_S:
                on_target = None
            selector.select(timeout=0.02 if on_target else 0.1 if forced else 1.0)
            if on_target is not None:
                helpers, tell = on_target
                if any(
                    pid != run.leader and name not in helpers for pid, name in run.tree.running()
                ):
                    on_target = None
                    tell()
            with contextlib.suppress(BlockingIOError):
                os.read(signals.wake_fd, 64)
            if open_pipe:
                tail, open_pipe = _pump(pipe, tail, on_block)
                if not open_pipe:
                    selector.unregister(pipe)
            run.hear()
            now = time.monotonic()
            if now - ticked >= 1.0:
                ticked = now
                if tail:  # a prompt or a half-drawn progress bar: show it now
                    on_block(tail.decode(errors="replace"))
                    tail = b""
                on_tick(now - begun)
            if len(signals.came) > passed_on and not forced:
                if passed_on == 0:
                    on_interrupt(signal.Signals(signals.came[0]).name)
                    run.signal(signals.came[0], group=signal_group)
                    deadline = now + grace_s
                else:
                    forced = True
                passed_on = len(signals.came)
            if deadline is not None and now > deadline:
                forced = True
            if forced and not run.over:
                run.tree.kill()
    # Whoever the target left behind may hold the pipe open for ever: take what is there, no more.
    if open_pipe:
        tail, _ = _pump(pipe, tail, on_block)
    if tail:
        on_block(tail.decode(errors="replace"))
    return forced


def _pump(pipe: int, tail: bytes, on_block: Callable[[str], None]) -> tuple[bytes, bool]:
    """Hand on whole lines; returns the unfinished rest and whether the pipe is still open."""
    for _ in range(_MOST_BYTES // 65536):
        try:
            chunk = os.read(pipe, 65536)
        except BlockingIOError:
            return tail, True
        if not chunk:
            return tail, False
        # A progress bar ends its lines with a carriage return; both ends are kept as they came.
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end:
            on_block((tail + chunk[:end]).decode(errors="replace"))
            tail = b""
        tail += chunk[end:]
        if len(tail) > 65536:
            on_block(tail.decode(errors="replace"))
            tail = b""
    return tail, True


def _one_by_one(text: str, on_output: Callable[[str], None]) -> None:
    """A block, piece by piece."""
    for piece in re.split(r"(?<=[\r\n])", text):
        if piece:
            on_output(piece)


def _clear(tree: _Tree, helpers: Sequence[str], *, everything: bool) -> tuple[tuple[int, str], ...]:
    """Wait for the profiler's helpers and, with `everything`, stop whatever still runs."""
    deadline = time.monotonic() + KILL_AFTER_S
    asked = False
    while True:
        running = tree.running()
        target = [(pid, name) for pid, name in running if name not in helpers]
        if not running or (target and not everything):
            # A target's daemon keeps the helpers that carry its output; they leave with it.
            return tuple(target)
        if everything and not asked:
            asked = True
            send([pid for pid, _ in target], signal.SIGTERM)
        if time.monotonic() > deadline:
            tree.kill()
        time.sleep(0.02)


@dataclass(frozen=True)
class _Tree:
    """Everything below this process that came after `before`, but for the `keeper`."""

    before: frozenset[int]
    keeper: int

    def running(self) -> list[tuple[int, str]]:
        """(pid, name) of the live processes; buries dead orphans that came to us."""
        table = process_table()
        me = os.getpid()
        found: list[tuple[int, str]] = []
        for pid in below(table, me, self.before):
            parent, name, state = table[pid]
            if pid == self.keeper:
                continue
            if state not in "ZX":
                found.append((pid, name))
            elif parent == me:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        return found

    def kill(self) -> None:
        """SIGKILL to every process of the tree."""
        send([pid for pid, _ in self.running()], signal.SIGKILL)

    def end(self) -> None:
        """The same until nothing is left, for two seconds at most."""
        deadline = time.monotonic() + KILL_AFTER_S
        while self.running() and time.monotonic() < deadline:
            self.kill()
            time.sleep(0.01)


def _children(parent: int) -> list[int]:
    return [pid for pid, (ppid, _, _) in process_table().items() if ppid == parent]


@contextlib.contextmanager
def _reaping_orphans() -> Iterator[None]:
    adopt_orphans()
    try:
        yield
    finally:
        adopt_orphans(on=False)


@contextlib.contextmanager
def _catching_signals() -> Iterator[_Signals]:
    """Note stop signals instead of dying; outside the main thread Python allows no handlers."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signals = _Signals([], reader)

    def note(number: int, frame: object) -> None:
        signals.came.append(number)
        with contextlib.suppress(BlockingIOError):
            os.write(writer, b"!")

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                handlers[number] = signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
