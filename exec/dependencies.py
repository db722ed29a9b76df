"""What depends on a relation: views that read it, foreign keys that point to it. For DROP, and ALTER of columns.

Spec: PostgreSQL 15 documentation, 5.14 "Dependency Tracking".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shoal.catalog.connector import Connector, SupportsDefinitions, SupportsWrite, TableHandle

Shown = Callable[[TableHandle], str]
Name = tuple[str, str, str]


@dataclass(slots=True)
class Dependent:
    """`handle` depends on `on`: as a whole (a view), or by its constraint of this name."""

    connector: SupportsDefinitions
    handle: TableHandle
    on: TableHandle
    constraint: str = ""

    def victim(self, shown: Shown) -> str:
        if self.constraint:
            return f"constraint {self.constraint} on table {shown(self.handle)}"
        return f"{kind_word(self.handle)} {shown(self.handle)}"

    def description(self, shown: Shown) -> str:
        return f"{self.victim(shown)} depends on {kind_word(self.on)} {shown(self.on)}"

    def drop(self) -> None:
        if not self.constraint:
            assert isinstance(self.connector, SupportsWrite)
            self.connector.drop_table(self.handle)
            return
        definition = self.connector.definition_of(self.handle)
        self.connector.redefine(self.handle, replace(
            definition, constraints=tuple(c for c in definition.constraints if c.name != self.constraint)))


@dataclass(slots=True)
class Dependents:
    """In the order in which they were found, each once."""

    found: list[Dependent] = field(default_factory=list)
    names: set[Name] = field(default_factory=set)


def kind_word(handle: TableHandle) -> str:
    """What messages call it."""
    return handle.kind.replace("_", " ")


def depends(connector: SupportsDefinitions, handle: TableHandle, dropped: set[Name], into: Dependents,
            constraints_only: bool = False) -> None:
    """Adds to `into` what depends on the relation, directly or not, and is not among `dropped` itself."""
    assert isinstance(connector, Connector)
    number = connector.number(handle)
    for other in relations(connector):
        name = (handle.catalog, other.schema, other.name)
        if name in dropped:
            continue
        definition = connector.definition_of(other)
        for constraint in definition.constraints:
            if constraint.kind == "foreign" and constraint.references == (handle.schema, handle.name) and not any(
                    d.constraint == constraint.name and d.handle == other for d in into.found):
                into.found.append(Dependent(connector, other, handle, constraint.name))
        if constraints_only or definition.view is None or name in into.names:
            continue
        if any(read.catalog == handle.catalog and read.number == number for read in definition.view.reads):
            into.names.add(name)
            into.found.append(Dependent(connector, other, handle))
            depends(connector, other, dropped, into)


def readers(connector: SupportsDefinitions, handle: TableHandle, column: str) -> list[TableHandle]:
    """The views that use a column of the relation."""
    assert isinstance(connector, Connector)
    number = connector.number(handle)
    return [other for other in relations(connector) if (view := connector.definition_of(other).view) is not None and any(
        read.catalog == handle.catalog and read.number == number and column in read.used for read in view.reads)]


def relations(connector: SupportsDefinitions) -> list[TableHandle]:
    """All relations of the catalog, the oldest first."""
    assert isinstance(connector, Connector)
    found = [handle for schema in connector.schemas() for table in connector.tables(schema)
             if (handle := connector.table(schema, table.name)) is not None]
    return sorted(found, key=connector.number)
