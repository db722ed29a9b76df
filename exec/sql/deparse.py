"""Expressions that a catalog keeps (defaults, conditions, index expressions), written as PostgreSQL prints them (hop 2).

PostgreSQL keeps what its parser made of an expression and prints that: constants with the type they were taken for, the
casts it put in, BETWEEN as two comparisons, IN as = ANY. So an expression becomes a tree of `Shown` here by the
parser's rules, with types from the same resolution that binding uses, and `Shown.text` prints it (shown.py). Calls are in
deparse_calls.py, whole queries in deparse_query.py.

Spec: ruleutils.c and parse_expr.c of PostgreSQL 15; its documentation, 9.26 table 9.71.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from shoal.catalog.access import quoted
from shoal.catalog.errors import FeatureNotSupported, SqlError
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.types import BOOL, INT4, OID_LIKE, OIDS, TEXT, UNKNOWN, SqlType, array_of
from shoal.exec.functions.casts import common_type, literal_type, parse_literal
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan import expr as e
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import operator_for
from shoal.exec.sql.context import bare_type
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.rows import is_row
from shoal.exec.sql.shown import Piece, Shown, call, call_of, cannot_be_shown, joined, listed, standing_alone, type_text
from shoal.exec.sql.type_names import resolve_type

if TYPE_CHECKING:
    from shoal.exec.sql.deparse_query import QueryDeparser


@cache
def _operators() -> frozenset[tuple[str, int, int]]:
    return frozenset(zip(*column("pg_operator", "oprname", "oprleft", "oprright"), strict=True))


class Deparser:
    """Makes `Shown` of syntax trees over the columns that `binder` sees. Raises: FeatureNotSupported (0A000) for what
    it cannot print, and all that binding raises."""

    def __init__(self, binder: ExpressionBinder, queries: QueryDeparser | None = None,
                 taken: frozenset[str] = frozenset()) -> None:
        """`queries`: what shows columns and subqueries of a query's expressions, where the names `taken` are used."""
        self.binder, self.settings = binder, binder.context.settings
        self.queries, self.taken = queries, taken

    def default(self, node: Any, target: SqlType) -> Shown:
        """A column's default."""
        shown = self.shown(node)
        return self.constant(shown, target) if shown.type.name == "unknown" else shown

    def settled(self, node: Any) -> Shown:
        return self.coerced(self.shown(node), TEXT, settle=True)

    def called(self, node: s.Function) -> Shown:
        """A function in FROM; what does not look like a call is CAST there."""
        shown = self.shown(node)
        if shown.kind in ("call", "zone") or (shown.kind == "atom" and node.form == "value"):
            return shown
        return call_of(shown.type, "CAST(", shown, f" AS {type_text(shown.type)})")

    # --- casts and constants

    def coerced(self, shown: Shown, target: SqlType, settle: bool = False) -> Shown:
        """With the implicit cast to `target` that it needs; `settle`: only if its type is unknown."""
        target = bare_type(target)
        if shown.type.name == "unknown":
            return self.constant(shown, target)
        if settle or shown.type.name == target.name:
            return shown
        return Shown("cast", target, (shown,), implicit=True)

    def constant(self, shown: Shown, target: SqlType) -> Shown:
        """An untyped constant as one of this type, without its modifier."""
        target = bare_type(target)
        value = shown.symbol
        if shown.kind != "constant":
            raise cannot_be_shown("an untyped expression")
        if shown.pieces == ("NULL",):
            return Shown("constant", target, (f"NULL::{type_text(target)}",))
        if target.name in ("unknown", "record"):
            return shown
        if target.name == "text" or (target.name in OID_LIKE and target.name != "oid"):
            return Shown("constant", target, (f"{_string(value)}::{type_text(target)}",))
        return self._literal(e.Literal(exact := literal_type(value, target), parse_literal(value, exact, self.settings)),
                             target)

    def _literal(self, literal: e.Literal, target: SqlType) -> Shown:
        """get_const_expr: numbers as they are unless they could be taken for others, the rest as strings with their type."""
        text = to_text(array_of_values([literal.value], literal.type), literal.type, self.settings)[0].as_py()
        name = target.name
        if name == "bool":
            return Shown("constant", target, ("true" if literal.value else "false",))
        plain = (name == "int4" and not text.startswith("-")) or (
            name == "numeric" and text[0].isdigit() and any(c in text for c in "eE."))
        return Shown("constant", target, (text if plain else f"{_string(text)}::{type_text(target)}",))

    # --- nodes

    def shown(self, node: Any) -> Shown:
        match node:
            case s.Constant():
                return self._constant(node)
            case s.Name():
                bound = self.binder.bind(node)
                if self.queries is not None:
                    return self.queries.column(self.binder.level, node, bound)
                if is_row(bound):
                    raise cannot_be_shown("a whole row")
                return Shown("atom", bare_type(bound.type), (quoted(node.parts[-1]),))
            case s.Param() if self.binder.context.arguments is not None:
                name = self.binder.level.scope.columns[node.index - 1].name
                return Shown("atom", bare_type(self.binder.bind(node).type), (quoted(name) if name else f"${node.index}",))
            case s.Star() if node.qualifier:
                return self.shown(s.Name(node.pos, node.qualifier))
            case s.Operation():
                return self._operation(node)
            case s.Logical():
                return joined(node.name, self._conjuncts(node))
            case s.Not():
                return Shown("not", BOOL, ("NOT ", self.boolean(node.arg)))
            case s.Is() if node.test in ("null", "true", "false", "unknown"):
                arg = self.settled(node.arg) if node.test == "null" else self.boolean(node.arg)
                return Shown("test", BOOL, (arg, f" IS {'NOT ' if node.negated else ''}{node.test.upper()}"))
            case s.IsDistinct():
                left, right = self.operands("=", self.shown(node.left), self.shown(node.right))
                test = Shown("test", BOOL, (left, " IS DISTINCT FROM ", right))
                return Shown("not", BOOL, ("NOT ", test)) if node.negated else test
            case s.Between():
                return self._between(node)
            case s.Match():
                return self._match(node)
            case s.InList() if not isinstance(node.arg, s.Row):
                return self._in_list(node)
            case s.Quantified() if not node.is_query:
                return self._any(node.symbol, self.shown(node.left), self.shown(node.right), node.every)
            case s.Case():
                return self._case(node)
            case s.Cast():
                return self._cast(node)
            case s.Array():
                return self._array([self.shown(item) for item in node.items])
            case s.Function():
                from shoal.exec.sql.deparse_calls import shown_call
                return shown_call(self, node)
            case s.Subscript():
                return self._subscript(node)
            case s.Row():
                bound = self.binder.bind(node)
                return call("ROW", bare_type(bound.type), [standing_alone(self.shown(item)) for item in node.items])
            case s.FieldOf():
                return self._field(node)
            case s.Subquery() | s.InQuery() | s.Quantified():
                return self._sublink(node)
            case s.Collate():
                arg = self.settled(node.arg)
                return Shown("collate", arg.type, (arg, f" COLLATE {quoted(node.collation[-1])}"))
        raise cannot_be_shown(node)

    def _between(self, node: s.Between) -> Shown:
        def within(low: Any, high: Any) -> Shown:
            signs, word = (("<", ">"), "or") if node.negated else ((">=", "<="), "and")
            return joined(word, [self.operation(sign, self.shown(node.arg), self.shown(bound))
                                 for sign, bound in zip(signs, (low, high), strict=True)])
        if not node.symmetric:
            return within(node.low, node.high)
        return joined("and" if node.negated else "or", [within(node.low, node.high), within(node.high, node.low)])

    def _subscript(self, node: s.Subscript) -> Shown:
        arg = self.shown(node.arg)
        if not arg.type.is_array:
            raise cannot_be_shown(f"a subscript of {arg.type.sql}")
        low, high = ("" if bound is None else self.coerced(self.shown(bound), INT4) for bound in (node.low, node.high))
        pieces: list[Piece] = ["[", *((low, ":", high) if node.slice else (low,)), "]"]
        if arg.symbol == "[" and not node.enclosed:  # m[1][2] is one subscripting
            result = arg.type if node.slice else bare_type(self.binder.bind(node).type)
            return Shown("call", result, (*arg.pieces, *pieces), symbol="[")
        whole: list[Piece] = [arg] if arg.kind in ("atom", "field") else ["(", arg, ")"]
        return Shown("call", bare_type(self.binder.bind(node).type), (*whole, *pieces), symbol="[")

    def _field(self, node: s.FieldOf) -> Shown:
        bound = self.binder.bind(node)
        if node.name == "*" or is_row(bound):
            raise cannot_be_shown(node)
        return self.field_of(self.shown(node.arg), node.name, bare_type(bound.type))

    def field_of(self, row: Shown, name: str, result: SqlType) -> Shown:
        """(row).name"""
        whole: tuple[Piece, ...] = (row,) if row.kind == "field" or row.symbol == "[" else ("(", row, ")")
        return Shown("field", result, (*whole, f".{quoted(name)}"), name=name)

    def _sublink(self, node: s.Subquery | s.InQuery | s.Quantified) -> Shown:
        if self.queries is None:
            raise cannot_be_shown(node)
        level, bound = self.binder.level, self.binder.bind(node)
        if isinstance(node, s.Subquery):
            query = self.queries.subquery(self, node.query)
            if node.kind == "exists":
                return Shown("sublink", BOOL, ("(EXISTS (", query, "))"))
            word = "ARRAY(" if node.kind == "array" else "("
            return Shown("sublink", bare_type(bound.type), (word, query, ")"), symbol="query")
        if isinstance(node, s.InQuery):
            left, right, symbol, every = node.arg, node.query, "=", False
        else:
            left, right, symbol, every = node.left, node.right, node.symbol, node.every
        items = left.items if isinstance(left, s.Row) else [left]
        fields = self.binder.bind_query(right).fields
        sides = [self.operands(symbol, self.shown(item), Shown("atom", bare_type(field.type), ("",)))
                 for item, field in zip(items, fields, strict=True)]
        lefts: tuple[Piece, ...] = (sides[0][0],) if not isinstance(left, s.Row) else (
            "(", *listed([mine for mine, _ in sides]), ")")
        query = self.queries.subquery(self, right)
        assert level is self.binder.level
        if symbol == "=" and not every:
            found = Shown("sublink", BOOL, ("(", *lefts, " IN (", query, "))"))
            return Shown("not", BOOL, ("NOT ", found)) if isinstance(node, s.InQuery) and node.negated else found
        symbol = "<>" if symbol == "!=" else symbol
        return Shown("sublink", BOOL, ("(", *lefts, f" {symbol} {'ALL' if every else 'ANY'} (", query, "))"))

    def _constant(self, node: s.Constant) -> Shown:
        if node.kind == "string":
            return Shown("constant", UNKNOWN, (_string(node.value),), symbol=node.value)
        if node.kind == "null":
            return Shown("constant", UNKNOWN, ("NULL",))
        bound = self.binder.bind(node)
        assert isinstance(bound, e.Literal)
        return self._literal(bound, bare_type(bound.type))

    def _conjuncts(self, node: s.Logical) -> list[Shown]:
        """The operands; the first's own where it is the same, since `a AND b AND c` is one AND to PostgreSQL's parser."""
        first, *rest = node.args
        own = self._conjuncts(first) if isinstance(first, s.Logical) and first.name == node.name else [self.boolean(first)]
        return [*own, *(self.boolean(arg) for arg in rest)]

    def boolean(self, node: Any) -> Shown:
        """A condition."""
        return self.coerced(self.shown(node), BOOL)

    def _operation(self, node: s.Operation) -> Shown:
        if node.left is None:
            bound = self.binder.bind(node)
            if isinstance(bound, e.Literal):
                return self._literal(bound, bare_type(bound.type))
            right = self.shown(node.right)
            found = operator_for(node.symbol, None, right.type)
            return Shown("operator", bare_type(bound.type), (f"{node.symbol} ", self.coerced(right, found.arguments[0])))
        if isinstance(node.left, s.Row) and isinstance(node.right, s.Row):
            pairs = [(self.shown(x), self.shown(y)) for x, y in zip(node.left.items, node.right.items, strict=True)]
            if node.symbol in ("=", "<>", "!="):
                return joined("and" if node.symbol == "=" else "or", [self.operation(node.symbol, *pair) for pair in pairs])
            pairs = [self.operands(node.symbol, *pair) for pair in pairs]
            return Shown("rows", BOOL, ("ROW(", *listed([left for left, _ in pairs]), f") {node.symbol} ROW(",
                                        *listed([right for _, right in pairs]), ")"))
        result = bare_type(self.binder.bind(node).type)
        return self.operation(node.symbol, self.shown(node.left), self.shown(node.right), result)

    def operation(self, symbol: str, left: Shown, right: Shown, result: SqlType = BOOL) -> Shown:
        symbol = "<>" if symbol == "!=" else symbol
        left, right = self.operands(symbol, left, right)
        return Shown("operator", result, (left, f" {symbol} ", right), symbol=symbol)

    def operands(self, symbol: str, left: Shown, right: Shown) -> tuple[Shown, Shown]:
        """With the casts that PostgreSQL's operator of this name needs: none if it has one for just these types."""
        types = [left.type, right.type]
        if "unknown" in (left.type.name, right.type.name):
            types = [right.type if left.type.name == "unknown" else left.type] * 2
        if all(t.name in OIDS for t in types) and (symbol, types[0].oid, types[1].oid) in _operators():
            return self.coerced(left, types[0]), self.coerced(right, types[1])
        found = operator_for(symbol, left.type, right.type)
        return self.coerced(left, found.arguments[0]), self.coerced(right, found.arguments[1])

    def _match(self, node: s.Match) -> Shown:
        left, pattern = self.shown(node.left), self.shown(node.pattern)
        if node.escape is not None or node.kind == "similar":
            name = "similar_to_escape" if node.kind == "similar" else "like_escape"
            arguments = [pattern] if node.escape is None else [pattern, self.shown(node.escape)]
            pattern = call(name, TEXT, [self.coerced(argument, TEXT) for argument in arguments])
        symbol = "~" if node.kind == "similar" else "~~" if node.kind == "like" else "~~*"
        return self.operation(("!" if node.negated else "") + symbol, left, pattern)

    def _in_list(self, node: s.InList) -> Shown:
        """IN: = ANY of an array of what holds no column, and a comparison with each of the others."""
        arg, items = self.shown(node.arg), [(item, self.shown(item)) for item in node.items]
        symbol = "<>" if node.negated else "="
        constants = [shown for item, shown in items if not e.columns_of(self.binder.bind(item))]
        found: list[Shown] = []
        if len(constants) > 1:
            array = self._array(constants, [arg])
            found.append(self._any(symbol, arg, array, node.negated))
            items = [(item, shown) for item, shown in items if shown not in constants]
        found += [self.operation(symbol, arg, shown) for _, shown in items]
        return joined("and" if node.negated else "or", found)

    def _any(self, symbol: str, left: Shown, array: Shown, every: bool) -> Shown:
        symbol = "<>" if symbol == "!=" else symbol
        if array.type.name == "unknown":
            array = self.constant(array, array_of(left.type))
        if not array.type.is_array:
            raise cannot_be_shown("a vector")
        element = Shown("atom", array.type.element, ("",))
        left, wanted = self.operands(symbol, left, element)
        array = self.coerced(array, array_of(wanted.type))
        cast = f"::{type_text(array.type)}" if array.symbol == "query" else ""  # lest it be taken for ANY (query)
        return Shown("any", BOOL, (left, f" {symbol} {'ALL' if every else 'ANY'} (", replace(array), f"{cast})"))

    def _array(self, items: Sequence[Shown], others: Sequence[Shown] = ()) -> Shown:
        """ARRAY[...] of the items' common type, `others` counted in."""
        if any(item.type.is_array for item in items):
            raise cannot_be_shown("an array of arrays")
        element = bare_type(common_type([item.type for item in (*others, *items)], "ARRAY"))
        typed = [self.coerced(item, element) for item in items]
        return Shown("call", array_of(element), ("ARRAY[", *listed(typed), "]"))

    def _case(self, node: s.Case) -> Shown:
        results = [self.shown(then) for _, then in node.whens]
        default = Shown("constant", UNKNOWN, ("NULL",)) if node.default is None else self.shown(node.default)
        target = bare_type(common_type([shown.type for shown in (default, *results)], "CASE"))
        operand: str | Shown = "" if node.operand is None else self.settled(node.operand)
        pieces: list[str | Shown] = [operand]
        for (when, _), result in zip(node.whens, results, strict=True):
            if isinstance(operand, Shown):
                compared = self.operands("=", operand, self.shown(when))
                if compared[0] is not operand:
                    raise cannot_be_shown("a CASE whose operand is cast")
                pieces.append(compared[1])
            else:
                pieces.append(self.boolean(when))
            pieces.append(self.coerced(result, target))
        return Shown("case", target, (*pieces, self.coerced(default, target)))

    def _cast(self, node: s.Cast) -> Shown:
        target = resolve_type(node.type, self.binder.context)
        bare = bare_type(target)
        if isinstance(node.arg, s.Array) and target.is_array:
            if not node.arg.items:
                return Shown("call", bare, (f"ARRAY[]::{type_text(bare)}",))
            items = [self.written(self.shown(item), bare.element, bare.element) for item in node.arg.items]
            return Shown("call", bare, ("ARRAY[", *listed(items), "]"))
        if node.type.fields:
            bound = self.binder.bind(node)
            if isinstance(bound, e.Literal):
                return self._literal(bound, bound.type)
            raise cannot_be_shown("a cast to fields of an interval")
        return self.written(self.shown(node.arg), bare, target)

    def written(self, shown: Shown, bare: SqlType, target: SqlType) -> Shown:
        """`shown` under a cast that was written."""
        if shown.type.name == "unknown":
            shown = self.constant(shown, bare)
        if target.modifier is not None and target.modifier >= 0:
            raise cannot_be_shown("a cast to a precision of time")
        if shown.type.name == bare.name and target == bare:
            return shown
        return Shown("cast", target, (shown,))


def _string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def shown_or_none(deparse: Any, *arguments: Any) -> Shown | None:
    """What `deparse` gives; None for an expression that cannot be printed, which is then kept as it was written."""
    try:
        found: Shown = deparse(*arguments)
    except (FeatureNotSupported, SqlError):
        return None
    return found
