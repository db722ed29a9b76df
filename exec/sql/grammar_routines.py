"""CREATE FUNCTION, CREATE TYPE, CREATE DOMAIN and what changes them, read by hand into syntax_ddl.py's plain trees (hop 2).

Spec: PostgreSQL 15 documentation, CREATE FUNCTION, CREATE TYPE, CREATE DOMAIN, ALTER TYPE, ALTER DOMAIN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.grammar_ddl import constraint, table_ref
from shoal.exec.sql.lexer import BODY_SEMICOLON

if TYPE_CHECKING:
    from shoal.exec.sql.dialect import Grammar

_MODES: dict[str, Any] = {"in": "i", "out": "o", "inout": "b", "variadic": "v"}
_VOLATILITIES: dict[str, Any] = {"immutable": "i", "stable": "s", "volatile": "v"}


def create_function(g: Grammar, replace: bool) -> d.CreateFunction:
    """After FUNCTION."""
    made = d.CreateFunction(table_ref(g), replace=replace)
    made.arguments = _arguments(g)
    if g.accept_word("returns"):
        if g.accept_word("table"):
            made.returns_set = True
            g.expect(T.L_PAREN)
            made.arguments += g._parse_csv(lambda: _typed(g, d.ArgumentNode(g._curr.start, g.name(), mode="t")))
            g.expect(T.R_PAREN)
        else:
            made.returns_set = g.accept_word("setof")
            made.returns = _type(g)
    while g._curr.token_type not in (T.SENTINEL, T.SEMICOLON):
        _option(g, made)
    if made.language is None:
        made.language = "sql" if made.standard else None
    if made.language is None:
        raise SqlSyntaxError("no language specified")
    return made


def _option(g: Grammar, made: d.CreateFunction) -> None:
    token = g._curr
    if g.accept_word("language"):
        made.language = g._curr.text.lower()
        g._advance()
    elif g.at_word(*_VOLATILITIES):
        made.volatility = _VOLATILITIES[g._curr.text]
        g._advance()
    elif g.accept_word("strict"):
        made.strict = True
    elif g.accept_word("called") or g.accept_word("returns"):
        made.strict = g._prev.text == "returns"
        if made.strict:
            g.expect(T.NULL)
        g.expect(T.ON)
        g.expect(T.NULL)
        g.expect_word("input")
    elif g.accept_word("external") or g.accept_word("security"):
        while g.at_word("security", "definer", "invoker"):
            g._advance()
    elif g.accept_word("parallel"):
        g.label()
    elif g.accept_word("leakproof"):
        pass
    elif g._match(T.NOT):
        g.expect_word("leakproof")
    elif g.at_word("cost", "rows"):
        g._advance(2)
    elif g.accept_word("support"):
        g.qualified_name()
    elif g._match(T.SET):
        raise g.unsupported("SET in CREATE FUNCTION", token)
    elif g._match(T.ALIAS):
        made.body = _string(g)
        if g._match(T.COMMA):
            raise g.unsupported("a function in C", token)
    elif g.accept_word("return"):
        start = g._curr.start
        g.expression_at(1)
        made.body, made.standard, made.is_return = f"SELECT {g.sql[start:g._prev.end + 1]}", True, True
    elif g._curr.text == "begin" and g._next.text == "atomic":
        g._advance(2)
        start = g._curr.start
        while g._curr.text != "end":
            first = g._curr.start
            g._parse_statement()
            made.statements.append(g.sql[first:g._prev.end + 1])
            g.expect(BODY_SEMICOLON)
        made.body, made.standard = g.sql[start:g._prev.end + 1], True
        g._advance()
    else:
        raise g.unexpected()


def _string(g: Grammar) -> str:
    node = g.expression_at(13)
    if not isinstance(node, s.Constant) or node.kind != "string":
        raise g.unexpected()
    return str(node.value)


def _arguments(g: Grammar) -> list[d.ArgumentNode]:
    g.expect(T.L_PAREN)
    if g._match(T.R_PAREN):
        return []
    found = g._parse_csv(lambda: _argument(g))
    g.expect(T.R_PAREN)
    return found


def _argument(g: Grammar) -> d.ArgumentNode:
    pos = g._curr.start
    mode = _mode(g)
    name = ""
    after = g._next
    named = g._curr.token_type == T.IDENTIFIER or (
        after is not None and after.token_type not in (T.COMMA, T.R_PAREN, T.L_PAREN, T.L_BRACKET, T.EQ, T.DEFAULT, T.DOT)
        and not (g._curr.text in ("double", "character", "char", "timestamp", "time", "interval", "bit", "national")
                 and after.text in ("precision", "varying", "with", "without", "year", "month", "day", "hour", "minute",
                                    "second", "character", "char"))
        and after.text != "array")
    if named and not (g._curr.token_type == T.IDENTIFIER and after.token_type in (T.COMMA, T.R_PAREN, T.L_BRACKET)):
        name = g.label()
        mode = _mode(g) if mode == "i" and g.at_word(*_MODES) else mode
    made = _typed(g, d.ArgumentNode(pos, name, mode=mode))
    if g._match(T.DEFAULT) or g._match(T.EQ):
        start = g._curr.start
        g.expression_at(1)
        made.default = g.sql[start:g._prev.end + 1]
    return made


def _mode(g: Grammar) -> Any:
    if not g.at_word(*_MODES):
        return "i"
    word = g._curr.text
    g._advance()
    if word == "in" and g.accept_word("out"):
        word = "inout"
    return _MODES[word]


def _typed(g: Grammar, made: d.ArgumentNode) -> d.ArgumentNode:
    start = g._curr.start
    made.written = g.type_name()
    made.type = g.sql[start:g._prev.end + 1]
    return made


def _type(g: Grammar) -> str:
    """A type's text."""
    start = g._curr.start
    g.type_name()
    return str(g.sql[start:g._prev.end + 1])


