"""The constraints that information_schema's views tell of: the sources', PostgreSQL's own, and NOT NULL as checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from shoal.catalog.declarations import Constraint
from shoal.catalog.pg_catalog.definitions import constraint_definition
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column, system_relations

KINDS = {"primary": "PRIMARY KEY", "unique": "UNIQUE", "foreign": "FOREIGN KEY", "check": "CHECK", "p": "PRIMARY KEY",
         "u": "UNIQUE"}


@dataclass(frozen=True)
class Declared:
    """One constraint; `relation` and `key` only where a source declares it."""

    schema: str
    table: str
    name: str
    kind: str
    columns: tuple[str, ...]
    not_null: bool = False
    check: str = ""
    relation: Relation | None = None
    key: Constraint | None = None

    def table_columns(self, database: str) -> dict[str, Any]:
        return {"constraint_catalog": database, "constraint_schema": self.schema, "constraint_name": self.name,
                "table_catalog": database, "table_schema": self.schema, "table_name": self.table}


def declared(snapshot: Snapshot) -> Iterator[Declared]:
    """All constraints that have a place in the standard's views."""
    for relation in snapshot.relations:
        schema, table = relation.namespace.name, relation.table.name
        for _, key in relation.constraints:
            if key.kind in KINDS:
                text = constraint_definition(relation, key, False, lambda oid: None) if key.kind == "check" else ""
                text = text.removeprefix("CHECK (").removesuffix(")") if text else ""
                yield Declared(schema, table, key.name, KINDS[key.kind], key.columns, check=text, relation=relation, key=key)
        if relation.kind in "rp":
            for number, info in enumerate(relation.columns, 1):
                if not info.nullable:
                    name = f"{relation.namespace.oid}_{relation.oid}_{number}_not_null"
                    yield Declared(schema, table, name, "CHECK", (info.name,), not_null=True,
                                   check=f"{info.name} IS NOT NULL", relation=relation)
    yield from _system()


@cache
def _system() -> tuple[Declared, ...]:
    relations = {relation.oid: relation for relation in system_relations().values()}
    spaces = dict(zip(*column("pg_namespace", "nspname", "oid"), strict=True))
    names: dict[tuple[int, int], str] = {}
    found = []
    for oid, name, number, not_null in zip(*column("pg_attribute", "attrelid", "attname", "attnum", "attnotnull"),
                                           strict=True):
        names[oid, number] = name
        if not_null and number > 0 and oid in relations and relations[oid].kind == "r":
            relation = relations[oid]
            found.append(Declared(relation.schema, relation.name, f"{spaces[relation.schema]}_{oid}_{number}_not_null",
                                  "CHECK", (name,), not_null=True, check=f"{name} IS NOT NULL"))
    for oid, name, kind, keys in zip(*column("pg_constraint", "conrelid", "conname", "contype", "conkey"), strict=True):
        if kind in KINDS and oid in relations:
            columns = tuple(names[oid, number] for number in keys)
            found.append(Declared(relations[oid].schema, relations[oid].name, name, KINDS[kind], columns))
    return tuple(found)
