"""What a recording is called: templates with %q{VAR}, ranks, and names a file can have."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

from ..analysis.model.launchers import rank_variable
from .errors import BadName

_FIELD = re.compile(r"%(?:q\{([^}]*)\}|.?)")
_LONGEST = 180  # bytes: leaves room for suffixes and temporary names within 255


def expand(template: str, env: Mapping[str, str]) -> str:
    """Fill in `%q{VAR}` (an environment variable), `%h` (this host) and `%%`, as nsys does.

    Unlike nsys, a variable that is not set is a UsageError: its literal name in a file name would
    make every rank write into the same file.
    """

    def fill(found: re.Match[str]) -> str:
        text = found[0]
        if text == "%%":
            return "%"
        if text == "%h":
            return socket.gethostname().partition(".")[0]
        if found[1] is not None:
            if found[1] not in env:
                raise BadName(
                    f"--name has {text}, but {found[1]} is not set",
                    remedy="start harness under the launcher that sets it, or leave it out",
                )
            return env[found[1]]
        raise BadName(
            f"--name has {text!r}", remedy="known are %q{VARIABLE}, %h (host) and %% (a percent)"
        )

    return _FIELD.sub(fill, template)


def pattern(template: str) -> str:
    """What `expand` makes of `template` on any host and in any environment, `*` for each field."""
    return _FIELD.sub(lambda found: "%" if found[0] == "%%" else "*", template)


def rank(env: Mapping[str, str]) -> int | None:
    """This process's rank among several, from its launcher's variables; None where it is alone."""
    found = rank_variable(env)
    return found[1] if found else None


def checked(name: str) -> str:
    """`name` where it can be a file's; UsageError says what is wrong with it."""
    wrong = None
    if not name.strip():
        wrong = "is empty"
    elif "/" in name:
        wrong = "has a slash; use --output-dir for the folder"
    elif not name.isprintable():
        wrong = "has a control character"
    elif name[0] in "-.":
        wrong = f"begins with {name[0]!r}"
    elif len(name.encode(errors="surrogateescape")) > _LONGEST:
        wrong = f"is longer than {_LONGEST} bytes"
    if wrong:
        raise BadName(f"the name {name[:60]!r} {wrong}")
    return name


def slug(text: str) -> str:
    """`text` as part of a file name: letters, digits, dots, dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "recording"
