"""Whatever a command starts can be found and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.capture.processes import supervise

# A target that leaves a daemon in a session of its own, deaf to SIGTERM, and writes its pid.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(float(sys.argv[2]))
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(float(sys.argv[3]))
"""

# What harness profile does, as a process that can be sent signals.
SUPERVISOR = """
import sys
from harness.capture.processes import supervise
ended = supervise(sys.argv[2:], on_output=lambda text: print(text, end="", flush=True),
                  grace_s=float(sys.argv[1]))
print(ended.exit_code, ended.interrupted, ended.forced, len(ended.left_running), flush=True)
"""


def python(code: str, *args: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, args)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(42)", 42),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 11)", 139),
        ("import os; os.kill(os.getpid(), 35)", 163),  # a real-time signal without a name
    ],
)
def test_exit_code(code, expected):
    ended = supervise(python(code))
    assert (ended.exit_code, ended.interrupted, ended.left_running) == (expected, None, ())


def test_what_cannot_be_started():
    with pytest.raises(FileNotFoundError):
        supervise(["/no/such/program"])


def test_output_keeps_its_line_ends():
    pieces = []
    code = "import sys; sys.stdout.write('a\\n10%\\r20%\\rb\\n\\xff\\0end')"
    supervise(python(code), on_output=pieces.append, env=os.environ | {"PYTHONUTF8": "1"})
    assert pieces == ["a\n", "10%\r", "20%\r", "b\n", "ÿ\0end"]


def test_a_daemon_is_let_alone_and_does_not_hold_us_up(tmp_path):
    ended = supervise(python(DAEMON, tmp_path / "pid", 120, 0))
    pid = int((tmp_path / "pid").read_text())
    assert [found for found, _ in ended.left_running] == [pid]
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("helpers", "expected"), [(("sleep", "sh"), []), (("sh",), ["a target"])])
def test_a_target_is_seen_below_its_profiler_and_its_helpers(helpers, expected):
    seen: list[str] = []
    argv = ["sh", "-c", "sleep 0.6; true"]
    supervise(argv, helpers=helpers, on_target=lambda: seen.append("a target"))
    assert seen == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_daemon_too(tmp_path, number):
    argv = python(SUPERVISOR, 20, *python(DAEMON, tmp_path / "pid", 60, 60))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        said = process.communicate(timeout=20)[0].splitlines()[-1]
    code = 130 if number == signal.SIGINT else 143
    assert said.split()[1:] == [number.name, "False", "0"]
    assert int(said.split()[0]) in (code, 1)  # Python's own exit code for KeyboardInterrupt
    assert not alive(int((tmp_path / "pid").read_text()))


DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("grace_s", "signals"), [(0.3, 1), (60, 2)])
def test_a_deaf_leader_is_killed_after_its_grace_or_at_the_second_signal(grace_s, signals):
    argv = python(SUPERVISOR, grace_s, *python(DEAF))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        said = process.communicate(timeout=50)[0].split()  # the leader alone would live for 60 s
    assert said == ["137", "SIGINT", "True", "0"]


def test_the_command_ends_when_we_are_killed(tmp_path):
    code = "import os, time; open({!r}, 'w').write(str(os.getpid())); print('ready', flush=True); "
    code = code.format(str(tmp_path / "pid")) + "time.sleep(60)"
    argv = python(SUPERVISOR, 5, *python(code))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.kill()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def test_children_from_before_are_not_ours_to_stop():
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        supervise(python("pass"))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
