"""How sources write calls of functions: the push-down spellings that declarations carry (`spelled`).

A spelling says by dialect (SupportsExpressions.dialect) what SQL gives exactly Shoal's answer for all values, and raises
for none. Where Shoal raises, the spelling gives anything, and its `doubt` is true: such rows are sent to Shoal, which
then decides. So a source never fails a query for a row that another filter removes. What depends on settings, locales
or the last digit of a float has no spelling. Strings are under one collation that orders by code point.

Spellings are closed: a call, or in parentheses. A hole is described at `catalog.expressions.SourceCall`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.exec.plan.expr import Cast, Expr, Literal

Spellings = Mapping[str, "tuple[Spelling, ...]"]
"""By dialect, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """`doubt`: a condition with the same holes. `when`: whether calls with these arguments are spelled so."""

    text: str
    doubt: str = ""
    when: Callable[[Sequence[Expr]], bool] | None = None


Given = str | Spelling | Sequence[Spelling]


def spelled(postgres: Given = (), sqlite: Given = ()) -> Spellings:
    """What a declaration carries."""
    return {dialect: found for dialect, given in (("postgres", postgres), ("sqlite", sqlite)) if (found := _listed(given))}


def _listed(given: Given) -> tuple[Spelling, ...]:
    return (Spelling(given),) if isinstance(given, str) else (given,) if isinstance(given, Spelling) else tuple(given)


def everywhere(text: str, when: Callable[[Sequence[Expr]], bool] | None = None) -> Spellings:
    """The same in all dialects."""
    return spelled(Spelling(text, when=when), Spelling(text, when=when))


def alike(args: Sequence[Expr]) -> bool:
    """Arguments of a polymorphic function that no source has to convert to each other's types."""
    kinds = {"text" if arg.type.name == "varchar" else "integer" if arg.type.is_integer else arg.type.name for arg in args}
    return len(kinds) == 1


def bounded(args: Sequence[Expr]) -> bool:
    """Numerics of so few digits that nothing overflows."""
    return all(not arg.type.varies or isinstance(arg, Literal) or (isinstance(arg, Cast) and arg.arg.type.is_integer)
               for arg in args)


def constant(place: int, holds: Callable[[Any], bool]) -> Callable[[Sequence[Expr]], bool]:
    """The argument at this place is a constant of this kind; places from the end are negative."""
    def when(args: Sequence[Expr]) -> bool:
        arg = args[place]
        return isinstance(arg, Literal) and arg.value is not None and holds(arg.value)
    return when


_LIMITS = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 63}


def integer_operation(symbol: str, kind: str) -> Spellings:
    """+, - and *: in a wider type, and brought back into the result's, modulo the count of its values."""
    limit, wide = _LIMITS[kind], "numeric" if kind == "int8" else "int8"
    low, high = -limit, limit - 1
    there = f"{{0}}::{wide} {symbol} {{1}}::{wide}"
    folded = f"(({there} + {limit}) & {2 * limit - 1})"
    if kind == "int8":
        folded = f"mod(mod({there} + {limit}, {2 * limit}) + {2 * limit}, {2 * limit})"
    here = f"({{0}} {symbol} {{1}})"  # SQLite goes on in floats where int8 ends
    return spelled(Spelling(f"({folded} - {limit})::{kind}", f"(({there}) NOT BETWEEN {low} AND {high})"),
                   Spelling(here, f"(typeof({here}) = 'real')" if kind == "int8" else
                            f"({here} NOT BETWEEN {low} AND {high})"))


def least_integer(text: str, kind: str) -> Spellings:
    """A function of one integer, written `text`, that is defined for all but the least."""
    low = f"({-_LIMITS[kind]})::{kind}"
    here = f"({-_LIMITS[kind]})"
    return spelled(Spelling(text.replace("{0}", f"nullif({{0}}, {low})"), f"({{0}} = {low})"),
                   Spelling(text.replace("{0}", f"nullif({{0}}, {here})"), f"({{0}} = {here})"))


_DAYS = ("century", "day", "decade", "dow", "doy", "isodow", "isoyear", "millennium", "month", "quarter", "week", "year")
_CLOCK = ("hour", "minute")
_FRACTIONS = ("epoch", "microseconds", "milliseconds", "second")


def _is(field: str) -> Callable[[Sequence[Expr]], bool]:
    return constant(0, lambda value: value == field)


def fields(kind: str, name: str = "extract") -> Spellings:
    """extract(field FROM x) of a `kind` that knows no time zone; date_part, a float, of whole fields only."""
    known = {"date": _DAYS, "time": _CLOCK, "timestamp": _DAYS + _CLOCK}.get(kind, ())
    if name == "extract" and known:
        known += _FRACTIONS if kind != "date" else ("epoch",)
    text = "extract({} FROM {{1}})" if name == "extract" else "date_part('{}', {{1}})"
    return spelled([Spelling(text.format(field), when=_is(field)) for field in known])


def truncations() -> Spellings:
    """date_trunc of a timestamp; the first days there are lie in no whole month."""
    first = "timestamp '4000-01-01 00:00:00 BC'"
    return spelled([
        *(Spelling(f"date_trunc('{field}', {{1}})", when=_is(field))
          for field in ("microseconds", "milliseconds", "second", "minute", "hour", "day")),
        *(Spelling(f"(CASE WHEN {{1}} >= {first} THEN date_trunc('{field}', {{1}}) END)", f"({{1}} < {first})",
                   when=_is(field)) for field in ("week", "month", "quarter", "year"))])
