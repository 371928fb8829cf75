"""docs/troubleshooting.md: its entries are the messages that the sources can raise, all of them."""

from __future__ import annotations

from collections import Counter

from .messages import Message, messages, normal, verdict_codes, warnings
from .pages import first_cells, text

PAGE = text("docs/troubleshooting.md")
_CODES, _REST = PAGE.split("\n## No recorder\n")
_ERRORS, _WARNINGS = _REST.split("\n## Warnings and notes\n")
SAID = [normal(entry) for entry in first_cells(_WARNINGS)]
ENTRIES = [normal(entry) for entry in first_cells(_ERRORS)]

PASSED_ON = {
    "analysis/readers/arrow/tables.py": "what reading one table of a folder said",
    "analysis/readers/sqlite/database.py": "another file words it",
    "analysis/readers/sqlite/stream.py": "another file words it, as for whole tables",
    "harness/bench/pool.py": "what the measuring process said: a message of its own",
    "harness/capture/cupti/backend.py": "a refusal in the target, or which profiler is attached",
    "harness/capture/nsys/export.py": "the same message as before, with another class",
    "harness/commands/_trace_options.py": "what reading a size said",
    "harness/doctor.py": "what a recording said",
    "harness/exporting.py": "what reading the trace said",
    "harness/run/exports.py": "what looking for nsys said",
    "harness/gaps.py": "what reading the trace said",
    "harness/show.py": "what reading the trace said",
}
"""Where a whole message comes from elsewhere, and is raised there or by something else."""


def is_passed_on(message: Message) -> bool:
    return not any(letter.isalpha() for letter in message.words)


def test_every_message_has_an_entry() -> None:
    missing = [
        f"{m.where}: | `{m.words}` | why, and what to do |"
        for m in messages()
        if not is_passed_on(m) and m.words not in ENTRIES
    ]
    assert not missing, "\n".join(["add to docs/troubleshooting.md:", *missing])


def test_every_entry_has_a_message() -> None:
    raised = {message.words for message in messages()}
    assert not [entry for entry in ENTRIES if entry not in raised]


def test_every_warning_has_an_entry_and_every_entry_a_warning() -> None:
    said = {m.words: m for m in warnings() if not is_passed_on(m)}
    missing = [
        f"{m.where}: | `{m.words}` | why, and what to do |"
        for m in said.values()
        if m.words not in SAID
    ]
    assert not missing, "\n".join(["add to docs/troubleshooting.md:", *missing])
    assert not [entry for entry in SAID if entry not in said]


def test_no_entry_stands_twice() -> None:
    for entries in (ENTRIES, SAID):
        assert not [entry for entry, count in Counter(entries).items() if count > 1]


def test_messages_without_words_of_their_own_are_known() -> None:
    assert {m.where for m in messages() if m.words == "…"} <= set(PASSED_ON)


def test_every_verdict_has_an_entry_and_every_entry_a_verdict() -> None:
    assert sorted(first_cells(_CODES)) == sorted(verdict_codes())


def test_the_walk_sees_what_is_known_to_be_raised() -> None:
    """Were the walk blind, the tests above would pass on an empty page."""
    words = {message.words for message in messages()}
    assert {
        "… is truncated: … of … bytes",  # an f-string
        "…: table … cannot be read (…)",  # made by a function
        "nothing to measure",  # a constant
        "… needs --from",  # one of two wordings inside an f-string
        "CUPTI refused: …",  # unpacked from a tuple
        "the capture range begins inside a CUDA graph capture",  # through an attribute
        "internal error: …: …",  # the last line of defence
    } <= words
    assert len(words) > 250
    assert {
        "every row had ended after … steps: … of … recorded",  # given back
        "no --capture-range: the whole program is recorded",  # a note
        "the target left … process(es) running: …",  # in a tuple
        "unstable: standard deviation over … of the mean in … of … cells (…)",  # yielded
        "the nvtx package is not installed",  # a field
        "no summary of …: …",  # printed
    } <= {warning.words for warning in warnings()}
    assert len(verdict_codes()) > 15
