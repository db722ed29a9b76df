"""Scripts of SQLite's sqllogictest: their records, and how they write and compare values.

A record is, like those of slt.py, a block of lines: `skipif DATABASE` and `onlyif DATABASE`, a header, the SQL, and below
a line `----` what is expected. Headers:

    statement ok | error                        the SQL succeeds, or fails
    query TYPES [nosort|rowsort|valuesort] [label]
                                                its values, one a line; TYPES has a letter for each column
    halt                                        the script ends here
    hash-threshold N                            only says when the expectation was written as a hash

Values are written by the letter of their column: I as an integer, R with three digits after the point, T as text whose
unprintable characters are `@`; an empty text is `(empty)`, NULL is `NULL`. Many values are expected as `N values hashing to
MD5`, of the values with a line end after each. Records with the same label answer alike.

Spec: sqllogictest's documentation ("about.wiki") of the SQLite project.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from conformance.slt import MARK, ScriptError, blocks

DATABASE: Final = "postgresql"
"""What scripts call the database whose dialect we speak."""
_HASHED: Final = re.compile(r"(\d+) values hashing to ([0-9a-f]{32})")
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

Rows = Sequence[Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    """Of its first line in the file, from 1."""
    kind: str
    """statement, query or halt."""
    sql: str = ""
    fails: bool = False
    types: str = ""
    sort: str = "nosort"
    label: str = ""
    expected: tuple[str, ...] = ()


def records(text: str, name: str = "script", database: str = DATABASE) -> Iterator[Record]:
    """The records of a script that are for `database`, up to where it halts. Raises: ScriptError."""
    for line, block in blocks(text):
        at = 0
        ours = True
        while at < len(block) and (words := block[at].split())[0] in ("skipif", "onlyif"):
            ours = ours and (words[0] == "onlyif") == (words[1] == database)
            at += 1
        if at == len(block):
            raise ScriptError(f"{name}:{line}: skipif or onlyif without a record")
        if not ours:
            continue
        record = _record(block[at:], line, name)
        if record is None:
            continue
        if record.kind == "halt":
            return
        yield record


def _record(block: list[str], line: int, name: str) -> Record | None:
    words, rest = block[0].split("#")[0].split(), block[1:]
    expected: tuple[str, ...] = ()
    if MARK in rest:
        cut = rest.index(MARK)
        rest, expected = rest[:cut], tuple(rest[cut + 1:])
    sql = "\n".join(rest)
    match words:
        case ["halt"]:
            return Record(line, "halt")
        case ["hash-threshold", _]:
            return None
        case ["statement", "ok" | "error" as outcome] if sql:
            return Record(line, "statement", sql, outcome == "error")
        case ["query", types, *options] if sql and len(options) <= 2:
            sort = options[0] if options else "nosort"
            if sort in _SORTS:
                return Record(line, "query", sql, False, types, sort, options[1] if len(options) == 2 else "", expected)
    raise ScriptError(f"{name}:{line}: not a record: {block[0]}")


def written(record: Record, rows: Rows) -> list[str]:
    """The values of an answer as the script would have them. Raises: ValueError when it has other columns."""
    if rows and len(rows[0]) != len(record.types):
        raise ValueError(f"{len(rows[0])} columns, expected {len(record.types)}")
    forms = [_FORMS[letter] for letter in record.types]
    return _SORTS[record.sort]([["NULL" if value is None else form(value) for form, value in zip(forms, row, strict=True)]
                                for row in rows])


def is_expected(record: Record, values: Sequence[str]) -> bool:
    if len(record.expected) == 1 and (hashed := _HASHED.fullmatch(record.expected[0])):
        return len(values) == int(hashed[1]) and digest(values) == hashed[2]
    return tuple(values) == record.expected


def digest(values: Sequence[str]) -> str:
    """The MD5 of values as scripts expect it."""
    return hashlib.md5("".join(f"{value}\n" for value in values).encode(), usedforsecurity=False).hexdigest()


def _integer(value: str) -> str:
    if value in ("t", "f"):
        return "1" if value == "t" else "0"
    try:
        return str(int(value))
    except ValueError:
        number = _NUMBER.match(value)
        return str(int(float(number[0]))) if number else "0"


def _real(value: str) -> str:
    number = _NUMBER.match(value)
    return f"{float(number[0]) if number else 0:.3f}"


def _text(value: str) -> str:
    return _UNPRINTABLE.sub("@", value) or "(empty)"


def _values(rows: list[list[str]]) -> list[str]:
    return [value for row in rows for value in row]


_FORMS: Final[dict[str, Callable[[str], str]]] = {"I": _integer, "R": _real, "T": _text}
_SORTS: Final[dict[str, Callable[[list[list[str]]], list[str]]]] = {
    "nosort": _values,
    "rowsort": lambda rows: _values(sorted(rows)),
    "valuesort": lambda rows: sorted(_values(rows)),
}
