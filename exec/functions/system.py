"""Session and system information, and what tools ask of the catalog.

The session's part comes from TaskSettings.session; names and definitions come from the catalog (`Names` of the
evaluator), and are NULL where no catalog is at hand. Spec: PostgreSQL 15 documentation, 9.26 and 9.27.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported, UndefinedObject
from shoal.catalog.types import NAMES_BY_OID, SqlType, storage_type
from shoal.exec.functions.registers import find_register, type_sql
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.expr import Call

Args = list[Any]
SERVER_VERSION = "15.0 (Shoal)"
_ENCODINGS = {0: "SQL_ASCII", 1: "EUC_JP", 6: "UTF8", 8: "LATIN1", 9: "LATIN2", 24: "WIN1252"}


def _session(context: Any, key: str, default: Any) -> Any:
    return context.settings.session.get(key, default)


def setting(context: Any, name: str) -> str | None:
    """A setting as SHOW prints it; None for an unknown one."""
    fold = name.lower()
    settings = _session(context, "settings", {})
    if fold in settings:
        return str(settings[fold])
    known: dict[str, Any] = {
        "timezone": context.time_zone, "server_version": SERVER_VERSION.split()[0], "server_version_num": "150000",
        "search_path": ", ".join(_session(context, "search_path", ["public"])), "client_encoding": "UTF8",
        "server_encoding": "UTF8",
        "datestyle": "ISO, MDY", "intervalstyle": "postgres", "standard_conforming_strings": "on", "integer_datetimes": "on",
        "is_superuser": "on", "session_authorization": _session(context, "user", "shoal"), "application_name": "",
        "transaction_isolation": "read committed", "default_transaction_isolation": "read committed",
        "transaction_read_only": "off",
        "max_identifier_length": "63", "max_index_keys": "32", "block_size": "8192", "lc_collate": "C",
        "lc_ctype": "C.UTF-8",
        "bytea_output": "hex", "extra_float_digits": "1", "in_hot_standby": "off", "statement_timeout": "0", "jit": "off"}
    return known.get(fold)


def _path(context: Any) -> list[str]:
    """The search path, without schemas that do not exist where the catalog can be asked."""
    names = getattr(context, "names", None)
    return list(names.existing_path() if names is not None else _session(context, "search_path", ["public"]))


def session_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    """Functions without arguments whose answer is one per statement."""
    user = _session(context, "user", "shoal")
    answers: dict[str, Callable[[], Any]] = {
        "version": lambda: f"PostgreSQL {setting(context, 'server_version')}",
        "current_database": lambda: _session(context, "database", "shoal"),
        "current_catalog": lambda: _session(context, "database", "shoal"),
        "current_schema": lambda: next(iter(_path(context)), None),
        "current_user": lambda: user, "session_user": lambda: user, "user": lambda: user, "current_role": lambda: user,
        "current_query": lambda: _session(context, "query", None),
        "pg_backend_pid": lambda: int(_session(context, "backend_pid", 0)),
        "pg_client_encoding": lambda: "UTF8", "pg_is_in_recovery": lambda: False,
        "pg_postmaster_start_time": lambda: int(_session(context, "started_us", context.settings.now_us)),
        "pg_conf_load_time": lambda: int(_session(context, "started_us", context.settings.now_us)),
        "txid_current": lambda: 1, "inet_server_addr": lambda: None, "inet_client_addr": lambda: None,
        "inet_server_port": lambda: None, "inet_client_port": lambda: None, "pg_my_temp_schema": lambda: 0}
    return pa.scalar(answers[call.name](), storage_type(call.type))


def by_row(call: Call, args: Args, rows: int, function: Callable[..., Any]) -> pa.Array:
    """function(values ...) for each row, once for equal values, as physical values of the call's type."""
    columns = [[arg.as_py()] * rows if isinstance(arg, pa.Scalar) else nulls.decoded(arg).to_pylist() for arg in args]
    known: dict[Any, Any] = {}
    out = []
    for values in zip(*columns, strict=True) if columns else [()] * rows:
        if values not in known:
            known[values] = function(*values)
        out.append(known[values])
    return array_of_values(out, call.type)


