"""Expressions that a catalog keeps (defaults, conditions, index expressions), written as PostgreSQL prints them (hop 2).

PostgreSQL keeps what its parser made of an expression and prints that: constants with the type they were taken for, the
casts it put in, BETWEEN as two comparisons, IN as = ANY. So an expression becomes a tree of `Shown` here by the
parser's rules, with types from the same resolution that binding uses, and `Shown.text` prints it by ruleutils.c's: with
parentheses around every operator, or "pretty", only where they are needed.

Spec: ruleutils.c and parse_expr.c of PostgreSQL 15; its documentation, 9.26 table 9.71.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from shoal.catalog.access import quoted
from shoal.catalog.errors import FeatureNotSupported, SqlError
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.types import BOOL, INT4, OID_LIKE, OIDS, TEXT, UNKNOWN, SqlType, array_of
from shoal.exec.functions.casts import common_type, literal_type, parse_literal
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan import expr as e
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import function_for, operator_for
from shoal.exec.sql.context import bare_type
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.rows import is_row
from shoal.exec.sql.type_names import resolve_type

_UNIFYING = frozenset({"coalesce", "greatest", "least"})
_TRIMS = {"ltrim": "LEADING", "rtrim": "TRAILING", "btrim": "BOTH"}
_INDENT = 4
_BARE_NAMES = {"bpchar": "bpchar", "char": '"char"'}
"""Types whose name without a modifier is not format_type()'s."""


@dataclass(frozen=True)
class Shown:
    """A part of an expression. `pieces`: its text, with its operands in place.

    `kind`: constant, atom and call need no parentheses of their own; operator, test, and, or, not, any, collate and zone
    have them unless pretty; cast has them around its operand.
    """

    kind: str
    type: SqlType
    pieces: tuple[str | Shown, ...]
    implicit: bool = False
    """Of a cast: nobody wrote it."""
    symbol: str = ""
    """Of an operator with two operands."""

    def text(self, pretty: bool) -> str:
        return _Printer(pretty).whole(self)

    @property
    def is_call(self) -> bool:
        """Whether an index shows it without parentheses around it."""
        found = self.operand if self.kind == "cast" and self.implicit else self
        return found.kind == "call"

    @property
    def operand(self) -> Shown:
        found = self.pieces[0]
        assert isinstance(found, Shown)
        return found


class _Printer:
    def __init__(self, pretty: bool) -> None:
        self.pretty, self.out, self.level = pretty, "", 0

    def whole(self, shown: Shown) -> str:
        self.show(shown, False)
        return self.out

    def show(self, shown: Shown, casts: bool) -> None:
        """`casts`: also the implicit one that `shown` may be."""
        kind = shown.kind
        if kind == "cast":
            self._cast(shown, casts)
        elif kind == "case":
            self._case(shown)
        elif kind in ("constant", "atom", "call"):
            for piece in shown.pieces:
                if isinstance(piece, str):
                    self.out += piece
                else:
                    self.show(piece, True)
        else:
            bare = self.pretty and kind not in ("zone", "rows")
            self.out += "" if bare else "("
            for piece in shown.pieces:
                if isinstance(piece, str):
                    self.out += piece
                else:
                    self._nested(piece, shown, True)
            self.out += "" if bare else ")"

    def _nested(self, shown: Shown, parent: Shown, casts: bool) -> None:
        parentheses = self.pretty and not _is_simple(shown, parent)
        self.out += "(" if parentheses else ""
        self.show(shown, casts)
        self.out += ")" if parentheses else ""

    def _cast(self, shown: Shown, casts: bool) -> None:
        operand = shown.operand
        if shown.implicit and not casts:
            self._nested(operand, shown, False)
            return
        if operand.kind == "constant" and operand.type.name == shown.type.name:
            self.out += str(operand.pieces[0]).removesuffix("::" + _type_text(operand.type))
        else:
            self.out += "" if self.pretty else "("
            self._nested(operand, shown, False)
            self.out += "" if self.pretty else ")"
        self.out += "::" + _type_text(shown.type)

    def _case(self, shown: Shown) -> None:
        """The pieces: the operand or "", then a condition and a result in turn, the default last."""
        operand, *branches, default = shown.pieces
        self._line("CASE")
        self.level += _INDENT
        if isinstance(operand, Shown):
            self.out += " "
            self.show(operand, True)
        for condition, result in zip(branches[::2], branches[1::2], strict=True):
            assert isinstance(condition, Shown) and isinstance(result, Shown)
            self._line("WHEN ")
            self.show(condition, False)
            self.out += " THEN "
            self.show(result, True)
        assert isinstance(default, Shown)
        self._line("ELSE ")
        self.show(default, True)
        self.level -= _INDENT
        self._line("END")

    def _line(self, word: str) -> None:
        self.out = self.out.rstrip(" ") + "\n" + " " * self.level + word


