"""What SQL functions ask of the catalog for one session: object identifiers to names and back, definitions, comments.

Used by the coordinator's own tasks, where queries on pg_catalog run. Implements `exec.evaluator.Names`.
Spec: PostgreSQL 15 documentation, 8.19 "Object Identifier Types" and 9.26 tables 9.69 to 9.75.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import pyarrow as pa

from shoal.catalog.access import Namespace, quoted
from shoal.catalog.errors import (
    AmbiguousFunction,
    InvalidSchemaName,
    SqlError,
    UndefinedColumn,
    UndefinedDatabase,
    UndefinedFunction,
    UndefinedObject,
    UndefinedTable,
)
from shoal.catalog.pg_catalog import definitions, routines
from shoal.catalog.pg_catalog.roles import role_oids
from shoal.catalog.pg_catalog.snapshot import OWNER, SUPERUSER_OID, MadeFunction, Relation, Snapshot, stable_oid
from shoal.catalog.pg_catalog.static import column, namespaces, system_relations, token_types, view_definitions
from shoal.catalog.pg_catalog.views import pg_description
from shoal.catalog.types import NAMES_BY_OID, SqlType

CLASS, TYPE, NAMESPACE, LANGUAGE = 1259, 1247, 2615, 2612
_KINDS = {"regproc": "pg_proc", "regprocedure": "pg_proc", "regoper": "pg_operator", "regoperator": "pg_operator",
          "regcollation": "pg_collation", "regconfig": "pg_ts_config", "regdictionary": "pg_ts_dict"}
"""The static catalog that holds what each reg* type names."""
_COLUMNS = {"pg_proc": ("oid", "proname", "pronamespace"), "pg_operator": ("oid", "oprname", "oprnamespace"),
            "pg_collation": ("oid", "collname", "collnamespace"), "pg_ts_config": ("oid", "cfgname", "cfgnamespace"),
            "pg_ts_dict": ("oid", "dictname", "dictnamespace"), "pg_type": ("oid", "typname", "typnamespace"),
            "pg_opclass": ("oid", "opcname", "opcnamespace"), "pg_opfamily": ("oid", "opfname", "opfnamespace"),
            "pg_conversion": ("oid", "conname", "connamespace"), "pg_ts_parser": ("oid", "prsname", "prsnamespace"),
            "pg_ts_template": ("oid", "tmplname", "tmplnamespace")}


_REGCLASS = re.compile(r"'((?:[^']|'')+)'::regclass")
_SEQUENCE_BYTES = 8192
_SPELLED = {1560: "bit", 1562: "bit varying"}
"""Types of PostgreSQL that Shoal does not have and SQL spells otherwise."""
_COUNTED = ("numscans", "tuples_inserted", "tuples_updated", "tuples_deleted", "dead_tuples")
_STATIC = {"language": ("pg_language", "lanname"), "tablespace": ("pg_tablespace", "spcname")}
_MISSING: dict[str, Callable[[str], SqlError]] = {
    "regclass": lambda name: UndefinedTable(f'relation "{name}" does not exist'),
    "regnamespace": lambda name: InvalidSchemaName(f'schema "{name}" does not exist'),
    "regprocedure": lambda name: UndefinedFunction(f'function "{name}" does not exist'),
    "regtype": lambda name: UndefinedObject(f'type "{name}" does not exist')}
"""What an unknown name of each kind is."""


@cache
def _objects(catalog: str) -> dict[int, tuple[str, int]]:
    """(name, namespace) of a static catalog's objects by OID."""
    return {oid: (name, space) for oid, name, space in zip(*column(catalog, *_COLUMNS[catalog]), strict=True)}


@cache
def _named(catalog: str) -> dict[str, list[int]]:
    """The OIDs of a static catalog's objects by name."""
    found: dict[str, list[int]] = {}
    for oid, (name, _) in _objects(catalog).items():
        found.setdefault(name, []).append(oid)
    return found


@cache
def _operands() -> dict[int, tuple[int, int]]:
    """The operand types of each operator."""
    rows = zip(*column("pg_operator", "oid", "oprleft", "oprright"), strict=True)
    return {oid: (left, right) for oid, left, right in rows}