def schemas_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    path = _path(context)
    return by_row(call, args, rows, lambda implicit: None if implicit is None else
                  (["pg_catalog", *path] if implicit and "pg_catalog" not in path else path))


def setting_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(name: str | None, missing_ok: bool | None = False) -> str | None:
        if name is None or missing_ok is None:
            return None
        value = setting(context, name)
        if value is None and not missing_ok:
            raise UndefinedObject(f'unrecognized configuration parameter "{name}"')
        return value
    return by_row(call, args, rows, one)


def set_config_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """The session itself carries set_config out when it is the whole statement; here it only gives the value back."""
    return by_row(call, args, rows, lambda name, value, local: value)


def typeof_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(call.args[0].type.oid, pa.int64())


def encoding_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    if call.name == "pg_char_to_encoding":
        numbers = {name.lower().replace("_", ""): number for number, name in _ENCODINGS.items()}
        return by_row(call, args, rows, lambda name: None if name is None else
                      numbers.get(name.lower().replace("_", "").replace("-", ""), -1))
    return by_row(call, args, rows, lambda number: None if number is None else _ENCODINGS.get(number, ""))


def format_type(oid: int | None, typmod: int | None) -> str | None:
    """The SQL name of a type with its modifier; "???" for an unknown one."""
    if oid is None:
        return None
    name = NAMES_BY_OID.get(oid)
    if name is None:
        return "-" if oid == 0 else "???"
    if typmod is None or typmod < 0:
        return type_sql(name) if name != "bpchar" or typmod is None else "bpchar"
    array = name.startswith("_")
    base = name.removeprefix("_")
    text = SqlType(base).sql if base != "numeric" else "numeric"
    if base in ("varchar", "bpchar"):
        text = f"{text}({typmod - 4})"
    elif base == "numeric":
        text = f"numeric({(typmod - 4) >> 16},{(typmod - 4) & 0x7FF})"
    elif base in ("time", "timetz", "timestamp", "timestamptz"):
        head, _, tail = text.partition(" ")
        text = f"{head}({typmod}) {tail}"
    return text + ("[]" if array else "")


def format_type_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return by_row(call, args, rows, format_type)


def uuid_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    source = context.random()
    return pa.array([str(uuid.UUID(bytes=source.bytes(16), version=4)) for _ in range(rows)], pa.string())


def size_pretty_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Bytes in the largest unit that leaves at least 10 of them, halves rounded away from zero."""
    def one(value: Any) -> str | None:
        if value is None:
            return None
        size: Any = value if call.args[0].type.name == "int8" else int(value)
        for unit, limit, bits in (("bytes", 10 * 1024, 0), ("kB", 20 * 1024 - 1, 9), ("MB", 20 * 1024 - 1, 10),
                                  ("GB", 20 * 1024 - 1, 10),
                                  ("TB", 20 * 1024 - 1, 10), ("PB", None, 10)):
            size = abs(size) >> bits if size >= 0 else -(abs(size) >> bits)
            if limit is None or abs(size) < limit:
                if unit != "bytes":
                    size = (abs(size) + 1) // 2 * (1 if size >= 0 else -1)
                return f"{size} {unit}"
        return None
    return by_row(call, args, rows, one)


def true_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    """Everything is visible to, and allowed for, whoever may connect."""
    return pa.scalar(True)


def table_visible_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Whether a relation is found by its bare name; without a catalog at hand, each is."""
    return by_row(call, args, rows, lambda oid: None if oid is None else
                  True if context.names is None else context.names.is_visible(oid))


def void_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Advisory locks guard nothing here: reading needs none. They answer so that clients carry on."""
    return pa.array(["" if call.type.name == "void" else True] * rows, storage_type(call.type))


def nothing_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(None, storage_type(call.type))


def catalog_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Definitions, comments and sizes: the catalog's answer, NULL where it has none."""
    def one(*values: Any) -> Any:
        if context.names is None or any(value is None for value in values):
            return None
        text = context.names.text_of(call.name, values)
        return int(text) if text is not None and call.type.name in ("int4", "int8") else text
    return by_row(call, args, rows, one)


