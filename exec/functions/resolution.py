"""Which overload a call means: PostgreSQL's rules for functions and operators, unknown literals included.

Spec: PostgreSQL 15 documentation, 10.2 "Operators" and 10.3 "Functions"; polymorphic types as in 38.2.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from shoal.catalog.errors import AmbiguousFunction, DatatypeMismatch, SqlError, UndefinedFunction, did_you_mean
from shoal.catalog.types import NAMES_BY_OID, OIDS, PREFERRED, TEXT, SqlType, array_of, computed
from shoal.exec.functions import out_of_scope, registry
from shoal.exec.functions.casts import BINARY_COERCIBLE, bare_sql, can_coerce, cast_result, common_type
from shoal.exec.functions.registry import POLYMORPHIC, Function, Resolution, named_type

_TEXTS = ("text", "varchar", "bpchar", "name", "unknown")
_SIMPLE_POLYMORPHIC = ("anyelement", "anyarray", "anynonarray")
_SYMBOLS = {"!=": "<>", "like": "~~", "ilike": "~~*", "not like": "!~~", "not ilike": "!~~*"}


@dataclass(frozen=True, slots=True)
class _Candidate:
    function: Function
    declared: tuple[str, ...]
    """One declared type for each argument given (variadic ones repeated)."""


def resolve_function(name: str, arguments: Sequence[SqlType], constants: Sequence[Any] = ()) -> Resolution:
    """The overload that name(arguments) calls. `constants`: physical values of arguments that are literals, None
    for the others (they decide result scales, e.g. round(x, 2)).

    Raises: UndefinedFunction (42883), AmbiguousFunction (42725).
    """
    overloads = [f for f in registry.find(name) if not f.hidden]
    if not overloads:
        named = _operator_called(name, arguments)
        if named is not None:
            return named
        overloads = _same_source(name)
    candidates = list(_candidates(overloads, arguments))
    if len(arguments) == 1 and not any(c.declared[0] == arguments[0].name for c in candidates):
        cast = _as_cast(name, arguments[0])
        if cast is not None:
            return cast
    chosen = _choose(candidates, arguments)
    spelled = f"{name}({', '.join(map(bare_sql, arguments))})"
    if chosen is None:
        if not overloads:
            out_of_scope.refuse_function(name)
        hint = "" if overloads else did_you_mean(name, registry.names())
        raise UndefinedFunction(f"function {spelled} does not exist", hint=hint or (
            "No function matches the given name and argument types. You might need to add explicit type casts."))
    if isinstance(chosen, list):
        raise AmbiguousFunction(f"function {spelled} is not unique", hint=(
            "Could not choose a best candidate function. You might need to add explicit type casts."))
    return _resolution(chosen, arguments, constants)


def resolve_operator(symbol: str, left: SqlType | None, right: SqlType, constants: Sequence[Any] = ()) -> Resolution:
    """The overload that `left symbol right` means; left None for a prefix operator. LIKE and friends may be given
    as words.

    Raises: UndefinedFunction (42883), AmbiguousFunction (42725).
    """
    symbol = _SYMBOLS.get(symbol.lower(), symbol)
    if symbol in ("@@", "@@@") and left is not None and left.name in _TEXTS:
        out_of_scope.refuse_text_search()
    arguments = (right,) if left is None else (left, right)
    candidates = list(_candidates(registry.find_symbol(symbol), arguments))
    chosen: _Candidate | list[_Candidate] | None = None
    if left is not None and (left.name == "unknown") != (right.name == "unknown"):
        known = right.name if left.name == "unknown" else left.name
        chosen = next((c for c in candidates if c.declared == (known, known)), None)
    if chosen is None:
        chosen = _choose(candidates, arguments)
    spelled = " ".join(([bare_sql(left)] if left else []) + [symbol, bare_sql(right)])
    if chosen is None:
        given, missing = ("argument types", "explicit type casts") if left else ("argument type", "an explicit type cast")
        raise UndefinedFunction(f"operator does not exist: {spelled}", hint=(
            f"No operator matches the given name and {given}. You might need to add {missing}."))
    if isinstance(chosen, list):
        raise AmbiguousFunction(f"operator is not unique: {spelled}", hint=(
            "Could not choose a best candidate operator. You might need to add explicit type casts."))
    return _resolution(chosen, arguments, constants)


@cache
def _operators_by_function() -> dict[str, list[tuple[str, str, str]]]:
    """The operators that PostgreSQL's functions implement: by the function's name the symbol and the operands' types
    (no left one for prefix operators)."""
    from shoal.catalog.pg_catalog.static import column
    names = dict(zip(*column("pg_proc", "oid", "proname"), strict=True))
    found: dict[str, list[tuple[str, str, str]]] = {}
    for symbol, left, right, code in zip(*column("pg_operator", "oprname", "oprleft", "oprright", "oprcode"), strict=True):
        if right in NAMES_BY_OID and (not left or left in NAMES_BY_OID):
            found.setdefault(names.get(code, ""), []).append((symbol, NAMES_BY_OID.get(left, ""), NAMES_BY_OID[right]))
    return found


@cache
def _sources() -> tuple[dict[str, set[str]], dict[tuple[str, str], tuple[str, ...]]]:
    """The C functions of each name of PostgreSQL's, and what is called by a name and such a function: the types it takes."""
    from shoal.catalog.pg_catalog.static import column
    sources: dict[str, set[str]] = {}
    taken: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, source, types in zip(*column("pg_proc", "proname", "prosrc", "proargtypes"), strict=True):
        sources.setdefault(name, set()).add(source)
        taken[name, source] = tuple(NAMES_BY_OID.get(int(one), "") for one in types or ())
    return sources, taken


