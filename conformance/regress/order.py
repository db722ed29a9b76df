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

Row = tuple[bytes | None, ...]


def is_ordered(statement: str) -> bool:
    """Whether ORDER BY stands outside all parentheses."""
    return bool(re.search(r"(?i)\border\s+by\b", _outside_parentheses(statement)))


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
    """Where the keys of the outermost ORDER BY stand in the answer, [] where one of them is not simply a column of it."""
    text = _outside_parentheses(statement)
    parts = re.split(r"(?i)\border\s+by\b", text)
    if len(parts) != 2:
        return []
    found = []
    for key in _NOT_KEYS.sub("", parts[1]).rstrip("; \n").split(","):
        name = _DIRECTION.sub("", key + " ").strip()
        if name.isdecimal() and 1 <= int(name) <= len(columns):
            found.append(int(name) - 1)
            continue
        name = name[1:-1] if name.startswith('"') else name.lower()
        if [*columns].count(name) != 1:
            return []
        found.append(columns.index(name))
    return found


def _outside_parentheses(statement: str) -> str:
    text = re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL)
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text
