"""The rule by which what a tool says of a planted loop is judged. The same for all tools, ours too.

A tool says findings: a title, a text, and often a time. Three levels, the first that holds:

1. it **names** the fault: words of a finding are those of the planted kind (WORDS, ACCEPTED), or
   name its place, the range or the function;
2. it tells a **symptom**: idle time, gaps, low utilisation, a host that is waited for;
3. it is **wrong**, where other kinds are named, or says **nothing**.

It is meant to be generous: one finding of many is enough, wherever it stands in the list; kin
counts (a synchronising call for `.item()`); and what is said beside it is told, not punished. Three
things are left out. A finding whose own time is below PASSED_OVER of the recording: such a list is
of what exists, not of what is wrong. Which kernel is the heaviest: that is no fault. And a remedy
that names more than two kinds, since it would fit any loop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

PASSED_OVER = 0.05
KINDS_OF_A_REMEDY = 2

WORDS = {
    "synchronisation": r"\bsynchron(?:i[sz]|ous)|\bsync\b|cuda\w+Synchronize|explicit-sync",
    "device value read": r"\.item\(\)|\.cpu\(\)|device-value-read|reads a value",
    "polling": r"polling|cudaEventQuery",
    "host code": r"host[- ]code|Python code|between CUDA calls",
    "garbage collection": r"garbage|gc\.collect",
    "allocator": r"allocat|cudaFree|cudaMalloc\b|empty_cache",
    "launches": r"small[- ]kernel|eager[- ]launch|launch overhead|CUDA graph|kernel_wait",
    "compilation": r"compilation|recompil|\bJIT\b|inductor|dynamo",
    "module loading": r"cuModuleLoad|module[- ]load|lazy[- ]load",
    "threads": r"python-threads|threads that contend|interpreter lock|\bGIL\b",
    "lock": r"lock contention|waits? (?:for|in) a lock|pthread_mutex",
    "stalled step": r"stalled[- ]step|single steps?|slow iteration|step outlier",
    "input pipeline": r"DataLoader|data loading|input[- ]pipeline",
    "copies": r"pageable|pinned|pin_memory|\bH2D\b|memory transfer|\bmemcpy\b|copies|\bMEMORY\b",
    "stream dependency": r"stream[- ]dependenc|between streams|CPU: cudaStreamWaitEvent",
    "gaps in graphs": r"graph-gaps|gaps inside a CUDA graph",
}
"""Kind to the words that name it. A kind is told by its name here in the table."""

ACCEPTED = {
    "read of a device value": ("device value read", "synchronisation"),
    "explicit synchronise": ("synchronisation",),
    "polling": ("polling",),
    "python": ("host code",),
    "garbage collection": ("garbage collection",),
    "allocator": ("allocator",),
    "eager launches": ("launches",),
    "compilation": ("compilation",),
    "lazy loading": ("module loading", "compilation"),
    "python threads": ("threads",),
    "lock": ("lock", "threads"),
    "stalled step": ("stalled step",),
    "input pipeline": ("input pipeline",),
    "pageable copy": ("copies",),
    "copy in the compute stream": ("copies",),
    "stream dependency": ("stream dependency",),
    "gpu bound": (),
}
"""Kind in corpus.json to those of WORDS that name it."""

SYMPTOM = re.compile(r"\bidle|\bgaps?\b|bubble|host_wait|cpu-bound|utili[sz]ation|starv", re.I)
_PATTERNS = {kind: re.compile(words, re.IGNORECASE) for kind, words in WORDS.items()}


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that a tool says. `ms` is the time that it gives, in milliseconds of the whole
    recording, `remedy` what it advises."""

    title: str
    text: str = ""
    remedy: str = ""
    ms: float | None = None


class Said(Struct, frozen=True, omit_defaults=True):
    """All that a tool says of one file; `error` where it cannot read it."""

    window_ms: float
    findings: list[Finding]
    error: str = ""
    headroom_ms: float = 0
    """What it says could be won, of the whole recording; 0 where it says nothing of that."""


class Verdict(Struct, frozen=True):
    """`level` is `names`, `symptom`, `wrong`, `nothing` or `cannot read`. `by`: what decided.
    `beside`: kinds that it names and that were not planted."""

    level: str
    by: tuple[str, ...]
    beside: tuple[str, ...]


def kinds_of(finding: Finding) -> list[str]:
    """The kinds that a finding names, its remedy's included where these are few."""
    named = [k for k, words in _PATTERNS.items() if words.search(f"{finding.title} {finding.text}")]
    advised = [k for k, words in _PATTERNS.items() if words.search(finding.remedy)]
    if len(advised) <= KINDS_OF_A_REMEDY:
        named += [k for k in advised if k not in named]
    return named


def heard(said: Said) -> list[Finding]:
    """The findings that count."""
    least = PASSED_OVER * said.window_ms
    return [finding for finding in said.findings if finding.ms is None or finding.ms >= least]


def judge(said: Said, kind: str, places: Sequence[str]) -> Verdict:
    """What a tool says of a loop whose fault is `kind`, in one of `places` (range, function)."""
    if said.error:
        return Verdict("cannot read", (said.error,), ())
    counted = heard(said)
    named = list(dict.fromkeys(k for finding in counted for k in kinds_of(finding)))
    right = [k for k in named if k in ACCEPTED[kind]]
    beside = tuple(k for k in named if k not in ACCEPTED[kind])
    text = "\n".join(f"{finding.title} {finding.text}" for finding in counted)
    right += [f"`{p}`" for p in dict.fromkeys(places) if re.search(rf"\b{re.escape(p)}\b", text)]
    if right:
        return Verdict("names", tuple(right), beside)
    symptoms = [f.title for f in counted if SYMPTOM.search(f"{f.title} {f.text}")]
    if symptoms:
        return Verdict("symptom", tuple(symptoms[:1]), beside)
    return Verdict("wrong", beside, ()) if beside else Verdict("nothing", (), ())
