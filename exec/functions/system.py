"""Session and system information.

The session's part comes from TaskSettings.session; names and definitions come from the catalog (`Names` of the
evaluator), and are NULL where no catalog is at hand. Spec: PostgreSQL 15 documentation, 9.26 and 9.27.
"""

from __future__ import annotations

import decimal
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported, InvalidParameterValue, UndefinedObject
from shoal.catalog.types import NAMES_BY_OID, SqlType, storage_type
from shoal.exec.functions.registers import type_sql
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

Args = list[Any]
SERVER_VERSION = "15.0 (Shoal)"
_UUID_DIGITS = np.delete(np.arange(36), [8, 13, 18, 23])
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


def _temporary(context: Any) -> tuple[str, int] | None:
    """The name and OID of the schema of the session's temporary tables, where it has any."""
    names = getattr(context, "names", None)
    found: tuple[str, int] | None = names.temporary_schema() if names is not None else None
    return found


_OF_CONNECTION = ("current_query", "pg_postmaster_start_time", "pg_conf_load_time", "inet_server_addr", "inet_server_port",
                  "inet_client_addr", "inet_client_port")
"""What only the server knows (server/monitoring.py); NULL where there is none."""


def session_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    """Functions without arguments whose answer is one per statement."""
    names = getattr(context, "names", None)
    if call.name in _OF_CONNECTION and names is not None:
        return pa.scalar(names.answer(call.name, ()), storage_type(call.type))
    user = _session(context, "user", "shoal")
    answers: dict[str, Callable[[], Any]] = {
        "version": lambda: f"PostgreSQL {setting(context, 'server_version')}",
        "current_database": lambda: _session(context, "database", "shoal"),
        "current_catalog": lambda: _session(context, "database", "shoal"),
        "current_schema": lambda: next(iter(_path(context)), None),
        "current_user": lambda: user, "session_user": lambda: user, "user": lambda: user, "current_role": lambda: user,
        **dict.fromkeys(_OF_CONNECTION, lambda: None),
        "pg_backend_pid": lambda: int(_session(context, "backend_pid", 0)),
        "pg_client_encoding": lambda: "UTF8", "pg_is_in_recovery": lambda: False,
        "txid_current": lambda: context.settings.now_us, "pg_current_xact_id": lambda: context.settings.now_us,
        "txid_current_if_assigned": lambda: None, "pg_current_xact_id_if_assigned": lambda: None,
        "getdatabaseencoding": lambda: "UTF8", "pg_jit_available": lambda: False, "pg_trigger_depth": lambda: 0,
        "pg_is_wal_replay_paused": lambda: False, "pg_last_xact_replay_timestamp": lambda: None,
        "pg_stat_clear_snapshot": lambda: "", "pg_stat_reset": lambda: "", "pg_reload_conf": lambda: True,
        "pg_last_wal_receive_lsn": lambda: None, "pg_last_wal_replay_lsn": lambda: None,
        "pg_my_temp_schema": lambda: (_temporary(context) or ("", 0))[1]}
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
    temporary = _temporary(context)
    first = [temporary[0]] if temporary is not None and temporary[0] not in path else []
    first += ["pg_catalog"] if "pg_catalog" not in path else []
    return by_row(call, args, rows, lambda implicit: None if implicit is None else [*first, *path] if implicit else path)


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


def collation_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    """pg_collation_for: the binder puts the collation's name in the value's place (exec/sql/calls.py)."""
    return args[0]


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
    def one(oid: int | None, typmod: int | None) -> str | None:
        if oid is None or oid == 0 or oid in NAMES_BY_OID or context.names is None:
            return format_type(oid, typmod)
        return context.names.name_of("regtype", oid) or "???"
    return by_row(call, args, rows, one)


def uuid_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Version 4. The bits are the operating system's: neither setseed() nor chance gives two statements the same."""
    made = np.frombuffer(os.urandom(16 * rows), np.uint8).reshape(rows, 16).copy()
    made[:, 6] = made[:, 6] & 0x0F | 0x40
    made[:, 8] = made[:, 8] & 0x3F | 0x80
    texts = np.full((rows, 36), ord("-"), np.uint8)
    texts[:, _UUID_DIGITS] = np.frombuffer(made.tobytes().hex().encode(), np.uint8).reshape(rows, 32)
    ends = np.arange(0, 36 * rows + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(texts))


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


_UNITS = {"b": 0, "bytes": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}


def size_bytes_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """The number that pg_size_pretty's form means, halves rounded away from zero."""
    def one(text: str | None) -> int | None:
        if text is None:
            return None
        match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*", text)
        if match is None:
            raise InvalidParameterValue(f'invalid size: "{text}"')
        if match[2] and match[2].lower() not in _UNITS:
            raise InvalidParameterValue(f'invalid size: "{text}"', detail=f'Invalid size unit: "{match[2]}".', hint=(
                'Valid units are "bytes", "B", "kB", "MB", "GB", "TB", and "PB".'))
        exact = decimal.Decimal(match[1]) * (1 << _UNITS[match[2].lower() or "b"])
        return int(exact.quantize(decimal.Decimal(1), decimal.ROUND_HALF_UP))
    return by_row(call, args, rows, one)


def session_only_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """The session carries these out itself (server/effects.py), where a query makes a single row."""
    raise FeatureNotSupported(f"{call.name} is supported only with constant arguments, in a query of a single row")


def column_size_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    size = call.args[0].type.size
    if size > 0:
        return pa.array([size] * rows, pa.int32())
    return by_row(call, args, rows, lambda value: None if value is None else len(str(value).encode()) + 1)