def user_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(oid: int | None) -> str | None:
        if oid is None:
            return None
        found = context.names.name_of("regrole", oid) if context.names is not None else None
        return found or (_session(context, "user", "shoal") if oid == 10 else f"unknown (OID={oid})")
    return by_row(call, args, rows, one)


def expression_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    """pg_get_expr: expressions are stored as their text."""
    return args[0]


def to_register_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    kind = call.name.removeprefix("to_")
    return by_row(call, args, rows, lambda name: None if name is None else find_register(name, kind, context.names))


def sleep_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    raise FeatureNotSupported("pg_sleep is not supported: a worker's compute thread must not sleep")


def column_size_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    size = call.args[0].type.size
    if size > 0:
        return pa.array([size] * rows, pa.int32())
    return by_row(call, args, rows, lambda value: None if value is None else len(str(value).encode()) + 1)


def temp_schema_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(False)


_INFORMATION: Any = dict(volatility="stable", raises=False, family="system")
for _name in ("current_database", "current_catalog", "current_schema", "current_user", "session_user", "user",
              "current_role",
              "pg_client_encoding"):
    declare(_name, "-> name", kernel=session_kernel, **_INFORMATION)
for _name, _type in (("version", "text"), ("current_query", "text"), ("pg_backend_pid", "int4"),
                     ("pg_is_in_recovery", "bool"),
                     ("pg_postmaster_start_time", "timestamptz"), ("pg_conf_load_time", "timestamptz"),
                     ("txid_current", "int8"),
                     ("inet_server_addr", "inet"), ("inet_client_addr", "inet"), ("inet_server_port", "int4"),
                     ("inet_client_port", "int4"), ("pg_my_temp_schema", "oid")):
    declare(_name, f"-> {_type}", kernel=session_kernel, **_INFORMATION)
declare("current_schemas", "bool -> _name", kernel=schemas_kernel, **_INFORMATION)
declare("current_setting", "text -> text", "text bool -> text", volatility="stable", kernel=setting_kernel, family="system",
        example="current_setting('server_version')")
declare("set_config", "text text bool -> text", volatility="volatile", strict=False, kernel=set_config_kernel,
        family="system")
declare("pg_typeof", "any -> regtype", strict=False, kernel=typeof_kernel, example="pg_typeof(33)", **_INFORMATION)
declare("pg_encoding_to_char", "int4 -> name", kernel=encoding_kernel, **_INFORMATION)
declare("pg_char_to_encoding", "name -> int4", kernel=encoding_kernel, **_INFORMATION)
declare("format_type", "oid int4 -> text", strict=False, kernel=format_type_kernel, example="format_type(1700, -1)",
        **_INFORMATION)
declare("gen_random_uuid", "-> uuid", volatility="volatile", raises=False, kernel=uuid_kernel, family="system")
declare("pg_sleep", "float8 -> void", volatility="volatile", kernel=sleep_kernel, family="system")
declare("pg_column_size", "any -> int4", kernel=column_size_kernel, **_INFORMATION)
declare("pg_size_pretty", "int8 -> text", "numeric -> text", raises=False, kernel=size_pretty_kernel, family="system")
declare("pg_table_is_visible", "oid -> bool", kernel=table_visible_kernel, **_INFORMATION)
for _name in ("type", "function", "operator", "opclass", "opfamily", "collation", "conversion", "ts_config",
              "ts_dict", "ts_parser", "ts_template", "statistics_obj"):
    declare(f"pg_{_name}_is_visible", "oid -> bool", kernel=true_kernel, **_INFORMATION)
for _name in ("table", "any_column", "database", "schema", "function", "language", "sequence", "tablespace", "type",
              "server",
              "foreign_data_wrapper"):
    declare(f"has_{_name}_privilege", "text text -> bool", "oid text -> bool", "name text text -> bool",
            "name oid text -> bool",
            "oid oid text -> bool", "oid text text -> bool", kernel=true_kernel, **_INFORMATION)
