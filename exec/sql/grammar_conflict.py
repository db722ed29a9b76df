"""Grammar of INSERT's ON CONFLICT clause (hop 1). Spec: PostgreSQL 15 documentation, INSERT, "ON CONFLICT Clause"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import InvalidColumnReference
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.grammar_ddl import index_column

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar


def on_conflict(g: Grammar) -> s.OnConflict:
    """Reads from ON. Raises: InvalidColumnReference (42P10)."""
    found = s.OnConflict(g._curr.start)
    g._advance()
    g.expect_word("conflict")
    start = g._curr.start
    if g._match(T.L_PAREN):
        found.columns = g._parse_csv(lambda: _target(g, start))
        g.expect(T.R_PAREN)
        before = g._next.start
        found.predicate = g._parse_where()
        found.predicate_text = g.sql[before:g._prev.end + 1] if found.predicate is not None else ""
    elif g._match(T.ON):
        g.expect_word("constraint")
        found.constraint = g.name()
    g.expect_word("do")
    if not g.accept_word("nothing"):
        g.expect_word("update")
        g.expect(T.SET)
        found.assignments = g._parse_csv(g.assignment)
        found.where = g._parse_where()
    return found


def _target(g: Grammar, start: int) -> d.IndexColumn:
    """A column; errors stand at the `start` of the list."""
    column = index_column(g)
    column.pos = start
    for words, given in (("ASC/DESC", column.ordered), ("NULLS FIRST/LAST", column.nulls_given)):
        if given:
            raise InvalidColumnReference(f"{words} is not allowed in ON CONFLICT clause", position=start + 1)
    return column