def _is_simple(shown: Shown, parent: Shown) -> bool:
    """isSimpleNode of ruleutils.c: whether the pretty form needs no parentheses around `shown` inside `parent`."""
    kind = shown.kind
    if kind in ("constant", "atom", "call", "case", "zone"):
        return True
    if kind == "cast":
        relabels = shown.type.is_string or shown.operand.type.is_string
        return _is_simple(shown.operand, shown) if relabels else True
    if kind == "operator" and parent.kind == "operator" and shown.symbol and parent.symbol:
        low, high = parent.symbol in "+-", parent.symbol in "*/%"
        own_low, own_high = shown.symbol in "+-", shown.symbol in "*/%"
        if low and own_high:
            return True
        if (low and own_low) or (high and own_high):
            return parent.pieces[0] is shown
    if kind in ("operator", "test"):
        return parent.kind in ("and", "or", "not", "call", "case")
    if kind in ("and", "not"):
        return parent.kind in ("and", "or", "call", "case")
    if kind == "or":
        return parent.kind in ("or", "call", "case")
    return False


def _type_text(sql_type: SqlType) -> str:
    if sql_type.length is None and not sql_type.is_array and sql_type.name in _BARE_NAMES:
        return _BARE_NAMES[sql_type.name]
    return sql_type.sql


@cache
def _operators() -> frozenset[tuple[str, int, int]]:
    return frozenset(zip(*column("pg_operator", "oprname", "oprleft", "oprright"), strict=True))


