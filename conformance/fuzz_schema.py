"""Kinds of values, tables and literals of the generated statements (conformance/fuzz_grammar.py).

The tables are small and full of NULLs and equal values, so that joins meet and groups have several rows. Floats are sums of
powers of two, so that their sums are exact in any order. Kinds without a column of their own are made by expressions.
"""

from __future__ import annotations

import random

TYPES = ("int", "num", "text", "date", "bool", "big", "ts", "char")
"""The kinds that statements are mostly made of."""
RARE_TYPES = ("quot", "float", "span", "ints", "json", "range", "tz", "bytes", "uuid", "time", "inet", "texts", "mood")
"""Numerics of any scale, float8, interval, int[], jsonb, int4range, timestamptz, bytea, uuid, time, inet, text[] and an
enum."""
COMPARABLE = ({"int", "num", "big", "quot"}, {"date", "ts", "tz"}, {"text", "char"})
"""Kinds whose values may be compared with one another."""
COLUMNS = {"id": "int", "i": "int", "j": "int", "b": "big", "n": "num", "m": "num", "s": "text", "t": "text", "d": "date",
           "f": "bool", "p": "ts", "c": "char", "x": "float", "a": "ints", "z": "tz", "h": "bytes", "e": "mood"}
SQL_TYPES = {"int": "int", "big": "bigint", "num": "numeric(8,2)", "text": "text", "date": "date", "bool": "boolean",
             "ts": "timestamp", "char": "char(3)", "quot": "numeric", "float": "float8", "span": "interval", "ints": "int[]",
             "json": "jsonb", "range": "int4range", "tz": "timestamptz", "bytes": "bytea", "uuid": "uuid", "time": "time",
             "inet": "inet", "texts": "text[]", "mood": "mood"}
MOODS = ("sad", "ok", "happy")
"""The values of the enum, in its order."""
ZONE = "Europe/Berlin"
"""Of every session that the generated statements run in: a zone whose clocks change."""
TABLES = {"ta": 9, "tb": 14, "tc": 40, "te": 0}
"""Names and row counts."""
WORDS = ("a", "b", "ab", "B", "", "foo", "bar", "a%", "é", "x_y", "ab ", "a\\b")
DATES = ("2020-01-01", "2020-02-29", "1999-12-31", "2021-07-04", "2020-01-02")
LITERALS: dict[str, tuple[str, ...]] = {
    "int": ("0", "1", "2", "3", "5", "-1", "-4", "7", "10"),
    "big": ("0", "1", "2", "3000000000", "-5000000000", "9223372036854775807", "7"),
    "num": ("0.00", "1.00", "1.50", "-2.25", "10.10", "3.00", "999.99", "0.01"),
    "text": tuple(f"'{word}'" for word in WORDS),
    "date": tuple(f"date '{day}'" for day in DATES),
    "bool": ("true", "false"),
    "ts": tuple(f"timestamp '{day} {time}'" for day in DATES for time in ("00:00", "00:00", "12:30:01.5")),
    "char": tuple(f"CAST('{word}' AS char(3))" for word in WORDS),
    "quot": ("1", "0.10", "-0.333", "12345678901234567890.5", "0.0000000001", "2.000", "7e3"),
    "float": tuple(f"CAST('{value}' AS float8)" for value in ("0", "0.5", "-1.25", "3", "1024.75", "-4", "NaN", "Infinity")),
    "span": tuple(f"interval '{value}'" for value in (
        "1 day", "-3 hours", "1 month -2 days", "0", "2 days 03:04:05.6", "1 year", "24 hours", "30 days")),
    "ints": ("ARRAY[1, 2]", "CAST('{}' AS int[])", "ARRAY[3, NULL, 1]", "ARRAY[0]", "ARRAY[1, 2, 3, 5]", "ARRAY[-4, 7]"),
    "json": tuple(f"jsonb '{value}'" for value in (
        '{"k": 1, "t": [1, 2]}', "{}", "[1, null, \"a\"]", '"foo"', "3", "null", '{"k": {"k": false}}', "true")),
    "tz": tuple(f"timestamptz '{time}'" for time in (
        "2020-01-01 00:00+00", "2020-03-29 02:30+01", "2020-10-25 02:30+01", "1999-12-31 23:59:59.999+00",
        "2021-07-04 12:00-04", "2020-02-29 00:00+01")),
    "bytes": tuple(f"bytea '{value}'" for value in ("", "\\x00", "\\x6162", "\\xff", "\\x610062", "\\x62")),
    "uuid": tuple(f"uuid '{digits}'" for digits in (
        "00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    "time": tuple(f"time '{value}'" for value in ("00:00", "12:30:01.5", "23:59:59.999999", "02:30", "12:30:01.5")),
    "inet": tuple(f"inet '{value}'" for value in (
        "10.0.0.1", "10.0.0.0/8", "192.168.1.5/24", "::1", "10.0.0.1/32", "255.255.255.255")),
    "texts": ("ARRAY['a', 'b']", "CAST('{}' AS text[])", "ARRAY['', NULL, 'a b']", "ARRAY['foo']", "ARRAY['a', 'é']"),
    "mood": tuple(f"CAST('{value}' AS mood)" for value in MOODS),
    "range": tuple(f"int4range '{value}'" for value in ("[1,5)", "empty", "(,3]", "[2,2]", "[5,10)", "(,)", "[-4,)")),
}


def literal(rng: random.Random, kind: str) -> str:
    return rng.choice(LITERALS[kind])


def schema(seed: int) -> list[str]:
    """The statements that make the tables and fill them."""
    rng = random.Random(seed)
    statements = [f"CREATE TYPE mood AS ENUM ({', '.join(map(repr, MOODS))})"]
    for name, rows in TABLES.items():
        columns = ", ".join(f"{column} {SQL_TYPES[kind]}" for column, kind in COLUMNS.items())
        statements.append(f"CREATE TABLE {name} ({columns})")
        values = [f"({', '.join(_value(rng, kind, row if column == 'id' else None) for column, kind in COLUMNS.items())})"
                  for row in range(rows)]
        if values:
            statements.append(f"INSERT INTO {name} VALUES {', '.join(values)}")
    return statements


def _value(rng: random.Random, kind: str, row: int | None) -> str:
    if row is not None:
        return str(row)
    if rng.random() < 0.25:
        return "NULL"
    return literal(rng, kind)
