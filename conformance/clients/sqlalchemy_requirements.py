"""What SQLAlchemy's dialect suite may ask of this database (its `--requirements`), and what not, with the reason.

The suite's own defaults are cautious; all that PostgreSQL offers is opened here. Loaded by sqlalchemy_suite.py.
"""

from __future__ import annotations

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

OFFERED = (
    "create_table_as", "create_temp_table_as", "table_ddl_if_exists", "index_ddl_if_exists", "uuid_data_type",
    "unique_constraints_reflect_as_index", "table_value_constructor", "boolean_col_expressions", "nullsordering",
    "intersect", "except_", "window_functions", "window_range", "window_range_numeric", "window_range_non_numeric",
    "ctes", "ctes_with_update_delete", "ctes_with_values", "ctes_on_dml", "tuple_in", "views",
    "cross_schema_fk_reflection", "foreign_key_constraint_name_reflection", "implicit_default_schema",
    "default_schema_name_switch", "reflects_pk_names", "reflect_tables_no_columns", "comment_reflection",
    "comment_reflection_full_unicode", "constraint_comment_reflection", "column_collation_reflection",
    "schema_create_delete", "foreign_key_constraint_option_reflection_ondelete",
    "fk_constraint_option_reflection_ondelete_restrict", "foreign_key_constraint_option_reflection_onupdate",
    "fk_constraint_option_reflection_onupdate_restrict", "temp_table_names", "has_temp_table", "temporary_views",
    "create_or_replace_view", "index_reflects_included_columns", "indexes_with_expressions",
    "reflect_indexes_with_expressions", "inline_check_constraint_reflection", "check_constraint_reflection",
    "unicode_ddl", "datetime_interval", "datetime_literals", "datetime_timezone", "time_timezone",
    "timestamp_microseconds", "datetime_historic", "date_historic", "autocommit", "skip_autocommit_rollback",
    "isolation_level", "array_type", "json_type", "precision_numerics_enotation_small",
    "precision_numerics_many_significant_digits", "precision_numerics_retains_significant_digits", "server_defaults",
    "expression_server_defaults", "aggregate_order_by", "infinity_floats",
    "float_or_double_precision_behaves_generically", "savepoints", "update_from", "delete_from",
    "mod_operator_as_percent_sign", "percent_schema_names", "order_by_label_with_expression", "supports_distinct_on",
    "identity_columns", "identity_columns_standard", "regexp_match", "regexp_replace", "fetch_first", "fetch_ties",
    "fetch_no_order_by", "fetch_offset_with_options", "fetch_expression", "reflect_table_options",
    "materialized_views", "supports_bitwise_or", "supports_bitwise_and", "supports_bitwise_not",
    "supports_bitwise_xor", "supports_bitwise_shift",
)
NOT_OFFERED: dict[str, str] = {
    "computed_columns": "the suite's tables have virtual ones, which PostgreSQL has from version 18 on",
    "two_phase_transactions": "neither Shoal nor a PostgreSQL as delivered prepares transactions",
}
LEFT_OUT: dict[str, str] = {
    "EnumTest": "Shoal has no CREATE TYPE: enumerations are those of the sources",
}
"""Classes of tests for which the suite has no requirement to close."""


class Requirements(SuiteRequirements):
    def get_isolation_levels(self, config):
        supported = ["AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
        if config.db.dialect.driver == "asyncpg":  # which has no name for it
            supported.remove("READ UNCOMMITTED")
        return {"default": "READ COMMITTED", "supported": supported}

    def get_order_by_collation(self, config):
        return "POSIX"

    @property
    def async_dialect(self):
        return exclusions.only_if(lambda config: config.db.dialect.is_async)


for _name in OFFERED:
    setattr(Requirements, _name, property(lambda self: exclusions.open()))
for _name, _reason in NOT_OFFERED.items():
    setattr(Requirements, _name, property(lambda self, reason=_reason: exclusions.skip_if(lambda config: True, reason)))
