"""What tools ask of the catalog: definitions, comments, sizes, visibility, privileges, settings as rows.

Names and definitions come from the catalog (`Names` of the evaluator); where none is at hand (in workers) the answers
are NULL. Spec: PostgreSQL 15 documentation, 9.26 tables 9.68 to 9.78 and 9.27 tables 9.94 to 9.101.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import AmbiguousFunction, InvalidParameterValue
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.functions.registers import find_register
from shoal.exec.functions.registry import declare
from shoal.exec.functions.system import by_row
from shoal.exec.kernels import nulls
from shoal.exec.plan.expr import Call

Args = list[Any]
Rows = tuple[np.ndarray, tuple[pa.Array, ...]]


def visible_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Whether an object is found by its bare name; without a catalog at hand, each is."""
    kind = call.name.removeprefix("pg_").removesuffix("_is_visible")
    return by_row(call, args, rows, lambda oid: None if oid is None else
                  True if context.names is None else context.names.is_visible(kind, oid))


def nothing_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(None, storage_type(call.type))


def false_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(False)


def catalog_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Definitions, comments and sizes: the catalog's answer, NULL where it has none."""
    def one(*values: Any) -> Any:
        if context.names is None or any(value is None for value in values):
            return None
        return context.names.answer(call.name, values)
    return by_row(call, args, rows, one)


def user_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(oid: int | None) -> str | None:
        if oid is None:
            return None
        found = context.names.answer(call.name, (oid,)) if context.names is not None else None
        return found or (context.settings.session.get("user", "shoal") if oid == 10 else f"unknown (OID={oid})")
    return by_row(call, args, rows, one)


def to_register_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """NULL where no object, or more than one, has the name."""
    kind = call.name.removeprefix("to_")

    def one(name: str | None) -> int | None:
        try:
            return None if name is None else find_register(name, kind, context.names)
        except AmbiguousFunction:
            return None
    return by_row(call, args, rows, one)


_PRIVILEGES = {
    "table": "select insert update delete truncate references trigger", "any_column": "select insert update references",
    "column": "select insert update references", "database": "create connect temporary temp", "schema": "create usage",
    "function": "execute", "language": "usage", "sequence": "usage select update", "tablespace": "create", "type": "usage",
    "server": "usage", "foreign_data_wrapper": "usage", "parameter": "set alter_system"}
_REGISTERS = {"table": "regclass", "any_column": "regclass", "column": "regclass", "sequence": "regclass",
              "schema": "regnamespace", "function": "regprocedure", "type": "regtype"}


def privilege_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """has_..._privilege: everything is allowed to whoever may connect. Raises: UndefinedTable (42P01) and the like for
    an unknown name, InvalidParameterValue (22023) for an unknown privilege; NULL for an unknown OID."""
    kind = call.name.removeprefix("has_").removesuffix("_privilege")
    known = set(_PRIVILEGES[kind].split())
    subject = -3 if kind == "column" else -2

    def one(*values: Any) -> bool | None:
        if any(value is None for value in values):
            return None
        for word in values[-1].split(","):
            plain = word.strip().lower().removesuffix(" with grant option")
            if plain.replace(" ", "_") not in known:
                raise InvalidParameterValue(f'unrecognized privilege type: "{word.strip()}"')
        if context.names is None:
            return True
        found = context.names.answer("exists", (kind, _REGISTERS.get(kind, ""), values[subject]))
        if found and kind == "column":
            found = context.names.answer("has_column", (values[subject], values[-2]))
        return True if found else None
    return by_row(call, args, rows, one)


def role_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return by_row(call, args, rows, lambda *values: None if any(value is None for value in values) else True)


_BTREE = {"orderable": True, "distance_orderable": False, "returnable": True, "search_array": True, "search_nulls": True,
          "clusterable": True, "index_scan": True, "bitmap_scan": True, "backward_scan": True, "can_order": True,
          "can_unique": True, "can_multi_col": True, "can_exclude": True, "can_include": True}


