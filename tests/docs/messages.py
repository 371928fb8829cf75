"""Every error and warning that the sources can give, read from the sources themselves.

A message is written with `…` where the code puts in what it found: `… is truncated: … bytes`.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..conftest import ROOT

HOLE = "…"
BASES = ("TraceError", "Refused")
"""What a user's error is made from; their subclasses are found."""
CLICK = ("UsageError", "BadParameter", "ClickException")


@dataclass(frozen=True)
class Message:
    """One place that makes an error, and one wording that it may have."""

    where: str
    words: str


@functools.cache
def sources() -> list[tuple[str, ast.Module]]:
    """(path from the root, tree) of every file of the two packages."""
    paths = [path for name in ("analysis", "harness") for path in (ROOT / name).rglob("*.py")]
    return [
        (str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in sorted(paths)
    ]


@functools.cache
def messages() -> list[Message]:
    """All of them, each wording once a place."""
    classes = _error_classes()
    found = []
    for where, tree in sources():
        found += [Message(where, normal(words)) for words in _Finder(tree, classes).found]
        found += [
            Message(where, normal(re.sub(r"\{\w+\}", HOLE, words))) for words in _unforeseen(tree)
        ]
    return list(dict.fromkeys(found))


PREFIX = re.compile(r"harness: (?:warning: |error: |(?=regression: ))")
SAY = ("echo", "print")
ADVICE = "harness/bench/advice.py"
"""Where each warning of `bench` and `results` is a `yield`."""
NOTES = (
    "harness/capture/",
    "harness/comparison.py",
    "analysis/compare/verdict.py",
    "harness/simgpu/calibrate.py",
    "harness/simgpu/recorded.py",
)
"""Where what is added to `notes` is printed: notes of a recording, a comparison, a prediction."""
WARNS = ("check_window", "_left_running", "sentence", "_warnings")
"""Functions that give back warnings, or None."""
YIELDS = ("race_lines",)
"""Functions that yield them."""


@functools.cache
def warnings() -> list[Message]:
    """What is said without being an error: notes of a recording, warnings, advice of `bench`."""
    found = []
    for where, tree in sources():
        for scope in _scopes(tree):
            names = _Names(tree, scope)
            said = [words for call in _own_calls(scope) for words in _noted(where, call, names)]
            if getattr(scope, "name", None) in WARNS:
                returned = [one.value for one in ast.walk(scope) if isinstance(one, ast.Return)]
                said += [words for value in returned for words in _words(value, names, holes=True)]
            if where == ADVICE or getattr(scope, "name", None) in YIELDS:
                yields = (n.value for n in ast.walk(scope) if isinstance(n, ast.Yield))
                said += [words for value in yields for words in _words(value, names, holes=True)]
            found += [
                Message(where, normal(words.partition("; ")[0]))
                for words in said
                if words != "None"
            ]
    return list(dict.fromkeys(found))


def _noted(where: str, call: ast.Call, names: _Names) -> list[str]:
    """What a call says, where it is a note, or prints or gathers a warning."""
    name, owner = _name(call.func), _name(getattr(call.func, "value", None))
    if name == "replace" and where.startswith(NOTES):
        added = [one.value for one in call.keywords if one.arg == "notes"]
        parts = [part for one in added if isinstance(one, ast.Tuple) for part in one.elts]
        own = [part for part in parts if not isinstance(part, ast.Starred)]
        return [words for part in own for words in _words(part, names, holes=True)]
    if not call.args:
        return []
    gathered = owner == "warnings" or (owner == "notes" and where.startswith(NOTES))
    if name == "note" or (name == "append" and gathered):
        return _words(call.args[0], names, holes=True)
    if name == "NvtxStatus" and len(call.args) > 4:
        return _words(call.args[4], names, holes=True)
    if name in SAY:
        said = _words(call.args[0], names, holes=True)
        return [PREFIX.sub("", words, count=1) for words in said if PREFIX.match(words)]
    return []


@functools.cache
def verdict_codes() -> set[str]:
    """The codes of all verdicts, those with a hole too (`capture-…`)."""
    codes = set()
    for _, tree in sources():
        for scope in _scopes(tree):
            for call in _own_calls(scope):
                if _name(call.func) == "Verdict" and len(call.args) > 2:
                    codes |= set(_words(call.args[2], _Names(tree, scope), holes=True))
    return codes


def _unforeseen(tree: ast.Module) -> list[str]:
    """The last line of defence: `_UNEXPECTED`, worded for `exit_code_of`, without its remedy."""
    return [
        str(node.value.value).partition("; ")[0].removeprefix("harness: ").removeprefix("error: ")
        for node in tree.body
        if isinstance(node, ast.Assign)
        and _name(node.targets[0]) == "_UNEXPECTED"
        and isinstance(node.value, ast.Constant)
    ]


def _error_classes() -> set[str]:
    found = set(BASES)
    bases = {
        node.name: {_name(base) for base in node.bases}
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while more := {name for name, over in bases.items() if over & found} - found:
        found |= more
    return found


def _name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _scopes(tree: ast.Module) -> list[ast.AST]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [tree, *(node for node in ast.walk(tree) if isinstance(node, functions))]


def _own_calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Calls in this function, not in functions inside it."""
    todo = list(ast.iter_child_nodes(scope))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        todo.extend(ast.iter_child_nodes(node))


class _Finder:
    def __init__(self, tree: ast.Module, classes: set[str]) -> None:
        self.tree, self.found = tree, []
        for scope in _scopes(tree):
            for call in _own_calls(scope):
                if call.args and self._is_error(call.func, classes):
                    self.found += _words(call.args[0], _Names(tree, scope), holes=True)

    @staticmethod
    def _is_error(func: ast.expr, classes: set[str]) -> bool:
        name = _name(func)
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            owner = func.value.id
            if owner == "self":
                return name in ("fail", "refused")  # a click type; the launcher's Refused
            return name in (CLICK if owner == "click" else classes)
        return name in classes


@functools.cache
def _returns(tree: ast.Module) -> dict[str, list[ast.expr | None]]:
    """What each function of a file gives back."""
    return {
        node.name: [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


class _Names:
    """What a name may stand for: what is assigned to it here, or in the module."""

    def __init__(self, tree: ast.Module, scope: ast.AST) -> None:
        self.values: dict[str, list[ast.expr]] = {}
        for place in (tree.body, ast.walk(scope) if scope is not tree else ()):
            for node in place:
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        self._assign(target, node.value)
        self.returns = _returns(tree)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._assign(one, part)
        elif isinstance(target, ast.Name):
            self.values.setdefault(target.id, []).append(value)


def _words(node: ast.expr | None, names: _Names, *, holes: bool) -> list[str]:
    """The wordings of an expression; with `holes` a name that is only known there is `…`."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return _words(node.body, names, holes=holes) + _words(node.orelse, names, holes=holes)
    if isinstance(node, ast.JoinedStr):
        # `{'with' if recorded else 'without'}` is two wordings; whatever else is put in, a hole.
        parts = (_words(_inside(one), names, holes=False) or [HOLE] for one in node.values)
        return ["".join(one) for one in itertools.product(*parts)]
    if isinstance(node, ast.Tuple) and not node.elts:
        return []
    if isinstance(node, ast.Starred | ast.Tuple):
        return _words(
            node.value if isinstance(node, ast.Starred) else node.elts[0], names, holes=holes
        )
    if isinstance(node, ast.GeneratorExp):
        return _words(node.elt, names, holes=holes)
    if isinstance(node, ast.Call) and _name(node.func) == "tuple":
        return _words(node.args[0], names, holes=holes)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [f"{left}{HOLE}" for left in _words(node.left, names, holes=holes)]
    if isinstance(node, ast.Name) and holes:
        found = [w for v in names.values.get(node.id, []) for w in _words(v, names, holes=False)]
        return found or [HOLE]
    if isinstance(node, ast.Call) and holes:
        found = [
            w
            for v in names.returns.get(_name(node.func), [])
            for w in _words(v, names, holes=False)
        ]
        return found or [HOLE]
    return [HOLE] if holes else []


def _inside(part: ast.expr) -> ast.expr:
    """What a piece of an f-string puts in, where it is one of two constants; else the piece."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return (
        value if isinstance(value, ast.IfExp) and not isinstance(value.orelse, ast.Name) else part
    )


def normal(words: str) -> str:
    """One form for comparing: one space, one hole."""
    return re.sub(rf"{HOLE}(?:\s*{HOLE})*", HOLE, " ".join(words.split()))


if __name__ == "__main__":
    for message in messages():
        print(message.where, "|", normal(message.words))
