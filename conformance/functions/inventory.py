"""PostgreSQL's functions, operators and casts beside the registry: what is missing, and what is declared differently.

PostgreSQL's side is read from the system catalogs that Shoal ships (catalog/pg_catalog/data, rows of a real
PostgreSQL 15), so that the manual page needs no server; `python -m conformance.functions` compares them with a live one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from conformance.functions import scope
from shoal.catalog.errors import SqlError
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.types import OIDS, SqlType
from shoal.exec.functions import resolve_function, resolve_operator
from shoal.exec.functions.casts import cast_context
from shoal.exec.functions.registry import POLYMORPHIC, Function, Resolution, named_type

_STANDS_FOR = {"any": "int4", "anyelement": "int4", "anyarray": "_int4", "anynonarray": "int4", "anyrange": "int4range",
               "anymultirange": "int4multirange", "anycompatible": "int4", "anycompatiblearray": "_int4",
               "anycompatiblenonarray": "int4", "anycompatiblerange": "int4range",
               "anycompatiblemultirange": "int4multirange", "anyenum": "enum"}
"""What a polymorphic argument is tried with."""
_VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}
_CONTEXT = {"i": "implicit", "a": "assignment", "e": "explicit"}
BOUND = frozenset({"row_to_json", "json_populate_record", "json_populate_recordset", "jsonb_populate_record",
                   "jsonb_populate_recordset", "enum_first", "enum_last", "enum_range", "grouping"})
"""Names that the binder makes expressions of itself (exec/sql/calls.py)."""


_OF_ROWS = ("*=", "*<>")
"""Operators that the binder takes apart (exec/sql/rows.py), as it does comparisons of enums (exec/sql/coercion.py)."""


@dataclass(frozen=True)
class Signature:
    """A function or operator of PostgreSQL; types by their pg_type names, defaults still among the arguments."""

    name: str
    arguments: tuple[str, ...]
    returns: str
    volatility: str
    strict: bool
    kind: str
    """function, aggregate, window or operator."""
    defaults: int = 0
    variadic: bool = False
    set: bool = False

    @property
    def category(self) -> str:
        return scope.category(self.name, (*self.arguments, self.returns))

    def __str__(self) -> str:
        if self.kind == "operator":
            return f"{self.arguments[0]} {self.name} {self.arguments[1]}" if len(self.arguments) == 2 else (
                f"{self.name} {self.arguments[0]}")
        types = [*self.arguments[:-1], f"VARIADIC {self.arguments[-1]}"] if self.variadic else list(self.arguments)
        return f"{self.name}({', '.join(types)})"


@dataclass(frozen=True)
class Finding:
    """What is wrong with a signature: `missing`, `volatility`, `strict` or `result`."""

    signature: Signature
    what: str
    have: str = ""
    want: str = ""


@cache
def type_names() -> dict[int, str]:
    return dict(zip(*column("pg_type", "oid", "typname"), strict=True))


def _of(*places: tuple[str, Sequence[str]]) -> frozenset[int]:
    """The OIDs of functions that columns of system catalogs refer to."""
    return frozenset(int(value) for table, names in places for values in column(table, *names) for value in values if value)


@cache
def _support() -> frozenset[int]:
    """Functions that types, aggregates, indexes and conversions call, and SQL does not."""
    return _of(("pg_amproc", ("amproc",)), ("pg_range", ("rngcanonical", "rngsubdiff")), ("pg_conversion", ("conproc",)),
               ("pg_operator", ("oprrest", "oprjoin")),
               ("pg_aggregate", ("aggtransfn", "aggfinalfn", "aggcombinefn", "aggserialfn", "aggdeserialfn", "aggmtransfn",
                                 "aggminvtransfn", "aggmfinalfn")),
               ("pg_type", ("typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze",
                            "typsubscript")))


@cache
def _implementations() -> frozenset[int]:
    """Functions that operators and casts call; some are documented under their names too."""
    return _of(("pg_operator", ("oprcode",)), ("pg_cast", ("castfunc",)))


@cache
def _described() -> dict[int, str]:
    classes, oids, texts = column("pg_description", "classoid", "objoid", "description")
    return {oid: text for kind, oid, text in zip(classes, oids, texts, strict=True) if kind == 1255}


@cache
def functions() -> tuple[Signature, ...]:
    """What SQL may call by name, those out of scope too."""
    names = type_names()
    found = []
    wanted = ("oid", "proname", "pronamespace", "prokind", "proargtypes", "prorettype", "provolatile", "proisstrict",
              "pronargdefaults", "provariadic", "proretset")
    for oid, name, schema, kind, arguments, returns, volatility, strict, defaults, variadic, many in zip(
            *column("pg_proc", *wanted), strict=True):
        types = tuple(names.get(int(one), "?") for one in arguments or ())
        result = names.get(returns, "?")
        if schema != 11 or not _named(oid) or scope.is_internal((*types, result)):
            continue
        if variadic and types:
            types = (*types[:-1], names[variadic])
        found.append(Signature(name, types, result, _VOLATILITY[volatility], strict,
                               {"a": "aggregate", "w": "window"}.get(kind, "function"), defaults or 0, bool(variadic), many))
    return tuple(found)


def _named(oid: int) -> bool:
    """Whether a function is for calls by name: no support function, and its description does not refer to a caller."""
    text = _described().get(oid, "")
    if oid in _support() or text.startswith(("I/O", "internal", "(internal)")):
        return False
    return oid not in _implementations() or (not text.startswith(("implementation of", "convert")) and bool(text))


@cache
def operators() -> tuple[Signature, ...]:
    """PostgreSQL's operators; volatility and strictness are those of the functions that they call."""
    names = type_names()
    code = {oid: (volatility, strict) for oid, volatility, strict in zip(
        *column("pg_proc", "oid", "provolatile", "proisstrict"), strict=True)}
    found = []
    for symbol, left, right, result, function in zip(
            *column("pg_operator", "oprname", "oprleft", "oprright", "oprresult", "oprcode"), strict=True):
        types = tuple(names[one] for one in (left, right) if one)
        if scope.is_internal(types):
            continue
        volatility, strict = code[function]
        found.append(Signature(symbol, types, names[result], _VOLATILITY[volatility], strict, "operator"))
    return tuple(found)


