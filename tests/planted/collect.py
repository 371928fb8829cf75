"""Make the corpus from what record.py brought: `python collect.py FOLDER [--force]`

Of each loop and recorder one pair is taken, fault and clean: the two runs in which the machine was
most alike, by how fast it was just before (Python, launches, products) and how even the steps were,
never by what the fault costs. Writes data/*.gz, data/runs.json (the figures of all runs) and
corpus.json, and prints a table.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import math
import shutil
import statistics
import sys
import tarfile
from pathlib import Path
from typing import Any

from loops import LOOPS, Planted

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
MOST_BYTES, MOST_IN_ALL = 400_000, 10_000_000
SMALL_SHARE = 0.2
"""A fault that costs less of its step than this is told."""

Run = dict[str, Any]


def complete(run: Run) -> bool:
    if run["recorder"] == "shim":
        return bool(run.get("completeness", {}).get("complete"))
    return run.get("lost_launches") == 0


def unevenness(run: Run) -> float:
    """Distance of the quartiles of the recorded steps, as a share of their median."""
    low, middle, high = statistics.quantiles(run["recorded"]["steps_us"][1:-1], n=4)
    return (high - low) / middle


def distance(fault: Run, clean: Run) -> float:
    """How unlike the machine was in two runs; 0 is alike and even."""
    pairs = [(fault["probes_us"][name], clean["probes_us"][name]) for name in clean["probes_us"]]
    pairs.append((fault["python_after_us"], clean["python_after_us"]))
    unlike = sum(abs(math.log(a / b)) for a, b in pairs)
    return slowed(clean) + unlike + unevenness(fault) + unevenness(clean)


def slowed(clean: Run) -> float:
    """How much the recorder slowed a clean loop, by more than a twentieth: then it is clean no
    longer, since its host does not keep up with the GPU."""
    times: float = clean["recorded"]["mean_us"] / clean["bare"]["mean_us"]
    return 10 * max(0.0, times - 1.05)


def chosen(runs: list[Run], planted: Planted) -> dict[str, Run]:
    """The run of each variant that is kept."""
    by = {name: [run for run in runs if run["variant"] == name] for name in planted.variants}
    by = {name: [run for run in of if complete(run)] or of for name, of in by.items()}
    if not planted.faulty:
        return {"clean": min(by["clean"], key=unevenness)}
    pair = min(itertools.product(by["fault"], by["clean"]), key=lambda pair: distance(*pair))
    return dict(zip(("fault", "clean"), pair, strict=True))


def site(planted: Planted) -> dict[str, Any] | None:
    """File, line and name of the function that does it."""
    if planted.function is None:
        return None
    loop = planted.loop()
    function = getattr(loop, planted.function, None)
    if function is None:
        function = getattr(sys.modules[loop.__module__], planted.function)
    code = inspect.unwrap(function).__code__
    file = Path(code.co_filename).resolve().relative_to(HERE)
    return {"file": str(file), "line": code.co_firstlineno, "function": planted.function}


def figures(run: Run) -> dict[str, Any]:
    told = {name: {k: run[name][k] for k in ("median_us", "mean_us", "host_mean_us")}
            for name in ("bare", "recorded")}  # fmt: skip
    return told | {"steps": len(run["recorded"]["steps_us"]), "complete": complete(run)}


def entry(name: str, recorder: str, pair: dict[str, Run]) -> dict[str, Any]:
    planted = LOOPS[name]
    ending = ".sqlite.gz" if recorder == "shim" else ".json.gz"
    found = {
        "loop": name, "recorder": recorder, "kind": planted.kind, "range": planted.range,
        "call": planted.call, "site": site(planted),
        "meaning": inspect.getdoc(planted.loop()),
    }  # fmt: skip
    for variant, run in pair.items():
        found[variant] = {"file": f"data/{name}-{variant}{ending}", **figures(run)}
    if "fault" in pair:
        found["gain_us"] = {
            block: round(pair["fault"][block]["mean_us"] - pair["clean"][block]["mean_us"], 1)
            for block in ("bare", "recorded")
        }
    return found


def row(found: dict[str, Any]) -> str:
    parts = [f"{found['loop']:20} {found['recorder']:6}"]
    for block in ("bare", "recorded"):
        clean = found["clean"][block]["mean_us"]
        if "fault" not in found:
            parts.append(f"{block} {clean:9,.0f}{'':16}")
            continue
        fault = found["fault"][block]["mean_us"]
        share = 1 - clean / fault
        mark = "" if share >= SMALL_SHARE else " SMALL"
        parts.append(f"{block} {fault:9,.0f} -> {clean:7,.0f} {share:5.0%}{mark}")
    if not all(found[name]["complete"] for name in ("fault", "clean") if name in found):
        parts.append("INCOMPLETE")
    return "  ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--force", action="store_true", help="replace the corpus that is there")
    parser.add_argument("--dry-run", action="store_true", help="take a dry run's, to try this out")
    options = parser.parse_args()
    brought = json.loads((options.folder / "planted.json").read_text())
    if brought["dry_run"] and not options.dry_run:
        parser.error("these were recorded by --dry-run")
    if DATA.exists() and not options.force:
        parser.error(f"{DATA} exists: --force replaces it")
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    loops, taken = [], set()
    for name, planted in LOOPS.items():
        for recorder in ("shim", "torch"):
            runs = [r for r in brought["runs"] if (r["loop"], r["recorder"]) == (name, recorder)]
            if {run["variant"] for run in runs} != set(planted.variants):
                print(f"{name} {recorder}: not recorded")
                continue
            pair = chosen(runs, planted)
            found = entry(name, recorder, pair)
            loops.append(found)
            print(row(found))
            for variant, run in pair.items():
                tarball = options.folder / f"planted-{recorder}-{run['round']}.tar"
                with tarfile.open(tarball) as tar:
                    packed = tar.extractfile(run["file"])
                    assert packed is not None
                    (HERE / found[variant]["file"]).write_bytes(packed.read())
                taken.add(run["file"])
    machine = {key: brought["runs"][0][key] for key in ("gpu", "torch")}
    write(HERE / "corpus.json", {**machine, "loops": loops})
    told = ("loop", "variant", "recorder", "round", "probes_us", "python_after_us")
    write(DATA / "runs.json", [
        {key: run[key] for key in told} | figures(run) | {"taken": run["file"] in taken}
        for run in brought["runs"]
    ])  # fmt: skip
    sizes = {path.name: path.stat().st_size for path in DATA.iterdir()}
    large = [f"{name}: {size:,} bytes" for name, size in sizes.items() if size > MOST_BYTES]
    print(f"{len(sizes)} files, {sum(sizes.values()):,} bytes", *large, sep="\n")
    return 1 if large or sum(sizes.values()) > MOST_IN_ALL else 0


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
