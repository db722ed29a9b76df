"""Scripts of messages whose answers are PostgreSQL's own, message by message, but for what only it can know."""

from __future__ import annotations

import struct

import pytest

from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.conftest import Address
from tests.server.wire import plain, wire

Q, SYNC = m.Query, m.Sync()


def parse(sql: str, name: str = "", *oids: int) -> m.Parse:
    return m.Parse(name, sql, oids)


def bind(*values: bytes | None, portal: str = "", statement: str = "", formats: tuple[int, ...] = (),
         results: tuple[int, ...] = ()) -> m.Bind:
    return m.Bind(portal, statement, formats, values, results)


def execute(portal: str = "", rows: int = 0) -> m.Execute:
    return m.Execute(portal, rows)


DESCRIBE, DESCRIBE_S = m.Describe("P", ""), m.Describe("S", "")
INT = struct.Struct(">i").pack
ZERO = "select 1/x as a from generate_series(0, 0) as t(x)"
"""Fails when it runs; PostgreSQL would fold 1/0 while it plans."""
SERIES = "select x from generate_series(1, 5) as t(x)"

SCRIPTS: dict[str, list[tuple[m.Message, ...]]] = {
    "simple": [(Q("select 1 as a, 'x'::text as b, null::int4 as c"),), (Q("select 1; select 2"),)],
    "empty": [(Q(""),), (Q(" ; -- nothing\n;"),), (Q("select 1;;"),)],
    "an error ends the string": [(Q(f"select 1; {ZERO}; select 2"),), (Q("select 3"),)],
    "a syntax error anywhere runs nothing": [(Q("select 1; selec 2; select 3"),)],
    "implicit transaction": [(Q(f"set application_name = 'a'; {ZERO}"),), (Q("show application_name"),)],
    "explicit transaction": [(Q("begin"),), (Q("select 1"),), (Q("commit"),)],
    "begin inside a string": [(Q("select 1; begin; select 2"),), (Q("select 3; commit; select 4"),)],
    "failed transaction": [(Q("begin"),), (Q(ZERO),), (Q("select 1"),), (Q("show timezone"),), (Q("commit"),),
                           (Q("select 1"),)],
    "failed, rolled back": [(Q(f"begin; {ZERO}"),), (Q("rollback; select 7"),)],
    "savepoints": [(Q(f"begin; savepoint a; {ZERO}"),), (Q("rollback to a"),), (Q("select 1; release a; commit"),)],
    "unknown savepoint": [(Q("begin"),), (Q("rollback to nope"),), (Q("rollback"),), (Q("savepoint a"),), (Q("release a"),)],
    "warnings": [(Q("commit"),), (Q("begin; begin"),), (Q("rollback"),), (Q("rollback"),),
                 (Q("set local timezone = 'UTC'"),),
                 (Q("set transaction read only"),)],
    "read only": [(Q("begin read only"),), (Q("show transaction_read_only"),), (Q("commit"),),
                  (Q("show transaction_read_only"),)],
    "isolation": [(Q("start transaction isolation level serializable"),), (Q("show transaction isolation level"),),
                  (Q("end"),)],
    "chain": [(Q("begin read only"),), (Q("commit and chain"),), (Q("show transaction_read_only"),), (Q("rollback"),)],
    "set and show": [(Q("set timezone to 'Europe/Berlin'"),), (Q("show timezone"),), (Q("reset timezone; show datestyle"),)],
    "set local": [(Q("begin; set local timezone = 'Asia/Tokyo'; show timezone; commit; show timezone"),)],
    "set rolls back": [(Q("begin; set timezone = 'Asia/Tokyo'"),), (Q("rollback; show timezone"),)],
    "bad settings": [(Q("set nope = 1"),), (Q("show nope"),), (Q("set statement_timeout = 'x'"),),
                     (Q("set bytea_output = 'x'"),),
                     (Q("set enable_sort = 'x'"),), (Q("set timezone = 'Mars'"),), (Q("set server_version = '1'"),)],
    "extended": [(parse("select $1::int4 + 1 as a"), bind(b"41"), DESCRIBE, execute(), SYNC)],
    "binary both ways": [(parse("select $1 as a", "", 23), bind(INT(7), formats=(1,), results=(1,)), DESCRIBE, execute(),
                          SYNC)],
    "describe a statement": [(parse("select $1::int4 as a, $2::text as b", "s"), m.Describe("S", "s"), SYNC)],
    "describe without rows": [(parse("set application_name = 'x'"), DESCRIBE_S, bind(), DESCRIBE, execute(), SYNC)],
    "show has rows": [(parse("show datestyle"), DESCRIBE_S, bind(), DESCRIBE, execute(), SYNC)],
    "empty statement": [(parse(""), DESCRIBE_S, bind(), DESCRIBE, execute(), SYNC)],
    "two commands": [(parse("select 1; select 2"), SYNC)],
    "syntax error": [(parse("selec 1"), bind(), execute(), SYNC), (Q("select 1"),)],
    "skipping until sync": [(parse("select 1"), bind(), execute(), parse(ZERO), bind(), execute(),
                             parse("select 2"), bind(), execute(), SYNC, parse("select 3"), bind(), execute(), SYNC)],
    "row limits": [(parse(SERIES), bind(portal="p"), execute("p", 2), execute("p", 2), execute("p", 2), execute("p", 2),
                    SYNC)],
    "exactly exhausted": [(parse(SERIES), bind(), execute("", 5), execute("", 1), SYNC)],
    "all rows twice": [(parse(SERIES), bind(), execute(), execute(), SYNC)],
    "rerun without rows": [(parse("set application_name = 'x'"), bind(), execute(), execute(), SYNC)],
    "several portals": [(parse(SERIES, "s"), bind(portal="a", statement="s"), bind(portal="b", statement="s"),
                         execute("a", 1),
                         execute("b", 2), execute("a", 1), m.Close("P", "a"), execute("b"), SYNC)],
    "portals end at sync": [(parse(SERIES), bind(portal="p"), execute("p", 1), SYNC), (execute("p"), SYNC)],
    "portals live in a block": [(Q("begin"),), (parse(SERIES), bind(portal="p"), execute("p", 1), SYNC), (execute("p", 2),
                                                                                                          SYNC),
                                (Q("fetch 1 from p"),), (Q("commit"),), (execute("p"), SYNC)],
    "unknown names": [(bind(statement="nope"), SYNC), (execute("nope"), SYNC), (m.Describe("S", "nope"), SYNC),
                      (m.Describe("P", "nope"), SYNC), (m.Close("S", "nope"), m.Close("P", "nope"), SYNC)],
    "duplicate names": [(parse("select 1", "s"), parse("select 2", "s"), SYNC), (Q("begin"),),
                        (bind(statement="s", portal="p"), bind(statement="s", portal="p"), SYNC), (Q("rollback"),)],
    "wrong counts": [(parse("select $1::int4"), bind(), SYNC), (parse("select 1"), bind(b"1"), SYNC),
                     (parse("select $1::int4"), bind(b"1", formats=(0, 0)), SYNC), (parse("select 1, 2, 3"),
                                                                                    bind(results=(0, 1)), SYNC)],
    "bad values": [(parse("select $1::int4"), bind(b"x"), SYNC), (parse("select $1::int4"), bind(b"\0", formats=(1,)),
                                                                  SYNC)],
    "a statement outlives its portal": [(parse("select 1", "s"), bind(statement="s", portal="p"), m.Close("S", "s"),
                                         execute("p"), SYNC),
                                        (bind(statement="s"), SYNC)],
    "failed block, extended": [(Q("begin"),), (parse(ZERO), bind(), execute(), SYNC),
                               (parse("select 1"), SYNC), (parse("rollback"), bind(), execute(), SYNC)],
    "pipelined transaction": [(parse("begin"), bind(), execute(), parse("select 1"), bind(), execute(), parse("commit"),
                               bind(),
                               execute(), SYNC)],
    "prepare in SQL": [(Q("prepare p (int4) as select $1 + 1 as a"),), (Q("execute p(1 + 1)"),), (Q("execute p"),),
                       (Q("prepare p as select 1"),),
                       (bind(b"5", statement="p"), DESCRIBE, execute(), SYNC), (Q("deallocate p"),), (Q("execute p(1)"),),
                       (Q("deallocate p"),),
                       (Q("deallocate all"),)],
    "execute, described": [(Q("prepare p as select 'x'::text as a"),), (parse("execute p"), DESCRIBE_S, bind(), DESCRIBE,
                                                                        execute(), SYNC)],
    "cursors": [(Q(f"begin; declare c cursor for {SERIES}"),), (Q("fetch c; fetch 2 from c"),), (Q("fetch all c; fetch c"),),
                (Q("close c"),), (Q("fetch c"),), (Q("rollback"),)],
    "scrolling": [(Q(f"begin; declare c scroll cursor for {SERIES}"),), (Q("fetch last c; fetch prior c; fetch first c"),),
                  (Q("fetch absolute 3 c; fetch relative 1 c; fetch relative 0 c; fetch backward 2 c"),),
                  (Q("move 2 c; fetch forward 0 c; fetch backward all c; fetch next c; move all c; fetch absolute -2 c"),),
                  (Q("fetch absolute 99 c; fetch prior c; fetch absolute 0 c; fetch 1 c; move absolute 2 c; fetch c"),),
                  (Q("commit"),)],
    "no scroll": [(Q(f"begin; declare c no scroll cursor for {SERIES}"),), (Q("fetch 2 c"),), (Q("fetch prior c"),),
                  (Q("rollback"),)],
    "with hold": [(Q(f"begin; declare c cursor with hold for {SERIES}; fetch 1 c; commit"),), (Q("fetch 2 c"),),
                  (Q("close c"),),
                  (Q(f"begin; declare d cursor with hold for {SERIES}; rollback"),), (Q("fetch d"),)],
    "odbc": [(Q(f'BEGIN;declare "SQL_CUR1" cursor with hold for {SERIES};fetch 100 in "SQL_CUR1"'),),
             (Q('close "SQL_CUR1";commit'),)],
    "cursor outside a block": [(Q(f"declare c cursor for {SERIES}"),), (Q(f"declare c cursor for {SERIES}; fetch 1 c"),)],
    "declare with parameters": [(Q("begin"),), (parse("declare c cursor for select $1::int4 as a"), DESCRIBE_S,
                                                bind(b"5"), execute(), SYNC),
                                (parse("fetch c"), DESCRIBE_S, bind(results=(1,)), DESCRIBE, execute(), SYNC),
                                (Q("close all; commit"),)],
    "binary cursor": [(Q("begin; declare c binary cursor for select 1::int4 as a; fetch c; commit"),)],
    "duplicate cursor": [(Q(f"begin; declare c cursor for {SERIES}; declare c cursor for {SERIES}"),), (Q("rollback"),)],
    "copy": [(Q("copy (select x, 'a' || chr(9) || chr(92) as y, null::int4 as z "
               "from generate_series(1, 3) as t(x)) to stdout"),),
             (Q("copy (select 'a,b' as x, '' as y, null::text as z, 'q\"' as w) to stdout (format csv, header)"),),
             (Q("copy (select 'a;b' as x, 'n' as y) to stdout csv delimiter ';' null 'n' force quote x"),),
             (Q("copy (select 1::int4, null::text, 'x'::text union all select 2, 'y', null) to stdout (format binary)"),),
             (Q("copy (select 1 where false) to stdout with binary; select 1"),)],
    "copy, extended": [(parse("copy (select 1::int4) to stdout"), DESCRIBE_S, bind(), execute(), SYNC)],
    "copy mistakes": [(Q("copy (select 1) to stdout (format nope)"),), (Q("copy (select 1) to stdout (delimiter 'ab')"),),
                      (Q("copy (select 1) to stdout (nope 1)"),),
                      (Q("copy (select 1) to stdout (format csv, quote 'ab')"),)],
    "discard": [(Q("prepare p as select 1; set application_name = 'x'"),), (Q("discard all"),), (Q("execute p"),),
                (Q("show application_name"),), (Q("begin; discard all"),),
                (Q("rollback; discard plans; discard temp; discard sequences"),)],
    "notify": [(Q("listen a; listen b"),), (Q("notify c"),), (Q("unlisten *"),), (Q("notify a"),)],
    "stray copy data": [(m.CopyData(b"x"), m.CopyDone(), Q("select 1"))],
    "set constraints, lock": [(Q("begin; set constraints all deferred; commit"),), (Q("checkpoint"),)],
    "unnamed statement goes with a query": [(parse("select 1"), SYNC), (Q("select 2"),), (bind(), SYNC)],
    "a changed table": [(Q("create table wire_t (a int4, b text)"),), (parse("select * from wire_t", "s"), SYNC),
                        (bind(statement="s"), execute(), SYNC),
                        (Q("drop table wire_t; create table wire_t (a int4, b int4)"),),
                        (bind(statement="s"), execute(), SYNC),
                        (Q("drop table wire_t; create table wire_t (a int4, b text)"),),
                        (Q("insert into wire_t values (1, 'x'), (2, 'y')"),), (bind(statement="s"), execute(), SYNC),
                        (parse("delete from wire_t where a = $1"), DESCRIBE_S, bind(b"1"), DESCRIBE, execute(),
                         SYNC),
                        (Q("update wire_t set b = 'z'; select * from wire_t"),), (Q("copy wire_t (b) to stdout"),),
                        (Q("create table wire_u as select * from wire_t; drop table wire_u"),), (Q("drop table wire_t"),)],
    "bad text": [(Q("select 1"),), (parse("select 1", "s"), SYNC), (bind(b"\xff", statement="s"), SYNC)],
}


def answers(host: str, port: int, user: str, database: str, script: list[tuple[m.Message, ...]]) -> list[list[m.Message]]:
    found = []
    with wire(host, port, user=user, database=database, TimeZone="UTC", lc_messages="C") as client:
        for step in script:
            client.send(*step)
            waits = sum(isinstance(message, Q | m.Sync) for message in step)
            found.append([message for _ in range(waits) for message in client.until()])
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(postgres_server: PostgresServer, shoal: Address, name: str) -> None:
    theirs = answers(postgres_server.host, postgres_server.port, "postgres", "postgres", SCRIPTS[name])
    ours = answers(shoal.host, shoal.port, "shoal", "shoal", SCRIPTS[name])
    for step, mine, expected in zip(SCRIPTS[name], ours, theirs, strict=True):
        assert plain(mine) == plain(expected), step
