"""From text to syntax tree: the public door of the parser (hop 2).

`split_statements` cuts a script; `parse` reads one statement. sqlglot is imported by this package only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from sqlglot.tokens import TokenType

from shoal.catalog.errors import SqlError, SqlSyntaxError
from shoal.exec.sql.dialect import Grammar, ShoalDialect
from shoal.exec.sql.lexer import split_statements, tokenize, too_complex

__all__ = ["Statement", "parse", "split_statements"]

RECURSION_LIMIT = 12_000
"""Python frames: parsing, binding and rewriting recurse along the tree; pure Python calls take no C stack."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One parsed statement: its text and sqlglot's tree with our expressions inside; `tree` is None for no statement."""

    text: str
    tree: Any


_DIALECT = ShoalDialect()


def parse_several(sql: str) -> list[Any]:
    """The trees of all statements in `sql`. Raises: as `parse`."""
    tokens = tokenize(sql)
    found: list[Any] = []
    while tokens:
        end = next((i for i, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON), len(tokens))
        if end:
            found.append(Grammar(dialect=_DIALECT).parse(tokens[:end], sql)[0])
        tokens = tokens[end + 1:]
    return found


def parse(sql: str) -> Statement:
    """The one statement in `sql`, with or without a semicolon after it.

    Raises: SqlSyntaxError (42601) with PostgreSQL's wording and position, also for a second statement;
    FeatureNotSupported (0A000) for syntax Shoal does not have; StatementTooComplex (54001).
    """
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)
    tokens: list[Any] = []
    try:
        tokenize(sql, tokens)
    except SqlSyntaxError as error:
        raise _first_mistake(sql, tokens, error) from None
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise SqlSyntaxError("cannot insert multiple commands into a prepared statement")
    if not tokens:
        return Statement(sql, None)
    try:
        tree = Grammar(dialect=_DIALECT).parse(tokens, sql)[0]
    except RecursionError:
        raise too_complex() from None
    return Statement(sql, tree)


def _first_mistake(sql: str, tokens: list[Any], error: SqlSyntaxError) -> SqlError:
    """What is wrong with the tokens before the text that is none, else `error`: PostgreSQL reads both as it goes."""
    try:
        if tokens and not any(token.token_type == TokenType.SEMICOLON for token in tokens):
            Grammar(dialect=_DIALECT).parse(tokens, sql)
    except SqlError as earlier:
        if 0 < earlier.position < error.position:
            return earlier
    except RecursionError:
        return too_complex()
    return error
