"""An nsys that misbehaves on request, for what the real one cannot be made to do at will.

The stand-in answers --version and --help like 2022.4 and runs the target; `FAKE_NSYS` names what it
then leaves. It is a separate program, as the real one is.
"""

from __future__ import annotations

import sys
from pathlib import Path

HELP = Path(__file__).parent / "nsys_help"

# What nsys 2022.4 prints when it looks for its helper's semaphore too early.
THROWN = """\
/build/agent/work/323c/QuadD/Common/ProcessWaiter/Src/POSIX/ProcessWaiterImpl.cpp(166): \
Throw in function QuadDCommon::ProcessWaiter::ProcessWaiterImpl::ProcessWaiterImpl\
(QuadDCommon::ProcessId, bool)
Dynamic exception type: boost::wrapexcept<QuadDCommon::SystemException>
std::exception::what: SystemException
[QuadDCommon::tag_errno_text*] = No such file or directory
[boost::errinfo_errno_*] = 2, "No such file or directory"
[boost::errinfo_api_function_*] = sem_open
"""

_PROGRAM = r"""#!{python}
import os, sqlite3, subprocess, sys, tempfile, time
mode = os.environ.get("FAKE_NSYS", "good")
args = sys.argv[1:]
if args == ["--version"]:
    print("NVIDIA Nsight Systems version {version}")
elif args == ["profile", "--help"]:
    print(open({help!r}).read())
elif args[0] == "profile":
    output = next(arg for arg in args if arg.startswith("--output="))[9:].replace("%%", "%")
    target = args[args.index(next(arg for arg in args if arg.startswith("--output="))) + 1:]
    if mode == "usage":
        print("unrecognised option '--wait'\n\nusage: nsys profile [<args>]")
        sys.exit(1)
    if mode.startswith("start-fails-"):
        with open(os.environ["FAKE_NSYS_STARTS"], "a+") as file:
            file.write("x")
            file.seek(0)
            if len(file.read()) <= int(mode[-1]):
                print({thrown!r})
                sys.exit(1)
    code = subprocess.run(target).returncode
    if mode.startswith("throws-"):
        elsewhere = os.path.join(tempfile.gettempdir(), "nsys-report-00ff.nsys-rep")
        print({{
            "throws-full": "Failed to create '/x/report.qdstrm': No space left on device",
            "throws-usage": "unrecognised option '--wait'\n\nusage: nsys profile [<args>]",
            "throws-format": "Unknown executable format",
            "throws-diverted": "Generated:\n    " + elsewhere,
            "throws-chatter": "Collecting data...",
        }}.get(mode, ""))
        if mode == "throws-diverted":
            open(elsewhere, "w").write("report")
        print({thrown!r}.replace("sem_open", "kill" if mode == "throws-other" else "sem_open"))
        sys.stdout.flush()
        if mode == "throws-killed":
            os.kill(os.getpid(), 9)
        sys.exit(1)
    if mode in ("throws", "reset"):
        print({thrown!r} if mode == "throws" else "Connection reset by peer")
        sys.exit(1)
    if mode == "none-at-first":
        with open(os.environ["FAKE_NSYS_STARTS"], "a+") as file:
            file.write("x")
            file.seek(0)
            mode = "none" if len(file.read()) == 1 else "good"
    if mode == "diverted":
        where = os.path.join(tempfile.gettempdir(), "nsys-report-00ff.nsys-rep")
    else:
        suffix = {{"raw": ".qdstrm", "none": None}}.get(mode, ".nsys-rep")
        where = output + suffix if suffix else None
    if mode == "diverted":
        print("Failed to create '" + output + ".nsys-rep': No space left on device")
    print("Generated:")
    if where:
        open(where, "w").write("" if mode == "empty" else "report")
        print("    " + where)
    sys.exit(code)
elif args[0] == "export":
    output = next(arg for arg in args if arg.startswith("--output="))[9:]
    if mode == "hangs":
        open(output, "w").write("half a file")
        open(os.environ["FAKE_NSYS_BEGAN"], "w").close()
        time.sleep(120)
    if mode == "export":
        print("Exporting 1 events: [=50%   ]Database is locked")
        sys.exit(1)
    base = sqlite3.connect(output)
    base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
    base.execute("CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, eventType INTEGER,"
                 " text TEXT, textId INTEGER, globalTid INTEGER)")
    if mode == "steps":
        base.executemany("INSERT INTO NVTX_EVENTS VALUES (?, ?, 59, ?, NULL, 1)",
                         [(i * 10, i * 10 + 5, "Step %d" % i) for i in range(3)])
    base.commit()
    base.close()
"""


def install(folder: Path, *, version: str = "2022.4.2.1-df9881f") -> str:
    """Write the stand-in into `folder`; returns its path, for --nsys."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nsys"
    path.write_text(
        _PROGRAM.format(
            python=sys.executable,
            version=version,
            help=str(HELP / "2022.4.txt"),
            thrown=THROWN,
        )
    )
    path.chmod(0o755)
    return str(path)
