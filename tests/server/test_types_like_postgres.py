"""Values of every type, sent as literals, text and binary parameters, come back as PostgreSQL's own bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.binary_values import BINARY, NEAR_MISSES
from tests.server.both import Answer, Both, both_servers, run
from tests.server.conftest import Address
from tests.server.type_values import BAD, DIFFERENT, GOOD, UNSUPPORTED


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal) as pair:
        for client in (pair.postgres, pair.shoal):
            client.query("SET TimeZone = 'UTC'")
        yield pair


def _differences(both: Both, cast: str, text: str) -> list[tuple[str, Answer, Answer]]:
    """Each way a value can take: (what, PostgreSQL's answer, Shoal's) where they differ."""
    literal = "'" + text.replace("'", "''") + "'"
    plain, parameter = f"SELECT {literal}::{cast} AS a", f"SELECT $1::{cast} AS a"
    found = [(plain, *both.run(plain)), (f"text {text!r}", *both.run(parameter, [text.encode()]))]
    if isinstance(found[0][1], list):
        binary = both.run(plain, results=[1])
        found.append((f"{plain} in binary", *binary))
        value = binary[0][-1][0]
        if isinstance(binary[0], list) and isinstance(value, bytes):
            for results in ((0,), (1,)):
                found.append((f"binary {value!r} -> {results[0]}", *both.run(parameter, [value], [1], results)))
    return [item for item in found if item[1] != item[2]]


@pytest.mark.parametrize("cast", [*dict.fromkeys([*GOOD, *BAD])])
def test_values(both: Both, cast: str) -> None:
    for text in [*GOOD.get(cast, ()), *BAD.get(cast, ())]:
        different = _differences(both, cast, text)
        if text in DIFFERENT.get(cast, ()):
            assert different, f"{text!r} is like PostgreSQL's by now: take it out of DIFFERENT"
        else:
            assert different == []


@pytest.mark.parametrize("cast", UNSUPPORTED)
def test_types_that_are_not_there_are_refused(both: Both, cast: str) -> None:
    refused = run(both.shoal, f"SELECT NULL::{cast}")
    assert isinstance(refused, tuple) and refused[0] in ("0A000", "42704"), refused


@pytest.mark.parametrize("cast", BINARY)
def test_binary_parameters(both: Both, cast: str) -> None:
    for value in BINARY[cast]:
        for results in ((0,), (1,)):
            postgres, shoal = both.run(f"SELECT $1::{cast} AS a", [value], [1], results)
            if value in DIFFERENT_BINARY.get(cast, ()):
                assert postgres != shoal
            else:
                assert shoal == postgres, value


@pytest.mark.parametrize(("sql", "oid", "value"), NEAR_MISSES)
def test_near_misses(both: Both, sql: str, oid: int, value: bytes) -> None:
    for results in ((0,), (1,)):
        postgres, shoal = both.run(sql, [value], [1], results, [oid])
        assert shoal == postgres


DIFFERENT_BINARY: dict[str, tuple[bytes, ...]] = {
    "name": (b"x" * 64,),  # cut as text would be, rather than 42622
    "jsonb": (b"\2{}",),  # 22P03 rather than an internal error
}
"""What Shoal answers otherwise; see DIFFERENT."""

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe",
    "Africa/Monrovia",
         "Asia/Kathmandu", "Pacific/Apia", "<+03>-3", "UTC+3", "CET"]
INSTANTS = ["2024-03-10 06:59:59+00", "2024-03-10 07:00:00+00", "2024-11-03 05:30:00+00", "2024-11-03 06:30:00+00",
    "2024-03-31 00:59:59.999999+00",
            "2024-03-31 01:00:00+00", "2024-10-27 00:30:00+00", "1850-01-01 00:00:00+00", "1700-06-01 12:34:56.7+00",
            "0001-01-01 00:00:00+00",
            "0044-03-15 12:00:00+00 BC", "4000-07-01 00:00:00+00", "12000-07-01 00:00:00+00", "infinity", "-infinity",
            "1972-01-07 00:44:30+00",
            "2011-12-30 10:00:00+00", "2500-01-01 00:00:00+00"]
LOCAL = ["2024-03-10 02:30:00", "2024-11-03 01:30:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "1850-01-01 00:00:00",
    "0044-03-15 12:00:00 BC",
         "12000-07-01 00:00:00", "infinity"]


@pytest.mark.parametrize("zone", ZONES)
def test_time_zones(both: Both, zone: str) -> None:
    sql = ("SELECT " + ", ".join(f"'{text}'::timestamptz, ('{text}'::timestamptz)::timestamp" for text in INSTANTS) + ", "
           + ", ".join(f"'{text}'::timestamptz, ('{text}'::timestamp)::timestamptz" for text in LOCAL))
    try:
        for client in (both.postgres, both.shoal):
            client.query(f"SET TimeZone = '{zone}'")
        for results in ((0,), (1,)):
            postgres, shoal = both.run(sql, results=results)
            assert shoal == postgres
    finally:
        for client in (both.postgres, both.shoal):
            client.query("SET TimeZone = 'UTC'")


def test_values_outside_the_encoding(both: Both) -> None:
    for value in (b"\xff", b"a\0b", b"\xc3", b"\xed\xa0\x80"):
        for wire in (0, 1):
            postgres, shoal = both.run("SELECT $1::text", [value], [wire])
            assert shoal == postgres, value


def test_records_and_void(both: Both) -> None:
    for sql in ("SELECT pg_sleep(0)", "SELECT ARRAY[]::int4[], ARRAY[NULL]::text[], '{}'::numeric[]"):
        for results in ((0,), (1,)):
            postgres, shoal = both.run(sql, results=results)
            assert shoal == postgres
    assert isinstance(both.shoal.query("SELECT 1")[-1], m.ReadyForQuery)