@cache
def _elements() -> dict[int, int]:
    """The element type of each of PostgreSQL's array types."""
    return {oid: element for oid, element, category in
            zip(*column("pg_type", "oid", "typelem", "typcategory"), strict=True) if category == "A" and element}


@cache
def _descriptions() -> dict[tuple[int, int, int], str]:
    """By (object, its catalog, column number)."""
    return {(oid, catalog, number): text for oid, catalog, number, text in
            zip(*column("pg_description", "objoid", "classoid", "objsubid", "description"), strict=True)}


class SessionNames:
    """Answers for one session. `snapshot` is taken when first needed: every task in the coordinator has names at
    hand, few ask, and taking one may list a lake's files."""

    def __init__(self, snapshot: Callable[[], Snapshot], search_path: tuple[str, ...], user: str = "",
                 relation: Callable[[str], pa.RecordBatch] | None = None,
                 functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        """`relation` gives the rows of a system view as the session sees them, `functions` answer what only the server
        knows."""
        self._take_snapshot, self._search_path, self._user = snapshot, search_path, user
        self._read = relation
        self._answers: dict[str, Callable[..., Any]] = {
            "pg_get_constraintdef": self._constraint_definition, "pg_get_indexdef": self._index_definition,
            "pg_get_viewdef": self._view_definition, "pg_get_ruledef": self._rule_definition,
            "pg_get_expr": self._expression,
            "obj_description": self._comment, "shobj_description": self._shared_comment,
            "col_description": lambda oid, number: self._description(oid, CLASS, number),
            "pg_get_userbyid": lambda oid: self._role_name(oid) or f"unknown (OID={oid})",
            "pg_get_serial_sequence": self._serial_sequence, "pg_get_functiondef": self._function_definition,
            "pg_get_function_arguments": lambda oid: self._of_routine(oid, lambda routine: routine.arguments()),
            "pg_get_function_identity_arguments":
                lambda oid: self._of_routine(oid, lambda routine: routine.arguments(identity=True)),
            "pg_get_function_result": lambda oid: self._of_routine(oid, lambda routine: routine.result()),
            "pg_get_function_sqlbody": lambda oid: self._of_routine(oid, lambda routine: routine.row["prosqlbody"]),
            "pg_relation_size": self._main_size, "pg_table_size": self._table_size, "pg_indexes_size": self._indexes_size,
            "pg_total_relation_size": self._total_size, "pg_database_size": self._database_size,
            "pg_tablespace_size": lambda which: 0, "pg_tablespace_location": lambda oid: "",
            "pg_relation_is_updatable": lambda oid, _: 0, "pg_relation_filenode": lambda oid: None,
            "pg_column_is_updatable": lambda oid, number, _: False, "pg_sequence_last_value": self._last_value,
            "pg_describe_object": self._described, "exists": self._exists, "has_column": self._has_column,
            "ts_token_type": lambda oid: token_types().get(oid, ()), "index_option": self._index_option, **(functions or {}),
            **{f"pg_stat_get_{what}": lambda oid: 0 for what in _COUNTED},
            "pg_stat_get_live_tuples": lambda oid: int(found.statistics.rows or 0) if (found := self._relation(oid)) else 0,
        }

    @cached_property
    def snapshot(self) -> Snapshot:
        return self._take_snapshot()

    @cached_property
    def namespace(self) -> Namespace:
        return Namespace(self.snapshot.catalogs, self.snapshot.database, self._search_path)

    # identifiers

    def name_of(self, kind: str, oid: int) -> str | None:
        """The name a reg* type prints for an OID; None where there is no such object."""
        if kind == "regclass":
            return self._relation_name(oid)
        if kind == "regtype":
            return self._type_name(oid)
        if kind == "regnamespace":
            name = namespaces().get(oid) or {n.oid: n.name for n in self.snapshot.namespaces}.get(oid)
            return quoted(name) if name is not None else None
        if kind == "regrole":
            role = self._role_name(oid)
            return quoted(role) if role is not None else None
        return self._static_name(kind, oid) if kind in _KINDS else None

    def oid_of(self, kind: str, name: str) -> int | None:
        """The OID that a name means as a reg* type; None where there is no such object.

        Raises: AmbiguousFunction (42725) for the bare name of an overloaded function or operator.
        """
        parts = split_name(name)
        if name.isdecimal():
            return int(name)
        if kind == "regclass":
            return self._relation_oid(parts)
        if kind == "regtype":
            return self._type_oid(parts)
        if kind == "regnamespace":
            own = {n.name: n.oid for n in self.snapshot.namespaces}
            return {**own, **{name: oid for oid, name in namespaces().items()}}.get(parts[-1])
        if kind == "regrole":
            return role_oids(self.snapshot, self._user).get(parts[-1])
        return self._static_oid(kind, name, parts) if kind in _KINDS else None

    def is_visible(self, kind: str, oid: int) -> bool | None:
        """Whether an object is found by its bare name (`kind` as in pg_<kind>_is_visible); None for no such object."""
        if kind != "table":
            catalog = {"type": "pg_type", "function": "pg_proc", "ts_dict": "pg_ts_dict"}.get(kind, f"pg_{kind}")
            found = _objects(catalog).get(oid) if catalog in _COLUMNS else None
            if found is not None:
                return namespaces()[found[1]] in ("pg_catalog", *self._search_path)
            if kind == "function":
                made = self.snapshot.function_by_oid.get(oid)
                place = None if made is None else made.namespace
            else:
                place = self.snapshot.own_types[oid][0] if kind == "type" and oid in self.snapshot.own_types else None
            return None if place is None else self.namespace.visible(place.catalog, place.schema)
        system = self.snapshot.system_by_oid.get(oid)
        if system is not None:
            return system.schema == "pg_catalog" or system.schema in self._search_path
        place = self._place(oid)
        if place is not None:
            return self.namespace.visible(place.catalog, place.schema)
        index = definitions.system_indexes().get(oid)
        return None if index is None else index.schema == "pg_catalog"

    def _place(self, oid: int) -> Any:
        """The namespace of a relation of a source."""
        if oid in self.snapshot.by_oid:
            return self.snapshot.by_oid[oid].namespace
        if oid in self.snapshot.indexes:
            return self.snapshot.indexes[oid][0].namespace
        sequence = self.snapshot.sequence_by_oid.get(oid)
        return None if sequence is None else sequence.namespace

    def existing_path(self) -> list[str]:
        """The schemas of the search path that exist, in its order."""
        known = {"pg_catalog", "information_schema", *(n.name for n in self.snapshot.namespaces)}
        return [schema for schema in self.namespace.search_path if schema in known]

    def temporary_schema(self) -> tuple[str, int] | None:
        """The name and OID of the schema of the session's temporary tables, where it has any."""
        own = self.snapshot.catalogs.temporary
        return next(((space.name, space.oid) for space in self.snapshot.namespaces if own and space.schema == own), None)

    def answer(self, function: str, arguments: Sequence[Any]) -> Any:
        """The answer of a catalog function; None for one that has nothing to say here."""
        found = self._answers.get(function)
        return None if found is None or None in arguments[:1] else found(*arguments)

    def _expression(self, text: str, _: int, pretty: bool = False) -> str:
        """A stored expression's text; relations in it are named as the session sees them."""
        def seen(match: re.Match[str]) -> str:
            oid = self.oid_of("regclass", match[1].replace("''", "'"))
            name = None if oid is None else self._relation_name(oid)
            return match[0] if name is None else "'" + name.replace("'", "''") + "'::regclass"
        text = _REGCLASS.sub(seen, text)
        return definitions.without_outer_parentheses(text) if pretty else text

    def relation(self, name: str, columns: Sequence[str]) -> pa.RecordBatch | None:
        """These columns of a view of pg_catalog."""
        return None if self._read is None else self._read(name).select(list(columns))

    def _relation_name(self, oid: int) -> str | None:
        system = self.snapshot.system_by_oid.get(oid)
        if system is not None:
            return system.name if self.is_visible("table", oid) else f"{system.schema}.{system.name}"
        relation = self.snapshot.by_oid.get(oid)
        if relation is not None:
            name = relation.table.name
        elif oid in self.snapshot.indexes:
            name = self.snapshot.indexes[oid][1].name
        elif oid in self.snapshot.sequence_by_oid:
            name = self.snapshot.sequence_by_oid[oid].info.name
        elif (composite := next((c for c in self.snapshot.composites if c.oid == oid), None)) is not None:
            return self._type_name(composite.type_oid)
        else:
            index = definitions.system_indexes().get(oid)
            return None if index is None else index.name if index.schema == "pg_catalog" else f"{index.schema}.{index.name}"
        return quoted(name) if self.is_visible("table", oid) else f"{quoted(self._place(oid).name)}.{quoted(name)}"

    def _relations(self) -> Iterator[tuple[Any, str, int]]:
        """(namespace, name, OID) of every relation of the sources, tables first."""
        for relation in self.snapshot.relations:
            yield relation.namespace, relation.table.name, relation.oid
        for sequence in self.snapshot.sequences:
            yield sequence.namespace, sequence.info.name, sequence.oid
        for oid, (relation, index) in self.snapshot.indexes.items():
            yield relation.namespace, index.name, oid

    def _relation_oid(self, parts: list[str]) -> int | None:
        name = parts[-1]
        if len(parts) == 1 or parts[-2] in ("pg_catalog", "information_schema"):
            system = system_relations().get((parts[-2] if len(parts) > 1 else "pg_catalog", name))
            if system is not None:
                return system.oid
        for space, found, oid in self._relations():
            if found != name:
                continue
            if len(parts) == 1 and self.namespace.visible(space.catalog, space.schema):
                return oid
            if len(parts) == 2 and parts[0] in (space.name, space.schema):
                return oid
            if len(parts) == 3 and parts[:2] == [space.catalog, space.schema]:
                return oid
        return None

    def _type_name(self, oid: int) -> str | None:
        name = NAMES_BY_OID.get(oid)
        if name is not None:
            return SqlType(name).sql
        if oid in _elements():
            element = self._type_name(_elements()[oid])
            return None if element is None else f"{element}[]"
        found = _objects("pg_type").get(oid)
        if found is not None:
            name, space = found
            if oid in _SPELLED:
                return _SPELLED[oid]
            return quoted(name) if namespaces()[space] == "pg_catalog" else f"{namespaces()[space]}.{quoted(name)}"
        own = self.snapshot.own_types.get(oid)
        if own is None:
            return None
        namespace, name = own
        if name.startswith("_") and (element_oid := self.snapshot.type_oid(namespace, name[1:])) in self.snapshot.own_types:
            return f"{self._type_name(element_oid)}[]"
        return quoted(name) if self.namespace.visible(namespace.catalog, namespace.schema) else (
            f"{quoted(namespace.name)}.{quoted(name)}")

    def _type_oid(self, parts: list[str]) -> int | None:
        bare = parts[-1]
        array = bare.endswith("[]")
        name = bare.removesuffix("[]")
        if len(parts) == 1 or parts[-2] == "pg_catalog":
            found = routines.system_type(name, array)
            if found is not None:
                return found
        for oid, (namespace, own) in self.snapshot.own_types.items():
            if own == ("_" + name if array else name) and (
                    parts[-2] in (namespace.name, namespace.schema) if len(parts) > 1
                    else self.namespace.visible(namespace.catalog, namespace.schema)):
                return oid
        return None

    def _role_name(self, oid: int) -> str | None:
        if oid == SUPERUSER_OID:
            return OWNER
        return next((name for name, found in role_oids(self.snapshot, self._user).items() if found == oid), None)

    def _static_name(self, kind: str, oid: int) -> str | None:
        if kind in ("regproc", "regprocedure") and oid in self.snapshot.function_by_oid:
            return self._made_function_name(self.snapshot.function_by_oid[oid], kind)
        found = _objects(_KINDS[kind]).get(oid)
        if found is None:
            return None
        name, space = found
        if kind == "regprocedure":
            kinds = self._routine(oid)
            assert kinds is not None
            arguments = ",".join(self.type_text(kind) for kind in kinds.row["proargtypes"])
            prefix = "" if namespaces()[space] in ("pg_catalog", *self._search_path) else f"{namespaces()[space]}."
            return f"{prefix}{quoted(name)}({arguments})"
        unique = len(_named(_KINDS[kind])[name]) == 1 and namespaces()[space] == "pg_catalog"
        if kind == "regoperator":
            sides = [self.type_text(side) if side else "NONE" for side in _operands()[oid]]
            return f"{name}({','.join(sides)})"
        text = name if kind == "regoper" else quoted(name)
        return text if unique or kind not in ("regproc", "regoper") else f"{namespaces()[space]}.{text}"

    def _made_function_name(self, made: MadeFunction, kind: str) -> str:
        space, name = made.namespace, quoted(made.info.name)
        alone = len(self._functions_named([made.info.name])) == 1
        if not self.namespace.visible(space.catalog, space.schema) or (kind == "regproc" and not alone):
            name = f"{quoted(space.name)}.{name}"
        types = routines.row(self.snapshot, made)["proargtypes"]
        return name if kind == "regproc" else f"{name}({','.join(map(self.type_text, types))})"

    def _functions_named(self, parts: list[str]) -> list[int]:
        """The OIDs of the functions that a name may mean."""
        found = _named("pg_proc").get(parts[-1], []) if len(parts) == 1 or parts[-2] == "pg_catalog" else []
        return [*found, *(made.oid for made in self.snapshot.functions if made.info.name == parts[-1] and (
            parts[-2] in (made.namespace.name, made.namespace.schema) if len(parts) > 1
            else self.namespace.visible(made.namespace.catalog, made.namespace.schema)))]

    def _routine(self, oid: int) -> definitions.Routine | None:
        made = None if oid in definitions.routines() else self.snapshot.function_by_oid.get(oid)
        if made is not None:
            return definitions.Routine(routines.row(self.snapshot, made), self.type_text)
        return definitions.routine(oid, self.type_text)

    def _static_oid(self, kind: str, name: str, parts: list[str]) -> int | None:
        catalog = _KINDS[kind]
        if kind == "regprocedure" and "(" in name:
            head, _, inside = name.partition("(")
            parts = split_name(head)
            wanted = [self._type_oid(split_name(text)) for text in inside.rstrip(")").split(",") if text.strip()]
            for oid in self._functions_named(parts):
                routine = self._routine(oid)
                if routine is not None and routine.row["proargtypes"] == wanted:
                    return oid
            return None
        if kind == "regoperator" and "(" in name:
            symbol, _, inside = name.partition("(")
            sides = [text.strip() for text in inside.rstrip(") ").split(",")]
            types = [0 if side.upper() == "NONE" else self._type_oid(split_name(side)) for side in sides]
            return next((oid for oid in _named(catalog).get(symbol.strip().rpartition(".")[2], ())
                         if list(_operands()[oid]) == types), None)
        found = self._functions_named(parts) if kind in ("regproc", "regprocedure") else _named(catalog).get(
            parts[-1] if kind != "regoper" else name.strip().rpartition(".")[2], [])
        if len(found) > 1 and kind in ("regproc", "regoper"):
            raise AmbiguousFunction(f'more than one function named "{name}"' if kind == "regproc" else
                                    f"more than one operator named {name}")
        return found[0] if found else None

    def type_text(self, oid: int) -> str:
        """format_type() of a type without modifiers."""
        return self._type_name(oid) or ("-" if oid == 0 else "???")

    # definitions

    def _constraint_definition(self, oid: int, pretty: bool = False) -> str | None:
        for relation, constraint_oid, key in self.snapshot.constraints():
            if constraint_oid == oid:
                return definitions.constraint_definition(relation, key, pretty, self._relation_name)
        return definitions.system_keys().get(oid)

    def _index_definition(self, oid: int, number: int = 0, pretty: bool = False) -> str | None:
        found = self.snapshot.indexes.get(oid)
        if found is None:
            system = definitions.system_indexes().get(oid)
            if system is None:
                return None
            columns, text = list(system.columns), system.definition
            if pretty:
                text = text.replace(" ON pg_catalog.", " ON ")
        else:
            relation, index = found
            columns = definitions.index_columns(relation, index, pretty)
            text = definitions.index_definition(relation, index, pretty,
                                                self._relation_name(relation.oid) or "" if pretty else "")
        return text if not number else columns[number - 1] if 1 <= number <= len(columns) else ""

    def _view_definition(self, which: int | str, pretty: bool | int = False) -> str | None:
        oid = which if isinstance(which, int) else self._relation_oid(split_name(which))
        relation = self.snapshot.by_oid.get(oid) if oid is not None else None
        if relation is not None:
            return relation.definition(bool(pretty), self._search_path) or None
        return view_definitions().get(oid) if oid is not None else None

    def _rule_definition(self, oid: int, pretty: bool = False) -> str | None:
        for relation in self.snapshot.relations:
            if relation.kind in "vm" and stable_oid("rule", str(relation.oid)) == oid:
                name = self._relation_name(relation.oid) if pretty else definitions.qualified(relation)
                query = relation.definition(pretty, self._search_path)
                return f'CREATE RULE "_RETURN" AS\n    ON SELECT TO {name} DO INSTEAD {query}'
        return None

    def _of_routine(self, oid: int, question: Callable[[definitions.Routine], str | None]) -> str | None:
        found = self._routine(oid)
        return None if found is None else question(found)

    def _function_definition(self, oid: int) -> str | None:
        found = self._routine(oid)
        if found is None:
            return None
        made = self.snapshot.function_by_oid.get(oid)
        space = namespaces()[found.row["pronamespace"]] if made is None else made.namespace.name
        languages = dict(zip(*column("pg_language", "oid", "lanname"), strict=True))
        return found.definition(space, languages[found.row["prolang"]],
                                lambda support: self._static_name("regproc", support))

    def _serial_sequence(self, table: str, name: str) -> str | None:
        relation = self.snapshot.by_oid.get(self._relation_oid(split_name(table)) or 0)
        for sequence in self.snapshot.sequences if relation is not None else ():
            if relation is not None and sequence.namespace == relation.namespace and sequence.info.owner == (
                    relation.table.name, name):
                return f"{quoted(sequence.namespace.name)}.{quoted(sequence.info.name)}"
        return None

    # comments

    def _description(self, oid: int, catalog: int, number: int = 0) -> str | None:
        return self._comments.get((oid, catalog, number)) or _descriptions().get((oid, catalog, number))

    @cached_property
    def _comments(self) -> dict[tuple[int, int, int], str]:
        return {(row["objoid"], row["classoid"], row["objsubid"]): row["description"]
                for row in pg_description.rows(self.snapshot)}

    def _comment(self, oid: int, catalog: str | None = None) -> str | None:
        if catalog is not None:
            found = system_relations().get(("pg_catalog", catalog))
            return None if found is None else self._description(oid, found.oid)
        texts = {**_descriptions(), **self._comments}
        return next((text for (found_oid, _, number), text in texts.items() if found_oid == oid and not number), None)

    def _shared_comment(self, oid: int, catalog: str) -> str | None:
        found = system_relations().get(("pg_catalog", catalog))
        rows = zip(*column("pg_shdescription", "objoid", "classoid", "description"), strict=True)
        for object_oid, class_oid, text in rows:
            if found is not None and (object_oid, class_oid) == (oid, found.oid):
                return str(text)
        return None

    # sizes

    def _relation(self, oid: int) -> Relation | None:
        return self.snapshot.by_oid.get(oid)

    def _main_size(self, oid: int, fork: str = "main") -> int | None:
        relation = self._relation(oid)
        if relation is None:
            if oid in self.snapshot.sequence_by_oid:
                return _SEQUENCE_BYTES
            if oid in self.snapshot.indexes:
                return self.snapshot.indexes[oid][1].size_bytes if fork == "main" else 0
            return 0 if self._relation_name(oid) is not None else None
        return relation.main_bytes if fork == "main" else 0

    def _table_size(self, oid: int) -> int | None:
        relation = self._relation(oid)
        return relation.size.table_bytes if relation and relation.size else self._main_size(oid)

    def _indexes_size(self, oid: int) -> int | None:
        relation = self._relation(oid)
        return relation.size.index_bytes if relation and relation.size else self._main_size(oid, "")

    def _total_size(self, oid: int) -> int | None:
        table, indexes = self._table_size(oid), self._indexes_size(oid)
        return None if table is None else table + (indexes or 0)

    def _database_size(self, which: int | str) -> int | None:
        """Of the database the session is connected to; another one is not asked for its tables."""
        if which not in (self.snapshot.database, self.snapshot.database_oid(self.snapshot.database)):
            return 0
        sizes = (relation.size for relation in self.snapshot.relations)
        return sum(size.table_bytes + size.index_bytes for size in sizes if size is not None)

    def _exists(self, kind: str, register: str, subject: int | str) -> bool:
        """Whether the subject of a has_..._privilege call is there. Raises: what its name's absence is for `kind`."""
        if isinstance(subject, int):
            return not register or self.name_of(register, subject) is not None
        if register:
            found = self.oid_of(register, subject)
            if found is None:
                raise _MISSING[register](subject)
        elif kind == "database" and subject not in self.snapshot.databases:
            raise UndefinedDatabase(f'database "{subject}" does not exist')
        elif kind in _STATIC and subject not in column(*_STATIC[kind])[0]:
            raise UndefinedObject(f'{kind.replace("_", "-")} "{subject}" does not exist')
        return True

    def _has_column(self, subject: int | str, which: int | str) -> bool:
        """Raises: UndefinedColumn (42703)."""
        oid = subject if isinstance(subject, int) else self._relation_oid(split_name(subject)) or 0
        relation, system = self.snapshot.by_oid.get(oid), self.snapshot.system_by_oid.get(oid)
        names = [info.name for info in (relation.columns if relation else system.columns if system else ())]
        if isinstance(which, int):
            return 1 <= which <= len(names)
        if which not in names:
            raise UndefinedColumn(f'column "{which}" of relation "{self._relation_name(oid)}" does not exist')
        return True

    def _index_option(self, oid: int, number: int) -> int | None:
        """pg_index.indoption of an index's column."""
        found = self.snapshot.indexes.get(oid)
        if found is None:
            return 0 if oid in definitions.system_indexes() else None
        index = found[1]
        keys = len(index.columns) if index.keys is None else index.keys
        return (index.options[number - 1] if number <= len(index.options) else 0) if 1 <= number <= keys else None

    def _described(self, catalog: int, oid: int, number: int) -> str | None:
        """pg_describe_object, of relations, their columns, types, functions, schemas and roles."""
        if catalog == CLASS and (name := self._relation_name(oid)) is not None:
            relation = self.snapshot.by_oid.get(oid)
            kind = "index" if oid in self.snapshot.indexes else "sequence" if oid in self.snapshot.sequence_by_oid else {
                "v": "view", "m": "materialized view", "f": "foreign table"}.get(relation.kind if relation else "", "table")
            return f"column {quoted(relation.columns[number - 1].name)} of {kind} {name}" if number and relation else (
                f"{kind} {name}")
        if catalog == LANGUAGE:
            language = dict(zip(*column("pg_language", "oid", "lanname"), strict=True)).get(oid)
            return None if language is None else f"language {language}"
        words = {TYPE: ("type", "regtype"), NAMESPACE: ("schema", "regnamespace"), 1255: ("function", "regprocedure"),
                 1260: ("role", "regrole")}
        if catalog not in words:
            return None
        word, register = words[catalog]
        name = self.name_of(register, oid)
        return None if name is None else f"{word} {name}"

    def _last_value(self, oid: int) -> int | None:
        sequence = self.snapshot.sequence_by_oid.get(oid)
        return None if sequence is None else sequence.info.last_value


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
        elif in_quotes or not char.isspace() or (part and text[index:].lstrip()[:1] not in ("", ".")):
            part += char if in_quotes else char.lower()  # white space around a part is not of the name
        index += 1
    return [*parts, part]
