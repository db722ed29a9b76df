"""Statements that define and write, beside a real PostgreSQL: the same tags, rows, notices and errors, one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.postgres_server import PostgresServer
from tests.server.conftest import Address

SCRIPTS: dict[str, str] = {
    "tables": """
        create table t (a serial primary key, b text unique not null default 'x', c int check (c > 0), d int,
                        check (c < d), unique (c, d), e varchar(5) default 'abc', g int generated always as identity);
        create table t (a int);
        create table if not exists t (a int);
        select conname, contype::text, pg_get_constraintdef(oid), conkey from pg_constraint where conrelid = 't'::regclass;
        select attname, atthasdef, attidentity::text, pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef
            on adrelid = attrelid and adnum = attnum where attrelid = 't'::regclass and attnum > 0;
        select relname, relkind::text from pg_class where relnamespace = 'w'::regnamespace;
        create table c (a int references t, b int references t (a) on delete cascade,
                        constraint fk foreign key (a) references t (a) deferrable initially deferred);
        select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'c'::regclass;
        create table c2 (a int references nope); create table c2 (a int references t (d));
        create table c2 (a text references t); create table c2 (a int primary key, b int primary key);
        create table c2 (a int, primary key (zz)); create table c2 (a int, a int); create table c2 (a nope);
        create table c2 (a int default 'x'); create table c2 (a int default b); create table c2 (a int check (zz > 1));
        create table c2 (a int, constraint k check (a > 1), constraint k unique (a));
        drop table t; drop table t cascade; select conname from pg_constraint where conrelid = 'c'::regclass;
        drop table if exists nope, nope2; drop table nope; drop view c; drop sequence c;
        create table lk (like c including all, z int); create table ctas as select 1 a, 2 b with no data;
        select * from ctas; create table ctas2 (x, y) as select 1 a, 2 b; select * from ctas2;
        create schema w; create schema if not exists w; drop schema nope; drop schema if exists nope; drop schema w""",
    "views": """
        create view v as select 1 as a, 'x' as b; create view v as select 1; create or replace view v as select 1 as a;
        create or replace view v as select 1 as a, 'y' as b, 3 as c;
        create or replace view v as select 1 as z, 'y' as b, 3 as c;
        create view v2 (x, y) as select a, b from v; create view v3 (x, y, z, w) as select a, b from v; select * from v2;
        drop view v; drop table v; drop view nope; drop view if exists nope; drop view v cascade;
        create table p (a int, b text); insert into p values (1, 'q'); create view pv as select * from p;
        create materialized view mv as select * from p; insert into p values (2, 'r'); select * from mv;
        drop table p; alter table p drop column b; alter table p alter column a type bigint;
        alter table p add column c int default 5; alter table p add column c int;
        alter table p add column if not exists c int;
        alter table p drop column zz; alter table p drop column if exists zz; alter table p rename column a to aa;
        alter table p rename column zz to aa; alter table p rename column b to aa; select * from pv;
        alter table p rename to q; select * from pv; select aa, c from q; alter table if exists zz rename to y;
        alter table zz rename to y; refresh materialized view mv; select * from mv; refresh materialized view pv;
        select relname, relkind::text from pg_class where relnamespace = 'w'::regnamespace;
        create materialized view empty as select 1 as a with no data; select * from empty;
        refresh materialized view empty; select * from empty; delete from mv; drop table q cascade""",
    "indexes, comments, sequences": """
        create table q (a int, b text); create index on q (b); create index qi on q (b); create index qi on q (b);
        create index if not exists qi on q (b); create unique index qu on q (a); insert into q values (1, 'a'), (1, 'b');
        select indexname from pg_indexes where schemaname = 'w'; drop index qi, qu; drop index qi; drop index if exists qi;
        comment on table q is 'hello'; comment on column q.b is 'col'; comment on column q.zz is 'col';
        comment on table zz is '';
        select obj_description('q'::regclass), col_description('q'::regclass, 2);
        create sequence s; select nextval('s'), nextval('s'), currval('s'), lastval(); select setval('s', 10), nextval('s');
        create sequence s2 start 5 increment 2 maxvalue 7; select nextval('s2'); select nextval('s2'); select nextval('s2');
        alter sequence s2 restart with 6; select nextval('s2'); drop sequence s; drop sequence s; drop sequence if exists s;
        create extension if not exists plpgsql; grant select on q to public; revoke all on q from public; analyze q;
        vacuum q;
        analyze nope; alter table q owner to current_user""",
    "altering": """
        create table q (aa int, b text, c int); insert into q values (1, 'd', 5);
        alter table q alter column b set not null, alter column b set default 'd'; insert into q (b) values (null);
        alter table q alter column b drop not null, alter column b drop default; insert into q values (null, null);
        alter table q alter column b set not null; alter table q add primary key (aa); delete from q where aa is null;
        alter table q add constraint ck check (aa > 100); alter table q add constraint ck check (aa < 100);
        insert into q values (200); alter table q drop constraint ck; alter table q drop constraint ck;
        alter table q drop constraint if exists ck; alter table q alter column c type text using c || '!'; select * from q;
        alter table q alter column b type int; alter table q alter column c type varchar(1);
        alter table q add column s serial; alter table q add column n int not null;
        alter table q add column n int not null default 3;
        select * from q; alter table q add constraint u unique (n); create schema other; alter table q set schema other;
        select * from q; select * from other.q; drop schema other cascade""",
    "returning and conflicts": """
        create table t (a serial primary key, b text unique, c int default 7 check (c > 0),
                        d int generated always as identity);
        insert into t (b) values ('x'), ('y') returning *;
        insert into t values (default, 'z', default, default) returning a, b || '!' as q, c + 1;
        insert into t (a, b) values (10, 'w'), (default, 'v') returning a, b; insert into t (d) values (5);
        insert into t (d) overriding system value values (50) returning d; insert into t (b, c) values ('bad', -1);
        insert into t (b) values ('x'); insert into t (b) values ('x') on conflict do nothing returning *;
        insert into t (a, b) values (20, 'n1'), (21, 'n1') on conflict (b) do nothing returning a, b;
        insert into t (a, b, c) values (30, 'x', 100), (31, 'n2', 5) on conflict (b) do update set c = t.c + excluded.c
            where t.c < 100 returning a, b, c;
        insert into t (b, c) values ('x', 100), ('x', 5) on conflict (b) do update set c = excluded.c;
        insert into t (b) values ('x') on conflict (c) do nothing;
        insert into t (b) values ('x') on conflict on constraint t_b_key do update set b = 'xx' returning b;
        insert into t (b) values ('x') on conflict on constraint zz do nothing;
        insert into t (b) values ('x') on conflict do update set b = '1';
        update t set c = c + 1 where a < 3 returning a, c, nope; update t set c = c + 1 where a < 3 returning a, c;
        update t set b = 'u' from (values (1, 'k'), (2, 'l')) s (i, n) where t.a = s.i and a = 1 returning t.a, s.n, t.b;
        delete from t using (values (1), (2)) s (i) where a = s.i returning t.a, i, b;
        delete from t where a = 10 returning b;
        with x as (select 1) insert into t (a, b) values (40, 'cte') returning b; update t set a = 4 where a = 3;
        select pg_get_serial_sequence('t', 'a');
        create table ar (a int[] default '{1,2}', b jsonb default '{}', n numeric(4,1) default 1.5);
        insert into ar default values returning *""",
    "foreign keys": """
        create table p (id int primary key, n text);
        create table c (id int primary key, pid int references p on delete cascade, q int references p (id));
        insert into p values (1, 'a'), (2, 'b'), (3, 'c'); insert into c values (1, 1, 2); insert into c values (2, 9, 2);
        delete from p where id = 2; delete from p where id = 1 returning *; select * from c;
        insert into c values (5, 3, null);
        update p set id = 4 where id = 3; create table f (id int, r int references p on delete set null on update cascade);
        insert into f values (1, 2); update p set id = 20 where id = 2; select * from f; delete from p where id = 20;
        select * from f; create table df (a int primary key, b int references df deferrable initially deferred);
        begin; insert into df values (1, 2); insert into df values (2, 1); commit; select * from df;
        begin; insert into df values (5, 9); commit; select * from df; insert into df values (6, 10); truncate p;
        truncate p cascade; select count(*) from c; insert into p values (1, 'a'), (1, 'b'); drop table p""",
    "transactions": """
        create table p (id int primary key, n text); insert into p values (1, 'a');
        begin; insert into p values (100, 't'); savepoint s; insert into p values (101, 'u'); delete from p where id = 100;
        rollback to s; select * from p; rollback; select * from p;
        begin; create table txt (a int); insert into txt values (1); alter table txt add column b int default 3;
        select * from txt; select count(*) from pg_class where relname = 'txt'; rollback; select * from txt;
        begin; drop table p; select * from p; rollback; select * from p;
        begin; update p set n = 'z'; truncate p; select * from p; savepoint s; insert into p values (1, 'again');
        insert into p values (1, 'twice'); rollback to s; select * from p; commit; select * from p;
        begin; create temp table tt (a int) on commit delete rows; insert into tt values (1); select * from tt; commit;
        select * from tt; drop table tt; create temp table p (x int); select * from p; drop table p; select * from p;
        begin; create schema s9; create table s9.t (a int); rollback; select * from s9.t""",
}


@contextmanager
def connected(info: str) -> Iterator[tuple[psycopg.Connection, list[tuple[str, ...]]]]:
    notices: list[tuple[str, ...]] = []
    with psycopg.connect(info, autocommit=True) as connection:
        connection.add_notice_handler(lambda d: notices.append((str(d.severity), str(d.sqlstate), str(d.message_primary))))
        connection.execute("drop schema if exists w cascade")
        connection.execute("create schema w")
        connection.execute("set search_path to w")
        notices.clear()
        yield connection, notices
        connection.execute("rollback")
        connection.execute("drop schema if exists w cascade")


def outcome(connection: psycopg.Connection, notices: list[tuple[str, ...]], sql: str) -> Any:
    notices.clear()
    try:
        cursor = connection.execute(sql)
        rows = sorted(map(repr, cursor.fetchall())) if cursor.description else []
        return cursor.statusmessage, rows, list(notices)
    except psycopg.Error as error:
        found = error.diag
        return found.sqlstate, found.message_primary, found.message_detail, found.statement_position, list(notices)


def infos(postgres_server: PostgresServer, shoal: Address) -> tuple[str, str]:
    return (f"host={postgres_server.host} port={postgres_server.port} user=postgres dbname=postgres",
            f"host={shoal.host} port={shoal.port} user=shoal dbname=memory")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(postgres_server: PostgresServer, shoal: Address, name: str) -> None:
    theirs, ours = infos(postgres_server, shoal)
    with connected(theirs) as (their_connection, their_notices), connected(ours) as (our_connection, our_notices):
        for sql in filter(None, map(str.strip, SCRIPTS[name].split(";"))):
            expected = outcome(their_connection, their_notices, sql)
            assert outcome(our_connection, our_notices, sql) == expected, sql


def test_sessions_and_locks(postgres_server: PostgresServer, shoal: Address) -> None:
    """Others see what is committed; writers wait for each other as long as they want to."""
    found = []
    for info in infos(postgres_server, shoal):
        with connected(info) as (first, notices), psycopg.connect(info, autocommit=True) as second:
            second.execute("set search_path to w")
            said = [outcome(first, notices, sql) for sql in (
                "create table t (a int primary key, b int)", "insert into t values (1, 1), (2, 2)", "begin",
                "update t set b = 10 where a = 1")]
            said += [outcome(second, [], sql)[:2] for sql in (
                "select * from t", "set lock_timeout = 100", "update t set b = 11 where a = 1", "set lock_timeout = 0",
                "set statement_timeout = 100", "update t set b = 11 where a = 1", "set statement_timeout = 0")]
            waiting: list[Any] = []
            thread = threading.Thread(target=lambda to=waiting, by=second: to.append(
                outcome(by, [], "update t set b = b + 100 where a = 1 returning b")))
            thread.start()
            thread.join(0.2)
            assert not waiting
            said.append(outcome(first, notices, "commit"))
            thread.join(10)
            said += [*waiting, outcome(first, notices, "select * from t")]
            said += [outcome(second, [], sql) for sql in (
                "create temp table own (a int)", "insert into own values (1)", "select * from own")]
            said += [outcome(first, notices, "select * from own"), outcome(second, [], "discard temp"),
                     outcome(second, [], "select * from own")]
            found.append(said)
    assert found[1] == found[0]


def test_deadlock(shoal: Address) -> None:
    info = f"host={shoal.host} port={shoal.port} user=shoal dbname=memory"
    with connected(info) as (first, notices), psycopg.connect(info, autocommit=True) as second:
        second.execute("set search_path to w")
        for sql in ("create table t (a int)", "create table u (a int)", "begin", "insert into t values (1)"):
            first.execute(sql)
        second.execute("begin")
        second.execute("insert into u values (1)")
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(outcome(first, notices, "insert into u values (2)")))
        thread.start()
        thread.join(0.2)
        with pytest.raises(psycopg.errors.DeadlockDetected, match="deadlock detected"):
            second.execute("insert into t values (2)")
        thread.join(10)
        assert answers == [("INSERT 0 1", [], [])]
        first.execute("commit")
        second.execute("rollback")
        assert first.execute("select (select sum(a) from t), (select sum(a) from u)").fetchone() == (1, 2)
