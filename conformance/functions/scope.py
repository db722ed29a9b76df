"""Which of PostgreSQL's functions, operators and casts the registry should have, and why it lacks the others.

The rules go by catalogs and types: functions that take or give internal values, input and output functions and those
that only operators, casts, aggregates and indexes call are no functions that SQL calls by name; what is left is out of
scope where one of its types or its name is in a table below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

REASONS = {
    "casts to a type's length or precision (write the cast)": "`varchar(varchar, integer, boolean)` and the like are what "
                                                               "`CAST(x AS varchar(n))` calls",
    "collations of ICU": "strings sort by the C collation; there are no others to administer",
    "cursors": "a cursor is no value that functions take",
    "geometric types": "Shoal has no geometric types; keep coordinates in columns of type double precision",
    "large objects": "Shoal has no large objects; use bytea",
    "money": "Shoal has no type money; use numeric(19, 2)",
    "privileges as values": "privileges are asked for by name (`has_table_privilege` ...)",
    "query rewriting of schemas that only PostgreSQL has": "they export to XML",
    "server files and administration": "Shoal keeps no such files, locks or extensions",
    "settings' flags": "they say how PostgreSQL's own configuration file is written",
    "statistics and index maintenance": "Shoal has neither PostgreSQL's statistics collector nor its indexes",
    "steps of PostgreSQL's own aggregates": "aggregates are computed in another way",
    "text encodings": "text is UTF-8",
    "text search": "Shoal has no full-text search; LIKE and regular expressions search text",
    "transactions' and rows' identities": "transactions have no numbers that rows show",
    "write-ahead log and replication": "Shoal has no write-ahead log",
    "XML": "xml values can be stored and read only",
}
"""Why a category is out of scope."""
IN_SCOPE = ""
"""The category of what should be there."""

_BY_TYPE = {
    "geometric types": "point lseg path box polygon line circle",
    "money": "money",
    "text search": "tsvector tsquery gtsvector regconfig regdictionary",
    "XML": "xml",
    "transactions' and rows' identities": "xid xid8 cid tid txid_snapshot pg_snapshot",
    "write-ahead log and replication": "pg_lsn",
    "statistics and index maintenance": "pg_ndistinct pg_dependencies pg_mcv_list pg_brin_bloom_summary "
                                        "pg_brin_minmax_multi_summary",
    "cursors": "refcursor",
    "privileges as values": "aclitem",
}
"""Types that Shoal has no values of, or none that a function computes with."""
_LENGTH_COERCIONS = "casts to a type's length or precision (write the cast)"
_BY_NAME = (
    ("geometric types", r"bound_box|diagonal"),
    ("text search", r"(?:json|jsonb)_to_tsvector|ts_\w+|@@@?|get_current_ts_config|array_to_tsvector"),
    ("XML", r"\w*xml\w*|xpath\w*"),
    ("large objects", r"lo_\w+|lo(?:read|write)"),
    ("text encodings", r"convert|convert_from|convert_to|length_in_encoding|pg_encoding_max_length"),
    ("collations of ICU", r"is_normalized|pg_collation_actual_version|pg_import_system_collations|"
                          r"pg_database_collation_actual_version"),
    ("write-ahead log and replication",
     r"pg_replication_\w+|pg_logical_\w+|pg_\w*(?:wal|slot|slots|backup|xlog|standby|snapshot|publication|recovery)\w*|"
     r"pg_promote|pg_show_replication_origin_status|pg_create_restore_point|pg_last_\w+|pg_last_committed_xact|"
     r"pg_xact_\w+|txid_\w+|pg_current_xact_id\w*|pg_visible_in_snapshot|pg_switch_wal"),
    ("server files and administration",
     r"pg_read_\w+|pg_ls_\w+|pg_stat_file|pg_file_\w+|pg_rotate_logfile\w*|pg_current_logfile|pg_hba_file_rules|"
     r"pg_ident_file_mappings|pg_show_all_file_settings|pg_config|pg_control_\w+|pg_reload_conf|pg_log_\w+|"
     r"pg_cancel_backend|pg_terminate_backend|pg_tablespace_\w+|pg_relation_file\w+|pg_filenode_relation|"
     r"pg_get_shmem_allocations|pg_get_backend_memory_contexts|pg_nextoid|pg_stop_making_pinned_objects|"
     r"pg_prepared_xact|pg_get_multixact_members|mxid_age|pg_trigger_depth|pg_export_snapshot|binary_upgrade_\w+|"
     r"pg_get_wait_events|currtid2?|pg_cursor|pg_prepared_statement|pg_event_trigger_\w+|pg_identify_\w+|"
     r"pg_get_object_address|pg_extension_\w+|pg_available_extension\w*|pg_partition_\w+|pg_mcv_list_items|"
     r"\w*validator|amvalidate|satisfies_hash_partition|pg_isolation_test_\w+|pg_safe_snapshot_\w+|pg_blocking_pids|pg_lock_status|pg_timezone_\w+|pg_notification_\w+|"
     r"pg_listening_\w+|pg_sequence_\w+|pg_get_partition\w+|pg_get_replica_\w+|pg_get_statisticsobj\w+"),
    ("statistics and index maintenance",
     r"pg_stat_\w+|pg_indexam_progress_phasename|bt\w*equalimage|brin_\w+|gin_\w+|pg_index(?:am)?_has_property|pg_index_column_has_property|pg_size_\w+_internal|"
     r"pg_mcv_\w+|pg_get_catalog_foreign_keys"),
    (_LENGTH_COERCIONS, r"bpchar|varchar|bit|varbit|interval|numeric|timestamp|timestamptz|time|timetz"),
    ("steps of PostgreSQL's own aggregates", r"int8_sum|numeric_inc"),
    ("settings' flags", r"pg_settings_get_flags"),
    ("query rewriting of schemas that only PostgreSQL has",
     r"schema_to_\w+|database_to_\w+|table_to_\w+|query_to_\w+|cursor_to_\w+"),
)
_INTERNAL = frozenset({
    "internal", "cstring", "trigger", "event_trigger", "language_handler", "fdw_handler", "index_am_handler",
    "table_am_handler", "tsm_handler", "pg_ddl_command", "pg_node_tree", "_cstring"})
_TYPE_CATEGORY = {name: category for category, names in _BY_TYPE.items() for name in names.split()}
_NAME_CATEGORY = [(category, re.compile(pattern)) for category, pattern in _BY_NAME]


def is_internal(types: Iterable[str]) -> bool:
    """Whether values of one of these types never come from SQL."""
    return not _INTERNAL.isdisjoint(types)


def _is_length_coercion(name: str, types: Sequence[str]) -> bool:
    """Whether the function of a type's name takes a value of it, and a modifier."""
    return types[:2] == (name, "int4")


def category(name: str, types: Sequence[str]) -> str:
    """Why a function of this name and these types (pg_type names) is out of scope; IN_SCOPE where it is not."""
    for one in types:
        found = _TYPE_CATEGORY.get(one) or _TYPE_CATEGORY.get(one.removeprefix("_"))
        if found:
            return found
    return next((reason for reason, pattern in _NAME_CATEGORY if pattern.fullmatch(name)
                 and (reason != _LENGTH_COERCIONS or _is_length_coercion(name, types))), IN_SCOPE)
