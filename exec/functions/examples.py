"""Examples of functions and operators that are declared in groups: one call by name, or by family and symbol.

The manual page (reference.py) shows them, and conformance/functions runs them on PostgreSQL and on Shoal, so each gives
the same text and type there: an expression (aggregates and window functions: over the x of generate_series(1, 3)), or a
whole SELECT.
"""

from __future__ import annotations

from shoal.exec.functions.registry import Function

_OF_SELF = "'pg_class'::regclass"
_EXAMPLES: dict[str, str] = {
    # aggregates
    "sum": "sum(x)", "avg": "avg(x)", "min": "min(x)", "max": "max(x)", "count": "count(*)",
    "array_agg": "array_agg(x ORDER BY x DESC)", "string_agg": "string_agg(x::text, ', ' ORDER BY x)",
    **{name: f"{name}(x > 1)" for name in ("bool_and", "bool_or", "every")},
    **{name: f"{name}(x)" for name in ("bit_and", "bit_or", "bit_xor", "any_value", "json_agg", "jsonb_agg",
                                       "json_agg_strict", "jsonb_agg_strict")},
    **{name: f"round({name}(x), 4)" for name in ("stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop")},
    **{name: f"{name}(x, 2 * x)" for name in (
        "corr", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx",
        "regr_sxy", "regr_syy", "regr_count")},
    **{f"{kind}_object_agg{how}": f"{kind}_object_agg{how}('k' || x, x)" for kind in ("json", "jsonb") for how in (
        "", "_strict", "_unique", "_unique_strict")},
    "mode": "mode() WITHIN GROUP (ORDER BY x % 2)",
    **{name: f"{name}(0.5) WITHIN GROUP (ORDER BY x)" for name in ("percentile_cont", "percentile_disc")},
    "rank": "rank(2) WITHIN GROUP (ORDER BY x)", "dense_rank": "dense_rank(2) WITHIN GROUP (ORDER BY x)",
    "percent_rank": "percent_rank(2) WITHIN GROUP (ORDER BY x)", "cume_dist": "cume_dist(2) WITHIN GROUP (ORDER BY x)",
    "range_agg": "range_agg(int4range(x, x + 1))", "range_intersect_agg": "range_intersect_agg(int4range(x, 9))",
    "float8_regr_accum": "float8_regr_accum(ARRAY[1, 2, 0, 3, 0, 0]::float8[], 4, 5)",
    "float8_combine": "float8_combine(ARRAY[1, 2, 0]::float8[], ARRAY[1, 4, 0]::float8[])",
    "float8_regr_combine": "float8_regr_combine(ARRAY[1, 2, 0, 3, 0, 0]::float8[], ARRAY[1, 4, 0, 5, 0, 0]::float8[])",
    "booland_statefunc": "booland_statefunc(true, false)", "boolor_statefunc": "boolor_statefunc(true, false)",
    # window functions
    "window percent_rank": "percent_rank() OVER (ORDER BY x)", "window cume_dist": "cume_dist() OVER (ORDER BY x)",
    "window rank": "rank() OVER (ORDER BY x)", "window dense_rank": "dense_rank() OVER (ORDER BY x)",
    "ntile": "ntile(2) OVER (ORDER BY x)", "nth_value": "nth_value(x, 2) OVER (ORDER BY x)",
    **{name: f"{name}(x) OVER (ORDER BY x)" for name in ("lag", "lead", "first_value", "last_value")},
    # operators, by family
    **{f"arithmetic {symbol}": f"7 {symbol} 2" for symbol in ("+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>")},
    "arithmetic ~": "~ 7", "arithmetic @": "@ -5", "arithmetic ^": "2 ^ 10",
    **{f"comparison {symbol}": f"1 {symbol} 2" for symbol in ("=", "<>", "<", "<=", ">", ">=")},
    **{f"comparison {symbol}": f"'a' {symbol} 'b'" for symbol in ("~<~", "~<=~", "~>~", "~>=~")},
    "datetime +": "date '2026-01-31' + 1", "datetime -": "date '2026-02-28' - date '2026-01-31'",
    "datetime *": "interval '1 day 2 hours' * 1.5", "datetime /": "interval '1 hour' / 4",
    "network +": "inet '192.168.1.5' + 10", "network -": "inet '192.168.1.5' - inet '192.168.1.1'",
    "network &": "inet '192.168.1.5' & inet '0.0.0.255'", "network |": "inet '192.168.1.5' | inet '0.0.0.255'",
    "network ~": "~ inet '192.168.1.5'",
    **{f"bit {symbol}": f"B'1010' {symbol} B'0110'" for symbol in ("&", "|", "#", "||")},
    "bit ~": "~ B'1010'", "bit <<": "B'1010' << 1", "bit >>": "B'1010' >> 1",
    "array ||": "ARRAY[1, 2] || ARRAY[3]", "array @>": "ARRAY[1, 2] @> ARRAY[1]", "array <@": "ARRAY[1] <@ ARRAY[1, 2]",
    "array &&": "ARRAY[1, 2] && ARRAY[2, 3]",
    "string ||": "'ab' || 'cd'", "string ~~": "'abc' ~~ 'a%'", "string !~~": "'abc' !~~ 'a%'",
    "string ~~*": "'ABC' ~~* 'a%'", "string !~~*": "'ABC' !~~* 'a%'", "string ^@": "'abc' ^@ 'ab'",
    "regex ~": "'abc' ~ 'b.'", "regex !~": "'abc' !~ 'b.'", "regex ~*": "'ABC' ~* 'b.'", "regex !~*": "'ABC' !~* 'b.'",
    "binary ||": r"'\x12'::bytea || '\x34'::bytea",
    "json ||": """'{"a": 1}'::jsonb || '{"b": 2}'""", "json ->": """'{"a": {"b": 1}}'::json -> 'a'""",
    "json ->>": """'{"a": 1}'::json ->> 'a'""", "json #>": """'{"a": {"b": 1}}'::json #> '{a,b}'""",
    "json #>>": """'{"a": {"b": 1}}'::json #>> '{a,b}'""", "json -": """'{"a": 1, "b": 2}'::jsonb - 'a'""",
    "json #-": """'{"a": {"b": 1}}'::jsonb #- '{a,b}'""", "json @>": """'{"a": 1, "b": 2}'::jsonb @> '{"b": 2}'""",
    "json <@": """'{"b": 2}'::jsonb <@ '{"a": 1, "b": 2}'""", "json ?": """'{"a": 1}'::jsonb ? 'a'""",
    "json ?|": """'{"a": 1}'::jsonb ?| ARRAY['a', 'b']""", "json ?&": """'{"a": 1}'::jsonb ?& ARRAY['a', 'b']""",
    "json @?": """'{"a": [1, 2]}'::jsonb @? '$.a[*] ? (@ > 1)'""", "json @@": """'{"a": 1}'::jsonb @@ '$.a == 1'""",
    "range @>": "int4range(2, 4) @> 3", "range <@": "3 <@ int4range(2, 4)",
    "range -|-": "int4range(1, 3) -|- int4range(3, 5)",
    **{f"range {symbol}": f"int4range(1, 4) {symbol} int4range(3, 6)" for symbol in (
        "&&", "<<", ">>", "&<", "&>", "+", "*", "-")},
    **{f"row {symbol}": f"ROW(1, 2) {symbol} ROW(1, 3)" for symbol in ("*=", "*<>", "*<", "*<=", "*>", "*>=")},
    # mathematics, strings, binary strings
    "atan2d": "atan2d(1, 1)", "pi": "pi()", "scale": "scale(8.4100)", "min_scale": "min_scale(8.4100)",
    "trim_scale": "trim_scale(8.4100)", "random": "random() < 1", "setseed": "setseed(0.5)",
    "like": "like('abc', 'a%')", "notlike": "notlike('abc', 'a%')", "like_escape": "like_escape('a!%', '!')",
    "octet_length": "octet_length('abc')", "bit_length": "bit_length('abc')",
    **{name: f"{name}('abc')" for name in ("sha224", "sha256", "sha384", "sha512")},
    "normalize": "normalize('abc', NFC)", "is_normalized": "'abc' IS NORMALIZED",
    "unistr": r"unistr('d\0061t\+000061')", "convert": "convert('abc', 'UTF8', 'LATIN1')",
    "convert_from": "convert_from('abc', 'UTF8')", "convert_to": "convert_to('abc', 'UTF8')",
    "get_byte": r"get_byte('\x1234'::bytea, 1)", "set_byte": r"set_byte('\x1234'::bytea, 1, 64)",
    "get_bit": r"get_bit('\x1234'::bytea, 2)",
    "set_bit": r"set_bit('\x1234'::bytea, 2, 1)", "bit_count": r"bit_count('\x1234'::bytea)",
    "similar_escape": "similar_escape('a_b', '#')", "similar_to_escape": "similar_to_escape('a_b')",
    "regexp_like": "regexp_like('abc', 'B', 'i')", "regexp_count": "regexp_count('abcabc', 'b.')",
    "regexp_instr": "regexp_instr('abcabc', 'b.', 1, 2)", "regexp_substr": "regexp_substr('abcabc', 'b.')",
    # dates and times
    "date_bin": "date_bin('15 minutes', timestamp '2026-02-11 15:44:17', timestamp '2026-01-01')",
    "make_timestamp": "make_timestamp(2026, 7, 15, 8, 15, 23.5)",
    "make_timestamptz": "make_timestamptz(2026, 7, 15, 8, 15, 23.5, 'UTC')", "make_interval": "make_interval(days => 10)",
    "isfinite": "isfinite(date 'infinity')", "timezone": "timezone('Europe/Berlin', timestamp '2026-07-15 08:15')",
    **{name: f"{name}() = now()" for name in ("now", "transaction_timestamp", "statement_timestamp")},
    "clock_timestamp": "clock_timestamp() >= now()", "timeofday": "length(timeofday()) > 30",
    "current_timestamp": "current_timestamp = now()", "current_date": "current_date = now()::date",
    "current_time": "current_time = now()::timetz", "localtime": "localtime = now()::time",
    "localtimestamp": "localtimestamp = now()::timestamp", "to_timestamp": "to_timestamp(1284352323)",
    "timestamp": "\"timestamp\"(date '2026-01-31', time '10:00')",
    "timestamptz": "timestamptz(date '2026-01-31', time '10:00')",
    "overlaps": "(date '2026-01-01', date '2026-02-01') OVERLAPS (date '2026-01-15', interval '30 days')",
    # network addresses, arrays
    "trunc": "trunc(42.4382, 2)", "inet_same_family": "inet_same_family(inet '10.0.0.1', inet '::1')",
    "macaddr8_set7bit": "macaddr8_set7bit(macaddr8 '00:34:56:ab:cd:ef')",
    "array_lower": "array_lower('[0:2]={1,2,3}'::int[], 1)", "array_upper": "array_upper(ARRAY[1, 8, 3], 1)",
    "array_ndims": "array_ndims(ARRAY[[1, 2], [3, 4]])", "array_dims": "array_dims(ARRAY[[1, 2], [3, 4]])",
    "array_positions": "array_positions(ARRAY['A', 'B', 'A'], 'A')",
    **{name: f"{name}(ARRAY[1, 2], ARRAY[1, 3])" for name in (
        "array_larger", "array_smaller", "btarraycmp", "array_eq", "array_ne", "array_lt", "array_le", "array_gt",
        "array_ge", "arraycontains", "arraycontained", "arrayoverlap")},
    # JSON
    **{f"{kind}_build_array": f"{kind}_build_array(1, 'a', NULL)" for kind in ("json", "jsonb")},
    **{f"{kind}_build_object": f"{kind}_build_object('a', 1)" for kind in ("json", "jsonb")},
    **{f"to_{kind}": f"to_{kind}('a \"quote\"'::text)" for kind in ("json", "jsonb")},
    "array_to_json": "array_to_json(ARRAY[1, 2])",
    **{f"{kind}_extract_path{how}": f"""{kind}_extract_path{how}('{{"a": {{"b": "c"}}}}', 'a', 'b')"""
       for kind in ("json", "jsonb") for how in ("", "_text")},
    "jsonb_concat": """jsonb_concat('{"a": 1}', '{"b": 2}')""", "jsonb_delete": """jsonb_delete('{"a": 1, "b": 2}', 'a')""",
    "jsonb_delete_path": """jsonb_delete_path('{"a": {"b": 1}}', '{a,b}')""",
    "jsonb_set": """jsonb_set('{"a": 1}', '{a}', '2')""", "jsonb_insert": """jsonb_insert('{"a": [1, 2]}', '{a,1}', '9')""",
    "jsonb_set_lax": """jsonb_set_lax('{"a": 1}', '{a}', NULL, null_value_treatment => 'delete_key')""",
    **{f"jsonb_path_{what}{zone}": f"""jsonb_path_{what}{zone}('{{"a": [1, 2, 3]}}', '$.a[*] ? (@ > 1)')"""
       for what in ("exists", "query", "query_array", "query_first") for zone in ("", "_tz")},
    **{f"jsonb_path_match{zone}": f"""jsonb_path_match{zone}('{{"a": 1}}', '$.a == 1')""" for zone in ("", "_tz")},
    "jsonb_path_exists_opr": """jsonb_path_exists_opr('{"a": 1}', '$.a')""",
    "jsonb_path_match_opr": """jsonb_path_match_opr('{"a": 1}', '$.a == 1')""",
    **{f"{kind}_{how}": f"""SELECT * FROM {kind}_{how}('{{"a": 1}}') AS r(a int)"""
       for kind in ("json", "jsonb") for how in ("to_record",)},
    **{f"{kind}_to_recordset": f"""SELECT * FROM {kind}_to_recordset('[{{"a": 1}}, {{"a": 2}}]') AS r(a int)"""
       for kind in ("json", "jsonb")},
    **{f"{kind}_populate_record": f"""SELECT * FROM {kind}_populate_record(NULL::pg_am, '{{"amname": "a"}}')"""
       for kind in ("json", "jsonb")},
    **{f"{kind}_populate_recordset": f"""SELECT * FROM {kind}_populate_recordset(NULL::pg_am, '[{{"amname": "a"}}]')"""
       for kind in ("json", "jsonb")},
    **{f"{kind}_array_length": f"{kind}_array_length('[1, 2, 3]')" for kind in ("json", "jsonb")},
    **{f"{kind}_typeof": f"{kind}_typeof('[1, 2, 3]')" for kind in ("json", "jsonb")},
    **{f"{kind}_strip_nulls": f"""{kind}_strip_nulls('{{"a": 1, "b": null}}')""" for kind in ("json", "jsonb")},
    "jsonb_pretty": """jsonb_pretty('{"a": 1}')""", "jsonb_contains": """jsonb_contains('{"a": 1}', '{}')""",
    "jsonb_contained": """jsonb_contained('{}', '{"a": 1}')""", "jsonb_exists": """jsonb_exists('{"a": 1}', 'a')""",
    "jsonb_exists_any": """jsonb_exists_any('{"a": 1}', '{a,b}')""",
    "jsonb_exists_all": """jsonb_exists_all('{"a": 1}', '{a,b}')""",
    **{f"{kind}_array_elements{how}": f"""{kind}_array_elements{how}('[1, "a"]')""" for kind in ("json", "jsonb")
       for how in ("", "_text")},
    **{f"{kind}_object_keys": f"""{kind}_object_keys('{{"a": 1, "b": 2}}')""" for kind in ("json", "jsonb")},
    **{f"{kind}_each{how}": f"""{kind}_each{how}('{{"a": 1, "b": 2}}')""" for kind in ("json", "jsonb")
       for how in ("", "_text")},
    # sets
    "generate_subscripts": "generate_subscripts(ARRAY[4, 5, 6], 1)",
    "regexp_split_to_table": "regexp_split_to_table('a, b', ',\\s*')", "regexp_matches": "regexp_matches('abc', '(b)(c)')",
    "pg_get_keywords": "SELECT word, catcode FROM pg_get_keywords() WHERE word = 'select'",
    "_pg_expandarray": "information_schema._pg_expandarray(ARRAY[4, 5])",
    # ranges
    **{name: f"{name}(1, 4)" for name in ("int4range", "int8range", "numrange")},
    **{f"{name}multirange": f"{name}multirange({name}range(1, 4))" for name in ("int4", "int8", "num")},
    **{f"{name}range": f"{name}range('2026-01-01', '2026-02-01')" for name in ("date", "ts", "tstz")},
    **{f"{name}multirange": f"{name}multirange({name}range('2026-01-01', '2026-02-01'))" for name in ("date", "ts", "tstz")},
    # values as bytes
    **{name: f"{name}({value})" for name, value in (
        ("boolsend", "true"), ("bpcharsend", "'a'::char(2)"), ("byteasend", r"'\x12'"), ("charsend", "'a'::\"char\""),
        ("cidr_send", "'10.0.0.0/8'"), ("date_send", "date '2026-01-31'"), ("float4send", "1.5"), ("float8send", "1.5"),
        ("inet_send", "'10.0.0.1'"), ("int2send", "7::int2"), ("int4send", "7"), ("int8send", "7"),
        ("interval_send", "'1 day'"), ("json_send", "'[1]'"), ("jsonb_send", "'[1]'"),
        ("macaddr_send", "'08:00:2b:01:02:03'"), ("macaddr8_send", "'08:00:2b:01:02:03:04:05'"), ("namesend", "'a'"),
        ("numeric_send", "1.5"), ("oidsend", "7::oid"), ("textsend", "'a'"), ("time_send", "'10:00'"),
        ("timestamp_send", "'2026-01-31'"), ("timestamptz_send", "'2026-01-31'"), ("timetz_send", "'10:00+01'"),
        ("uuid_send", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"), ("varcharsend", "'a'"))},
    # the session and the system
    **{name: f"length({name}()) > 0" for name in ("current_database", "current_schema", "getdatabaseencoding", "version",
                                                  "current_query", "getpgusername")},
    **{name: f"length({name}) > 0" for name in ("current_catalog", "current_user", "session_user", "user", "current_role")},
    "pg_client_encoding": "pg_client_encoding()", "pg_backend_pid": "pg_backend_pid() > 0",
    "pg_is_in_recovery": "pg_is_in_recovery()", "pg_postmaster_start_time": "pg_postmaster_start_time() < now()",
    "pg_conf_load_time": "pg_conf_load_time() < now()", "txid_current": "txid_current() > 0",
    "txid_current_if_assigned": "txid_current_if_assigned()", "pg_jit_available": "pg_typeof(pg_jit_available())",
    "pg_current_xact_id": "pg_typeof(pg_current_xact_id())",
    **{name: f"{name}()" for name in (
        "pg_current_xact_id_if_assigned", "pg_trigger_depth", "pg_last_xact_replay_timestamp",
        "pg_stat_clear_snapshot", "pg_stat_reset", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn",
        "pg_my_temp_schema", "pg_advisory_unlock_all")},
    "pg_is_wal_replay_paused": "pg_typeof(pg_is_in_recovery())",
    **{name: f"{name}() IS NOT NULL" for name in ("inet_server_addr", "inet_client_addr", "inet_server_port",
                                                  "inet_client_port", "pg_reload_conf")},
    "current_schemas": "current_schemas(true)", "set_config": "set_config('application_name', 'report', false)",
    "pg_encoding_to_char": "pg_encoding_to_char(6)", "pg_char_to_encoding": "pg_char_to_encoding('UTF8')",
    "gen_random_uuid": "length(gen_random_uuid()::text)", "pg_sleep": "pg_sleep(0)", "pg_sleep_for": "pg_sleep_for('0 s')",
    "pg_sleep_until": "pg_sleep_until(now())", "pg_notify": "pg_notify('channel', 'payload')",
    "pg_column_size": "pg_column_size(1)", "pg_size_pretty": "pg_size_pretty(123456::int8)",
    "pg_column_compression": "pg_column_compression(1)", "pg_collation_for": "pg_collation_for('a'::text)",
    "oidvectortypes": "oidvectortypes('23 25')", "pg_settings_get_flags": "pg_settings_get_flags('application_name')",
    **{f"pg{how}_advisory{kind}_{verb}{shared}": f"pg{how}_advisory{kind}_{verb}{shared}({7 if shared else 8})"
       for how in ("", "_try") for kind in ("", "_xact") for verb in ("lock", "unlock") for shared in ("", "_shared")},
    # the catalog
    **{f"pg_{kind}_is_visible": f"pg_{kind}_is_visible({oid})" for kind, oid in (
        ("table", _OF_SELF), ("type", "'int4'::regtype"), ("function", "'pi'::regproc"), ("operator", "96"),
        ("opclass", "1978"), ("opfamily", "1976"), ("collation", "950"), ("conversion", "0"), ("ts_config", "0"),
        ("ts_dict", "0"), ("ts_parser", "0"), ("ts_template", "0"), ("statistics_obj", "0"))},
    **{f"has_{kind}_privilege": f"has_{kind}_privilege('{name}', '{right}')" for kind, name, right in (
        ("table", "pg_class", "SELECT"), ("any_column", "pg_class", "SELECT"), ("schema", "pg_catalog", "USAGE"),
        ("function", "pi()", "EXECUTE"), ("language", "sql", "USAGE"), ("tablespace", "pg_default", "CREATE"),
        ("type", "int4", "USAGE"), ("parameter", "application_name", "SET"))},
    "has_database_privilege": "has_database_privilege(current_database(), 'CONNECT')",
    "has_column_privilege": "has_column_privilege('pg_class', 'relname', 'SELECT')",
    "pg_has_role": "pg_has_role(current_user, 'USAGE')", "row_security_active": f"row_security_active({_OF_SELF})",
    "pg_get_userbyid": "pg_get_userbyid(1)", "pg_get_indexdef": "pg_get_indexdef(2662)",
    "pg_get_viewdef": "length(pg_get_viewdef('pg_tables'::regclass)) > 0",
    "pg_get_constraintdef": "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'pg_class_oid_index'",
    **{name: f"{name}('make_date'::regproc)" for name in (
        "pg_get_function_arguments", "pg_get_function_identity_arguments", "pg_get_function_result",
        "pg_get_functiondef")},
    **{name: f"{name}(0)" for name in (
        "pg_get_ruledef", "pg_get_triggerdef", "pg_get_function_sqlbody", "pg_get_partkeydef",
        "pg_get_partition_constraintdef", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
        "pg_get_statisticsobjdef_expressions", "pg_stat_get_numscans",
        "pg_stat_get_tuples_inserted", "pg_stat_get_tuples_updated", "pg_stat_get_tuples_deleted",
        "pg_stat_get_live_tuples", "pg_stat_get_dead_tuples", "pg_partition_root", "pg_partition_ancestors",
        "pg_partition_tree", "pg_cancel_backend", "pg_terminate_backend", "pg_relation_filepath",
        "pg_is_other_temp_schema")},
    "pg_get_replica_identity_index": f"pg_get_replica_identity_index({_OF_SELF})",
    "pg_get_expr": "pg_get_expr(NULL, 0)", "pg_get_function_arg_default": "pg_get_function_arg_default(0, 1)",
    "obj_description": "obj_description('pi'::regproc, 'pg_proc')", "col_description": f"col_description({_OF_SELF}, 1)",
    "shobj_description": "shobj_description(1, 'pg_database')",
    "pg_describe_object": f"pg_describe_object('pg_class'::regclass, {_OF_SELF}, 0)",
    **{name: f"{name}({_OF_SELF}) >= 0" for name in (
        "pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size")},
    "pg_database_size": "pg_database_size(current_database()) >= 0",
    "pg_tablespace_location": "pg_tablespace_location(1663)",
    "pg_relation_is_publishable": f"pg_relation_is_publishable({_OF_SELF})",
    "pg_relation_is_updatable": "pg_relation_is_updatable('pg_tables'::regclass, false)",
    "pg_column_is_updatable": "pg_column_is_updatable('pg_tables'::regclass, 1::int2, false)",
    "pg_index_column_has_property": "pg_index_column_has_property(2662, 1, 'asc')",
    "pg_index_has_property": "pg_index_has_property(2662, 'clusterable')",
    "pg_indexam_has_property": "pg_indexam_has_property(403, 'can_order')",
    "pg_listening_channels": "pg_listening_channels()",
    "pg_options_to_table": "pg_options_to_table(ARRAY['a=b'])",
    "to_regclass": "to_regclass('pg_class')", "to_regtype": "to_regtype('int4')", "to_regnamespace":
    "to_regnamespace('pg_catalog')", "to_regrole": "to_regrole('pg_monitor')", "to_regproc": "to_regproc('pi')",
    "to_regprocedure": "to_regprocedure('pi()')", "to_regoper": "to_regoper('||/')",
    "to_regoperator": "to_regoperator('+(integer,integer)')", "to_regcollation": "to_regcollation('\"C\"')",
    "pg_show_all_settings": "SELECT name FROM pg_show_all_settings() WHERE name = 'TimeZone'",
    "pg_timezone_names": "SELECT name FROM pg_timezone_names() WHERE name = 'UTC'",
    "pg_timezone_abbrevs": "SELECT * FROM pg_timezone_abbrevs() WHERE abbrev = 'CET'",
    "pg_prepared_statement": "SELECT count(*) FROM pg_prepared_statement()", "pg_cursor": "SELECT count(*) FROM pg_cursor()",
    "pg_available_extensions": "SELECT name FROM pg_available_extensions() WHERE name = 'plpgsql'",
    "ts_token_type": "SELECT alias FROM ts_token_type(3722) WHERE tokid = 1",
}


def example_of(function: Function) -> str:
    """A call of the function or operator; "" where there is none."""
    key = f"{function.family} {function.symbol}" if function.hidden else function.name
    if function.kind == "window":
        return function.example or _EXAMPLES.get(f"window {function.name}") or _EXAMPLES.get(function.name, "")
    return _EXAMPLES.get(key, "") if function.kind == "aggregate" or not function.example else function.example
