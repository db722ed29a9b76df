"""MERGE, read by hand into sqlglot's node with plain data in its meta (hop 2).

Spec: PostgreSQL 15 documentation, MERGE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.tokens import TokenType as T

from shoal.exec.sql import syntax as s

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar


def merge(g: Grammar) -> exp.Merge:
    """MERGE after its first word."""
    g.expect(T.INTO)
    target = g.dml_target()
    g.expect(T.USING)
    source = g.from_item()
    g.expect(T.ON)
    tree = exp.Merge(this=target, using=[source], on=g.expression_at(1))
    tree.meta["whens"] = [_when(g)]
    while g._curr.text == "when":
        tree.meta["whens"].append(_when(g))
    return tree


def _when(g: Grammar) -> s.MergeWhen:
    pos = g._curr.start
    g.expect_word("when")
    matched = not g._match(T.NOT)
    g.expect_word("matched")
    made = s.MergeWhen(pos, matched)
    if g._match(T.AND):
        made.condition = g.expression_at(1)
    g.expect_word("then")
    if g.accept_word("do"):
        g.expect_word("nothing")
    elif matched and g.accept_word("update"):
        g.expect(T.SET)
        made.action, made.assignments = "update", g._parse_csv(g.assignment)
    elif matched:
        g.expect_word("delete")
        made.action = "delete"
    else:
        g.expect_word("insert")
        made.action = "insert"
        _insert(g, made)
    return made


def _insert(g: Grammar, made: s.MergeWhen) -> None:
    if g._curr.token_type == T.L_PAREN:
        g._advance()
        made.columns = g._parse_csv(lambda: s.ColumnDefinition(g._curr.start, g.name()))
        g.expect(T.R_PAREN)
    if g.accept_word("overriding"):
        made.overriding = str(g._curr.text)
        if made.overriding not in ("system", "user"):
            raise g.unexpected()
        g._advance()
        g.expect_word("value")
    if g._match(T.DEFAULT):
        g.expect(T.VALUES)
        return
    g.expect(T.VALUES)
    g.expect(T.L_PAREN)
    made.values = g._parse_csv(g.value_or_default)
    g.expect(T.R_PAREN)
