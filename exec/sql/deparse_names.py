"""The names under which a shown query has its tables and columns (hop 2).

Columns come and go and are renamed after a view was made, so PostgreSQL chooses names anew each time: a table's alias that
no enclosing query has, and column names that are unique in their table and that both sides of USING have.

Spec: set_rtable_names, set_using_names, set_relation_column_names and set_join_column_names of ruleutils.c, PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shoal.exec.sql import syntax as s
from shoal.exec.sql.scope import Scope, ScopeColumn


@dataclass(eq=False)
class RangeEntry:
    """An item of FROM. `real`: the names its columns have by themselves; those from `known` on are younger than the view."""

    kind: str
    """relation, query, function or join."""
    item: s.FromItem
    scope: Scope
    visible: tuple[Scope, ...]
    """What it may read if it is lateral."""
    columns: list[ScopeColumn]
    real: list[str] = field(default_factory=list)
    name: str | None = None
    """What it is called; None for a join without an alias."""
    spelled: str = ""
    """Of a relation: its name as it stands in FROM, perhaps with its schema."""
    bare: str = ""
    """Of a relation: its name alone."""
    shown: list[str | None] = field(default_factory=list)
    """The names chosen for `columns`."""
    listed: list[tuple[str, bool]] = field(default_factory=list)
    """All names that it has now, and whether each is younger than the view."""
    lists_names: bool = False
    parent_using: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    """Of a function's column definition list."""

    @property
    def known(self) -> int:
        return len(self.columns)

    @property
    def written(self) -> Sequence[str]:
        """The column aliases of the view's text."""
        return self.item.columns or ()


@dataclass(eq=False)
class JoinEntry(RangeEntry):
    """`sides`: for each column, its number in the left and in the right item, the merged ones first."""

    left: RangeEntry | None = None
    right: RangeEntry | None = None
    sides: list[tuple[int | None, int | None]] = field(default_factory=list)
    using: list[str] = field(default_factory=list)
    """The names in USING."""
    computed: bool = False
    """One of the merged columns is neither side's."""
    using_shown: list[str] = field(default_factory=list)


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken."""
    used = set(taken)
    found, number = name, 0
    while found in used:
        number += 1
        found = f"{name}_{number}"
    return found


def flattened(entry: RangeEntry) -> list[RangeEntry]:
    """A FROM item with all that it is made of, joins after their sides."""
    if isinstance(entry, JoinEntry) and entry.left is not None and entry.right is not None:
        return [*flattened(entry.left), *flattened(entry.right), entry]
    return [entry]


class ColumnNames:
    """Chooses the column names of one query level."""

    def __init__(self, items: Sequence[RangeEntry]) -> None:
        everything = [entry for item in items for entry in flattened(item)]
        self._unique_using = any(isinstance(entry, JoinEntry) and not entry.item.alias and entry.using and entry.computed
                                 for entry in everything)
        self._using_names: list[str] = []
        for entry in everything:
            entry.shown = [None] * entry.known
        for item in items:
            self._push_using(item, [])
        for entry in everything:
            if isinstance(entry, JoinEntry):
                self._name_join(entry)
            else:
                self._name_columns(entry)

    def _distinct(self, name: str, entry: RangeEntry) -> str:
        return unique(name, [*(n for n in entry.shown if n is not None), *(n for n, _ in entry.listed), *self._using_names,
                             *entry.parent_using])

    def _push_using(self, entry: RangeEntry, parents: list[str]) -> None:
        """Gives both sides of each USING the same names."""
        if not isinstance(entry, JoinEntry):
            return
        assert entry.left is not None and entry.right is not None
        if not entry.item.alias:
            for name, sides in zip(entry.shown, entry.sides, strict=True):
                if name is not None:
                    self._push(entry, sides, name)
        if entry.using:
            parents = list(parents)
            for i, name in enumerate(entry.using):
                known = entry.shown[i]
                if known is None:
                    written = entry.written[i] if i < len(entry.written) else name
                    known = entry.shown[i] = self._distinct(written, entry)
                    if self._unique_using:
                        self._using_names.append(known)
                entry.using_shown.append(known)
                parents.append(known)
                self._push(entry, entry.sides[i], known)
        for side in (entry.left, entry.right):
            side.parent_using = parents
            self._push_using(side, parents)

    def _push(self, entry: JoinEntry, sides: tuple[int | None, int | None], name: str) -> None:
        for side, number in zip((entry.left, entry.right), sides, strict=True):
            if side is not None and number is not None:
                side.shown[number] = name

    def _name_columns(self, entry: RangeEntry) -> None:
        entry.shown += [None] * (len(entry.real) - len(entry.shown))
        changed = False
        for i, real in enumerate(entry.real):
            name = entry.shown[i]
            if name is None:
                name = entry.shown[i] = self._distinct(entry.written[i] if i < len(entry.written) else real, entry)
            changed = changed or name != real
        entry.listed = [(name, i >= entry.known) for i, name in enumerate(entry.shown) if name is not None]
        entry.lists_names = changed or entry.kind == "function" or (entry.kind != "relation" and bool(entry.written))

    def _name_join(self, entry: JoinEntry) -> None:
        left, right = entry.left, entry.right
        assert left is not None and right is not None
        named, changed = bool(entry.item.alias), False
        for i in range(len(entry.using_shown), entry.known):
            at, to = entry.sides[i]
            real = left.shown[at] if at is not None else right.shown[to or 0]
            assert real is not None
            name = entry.shown[i]
            if not named:
                entry.shown[i] = real
                continue
            if name is None:
                name = entry.shown[i] = self._distinct(entry.written[i] if i < len(entry.written) else real, entry)
            changed = changed or name != real
        merged = len(entry.using_shown)
        listed = [(name, False) for name in entry.using_shown]
        following = iter(entry.shown[merged:])
        for place, side in enumerate((left, right)):
            used = {sides[place] for sides in entry.sides[:merged]}
            old = 0
            for name, young in side.listed:
                if young:
                    entry.listed = listed
                    own = self._distinct(name, entry) if named else name
                    changed = changed or own != name
                    listed = [*listed, (own, True)]
                    continue
                old += 1
                if old - 1 not in used:
                    listed = [*listed, (next(following) or name, False)]
        entry.listed = listed
        entry.lists_names = named and (changed or bool(entry.written))
