"""Makes JSON of what almost is: names that Kineto did not escape, numbers that JSON does not know.

Used only where a piece of a file could not be decoded. Every pattern takes time in proportion to
its text.
"""

from __future__ import annotations

import re

_BARE = re.compile(rb'((?:"\s*:|[\[,])\s*)-?(?:inf|nan|Infinity|NaN)(?=\s*[,}\]])')
"""What older Kineto wrote for an occupancy that it could not compute; no JSON."""
_NO_ARGS = re.compile(rb'("args"\s*:\s*)\[\s*\]')
"""An empty list for no `args`, as some exporters write it."""
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb'|(u[dD][89a-fA-F][0-9a-fA-F]{2})|["\\/bfnrt]|u[0-9a-fA-F]{4})?'
)
"""An escape as JSON has it (a pair of surrogates, then half of one), else a backslash alone."""
_END = rb'(?=\s*(?:[:}\]]|,\s*["{\[\d-]))'
"""After a string: the end of what holds it, a value, or the next one."""
_PART = re.compile(rb'\\.|(?P<end>"%b)|(?P<inner>")' % _END, re.DOTALL)
"""What matters inside a string, which ends at the first quote with what comes after strings."""
_SPACES = bytes(range(32)), b" " * 32


def repaired(text: bytes) -> bytes:
    """The same with control characters as spaces, backslashes of their own doubled, and `NaN`,
    infinities and empty lists of `args` as null."""
    text = text.decode("utf-8", "replace").encode().translate(bytes.maketrans(*_SPACES))
    text = _ESCAPE.sub(_escaped, _BARE.sub(rb"\1null", text))
    return _NO_ARGS.sub(rb"\1null", text)


def quoted(text: bytes) -> bytes:
    """The same with quotes inside strings escaped: those that no punctuation follows."""
    # No expression for a whole string: where none ends, each quote would look at all that follows.
    parts: list[bytes] = []
    done, begin = 0, text.find(b'"')
    while begin >= 0:
        inner = []
        for found in _PART.finditer(text, begin + 1):
            if found.lastgroup == "end":
                break
            if found.lastgroup == "inner":
                inner.append(found.start())
        else:
            break
        for at in inner:
            parts += text[done:at], b"\\"
            done = at
        begin = text.find(b'"', found.end())
    return b"".join((*parts, text[done:]))


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return b"\\ufffd"  # half a pair of surrogates is no character
    return b"\\\\" if found[0] == b"\\" else found[0]
