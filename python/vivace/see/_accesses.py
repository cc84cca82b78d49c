"""Which instructions of a function read and write shared state: candidates for races at awaits.

A value is read, something is awaited, and the same place is written without a new look at it: what
another task wrote meanwhile is lost. Places are attributes (``self.n``, ``app.state.n``), globals,
and items of dictionaries and lists (``d[k]``, with a name or a constant as the key). The source
tells what an instruction means; the instruction's position leads to it.
"""

from __future__ import annotations

import ast
import dis
import linecache
from types import CodeType
from typing import NamedTuple

#: Flags of code objects.
_ASYNCHRONOUS = 0x80 | 0x200

_Position = tuple[int, int, int, int]


class Place(NamedTuple):
    """Something that can be read and written."""

    #: ``attribute``, ``item`` or ``global``.
    kind: str
    #: The names that lead to the object: a variable, then attributes.
    path: tuple[str, ...]
    #: The attribute, the global, or the key: ``("path", ("user", "id"))`` or ``("constant", 3)``.
    last: object

    def __str__(self) -> str:
        if self.kind == "global":
            return str(self.last)
        owner = ".".join(self.path)
        if self.kind == "attribute":
            return f"{owner}.{self.last}"
        assert isinstance(self.last, tuple)
        kind, key = self.last
        return f"{owner}[{'.'.join(key) if kind == 'path' else repr(key)}]"


class Accesses(NamedTuple):
    """The accesses of a function, by the offset of the instruction."""

    #: Reads before an await that a write comes after.
    reads: dict[int, tuple[Place, int]]
    #: All writes, and their lines.
    writes: dict[int, tuple[Place, int]]
    #: Those of the writes that rest on a read from before an await.
    candidates: frozenset[int]
    #: Those of the reads that are one only if the object is a dictionary.
    of_dictionaries: frozenset[int] = frozenset()


#: Of functions that are of no interest.
NOTHING = Accesses({}, {}, frozenset())


def accesses(code: CodeType) -> Accesses:
    """Find the accesses of a function; none if its source is not there."""
    places = _places_of_file(code.co_filename)
    if places is None:
        return NOTHING
    reads: dict[int, tuple[Place, int]] = {}
    writes: dict[int, tuple[Place, int]] = {}
    awaits: list[int] = []
    of_dictionaries: set[int] = set()
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name in ("SEND", "YIELD_VALUE"):
            awaits.append(instruction.offset)
            continue
        position = instruction.positions
        line = position.lineno if position is not None and position.lineno else 0
        place: Place | None
        if name in ("LOAD_GLOBAL", "STORE_GLOBAL"):
            place = Place("global", (), instruction.argval)
        elif position is not None and name in _ACCESSING:
            place = places.get(
                (
                    position.lineno or 0,
                    position.end_lineno or 0,
                    position.col_offset or 0,
                    position.end_col_offset or 0,
                )
            )
        else:
            continue
        if place is None:
            continue
        into = writes if name.startswith("STORE") else reads
        into[instruction.offset] = (place, line)
        if name in _OF_DICTIONARIES:
            of_dictionaries.add(instruction.offset)
    if not code.co_flags & _ASYNCHRONOUS or not awaits:
        return Accesses({}, writes, frozenset())
    found = _paired(reads, writes, awaits)
    return found._replace(of_dictionaries=frozenset(of_dictionaries))


#: ``k in d`` and ``d.get(k)``.
_OF_DICTIONARIES = {"CONTAINS_OP", "CALL"}
_ACCESSING = {"LOAD_ATTR", "STORE_ATTR", "BINARY_SUBSCR", "STORE_SUBSCR", "BINARY_OP"}
_ACCESSING |= _OF_DICTIONARIES


def _paired(
    reads: dict[int, tuple[Place, int]], writes: dict[int, tuple[Place, int]], awaits: list[int]
) -> Accesses:
    candidates = set()
    kept: dict[int, tuple[Place, int]] = {}
    for written, (place, _) in writes.items():
        before = [offset for offset in awaits if offset < written]
        if not before:
            continue
        last_await = before[-1]
        same = [offset for offset, (read, _) in reads.items() if read == place and offset < written]
        stale = [offset for offset in same if offset < last_await]
        if stale and len(stale) == len(same):
            candidates.add(written)
            kept.update({offset: reads[offset] for offset in stale})
    return Accesses(kept, writes, frozenset(candidates))


_files: dict[str, dict[_Position, Place] | None] = {}


def _places_of_file(filename: str) -> dict[_Position, Place] | None:
    if filename not in _files:
        _files[filename] = _read(filename)
    return _files[filename]


def _read(filename: str) -> dict[_Position, Place] | None:
    source = "".join(linecache.getlines(filename))
    if not source:
        return None
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    found: dict[_Position, Place] = {}
    for node in ast.walk(tree):
        place = _place(node)
        if place is not None and isinstance(node, ast.expr):
            found[node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0] = (
                place
            )
    return found


def _place(node: ast.AST) -> Place | None:
    if isinstance(node, ast.Attribute):
        path = _path(node.value)
        return Place("attribute", path, node.attr) if path else None
    if isinstance(node, ast.Subscript):
        return _item(node.value, node.slice)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            return _item(node.comparators[0], node.left)
    elif isinstance(node, ast.Call) and node.args and not node.keywords:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "get":
            return _item(function.value, node.args[0])
    return None


def _item(of: ast.expr, key: ast.expr) -> Place | None:
    path = _path(of)
    if path and isinstance(key, ast.Constant):
        return Place("item", path, ("constant", key.value))
    names = _path(key)
    return Place("item", path, ("path", names)) if path and names else None


def _path(node: ast.expr) -> tuple[str, ...]:
    """The names of ``a.b.c``; empty for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(names))
