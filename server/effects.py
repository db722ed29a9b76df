"""Functions that do something in the session instead of computing: set_config, pg_notify, pg_sleep, setseed, locks.

Kernels only compute, in workers and in threads. So the calls are found in the bound plan before it runs, carried out
in the order they stand in, and their results put in their place. That is done where it means the same as in PostgreSQL:
arguments are constants or parameters, and (but for set_config) the query makes a single row. Other calls stay, and
their kernels refuse them.

Spec: PostgreSQL 15 documentation, 9.27.1 "Configuration Settings Functions", 9.27.10 "Advisory Lock Functions",
9.9.5 "Delaying Execution", NOTIFY.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import InvalidParameterValue, NullNotAllowed
from shoal.exec.evaluator import EvaluationContext, evaluate_constant
from shoal.exec.plan.expr import Call, Case, ColumnRef, Literal, walk
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import Limit, PlanNode, Project, Values, walk_plan
from shoal.exec.plan.parameters import bind_parameters
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.prepared import Prepared
from shoal.server.lexer import LONGEST_NAME_BYTES

if TYPE_CHECKING:
    from shoal.server.session import Session

LONGEST_PAYLOAD_BYTES = 7_999
VOID = ""
_NAMED = re.compile("set_config|pg_notify|pg_sleep|setseed|advisory", re.IGNORECASE)


def may_have_effects(sql: str) -> bool:
    """False for nearly every statement: its text names none of the functions."""
    return _NAMED.search(sql) is not None


async def carry_out(session: Session, prepared: Prepared, values: Sequence[Any], settings: TaskSettings) -> Prepared:
    """Does what the calls of a query that is about to run ask for; gives the query with their results in their place.

    Raises: what SET raises for a bad name or value, 22023 for bad channels and payloads.
    """
    if prepared.bound.kind != "select" or prepared.bound.plan is None:
        return prepared
    plan = bind_parameters(prepared.bound.plan, values, prepared.parameters)
    single = all(isinstance(node, Project | Limit) or (isinstance(node, Values) and len(node.rows) == 1)
                 for node in walk_plan(plan))
    calls: list[Call] = []

    def collect(value: Any) -> Any:
        if isinstance(value, Case):
            return value  # only some of its branches run
        if (isinstance(value, Call) and value.name in _EFFECTS and (single or value.name == "set_config")
                and not any(isinstance(node, ColumnRef) for arg in value.args for node in walk(arg))):
            calls.append(value)
            return value
        return None

    rebuild(plan, collect)
    context = EvaluationContext(settings)
    results: dict[int, Literal] = {}
    for call in calls:
        arguments = [evaluate_constant(arg, context) for arg in call.args]
        results[id(call)] = Literal(call.type, await _EFFECTS[call.name](session, call.name, *arguments))
    if not calls:
        return prepared
    done: PlanNode = rebuild(plan, lambda value: results.get(id(value)))
    return replace(prepared, bound=replace(prepared.bound, plan=done, parameters=()), parameters=())


async def _set_config(session: Session, function: str, name: str | None, value: str | None, local: bool | None) -> Any:
    if name is None:
        raise NullNotAllowed("SET requires parameter name")
    in_block = session.transaction.block or session.transaction.implicit_block
    if local and not in_block:
        return value
    return session.settings.set(name, value, local=bool(local))


async def _notify(session: Session, function: str, channel: str | None, payload: str | None) -> str:
    session.notify(channel or "", payload or "")
    return VOID


async def _sleep(session: Session, function: str, seconds: float | None) -> str | None:
    if seconds is None:
        return None
    await asyncio.sleep(max(seconds, 0.0))
    return VOID


async def _sleep_for(session: Session, function: str, span: tuple[int, int, int] | None) -> str | None:
    if span is None:
        return None
    months, days, us = span
    return await _sleep(session, function, ((months * 30 + days) * 86_400_000_000 + us) / 1e6)


async def _sleep_until(session: Session, function: str, us: int | None) -> str | None:
    return None if us is None else await _sleep(session, function, us / 1e6 - time.time())


async def _set_seed(session: Session, function: str, seed: float | None) -> str | None:
    if seed is None:
        return None
    if not -1 <= seed <= 1:
        raise InvalidParameterValue(f"setseed parameter {seed:g} is out of allowed range [-1,1]")
    session.seeds = random.Random(seed)
    return VOID


async def _lock(session: Session, function: str, *key: int | None) -> Any:
    """pg_[try_]advisory_[xact_]lock[_shared]."""
    if None in key:
        return None
    locks, options = session.shared.advisory_locks, {"shared": "shared" in function, "transaction": "xact" in function}
    if "try" in function:
        return locks.try_lock(session, key, **options)  # type: ignore[arg-type]
    await locks.lock(session, key, **options)  # type: ignore[arg-type]
    return VOID


async def _unlock(session: Session, function: str, *key: int | None) -> Any:
    if None in key:
        return None
    shared = function.endswith("_shared")
    unlocked = session.shared.advisory_locks.unlock(session, key, shared=shared)  # type: ignore[arg-type]
    if not unlocked:
        session.notice(f"you don't own a lock of type {'ShareLock' if shared else 'ExclusiveLock'}", "WARNING", "01000")
    return unlocked


async def _unlock_all(session: Session, function: str) -> str:
    session.shared.advisory_locks.release(session, transaction=False)
    return VOID


def check_notification(channel: str, payload: str) -> None:
    """Raises: InvalidParameterValue (22023)."""
    if not channel:
        raise InvalidParameterValue("channel name cannot be empty")
    if len(channel.encode()) > LONGEST_NAME_BYTES:
        raise InvalidParameterValue("channel name too long")
    if len(payload.encode()) > LONGEST_PAYLOAD_BYTES:
        raise InvalidParameterValue("payload string too long")


_LOCKS = [f"pg_{attempt}advisory_{span}lock{kind}" for attempt in ("", "try_") for span in ("", "xact_")
          for kind in ("", "_shared")]
_EFFECTS: dict[str, Callable[..., Awaitable[Any]]] = {
    "set_config": _set_config, "pg_notify": _notify, "pg_sleep": _sleep, "pg_sleep_for": _sleep_for,
    "pg_sleep_until": _sleep_until, "setseed": _set_seed, **dict.fromkeys(_LOCKS, _lock),
    "pg_advisory_unlock": _unlock, "pg_advisory_unlock_shared": _unlock, "pg_advisory_unlock_all": _unlock_all}