declare("has_column_privilege", "text text text -> bool", "oid text text -> bool", "oid int2 text -> bool",
        "text int2 text -> bool",
        "name text text text -> bool", "name oid text text -> bool", "name oid int2 text -> bool", kernel=true_kernel,
        **_INFORMATION)
declare("pg_has_role", "name text -> bool", "oid text -> bool", "name name text -> bool", "name oid text -> bool",
        "oid oid text -> bool", kernel=true_kernel, **_INFORMATION)
declare("pg_get_userbyid", "oid -> name", kernel=user_kernel, **_INFORMATION)
declare("pg_get_expr", "pg_node_tree oid -> text", "pg_node_tree oid bool -> text", "text oid -> text",
        "text oid bool -> text",
        kernel=expression_kernel, **_INFORMATION)
declare("pg_get_viewdef", "oid -> text", "oid bool -> text", "oid int4 -> text", "text -> text", "text bool -> text",
        kernel=catalog_kernel, **_INFORMATION)
declare("pg_get_indexdef", "oid -> text", "oid int4 bool -> text", kernel=catalog_kernel, **_INFORMATION)
for _name in ("constraintdef", "ruledef", "triggerdef"):
    declare(f"pg_get_{_name}", "oid -> text", "oid bool -> text", kernel=catalog_kernel, **_INFORMATION)
for _name in ("function_arguments", "function_identity_arguments", "function_result", "functiondef", "function_sqlbody",
              "partkeydef",
              "partition_constraintdef", "statisticsobjdef", "statisticsobjdef_columns"):
    declare(f"pg_get_{_name}", "oid -> text", kernel=catalog_kernel, **_INFORMATION)
declare("pg_get_serial_sequence", "text text -> text", kernel=catalog_kernel, **_INFORMATION)
declare("pg_get_function_arg_default", "oid int4 -> text", kernel=catalog_kernel, **_INFORMATION)
declare("pg_get_replica_identity_index", "regclass -> regclass", kernel=nothing_kernel, **_INFORMATION)
declare("obj_description", "oid -> text", "oid name -> text", kernel=catalog_kernel, **_INFORMATION)
declare("col_description", "oid int4 -> text", kernel=catalog_kernel, **_INFORMATION)
declare("shobj_description", "oid name -> text", kernel=catalog_kernel, **_INFORMATION)
for _name in ("pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"):
    declare(_name, "regclass -> int8", kernel=catalog_kernel, **_INFORMATION)
declare("pg_relation_size", "regclass text -> int8", kernel=catalog_kernel, **_INFORMATION)
for _name in ("pg_database_size", "pg_tablespace_size"):
    declare(_name, "name -> int8", "oid -> int8", kernel=catalog_kernel, **_INFORMATION)
declare("pg_tablespace_location", "oid -> text", kernel=catalog_kernel, **_INFORMATION)
declare("pg_relation_is_publishable", "regclass -> bool", kernel=temp_schema_kernel, **_INFORMATION)
declare("pg_is_other_temp_schema", "oid -> bool", kernel=temp_schema_kernel, **_INFORMATION)
declare("pg_relation_is_updatable", "regclass bool -> int4", kernel=catalog_kernel, **_INFORMATION)
declare("pg_index_column_has_property", "regclass int4 text -> bool", kernel=nothing_kernel, **_INFORMATION)
declare("pg_stat_get_numscans", "oid -> int8", kernel=catalog_kernel, **_INFORMATION)
for _name in ("pg_advisory_lock", "pg_advisory_xact_lock"):
    declare(_name, "int8 -> void", "int4 int4 -> void", volatility="volatile", raises=False, kernel=void_kernel,
            family="system")
for _name in ("pg_try_advisory_lock", "pg_advisory_unlock"):
    declare(_name, "int8 -> bool", "int4 int4 -> bool", volatility="volatile", raises=False, kernel=void_kernel,
            family="system")
declare("pg_advisory_unlock_all", "-> void", volatility="volatile", raises=False, kernel=void_kernel, family="system")
for _type in ("regclass", "regtype", "regnamespace", "regrole", "regproc", "regprocedure", "regoper", "regcollation"):
    declare(f"to_{_type}", f"text -> {_type}", kernel=to_register_kernel, **_INFORMATION)
