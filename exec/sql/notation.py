"""f(name => value) and f(VARIADIC array) of PostgreSQL's own functions (hop 2).

Names and defaults of arguments are pg_proc's, which Shoal ships; they are read when a call first needs them.

Spec: PostgreSQL 15 documentation, 4.3 "Calling Functions" and 38.5.6 "SQL Functions with Variable Numbers of Arguments".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, UndefinedFunction
from shoal.catalog.types import SqlType
from shoal.exec.functions.registry import POLYMORPHIC, Function, Resolution, find, named_type
from shoal.exec.plan.expr import Expr, Literal
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import bare_type, fail

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder


@dataclass(frozen=True)
class Declared:
    """What pg_proc says of one function's arguments: their names in order, and the texts of the last ones' defaults."""

    names: tuple[str, ...]
    defaults: str
    """SQL, one expression for each default with commas between."""
    optional: int
    """How many there are."""


@cache
def _declared() -> dict[str, list[Declared]]:
    from shoal.catalog.pg_catalog.static import column
    found: dict[str, list[Declared]] = {}
    for name, names, modes, count, defaults, optional in zip(*column(
            "pg_proc", "proname", "proargnames", "proargmodes", "pronargs", "proargdefaults", "pronargdefaults"),
            strict=True):
        if names:
            inputs = [one for one, mode in zip(names, modes or "i" * len(names), strict=True) if mode in "ibv"]
            found.setdefault(name, []).append(Declared(tuple(inputs[:count]), defaults or "", optional or 0))
    return found


def by_name(b: ExpressionBinder, node: s.Function, args: Sequence[Expr]) -> list[Expr]:
    """The arguments of a call in the function's order, with defaults for those before the last given one.

    Raises: UndefinedFunction (42883) where no function of the name has such arguments."""
    for declared in _declared().get(node.name[-1], ()):
        placed = _placed(declared, node, args)
        if placed is not None:
            return [placed[i] if i in placed else _default(b, declared, i) for i in range(max(placed) + 1)]
    types = [bare_type(arg.type).sql for arg in args]
    given = ", ".join(f"{node.arg_names[i]} => {name}" if i in node.arg_names else name for i, name in enumerate(types))
    fail(UndefinedFunction, f"function {'.'.join(node.name)}({given}) does not exist", node.pos,
         hint="No function matches the given name and argument types. You might need to add explicit type casts.")


def _placed(declared: Declared, node: s.Function, args: Sequence[Expr]) -> dict[int, Expr] | None:
    """The arguments by their places; None where the function has no such, or others without defaults are missing."""
    placed: dict[int, Expr] = {}
    for i, arg in enumerate(args):
        name = node.arg_names.get(i)
        if name is not None and name not in declared.names:
            return None
        place = i if name is None else declared.names.index(name)
        if place in placed or place >= len(declared.names):
            return None
        placed[place] = arg
    needed = len(declared.names) - declared.optional
    return placed if all(place in placed for place in range(needed)) else None


def _default(b: ExpressionBinder, declared: Declared, place: int) -> Expr:
    from shoal.exec.sql.stored_expressions import parsed
    row = parsed(f"ROW({declared.defaults})")
    return b.bind(row.items[place - len(declared.names) + declared.optional])


def spread(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> tuple[Resolution | None, list[Expr]]:
    """What f(..., VARIADIC array) means: a form of f that takes the array, or f of the array's items.

    A function that is not variadic takes the array as its last argument (None, and the arguments as they are).
    Raises: DatatypeMismatch (42804) for no array, FeatureNotSupported (0A000) where items are not known while binding."""
    overloads = find(node.name[-1])
    if not any(function.variadic for function in overloads):
        return None, args
    if not args[-1].type.is_array and args[-1].type.name != "unknown":
        fail(DatatypeMismatch, "VARIADIC argument must be an array", s.place(node.args[-1]))
    twin = next((f for f in (*find(node.name[-1] + "_variadic"), *overloads) if not f.variadic and _takes(f, args)), None)
    if twin is not None:
        assert isinstance(twin.returns, SqlType)
        types = tuple(arg.type if want in POLYMORPHIC else named_type(want)
                      for arg, want in zip(args, twin.arguments, strict=True))
        return Resolution(twin, types, twin.returns), args
    last = node.args[-1]
    if isinstance(last, s.Array):
        return None, [*args[:-1], *(b.bind(item) for item in last.items)]
    if isinstance(args[-1], Literal) and args[-1].type.is_array and isinstance(args[-1].value, (tuple, list)):
        return None, [*args[:-1], *(Literal(args[-1].type.element, v) for v in args[-1].value)]
    fail(FeatureNotSupported, "VARIADIC with an array that is not a constant is not supported", node.pos)


def _takes(function: Function, args: Sequence[Expr]) -> bool:
    """Whether an overload is the form for arrays of a variadic function."""
    if len(function.arguments) != len(args) or not isinstance(function.returns, SqlType):
        return False
    last = function.arguments[-1]
    return last in ("anyarray", args[-1].type.name) or (last.startswith("_") and args[-1].type.name == "unknown")
