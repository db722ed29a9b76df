"""COPY FROM STDIN beside a real PostgreSQL: the same messages for the same data, and the same rows afterwards."""

from __future__ import annotations

import random
import struct

import pytest

from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.conftest import Address
from tests.server.wire import WireClient, wire

TABLE = "create table copied (a int4 not null, b varchar(3), c numeric(5,2) default 7, d text, check (a <> 99))"
ONE, TWO = "create table copied (v text)", "create table copied (a int4, b text)"

CASES: dict[str, tuple[str, str, bytes]] = {
    "text": (TABLE, "(a, b)", b"1\tabc\n2\t\\N\n3\t\n"),
    "all columns": (TABLE, "", b"1\tx\t1.5\ty z\n"),
    "no last line end": (TABLE, "(a, b)", b"1\tx\n2\ty"),
    "empty": (TABLE, "(a, b)", b""),
    "end marker": (TABLE, "(a, b)", b"1\tx\n\\.\n2\ty\n"),
    "broken marker": (TABLE, "(a, b)", b"1\tx\n\\.y\n"),
    "crlf": (TABLE, "(a, b)", b"1\tx\r\n2\ty\r\n"),
    "cr": (TABLE, "(a, b)", b"1\tx\r2\ty\r"),
    "stray cr": (TWO, "", b"1\tx\n2\ty\rz\n"),
    "stray lf": (TWO, "", b"1\tx\r\n2\ty\nz\r\n"),
    "too long": (TABLE, "(a, b)", b"1\tabc\n2\tabcd\n"),
    "trailing blanks": (TABLE, "(a, b)", b"1\tabc   \n"),
    "bad integer": (TABLE, "(a, b)", b"1\tabc\nx\tabcd\n"),
    "first row first": (TABLE, "(b, a)", b"abcd\t1\nabc\tx\n"),
    "missing data": (TABLE, "(a, b)", b"1\tabc\n2\n"),
    "extra data": (TABLE, "(a, b)", b"1\tabc\n2\tx\ty\n"),
    "empty line": (TABLE, "(a, b)", b"1\tabc\n\n"),
    "not null": (TABLE, "(a, b)", b"1\tabc\n\\N\tx\n"),
    "check": (TABLE, "(a, b)", b"1\tabc\n99\tx\n\\N\ty\n"),
    "not null before a bad value": (TABLE, "(a, b)", b"\\N\tabc\nx\tx\n"),
    "overflow": (TABLE, "(a, c)", b"1\t1234567\n"),
    "escapes": (ONE, "", rb"\b\f\n\r\t\v\\|\101\1010\x41\x4\xg\a\Z" + b"\n\\\n\n\\\t\n"),
    "long value": (TWO, "", b"x" * 300 + b"\ty\n"),
    "unicode": (ONE, "", "Füße 気仙沼 😀\n".encode()),
    "bad utf-8": (ONE, "", b"ok\nab\xffcd\n"),
    "null byte": (ONE, "", b"ok\nab\0cd\n"),
    "where": (TABLE, "(a, b) from stdin where a > 1 and b <> 'y'", b"1\tx\n2\ty\n3\tz\n"),
    "where, bad later": (TABLE, "(a, b) from stdin where a > 1", b"1\tx\n2\tabcd\n"),
    "bad where": (TABLE, "(a, b) from stdin where zz > 1", b""),
    "where of a number": (TABLE, "(a, b) from stdin where a", b""),
    "delimiter": (TABLE, "(a, b) from stdin (delimiter '|', null 'nil')", b"1|x\n2|nil\n3|\\|\n4|\\N\n"),
    "old syntax": (TABLE, "(a, b) from stdin with delimiter as '|' null as 'nil'", b"1|x\n2|nil\n"),
    "csv": (TABLE, "from stdin (format csv)", b'1,"x",2.5,"a,""b"",\nc"\n2,,,""\n'),
    "csv old": (TABLE, "(a, d) from stdin csv header quote as '''' delimiter ';'", b"x;y\n1;'a;''b'''\n"),
    "csv quotes inside": (ONE, "from stdin (format csv)", b'"x" y"z"\na""b\n"a\\.b"\n""\n"""q"""\n'),
    "csv escape": (ONE, "from stdin (format csv, escape '\\')", b'"a\\"b"\n"a\\\\"\n"\\x"\na\\b\n"x\\\\\\"y"\n'),
    "csv escape outside": (ONE, "from stdin (format csv, escape '\\')", b'a\\"b"\n"c\\\\"d"e"\n'),
    "csv nulls": (TWO, "from stdin (format csv, null 'nil')", b'nil,nil\n1,"nil"\n'),
    "csv force null": (TWO, "from stdin (format csv, force_null (b))", b'1,""\n2,\n3,"x"\n'),
    "csv force not null": (TWO, "from stdin (format csv, force_not_null (b))", b"1,\n2,x\n"),
    "csv force both": (TWO, "from stdin (format csv, null 'nil', force_not_null (b), force_null (b))", b'1,nil\n2,"nil"\n'),
    "csv unterminated": (TABLE, "from stdin (format csv)", b'1,abc,,"unterminated\n\\.\n'),
    "csv unterminated later": (TABLE, "from stdin (format csv)", b'1,abc,,\n2,"x\ny'),
    "csv line numbers": (TWO, "from stdin (format csv)", b'1,"a\nb"\n2,"c\n\nd"\nx,"e\nf"\n'),
    "csv stray cr": (TWO, "from stdin (format csv)", b'1,a\n2,b\rc\n3,"d\re"\n'),
    "csv marker": (TWO, "from stdin (format csv)", b"1,a\n\\.\nx\n"),
    "header": (TWO, "from stdin (header)", b"a\tb\n1\tx\n"),
    "header match": (TWO, "from stdin (format csv, header match)", b"a,b\n1,x\n"),
    "header of other names": (TWO, "from stdin (format csv, header match)", b'a,"c"\n1,x\n'),
    "header too short": (TWO, "from stdin (format csv, header match)", b"a\n1,x\n"),
    "header null": (TWO, "from stdin (format csv, header match)", b"a,\n1,x\n"),
    "header, then an error": (TWO, "from stdin (format csv, header)", b"a,b\n1,x\ny,z\n"),
    "bad format": (TWO, "from stdin (format nope)", b""),
    "bad delimiter": (TWO, "from stdin (delimiter 'ab')", b""),
    "delimiter letter": (TWO, "from stdin (delimiter 'a')", b""),
    "newline delimiter": (TWO, "from stdin (delimiter e'\\n')", b""),
    "newline null": (TWO, "from stdin (null e'\\n')", b""),
    "delimiter in null": (TWO, "from stdin (delimiter '|', null 'a|')", b""),
    "quote in null": (TWO, "from stdin (format csv, null '\"')", b""),
    "quote is delimiter": (TWO, "from stdin (format csv, quote ',')", b""),
    "quote in text": (TWO, "from stdin (quote '''')", b""),
    "escape in text": (TWO, "from stdin (escape '''')", b""),
    "long quote": (TWO, "from stdin (format csv, quote 'ab')", b""),
    "force quote": (TWO, "from stdin (format csv, force_quote (a))", b""),
    "force null in text": (TWO, "from stdin (force_null (a))", b""),
    "force null of nothing": (TWO, "from stdin (format csv, force_null (zz))", b""),
    "force null not copied": (TWO, "(a) from stdin (format csv, force_null (b))", b""),
    "force not null not copied": (TWO, "(a) from stdin (format csv, force_not_null (b))", b""),
    "bad header": (TWO, "from stdin (header maybe)", b""),
    "bad encoding": (TWO, "from stdin (encoding 'nope')", b""),
    "redundant": (TWO, "from stdin (header, header)", b""),
    "unknown option": (TWO, "from stdin (nope 1)", b""),
    "latin1": (ONE, "from stdin (encoding 'latin1')", b"F\xfc\xdfe\n"),
    "unknown column": (TWO, "(zz)", b""),
    "column twice": (TWO, "(a, a)", b""),
    "binary and delimiter": (TWO, "from stdin (format binary, delimiter ',')", b""),
    "binary and header": (TWO, "from stdin (format binary, header)", b""),
    "not binary": (TWO, "from stdin (format binary)", b"nothing of the kind"),
    "binary": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(
        ">hiiiB", 2, 4, 7, 1, 120) + struct.pack(">hii", 2, -1, -1) + b"\xff\xff"),
    "binary without end": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(
        ">hiiiB", 2, 4, 7, 1, 120)),
    "binary cut off": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(
        ">hiiiB", 2, 4, 7, 9, 120)),
    "binary field count": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(
        ">hiiiB", 2, 4, 7, 1, 120) + struct.pack(">hii", 3, -1, -1)),
    "binary field size": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(">hi", 2, -7)),
    "binary value size": (TWO, "from stdin (format binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(
        ">hihi", 2, 2, 7, -1) + b"\xff\xff"),
}
FIELDS = ("S", "C", "M", "D", "H", "P", "W")


