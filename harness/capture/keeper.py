"""Stands between the harness and what it starts, so that nothing outlives a harness that is killed.

A program of its own, run as `python -I -S keeper.py FD OWNER ARGV...`: it starts ARGV in a session
of its own, adopts whatever that leaves behind, and tells the harness over the socket FD how it
ended. When the process OWNER is gone, it ends everything below itself. It imports no more than it
needs, because it starts before every recording.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
KILL_AFTER_S = 2.0
"""How long processes get between SIGTERM and SIGKILL."""

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Table = dict[int, tuple[int, str, str]]


def process_table() -> Table:
    """pid -> (parent, name, state), from /proc; empty where there is none."""
    table: Table = {}
    try:
        entries = os.listdir("/proc")
    except OSError:
        return table
    for entry in entries:
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # it ended meanwhile
        # The name stands in parentheses and may itself hold any character.
        head, _, rest = text.rpartition(")")
        name = head.partition(" (")[2]
        state, parent = rest.split()[:2]
        table[int(entry)] = (int(parent), name, state)
    return table


def below(table: Table, top: int, leave_out: frozenset[int] = frozenset()) -> list[int]:
    """Every process under `top`, dead ones included, without the children in `leave_out`."""
    found: list[int] = []
    level = [pid for pid, (parent, _, _) in table.items() if parent == top and pid not in leave_out]
    while level:
        found += level
        above = set(level)
        level = [pid for pid, (parent, _, _) in table.items() if parent in above]
    return found


def adopt_orphans(*, on: bool = True) -> None:
    """Make this process, or no longer, the parent of descendants whose own parent ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def send(pids: list[int], number: int) -> None:
    """Send a signal to each; those that ended meanwhile are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class _Keeper:
    def __init__(self, told: int, owner: int, argv: list[str]) -> None:
        self._told = told
        self._owner = owner
        self._argv = argv
        self._leader = 0
        self._begun_ns = 0
        self._asked = b""

    def run(self) -> None:
        """Start, report, and stay until the harness says go or is gone."""
        wake, waker = os.pipe()
        for fd in (wake, waker):
            os.set_blocking(fd, False)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)  # it ends when the harness does
        signal.set_wakeup_fd(waker)
        adopt_orphans()
        self._start()
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(self._told, select.POLLIN)
        with contextlib.suppress(AttributeError, OSError):
            poll.register(os.pidfd_open(self._owner), select.POLLIN)
        while os.getppid() == self._owner:
            poll.poll(1000)
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            self._bury()
            if not self._obey():
                break
        self._end_everything()

    def _start(self) -> None:
        """Run ARGV; says its pid, or the error number that exec gave."""
        failed, failing = os.pipe()
        self._begun_ns = time.monotonic_ns()
        self._leader = os.fork()
        if self._leader == 0:
            try:
                os.setsid()
                if _LIBC is not None:  # a second line, should this keeper be killed
                    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
                for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, programs do not
                    signal.signal(getattr(signal, name), signal.SIG_DFL)
                os.execvp(self._argv[0], self._argv)
            except OSError as error:
                os.write(failing, str(error.errno).encode())
            finally:
                os._exit(127)
        os.close(failing)
        refused = os.read(failed, 16).decode()
        os.close(failed)
        self._say(f"failed {refused}" if refused else f"started {self._leader}")
        # The target's own output pipe and terminal are nothing to us.
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._told, f"{text}\n".encode())

    def _bury(self) -> None:
        """Wait for every child that ended, the leader and those that came to us."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._leader:
                    self._leader = 0
                    self._say(f"ended {status} {time.monotonic_ns() - self._begun_ns}")

    def _obey(self) -> bool:
        """Carry out what the harness asks; False when it is gone."""
        try:
            asked = os.read(self._told, 4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        *lines, self._asked = (self._asked + asked).split(b"\n")
        for line in lines:
            word, number = line.split()
            if self._leader:
                with contextlib.suppress(ProcessLookupError):
                    (os.killpg if word == b"group" else os.kill)(self._leader, int(number))
        return bool(asked)

    def _end_everything(self) -> None:
        """SIGTERM to all that is below, and SIGKILL to what does not go by itself."""
        me = os.getpid()
        send(below(process_table(), me), signal.SIGTERM)
        end = time.monotonic() + KILL_AFTER_S
        while True:
            self._bury()
            left = below(process_table(), me)
            if not left:
                return
            if time.monotonic() > end:
                send(left, signal.SIGKILL)
            time.sleep(0.02)


def main() -> None:
    """The arguments are the module's."""
    told = int(sys.argv[1])
    os.set_inheritable(told, False)
    os.set_blocking(told, False)
    _Keeper(told, int(sys.argv[2]), sys.argv[3:]).run()


if __name__ == "__main__":
    main()
