"""Tables that a benchmark writes into a page: each lies between two comments that name it."""

from __future__ import annotations

from collections.abc import Mapping


def written(page: str, texts: Mapping[str, str]) -> str:
    """The page with these tables in their places."""
    for name, text in texts.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"the page has no place for {name!r}: {begin} {end}")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
