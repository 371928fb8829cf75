#!/usr/bin/env python
"""What the harness and other tools say of loops with one planted fault; the tables of a page.

    python benchmarks/planted_vs_peers.py --write docs/planted.md
    python benchmarks/planted_vs_peers.py --ask --nsys-ai A/bin/nsys-ai --hta-python B/bin/python

The loops are those of tests/planted, each recorded with and without its fault. `harness gaps` is
run on all of them. With --ask the peers are too (planted_peers.py says how), and what they say is
kept in tests/planted/peers.json; without it, what is kept there is judged. All are judged by the
rule of planted_judge.py. Without --write the tables are printed.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from page import written
from planted_judge import Finding, Said, Verdict, judge
from planted_peers import ask_hta, ask_nsys, ask_nsys_ai, without_last_wait

PLANTED = Path(__file__).resolve().parent.parent / "tests" / "planted"
PEERS = PLANTED / "peers.json"
READS = {"nsys rules": "shim", "nsys-ai": "shim", "HTA": "torch"}
SUFFIX = {"shim": "sqlite", "torch": "json"}
AT_ONCE = 16  # nsys-ai spends its time asking the network for an extension, in vain

Loop = dict[str, Any]


class Asked(Struct):
    """What the peers said: tool to name of a recording (`item-fault`) to what was said."""

    date: str
    versions: dict[str, str]
    said: dict[str, dict[str, Said]]


class Ours(Struct, frozen=True):
    """What `harness gaps` answers. `step_us` is the step that is left without what it names, and
    `gain` the sentence that tells of it."""

    kind: str
    where: str
    step_us: float | None
    gain: str
    said: Said


def loops() -> list[Loop]:
    found: list[Loop] = json.loads((PLANTED / "corpus.json").read_text())["loops"]
    return found


def unpacked(folder: Path) -> None:
    """The recordings, as every tool reads them."""
    for packed in sorted((PLANTED / "data").glob("*.gz")):
        if packed.name.endswith(".sqlite.gz"):
            (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        else:
            shutil.copy(packed, folder)


def ask_ours(traces: list[Path]) -> dict[str, Ours]:
    """By recording; one call of `harness gaps` takes them all."""
    command = [sys.executable, "-m", "harness", "gaps", *map(str, traces)]
    command += ["--step", "train_step *", "--json", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"planted_vs_peers: harness gaps: {done.stderr.strip()}")
    answers = json.loads(done.stdout)["traces"]
    return {one["label"]: _answered(one) for one in answers}


def _answered(trace: dict[str, Any]) -> Ours:
    answer, gains = trace["answer"], trace["gains"][0]
    rung = next((r for r in gains["rungs"] if r["kind"] == answer["kind"]), None)
    where, step_ns = (rung["where"], rung["step_ns"]) if rung else ("", None)
    if gains["stalls"] is not None and answer["kind"] == "stalled-step":
        step_ns = gains["stalls"]["without_ns"]
    *why, remedy, gain = answer["text"][1:]  # after the idle share; a gain or a figure at the end
    findings = [Finding(answer["kind"], " ".join(why), remedy)]
    if answer["kind"] == "gpu":
        findings = []
    return Ours(answer["kind"], where, step_ns and step_ns / 1000, gain, Said(0, findings))


def ask_peers(folder: Path, nsys_ai: str, hta_python: str) -> Asked:
    nsys = shutil.which("nsys")
    if nsys is None:
        raise SystemExit("planted_vs_peers: nsys is not on PATH")
    exports, traces = sorted(folder.glob("*.sqlite")), sorted(folder.glob("*.json.gz"))
    names = [path.stem for path in exports]
    windows = [without_last_wait(path) for path in exports]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rules = list(pool.map(ask_nsys, repeat(nsys), exports, windows))
        print("nsys's rules are through", file=sys.stderr)
        diagnoses = list(pool.map(ask_nsys_ai, repeat(nsys_ai), exports, windows))
        print("nsys-ai is through", file=sys.stderr)
    by_rule = dict(zip(names, rules, strict=True))
    by_ai = dict(zip(names, diagnoses, strict=True))
    by_hta = {
        name.removesuffix(".json.gz"): said for name, said in ask_hta(hta_python, traces).items()
    }
    python_of_ai = Path(nsys_ai).parent / "python"
    versions = {
        "nsys rules": _version([nsys, "--version"]),
        "nsys-ai": _package(str(python_of_ai), "nsys-ai"),
        "HTA": _package(hta_python, "HolisticTraceAnalysis"),
    }
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Asked(today, versions, {"nsys rules": by_rule, "nsys-ai": by_ai, "HTA": by_hta})


def _version(command: list[str]) -> str:
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.split()[-1].partition("-")[0]


def _package(python: str, name: str) -> str:
    return _version([python, "-c", f"import importlib.metadata as m; print(m.version({name!r}))"])


def places(loop: Loop) -> list[str]:
    site = loop["site"] or {}
    return [place for place in (loop["range"], site.get("function")) if place]


def told(verdict: Verdict) -> str:
    """A cell of the table."""
    beside = f"; beside it: {', '.join(verdict.beside)}" if verdict.beside else ""
    if verdict.level == "names":
        return f"**names** {', '.join(verdict.by)}{beside}"
    if verdict.level == "nothing":
        return "nothing"
    return f"{verdict.level}: {', '.join(verdict.by)}{beside}"


def faults_table(recorder: str, ours: dict[str, Ours], peers: Asked) -> list[str]:
    """Every loop with its fault, as one recorder saw it."""
    tools = [tool for tool, reads in READS.items() if reads == recorder]
    lines = [
        "| loop: planted | gain, ms | harness says | step without it, ms: predicted, measured "
        f"| {' | '.join(tools)} |",
        "|---|---|---|---|" + "---|" * len(tools),
    ]
    levels: dict[str, list[str]] = {tool: [] for tool in ("harness", *tools)}
    for loop in loops():
        if loop["recorder"] != recorder or "fault" not in loop:
            continue
        name = f"{loop['loop']}-fault"
        answer = ours[name]
        verdicts = {"harness": judge(answer.said, loop["kind"], places(loop))}
        for tool in tools:
            verdicts[tool] = judge(peers.said[tool][name], loop["kind"], places(loop))
        for tool, verdict in verdicts.items():
            levels[tool].append(verdict.level)
        cells = [
            f"{loop['loop']}: {loop['kind']}",
            f"{loop['gain_us']['recorded'] / 1000:.2f}",
            answered(answer, verdicts["harness"]),
            predicted(answer, loop["clean"]["recorded"]["mean_us"]),
            *(told(verdicts[tool]) + headroom(peers.said[tool][name], loop) for tool in tools),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for tool, found in levels.items():
        counts = ", ".join(f"{level} {found.count(level)}" for level in sorted(set(found)))
        lines.append(f"- {tool}, of {len(found)}: {counts}")
    return lines


def headroom(said: Said, loop: Loop) -> str:
    if not said.headroom_ms:
        return ""
    return f"; headroom {said.headroom_ms / loop['fault']['steps']:.2f} ms a step"


def answered(ours: Ours, verdict: Verdict) -> str:
    level = "**names**" if verdict.level == "names" else verdict.level
    by = f" {', '.join(verdict.by)}" if verdict.by else ""
    return f"{level}{by} (`{ours.kind}`)"


def predicted(ours: Ours, clean_us: float) -> str:
    if ours.step_us is None:
        return f"none, {clean_us / 1000:.2f}"
    off = ours.step_us / clean_us - 1
    return f"{ours.step_us / 1000:.2f}, {clean_us / 1000:.2f} ({off:+.1%})"


def clean_table(ours: dict[str, dict[str, Ours]], peers: Asked) -> list[str]:
    """What is said of loops in which nothing is wrong."""
    lines = ["| tool | files | says nothing | says something |", "|---|---|---|---|"]
    for recorder, suffix in SUFFIX.items():
        names = [loop["loop"] for loop in loops() if loop["recorder"] == recorder]
        tools = {"harness": {name: one.said for name, one in ours[recorder].items()}}
        tools |= {tool: peers.said[tool] for tool, reads in READS.items() if reads == recorder}
        for tool, said in tools.items():
            loud: dict[str, list[str]] = {}
            for name in names:
                verdict = judge(said[f"{name}-clean"], "gpu bound", ())
                if verdict.level != "nothing":
                    loud.setdefault(told(verdict), []).append(name)
            quiet = len(names) - sum(map(len, loud.values()))
            says = "; ".join(f"{what} ({', '.join(found)})" for what, found in loud.items())
            lines.append(f"| {tool} | {suffix} | {quiet} of {len(names)} | {says} |")
    return lines


def sections(ours: dict[str, dict[str, Ours]], peers: Asked) -> dict[str, str]:
    """Name of a place in the page to its text."""
    versions = ", ".join(f"{tool} {version}" for tool, version in peers.versions.items())
    return {
        "sqlite": "\n".join(faults_table("shim", ours["shim"], peers)),
        "json": "\n".join(faults_table("torch", ours["torch"], peers)),
        "clean": "\n".join(clean_table(ours, peers)),
        "versions": f"Asked on {peers.date}: {versions}.",
    }


def ask_all(folder: Path) -> dict[str, dict[str, Ours]]:
    """What the harness says, by recorder and recording."""
    return {
        recorder: ask_ours(sorted(folder.glob(f"*.{suffix}*")))
        for recorder, suffix in SUFFIX.items()
    }


def kept() -> Asked:
    return msgspec.json.decode(PEERS.read_bytes(), type=Asked)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ask", action="store_true", help="run the peers, and keep what they say")
    parser.add_argument("--nsys-ai", help="program, in an environment of its own")
    parser.add_argument("--hta-python", help="python of an environment with HTA")
    parser.add_argument("--write", type=Path, help="page with the places for the tables")
    options = parser.parse_args()
    if options.ask and not (options.nsys_ai and options.hta_python):
        parser.error("--ask needs --nsys-ai and --hta-python")
    with tempfile.TemporaryDirectory(prefix="harness-planted-") as scratch:
        folder = Path(scratch)
        unpacked(folder)
        ours = ask_all(folder)
        if options.ask:
            peers = ask_peers(folder, options.nsys_ai, options.hta_python)
            PEERS.write_bytes(msgspec.json.format(msgspec.json.encode(peers), indent=1) + b"\n")
    texts = sections(ours, kept())
    if options.write:
        options.write.write_text(written(options.write.read_text(), texts))
    else:
        print("\n\n".join(texts.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