@cache
def casts() -> tuple[tuple[str, str, str], ...]:
    """(source, target, context) of pg_cast."""
    names = type_names()
    return tuple((names[source], names[target], _CONTEXT[context]) for source, target, context in zip(
        *column("pg_cast", "castsource", "casttarget", "castcontext"), strict=True) if source != target)


def _tried(name: str) -> SqlType | None:
    name = _STANDS_FOR.get(name, name)
    return named_type(name) if name in OIDS else None


def _resolved(signature: Signature) -> Resolution | None:
    """What a call with just these types means to Shoal."""
    types = [_tried(one) for one in signature.arguments]
    if any(one is None for one in types):
        return None
    known = [one for one in types if one is not None]
    try:
        if signature.kind == "operator":
            return resolve_operator(signature.name, known[0] if len(known) == 2 else None, known[-1])
        return resolve_function(signature.name, known)
    except SqlError:
        return None


def _declares(function: Function, signature: Signature) -> bool:
    """Whether an overload is the very one, and not only takes such arguments after casts."""
    declared = function.declared(len(signature.arguments))
    return declared is not None and all(
        have == want or have in POLYMORPHIC or have == _STANDS_FOR.get(want, want) for have, want in zip(
            declared, signature.arguments, strict=True))


def findings(signature: Signature) -> Iterator[Finding]:
    """What is wrong with a signature that is in scope."""
    if signature.name in BOUND or "anyenum" in signature.arguments or (
            signature.name in _OF_ROWS and signature.arguments == ("record", "record")):
        return
    found = _resolved(signature)
    if found is None:
        yield Finding(signature, "missing")
        return
    function = found.function
    if not _declares(function, signature):
        if _result(found) != _expected(signature):
            yield Finding(signature, "missing", f"{function.name}({', '.join(function.arguments)})")
        return
    if function.volatility != signature.volatility and function.kind in ("scalar", "set"):
        yield Finding(signature, "volatility", function.volatility, signature.volatility)
    if function.strict != signature.strict and function.kind in ("scalar", "set"):
        yield Finding(signature, "strict", str(function.strict), str(signature.strict))
    if _result(found) != _expected(signature) and function.name != "cast_value":
        yield Finding(signature, "result", _result(found), _expected(signature))


def _result(found: Resolution) -> str:
    return found.returns.name


def _expected(signature: Signature) -> str:
    return _STANDS_FOR.get(signature.returns, signature.returns)


def missing_casts() -> list[tuple[str, str, str, str]]:
    """(source, target, Shoal's context, PostgreSQL's) of casts in scope that differ."""
    found: list[tuple[str, str, str, str]] = []
    for source, target, context in casts():
        if scope.category("", (source, target)) or source not in OIDS or target not in OIDS:
            continue
        have = cast_context(named_type(source), named_type(target))
        if have != context:
            found.append((source, target, have or "none", context))
    return found


def by_category(signatures: Sequence[Signature]) -> dict[str, list[Signature]]:
    """Signatures by why they are out of scope."""
    found: dict[str, list[Signature]] = defaultdict(list)
    for signature in signatures:
        found[signature.category].append(signature)
    return found


def is_known(signature: Signature) -> bool:
    """Whether a call with just these types means anything to Shoal."""
    return signature.name in BOUND or _resolved(signature) is not None


def procedure_names() -> frozenset[str]:
    """The names of all functions of PostgreSQL, those out of scope too."""
    return frozenset(column("pg_proc", "proname")[0])
