"""The examples of the registry's functions on PostgreSQL and on Shoal: same types, texts and errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from conformance.functions import inventory
from shoal.exec.functions.examples import example_of
from shoal.exec.functions.registry import Function, all_functions

_INVENTED = frozenset({"coalesce", "nullif", "greatest", "least", "grouping", "in", "current_timestamp", "current_date",
                       "current_time", "localtime", "localtimestamp", "current_catalog", "current_role", "user"})
"""What PostgreSQL has as syntax and not in pg_proc."""


@dataclass(frozen=True)
class Example:
    name: str
    sql: str


def groups() -> dict[str, list[Function]]:
    """The overloads of each function and operator that SQL can name, by family, name and symbol."""
    found: dict[str, list[Function]] = {}
    for function in all_functions():
        if not function.hidden or function.symbol:
            key = f"{function.family} {function.symbol}" if function.hidden else function.name
            found.setdefault(f"{key} ({function.kind})" if function.kind in ("aggregate", "window") else key, []).append(
                function)
    return found


def without_example() -> list[str]:
    """Functions of PostgreSQL and of syntax that have none and should."""
    return [key for key, functions in groups().items() if not any(map(example_of, functions))
            and (functions[0].hidden or _is_postgres(functions[0].name))]


def _is_postgres(name: str) -> bool:
    return name in _INVENTED or name in {one.name for one in inventory.functions() if not one.category}


def examples() -> Iterator[Example]:
    """A statement for each function that PostgreSQL has too."""
    known = set(inventory.procedure_names()) | _INVENTED
    for key, functions in groups().items():
        text = next((text for text in map(example_of, functions) if text), "")
        if text and (functions[0].hidden or functions[0].name in known):
            yield Example(key, _statement(text, functions[0].kind))


def _statement(text: str, kind: str) -> str:
    if text.startswith("SELECT "):
        return text
    if kind in ("aggregate", "window"):
        return f"SELECT {text} FROM generate_series(1, 3) AS x"
    return f"SELECT {text}"


def answer(connection: psycopg.Connection, sql: str) -> str:
    """The result's types and texts, or the error's SQLSTATE."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.encode())
            result = cursor.pgresult
            assert result is not None
            types = [result.ftype(i) for i in range(result.nfields)]
            rows = [[result.get_value(row, i) for i in range(result.nfields)] for row in range(result.ntuples)]
            return f"{types} {rows}"
    except psycopg.Error as error:
        return f"error {error.sqlstate} {error.diag.message_primary}"


def differences(postgres: psycopg.Connection, shoal: psycopg.Connection) -> tuple[int, list[str]]:
    """(How many ran, what differs)."""
    different, count = [], 0
    for example in examples():
        count += 1
        want, got = answer(postgres, example.sql), answer(shoal, example.sql)
        if want.startswith("error"):
            different.append(f"{example.name}: {example.sql}\n  PostgreSQL refuses it: {want}")
        elif want != got:
            different.append(f"{example.name}: {example.sql}\n  PostgreSQL: {want}\n  Shoal:      {got}")
    return count, different