def _same_source(name: str) -> list[Function]:
    """The overloads that a name without any may mean: dround is round(double precision), textlen is length(text)."""
    sources, taken = _sources()
    wanted = sources.get(name, set())
    return [function for (other, source), types in taken.items() if source in wanted and other != name
            for function in registry.find(other)
            if function.arguments == types and not function.hidden and function.kind == "scalar"]


def _operator_called(name: str, arguments: Sequence[SqlType]) -> Resolution | None:
    """What int4pl(a, b) means: the operator that PostgreSQL implements by a function of that name."""
    if not 1 <= len(arguments) <= 2:
        return None
    for symbol, left, right in _operators_by_function().get(name, ()):
        declared = (left, right) if left else (right,)
        if len(declared) != len(arguments) or not all(
                _accepts(want, have) for want, have in zip(declared, arguments, strict=True)):
            continue
        operands = [have if have.name == want else named_type(want) for want, have in zip(declared, arguments, strict=True)]
        try:
            return resolve_operator(symbol, operands[0] if left else None, operands[-1])
        except UndefinedFunction:
            return None
    return None


def _candidates(overloads: Sequence[Function], arguments: Sequence[SqlType]) -> Iterator[_Candidate]:
    """The overloads that take this many arguments, without variadic ones that a plain one equals."""
    seen: set[tuple[str, ...]] = set()
    for function in sorted(overloads, key=lambda f: f.variadic):
        declared = function.declared(len(arguments))
        if declared is not None and declared not in seen:
            seen.add(declared)
            yield _Candidate(function, declared)


def _as_cast(name: str, argument: SqlType) -> Resolution | None:
    """type_name(x) is a cast where x is an unknown literal or binary-coercible (10.3, step 3)."""
    if name not in OIDS or name.startswith("_") or name in ("unknown", "record", "void"):
        return None
    target = named_type(name)
    string_io = argument.category == "S" or target.category == "S"
    if argument.name != "unknown" and (argument.name, name) not in BINARY_COERCIBLE and not string_io:
        return None
    if string_io and argument.name != "unknown" and not can_coerce(argument, target, "explicit"):
        return None
    return Resolution(registry.find("cast_value")[0], (target,), target)


def _accepts(declared: str, have: SqlType, generic: bool = False) -> bool:
    if have.name == "unknown" or declared == have.name:
        return True
    if generic:
        return False
    if declared in POLYMORPHIC:
        if declared in ("anyarray", "anycompatiblearray"):
            return have.is_array or have.name in ("int2vector", "oidvector")
        if declared in ("anynonarray", "anycompatiblenonarray"):
            return not have.is_array
        return True
    return can_coerce(have, named_type(declared))


def _choose(candidates: list[_Candidate], arguments: Sequence[SqlType]) -> _Candidate | list[_Candidate] | None:
    """One candidate, None for none, or the list of those that remain equally good."""
    exact = [c for c in candidates if all(d == a.name for d, a in zip(c.declared, arguments, strict=True))]
    if exact:
        return exact[0]
    left = [c for c in candidates if all(_accepts(d, a, c.function.generic)
                                         for d, a in zip(c.declared, arguments, strict=True))
            and _polymorphic(c.declared, arguments) is not None]
    if len(left) <= 1:
        return left[0] if left else None
    # varchar counts as text here: PostgreSQL matches it exactly through its base type's binary coercion
    left = _most(left, lambda c: sum(d == a.name for d, a in _known(c, arguments)))
    if len(left) > 1:
        left = _most(left, lambda c: sum(d == a.name or _prefers(d, a) for d, a in _known(c, arguments)))
    if len(left) > 1:
        left = _by_unknown_category(left, arguments)
    if len(left) > 1:
        known = {a.name for a in arguments if a.name != "unknown"}
        if len(known) == 1 and any(a.name == "unknown" for a in arguments):
            only = SqlType(next(iter(known)))
            alike = [only] * len(arguments)
            fitting = [c for c in left if all(_accepts(d, only, c.function.generic) for d in c.declared)
                       and _polymorphic(c.declared, alike) is not None]
            if len(fitting) == 1:
                left = fitting
    return left[0] if len(left) == 1 else left


