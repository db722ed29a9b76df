"""A query string as the statements in it, those of the session's own already parsed. Remembered, as most come again.

Hop 2 of a query's way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from shoal.catalog.errors import SqlError
from shoal.server import grammar, lexer
from shoal.server.statements import Utility

Part = tuple[lexer.StatementText, Utility | None]
LONGEST_TEXT = 16_384
"""Characters. Longer query strings are cut anew each time rather than remembered."""


def split(sql: str, backslashes: bool = False) -> tuple[Part, ...]:
    """The statements of `sql`; with `backslashes` they are written under standard_conforming_strings = off.

    Raises: SqlSyntaxError (42601), at the position in the whole string.
    """
    return _split_cached(sql, backslashes) if len(sql) <= LONGEST_TEXT else _split_now(sql, backslashes)


def _split_now(sql: str, backslashes: bool) -> tuple[Part, ...]:
    sql, escaped = lexer.conforming(sql) if backslashes else (sql, ())
    try:
        statements = lexer.split(sql)
    except SqlError as error:
        lexer.as_written(error, escaped)
        raise
    found = []
    for statement in statements:
        if escaped:
            start, end = statement.offset, statement.offset + len(statement.text)
            inside = tuple((at - start, longer) for at, longer in escaped if start <= at < end)
            statement = replace(statement, offset=lexer.unedited(start, escaped), edits=(inside,))
        try:
            text, notices, shortened = lexer.shorten(statement.text)
            statement = replace(statement, text=text, notices=notices, edits=(shortened, *statement.edits))
            found.append((statement, grammar.parse(text)))
        except SqlError as error:
            statement.located(error)
            error.position += statement.offset if error.position else 0
            raise
    return tuple(found)


_split_cached = lru_cache(maxsize=512)(_split_now)