def told(messages: list[m.Message]) -> list[m.Message]:
    """Errors with their context, and without what only one of the servers has."""
    found: list[m.Message] = []
    for message in messages:
        match message:
            case m.ErrorResponse(fields):
                found.append(m.ErrorResponse({k: v for k, v in fields.items() if k in FIELDS}))
            case m.RowDescription(columns):
                found.append(m.RowDescription(tuple(
                    m.ColumnDescription(c.name, 0, 0, c.type_oid, c.type_size, c.type_modifier, c.format) for c in columns)))
            case m.ParameterStatus() | m.NoticeResponse():
                pass
            case _:
                found.append(message)
    return found


def copied(client: WireClient, table: str, sql: str, data: bytes, piece: int) -> list[list[m.Message]]:
    """What a server says, and the rows it has afterwards."""
    client.query("drop table if exists copied")
    client.query(table)
    command = "copy copied " + (sql if "from stdin" in sql else sql + " from stdin")
    client.send(m.Query(command), *(m.CopyData(data[i:i + piece]) for i in range(0, len(data), piece)), m.CopyDone())
    said = told(client.until())
    return [said, told(client.query("select * from copied"))]


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address):
    with wire(postgres_server.host, postgres_server.port, user="postgres", database="postgres", lc_messages="C") as theirs, \
            wire(shoal.host, shoal.port, user="shoal", database="memory") as ours:
        yield theirs, ours