class Deparser:
    """Makes `Shown` of syntax trees over the columns that `binder` sees. Raises: FeatureNotSupported (0A000) for what
    it cannot print, and all that binding raises."""

    def __init__(self, binder: ExpressionBinder) -> None:
        self.binder, self.settings = binder, binder.context.settings

    def default(self, node: Any, target: SqlType) -> Shown:
        """A column's default."""
        shown = self.shown(node)
        return self.constant(shown, target) if shown.type.name == "unknown" else shown

    def settled(self, node: Any) -> Shown:
        return self.coerced(self.shown(node), TEXT, settle=True)

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
            raise FeatureNotSupported("an untyped expression cannot be shown")
        if shown.pieces == ("NULL",):
            return self._null(target)
        if target.name in ("unknown", "record"):
            return shown
        if target.name == "text" or (target.name in OID_LIKE and target.name != "oid"):
            return Shown("constant", target, (f"{_string(value)}::{_type_text(target)}",))
        return self._literal(e.Literal(exact := literal_type(value, target), parse_literal(value, exact, self.settings)),
                             target)

    def _null(self, target: SqlType) -> Shown:
        return Shown("constant", target, (f"NULL::{_type_text(target)}",))

    def _literal(self, literal: e.Literal, target: SqlType) -> Shown:
        """get_const_expr: numbers as they are unless they could be taken for others, the rest as strings with their type."""
        text = to_text(array_of_values([literal.value], literal.type), literal.type, self.settings)[0].as_py()
        name = target.name
        if name == "bool":
            return Shown("constant", target, ("true" if literal.value else "false",))
        plain = (name == "int4" and not text.startswith("-")) or (
            name == "numeric" and text[0].isdigit() and any(c in text for c in "eE."))
        return Shown("constant", target, (text if plain else f"{_string(text)}::{_type_text(target)}",))

    # --- nodes

    def shown(self, node: Any) -> Shown:
        match node:
            case s.Constant():
                return self._constant(node)
            case s.Name():
                bound = self.binder.bind(node)
                if is_row(bound):
                    raise FeatureNotSupported("a whole row cannot be shown")
                return Shown("atom", bare_type(bound.type), (quoted(node.parts[-1]),))
            case s.Operation():
                return self._operation(node)
            case s.Logical():
                return _joined(node.name, self._conjuncts(node))
            case s.Not():
                return Shown("not", BOOL, ("NOT ", self.boolean(node.arg)))
            case s.Is() if node.test in ("null", "true", "false", "unknown"):
                arg = self.settled(node.arg) if node.test == "null" else self.boolean(node.arg)
                return Shown("test", BOOL, (arg, f" IS {'NOT ' if node.negated else ''}{node.test.upper()}"))
            case s.IsDistinct():
                left, right = self._operands("=", self.shown(node.left), self.shown(node.right))
                test = Shown("test", BOOL, (left, " IS DISTINCT FROM ", right))
                return Shown("not", BOOL, ("NOT ", test)) if node.negated else test
            case s.Between() if not node.symmetric:
                signs, word = (("<", ">"), "or") if node.negated else ((">=", "<="), "and")
                low, high = (self.operation(sign, self.shown(node.arg), self.shown(bound))
                             for sign, bound in zip(signs, (node.low, node.high), strict=True))
                return Shown(word, BOOL, (low, f" {word.upper()} ", high))
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
            case s.Function() if not (node.star or node.over or node.filter or node.order or node.variadic
                                      or node.arg_names):
                return self._function(node)
            case s.Subscript() if not node.slice:
                arg = self.shown(node.arg)
                if arg.type.is_array and arg.kind == "atom":
                    index = self.coerced(self.shown(node.low), INT4)
                    return Shown("call", arg.type.element, (arg, "[", index, "]"))
            case s.Row():
                return _call("ROW", SqlType("record"), [self.settled(item) for item in node.items])
            case s.Collate():
                arg = self.settled(node.arg)
                return Shown("collate", arg.type, (arg, f" COLLATE {quoted(node.collation[-1])}"))
        raise FeatureNotSupported(f"{type(node).__name__} cannot be shown")

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
                return _joined("and" if node.symbol == "=" else "or", [self.operation(node.symbol, *pair) for pair in pairs])
            pairs = [self._operands(node.symbol, *pair) for pair in pairs]
            return Shown("rows", BOOL, ("ROW(", *_listed([left for left, _ in pairs]), f") {node.symbol} ROW(",
                                        *_listed([right for _, right in pairs]), ")"))
        result = bare_type(self.binder.bind(node).type)
        return self.operation(node.symbol, self.shown(node.left), self.shown(node.right), result)

    def operation(self, symbol: str, left: Shown, right: Shown, result: SqlType = BOOL) -> Shown:
        symbol = "<>" if symbol == "!=" else symbol
        left, right = self._operands(symbol, left, right)
        return Shown("operator", result, (left, f" {symbol} ", right), symbol=symbol)

    def _operands(self, symbol: str, left: Shown, right: Shown) -> tuple[Shown, Shown]:
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
            pattern = _call(name, TEXT, [self.coerced(argument, TEXT) for argument in arguments])
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
        return _joined("and" if node.negated else "or", found)

    def _any(self, symbol: str, left: Shown, array: Shown, every: bool) -> Shown:
        symbol = "<>" if symbol == "!=" else symbol
        if array.type.name == "unknown":
            array = self.constant(array, array_of(left.type))
        if not array.type.is_array:
            raise FeatureNotSupported("a vector cannot be shown")
        element = Shown("atom", array.type.element, ("",))
        left, wanted = self._operands(symbol, left, element)
        array = self.coerced(array, array_of(wanted.type))
        return Shown("any", BOOL, (left, f" {symbol} {'ALL' if every else 'ANY'} (", replace(array), ")"))

    def _array(self, items: Sequence[Shown], others: Sequence[Shown] = ()) -> Shown:
        """ARRAY[...] of the items' common type, `others` counted in."""
        if any(item.type.is_array for item in items):
            raise FeatureNotSupported("an array of arrays cannot be shown")
        element = bare_type(common_type([item.type for item in (*others, *items)], "ARRAY"))
        typed = [self.coerced(item, element) for item in items]
        return Shown("call", array_of(element), ("ARRAY[", *_listed(typed), "]"))

    def _case(self, node: s.Case) -> Shown:
        results = [self.shown(then) for _, then in node.whens]
        default = Shown("constant", UNKNOWN, ("NULL",)) if node.default is None else self.shown(node.default)
        target = bare_type(common_type([shown.type for shown in (default, *results)], "CASE"))
        operand: str | Shown = "" if node.operand is None else self.settled(node.operand)
        pieces: list[str | Shown] = [operand]
        for (when, _), result in zip(node.whens, results, strict=True):
            if isinstance(operand, Shown):
                compared = self._operands("=", operand, self.shown(when))
                if compared[0] is not operand:
                    raise FeatureNotSupported("a CASE whose operand is cast cannot be shown")
                pieces.append(compared[1])
            else:
                pieces.append(self.boolean(when))
            pieces.append(self.coerced(result, target))
        return Shown("case", target, (*pieces, self.coerced(default, target)))

    def _cast(self, node: s.Cast) -> Shown:
        target = resolve_type(node.type)
        bare = bare_type(target)
        if isinstance(node.arg, s.Array) and target.is_array:
            if not node.arg.items:
                return Shown("call", bare, (f"ARRAY[]::{_type_text(bare)}",))
            items = [self._written(self.shown(item), bare.element, bare.element) for item in node.arg.items]
            return Shown("call", bare, ("ARRAY[", *_listed(items), "]"))
        if node.type.fields:
            bound = self.binder.bind(node)
            if isinstance(bound, e.Literal):
                return self._literal(bound, bound.type)
            raise FeatureNotSupported("a cast to fields of an interval cannot be shown")
        return self._written(self.shown(node.arg), bare, target)

    def _written(self, shown: Shown, bare: SqlType, target: SqlType) -> Shown:
        """`shown` under a cast that was written."""
        if shown.type.name == "unknown":
            shown = self.constant(shown, bare)
        if target.modifier is not None and target.modifier >= 0:
            raise FeatureNotSupported("a cast to a precision of time cannot be shown")
        if shown.type.name == bare.name and target == bare:
            return shown
        return Shown("cast", target, (shown,))

    def _function(self, node: s.Function) -> Shown:
        name = node.name[-1]
        bound = self.binder.bind(node)
        result = bare_type(bound.type)
        if node.form == "value":
            given = "".join(f"({arg.value})" for arg in node.args)
            return Shown("atom", result, (("current_user" if name == "user" else name).upper() + given,))
        args = [self.shown(arg) for arg in node.args]
        if name in _UNIFYING:
            target = bare_type(common_type([arg.type for arg in args], name.upper()))
            return _call(name.upper(), target, [self.coerced(arg, target) for arg in args])
        if name == "nullif":
            return _call("NULLIF", result, self._operands("=", *args))
        if isinstance(bound, e.Cast) and len(args) == 1 and name in OIDS:  # int4(x)
            return self._written(args[0], result, bound.type)
        if not isinstance(bound, (e.Call, e.Literal)):
            raise FeatureNotSupported(f"{name} cannot be shown")
        found = function_for(name, [e.Literal(arg.type, None) for arg in args])
        args = [self.coerced(arg, want) if want.name not in ("any", "unknown") else arg
                for arg, want in zip(args, found.arguments, strict=True)]
        if node.form == "words":
            return _special(name, result, args, node)
        return _call(quoted(name), result, args)


