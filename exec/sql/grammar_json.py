"""The grammar of SQL/JSON: what stands between the parentheses of its functions, and JSON_TABLE (hop 2).

Each form is read after its opening parenthesis, up to and with the closing one.
Spec: PostgreSQL 17 documentation, 9.16.1 (table 9.48, constructors and IS JSON) and 9.16.3, 9.16.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_json as sj
from shoal.exec.sql.grammar_base import OR, QUERY_START

_BEHAVIORS = ("error", "null", "true", "false", "unknown", "empty", "default")


def json_form(p: Any, token: Token) -> Any:
    """A call of one of FORMS."""
    return FORMS[token.text](p, token)


def _value(p: Any) -> Any:
    """An expression, perhaps with FORMAT JSON."""
    pos = p._curr.start
    value = p.expression_at(OR)
    return sj.JsonFormatted(pos, value) if _format(p) else value


def _format(p: Any) -> bool:
    if not (p.at_word("format") and p._next.text == "json"):
        return False
    p._advance(2)
    if p.accept_word("encoding"):
        encoding = p._curr
        if p.name().lower() != "utf8":
            raise FeatureNotSupported(f"unrecognized JSON encoding: {encoding.text}", position=encoding.start + 1)
    return True


def _nulls(p: Any, absent: bool) -> bool:
    """NULL ON NULL or ABSENT ON NULL: whether NULLs are left out."""
    if p.at_word("null", "absent") and p._next.token_type == T.ON:
        absent = p._curr.text == "absent"
        p._advance(2)
        p.expect_word("null")
    return absent


def _unique(p: Any) -> bool:
    """WITH or WITHOUT UNIQUE [KEYS]."""
    if not (p.at_word("with", "without") and p._next.text == "unique"):
        return False
    unique = p._curr.text == "with"
    p._advance(2)
    p.accept_word("keys")
    return unique


def _returning(p: Any) -> sj.JsonOutput | None:
    return sj.JsonOutput(p.type_name(), _format(p)) if p.accept_word("returning") else None


def _member(p: Any) -> list[Any]:
    """KEY name VALUE value, name VALUE value, or name : value."""
    if p.at_word("key") and p._next.token_type not in (T.COLON, T.COMMA, T.R_PAREN, T.DOT) and p._next.text != "value":
        p._advance()
    name = p.expression_at(OR)
    if not p._match(T.COLON):
        p.expect_word("value")
    return [name, _value(p)]


def _object(p: Any, token: Token) -> Any:
    """JSON_OBJECT: the constructor, or the function of that name where no value belongs to a first name."""
    items: list[Any] = []
    pos = token.start
    if not p.at_word("returning") and p._curr.token_type != T.R_PAREN:
        start = p._index
        try:
            items = _member(p)
        except SqlSyntaxError:
            p._retreat(start)
            return p._call(("json_object",), pos)
        while p._match(T.COMMA):
            items += _member(p)
    absent = _nulls(p, False)
    unique = _unique(p)
    returning = _returning(p)
    p.expect(T.R_PAREN)
    return sj.JsonConstructor(pos, "object", items, None, absent, unique, returning)


def _array(p: Any, token: Token) -> Any:
    items: list[Any] = []
    query = None
    absent = True
    if p._curr.token_type in QUERY_START:
        query = p.query()
        _format(p)
    elif not p.at_word("returning") and p._curr.token_type != T.R_PAREN:
        items.append(_value(p))
        while p._match(T.COMMA):
            items.append(_value(p))
        absent = _nulls(p, True)
    returning = _returning(p)
    p.expect(T.R_PAREN)
    return sj.JsonConstructor(token.start, "array", items, query, absent, False, returning)


def _aggregated(p: Any, node: sj.JsonConstructor) -> sj.JsonConstructor:
    """FILTER and OVER after an aggregate."""
    p.expect(T.R_PAREN)
    call = p._call_suffix(s.Function(node.pos, ("json_agg",), []))
    node.filter, node.over = call.filter, call.over
    return node


def _object_aggregate(p: Any, token: Token) -> Any:
    items = _member(p)
    node = sj.JsonConstructor(token.start, "objectagg", items, None, _nulls(p, False), _unique(p), _returning(p))
    return _aggregated(p, node)


def _array_aggregate(p: Any, token: Token) -> Any:
    node = sj.JsonConstructor(token.start, "arrayagg", [_value(p)])
    if p._curr.token_type == T.ORDER_BY:
        node.order = p.sort_items()
    node.absent = _nulls(p, True)
    node.returning = _returning(p)
    return _aggregated(p, node)


def _json(p: Any, token: Token) -> Any:
    """JSON(text): as the cast of that name, unless something follows the text."""
    value = _value(p)
    unique = _unique(p)
    p.expect(T.R_PAREN)
    if isinstance(value, sj.JsonFormatted):
        value = value.arg
    elif not unique:
        return s.Function(token.start, ("json",), [value])
    return sj.JsonConversion(token.start, "json", value, unique)


def _scalar(p: Any, token: Token) -> Any:
    value = p.expression_at(OR)
    p.expect(T.R_PAREN)
    return sj.JsonConversion(token.start, "json_scalar", value)


def _serialize(p: Any, token: Token) -> Any:
    value = _value(p)
    returning = _returning(p)
    p.expect(T.R_PAREN)
    return sj.JsonConversion(token.start, "json_serialize", value, False, returning)


# Query functions

def _passing(p: Any) -> list[tuple[Any, str]]:
    found: list[tuple[Any, str]] = []
    if p.accept_word("passing"):
        while True:
            value = _value(p)
            p.expect(T.ALIAS)
            found.append((value, p.label()))
            if not p._match(T.COMMA):
                break
    return found


def _options(p: Any) -> sj.JsonOptions:
    """Wrapper, quotes, ON EMPTY and ON ERROR."""
    found = sj.JsonOptions()
    if p.at_word("without", "with"):
        without = p._curr.text == "without"
        p._advance()
        found.wrapper = "none" if without else "always"
        if not without and p.at_word("conditional", "unconditional"):
            found.wrapper = "conditional" if p._curr.text == "conditional" else "always"
            p._advance()
        p.accept_word("array")
        p.expect_word("wrapper")
    if p.at_word("keep", "omit"):
        found.quotes = p._curr.text
        p._advance()
        p.expect_word("quotes")
        if p._curr.token_type == T.ON and p._next.text == "scalar":
            p._advance(2)
            p.expect_word("string")
    while p.at_word(*_BEHAVIORS):
        behavior = _behavior(p)
        p.expect(T.ON)
        if p.accept_word("empty"):
            found.empty = behavior
        else:
            p.expect_word("error")
            found.error = behavior
    return found


def _behavior(p: Any) -> sj.JsonBehavior:
    word = p._curr.text
    p._advance()
    if word == "default":
        return sj.JsonBehavior("default", p.expression_at(OR))
    if word == "empty":
        if p.accept_word("object"):
            return sj.JsonBehavior("object")
        p.accept_word("array")
        return sj.JsonBehavior("array")
    return sj.JsonBehavior(word)


def _query(kind: Any) -> Callable[[Any, Token], sj.JsonQuery]:
    def read(p: Any, token: Token) -> sj.JsonQuery:
        arg = _value(p)
        p.expect(T.COMMA)
        path = p.expression_at(OR)
        passing = _passing(p)
        returning = _returning(p)
        options = _options(p)
        p.expect(T.R_PAREN)
        return sj.JsonQuery(token.start, kind, arg, path, passing, returning, options)
    return read


def is_json(p: Any, left: Any, pos: int, negated: bool) -> sj.IsJson:
    """IS [NOT] JSON, at the word JSON."""
    p._advance()
    kind: Any = "value"
    if p.at_word("value", "scalar", "array", "object"):
        kind = p._curr.text
        p._advance()
    return sj.IsJson(pos, left, kind, _unique(p), negated)


# JSON_TABLE

def json_table(p: Any, lateral: bool) -> sj.JsonTable:
    """JSON_TABLE(...), at its name."""
    pos = p._curr.start
    p._advance()
    p.expect(T.L_PAREN)
    arg = _value(p)
    p.expect(T.COMMA)
    path = p.expression_at(OR)
    if p._match(T.ALIAS):
        p.name()
    passing = _passing(p)
    columns = _columns(p)
    if p.at_word("plan"):
        _plan(p)
    error = None
    if p.at_word("error", "empty"):
        error = _behavior(p)
        p.expect(T.ON)
        p.expect_word("error")
    p.expect(T.R_PAREN)
    return sj.JsonTable(pos, arg, path, passing, columns, error, lateral)


def _plan(p: Any) -> None:
    """PLAN DEFAULT (OUTER, UNION): what happens anyway."""
    token = p._curr
    p._advance()
    words: list[str] = []
    if p.accept_word("default") and p._match(T.L_PAREN):
        while not p._match(T.R_PAREN):
            words.append(p._curr.text)
            p._advance()
            p._match(T.COMMA)
    if not words or not set(words) <= {"outer", "union"}:
        raise FeatureNotSupported("JSON_TABLE with another PLAN than DEFAULT (OUTER, UNION) is not supported",
                                  position=token.start + 1)


def _columns(p: Any) -> list[sj.JsonColumn]:
    p.expect_word("columns")
    p.expect(T.L_PAREN)
    found = p._parse_csv(lambda: _column(p))
    p.expect(T.R_PAREN)
    return list(found)


def _column(p: Any) -> sj.JsonColumn:
    pos = p._curr.start
    if p.at_word("nested") and (p._next.token_type == T.STRING or p._next.text == "path"):
        p._advance()
        p.accept_word("path")
        path = p._string().value
        if p._match(T.ALIAS):
            p.name()
        return sj.JsonColumn(pos, "nested", "", path=path, columns=_columns(p))
    column = sj.JsonColumn(pos, "value", p.name())
    if p._curr.token_type == T.FOR or p.at_word("for"):
        p._advance()
        p.expect_word("ordinality")
        column.kind = "ordinality"
        return column
    column.type = p.type_name()
    if p.accept_word("exists"):
        column.kind = "exists"
    else:
        column.json = _format(p)
    if p.accept_word("path"):
        column.path = p._string().value
    column.options = _options(p)
    return column


FORMS: dict[str, Callable[[Any, Token], Any]] = {
    "json": _json, "json_array": _array, "json_arrayagg": _array_aggregate, "json_exists": _query("exists"),
    "json_object": _object, "json_objectagg": _object_aggregate, "json_query": _query("query"), "json_scalar": _scalar,
    "json_serialize": _serialize, "json_value": _query("value")}
