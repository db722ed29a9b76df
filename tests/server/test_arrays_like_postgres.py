"""Arrays of any shape and records, in text and in binary, are PostgreSQL's own bytes; tables and COPY keep them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer
from tests.server.array_statements import STATEMENTS
from tests.server.both import Both, both_servers
from tests.server.conftest import Address
from tests.server.test_writes_like_postgres import connected, infos, outcome


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal) as pair:
        for client in (pair.postgres, pair.shoal):
            client.query("SET TimeZone = 'UTC'")
        yield pair


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statements(both: Both, sql: str) -> None:
    for results in ((0,), (1,)):
        postgres, shoal = both.run(sql, results=results)
        assert shoal == postgres


TABLE = [
    "create table a (k int, i int[], t text[], n numeric(6,2)[])",
    "insert into a values (1, '{{1,2},{3,4}}', '[0:1]={a,NULL}', '{1.234,2}'), (2, '{5}', '{}', NULL), "
    "(3, NULL, '{{x}}', '{{7}}')",
    "insert into a select k + 10, i || i, t, n from a",
    "update a set i = '[0:1]={1,2}' where k = 2", "update a set i = i || 7 where k = 2",
    "update a set n = n || 9.999 where k = 1",
    "select * from a", "select i, count(*) from a group by i", "select a.k, b.k from a join a b on a.i = b.i",
    "delete from a where i = '{{1,2},{3,4}}'", "select k, i[1], i[1][2], n[1] + 1 from a",
    "select array_agg(i order by k) from a where k = 1",
    "select i from a union select '{{8}}'", "insert into a (n) values ('{99999}')",
]


def test_tables(postgres_server: PostgresServer, shoal: Address) -> None:
    theirs, ours = infos(postgres_server, shoal)
    with connected(theirs) as (their, their_notices), connected(ours) as (our, our_notices):
        for sql in TABLE:
            assert outcome(our, our_notices, sql) == outcome(their, their_notices, sql), sql
        for form in ("text", "csv", "binary"):
            copied = []
            for connection in (their, our):
                with connection.cursor() as cursor:
                    with cursor.copy(f"copy (select * from a order by k) to stdout (format {form})") as out:
                        data = b"".join(map(bytes, out))
                    cursor.execute("create table b (k int, i int[], t text[], n numeric(6,2)[])")
                    with cursor.copy(f"copy b from stdin (format {form})") as into:
                        into.write(data)
                    copied.append((data, cursor.execute("select * from b order by k").fetchall()))
                    cursor.execute("drop table b")
            assert copied[1] == copied[0]
