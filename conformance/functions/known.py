"""Differences from PostgreSQL in scope that stay, each with its reason: the audit and the manual page list them."""

from __future__ import annotations

import re

from conformance.functions.inventory import Signature

SIGNATURES: dict[str, str] = dict.fromkeys(
    (f"record {symbol} record" for symbol in ("*<", "*<=", "*>", "*>=")), "orders rows by the bytes they are stored as") | {
    "age(timestamptz, timestamptz)": "depends on the time zone, which PostgreSQL's declaration overlooks"}
"""By the signature as inventory.Signature spells it, or by its name alone for all of that name."""
STATEMENTS: dict[str, str] = {
    r"SELECT NULL \*(<|>|<=|>=|<>|=) NULL": "untyped on both sides, PostgreSQL takes them for rows",
    r"SELECT NULL \?\| NULL": "both of PostgreSQL's operators for geometric types come in the way (42725)",
    r"SELECT NULL((::\S+)? (<@|@>) NULL| (<@|@>) NULL::\S+)":
        "both refuse: PostgreSQL for having several operators in mind (42725), Shoal as no range has such bounds (42883)"}
"""Of the matrices: by a regular expression that a whole statement matches."""
VALUES: dict[str, str] = {
    r'SELECT "age".*infinity.*': "the age of infinity: PostgreSQL counts the days to the end of its own numbers",
    r'SELECT "(round|trunc)".*2147483647.*': "numerics have at most 1000 digits after the point",
    r'SELECT "timezone"\(.*99D9.*|SELECT "timezone"\(\w+, \w+\).*99D9.*': "taken for a zone of POSIX",
    r'SELECT (.*5874897-12-31.*infinity.*|.*infinity.*5874897-12-31.*|"(date_part|extract)".*5874897-12-31.*)':
        "dates after all timestamps are taken for infinity beside timestamps",
    r"SELECT substring\(.*NULL.*": "PostgreSQL looks at the escape character even where the result is NULL",
    r"SELECT .*290000-12-31.* - .*|SELECT c0 - c1 .*290000-12-31.*": "PostgreSQL's own difference of these overflows",
    r'SELECT ("(array_fill|regexp_instr|regexp_substr)".*|"jsonb_set_lax".*\{\{.*)':
        "of two mistakes in one call the other one is reported",
}
"""Of random calls (values.py): by a regular expression that the whole statement matches."""
_NO_SEQUENCE = "a sequence must exist"
WITHOUT_EXAMPLE: dict[str, str] = {
    **dict.fromkeys(("has_sequence_privilege", "pg_get_serial_sequence", "nextval", "currval", "lastval", "setval"),
                    _NO_SEQUENCE),
    "has_server_privilege": "a foreign server must exist",
    "has_foreign_data_wrapper_privilege": "a foreign-data wrapper must exist",
    "to_ascii": "refuses what is encoded in UTF-8"}
"""Functions that no example can call on a PostgreSQL with nothing in it."""


def reason(signature: Signature) -> str | None:
    """Why a signature in scope is missing or different."""
    return SIGNATURES.get(str(signature)) or SIGNATURES.get(signature.name)


def is_listed(statement: str) -> bool:
    """Whether a statement of the matrices, or a random call, is known to be answered differently."""
    return any(re.fullmatch(pattern, statement, re.DOTALL) for pattern in (*STATEMENTS, *VALUES))
