"""Where the elements of a JSON array end, without decoding them."""

from __future__ import annotations

import numpy as np

_DEPTH = np.zeros(256, np.int8)
_DEPTH[list(b"{[")] = 1
_DEPTH[list(b"}]")] = -1
_QUOTE, _BACKSLASH = ord('"'), ord("\\")


def scan(data: bytes) -> tuple[int, int, int]:
    """(end of the last whole element of the array that `data` is inside of, its `]` or -1, depth).

    Quotes decide what is a string, braces and brackets outside strings the depth. O(n).
    """
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    slashes = np.flatnonzero(text == _BACKSLASH)
    if len(slashes):
        # A quote after an odd number of backslashes does not end its string.
        first = np.concatenate(([True], np.diff(slashes) > 1))
        run_start = np.maximum.accumulate(np.where(first, np.arange(len(slashes)), 0))
        at = np.searchsorted(slashes, quotes) - 1
        behind = (at >= 0) & (slashes[np.maximum(at, 0)] == quotes - 1)
        length = at - run_start[np.maximum(at, 0)] + 1
        quotes = quotes[~(behind & (length % 2 == 1))]
    change = _DEPTH[text]
    places = np.flatnonzero(change)
    places = places[np.searchsorted(quotes, places) % 2 == 0]
    change = change[places]
    depth = np.cumsum(change, dtype=np.int64)
    closing = np.flatnonzero(depth < 0)
    end = int(places[closing[0]]) if len(closing) else -1
    if end >= 0:
        depth, change = depth[: closing[0]], change[: closing[0]]
    whole = np.flatnonzero((depth == 0) & (change < 0))
    cut = int(places[whole[-1]]) + 1 if len(whole) else 0
    return cut, end, int(depth.max(initial=0))
