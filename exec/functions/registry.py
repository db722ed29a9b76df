"""The registry of functions, operators, aggregates and window functions: one declaration each.

The binder resolves names here with PostgreSQL's rules (resolution.py); the evaluator finds kernels here; \\df and
the manual page of functions (reference.py) are generated from here. A scalar kernel is called as

    kernel(call: Call, args: list[pa.Array | pa.Scalar], rows: int, context: EvaluationContext) -> pa.Array | pa.Scalar

with arguments in the storage form of `call.args[i].type` (catalog/types.py; numeric may be int64, decimal128 or
decimal256; strings may be dictionary arrays) and gives the storage form of `call.type`. Constants come as scalars,
but never all of several arguments at once. `strict` functions are never asked about NULL rows' results: their
rows are NULL whatever the kernel gives there, values under NULL are arbitrary and must not raise.

A set-returning kernel (kind "set") is called alike and gives `(counts, columns)`: how many rows each input row
becomes (int64 numpy array), and a tuple of Arrow arrays with all those rows one after another.
Aggregates and window functions have no kernel here: their operators implement them by name.

Operators are functions with a `symbol` ("+" is add); `hidden` ones cannot be called by name in SQL.

Families that few queries use are deferred: `exact` loads them when a call fits no function that is loaded, or has an
argument of a type that is not COMMON; everything else here loads them at once. That is right because no deferred
function fits common arguments under the name of a loaded one (tests/exec/functions/test_resolution.py).
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shoal.catalog.errors import InternalError
from shoal.catalog.types import NUMERIC, SqlType

if TYPE_CHECKING:
    from shoal.exec.functions.spelling import Spelling

ReturnType = SqlType | Callable[..., SqlType]
Kind = Literal["scalar", "aggregate", "window", "set"]
Volatility = Literal["immutable", "stable", "volatile"]
POLYMORPHIC = frozenset({"any", "anyelement", "anyarray", "anynonarray", "anycompatible", "anycompatiblearray",
                         "anycompatiblenonarray"})
COMMON = frozenset({"bool", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "bpchar", "date",
                    "timestamp", "timestamptz", "interval"})
"""Types whose calls are looked for among the loaded families first."""


@dataclass(frozen=True, slots=True)
class Function:
    """One overload. `arguments` are pg_type names or the pseudo-types any, anyelement, anyarray, anynonarray,
    anycompatible, anycompatiblearray.

    A callable `returns` gets the argument types after coercion; with `typed_by_constants` also the physical values
    of those arguments that are literals (None elsewhere). `variadic`: the last argument may repeat, at least once.
    `raises`: some argument values are errors, so the evaluator only shows it the rows that really need it.
    """

    name: str
    arguments: tuple[str, ...]
    returns: ReturnType
    kernel: Callable[..., Any] | None = None
    volatility: Volatility = "immutable"
    strict: bool = True
    variadic: bool = False
    kind: Kind = "scalar"
    doc: str = ""
    example: str = ""
    symbol: str = ""
    hidden: bool = False
    raises: bool = True
    typed_by_constants: bool = False
    family: str = ""
    generic: bool = False
    """One of the forms that a polymorphic function of PostgreSQL has here: arguments of no other type are cast to its."""
    shapes: bool = False
    """Takes arrays of several dimensions too (kernels/shapes.py); the others are guarded from them."""
    columns: tuple[tuple[str, str], ...] = ()
    """(name, type) of a set function that gives several columns."""
    spelled: Mapping[str, tuple[Spelling, ...]] = field(default_factory=dict)
    """How sources of each dialect write a call (spelling.py); they evaluate no call that has no spelling."""

    def declared(self, count: int) -> tuple[str, ...] | None:
        """The declared type of each of `count` arguments, the variadic one repeated; None where that many cannot be."""
        missing = count - len(self.arguments)
        if missing == 0:
            return self.arguments
        return self.arguments + self.arguments[-1:] * missing if self.variadic and missing > 0 else None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a call means: the function, the types its arguments must be cast to (same length as given), and the
    type of its result."""

    function: Function
    arguments: tuple[SqlType, ...]
    returns: SqlType


_BY_NAME: dict[str, list[Function]] = {}
_BY_SYMBOL: dict[str, list[Function]] = {}
_DEFERRED: list[str] = []
"""Modules of families not loaded yet."""
_LOADING = threading.RLock()


def named_type(name: str) -> SqlType:
    """The unmodified type of a declaration's type name."""
    return NUMERIC if name == "numeric" else SqlType(name)


