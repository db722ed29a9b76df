"""Operators and casts of all pairs of types, on PostgreSQL and on Shoal: the same type of result or the same SQLSTATE.

Each pair is asked for with NULLs, so that what is compared is how operators and casts are resolved.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg

from conformance.functions import inventory

TYPES = ("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "name", '"char"',
         "bytea", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "bit", "varbit",
         "inet", "cidr", "macaddr", "macaddr8", "oid", "regclass", "regtype", "int4range", "numrange", "daterange",
         "tstzrange", "int4multirange", "nummultirange", "int4[]", "int8[]", "numeric[]", "text[]", "date[]", "float8[]",
         "jsonb[]")
UNTYPED = "unknown"


@dataclass
class Matrix:
    """How many statements were answered alike, and which were not."""

    alike: int = 0
    different: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def operators() -> Iterator[str]:
    """Every operator in scope over all pairs of types, with an untyped constant on either side too."""
    binary = sorted({one.name for one in inventory.operators() if len(one.arguments) == 2 and not one.category})
    prefix = sorted({one.name for one in inventory.operators() if len(one.arguments) == 1 and not one.category})
    for symbol in binary:
        for left in (*TYPES, UNTYPED):
            for right in (*TYPES, UNTYPED):
                yield f"SELECT {_null(left)} {symbol} {_null(right)}"
    for symbol in prefix:
        for right in (*TYPES, UNTYPED):
            yield f"SELECT {symbol} {_null(right)}"


def casts() -> Iterator[str]:
    """Every pair of types: cast by name, in an assignment (the default of a column takes assignment casts as INSERT
    does), and in a function's argument."""
    for source in TYPES:
        for target in TYPES:
            yield f"SELECT CAST({_null(source)} AS {target})"
    for source in TYPES:
        for target in TYPES:
            yield f"INSERT INTO audit_{_column(target)} SELECT {_null(source)}"


def common() -> Iterator[str]:
    """The common type of each pair, in CASE and in UNION."""
    for left in TYPES:
        for right in TYPES:
            yield f"SELECT CASE WHEN true THEN {_null(left)} ELSE {_null(right)} END"


def _null(name: str) -> str:
    return "NULL" if name == UNTYPED else f"NULL::{name}"


def _column(name: str) -> str:
    return name.strip('"').replace("[]", "_array") + ("_byte" if name.startswith('"') else "")


def set_up(connection: psycopg.Connection) -> None:
    """A table for each type, which the casts of assignments need."""
    for name in TYPES:
        connection.execute(f"DROP TABLE IF EXISTS audit_{_column(name)}".encode())
        connection.execute(f"CREATE TABLE audit_{_column(name)} (value {name})".encode())


def sampled(statements: Iterable[str], share: float, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [statement for statement in statements if share >= 1 or draw.random() < share]


def answer(connection: psycopg.Connection, sql: str) -> str:
    """The OID of the result's type, "done" without one, or the SQLSTATE."""
    result = connection.pgconn.exec_(sql.encode())
    if result.error_field(67):
        return (result.error_field(67) or b"").decode()
    return str(result.ftype(0)) if result.nfields else "done"


def compare(statements: Iterable[str], postgres: psycopg.Connection, shoal: psycopg.Connection) -> Matrix:
    found = Matrix()
    for sql in statements:
        want, got = answer(postgres, sql), answer(shoal, sql)
        if want == got:
            found.alike += 1
        else:
            found.different.append(f"{sql}: PostgreSQL {want}, Shoal {got}")
            found.kinds[f"{want} -> {got}"] += 1
    return found
