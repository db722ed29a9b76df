"""CREATE and DROP: read by hand into sqlglot's Create and Drop, because sqlglot's reading takes anything (hop 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.tokens import TokenType as T

from shoal.exec.sql import syntax as s

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar

_COLUMN_CONSTRAINTS = ("primary", "unique", "check", "references", "constraint", "generated", "collate", "deferrable",
                       "initially", "compression", "storage")
_TABLE_CONSTRAINTS = ("constraint", "primary", "unique", "check", "foreign", "exclude")


def create(g: Grammar) -> exp.Create:
    """CREATE after its first word. `this`: a TableRef; kind, exists, expression as sqlglot has them; meta: columns,
    temporary, with_data."""
    replace = False
    if g._curr.token_type == T.OR and g._next.text == "replace":
        g._advance(2)
        replace = True
    temporary = False
    while g.at_word("temp", "temporary", "local", "global", "unlogged"):
        temporary = temporary or g._curr.text in ("temp", "temporary")
        g._advance()
    token = g._curr
    if g.accept_word("table"):
        if replace:
            raise g.unexpected(token)
        return _create_table(g, temporary)
    if g.accept_word("schema"):
        exists = _if_not_exists(g)
        if g.accept_word("authorization"):
            raise g.unsupported("CREATE SCHEMA AUTHORIZATION")
        target = s.TableRef(g._curr.start, g.qualified_name())
        if g.accept_word("authorization"):
            g.name()
        return exp.Create(this=target, kind="SCHEMA", exists=exists)
    if g.accept_word("view"):
        return _create_view(g, replace)
    if g.at_word("recursive", "materialized", "index", "unique", "function", "procedure", "trigger", "sequence", "type",
                 "domain", "extension", "role", "user", "group", "database", "rule", "policy", "aggregate", "operator",
                 "cast", "collation", "server", "foreign", "publication", "subscription", "statistics", "language",
                 "tablespace", "event", "text", "access", "conversion", "transform", "constraint"):
        what = token.text.upper() if token.text not in ("unique", "constraint") else g._next.text.upper()
        raise g.unsupported(f"CREATE {what if what != 'MATERIALIZED' else 'MATERIALIZED VIEW'}", token)
    raise g.unexpected()


def drop(g: Grammar) -> exp.Drop:
    """DROP after its first word; `expressions`: TableRefs."""
    token = g._curr
    kind = token.text.upper()
    if not g.at_word("table", "schema", "view"):
        if g.at_word("materialized", "index", "function", "procedure", "trigger", "sequence", "type", "domain", "extension",
                     "role", "user", "group", "database", "rule", "policy", "aggregate", "operator", "cast", "collation",
                     "server", "foreign", "publication", "subscription", "statistics", "language", "tablespace", "owned"):
            raise g.unsupported(f"DROP {'MATERIALIZED VIEW' if kind == 'MATERIALIZED' else kind}", token)
        raise g.unexpected()
    g._advance()
    exists = False
    if g.accept_word("if"):
        g.expect_word("exists")
        exists = True
    targets = g._parse_csv(lambda: s.TableRef(g._curr.start, g.qualified_name()))
    cascade = g.accept_word("cascade")
    if not cascade:
        g.accept_word("restrict")
    return exp.Drop(expressions=targets, kind=kind, exists=exists, cascade=cascade)


def _if_not_exists(g: Grammar) -> bool:
    if not g.accept_word("if"):
        return False
    g.expect_word("not")
    g.expect_word("exists")
    return True


def _create_table(g: Grammar, temporary: bool) -> exp.Create:
    exists = _if_not_exists(g)
    target = s.TableRef(g._curr.start, g.qualified_name())
    columns: list[s.ColumnDefinition] | None = None
    if g.at_word("of", "partition"):
        raise g.unsupported(f"CREATE TABLE {g._curr.text.upper()}", g._curr)
    if g._match(T.L_PAREN):
        columns = []
        if not g._match(T.R_PAREN):
            for found in g._parse_csv(lambda: _table_element(g)):
                if found is not None:
                    columns.append(found)
            g.expect(T.R_PAREN)
    _table_options(g)
    query, with_data = None, True
    if g._match(T.ALIAS):
        if g.at_word("execute"):
            raise g.unsupported("CREATE TABLE AS EXECUTE", g._curr)
        query = g.query()
        if g.accept_word("with"):
            with_data = not g.accept_word("no")
            g.expect_word("data")
    elif columns is None or any(c.type is None for c in columns):
        raise g.unexpected()
    tree = exp.Create(this=target, kind="TABLE", exists=exists, expression=query)
    tree.meta.update(columns=columns, temporary=temporary, with_data=with_data)
    return tree


def _table_options(g: Grammar) -> None:
    """Storage options, which mean nothing here; inheritance and partitioning are refused."""
    while True:
        if g.at_word("inherits", "partition") or g._curr.token_type == T.PARTITION_BY:
            raise g.unsupported(f"CREATE TABLE ... {g._curr.text.upper()}", g._curr)
        if g._curr.token_type == T.WITH and g._next.token_type == T.L_PAREN:
            g._advance()
            _skip_parentheses(g)
        elif g._curr.token_type == T.ON and g._next.text == "commit":
            g._advance(2)
            while g.at_word("preserve", "delete", "rows", "drop"):
                g._advance()
        elif g.at_word("tablespace", "using"):
            g._advance()
            g.name()
        elif g.at_word("without") and g._next.text == "oids":
            g._advance(2)
        else:
            return


def _table_element(g: Grammar) -> s.ColumnDefinition | None:
    """A column, or None for a table constraint: keys are accepted as documentation, nothing enforces them."""
    if g.at_word("like"):
        raise g.unsupported("CREATE TABLE ... LIKE", g._curr)
    if g.at_word(*_TABLE_CONSTRAINTS) and g._curr.token_type != T.IDENTIFIER:
        _constraint(g)
        return None
    column = s.ColumnDefinition(g._curr.start, g.name())
    if g._curr.token_type in (T.COMMA, T.R_PAREN):
        return column
    column.type = g.type_name()
    while g._curr.token_type not in (T.COMMA, T.R_PAREN):
        if g._match(T.NOT):
            g.expect_word("null")
            column.not_null = True
        elif g.accept_word("null"):
            pass
        elif g._match(T.DEFAULT):
            column.default = g.expression_at(5, restricted=True)
        elif g.at_word("primary"):
            column.not_null = True
            _constraint(g)
        elif g.at_word("generated"):
            raise g.unsupported("a generated column", g._curr)
        elif g.at_word(*_COLUMN_CONSTRAINTS):
            _constraint(g)
        else:
            raise g.unexpected()
    return column


def _constraint(g: Grammar) -> None:
    """Skips one constraint that is accepted without effect; CHECK and FOREIGN KEY are refused, they would be expected to
    bite."""
    if g.accept_word("constraint"):
        g.name()
    token = g._curr
    if g.at_word("check", "exclude"):
        raise g.unsupported(f"a {token.text.upper()} constraint", token)
    if g.accept_word("collate"):
        g.qualified_name()
        return
    if g.at_word("foreign", "references"):
        raise g.unsupported("a FOREIGN KEY constraint", token)
    if g.accept_word("not"):
        g.expect_word("null")
        return
    if g.accept_word("primary"):
        g.expect_word("key")
    elif not g.accept_word("unique"):
        raise g.unexpected()
    if g._curr.token_type == T.L_PAREN:
        _skip_parentheses(g)


def _skip_parentheses(g: Grammar) -> None:
    g.expect(T.L_PAREN)
    depth = 1
    while depth:
        kind = g._curr.token_type
        if kind == T.SENTINEL:
            raise g.unexpected()
        depth += (kind == T.L_PAREN) - (kind == T.R_PAREN)
        g._advance()


def _create_view(g: Grammar, replace: bool) -> Any:
    exists = _if_not_exists(g)
    target = s.TableRef(g._curr.start, g.qualified_name())
    columns = None
    if g._match(T.L_PAREN):
        columns = g._parse_csv(lambda: s.ColumnDefinition(g._curr.start, g.name()))
        g.expect(T.R_PAREN)
    g.expect(T.ALIAS)
    start = g._curr.start
    query = g.query()
    tree = exp.Create(this=target, kind="VIEW", replace=replace, exists=exists, expression=query)
    tree.meta.update(columns=columns, text=g.sql[start:g._prev.end + 1])
    if g.accept_word("with"):
        raise g.unsupported("WITH CHECK OPTION")
    return tree