def declare(name: str, *signatures: str, returns: ReturnType | None = None, **attributes: Any) -> None:
    """Adds one overload for each signature: "text int4 -> text", "-> timestamptz"; `returns` replaces the part
    after the arrow. Other attributes are Function's."""
    for signature in signatures:
        left, _, right = signature.partition("->")
        result = returns
        if result is None:
            target = right.strip()
            if target in POLYMORPHIC:
                raise InternalError(f"{name}: a polymorphic result needs a `returns` callable")
            result = named_type(target)
        add(Function(name, tuple(left.split()), result, **attributes))


def add(function: Function) -> None:
    """Adds one overload; the same signature may not be declared twice."""
    found = _BY_NAME.setdefault(function.name, [])
    if any(f.arguments == function.arguments and f.symbol == function.symbol for f in found):
        raise InternalError(f"{function.name}({', '.join(function.arguments)}) is declared twice")
    found.append(function)
    if function.symbol:
        _BY_SYMBOL.setdefault(function.symbol, []).append(function)


def defer(*families: str) -> None:
    """Has these modules of this package, in their order, wait until one of their functions may be meant."""
    _DEFERRED.extend(families)


def load_all() -> None:
    """Loads the deferred families."""
    if not _DEFERRED:
        return
    with _LOADING:
        while _DEFERRED:
            importlib.import_module(f"{__package__}.{_DEFERRED[0]}")
            _DEFERRED.pop(0)


def find(name: str) -> list[Function]:
    """All overloads of a registry name, hidden ones too; [] for an unknown name."""
    load_all()
    return list(_BY_NAME.get(name, ()))


def find_symbol(symbol: str) -> list[Function]:
    """All overloads of an operator symbol."""
    load_all()
    return list(_BY_SYMBOL.get(symbol, ()))


def all_functions() -> list[Function]:
    """Every overload, in the order of declaration."""
    load_all()
    return loaded()


def loaded() -> list[Function]:
    """Every overload declared so far."""
    return [function for overloads in _BY_NAME.values() for function in overloads]


def names() -> Iterable[str]:
    """The names SQL may call."""
    load_all()
    return (name for name, overloads in _BY_NAME.items() if any(not f.hidden for f in overloads))


def exact(name: str, arguments: Sequence[SqlType]) -> Function | None:
    """The overload whose declared arguments are these types (after the binder's casts), for the evaluator."""
    if _DEFERRED:
        if all(argument.name in COMMON for argument in arguments):
            known = _best(_BY_NAME.get(name, ()), arguments)
            if known is not None:
                return known
        load_all()
    candidates: Sequence[Function] = _BY_NAME.get(name, ())
    if len(candidates) == 1:
        return candidates[0]
    best = _best(candidates, arguments)
    if best is None and len({function.kernel for function in candidates}) == 1:
        return candidates[0]  # the binder's casts were optimized away, and one kernel takes all types
    return best


def fitting(name: str, arguments: Sequence[SqlType]) -> Function | None:
    """The overload among the loaded families that is declared for these very types, if any."""
    return _best(_BY_NAME.get(name, ()), arguments)


def _best(candidates: Sequence[Function], arguments: Sequence[SqlType]) -> Function | None:
    best: tuple[int, Function] | None = None
    for function in candidates:
        score = _fit(function, arguments)
        if score is not None and (best is None or score > best[0]):
            best = (score, function)
    return best[1] if best else None


def is_volatile(name: str) -> bool:
    """Whether any function of this name gives something else at each call. Deferred families have no volatile function
    under the name of a loaded one."""
    if name not in _BY_NAME:
        load_all()
    return any(function.volatility == "volatile" for function in _BY_NAME.get(name, ()))


def is_immutable(name: str, arguments: Sequence[SqlType]) -> bool:
    """Whether a call gives the same whoever makes it, and whenever."""
    function = exact(name, arguments)
    return function is not None and function.volatility == "immutable"


def _fit(function: Function, arguments: Sequence[SqlType]) -> int | None:
    """How many arguments are declared by their very name; None where the call cannot be meant."""
    declared = function.declared(len(arguments))
    if declared is None:
        return None
    score = 0
    for want, have in zip(declared, arguments, strict=True):
        if want == have.name:
            score += 2
        elif want in POLYMORPHIC:
            if want in ("anyarray", "anycompatiblearray") and not have.is_array and have.name not in ("int2vector",
                                                                                                      "oidvector"):
                return None
            if want.endswith("nonarray") and have.is_array:
                return None
            score += 1
        elif not (want in ("text", "varchar") and have.name in ("varchar", "text", "unknown")):
            return None
    return score
