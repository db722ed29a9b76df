"""ALTER, COMMENT, REFRESH, and statements that have nothing to do here: read into syntax_ddl.py's plain trees (hop 2).

Spec: PostgreSQL 15 documentation, ALTER TABLE, ALTER SEQUENCE, COMMENT, ANALYZE, VACUUM ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot.tokens import TokenType as T

from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.grammar_ddl import (
    column,
    constraint,
    generated,
    if_exists,
    if_not_exists,
    object_kind,
    sequence_options,
    skip_parentheses,
    table_ref,
    with_data,
)
from shoal.exec.sql.grammar_privileges import default_privileges, owner

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar

_WITHOUT_EFFECT = ("set", "reset", "cluster", "enable", "disable", "replica", "validate", "force")


def alter(g: Grammar) -> d.Alter | d.AlterType | d.Privileges:
    """ALTER after its first word."""
    token = g._curr
    if g._match(T.DEFAULT):
        return default_privileges(g)
    if g.at_word("type", "domain"):
        from shoal.exec.sql.grammar_routines import alter_type
        g._advance()
        return alter_type(g, token.text == "domain")
    kind = object_kind(g, "ALTER")
    if kind == "EXTENSION":
        raise g.unsupported("ALTER EXTENSION", token)
    exists = if_exists(g)
    g._match(T.ONLY)
    target = table_ref(g)
    g._match(T.STAR)
    pos = g._curr.start
    if kind == "SEQUENCE" and not g.at_word("rename", "owner") and not (g.at_word("set") and g._next.text == "schema"):
        return d.Alter(kind, target, [d.AlterAction("sequence", pos, options=sequence_options(g))], exists)
    if g.accept_word("rename"):
        return d.Alter(kind, target, [_rename(g, pos)], exists)
    if g.at_word("set") and g._next.text == "schema":
        g._advance(2)
        return d.Alter(kind, target, [d.AlterAction("set schema", pos, new_name=g.label())], exists)
    actions = g._parse_csv(lambda: _action(g))
    return d.Alter(kind, target, actions, exists)


def _rename(g: Grammar, pos: int) -> d.AlterAction:
    if g.accept_word("to"):
        return d.AlterAction("rename", pos, new_name=g.name())
    if g.accept_word("constraint"):
        name = g.name()
        g.expect_word("to")
        return d.AlterAction("rename constraint", pos, name, g.name())
    g.accept_word("column")
    name = g.name()
    g.expect_word("to")
    return d.AlterAction("rename column", pos, name, g.name())


def _action(g: Grammar) -> d.AlterAction:
    pos = g._curr.start
    if g.accept_word("add"):
        if g.at_word("constraint", "primary", "unique", "check", "foreign", "exclude"):
            return d.AlterAction("add constraint", pos, constraint=constraint(g))
        g.accept_word("column")
        exists = if_not_exists(g)
        return d.AlterAction("add column", pos, column=column(g), exists=exists)
    if g.accept_word("drop"):
        is_constraint = g.accept_word("constraint")
        if not is_constraint:
            g.accept_word("column")
        exists = if_exists(g)
        name = g.name()
        cascade = g.accept_word("cascade")
        if not cascade:
            g.accept_word("restrict")
        what = "drop constraint" if is_constraint else "drop column"
        return d.AlterAction(what, pos, name, exists=exists, cascade=cascade)
    if g.accept_word("owner"):
        g.expect_word("to")
        return d.AlterAction("owner", pos, owner(g))
    if g.accept_word("alter"):
        return _alter_column(g, pos)
    if g.at_word(*_WITHOUT_EFFECT):
        token = g._curr
        g._advance()
        if token.text in ("set", "reset") and g._curr.token_type == T.L_PAREN:
            skip_parentheses(g)
            return d.AlterAction("storage", pos)
        if token.text == "validate" and g.accept_word("constraint"):
            return d.AlterAction("validate constraint", pos, g.name())
        raise g.unsupported(f"ALTER TABLE ... {token.text.upper()}", token)
    raise g.unexpected()


def _alter_column(g: Grammar, pos: int) -> d.AlterAction:
    if g.at_word("constraint"):
        raise g.unsupported("ALTER TABLE ... ALTER CONSTRAINT", g._curr)
    g.accept_word("column")
    name = g.name()
    if g.accept_word("type"):
        return _alter_type(g, pos, name)
    if g.accept_word("add"):
        made = d.ColumnNode(pos, name)
        g.expect_word("generated")
        generated(g, made)
        return d.AlterAction("add identity", pos, name, column=made)
    setting = g.accept_word("set")
    if not setting:
        g.expect_word("drop")
    if setting and g.accept_word("data"):
        g.expect_word("type")
        return _alter_type(g, pos, name)
    if g._match(T.DEFAULT):
        if not setting:
            return d.AlterAction("drop default", pos, name)
        start = g._curr.start
        tree = g.expression_at(1)
        return d.AlterAction("set default", pos, name, default=tree, text=g.sql[start:g._prev.end + 1])
    if g._match(T.NOT):
        g.expect_word("null")
        return d.AlterAction("set not null" if setting else "drop not null", pos, name)
    if g.accept_word("identity"):
        exists = if_exists(g)
        return d.AlterAction("drop identity", pos, name, exists=exists)
    if g.at_word("statistics", "storage", "compression"):
        g._advance(2)
        return d.AlterAction("storage", pos, name)
    raise g.unsupported(f"ALTER COLUMN ... {g._curr.text.upper()}", g._curr)


def _alter_type(g: Grammar, pos: int, name: str) -> d.AlterAction:
    action = d.AlterAction("type", pos, name, type=g.type_name())
    if g.accept_word("collate"):
        g.qualified_name()
    if g.accept_word("using"):
        action.using = g.expression_at(1)
    return action


def comment(g: Grammar) -> d.Comment:
    """COMMENT after its first word."""
    from shoal.exec.sql.grammar_routines import signature
    g.expect(T.ON)
    if g.accept_word("column"):
        pos = g._curr.start
        parts = g.qualified_name()
        made = d.Comment("COLUMN", s.TableRef(pos, parts[:-1]), None, parts[-1])
    elif g.accept_word("constraint"):
        name = g.name()
        g.expect(T.ON)
        if g.at_word("domain"):
            raise g.unsupported("COMMENT ON CONSTRAINT ... ON DOMAIN", g._curr)
        made = d.Comment("CONSTRAINT", table_ref(g), None, name)
    elif g.accept_word("function") or g.accept_word("routine"):
        made = d.Comment("FUNCTION", table_ref(g), None)
        made.arguments = signature(g)
    elif g.at_word("database", "type", "domain", "role", "trigger", "extension"):
        raise g.unsupported(f"COMMENT ON {g._curr.text.upper()}", g._curr)
    else:
        kind = object_kind(g, "COMMENT ON")
        made = d.Comment(kind, table_ref(g), None)
    g.expect_word("is")
    if not g.accept_word("null"):
        token = g._curr
        if token.token_type not in (T.STRING, T.NATIONAL_STRING, T.RAW_STRING, T.HEREDOC_STRING):
            raise g.unexpected()
        g._advance()
        made.text = str(token.text)
    return made


def refresh(g: Grammar) -> d.Refresh:
    """REFRESH after its first word."""
    g.expect_word("materialized")
    g.expect_word("view")
    concurrently = g.accept_word("concurrently")
    target = table_ref(g)
    return d.Refresh(target, with_data(g), concurrently)


def maintenance(tag: str) -> Callable[[Grammar], d.Ignored]:
    """ANALYZE, VACUUM, REINDEX, CLUSTER: there is nothing to maintain, but what they name must exist."""
    def parse(g: Grammar) -> d.Ignored:
        if g._curr.token_type == T.L_PAREN:
            skip_parentheses(g)
        found = d.Ignored(tag)
        if tag == "REINDEX":
            if not g.at_word("table", "index", "database", "schema", "system"):
                raise g.unexpected()
            if g.at_word("table", "index"):
                named = found.indexes if g._curr.text == "index" else found.tables
                g._advance()
                g.accept_word("concurrently")
                named.append(table_ref(g))
                return found
        while g.at_word("full", "freeze", "verbose", "analyze", "analyse"):
            g._advance()
        if g.at_word("database", "schema", "system"):
            g._advance(2)
            return found
        while g._curr.token_type != T.SENTINEL:
            found.tables.append(table_ref(g))
            if g._curr.token_type == T.L_PAREN:
                skip_parentheses(g)
            if not g._match(T.COMMA):
                break
        return found
    return parse