def signature(g: Grammar) -> list[s.TypeName] | None:
    """The types of a function's input arguments, None where it is named alone."""
    if g._curr.token_type != T.L_PAREN:
        return None
    return [argument.written for argument in _arguments(g) if argument.mode not in ("o", "t") and argument.written]


def create_type(g: Grammar) -> d.CreateType:
    """After TYPE."""
    made = d.CreateType(table_ref(g), "composite")
    if not g._match(T.ALIAS):
        raise g.unsupported("CREATE TYPE of a base type", g._curr)
    if g.accept_word("enum"):
        made.kind = "enum"
        g.expect(T.L_PAREN)
        if not g._match(T.R_PAREN):
            made.labels = g._parse_csv(lambda: _string(g))
            g.expect(T.R_PAREN)
        return made
    if g.at_word("range"):
        raise g.unsupported("CREATE TYPE ... AS RANGE", g._curr)
    g.expect(T.L_PAREN)
    if not g._match(T.R_PAREN):
        made.fields = g._parse_csv(lambda: _field(g))
        g.expect(T.R_PAREN)
    return made


def _field(g: Grammar) -> tuple[str, s.TypeName]:
    name, written = g.name(), g.type_name()
    if g.accept_word("collate"):
        g.qualified_name()
    return name, written


def create_domain(g: Grammar) -> d.CreateType:
    """After DOMAIN."""
    made = d.CreateType(table_ref(g), "domain")
    g._match(T.ALIAS)
    made.base = g.type_name()
    while g._curr.token_type not in (T.SENTINEL, T.SEMICOLON):
        if g.accept_word("collate"):
            g.qualified_name()
        elif g._match(T.DEFAULT):
            start = g._curr.start
            g.expression_at(5, restricted=True)
            made.default = g.sql[start:g._prev.end + 1]
        else:
            domain_constraint(g, made)
    return made


def domain_constraint(g: Grammar, made: d.CreateType) -> None:
    """[CONSTRAINT name] NOT NULL, NULL or CHECK (...)."""
    name = ""
    if g._curr.text == "constraint":
        name = g._next.text
    if g._curr.text == "constraint" and g._tokens[g._index + 2].token_type in (T.NOT, T.NULL):
        g._advance(2)
    if g._match(T.NOT):
        g.expect(T.NULL)
        made.not_null = True
    elif g._match(T.NULL):
        made.not_null = False
    else:
        node = constraint(g)
        if node.kind != "check":
            raise g.unsupported(f"{node.kind.upper()} constraints of domains")
        node.name = node.name or name
        made.checks.append(node)


def alter_type(g: Grammar, domain: bool) -> d.AlterType:
    """After ALTER TYPE or ALTER DOMAIN."""
    made = d.AlterType(table_ref(g), domain)
    if g.accept_word("add"):
        if domain:
            made.what, node = "add constraint", d.CreateType(made.target, "domain")
            domain_constraint(g, node)
            if node.not_null:
                raise g.unexpected()
            made.checks = node.checks
        elif g.accept_word("value"):
            made.what = "add value"
            if g.accept_word("if"):
                g.expect(T.NOT)
                g.expect_word("exists")
                made.exists = True
            made.name = _string(g)
            if g.at_word("before", "after"):
                made.place = g._curr.text
                g._advance()
                made.new_name = _string(g)
        else:
            raise g.unsupported("ALTER TYPE ... ADD ATTRIBUTE", g._curr)
    elif g.accept_word("rename"):
        if g.accept_word("value"):
            made.what, made.name = "rename value", _string(g)
            g.expect_word("to")
            made.new_name = _string(g)
        elif g.accept_word("constraint"):
            made.what, made.name = "rename constraint", g.name()
            g.expect_word("to")
            made.new_name = g.name()
        else:
            made.what = "rename"
            g.expect_word("to")
            made.new_name = g.name()
    elif g.accept_word("drop"):
        made.what = "drop"
        if g._match(T.NOT):
            g.expect(T.NULL)
            made.name = "not null"
        elif g._match(T.DEFAULT):
            made.name = "default"
        else:
            g.expect_word("constraint")
            made.what = "drop constraint"
            if g.accept_word("if"):
                g.expect_word("exists")
                made.exists = True
            made.name = g.name()
            if not g.accept_word("cascade"):
                g.accept_word("restrict")
    elif g._match(T.SET):
        made.what = "set"
        if g._match(T.NOT):
            g.expect(T.NULL)
            made.name = "not null"
        elif g._match(T.DEFAULT):
            made.name = "default"
            start = g._curr.start
            g.expression_at(5, restricted=True)
            made.new_name = g.sql[start:g._prev.end + 1]
        else:
            raise g.unsupported("ALTER TYPE ... SET SCHEMA", g._curr)
    elif g.accept_word("owner"):
        made.what = "owner"
        g.expect_word("to")
        g.label()
    else:
        raise g.unexpected()
    return made

