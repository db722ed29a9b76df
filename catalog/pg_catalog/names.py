"""What SQL functions ask of the catalog for one session: object identifiers to names and back, definitions, comments.

Used by the coordinator's own tasks, where queries on pg_catalog run. Implements `exec.evaluator.Names`.
Spec: PostgreSQL 15 documentation, 8.19 "Object Identifier Types" and 9.26 tables 9.69 to 9.75.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from shoal.catalog.access import Namespace, quoted
from shoal.catalog.connector import Constraint
from shoal.catalog.pg_catalog.snapshot import (
    INFORMATION_SCHEMA_OID,
    PG_CATALOG_OID,
    SUPERUSER_OID,
    Relation,
    Snapshot,
    system_relations,
)
from shoal.catalog.types import NAMES_BY_OID, OIDS, SQL_ALIASES, SqlType

OWNER = "shoal"


class SessionNames:
    """Answers for one session. `snapshot` is taken when first needed: every task in the coordinator has names at
    hand, few ask, and taking one may list a lake's files."""

    def __init__(self, snapshot: Callable[[], Snapshot], search_path: tuple[str, ...]) -> None:
        self._take_snapshot, self._search_path = snapshot, search_path
        self._texts: dict[str, Callable[..., str | None]] = {
            "pg_get_constraintdef": self._constraint_definition, "pg_get_indexdef": self._index_definition,
            "pg_get_expr": lambda text, *_: text, "obj_description": self._comment,
            "col_description": lambda oid, number, *_: self._column_comment(oid, number),
            "pg_get_userbyid": lambda oid, *_: OWNER if oid == SUPERUSER_OID else f"unknown (OID={oid})",
            "pg_get_serial_sequence": lambda *_: None,
        }

    @cached_property
    def snapshot(self) -> Snapshot:
        return self._take_snapshot()

    @cached_property
    def namespace(self) -> Namespace:
        return Namespace(self.snapshot.catalogs, self.snapshot.database, self._search_path)

    def name_of(self, kind: str, oid: int) -> str | None:
        """The name a reg* type prints for an OID; None where there is no such object."""
        if kind == "regclass":
            return self._relation_name(oid)
        if kind == "regtype":
            name = NAMES_BY_OID.get(oid)
            return None if name is None else SqlType(name, trim=True).sql
        if kind == "regnamespace":
            names = {PG_CATALOG_OID: "pg_catalog", INFORMATION_SCHEMA_OID: "information_schema",
                     **{n.oid: n.name for n in self.snapshot.namespaces}}
            return quoted(names[oid]) if oid in names else None
        if kind == "regrole":
            return OWNER if oid == SUPERUSER_OID else None
        return None

    def oid_of(self, kind: str, name: str) -> int | None:
        """The OID that a name means as a reg* type; None where there is no such object."""
        parts = split_name(name)
        if kind == "regclass":
            return self._relation_oid(parts)
        if kind == "regtype":
            bare = parts[-1]
            array = bare.endswith("[]")
            known = SQL_ALIASES.get(bare.removesuffix("[]"), bare.removesuffix("[]"))
            return OIDS.get("_" + known if array else known)
        if kind == "regnamespace":
            system = {"pg_catalog": PG_CATALOG_OID, "information_schema": INFORMATION_SCHEMA_OID}
            return {**{n.name: n.oid for n in self.snapshot.namespaces}, **system}.get(parts[-1])
        if kind == "regrole":
            return SUPERUSER_OID if parts[-1] == OWNER else None
        return None

    def is_visible(self, oid: int) -> bool | None:
        """Whether a relation is found by its bare name; None for no such relation."""
        system = self.snapshot.system_by_oid.get(oid)
        if system is not None:
            return system.schema == "pg_catalog" or system.schema in self.namespace.search_path
        relation = self.snapshot.by_oid.get(oid) or self._indexes.get(oid, (None,))[0]
        if relation is None:
            return None
        return self.namespace.visible(relation.namespace.catalog, relation.namespace.schema)

    @cached_property
    def _indexes(self) -> dict[int, tuple[Relation, Constraint]]:
        """By OID: the table and the key of each index that is shown."""
        return {self.snapshot.index_oid(owner, key): (owner, key) for owner, _, key in self.snapshot.declared_keys()
                if key.kind != "foreign"}

    def existing_path(self) -> list[str]:
        """The schemas of the search path that exist, in its order."""
        known = {"pg_catalog", "information_schema", *(n.name for n in self.snapshot.namespaces)}
        return [schema for schema in self.namespace.search_path if schema in known]

    def text_of(self, function: str, arguments: Sequence[Any]) -> str | None:
        """The answer of a catalog function that gives text; None for one that has nothing to say here."""
        answer = self._texts.get(function)
        return None if answer is None or not arguments or arguments[0] is None else answer(*arguments)

    def _relation_name(self, oid: int) -> str | None:
        system = self.snapshot.system_by_oid.get(oid)
        if system is not None:
            return system.name if self.is_visible(oid) else f"{system.schema}.{system.name}"
        relation = self.snapshot.by_oid.get(oid)
        if relation is None:
            return quoted(self._indexes[oid][1].name) if oid in self._indexes else None
        bare = quoted(relation.table.name)
        return bare if self.is_visible(oid) else f"{quoted(relation.namespace.name)}.{bare}"

    def _relation_oid(self, parts: list[str]) -> int | None:
        name = parts[-1]
        if len(parts) == 1 or parts[-2] in ("pg_catalog", "information_schema"):
            system = system_relations().get((parts[-2] if len(parts) > 1 else "pg_catalog", name))
            if system is not None:
                return system.oid
        for relation in self.snapshot.relations:
            if relation.table.name != name:
                continue
            space = relation.namespace
            if len(parts) == 1 and self.namespace.visible(space.catalog, space.schema):
                return relation.oid
            if len(parts) == 2 and parts[0] in (space.name, space.schema):
                return relation.oid
            if len(parts) == 3 and parts[:2] == [space.catalog, space.schema]:
                return relation.oid
        return None

    def _constraint_definition(self, oid: int, *_: Any) -> str | None:
        for relation, constraint_oid, key in self.snapshot.declared_keys():
            if constraint_oid == oid:
                return self._definition(relation, key)
        return None

    def _definition(self, relation: Relation, key: Constraint) -> str:
        columns = ", ".join(map(quoted, key.columns))
        if key.kind != "foreign":
            return f"{'PRIMARY KEY' if key.kind == 'primary' else 'UNIQUE'} ({columns})"
        target = relation.referenced(key)
        name = self._relation_name(target.oid) if target else ".".join(map(quoted, key.references or ()))
        return f"FOREIGN KEY ({columns}) REFERENCES {name}({', '.join(map(quoted, key.referenced_columns))})"

    def _index_definition(self, oid: int, column: int = 0, *_: Any) -> str | None:
        for relation, _oid, key in self.snapshot.declared_keys():
            if key.kind != "foreign" and self.snapshot.index_oid(relation, key) == oid:
                if column:
                    return quoted(key.columns[column - 1]) if column <= len(key.columns) else ""
                table = f"{quoted(relation.namespace.name)}.{quoted(relation.table.name)}"
                columns = ", ".join(map(quoted, key.columns))
                return f"CREATE UNIQUE INDEX {quoted(key.name)} ON {table} USING btree ({columns})"
        return None

    def _comment(self, oid: int, catalog: str = "pg_class", *_: Any) -> str | None:
        relation = self.snapshot.by_oid.get(oid)
        return relation.table.comment or None if relation and catalog == "pg_class" else None

    def _column_comment(self, oid: int, number: int) -> str | None:
        relation = self.snapshot.by_oid.get(oid)
        columns = relation.columns if relation else ()
        return columns[number - 1].comment or None if 1 <= number <= len(columns) else None


def split_name(text: str) -> list[str]:
    """The parts of a dotted SQL name, folded to lower case unless quoted."""
    parts, part, index, in_quotes = [], "", 0, False
    while index < len(text):
        char = text[index]
        if char == '"':
            if in_quotes and text[index + 1:index + 2] == '"':
                part, index = part + '"', index + 1
            else:
                in_quotes = not in_quotes
        elif char == "." and not in_quotes:
            parts.append(part)
            part = ""
        else:
            part += char if in_quotes else char.lower()
        index += 1
    return [*parts, part.strip() if not text.rstrip().endswith('"') else part]
