"""The optimized plan of a prepared statement, kept for as long as it would come out the same (hops 3 and 4).

A plan holds what connectors said while it was made (names, statistics, which files are left), so it is good for the
versions of the catalogs it reads, and for sessions and workers that are alike. One that depends on parameters or on the
time is made anew each time. Snapshots and splits never are part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from shoal.catalog.registry import SYSTEM, Catalogs
from shoal.exec.functions.registry import is_immutable
from shoal.exec.plan.expr import Call, Cast, Parameter
from shoal.exec.plan.fragment import Fragment
from shoal.exec.plan.nodes import PlanNode, Scan, walk_plan
from shoal.exec.plan.rewrite import rebuild

Fragments = tuple[Fragment, ...]
_BY_THE_CLOCK: Final = frozenset({"date", "time", "timetz", "timestamp", "timestamptz"})
"""Text becomes one of these by the time ('tomorrow') or the zone's rules."""


class PlanCache:
    """The last plan made for one statement, `plan` before it is optimized. Safe to use from any thread."""

    def __init__(self, plan: PlanNode) -> None:
        self._plan = plan
        self._fixed: bool | None = None
        self._names = tuple(sorted({node.handle.catalog for node in walk_plan(plan) if isinstance(node, Scan)} - {SYSTEM}))
        self._kept: tuple[Hashable, object, Fragments] | None = None

    def fragments(self, catalogs: Catalogs, circumstances: Hashable, make: Callable[[], Fragments]) -> Fragments:
        """The kept plan if it was made in these circumstances, else a new one. Asks catalogs for versions: may block."""
        if self._fixed is None:
            self._fixed = _is_fixed(self._plan)
        if not self._fixed:
            return make()
        version = catalogs.version(self._names)  # before the plan is made: it may know more than this, never less
        kept = self._kept
        if kept is not None and kept[0] == circumstances and kept[1] == version:
            return kept[2]
        made = make()
        self._kept = circumstances, version, made
        return made


def _is_fixed(plan: PlanNode) -> bool:
    """Whether the plan comes out the same at any time: no parameters, nothing that is not immutable."""
    fixed = True

    def visit(value: Any) -> Any:
        nonlocal fixed
        match value:
            case Parameter():
                fixed = False
            case Call(name=name, args=args):
                fixed = fixed and is_immutable(name, [arg.type for arg in args])
            case Cast(type=target, arg=arg):
                fixed = fixed and not (target.name in _BY_THE_CLOCK and arg.type.name not in _BY_THE_CLOCK)
        return None

    rebuild(plan, visit)
    return fixed
