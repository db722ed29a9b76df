"""Definitions as PostgreSQL prints them, and what statements on names that do not exist say, beside a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres_server import PostgresServer
from tests.server.conftest import Address
from tests.server.test_writes_like_postgres import connected, infos, outcome

COLUMNS = ('''x int, y int, z float8, a text, v varchar(20), n numeric(10,2), b8 bigint, bo boolean, d date, ts timestamp,
           ar int[], j jsonb, c char(5), f real, f8 float8, u uuid, iv interval, "Odd" int, "select" int, s2 smallint,
           tt time, by bytea''')
CHECKS = r"""
    x > 0
    (((x > 0)))
    x > 0 and y < 5 and z <> 1.5
    (x > 0 and y < 5) or (z <> 1.5 or not x = 1)
    x > 0 and (y < 5 and z > 1)
    a = 'x'
    v = 'x'
    v <> a
    v in ('a', 'b')
    x in (1, 2, 3)
    x not in (1, 2)
    x in (1)
    n > 0
    n > 1.5
    n = '1.50'
    b8 > 0
    b8 > 5000000000
    x > -5
    x > - y
    x between 1 and 10
    x not between 1 and 10
    n between 0 and 1
    v like 'a%'
    v not like 'a%'
    a ilike 'b_' and a not ilike 'c'
    a like 'x!%' escape '!'
    a similar to '(a|b)%'
    length(v) > 3
    length(a) > 3 or lower(a) = a
    coalesce(a, 'z') <> 'q'
    coalesce(x, 0) > 1
    nullif(x, 0) is not null
    greatest(x, y, 3) > 2
    x is null or y is not null
    bo
    not bo
    bo is true or bo is not false or bo is unknown
    x is distinct from y
    x is not distinct from 5
    case when x > 0 then y > 0 else true end
    case x when 1 then 'a' when 2 then 'b' end = 'a'
    x + y * 2 > 10 - z
    (x + y) * 2 > 10
    x - (y - 1) > 2
    d > '2020-1-1'
    d > date '2020-01-01'
    ts > '2020-01-01' and ts < now()
    d > current_date
    d < ts
    extract(year from d) > 2000
    date_part('year', d) > 2000
    substring(a from 1 for 2) = 'ab'
    substring(a, 1, 2) = 'ab'
    trim(a) <> ''
    btrim(a) <> ''
    position('a' in a) > 0
    a::int > 0
    x::text = '5'
    x::bigint > 0
    cast(a as varchar(5)) = 'q'
    '5'::int < x
    0::bigint < x
    z::numeric(10,2) > 0
    left(a, 2) = 'xy'
    a || 'x' = 'yx'
    v || x = 'y1'
    ar[1] = 1
    ar = '{1,2}'
    ar = array[1,2]
    array_length(ar, 1) > 0
    1 = any(ar)
    x = any(array[1,2])
    j->>'a' = 'b'
    j ? 'a'
    a ~ '^[a-z]+$'
    a collate "C" > 'b'
    c = 'abc'
    c in ('a','b')
    f > 1
    f > 1.5
    f8 > x
    u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
    iv > interval '1 day'
    iv > '1 day'
    ts at time zone 'UTC' > '2020-01-01'
    a > E'it''s\\n'
    a <> ''
    x % 2 = 0
    abs(x) = @ x
    2 ^ x > 4
    x = 1 or x = 2
    "Odd" > 0
    "Odd" + "select" > 0
    s2 > 0
    s2 > 5 and b8 > x
    round(n, 2) = n
    v is not null and char_length(v) <= 5
    upper(v) = v
    (x > 0) = bo
    x > 0 is true
    (x, y) = (1, 2)
    (x, y) < (1, 2)
    row(x, y) is not null
    to_char(ts, 'YYYY') = '2020'
    x in (1, y)
    x > 1e3
    n > 100000000000000000000
    not (x > 0 and y > 0)
    not x in (1, 2)
    d - 5 > '2020-01-01'
    d + interval '1 day' > ts
    tt > '10:00'
    by = '\xde'
    """
"""Conditions over `COLUMNS`, one a line."""
DEFAULTS = r"""
    int|0
    int|-1
    int|'5'
    bigint|0
    numeric|0
    numeric(10,2)|1.50
    numeric(10,2)|'1.5'
    numeric(10,2)|0
    float8|1.5
    float8|0
    float8|-1.5
    text|'x'
    text|null
    varchar(10)|'abc'
    varchar|'abc'
    char(3)|'abc'
    boolean|true
    boolean|'f'
    date|current_date
    date|'2020-1-5'
    timestamp|now()
    timestamp|current_timestamp
    timestamptz|now()
    timestamptz|current_timestamp
    timestamp|localtimestamp
    timestamp(3)|current_timestamp(3)
    text|'a' || 'b'
    text|lower('X')
    text|current_user
    text|session_user
    jsonb|'{}'
    jsonb|'{"a": 1}'::jsonb
    int[]|'{}'
    int[]|array[]::int[]
    int[]|array[1,2]
    text[]|array['a','b']
    text[]|'{a,b}'::text[]
    uuid|gen_random_uuid()
    int|1 + 2
    int|(1)
    int|((1 + 2) * 3)
    interval|'1 day'
    interval|interval '1' day
    varchar(5)|'x'::varchar
    varchar(5)|'x'::text
    text|5
    numeric|1.5::numeric(5,1)
    text|case when true then 'a' else 'b' end
    int|coalesce(null, 5)
    text|upper('a'::text)
    time|'10:00'
    bytea|'\x00'
    double precision|random()
    text|to_char(now(), 'YYYY')
    text|md5('x')
    smallint|5
    real|1.5
    text|''
    text|'it''s'
    text|E'a\\b'
    """
"""Types and defaults."""
INDEXES = r"""
    lower(a)
    (lower(a))
    (x + y)
    (x), (y)
    (coalesce(x, 0))
    (lower(a) || upper(v))
    lower(v)
    x desc, lower(a) desc nulls last
    (x::text)
    (x is null)
    ((x))
    x) include (y, z
    a collate "C"
    lower(a) collate "POSIX"
    x) where (x > 0 and y < 3
    (j->>'a')
    (case when x > 0 then 1 else 0 end)
    date_trunc('day', ts)
    extract(year from d)
    a text_pattern_ops
    v varchar_pattern_ops desc, a
    a collate "C" text_pattern_ops desc nulls last
    x text_pattern_ops
    x nope_ops
    ar array_ops
    lower(v) text_pattern_ops
    """
"""What stands between the outer parentheses of CREATE INDEX."""
STATEMENTS = r"""
    drop type nope
    drop type if exists nope
    drop domain nope
    drop domain if exists nope
    drop function nope(int)
    drop function if exists nope(int)
    drop function nope
    drop procedure nope(int)
    drop aggregate nope(int)
    drop trigger nope on nope
    drop trigger nope on t
    drop trigger if exists nope on t
    drop rule nope on t
    drop role nope
    drop user if exists nope
    drop database nope
    drop database if exists nope
    drop extension nope
    drop extension if exists nope
    drop collation nope
    drop language nope
    drop server nope
    drop publication nope
    drop subscription nope
    drop tablespace nope
    drop policy nope on t
    drop statistics nope
    drop type nos.nope
    drop foreign table nope
    drop foreign table if exists nope, nope2
    drop event trigger nope
    drop access method nope
    drop type if exists nos.nope
    drop domain if exists nos.x
    drop sequence nope
    drop type int4
    drop type t
    drop table nope
    create temp table tt (a int)
    drop table tt
    grant select on nope to public
    grant select on t to public
    grant select on t to nobody_x
    grant select on table t, nope to public
    grant usage on schema nope to public
    grant usage on schema w to nobody_x
    grant all on all tables in schema nope to public
    grant all on all tables in schema w to public
    grant usage on sequence nope to public
    grant execute on function nope(int) to public
    grant connect on database nope to public
    grant usage on type nope to public
    grant usage on language nope to public
    grant select (zz) on t to public
    grant select (a) on t to public
    grant nopriv on t to public
    grant usage on t to public
    revoke select on nope from public
    revoke select on t from nobody_x
    revoke all on t from public
    alter table t owner to nobody_x
    alter table t owner to current_user
    alter table t owner to current_user
    alter table nope owner to current_user
    alter table if exists nope owner to nobody_x
    alter view nope owner to current_user
    alter sequence nope owner to current_user
    alter index nope owner to current_user
    alter default privileges in schema w grant select on tables to public
    alter default privileges in schema nope grant select on tables to public
    grant pg_read_all_data to nobody_x
    """
"""On things that mostly do not exist; there is a table t (a int)."""


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def asked(info: str, statements: list[tuple[str, str]], table: str) -> dict[str, Any]:
    """For each (statement on a table `ttt`, question): what the question gives, or the statement's error; and whether a row
    can be stored then."""
    found: dict[str, Any] = {}
    with connected(info) as (connection, notices):
        for statement, question in statements:
            connection.execute(table.encode())
            said = outcome(connection, notices, statement)
            found[statement] = said[0] if len(said) > 3 else (
                outcome(connection, notices, question)[1], outcome(connection, notices, "insert into ttt default values")[0])
            connection.execute("drop table ttt")
    return found


@pytest.mark.parametrize("kind", ["checks", "defaults", "indexes"])
def test_definitions(postgres_server: PostgresServer, shoal: Address, kind: str) -> None:
    table = f"create table ttt ({COLUMNS})"
    if kind == "checks":
        statements = [(f"alter table ttt add constraint k check ({text})", (
            "select pg_get_constraintdef(oid), pg_get_constraintdef(oid, true), pg_get_expr(conbin, conrelid), conkey "
            "from pg_constraint where conname = 'k' and conrelid = 'ttt'::regclass")) for text in lines(CHECKS)]
    elif kind == "defaults":
        statements = [(f"alter table ttt add column q {text.replace('|', ' default ')}", (
            "select pg_get_expr(adbin, adrelid), pg_get_expr(adbin, adrelid, true) from pg_attrdef "
            "where adrelid = 'ttt'::regclass")) for text in lines(DEFAULTS)]
    else:
        statements = [(f"create index ttti on ttt ({text})", (
            "select pg_get_indexdef(i), pg_get_indexdef(i, 0, true), pg_get_indexdef(i, 1, true), "
            "pg_get_indexdef(i, 2, false), pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid), "
            "indkey::text, indnatts, indnkeyatts, indoption::text, indclass::text, indcollation::text, "
            "array(select attname || ':' || atttypid::regtype::text from pg_attribute where attrelid = indexrelid "
            "order by attnum) from pg_index, (select 'ttti'::regclass::oid as i) as o where indexrelid = i"))
            for text in lines(INDEXES)]
    theirs, ours = (asked(info, statements, table) for info in infos(postgres_server, shoal))
    assert {key: (value, ours[key]) for key, value in theirs.items() if ours[key] != value} == {}


@pytest.mark.parametrize("script", [
    """create table ttt (x int check (x > 0), y int, z text collate "C", constraint k check (x + y < 10 and z <> 'x'));
       create index i on ttt (lower(z), (x + y)) include (x) where y > 1; alter table ttt rename column x to "New";
       alter table ttt rename y to yy; insert into ttt values (-1, 1, 'a'); insert into ttt values (5, 5, 'a');
       insert into ttt values (4, 5, 'a'); select pg_get_constraintdef(oid), conkey from pg_constraint
       where conrelid = 'ttt'::regclass; select indexdef from pg_indexes where tablename = 'ttt';
       create unique index ui on ttt ("New") include (yy); insert into ttt values (4, 1, 'b');
       alter table ttt drop column yy; select indexdef from pg_indexes where tablename = 'ttt'""",
    """create table ttt (a text collate "C", b varchar(5) collate "POSIX", c text collate pg_catalog."default", d text[]
       collate "C"); select attname, attcollation::regcollation::text from pg_attribute where attrelid = 'ttt'::regclass
       and attnum > 0; select column_name, collation_name from information_schema.columns where table_name = 'ttt';
       create table u (a int collate "C"); create table u (a text collate "nope"); create index on ttt (a collate "nope");
       create index on ttt (zz); create index on ttt ((zz + 1)); create index on ttt (a) include (zz);
       create index on ttt (a) where zz > 1; create index on ttt (a) where a; create index on ttt (count(a));
       create index on ttt (lower(a), upper(b), lower(b), (c || c)); select indexname from pg_indexes
       where tablename = 'ttt'""",
    """create temp table tt (a int); select current_schemas(true)::text ~ '^{pg_temp_[^,]+,pg_catalog,w}$',
       current_schemas(false), pg_my_temp_schema() = (select relnamespace from pg_class where relname = 'tt');
       drop table tt"""], ids=["rename", "collations", "temporary"])
def test_scripts(postgres_server: PostgresServer, shoal: Address, script: str) -> None:
    theirs, ours = infos(postgres_server, shoal)
    with connected(theirs) as (their_connection, their_notices), connected(ours) as (our_connection, our_notices):
        for sql in filter(None, map(str.strip, script.split(";"))):
            expected = outcome(their_connection, their_notices, sql)
            assert outcome(our_connection, our_notices, sql) == expected, sql


def test_names(postgres_server: PostgresServer, shoal: Address) -> None:
    theirs, ours = infos(postgres_server, shoal)
    wrong = {}
    with connected(theirs) as (their_connection, their_notices), connected(ours) as (our_connection, our_notices):
        for connection in (their_connection, our_connection):
            connection.execute("create table t (a int)")
        for sql in lines(STATEMENTS):
            pair = outcome(their_connection, their_notices, sql), outcome(our_connection, our_notices, sql)
            if pair[0] != pair[1]:
                wrong[sql] = pair
    assert wrong == {}


def test_a_name_of_the_database_that_cannot_be_written(shoal: Address) -> None:
    with psycopg.connect(f"host={shoal.host} port={shoal.port} user=shoal dbname=sample", autocommit=True) as connection:
        name, = connection.execute("select table_name from information_schema.tables where table_schema = "
                                   "current_schema() limit 1").fetchone() or ("",)
        for sql in (f"create view {name} as select 1 as a", f"create table {name} (a int)",
                    f"create table {name} as select 1 as a", f"create or replace view {name} as select 1 as a"):
            with pytest.raises(psycopg.errors.DuplicateTable, match=f'relation "{name}" already exists'):
                connection.execute(sql.encode())
        connection.execute(f"create table if not exists {name} (a int)".encode())
        connection.execute(f"create temp table {name} (a int)".encode())
        connection.execute(f"drop table {name}".encode())
