"""Inference engines whose ranges are steps by their names, prefill and decode told apart."""

from __future__ import annotations

import re

from msgspec import Struct

from ..question import StepPattern


class Kind(Struct, frozen=True):
    """One kind of an engine's steps. `option` is `--step` or `--step-regex`, with its `text`."""

    name: str
    option: str
    text: str

    @property
    def pattern(self) -> StepPattern:
        glob = self.option == "--step"
        return StepPattern.glob(self.text) if glob else StepPattern.of_regex(self.text)


class Engine(Struct, frozen=True):
    """An engine. Of its steps the first kind is what it does in steady state."""

    name: str
    begins: re.Pattern[str]
    """How the names of its steps begin, of every kind."""
    kinds: tuple[Kind, ...]


def _engine(name: str, begins: str, decode: tuple[str, str], prefill: tuple[str, str]) -> Engine:
    kinds = Kind("decode", *decode), Kind("prefill", *prefill)
    return Engine(name, re.compile(begins), kinds)


_TRT = r"^\[Executor\] _forward_step( \d+)?: "

ENGINES = (
    # execute_context_REQUESTS(TOKENS)_generation_REQUESTS(TOKENS): a batch with any context is one
    # of prefill.
    _engine(
        "vLLM",
        r"execute_context_\d+\(",
        ("--step", "execute_context_0(*"),
        ("--step", "execute_context_[!0]*"),
    ),
    # The same with detailed annotations: execute_TOKENS_context_REQUESTS(sq..sk..)_generation_...
    _engine(
        "vLLM",
        r"execute_\d+_context_\d+\(",
        ("--step", "execute_*_context_0(*"),
        ("--step", "execute_*_context_[!0]*"),
    ),
    # step[MODE bs=.. toks=..], MODE one of its ForwardMode.
    _engine(
        "SGLang",
        r"step\[(DECODE|EXTEND|MIXED|SPLIT_PREFILL|TARGET_VERIFY|VERIFY)\b",
        ("--step-regex", r"^step\[(DECODE|TARGET_VERIFY|VERIFY)\b"),
        ("--step-regex", r"^step\[(EXTEND|MIXED|SPLIT_PREFILL)\b"),
    ),
    _engine(
        "TensorRT-LLM",
        r"\[Executor\] _forward_step( \d+)?: \d+ ctx reqs",
        ("--step-regex", _TRT + "0 ctx reqs"),
        ("--step-regex", _TRT + r"[1-9]\d* ctx reqs"),
    ),
)


_BEGINS = "es["
"""With what the names of their steps begin: that most names do not is seen at once."""


def of_steady_state(pattern: str) -> bool:
    """Whether a pattern, as typed, finds what an engine does in steady state: its series go before
    all others."""
    return any(pattern == engine.kinds[0].text for engine in ENGINES)


def engine_of(name: str) -> Engine | None:
    """Whose step a range of this name is."""
    if name[:1] not in _BEGINS:
        return None
    return next((one for one in ENGINES if one.begins.match(name)), None)


def kind_of(engine: Engine, name: str) -> Kind | None:
    """Which kind of the engine's steps."""
    return next((one for one in engine.kinds if one.pattern.matches(name)), None)
