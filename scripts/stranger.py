#!/usr/bin/env python
"""Follow the README as a stranger: a fresh clone, an empty home and cache, no environment.

`make demo`, then the commands that the README shows, in the clone; and `pip install .` alone into
an environment of its own, which must read traces without torch. Takes as long as pip does.

    python scripts/stranger.py            # all of it
    python scripts/stranger.py --light    # only `pip install .`, with packages that are here
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("PIP_", "SSL_", "REQUESTS_")
"""How this machine reaches packages is its own; nothing else of the environment is kept."""
NOT_SHOWN = re.compile(r"^\.\.\.$", re.MULTILINE)


def main() -> int:
    light = sys.argv[1:] == ["--light"]
    if sys.argv[1:] and not light:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="stranger-") as folder:
        desk = Desk(Path(folder))
        if not light:
            desk.run("make", "demo", f"PYTHON={python()}", says="demo/report.html")
            desk.read_traces(desk.clone / ".venv" / "bin" / "harness")
        desk.read_traces(desk.install(light))
    print("a stranger gets there")
    return 0


def python() -> str:
    """The interpreter that this environment was made from: a stranger has no environment yet."""
    return getattr(sys, "_base_executable", None) or sys.executable


class Desk:
    """A clone, a home with nothing in it, and what is typed there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone = folder, folder / "harness"
        self.home = folder / "home"
        self.home.mkdir()
        self.env = {key: value for key, value in os.environ.items() if key.startswith(KEPT)}
        self.env |= {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        self.env["XDG_CACHE_HOME"] = str(self.home / ".cache")
        self.env["TMPDIR"] = str(folder)
        subprocess.run(
            ["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(self.clone)], check=True
        )

    def run(self, *words: object, says: str) -> str:
        """Run in the clone; ends this program where it fails or does not say what it should.

        A line of three dots in `says` stands for output that is not shown.
        """
        shown = " ".join(
            Path(str(word)).name if n == 0 else str(word) for n, word in enumerate(words)
        )
        print(f"$ {shown}", flush=True)
        begun = time.monotonic()
        done = subprocess.run(
            list(map(str, words)), cwd=self.clone, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        missing = next((part for part in NOT_SHOWN.split(says) if part not in done.stdout), None)
        if done.returncode or missing is not None:
            print(done.stdout, file=sys.stderr)
            code = done.returncode
            why = f"ended with code {code}" if code else f"no {missing!r} in it"
            raise SystemExit(f"stranger: {shown}: {why}")
        print(f"  {time.monotonic() - begun:.0f} s", flush=True)
        return done.stdout

    def install(self, light: bool) -> Path:
        """`pip install .` into an environment of its own; returns its `harness`."""
        place = self.folder / "alone"
        target = place / "bin" / "python"
        self.run(python(), "-m", "venv", *(["--without-pip"] if light else []), place, says="")
        pip = [sys.executable if light else target, "-m", "pip", "--disable-pip-version-check"]
        pip += [*(["--python", target] if light else []), "-q", "install"]
        if light:
            here = sysconfig.get_path("purelib", vars={"base": str(place)})
            paths = [path for path in sys.path if "site-packages" in path]
            # At the end of the path: what was just installed comes first.
            Path(here, "here.pth").write_text("\n".join(paths) + "\n")
            self.run(*pip, "--no-deps", ".", says="")
        else:
            self.run(*pip, "-c", "constraints.txt", ".", says="")
            check = "import importlib.util as u; print('torch', u.find_spec('torch'))"
            self.run(target, "-c", check, says="torch None")
        return place / "bin" / "harness"

    def read_traces(self, harness: Path) -> None:
        """What the README shows of `harness gaps`, and the commands that need no recording."""
        page = (self.clone / "README.md").read_text("utf-8")
        block = page.split("    $ harness gaps traces/h100-*.sqlite\n")[1]
        lines = itertools.takewhile(lambda line: line[:4] in ("", "    "), block.splitlines())
        shown = "\n".join(line.removeprefix("    ") for line in lines).strip()
        traces = sorted(map(str, (self.clone / "traces").glob("h100-*.sqlite")))
        names = [os.path.relpath(trace, self.clone) for trace in traces]
        work = self.folder / "elsewhere"  # not the clone: what is installed must suffice
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for name in names:
            shutil.copy(self.clone / name, work)
            shutil.copy((self.clone / name).with_suffix(".json"), work)
        clone, self.clone = self.clone, work
        names = [Path(name).name for name in names]
        self.run(harness, "gaps", *names, says=shown)
        self.run(harness, "report", *names, "-o", "report.html", says="report.html")
        self.run(harness, "show", names[0], "--step", "37", says="step 37")
        self.run(harness, "predict", "--from", names[0], says="hide sync")
        self.run(harness, "--help", says="profile")
        self.clone = clone


if __name__ == "__main__":
    sys.exit(main())
