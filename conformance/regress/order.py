"""What a query leaves open about the order of its rows, found in its text and verified on rows.

Spec: PostgreSQL 15 documentation, 7.5 "Sorting Rows": rows that are equal by the sort keys come in any order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from conformance.regress.sides import Answer

_NOT_KEYS = re.compile(r"(?is)\b(?:limit|offset|fetch|for)\b.*")
_DIRECTION = re.compile(r"(?is)\s+(?:asc|desc|using\s+\S+)?\s*(?:nulls\s+(?:first|last))?\s*$")
_SELECT_LIST = re.compile(r"(?is)\s*select\s+(?:all\s+|distinct\s+(?:on\s*\N{LEFT CEILING}\d+\N{RIGHT CEILING}\s*)?)?"
                          r"(.*?)(?:\bfrom\b|\bwindow\b|\border\b)")
_LABEL = re.compile(r'(?is)\s+as\s+(?:\w+|"[^"]*")\s*$')
_SEVERAL = re.compile(r"(?i)\b(?:union|intersect|except|with)\b|\*")

Row = tuple[bytes | None, ...]


def is_ordered(statement: str) -> bool:
    """Whether ORDER BY stands outside all parentheses."""
    return bool(re.search(r"(?i)\border\s+by\b", _folded(statement)))


def equal_but_for_ties(statement: str, expected: Answer, got: Answer) -> bool:
    """Whether two answers with the same rows are both sorted by the query's keys: all of them columns of the answer,
    equal in each place, and the rows that have the same keys the same ones."""
    found = sort_columns(statement, expected.columns)
    if not found:
        return False

    def runs(rows: Sequence[Row]) -> list[tuple[Row, Counter[Row]]]:
        return [(keys, Counter(rows)) for keys, rows in groupby(rows, lambda row: tuple(row[at] for at in found))]

    return runs(expected.rows) == runs(got.rows)


def sort_columns(statement: str, columns: Sequence[str]) -> list[int]:
    """Where the keys of the outermost ORDER BY stand in the answer, [] where one of them is not a column of it."""
    text = _folded(statement)
    parts = re.split(r"(?i)\border\s+by\b", text)
    if len(parts) != 2:
        return []
    shown = _shown(text, len(columns))
    found = []
    for written in _NOT_KEYS.sub("", parts[1]).rstrip("; \n").split(","):
        key = _DIRECTION.sub("", written + " ").strip()
        name = key[1:-1] if key.startswith('"') else key.lower()
        if key.isdecimal() and 1 <= int(key) <= len(columns):
            found.append(int(key) - 1)
        elif [*columns].count(name) == 1:
            found.append(columns.index(name))
        elif _plain(key) in shown:
            found.append(shown.index(_plain(key)))
        else:
            return []
    return found


def _shown(text: str, columns: int) -> list[str]:
    """The expressions of a plain SELECT's list, [] where they cannot be told."""
    found = None if _SEVERAL.search(text) else _SELECT_LIST.match(text)
    shown = [] if found is None else [_plain(_LABEL.sub("", item)) for item in found[1].split(",")]
    return shown if len(shown) == columns else []


def _plain(expression: str) -> str:
    return "".join(expression.lower().split())


def _folded(statement: str) -> str:
    """The text without comments, with a number in place of each string and of what is between parentheses: the same for
    the same text; between ceilings where parentheses were."""
    numbers: dict[str, int] = {}

    def number(text: str) -> str:
        return str(numbers.setdefault(" ".join(text.split()), len(numbers)))

    def between(found: re.Match[str]) -> str:
        return f"\N{LEFT CEILING}{number(found[1])}\N{RIGHT CEILING}"

    text = re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'",
                  lambda found: f"'{number(found[0])}'" if found[0][0] == "'" else "", statement, flags=re.DOTALL)
    while (folded := re.sub(r"\(([^()]*)\)", between, text)) != text:
        text = folded
    return text
