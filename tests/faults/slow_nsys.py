"""An nsys in slow motion, so that a kill can hit every moment of it.

Like the real one it starts an agent in a session of its own, which outlives it, and a launcher
above the target; it writes the report and the export in pieces, so that half files exist.
"""

from __future__ import annotations

import sys
from pathlib import Path

HELP = Path(__file__).parents[1] / "capture" / "nsys_help" / "2022.4.txt"
REPORT = "report" * 50
PIECES = 10

_PROGRAM = r"""#!{python} -IS
import os, subprocess, sys, time
args = sys.argv[1:]
output = "".join(arg[9:] for arg in args if arg.startswith("--output=")).replace("%%", "%")

def slowly(path, data):
    try:
        with open(path, "wb", buffering=0) as file:
            for k in range({pieces}):
                piece = data[k * len(data) // {pieces} : (k + 1) * len(data) // {pieces}]
                if file.write(piece) < len(piece):
                    raise OSError
                time.sleep(0.02)
    except OSError:
        sys.exit("cut short")

if args == ["--version"]:
    print("NVIDIA Nsight Systems version 2022.4.2.1-df9881f")
elif args == ["profile", "--help"]:
    print(open({help!r}).read())
elif args[0] == "profile":
    target = args[args.index("--output=" + output.replace("%", "%%")) + 1 :]
    agent = os.fork()
    if agent == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(120)
        os._exit(0)
    os.waitpid(agent, 0)
    launcher = os.fork()
    if launcher == 0:
        os.setsid()
        code = subprocess.run(target).returncode
        os._exit(code if code >= 0 else 128 - code)
    code = os.waitstatus_to_exitcode(os.waitpid(launcher, 0)[1])
    slowly(output + ".nsys-rep", {report!r}.encode())
    print("Generated:\n    " + output + ".nsys-rep")
    sys.exit(code)
elif args[0] == "export":
    slowly(output, open({base!r}, "rb").read())
"""


def install(folder: Path, base: Path) -> str:
    """Write the program into `folder`; its exports are copies of `base`. Returns its path."""
    path = folder / "nsys"
    program = _PROGRAM.format(
        python=sys.executable, pieces=PIECES, help=str(HELP), report=REPORT, base=str(base)
    )
    path.write_text(program)
    path.chmod(0o755)
    return str(path)