@pytest.mark.parametrize("name", CASES)
def test_like_postgres(both: tuple[WireClient, WireClient], name: str) -> None:
    table, sql, data = CASES[name]
    theirs, ours = both
    expected = copied(theirs, table, sql, data, 65536)
    for piece in (65536, 3):
        assert copied(ours, table, sql, data, piece) == expected


@pytest.mark.parametrize("form", ["text", "csv", "csv, escape '\\'", "csv, quote '''', delimiter 'x', null 'n'"])
def test_any_bytes(both: tuple[WireClient, WireClient], form: str) -> None:
    """Short texts of the characters that mean something, all of them at once: the same rows or the same error."""
    theirs, ours = both
    letters = {"text": "ab\\\\\\\t\n\n.N017xn", "csv": 'a"",\n\n\\.'}.get(form, "a'\"\\x\n\nn,")
    chosen = random.Random(form)
    for _ in range(60):
        data = "".join(chosen.choice(letters) for _ in range(chosen.randint(1, 14))).encode()
        sql = f"from stdin (format {form})"
        table = ONE if chosen.random() < 0.6 else "create table copied (a text, b text)"
        assert copied(ours, table, sql, data, 65536) == copied(theirs, table, sql, data, 65536), data


def test_protocol_stays_in_step(both: tuple[WireClient, WireClient]) -> None:
    """Failures in the middle, CopyFail, and the extended protocol: nothing is stored, and what follows is answered."""
    copy = m.Query("copy copied from stdin")
    scripts: list[list[m.Message]] = [
        [copy, m.CopyData(b"1\tx\n"), m.CopyFail("changed my mind"), m.Query("select count(*) from copied")],
        [copy, m.CopyData(b"x\tx\n" * 10), m.CopyDone(), m.Query("select count(*) from copied")],
        [m.Query("begin"), copy, m.CopyData(b"x\tx\n"), m.CopyDone(), m.Query("select 1"), m.Query("rollback")],
        [m.Query("begin"), copy, m.CopyData(b"1\tx\n"), m.CopyDone(), m.Query("select * from copied"), m.Query("rollback"),
         m.Query("select * from copied")],
        [m.Query("copy copied from stdin; select 7"), m.CopyData(b"1\tx\n"), m.CopyDone(), m.Query("select * from copied")],
        [m.Parse("", "copy copied from stdin", ()), m.Bind("", "", (), (), ()), m.Describe("P", ""), m.Execute("", 0),
         m.CopyData(b"2\ty\n"), m.Flush(), m.CopyDone(), m.Sync(), m.Query("select * from copied")],
        [m.Parse("", "copy copied from stdin", ()), m.Bind("", "", (), (), ()), m.Execute("", 0), m.CopyData(b"x\ty\n"),
         m.CopyDone(), m.Sync(), m.Query("select * from copied")],
        [m.Query("begin read only"), copy, m.Query("rollback")],
    ]
    answers: list[list[list[m.Message]]] = []
    for client in both:
        found = []
        client.query("drop table if exists copied")
        client.query(TWO)
        for script in scripts:
            client.send(*script)
            waits = sum(isinstance(message, m.Query | m.Sync) for message in script)
            found.append([answer for _ in range(waits) for answer in told(client.until())])
        answers.append(found)
    for script, theirs, ours in zip(scripts, *answers, strict=True):
        assert ours == theirs, script