def _known(candidate: _Candidate, arguments: Sequence[SqlType]) -> list[tuple[str, SqlType]]:
    return [(d, a) for d, a in zip(candidate.declared, arguments, strict=True) if a.name != "unknown"]


def _prefers(declared: str, have: SqlType) -> bool:
    return declared in PREFERRED and named_type(declared).category == have.category


def _most(candidates: list[_Candidate], score: Any) -> list[_Candidate]:
    scores = [score(c) for c in candidates]
    best = max(scores)
    return [c for c, s in zip(candidates, scores, strict=True) if s == best]


def _category(declared: str) -> str:
    return "P" if declared in POLYMORPHIC else named_type(declared).category


def _by_unknown_category(candidates: list[_Candidate], arguments: Sequence[SqlType]) -> list[_Candidate]:
    """Unknown literals are taken for strings where some candidate takes one, else for the one category all take."""
    kept = candidates
    for i, argument in enumerate(arguments):
        if argument.name != "unknown":
            continue
        categories = {_category(c.declared[i]) for c in candidates}
        if "S" in categories:
            chosen = "S"
        elif len(categories) == 1:
            chosen = next(iter(categories))
        else:
            return candidates
        fitting = [c for c in kept if _category(c.declared[i]) == chosen]
        preferred = [c for c in fitting if c.declared[i] in PREFERRED]
        kept = preferred or fitting
    return kept or candidates


def _polymorphic(declared: Sequence[str], arguments: Sequence[SqlType]) -> dict[str, SqlType] | None:
    """What anyelement and anycompatible stand for in this call ({} for neither); None where they disagree."""
    found: dict[str, SqlType] = {}
    elements: list[SqlType] = []
    compatible: list[SqlType] = []
    for want, have in zip(declared, arguments, strict=True):
        into = elements if want in ("anyelement", "anyarray", "anynonarray") else (
            compatible if want.startswith("anycompatible") else None)
        if into is None or have.name == "unknown":
            continue
        into.append(have.element if want.endswith("array") and not want.endswith("nonarray") and have.is_array else have)
    if any(w in ("anyelement", "anyarray", "anynonarray") for w in declared):
        if len({t.name for t in elements}) > 1:
            return None
        found["anyelement"] = common_type(elements) if elements else TEXT
    if any(w.startswith("anycompatible") for w in declared):
        try:
            found["anycompatible"] = common_type(compatible)
        except SqlError:
            return None
    return found


def _resolution(candidate: _Candidate, arguments: Sequence[SqlType], constants: Sequence[Any]) -> Resolution:
    stands_for = _polymorphic(candidate.declared, arguments) or {}
    if any(want in _SIMPLE_POLYMORPHIC for want in candidate.declared) and all(
            have.name == "unknown" for want, have in zip(candidate.declared, arguments, strict=True)
            if want in _SIMPLE_POLYMORPHIC):
        raise DatatypeMismatch("could not determine polymorphic type because input has type unknown", position=-1)
    targets = tuple(_target(want, have, stands_for) for want, have in zip(candidate.declared, arguments, strict=True))
    if candidate.function.name == "pg_typeof":
        targets = tuple(arguments)
    returns = candidate.function.returns
    if callable(returns):
        if candidate.function.typed_by_constants:
            padded = [*constants, *[None] * (len(targets) - len(constants))]
            returns = returns(targets, padded)
        else:
            returns = returns(targets)
    return Resolution(candidate.function, targets, computed(returns))


def _target(want: str, have: SqlType, stands_for: dict[str, SqlType]) -> SqlType:
    if want == "any":
        return TEXT if have.name == "unknown" else have
    if want in POLYMORPHIC:
        element = stands_for["anycompatible" if want.startswith("anycompatible") else "anyelement"]
        if want.endswith("array") and not want.endswith("nonarray"):
            if have.is_array and have.element == element:
                return have
            return array_of(element)
        return element
    if want == have.name:
        return have
    return cast_result(have, named_type(want))
