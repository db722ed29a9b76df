"""The registry of functions, operators, aggregates and window functions: one declaration each.

The binder resolves names here with PostgreSQL's rules (chapter 10 "Type Conversion"); the evaluator finds kernels
here; \\df and the manual page of functions are generated from here. A kernel is called as

    kernel(call: Call, args: list[pa.Array | pa.Scalar], rows: int, context: EvaluationContext) -> pa.Array | pa.Scalar

with arguments in the storage form of `call.args[i].type` (catalog/types.py; numeric may be int64, decimal128 or
decimal256; strings may be dictionary arrays) and gives the storage form of `call.type`. `strict` functions are never
asked about NULL rows' results: their rows are NULL whatever the kernel gives there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shoal.catalog.types import SqlType

ReturnType = SqlType | Callable[[Sequence[SqlType]], SqlType]


@dataclass(frozen=True, slots=True)
class Function:
    """One overload. `arguments` are pg_type names or the pseudo-types any, anyelement, anyarray, anycompatible."""

    name: str
    arguments: tuple[str, ...]
    returns: ReturnType
    kernel: Callable[..., Any] | None = None
    volatility: Literal["immutable", "stable", "volatile"] = "immutable"
    strict: bool = True
    variadic: bool = False
    kind: Literal["scalar", "aggregate", "window", "set"] = "scalar"
    doc: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a call means: the function, the types its arguments must be cast to (same length as given), and the
    type of its result."""

    function: Function
    arguments: tuple[SqlType, ...]
    returns: SqlType
