"""The SQL texts that pg_get_indexdef, pg_get_constraintdef, pg_get_functiondef and their like print.

Pure: from a snapshot's objects and the static catalogs. Spec: PostgreSQL 15 documentation, 9.26 table 9.71.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from shoal.catalog.access import quoted
from shoal.catalog.declarations import Constraint, Index
from shoal.catalog.pg_catalog.snapshot import Relation
from shoal.catalog.pg_catalog.static import batch, column, system_relations

ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def qualified(relation: Relation) -> str:
    return f"{quoted(relation.namespace.name)}.{quoted(relation.table.name)}"


def index_definition(relation: Relation, index: Index, pretty: bool = False, table: str = "") -> str:
    """`table`: how to print the table's name; by default with its schema."""
    after = (index.pretty if pretty else "") or index.definition
    if not after:
        texts = index_columns(relation, index, pretty)
        keys = len(texts) if index.keys is None else index.keys
        columns = ", ".join(
            text + _collate(name) + _class_names().get(oid, "") + _order(option) for text, name, oid, option in zip(
                texts[:keys], (*index.collations, *[""] * keys), (*index.classes, *[0] * keys),
                (*index.options, *[0] * keys), strict=False))
        after = f"{index.method} ({columns})" + (f" INCLUDE ({', '.join(texts[keys:])})" if texts[keys:] else "")
        predicate = (index.pretty_predicate if pretty else "") or index.predicate
        after += f" WHERE {predicate}" if predicate else ""
    unique = "UNIQUE " if index.unique else ""
    return f"CREATE {unique}INDEX {quoted(index.name)} ON {table or qualified(relation)} USING {after}"


def _order(option: Any) -> str:
    return ("", " DESC NULLS LAST", " NULLS FIRST", " DESC")[option]


def _collate(name: str) -> str:
    return f" COLLATE {quoted(name)}" if name else ""


@cache
def _class_names() -> dict[int, str]:
    """How the operator classes are shown that a type does not have by default, by OID."""
    return {oid: f" {name}" for oid, name, default in zip(*column("pg_opclass", "oid", "opcname", "opcdefault"), strict=True)
            if not default}


def index_columns(relation: Relation, index: Index, pretty: bool = False) -> list[str]:
    """Each column as pg_get_indexdef(oid, n) prints it."""
    known = {f"({expression.text})": expression for expression in index.expressions}

    def shown(name: str) -> str:
        if name in relation.numbers:
            return quoted(name)
        expression = known.get(name)
        if expression is None:
            return _expression(name)
        text = expression.pretty if pretty else expression.text
        return text if expression.is_call else f"({text})"

    return [shown(name) for name in index.columns]


def _expression(text: str) -> str:
    """An indexed expression, which needs no parentheses where it is a call of a function."""
    inner = without_outer_parentheses(text)
    head, _, rest = inner.partition("(")
    return inner if head.isidentifier() and rest.endswith(")") else text


def constraint_definition(relation: Relation, key: Constraint, pretty: bool, name_of: Callable[[int], str | None]) -> str:
    """`name_of` prints the name of the relation of an OID."""
    if key.kind != "foreign" and key.definition:
        return (key.pretty if pretty else "") or key.definition
    if key.kind == "check":
        return f"CHECK ({key.expression})" if pretty else f"CHECK (({key.expression}))"
    columns = ", ".join(map(quoted, key.columns))
    if key.kind != "foreign":
        text = f"{'PRIMARY KEY' if key.kind == 'primary' else 'UNIQUE'} ({columns})"
    else:
        target = relation.referenced(key)
        name = name_of(target.oid) if target else ".".join(map(quoted, key.references or ()))
        text = f"FOREIGN KEY ({columns}) REFERENCES {name}({', '.join(map(quoted, key.referenced_columns))})"
        text += " MATCH FULL" if key.match == "f" else ""
        text += f" ON UPDATE {ACTIONS[key.on_update]}" if key.on_update in ACTIONS else ""
        text += f" ON DELETE {ACTIONS[key.on_delete]}" if key.on_delete in ACTIONS else ""
    text += " DEFERRABLE" if key.deferrable else ""
    text += " INITIALLY DEFERRED" if key.deferred else ""
    return text + ("" if key.validated else " NOT VALID")


