"""Mutators of nested data: JSON and TOML as Python's dicts, lists, numbers and texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

from .mutator import EDGES, TEXTS, named

Tree = Any
Place = tuple[Any, Any]
"""A container and the key or index of one of its members."""

_OTHER = (None, True, False, [], {}, [[]], {"": None}, 0.5, -0.0, 1e300, -1e-300, 1e22, "7", "-7")


def places(tree: Tree) -> Iterator[Place]:
    """Every member of every container, the outer ones first."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys:
            yield one, key
            if isinstance(one[key], dict | list):
                waiting.append(one[key])


def _some(tree: Tree, random: Random) -> list[Place]:
    found = list(places(tree))
    if not found:
        return []
    if random.random() < 0.25:  # the same member wherever it stands
        key = random.choice(found)[1]
        return [place for place in found if place[1] == key and type(place[1]) is type(key)]
    return [random.choice(found) for _ in range(random.choice((1, 1, 2, 5, 20)))]


def _there(place: Place) -> bool:
    """Whether an earlier change has left this member where it was."""
    one, key = place
    return key in one if isinstance(one, dict) else key < len(one)


def remove(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        del one[key]


def retype(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        old = one[key]
        other = copy.deepcopy(random.choice(_OTHER))  # else a later mutant would meet it changed
        one[key] = random.choice((other, other, str(old)[:100], [old], {"value": old}))


def edge_numbers(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        if isinstance(one[key], int | float) or random.random() < 0.1:
            one[key] = random.choice(
                (*EDGES, 2**64, 10**30, 10**400, -(10**30), 1.5, 1e-9, 1e18, 9.3e18)
            )


def near_numbers(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        near = isinstance(one[key], int | float) and not isinstance(one[key], bool)
        if near and abs(one[key]) < 1e300:  # beyond, no float could be added
            one[key] += random.choice((-1, 1, 0.001, -0.0005, 17, random.randrange(-500, 500)))


def hostile_texts(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        if isinstance(one[key], str) or random.random() < 0.2:
            one[key] = random.choice((*TEXTS, "\ud800", "a\udfffb", "0x7f", "0xzz", "1e400", "1_0"))


def rename(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        if isinstance(one, dict):
            value = one.pop(key)
            one[random.choice((str(key).upper(), f"{key} ", "", "ts", "cat", "args", "name"))] = (
                value
            )


def swap(tree: Tree, random: Random) -> None:
    found = _some(tree, random) + _some(tree, random)
    for (a, k), (b, n) in pairwise(found):
        if _there((a, k)) and _there((b, n)) and not _inside(a[k], b) and not _inside(b[n], a):
            a[k], b[n] = b[n], a[k]


def _inside(outer: Tree, inner: Tree) -> bool:
    """Whether `inner` is `outer` or lies within it: swapping them would tie a knot."""
    if not isinstance(outer, dict | list):
        return False
    return outer is inner or any(one[key] is inner for one, key in places(outer))


def repeat(tree: Tree, random: Random) -> None:
    room = 20_000  # members: what is repeated inside of what is repeated grows fast
    for one, key in filter(_there, _some(tree, random)):
        if not isinstance(one, list):
            continue
        times = random.choice((1, 3, 30))
        inside = one[key]
        size = 1 + (sum(1 for _ in places(inside)) if isinstance(inside, dict | list) else 0)
        room -= times * size
        if room < 0:
            return
        one[key:key] = [copy.deepcopy(inside) for _ in range(times)]


def empty(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        if isinstance(one[key], dict | list):
            one[key] = type(one[key])()


def nest(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)[:1]):
        for _ in range(random.choice((1, 40, 200))):
            one[key] = [one[key]] if random.random() < 0.5 else {"args": one[key]}


def reorder(tree: Tree, random: Random) -> None:
    for one, key in filter(_there, _some(tree, random)):
        if isinstance(one[key], dict):
            items = list(one[key].items())
            random.shuffle(items)
            one[key] = dict(items)
        elif isinstance(one[key], list):
            random.shuffle(one[key])


def one_of_its_own(tree: Tree, random: Random) -> None:
    """Every occurrence of one member gets a number that no other has."""
    found = list(places(tree))
    if found:
        wanted = random.choice(found)[1]
        for number, (one, key) in enumerate(found):
            if key == wanted and isinstance(one, dict):
                one[key] = number * random.choice((1, 1, 1000))


MUTATORS = named(
    (
        remove, retype, edge_numbers, near_numbers, hostile_texts, rename, swap, repeat, empty,
        nest, reorder, one_of_its_own,
    )
)  # fmt: skip


_MORE = tuple(name for name in MUTATORS if name != "nest")  # deep twice is too deep to copy


def mutate(base: Tree, name: str, random: Random) -> Tree:
    """A copy of `base` after one mutator, and now and then after two or three."""
    holder = [copy.deepcopy(base)]
    names = [name]
    if random.random() < 0.3:
        names += [random.choice(_MORE) for _ in range(random.choice((1, 2)))]
    for one in names:
        MUTATORS[one].apply(holder[0] if isinstance(holder[0], dict | list) else holder, random)
    return holder[0]
