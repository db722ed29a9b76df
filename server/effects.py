"""What a query's functions change in the session that runs it: set_config.

Kernels only compute; the calls are found in the bound plan before it runs, and carried out when their arguments are
constants or parameters, as they are wherever clients use them.

Spec: PostgreSQL 15 documentation, 9.27.1 "Configuration Settings Functions".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import NullNotAllowed
from shoal.exec.engine import Prepared
from shoal.exec.evaluator import EvaluationContext, evaluate_constant
from shoal.exec.plan.expr import Call, ColumnRef, Expr, walk
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import PlanNode, walk_plan
from shoal.exec.plan.parameters import bind_parameters

if TYPE_CHECKING:
    from shoal.server.session import Session

_SET_CONFIG = "set_config"


def may_have_effects(sql: str) -> bool:
    """False for nearly every statement: its text does not name the function."""
    return _SET_CONFIG in sql.lower()


def carry_out(session: Session, prepared: Prepared, values: Sequence[Any], settings: TaskSettings) -> None:
    """Applies the calls of a query that is about to run. Raises: what SET raises for a bad name or value."""
    if prepared.bound.kind != "select" or prepared.bound.plan is None:
        return
    plan = bind_parameters(prepared.bound.plan, values, prepared.parameters)
    context = EvaluationContext(settings)
    for call in _calls(plan):
        if any(isinstance(node, ColumnRef) for arg in call.args for node in walk(arg)):
            continue
        _set_config(session, *(evaluate_constant(arg, context) for arg in call.args))


def _set_config(session: Session, name: str | None, value: str | None, local: bool | None) -> None:
    if name is None:
        raise NullNotAllowed("SET requires parameter name")
    in_block = session.transaction.block or session.transaction.implicit_block
    if not local or in_block:
        session.settings.set(name, value, local=bool(local))


def _calls(plan: PlanNode) -> Iterator[Call]:
    for node in walk_plan(plan):
        for expr in _expressions(node):
            for part in walk(expr):
                if isinstance(part, Call) and part.name == _SET_CONFIG:
                    yield part


def _expressions(value: Any) -> Iterator[Expr]:
    """The expressions in a node's own fields, in order; not those of its inputs."""
    for field in fields(value):
        yield from _in(getattr(value, field.name))


def _in(value: Any) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _in(item)
    elif is_dataclass(value) and not isinstance(value, PlanNode | type):
        yield from _expressions(value)