@dataclass(frozen=True)
class SystemIndex:
    schema: str
    table: str
    name: str
    columns: tuple[str, ...]
    definition: str
    shared: bool


@cache
def system_indexes() -> dict[int, SystemIndex]:
    """PostgreSQL's own indexes by OID."""
    classes = {oid: rest for oid, *rest in
               zip(*column("pg_class", "oid", "relname", "relnamespace", "relisshared"), strict=True)}
    spaces = dict(zip(*column("pg_namespace", "oid", "nspname"), strict=True))
    names = {(relation, number): name for relation, number, name in
             zip(*column("pg_attribute", "attrelid", "attnum", "attname"), strict=True)}
    found = {}
    for oid, owner, unique, keys in zip(*column("pg_index", "indexrelid", "indrelid", "indisunique", "indkey"), strict=True):
        (name, space, shared), (table, *_) = classes[oid], classes[owner]
        columns = tuple(quoted(names[owner, number]) for number in keys)
        text = (f"CREATE {'UNIQUE ' if unique else ''}INDEX {name} ON {spaces[space]}.{table} USING btree "
                f"({', '.join(columns)})")
        found[oid] = SystemIndex(spaces[space], table, name, columns, text, shared)
    return found


@cache
def system_keys() -> dict[int, str]:
    """The definition of each of PostgreSQL's own keys, and its domains' checks, by OID."""
    found = {}
    indexes = system_indexes()
    for oid, kind, index, text in zip(*column("pg_constraint", "oid", "contype", "conindid", "conbin"), strict=True):
        if kind == "c":
            found[oid] = f"CHECK ({text})"
        elif index in indexes:
            found[oid] = f"{'PRIMARY KEY' if kind == 'p' else 'UNIQUE'} ({', '.join(indexes[index].columns)})"
    return found


TypeName = Callable[[int], str]
_PARALLEL = {"s": "PARALLEL SAFE", "r": "PARALLEL RESTRICTED"}


