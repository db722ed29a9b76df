"""Queries that read nothing: `SELECT 1`, `SELECT now(), current_user`, `SELECT $1::int + 1`.

They have no tasks. Connection pools, health checks and drivers send them all day, so they are computed where they
stand, in the event loop: only expressions whose cost is known to be small are taken, everything else goes the way of
all queries. Hops 3 to 6 of a query's way in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, compile_expressions
from shoal.exec.functions.registry import is_immutable
from shoal.exec.plan.expr import Call, Case, Cast, Expr, Literal, Parameter, walk
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import PlanNode, Project, Values
from shoal.exec.plan.parameters import bind_parameters

_CHEAP: Final = frozenset({
    "add", "sub", "mul", "div", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_null",
    "is_not_null", "is_true", "is_not_true", "is_false", "is_not_false", "is_unknown", "is_distinct", "is_not_distinct",
    "coalesce", "nullif", "abs", "now", "transaction_timestamp", "statement_timestamp", "current_user", "session_user",
    "current_role", "user", "current_catalog", "current_database", "version", "pg_backend_pid", "current_setting",
})
"""Functions of constant cost on values of fixed size. None of them may ask a source, sleep, or make a long value."""
_SIZED: Final = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timestamp",
                           "timestamptz", "uuid", "oid"})
_LONGEST_TEXT: Final = 1_000


class Immediate:
    """Such a query. `constant`: its rows are the same whoever asks, and whenever."""

    def __init__(self, plan: Project, parameters: Sequence[SqlType]) -> None:
        self._plan, self._parameters = plan, tuple(parameters)
        self._run: Callable[[Batch, EvaluationContext], list[pa.Array]] | None = None
        self.constant = not parameters and not any(
            isinstance(part, Cast) or (isinstance(part, Call) and not is_immutable(part.name, [a.type for a in part.args]))
            for part in _parts(plan))

    def row(self, settings: TaskSettings, values: Sequence[Any] = ()) -> list[pa.Array]:
        """The one row, a column for each field. Raises: what the expressions raise (22012, 22003 ...)."""
        if self._parameters:
            plan = bind_parameters(self._plan, values, self._parameters)
            assert isinstance(plan, Project)
            run = _compiled(plan)
        else:
            run = self._run = self._run or _compiled(self._plan)
        return run(Batch([], 1), EvaluationContext(settings))


def immediate(plan: PlanNode | None, parameters: Sequence[SqlType]) -> Immediate | None:
    """The query as one that needs no tasks; None where it does."""
    if not isinstance(plan, Project) or not isinstance(plan.input, Values) or plan.input.fields or len(plan.input.rows) != 1:
        return None
    return Immediate(plan, parameters) if all(map(_is_cheap, _parts(plan))) else None


def _parts(plan: Project) -> Iterator[Expr]:
    return (part for _, expr in plan.assignments for part in walk(expr))


def _is_cheap(part: Expr) -> bool:
    match part:
        case Literal(value=value):
            return not isinstance(value, str | bytes) or len(value) <= _LONGEST_TEXT
        case Parameter(type=sql_type):
            return sql_type.name in _SIZED
        case Call(name=name, args=args):
            return name in _CHEAP and (name == "current_setting" or all(arg.type.name in _SIZED for arg in args))
        case Cast(type=target, arg=arg):
            return target.name in _SIZED and arg.type.name in _SIZED
        case Case():
            return part.type.name in _SIZED
    return False


def _compiled(plan: Project) -> Callable[[Batch, EvaluationContext], list[pa.Array]]:
    return compile_expressions([expr for _, expr in plan.assignments], {})
