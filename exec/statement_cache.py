"""Bound statements by their text, so that what comes again need not be parsed and bound again (hop 2).

A key is the statement's text, the declared types of its parameters, and all of a session that binding depends on. An
entry holds as long as the catalogs that it reads have the same versions; one that reads none, for good. Only those
catalogs are asked, as another one may be slow to answer; which ones they are is known after a statement was bound
once, so a statement is kept when it comes for the second time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from shoal.catalog.registry import MEMORY, SYSTEM, Catalogs
from shoal.catalog.types import SqlType
from shoal.exec.plan.nodes import Scan, TableWrite, walk_plan

if TYPE_CHECKING:
    from shoal.exec.prepared import Prepared

ENTRIES: Final = 1_024
LONGEST_TEXT: Final = 16_384
"""Longer statements are not kept: they are generated ones that do not come again."""
_READS_THE_CLOCK: Final = re.compile(r"now|today|tomorrow|yesterday|timetz|time\s+with", re.IGNORECASE)
"""Text of a constant such as date 'today' becomes a value while binding; statements that may hold one are not kept."""
_NOW_CALL: Final = re.compile(r"\bnow\s*\(\s*\)", re.IGNORECASE)

Key = tuple[str, Hashable, tuple[SqlType | None, ...]]


@dataclass(frozen=True, slots=True)
class _Entry:
    catalogs: tuple[str, ...]
    version: object = None
    prepared: Prepared | None = None
    """None: it was seen, not kept."""


class StatementCache:
    """The least recently used go first. Safe to use from any thread; `catalogs` are asked for versions, which may block."""

    def __init__(self, catalogs: Catalogs) -> None:
        self._catalogs = catalogs
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = Lock()

    def recall(self, sql: str, session: Hashable, types: tuple[SqlType | None, ...]) -> Prepared | None:
        """A statement that reads no tables, or None. Does not block."""
        entry = self._entries.get((sql, session, types))
        return entry.prepared if entry is not None and entry.prepared is not None and entry.prepared.immediate else None

    def prepare(self, sql: str, session: Hashable, types: tuple[SqlType | None, ...],
                bind: Callable[[], Prepared]) -> Prepared:
        """The kept statement while it holds, else what `bind` makes of it."""
        if session is None or len(sql) > LONGEST_TEXT or _READS_THE_CLOCK.search(_NOW_CALL.sub("", sql)):
            return bind()
        key = sql, session, types
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        version = None if entry is None else self._version(entry.catalogs)
        if entry is not None and entry.prepared is not None and entry.version == version:
            return entry.prepared
        prepared = bind()
        catalogs = _catalogs_of(prepared)
        if catalogs is None:
            return prepared
        if not catalogs or (entry is not None and entry.catalogs == catalogs):
            kept = _Entry(catalogs, version, prepared)
        else:
            kept = _Entry(catalogs)
        with self._lock:
            self._entries[key] = kept
            if len(self._entries) > ENTRIES:
                self._entries.popitem(last=False)
        return prepared

    def _version(self, names: tuple[str, ...]) -> object:
        return self._catalogs.version(names) if names else None


def _catalogs_of(prepared: Prepared) -> tuple[str, ...] | None:
    """The catalogs a statement reads; None for one that is not kept.

    Names are looked for in `memory` first, so a new table there changes what they mean.
    """
    bound = prepared.bound
    if bound.command is not None or bound.plan is None or bound.own_definitions:
        return None
    if prepared.immediate is not None:
        return ()
    names = {node.handle.catalog for node in walk_plan(bound.plan) if isinstance(node, Scan | TableWrite)}
    return tuple(sorted((names | {MEMORY}) - {SYSTEM}))