@dataclass(frozen=True)
class Routine:
    """A function of PostgreSQL; types are OIDs."""

    row: dict[str, Any]
    type_name: TypeName

    def arguments(self, identity: bool = False) -> str:
        """pg_get_function_arguments, or with `identity` pg_get_function_identity_arguments."""
        row = self.row
        types = row["proallargtypes"] or row["proargtypes"]
        last = "v" if row["provariadic"] else "i"
        modes = row["proargmodes"] or [*"i" * (len(types) - 1), last]
        names = row["proargnames"] or [""] * len(types)
        inputs = sum(mode in "ibv" for mode in modes)
        defaults = [""] * (inputs - row["pronargdefaults"]) + _parts(row["proargdefaults"] or "")
        texts, place = [], 0
        for kind, mode, name in zip(types, modes, names, strict=False):
            is_input = mode in "ibv"
            default = defaults[place] if is_input and place < len(defaults) else ""
            place += is_input
            if mode == "t":
                continue
            prefix = {"o": "OUT ", "b": "INOUT ", "v": "VARIADIC "}.get(mode, "")
            text = prefix + (f"{quoted(name)} " if name else "") + self.type_name(kind)
            texts.append(text + (f" DEFAULT {default}" if default and not identity else ""))
        direct = _direct_arguments().get(row["oid"])
        if direct is None:
            return ", ".join(texts)
        ordered = texts[direct:] or texts[-1:]  # the last one is both where all are direct and it is variadic
        return f"{', '.join(texts[:direct])} ORDER BY {', '.join(ordered)}".lstrip()

    def result(self) -> str | None:
        """pg_get_function_result."""
        row = self.row
        if row["prokind"] == "p":
            return None
        if "t" in (row["proargmodes"] or ()):
            columns = [f"{quoted(name)} {self.type_name(kind)}" for name, kind, mode in
                       zip(row["proargnames"], row["proallargtypes"], row["proargmodes"], strict=True) if mode == "t"]
            return f"TABLE({', '.join(columns)})"
        return ("SETOF " if row["proretset"] else "") + self.type_name(row["prorettype"])

    def definition(self, schema: str, language: str, names: Callable[[int], str | None]) -> str:
        """pg_get_functiondef."""
        row = self.row
        text = f"CREATE OR REPLACE FUNCTION {quoted(schema)}.{quoted(row['proname'])}({self.arguments()})\n"
        text += f" RETURNS {self.result()}\n LANGUAGE {language}\n"
        flags = ["WINDOW"] if row["prokind"] == "w" else []
        flags += [{"i": "IMMUTABLE", "s": "STABLE"}[row["provolatile"]]] if row["provolatile"] in "is" else []
        flags += [_PARALLEL[row["proparallel"]]] if row["proparallel"] in _PARALLEL else []
        flags += ["STRICT"] if row["proisstrict"] else []
        flags += ["SECURITY DEFINER"] if row["prosecdef"] else []
        flags += ["LEAKPROOF"] if row["proleakproof"] else []
        usual_cost = 1 if language in ("internal", "c") else 100
        flags += [f"COST {row['procost']:g}"] if row["procost"] != usual_cost else []
        flags += [f"ROWS {row['prorows']:g}"] if row["proretset"] and row["prorows"] not in (0, 1000) else []
        flags += [f"SUPPORT {names(row['prosupport'])}"] if row["prosupport"] else []
        text += f" {' '.join(flags)}\n" if flags else ""
        for setting in row["proconfig"] or ():
            name, _, value = setting.partition("=")
            text += f" SET {quoted(name)} TO '{value}'\n"
        if row["prosqlbody"]:
            return text + row["prosqlbody"] + "\n"
        mark = "$function$"
        binary = f"'{row['probin']}', " if row["probin"] else ""
        return f"{text}AS {binary}{mark}{row['prosrc']}{mark}\n"


@cache
def _direct_arguments() -> dict[int, int]:
    """How many arguments of each ordered-set aggregate stand before ORDER BY."""
    return {oid: count for oid, kind, count in zip(*column("pg_aggregate", "aggfnoid", "aggkind", "aggnumdirectargs"),
                                                   strict=True) if kind != "n"}


@cache
def routines() -> dict[int, int]:
    """Where each of PostgreSQL's functions is among the rows of pg_proc, by OID."""
    return {oid: place for place, oid in enumerate(column("pg_proc", "oid")[0])}


def routine(oid: int, type_name: TypeName) -> Routine | None:
    place = routines().get(oid)
    if place is None:
        return None
    rows = batch("pg_proc", system_relations()["pg_catalog", "pg_proc"].columns)
    assert rows is not None
    return Routine(rows.slice(place, 1).to_pylist()[0], type_name)


def _parts(text: str) -> list[str]:
    """The expressions of a list, commas inside parentheses, brackets and quotes apart."""
    parts, part, depth, in_quotes = [], "", 0, False
    for char in text:
        if char == "'":
            in_quotes = not in_quotes
        elif not in_quotes:
            depth += (char in "([") - (char in ")]")
        if char == "," and not depth and not in_quotes:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    return [*parts, part.strip()] if part.strip() else parts


def without_outer_parentheses(text: str) -> str:
    """An expression as the pretty form prints it: not in parentheses as a whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth, in_quotes = 0, False
    for position, char in enumerate(text):
        if char == "'":
            in_quotes = not in_quotes
        elif not in_quotes:
            depth += (char == "(") - (char == ")")
            if depth == 0 and position < len(text) - 1:
                return text
    return text[1:-1]
