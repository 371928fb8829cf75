"""Names come from files that anybody may have made: reading one takes the time that its size takes.

An expression that backtracks, or a loop that copies, takes the square of a name's length: a file of
2 kB, unpacked to a name of 2 MB, then takes hours. Every expression of the product is tried.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import harness
from harness.analysis.model.launchers import rank_in_path
from harness.analysis.model.schema import api_name
from harness.analysis.model.text import plain
from harness.analysis.readers.diagnostics import safe

LENGTH = 100_000
"""Characters: the square of it is a minute or more, and itself some milliseconds."""
MOST_S = 4.0


def expressions() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Every compiled expression that a module of the product keeps, once."""
    seen = set()
    for found in pkgutil.walk_packages(harness.__path__, "harness."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and value.pattern not in seen:
                seen.add(value.pattern)
                yield f"{found.name}.{name}", value


def hostile(pattern: str) -> set[str]:
    """What an expression is likely to repeat: its own words, and every common character."""
    words = set(re.findall(r"[A-Za-z]{2,}|[-_./:;#=<>()\[\]\"' \\]", pattern))
    return {
        *words,
        *(f"_{word}1" for word in words),
        *"a1 _-./:=<(\n\t\"'~#",
        "_v1",
        "a1",
        "1 ",
        "a=",
    }


def use(pattern: re.Pattern[str] | re.Pattern[bytes], text: str) -> None:
    """Look for it at the beginning, and everywhere."""
    subject: Any = text if isinstance(pattern.pattern, str) else text.encode()
    pattern.match(subject)
    for _ in pattern.finditer(subject):
        pass


def cpu_s(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


def test_every_expression_takes_linear_time() -> None:
    tried = 0
    for name, pattern in expressions():
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode()
        for word in sorted(hostile(text)):
            for end in ("", "!", "\n!"):
                name_of = word * (LENGTH // len(word)) + end
                subject = name_of if isinstance(pattern.pattern, str) else name_of.encode()
                took = cpu_s(
                    lambda p=pattern, s=subject: (p.match(s), sum(1 for _ in p.finditer(s)))
                )
                assert took < MOST_S, (name, text, word, end)
                tried += 1
    assert tried > 1000


@pytest.mark.parametrize("act", [api_name, safe, plain, rank_in_path], ids=lambda act: act.__name__)
@pytest.mark.parametrize(
    "word", ["_v1", "_v", "_ptsz", "_spt_v2", "_", " ", "a=", "/", "(", "_v1x", "\0", "rank", "r1-"]
)
def test_what_is_done_to_a_name_takes_linear_time(act: Callable[[str], object], word: str) -> None:
    text = word * (LENGTH // len(word))
    for end in ("", "!"):
        assert cpu_s(partial(act, text + end)) < MOST_S


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        ("cudaLaunchKernel_v7000", "cudaLaunchKernel"),
        ("cuMemcpyDtoHAsync_v2_ptsz", "cuMemcpyDtoHAsync"),
        ("cudaGraphLaunch_ptsz_v10000", "cudaGraphLaunch"),
        ("cuStreamWaitEvent_spt", "cuStreamWaitEvent"),
        ("my_vector", "my_vector"),
        ("a_v", "a_v"),
        ("a_v1b", "a_v1b"),
        ("_v1_v2", ""),
        ("a__v1", "a_"),
        ("", ""),
    ],
)
def test_the_suffixes_of_the_abi_are_no_part_of_a_name(recorded: str, name: str) -> None:
    assert api_name(recorded) == name
