"""Long lists of constants, as generated statements have them: IN (1, 2 ...), ARRAY[...], VALUES (1, 'a') ... (hop 2).

A hundred thousand constants as tokens, nodes and typed expressions take seconds. The lexer gives such a run as one token,
the grammar as a sequence that looks like the list of its nodes, and binders that know it take its columns as texts, which
here become literals. Everybody else iterates it and gets nodes with their places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, overload

from shoal.exec.sql import syntax as s

LEAST_TEXT: Final = 4_096
"""Statements shorter than this are not looked through for runs, and shorter runs are left as they are (characters)."""

_SPACE: Final = r"[ \t\n\r\f\v]*+"
_ITEM: Final = (r"(?:-?(?:[0-9]++(?:\.[0-9]++)?+)(?![\w.])|'[^'\\]*+(?:''[^'\\]*+)*+'"
                r"|(?:[nN][uU][lL][lL]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])(?![\w$.]))")
_LIST: Final = re.compile(f"{_SPACE}{_ITEM}(?:{_SPACE},{_SPACE}{_ITEM})++(?={_SPACE}[])])")
_FIRST_ROW: Final = re.compile(rf"\({_SPACE}{_ITEM}(?:{_SPACE},{_SPACE}{_ITEM})*+{_SPACE}\)")
_EACH: Final = re.compile(f"({_ITEM})")


@lru_cache(maxsize=64)
def _rows_pattern(width: int, groups: bool) -> re.Pattern[str]:
    item = f"({_ITEM})" if groups else _ITEM
    row = rf"\({_SPACE}{item}{f'{_SPACE},{_SPACE}{item}' * (width - 1)}{_SPACE}\)"
    return re.compile(row if groups else f"{row}(?:{_SPACE},{_SPACE}{row})*+")


MOST_COLUMNS: Final = 99
"""Wider rows are left as they are."""


def list_end(sql: str, start: int) -> int:
    """The offset after the constants of a list whose bracket was opened before `start`; -1 where it holds anything else or
    is short."""
    found = _LIST.match(sql, start)
    return found.end() if found is not None and found.end() - start >= LEAST_TEXT else -1


def rows_end(sql: str, start: int) -> int:
    """The offset after the rows of constants from `start`, a parenthesis; -1 where there are few. The rows are of one
    width; what follows may be more rows."""
    width = _width(sql, start)
    if not 0 < width <= MOST_COLUMNS:
        return -1
    found = _rows_pattern(width, False).match(sql, start)
    return found.end() if found is not None and found.end() - start >= LEAST_TEXT else -1


def _width(sql: str, start: int) -> int:
    first = _FIRST_ROW.match(sql, start)
    return 0 if first is None else len(_EACH.findall(sql, first.start() + 1, first.end()))


class Constants(Sequence[Any]):
    """The nodes of a run. `columns`: the constants' texts as written, column by column."""

    def __init__(self, sql: str, start: int, end: int) -> None:
        self._sql, self._start, self._end = sql, start, end
        self._nodes: list[Any] | None = None
        self._length = -1

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        if self._length < 0:
            self._length = self._count()
        return self._length

    def _count(self) -> int:
        raise NotImplementedError

    def columns(self) -> list[Sequence[str]]:
        raise NotImplementedError

    def places(self, column: int) -> list[int]:
        """Where the constants of a column stand."""
        raise NotImplementedError

    def _each(self) -> Iterator[Any]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        return self._each() if self._nodes is None else iter(self._nodes)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if index == 0:
            return next(iter(self))
        if index == slice(1):
            return [next(iter(self))]
        if self._nodes is None:
            self._nodes = list(self._each())
        return self._nodes[index]


class ConstantList(Constants):
    """Items of a list, as nodes."""

    def columns(self) -> list[Sequence[str]]:
        return [_EACH.findall(self._sql, self._start, self._end)]

    def places(self, column: int) -> list[int]:
        return [found.start() for found in _EACH.finditer(self._sql, self._start, self._end)]

    def _each(self) -> Iterator[Any]:
        return (constant_node(found[1], found.start()) for found in _EACH.finditer(self._sql, self._start, self._end))

    def _count(self) -> int:
        return len(self.columns()[0])


class ConstantRows(Constants):
    """Rows of VALUES, as s.Row."""

    def __init__(self, sql: str, start: int, end: int) -> None:
        super().__init__(sql, start, end)
        self.width = _width(sql, start)
        self._pattern = _rows_pattern(self.width, True)

    def columns(self) -> list[Sequence[str]]:
        rows = self._pattern.findall(self._sql, self._start, self._end)
        return [rows] if self.width == 1 else list(zip(*rows, strict=True))

    def places(self, column: int) -> list[int]:
        return [found.start(column + 1) for found in self._pattern.finditer(self._sql, self._start, self._end)]

    def _each(self) -> Iterator[Any]:
        width = range(1, self.width + 1)
        return (s.Row(found.start(), [constant_node(found[i], found.start(i)) for i in width], True)
                for found in self._pattern.finditer(self._sql, self._start, self._end))

    def _count(self) -> int:
        return sum(1 for _ in self._pattern.finditer(self._sql, self._start, self._end))


def constant_node(text: str, pos: int) -> Any:
    """The node that the grammar gives for a constant."""
    mark = text[0]
    if mark == "'":
        return s.Constant(pos, "string", unquoted(text))
    if mark == "-":
        return s.Operation(pos, "-", None, constant_node(text[1:], pos + 1))
    if mark in "nN":
        return s.Constant(pos, "null", None)
    if mark in "tTfF":
        return s.Constant(pos, "boolean", mark in "tT")
    return s.Constant(pos, "decimal" if "." in text else "integer", text)


def unquoted(text: str) -> str:
    """The value of a string as written."""
    return text[1:-1].replace("''", "'")