def _special(name: str, result: SqlType, args: Sequence[Shown], node: s.Function) -> Shown:
    """get_func_sql_syntax: what SQL has words for."""
    if name == "timezone":
        return Shown("zone", result, (args[1], " AT TIME ZONE ", args[0]))
    if name == "extract":
        return _call_of(result, "EXTRACT(", f"{node.args[0].value} FROM ", args[1], ")")
    if name == "position":
        return _call_of(result, "POSITION((", args[1], ") IN (", args[0], "))")
    if name in _TRIMS:
        characters = (" ", args[1]) if len(args) > 1 else ()
        return _call_of(result, f"TRIM({_TRIMS[name]}", *characters, " FROM ", args[0], ")")
    if name == "substring":
        words = (" FROM ", " FOR ")
    elif name == "overlay":
        words = (" PLACING ", " FROM ", " FOR ")  # type: ignore[assignment]
    else:
        raise FeatureNotSupported(f"{name} cannot be shown")
    rest = [piece for word, arg in zip(words, args[1:], strict=False) for piece in (word, arg)]
    return _call_of(result, f"{name.upper()}(", args[0], *rest, ")")


def _call_of(result: SqlType, *pieces: str | Shown) -> Shown:
    return Shown("call", result, pieces)


def _call(name: str, result: SqlType, args: Sequence[Shown]) -> Shown:
    return Shown("call", result, (f"{name}(", *_listed(args), ")"))


def _listed(items: Sequence[Shown]) -> list[str | Shown]:
    return [piece for item in items for piece in (", ", item)][1:]


def _joined(word: str, parts: Sequence[Shown]) -> Shown:
    if len(parts) == 1:
        return parts[0]
    return Shown(word, BOOL, tuple(piece for part in parts for piece in (f" {word.upper()} ", part))[1:])


def _string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def shown_or_none(deparse: Any, *arguments: Any) -> Shown | None:
    """What `deparse` gives; None for an expression that cannot be printed, which is then kept as it was written."""
    try:
        found: Shown = deparse(*arguments)
    except (FeatureNotSupported, SqlError):
        return None
    return found
