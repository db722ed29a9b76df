"""Expressions of the plan in the connectors' terms: each call as its declaration spells it in the source's dialect.

    left(name, 2) = 'ab' OR a % b = 1   ->   (left("name", 2) = 'ab' OR ("a" % nullif("b", 0)) = 1) OR "b" = 0

Whatever may raise has a `doubt` (exec/functions/spelling.py): its rows are read too, and the conjunct is evaluated here
as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.catalog.connector import SupportsExpressions
from shoal.catalog.expressions import SourceCall, SourceColumn, SourceConstant, SourceExpression
from shoal.catalog.types import to_python
from shoal.exec.functions import registry
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal

_LARGEST, _DEEPEST = 1000, 50
_WIDENING = {("int2", "int4"), ("int2", "int8"), ("int4", "int8"), ("int2", "numeric"), ("int4", "numeric"),
             ("int8", "numeric"), ("numeric", "numeric"), ("float4", "float8"), ("varchar", "text")}
"""Casts that give each value as itself."""


def in_source_terms(part: Expr, names: Mapping[int, str],
                    source: SupportsExpressions) -> tuple[SourceExpression, bool] | None:
    """(the conjunct for a source, whether it decides it alone), None where it cannot be put so. `names` are the source's
    columns by id."""
    translation = _Translation(names, source)
    found = translation.of(part)
    if found is None:
        return None
    if not translation.doubts:
        return found, True
    return SourceCall("({0* OR })", (found, *dict.fromkeys(translation.doubts))), False


class _Translation:
    def __init__(self, names: Mapping[int, str], source: SupportsExpressions) -> None:
        self.names, self.source = names, source
        self.doubts: list[SourceExpression] = []
        self.seen = 0
        self.sizes: dict[int, int] = {}
        """How many columns and constants a call comes to by its id: spellings may repeat an argument."""

    def of(self, expr: Expr, depth: int = 0) -> SourceExpression | None:
        self.seen += 1
        if self.seen > _LARGEST or depth > _DEEPEST or len(expr.children()) > _LARGEST:
            return None
        if expr.type.name not in self.source.expression_types:
            return None
        match expr:
            case ColumnRef():
                return SourceColumn(self.names[expr.id], expr.type) if expr.id in self.names else None
            case Literal():
                return SourceConstant(to_python(expr.value, expr.type), expr.type)
            case Cast():
                if (expr.arg.type.name, expr.type.name) not in _WIDENING or expr.type.length is not None:
                    return None
                if expr.type.name == "numeric" and not expr.type.varies and not (
                        expr.arg.type.is_integer and not expr.type.scale):
                    return None
                text = f"({{0}})::{expr.type.name}" if self.source.dialect == "postgres" else "{0}"
                return self._call(text, (expr.arg,), depth)
            case Case():
                count = len(expr.conditions)
                whens = " ".join(f"WHEN {{{i}}} THEN {{{count + i}}}" for i in range(count))
                return self._call(f"(CASE {whens} ELSE {{{2 * count}}} END)", expr.children(), depth)
            case Call():
                return self._spelled(expr, depth)
        return None

    def _spelled(self, call: Call, depth: int) -> SourceExpression | None:
        if call.name == "eq_any" and isinstance(array := call.args[1], Literal) and isinstance(array.value, tuple):
            if len(array.value) > _LARGEST:
                return None
            items = tuple(Literal(array.type.element, value) for value in array.value)
            return self.of(Call(call.type, "in", (call.args[0], *items)), depth) if items else None
        function = registry.fitting(call.name, [arg.type for arg in call.args])
        if function is None or call.volatile or function.volatility != "immutable":
            return None
        for spelling in function.spelled.get(self.source.dialect, ()):
            if spelling.when is None or spelling.when(call.args):
                return self._call(spelling.text, call.args, depth, spelling.doubt)
        return None

    def _call(self, text: str, args: tuple[Expr, ...], depth: int, doubt: str = "") -> SourceExpression | None:
        made = []
        for arg in args:
            one = self.of(arg, depth + 1)
            if one is None:
                return None
            made.append(one)
        known = tuple(made)
        if doubt:
            doubtful = self._made(doubt, known)
            if doubtful is None or len(self.doubts) > _DEEPEST:
                return None
            self.doubts.append(doubtful)
        return self._made(text, known)

    def _made(self, text: str, args: tuple[SourceExpression, ...]) -> SourceCall | None:
        size = sum(max(1, text.count(f"{{{place}}}")) * self.sizes.get(id(arg), 1) for place, arg in enumerate(args))
        if size > _LARGEST:
            return None
        made = SourceCall(text, args)
        self.sizes[id(made)] = size
        return made