def vector_types_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """oidvectortypes: the names of types, as functions' arguments are shown."""
    lists = column(args[0], rows).to_pylist()
    return pa.array([None if oids is None else ", ".join(format_type(int(oid), None) or "" for oid in oids)
                     for oids in lists], pa.string())


def concatenated_oid_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """nameconcatoid: name_oid, of which the name is cut so that it is a name."""
    def one(name: str | None, oid: int | None) -> str | None:
        if name is None or oid is None:
            return None
        tail = f"_{oid}"
        return name.encode()[:63 - len(tail)].decode(errors="ignore") + tail
    return by_row(call, args, rows, one)


_INFORMATION: Any = dict(volatility="stable", raises=False, family="system")
_VOLATILE: Any = _INFORMATION | {"volatility": "volatile"}
for _name in ("current_database", "current_catalog", "current_schema", "current_user", "session_user", "user",
              "current_role", "pg_client_encoding", "getdatabaseencoding"):
    declare(_name, "-> name", kernel=session_kernel, **_INFORMATION)
for _name, _type in (("version", "text"), ("pg_backend_pid", "int4"),
                     ("pg_is_in_recovery", "bool"),
                     ("pg_postmaster_start_time", "timestamptz"), ("pg_conf_load_time", "timestamptz"),
                     ("txid_current", "int8"), ("txid_current_if_assigned", "int8"), ("pg_current_xact_id", "xid8"),
                     ("pg_current_xact_id_if_assigned", "xid8"), ("pg_trigger_depth", "int4"),
                     ("pg_is_wal_replay_paused", "bool"), ("pg_last_xact_replay_timestamp", "timestamptz"),
                     ("pg_stat_clear_snapshot", "void"), ("pg_stat_reset", "void"), ("pg_reload_conf", "bool"),
                     ("pg_last_wal_receive_lsn", "pg_lsn"), ("pg_last_wal_replay_lsn", "pg_lsn"),
                     ("pg_my_temp_schema", "oid")):
    declare(_name, f"-> {_type}", kernel=session_kernel, **_INFORMATION)
for _name, _type in (("inet_server_addr", "inet"), ("inet_client_addr", "inet"), ("inet_server_port", "int4"),
                     ("inet_client_port", "int4")):
    declare(_name, f"-> {_type}", strict=False, kernel=session_kernel, **_INFORMATION)
declare("pg_jit_available", "-> bool", kernel=session_kernel, **_VOLATILE)
declare("current_query", "-> text", strict=False, kernel=session_kernel, **_VOLATILE)
declare("current_schemas", "bool -> _name", kernel=schemas_kernel, **_INFORMATION)
declare("current_setting", "text -> text", "text bool -> text", volatility="stable", kernel=setting_kernel, family="system",
        example="current_setting('server_encoding')")
declare("set_config", "text text bool -> text", volatility="volatile", strict=False, kernel=set_config_kernel,
        family="system")
declare("pg_typeof", "any -> regtype", strict=False, kernel=typeof_kernel,
        shapes=True, example="pg_typeof(33)", **_INFORMATION)
declare("pg_collation_for", "any -> text", strict=False, kernel=collation_kernel,
        doc="The collation of an expression, as COLLATION FOR.", example="pg_collation_for('a'::text)", **_INFORMATION)
declare("pg_encoding_to_char", "int4 -> name", kernel=encoding_kernel, **_INFORMATION)
declare("pg_char_to_encoding", "name -> int4", kernel=encoding_kernel, **_INFORMATION)
declare("format_type", "oid int4 -> text", strict=False, kernel=format_type_kernel, example="format_type(1700, -1)",
        **_INFORMATION)
declare("gen_random_uuid", "-> uuid", volatility="volatile", raises=False, kernel=uuid_kernel, family="system")
declare("oidvectortypes", "oidvector -> text", kernel=vector_types_kernel, doc="The names of types.", **_INFORMATION)
declare("nameconcatoid", "name oid -> name", raises=False, kernel=concatenated_oid_kernel, family="system",
        doc="A name that ends in an OID.", example="nameconcatoid('a', 7)")
declare("pg_column_compression", "any -> text", kernel=lambda call, args, rows, context: pa.nulls(rows, pa.string()),
        doc="NULL: values are not compressed one by one.", shapes=True, **_INFORMATION)
for _name, _type in (("pg_sleep", "float8"), ("pg_sleep_for", "interval"), ("pg_sleep_until", "timestamptz")):
    declare(_name, f"{_type} -> void", volatility="volatile", kernel=session_only_kernel, family="system",
            doc="Waits for seconds, an interval, or until a time.")
declare("setseed", "float8 -> void", volatility="volatile", kernel=session_only_kernel, family="math",
        doc="Has random() of the session's statements to come repeat itself; the numbers are not those of PostgreSQL.")
declare("pg_notify", "text text -> void", volatility="volatile", strict=False, kernel=session_only_kernel, family="system")
declare("pg_column_size", "any -> int4", kernel=column_size_kernel, **_INFORMATION)
declare("pg_size_pretty", "int8 -> text", "numeric -> text", raises=False, kernel=size_pretty_kernel, family="system")
declare("pg_size_bytes", "text -> int8", kernel=size_bytes_kernel, family="system", example="pg_size_bytes('10 kB')")
for _kind in ("", "_shared"):
    for _name, _type in (("pg_advisory_lock", "void"), ("pg_advisory_xact_lock", "void"), ("pg_try_advisory_lock", "bool"),
                         ("pg_try_advisory_xact_lock", "bool"), ("pg_advisory_unlock", "bool")):
        declare(_name + _kind, f"int8 -> {_type}", f"int4 int4 -> {_type}", volatility="volatile",
                kernel=session_only_kernel, family="system")
declare("pg_advisory_unlock_all", "-> void", volatility="volatile", kernel=session_only_kernel, family="system")
