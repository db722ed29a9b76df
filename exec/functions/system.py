"""Session and system information, and what tools ask of the catalog.

Spec: PostgreSQL 15 documentation, 9.26 "System Information Functions" and 9.27.
"""

from __future__ import annotations

from shoal.exec.functions.registry import declare

declare("version", "-> text", volatility="stable", raises=False, family="system")
for _name in ("current_database", "current_catalog", "current_schema", "current_user", "session_user", "user", "current_role"):
    declare(_name, "-> name", volatility="stable", raises=False, family="system")
declare("current_schemas", "bool -> _name", volatility="stable", raises=False, family="system")
declare("current_setting", "text -> text", "text bool -> text", volatility="stable", family="system")
declare("set_config", "text text bool -> text", volatility="volatile", strict=False, family="system")
declare("current_query", "-> text", volatility="stable", raises=False, family="system")
declare("pg_typeof", "any -> regtype", volatility="stable", strict=False, raises=False, family="system", example="pg_typeof(33)")
declare("pg_backend_pid", "-> int4", volatility="stable", raises=False, family="system")
declare("pg_client_encoding", "-> name", volatility="stable", raises=False, family="system")
declare("pg_encoding_to_char", "int4 -> name", volatility="stable", raises=False, family="system")
declare("pg_is_in_recovery", "-> bool", volatility="stable", raises=False, family="system")
declare("pg_postmaster_start_time", "-> timestamptz", volatility="stable", raises=False, family="system")
declare("pg_conf_load_time", "-> timestamptz", volatility="stable", raises=False, family="system")
declare("txid_current", "-> int8", volatility="stable", raises=False, family="system")
for _name in ("inet_server_addr", "inet_client_addr"):
    declare(_name, "-> inet", volatility="stable", raises=False, family="system")
for _name in ("inet_server_port", "inet_client_port"):
    declare(_name, "-> int4", volatility="stable", raises=False, family="system")
declare("format_type", "oid int4 -> text", strict=False, volatility="stable", raises=False, family="system",
        example="format_type(1700, -1)")
declare("gen_random_uuid", "-> uuid", volatility="volatile", raises=False, family="system")
declare("pg_sleep", "float8 -> void", volatility="volatile", family="system")
declare("pg_column_size", "any -> int4", volatility="stable", raises=False, family="system")
declare("pg_size_pretty", "int8 -> text", "numeric -> text", raises=False, family="system")
for _name in ("table", "type", "function", "operator", "opclass", "opfamily", "collation", "conversion", "ts_config",
              "ts_dict", "ts_parser", "ts_template", "statistics_obj"):
    declare(f"pg_{_name}_is_visible", "oid -> bool", volatility="stable", raises=False, family="system")
for _name in ("table", "any_column"):
    declare(f"has_{_name}_privilege", "text text -> bool", "oid text -> bool", "name text text -> bool", "name oid text -> bool",
            "oid oid text -> bool", "oid text text -> bool", volatility="stable", raises=False, family="system")
for _name in ("database", "schema", "function", "language", "sequence", "tablespace", "type", "server", "foreign_data_wrapper"):
    declare(f"has_{_name}_privilege", "text text -> bool", "oid text -> bool", "name text text -> bool", "name oid text -> bool",
            volatility="stable", raises=False, family="system")
declare("has_column_privilege", "text text text -> bool", "oid text text -> bool", "oid int2 text -> bool", "text int2 text -> bool",
        "name text text text -> bool", "name oid text text -> bool", "name oid int2 text -> bool",
        volatility="stable", raises=False, family="system")
declare("pg_has_role", "name text -> bool", "oid text -> bool", "name name text -> bool", "name oid text -> bool",
        "oid oid text -> bool", volatility="stable", raises=False, family="system")
declare("pg_get_userbyid", "oid -> name", volatility="stable", raises=False, family="system")
declare("pg_get_expr", "pg_node_tree oid -> text", "pg_node_tree oid bool -> text", "text oid -> text", "text oid bool -> text",
        volatility="stable", raises=False, family="system")
declare("pg_get_viewdef", "oid -> text", "oid bool -> text", "oid int4 -> text", "text -> text", "text bool -> text",
        volatility="stable", raises=False, family="system")
declare("pg_get_indexdef", "oid -> text", "oid int4 bool -> text", volatility="stable", raises=False, family="system")
for _name in ("constraintdef", "ruledef", "triggerdef"):
    declare(f"pg_get_{_name}", "oid -> text", "oid bool -> text", volatility="stable", raises=False, family="system")
for _name in ("function_arguments", "function_identity_arguments", "function_result", "functiondef", "function_sqlbody", "partkeydef",
              "partition_constraintdef", "statisticsobjdef", "statisticsobjdef_columns"):
    declare(f"pg_get_{_name}", "oid -> text", volatility="stable", raises=False, family="system")
declare("pg_get_serial_sequence", "text text -> text", volatility="stable", raises=False, family="system")
declare("pg_get_function_arg_default", "oid int4 -> text", volatility="stable", raises=False, family="system")
declare("pg_get_replica_identity_index", "regclass -> regclass", volatility="stable", raises=False, family="system")
declare("obj_description", "oid -> text", "oid name -> text", volatility="stable", raises=False, family="system")
declare("col_description", "oid int4 -> text", volatility="stable", raises=False, family="system")
declare("shobj_description", "oid name -> text", volatility="stable", raises=False, family="system")
for _name in ("pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"):
    declare(_name, "regclass -> int8", volatility="stable", raises=False, family="system")
declare("pg_relation_size", "regclass text -> int8", volatility="stable", raises=False, family="system")
declare("pg_database_size", "name -> int8", "oid -> int8", volatility="stable", raises=False, family="system")
declare("pg_tablespace_size", "name -> int8", "oid -> int8", volatility="stable", raises=False, family="system")
declare("pg_tablespace_location", "oid -> text", volatility="stable", raises=False, family="system")
declare("pg_relation_is_publishable", "regclass -> bool", volatility="stable", raises=False, family="system")
declare("pg_relation_is_updatable", "regclass bool -> int4", volatility="stable", raises=False, family="system")
declare("pg_index_column_has_property", "regclass int4 text -> bool", volatility="stable", raises=False, family="system")
declare("pg_char_to_encoding", "name -> int4", volatility="stable", raises=False, family="system")
for _name in ("pg_advisory_lock", "pg_advisory_xact_lock"):
    declare(_name, "int8 -> void", "int4 int4 -> void", volatility="volatile", raises=False, family="system")
for _name in ("pg_try_advisory_lock", "pg_advisory_unlock"):
    declare(_name, "int8 -> bool", "int4 int4 -> bool", volatility="volatile", raises=False, family="system")
declare("pg_advisory_unlock_all", "-> void", volatility="volatile", raises=False, family="system")
declare("pg_is_other_temp_schema", "oid -> bool", volatility="stable", raises=False, family="system")
declare("pg_my_temp_schema", "-> oid", volatility="stable", raises=False, family="system")
declare("pg_stat_get_numscans", "oid -> int8", volatility="stable", raises=False, family="system")
for _type in ("regclass", "regtype", "regnamespace", "regrole", "regproc", "regprocedure", "regoper", "regcollation"):
    declare(f"to_{_type}", f"text -> {_type}", volatility="stable", raises=False, family="system")