TYPED = ("create table copied (a int2, b int8, c float4, d float8, e numeric(12,3), f date, g timestamp, h timestamptz, "
         "i time, j bool, k uuid, l bytea, m interval, n jsonb, o text, p int4[], q varchar(5), r numeric)")
VALUES = ("select (x - 5)::int2, x * 1000000007::int8, (x / 7.0)::float4, x / 3.0::float8, (x - 4) * 12.345, "
          "date '1999-12-30' + x, timestamp '1969-12-31 23:59:59.5' + x * interval '1 hour', now(), time '01:02:03', "
          "x % 2 = 0, "
          "md5(x::text)::uuid, decode(md5(x::text), 'hex'), make_interval(days => x, secs => x), "
          "('{\"a\": ' || x || '}')::jsonb, 'wörd ' || x, array[x, null], 'v' || x, x + 0.5 from generate_series(1, 9) t(x) "
          "union all select null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null")


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_all_types(both: tuple[WireClient, WireClient], form: str) -> None:
    """What PostgreSQL copies out, Shoal takes in and shows alike."""
    theirs, ours = both
    for client in both:
        client.query("set timezone to 'UTC'")
        client.query("drop table if exists copied")
        client.query(TYPED)
    theirs.query(f"insert into copied {VALUES}")
    out = theirs.query(f"copy copied to stdout (format {form})")
    data = b"".join(message.data for message in out if isinstance(message, m.CopyData))
    ours.send(m.Query(f"copy copied from stdin (format {form})"), m.CopyData(data), m.CopyDone())
    assert m.CommandComplete("COPY 10") in ours.until()
    expected = theirs.query("select * from copied")
    found = ours.query("select * from copied")
    assert [row for row in found if isinstance(row, m.DataRow)] == [row for row in expected if isinstance(row, m.DataRow)]
