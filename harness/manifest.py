"""RunManifest: the JSON beside every recording that says how it was made.

The only writer and reader of these files. Of environment variables they hold the allocator's alone,
as the harness set them (`decode.allocator`).
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import CannotRead, ManifestInvalid
from .files import write_text

MANIFEST_VERSION = 1
ORIGINS = ("measured", "simulated", "synthetic")

_SECRET = re.compile(r"(?i)(^|[-_.])(token|secret|passw(or)?d|passwd|key|credentials?|auth)$")


@dataclasses.dataclass(frozen=True)
class RunManifest:
    """How one recording was made; `docs/recording.md` describes every key.

    `capture` holds at least `backend` and `graph_trace`. `strategy`, `choices`, `workload` and
    `seeds` are None or empty for a target of the user's own. `durations_s` are wall times in
    seconds. `left_out` lists, one line each, what could not be found out or was not recorded.
    """

    origin: str
    capture: Mapping[str, Any]
    exit_code: int
    argv: Sequence[str] = ()
    strategy: str | None = None
    label: str | None = None
    choices: Mapping[str, Any] | None = None
    workload: Mapping[str, Any] | None = None
    seeds: Mapping[str, int] = dataclasses.field(default_factory=dict)
    device: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    host: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    rank: int | None = None
    started_at: str | None = None
    durations_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    steps_recorded: int | None = None
    result: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    bare: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()
    manifest_version: int = MANIFEST_VERSION

    def to_json(self) -> str:
        """Readable JSON ending in a newline; the version comes first."""
        data = {"manifest_version": self.manifest_version, **dataclasses.asdict(self)}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write `path` whole or not at all; an existing file is replaced."""
        write_text(path, self.to_json(), force=True)


def read_manifest(path: Path) -> RunManifest:
    """Read a manifest of this or another version: unknown keys are passed over.

    Raises HarnessError, one line, where the file is no manifest.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"{path} is not JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict) or "manifest_version" not in data:
        raise ManifestInvalid(
            f"{path} is not a manifest of a recording: it has no manifest_version"
        )
    version = data["manifest_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ManifestInvalid(f"{path} has manifest_version {version!r}, a number was expected")
    known = {}
    for field in dataclasses.fields(RunManifest):
        if field.name in data:
            known[field.name] = _checked(path, field.name, data[field.name])
    for name in ("origin", "capture", "exit_code"):
        if name not in known:
            raise ManifestInvalid(f"{path} has no {name!r}", remedy="record again")
    return RunManifest(**known)


_TEXT = ("strategy", "label", "started_at")
_TABLES = ("capture", "seeds", "device", "host", "versions", "durations_s")
_OPTIONAL_TABLES = ("choices", "workload", "git", "result", "calibration", "bare")
_LISTS = ("argv", "notes", "left_out")
_NUMBERS = ("exit_code", "rank", "steps_recorded", "manifest_version")


def _checked(path: Path, name: str, value: Any) -> Any:
    """`value` where it has the type of its key; HarnessError otherwise."""
    good = True
    if name == "origin":
        good = value in ORIGINS
    elif name in _TEXT:
        good = value is None or isinstance(value, str)
    elif name in _TABLES:
        good = isinstance(value, dict)
    elif name in _OPTIONAL_TABLES:
        good = value is None or isinstance(value, dict)
    elif name in _LISTS:
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        value = tuple(value) if good else value
    elif name in _NUMBERS:
        good = isinstance(value, int) or (value is None and name in ("rank", "steps_recorded"))
    if not good:
        shown = repr(value)[:60]
        raise ManifestInvalid(f"{path} has {name} = {shown}, which no harness writes")
    return value


def manifest_beside(trace: Path) -> RunManifest | None:
    """The manifest beside a trace, or None where there is none; HarnessError for a broken one."""
    path = trace.with_suffix(".json")
    return read_manifest(path) if path.is_file() else None


def redacted(argv: Sequence[str]) -> tuple[str, ...]:
    """`argv` with the values of options and variables named like secrets replaced by ***:
    `--hf-token abc`, and in `env HF_TOKEN=abc` or `train.py wandb.api_key=abc`, too.

    Numbers stay: `--eos-token 50256` is no secret.
    """
    shown: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, value = word.partition("=")
        option = name.startswith("-")
        secret = bool(option or equals) and _SECRET.search(name.lstrip("-")) is not None
        if hide_next and not word.startswith("-"):
            shown.append(word if word.isdecimal() else "***")
        elif secret and equals:
            shown.append(word if value.isdecimal() else f"{name}=***")
        else:
            shown.append(word)
        hide_next = secret and not equals
    return tuple(shown)


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