def property_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Properties of indexes, columns of them, and access methods: those of a B-tree."""
    def one(*values: Any) -> bool | None:
        if any(value is None for value in values):
            return None
        name = values[-1].lower()
        if name in ("asc", "desc", "nulls_first", "nulls_last"):
            options = None if context.names is None else context.names.answer("index_option", values[:2])
            if options is None:
                return None
            return {"asc": not options & 1, "desc": bool(options & 1), "nulls_first": bool(options & 2),
                    "nulls_last": not options & 2}[name]
        return _BTREE.get(name)
    return by_row(call, args, rows, one)


def _repeated(values: Sequence[Sequence[Any]], types: Sequence[SqlType]) -> Rows:
    """Tuples for each input row as (counts, columns)."""
    counts = np.array([len(items) for items in values], np.int64)
    flat = [item for items in values for item in items]
    return counts, tuple(pa.array([item[n] for item in flat], storage_type(kind)) for n, kind in enumerate(types))


def _each(args: Args, rows: int, function: Callable[..., Sequence[tuple[Any, ...]]], types: Sequence[SqlType]) -> Rows:
    columns = [[arg.as_py()] * rows if isinstance(arg, pa.Scalar) else nulls.decoded(arg).to_pylist() for arg in args]
    found = [() if any(value is None for value in values) else function(*values)
             for values in (zip(*columns, strict=True) if columns else [()] * rows)]
    return _repeated(found, types)


_OID, _TEXT, _BOOL, _INT4 = SqlType("oid"), SqlType("text"), SqlType("bool"), SqlType("int4")


def partitions_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """No relation is a partition here: ancestors and tree of one are itself where it is partitioned, else nothing."""
    if call.name == "pg_partition_tree":
        return _each(args, rows, lambda oid: (), (_OID, _OID, _BOOL, _INT4))
    return _each(args, rows, lambda oid: (), (_OID,))


def options_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    return _each(args, rows, lambda options: [(name, value if sign else None) for name, sign, value in
                                              (option.partition("=") for option in options or ())], (_TEXT, _TEXT))


_RIGHTS = {"a": "INSERT", "r": "SELECT", "w": "UPDATE", "d": "DELETE", "D": "TRUNCATE", "x": "REFERENCES", "t": "TRIGGER",
           "X": "EXECUTE", "U": "USAGE", "C": "CREATE", "T": "TEMPORARY", "c": "CONNECT", "s": "SET", "A": "ALTER SYSTEM"}


def aclexplode_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """`grantee=rights/grantor`, each right a row; a "*" after one is the right to grant it."""
    def role(name: str) -> int:
        oid = context.names.oid_of("regrole", name) if name and context.names is not None else 0
        return oid or 0

    def one(items: Sequence[str]) -> list[tuple[Any, ...]]:
        found = []
        for item in items:
            grantee, _, rest = item.partition("=")
            rights, _, grantor = rest.partition("/")
            for place, right in enumerate(rights):
                if right != "*":
                    found.append((role(grantor), role(grantee), _RIGHTS.get(right), rights[place + 1:place + 2] == "*"))
        return found
    return _each(args, rows, one, (_OID, _OID, _TEXT, _BOOL))


def relation_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """Functions that give the rows of a system view."""
    from shoal.exec.functions.registry import find
    columns = find(call.name)[0].columns
    names = [name for name, _ in columns]
    found = None if context.names is None else context.names.relation(_VIEWS[call.name], names)
    if found is None:
        return np.zeros(rows, np.int64), tuple(pa.array([], storage_type(SqlType(kind))) for _, kind in columns)
    repeat = pa.array(np.tile(np.arange(found.num_rows), rows))
    return np.full(rows, found.num_rows, np.int64), tuple(column.take(repeat) for column in found.columns)


def channels_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    found = [] if context.names is None else context.names.answer(call.name, ())
    return _each(args, rows, lambda: [(channel,) for channel in found or ()], (_TEXT,))


def tokens_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    return _each(args, rows, lambda oid: context.names.answer(call.name, (oid,)) if context.names is not None else (),
                 (_INT4, _TEXT, _TEXT))


_STABLE: Any = dict(volatility="stable", raises=False, family="catalog")
_VOLATILE: Any = _STABLE | {"volatility": "volatile"}
for _name in ("table", "type", "function", "operator", "opclass", "opfamily", "collation", "conversion", "ts_config",
              "ts_dict", "ts_parser", "ts_template", "statistics_obj"):
    declare(f"pg_{_name}_is_visible", "oid -> bool", kernel=visible_kernel, **_STABLE)
_CHECKED: Any = dict(volatility="stable", family="catalog", kernel=privilege_kernel)
for _name in ("table", "any_column", "database", "schema", "function", "language", "sequence", "tablespace", "type",
              "server", "foreign_data_wrapper"):
    declare(f"has_{_name}_privilege", "text text -> bool", "oid text -> bool", "name text text -> bool",
            "name oid text -> bool", "oid oid text -> bool", "oid text text -> bool", **_CHECKED)
declare("has_column_privilege", "text text text -> bool", "oid text text -> bool", "oid int2 text -> bool",
        "text int2 text -> bool", "name text text text -> bool", "name text int2 text -> bool", "name oid text text -> bool",
        "name oid int2 text -> bool", "oid text text text -> bool", "oid text int2 text -> bool",
        "oid oid text text -> bool", "oid oid int2 text -> bool", **_CHECKED)
declare("has_parameter_privilege", "text text -> bool", "name text text -> bool", "oid text text -> bool", **_CHECKED)
declare("pg_has_role", "name text -> bool", "oid text -> bool", "name name text -> bool", "name oid text -> bool",
        "oid name text -> bool", "oid oid text -> bool", kernel=role_kernel, **_STABLE)
declare("row_security_active", "oid -> bool", "text -> bool", kernel=false_kernel, **_STABLE)
declare("pg_get_userbyid", "oid -> name", kernel=user_kernel, **_STABLE)
declare("pg_get_expr", "pg_node_tree oid -> text", "pg_node_tree oid bool -> text", "text oid -> text",
        "text oid bool -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_get_viewdef", "oid -> text", "oid bool -> text", "oid int4 -> text", "text -> text", "text bool -> text",
        kernel=catalog_kernel, **_STABLE)
declare("pg_get_indexdef", "oid -> text", "oid int4 bool -> text", kernel=catalog_kernel, **_STABLE)
for _name in ("constraintdef", "ruledef", "triggerdef"):
    declare(f"pg_get_{_name}", "oid -> text", "oid bool -> text", kernel=catalog_kernel, **_STABLE)
for _name in ("function_arguments", "function_identity_arguments", "function_result", "functiondef", "function_sqlbody",
              "partkeydef", "partition_constraintdef", "statisticsobjdef", "statisticsobjdef_columns"):
    declare(f"pg_get_{_name}", "oid -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_get_statisticsobjdef_expressions", "oid -> _text", kernel=nothing_kernel, **_STABLE)
declare("pg_get_serial_sequence", "text text -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_get_function_arg_default", "oid int4 -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_get_replica_identity_index", "regclass -> regclass", kernel=nothing_kernel, **_STABLE)
declare("obj_description", "oid -> text", "oid name -> text", kernel=catalog_kernel, **_STABLE)
declare("col_description", "oid int4 -> text", kernel=catalog_kernel, **_STABLE)
declare("shobj_description", "oid name -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_describe_object", "oid oid int4 -> text", kernel=catalog_kernel, **_STABLE)
for _name in ("pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"):
    declare(_name, "regclass -> int8", kernel=catalog_kernel, **_VOLATILE)
declare("pg_relation_size", "regclass text -> int8", kernel=catalog_kernel, **_VOLATILE)
for _name in ("pg_database_size", "pg_tablespace_size"):
    declare(_name, "name -> int8", "oid -> int8", kernel=catalog_kernel, **_VOLATILE)
declare("pg_tablespace_location", "oid -> text", kernel=catalog_kernel, **_STABLE)
declare("pg_relation_filenode", "regclass -> oid", kernel=nothing_kernel, **_STABLE)
declare("pg_relation_filepath", "regclass -> text", kernel=nothing_kernel, **_STABLE)
declare("pg_relation_is_publishable", "regclass -> bool", kernel=false_kernel, **_STABLE)
declare("pg_is_other_temp_schema", "oid -> bool", kernel=false_kernel, **_STABLE)
declare("pg_relation_is_updatable", "regclass bool -> int4", kernel=catalog_kernel, **_STABLE)
declare("pg_column_is_updatable", "regclass int2 bool -> bool", kernel=catalog_kernel, **_STABLE)
declare("pg_index_column_has_property", "regclass int4 text -> bool", kernel=property_kernel, **_STABLE)
declare("pg_index_has_property", "regclass text -> bool", kernel=property_kernel, **_STABLE)
declare("pg_indexam_has_property", "oid text -> bool", kernel=property_kernel, **_STABLE)
for _name in ("numscans", "tuples_inserted", "tuples_updated", "tuples_deleted", "live_tuples", "dead_tuples"):
    declare(f"pg_stat_get_{_name}", "oid -> int8", kernel=catalog_kernel, **_STABLE)
declare("pg_sequence_last_value", "regclass -> int8", kernel=catalog_kernel, **_STABLE)
declare("pg_collation_actual_version", "oid -> text", kernel=nothing_kernel, **_STABLE)
declare("pg_database_collation_actual_version", "oid -> text", kernel=nothing_kernel, **_STABLE)
declare("pg_partition_root", "regclass -> regclass", kernel=nothing_kernel, **_STABLE)
declare("pg_partition_ancestors", "regclass -> regclass", kind="set", kernel=partitions_kernel, **_STABLE)
declare("pg_partition_tree", "regclass -> record", kind="set", kernel=partitions_kernel, **_STABLE,
        columns=(("relid", "regclass"), ("parentrelid", "regclass"), ("isleaf", "bool"), ("level", "int4")))
declare("pg_listening_channels", "-> text", kind="set", kernel=channels_kernel, **_STABLE)
declare("pg_cancel_backend", "int4 -> bool", volatility="volatile", kernel=catalog_kernel, family="catalog")
declare("pg_terminate_backend", "int4 -> bool", "int4 int8 -> bool", volatility="volatile", kernel=catalog_kernel,
        family="catalog")
declare("ts_token_type", "oid -> record", kind="set", kernel=tokens_kernel, **_STABLE,
        columns=(("tokid", "int4"), ("alias", "text"), ("description", "text")))
declare("pg_options_to_table", "_text -> record", kind="set", kernel=options_kernel, **_STABLE,
        columns=(("option_name", "text"), ("option_value", "text")))
declare("aclexplode", "_aclitem -> record", kind="set", kernel=aclexplode_kernel, **_STABLE,
        columns=(("grantor", "oid"), ("grantee", "oid"), ("privilege_type", "text"), ("is_grantable", "bool")))
for _type in ("regclass", "regtype", "regnamespace", "regrole", "regproc", "regprocedure", "regoper", "regoperator",
              "regcollation"):
    declare(f"to_{_type}", f"text -> {_type}", kernel=to_register_kernel, **_STABLE)

_VIEWS = {"pg_show_all_settings": "pg_settings", "pg_timezone_names": "pg_timezone_names",
          "pg_timezone_abbrevs": "pg_timezone_abbrevs", "pg_prepared_statement": "pg_prepared_statements",
          "pg_cursor": "pg_cursors", "pg_lock_status": "pg_locks", "pg_available_extensions": "pg_available_extensions"}
"""The system view whose rows a function gives."""
_SETTING = (*((name, "text") for name in ("name", "setting", "unit", "category", "short_desc", "extra_desc", "context",
                                          "vartype", "source", "min_val", "max_val")), ("enumvals", "_text"),
            *((name, "text") for name in ("boot_val", "reset_val", "sourcefile")), ("sourceline", "int4"),
            ("pending_restart", "bool"))
_ZONE = (("utc_offset", "interval"), ("is_dst", "bool"))
for _name, _columns in (
        ("pg_show_all_settings", _SETTING),
        ("pg_timezone_names", (("name", "text"), ("abbrev", "text"), *_ZONE)),
        ("pg_timezone_abbrevs", (("abbrev", "text"), *_ZONE)),
        ("pg_prepared_statement", (("name", "text"), ("statement", "text"), ("prepare_time", "timestamptz"),
                                   ("parameter_types", "_regtype"), ("from_sql", "bool"), ("generic_plans", "int8"),
                                   ("custom_plans", "int8"))),
        ("pg_cursor", (("name", "text"), ("statement", "text"), ("is_holdable", "bool"), ("is_binary", "bool"),
                       ("is_scrollable", "bool"), ("creation_time", "timestamptz"))),
        ("pg_available_extensions", (("name", "name"), ("default_version", "text"), ("comment", "text")))):
    declare(_name, "-> record", kind="set", kernel=relation_kernel, columns=_columns, **_STABLE)
