"""Is NAME.sqlite what was asked for? Prints one line that begins with ok or failed.

    python first_check.py NAME "steps A:B" | "settled STEPS" | "lasted SECONDS" | any

Every recording has to be complete, and to hold kernels; for `any`, GPU work of any sort is enough.
"""

import json
import pathlib
import sqlite3
import sys

STEPS = """
    SELECT COALESCE(e.text, s.value) AS name
    FROM NVTX_EVENTS e LEFT JOIN StringIds s ON s.id = e.textId
    WHERE e.eventType = 59 AND name LIKE 'train_step %' ORDER BY e.start
"""

name, check = sys.argv[1], sys.argv[2]
kind, _, value = check.partition(" ")
base = sqlite3.connect(f"{name}.sqlite")
manifest = json.loads(pathlib.Path(f"{name}.json").read_text())
completeness = manifest["capture"]["completeness"]
tables = {table for (table,) in base.execute("SELECT name FROM sqlite_master")}
steps = [text for (text,) in base.execute(STEPS)] if "NVTX_EVENTS" in tables else []
work = ["KERNEL", "MEMCPY", "MEMSET"] if kind == "any" else ["KERNEL"]
rows = [
    row
    for table in (f"CUPTI_ACTIVITY_KIND_{one}" for one in work)
    if table in tables
    for row in base.execute(f"SELECT start, end FROM {table}")
]
lasted = (max(end for _, end in rows) - min(start for start, _ in rows)) / 1e9 if rows else 0.0
problems = []
if completeness["complete"] is not True:
    problems.append(f"incomplete: {completeness}")
if not rows:
    problems.append("no GPU work")
if kind == "steps":
    a, b = map(int, value.split(":"))
    if steps != [f"train_step {number}" for number in range(a, b)]:
        problems.append(f"steps {steps[:1]} to {steps[-1:]}, {len(steps)} of them")
elif kind == "settled":
    if len(steps) < int(value):
        problems.append("too few steps")
    if not 0.5 < lasted < 5:
        problems.append("the window is no second")
elif kind == "lasted" and not 0.8 * float(value) < lasted < 1.5 * float(value):
    problems.append("the window is not as long as asked")
opened = [note for note in manifest["notes"] if "window" in note]
counted = "operations" if kind == "any" else "kernels"
facts = f"{name}: {len(steps)} steps, {len(rows)} {counted} in {lasted:.3f} s; {opened}"
print(("failed " if problems else "ok ") + facts + "".join(f"; {problem}" for problem in problems))
sys.exit(bool(problems))
