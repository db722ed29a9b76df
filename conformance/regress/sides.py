"""The two servers a regression script runs on, and the copying that keeps their tables equal.

Set-up statements run on both. Where Shoal refuses one, or makes other rows of it, the tables it names are copied from
PostgreSQL afterwards, so that each SELECT is asked over the same tables.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from psycopg import pq

SETTINGS = ("set datestyle = 'Postgres, MDY'", "set timezone = 'PST8PDT'", "set intervalstyle = 'postgres_verbose'",
            "set statement_timeout = '30s'")
"""What PostgreSQL's own runner asks of a session."""
MOST_SECONDS = 60
FIRST_USER_OID = 16_384
MOST_COMPARED_ROWS = 2_000
_READ = """
with recursive read(oid) as (
    select c.oid from pg_catalog.pg_class c where c.relname = any({words}) and pg_catalog.pg_table_is_visible(c.oid)
    union
    select d.refobjid from read join pg_catalog.pg_rewrite r on r.ev_class = read.oid
        join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
            and d.refclassid = 'pg_catalog.pg_class'::regclass)
select c.relname from read join pg_catalog.pg_class c using (oid) where c.relkind in ('r', 'p', 'm')"""
"""The tables that relations of some names read, themselves included."""
OTHER_PLANS = ("set local enable_sort = off", "set local enable_hashagg = off", "set local enable_seqscan = off",
               "set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off",
               "set local enable_hashjoin = off; set local enable_mergejoin = off",
               "set local enable_hashjoin = off; set local enable_nestloop = off")
"""What makes PostgreSQL plan otherwise."""
SHUFFLES, SHUFFLES_OF_SMALL = 40, 400
SMALL_ROWS = 50
_STATUS = {pq.TransactionStatus.INTRANS: "open", pq.TransactionStatus.INERROR: "failed", pq.TransactionStatus.IDLE: "none"}


def _array(names: Iterable[str]) -> str:
    """A constant text[] of plain names."""
    return "'{" + ",".join(f'"{name}"' for name in sorted(names)) + "}'"


@dataclass(frozen=True)
class Answer:
    """Rows as text with their columns' names and types, or an error."""

    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    sqlstate: str = ""
    message: str = ""
    position: int = 0
    """Of an error in the statement, in characters from 1; 0 for none."""


class Side:
    """A session on one server."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._types: dict[int, str] = {}
        self.open()

    def open(self) -> None:
        self.connection = pq.PGconn.connect(self.conninfo.encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise RuntimeError(self.connection.get_error_message())
        self.connection.notice_handler = None
        for setting in SETTINGS:
            self.run(setting)

    def run(self, statement: str, data: str | None = None) -> Answer:
        """One statement by the simple protocol; `data` feeds COPY FROM STDIN. One that goes on after `statement_timeout`
        loses its connection, which is the answer 08006."""
        hung = threading.Timer(MOST_SECONDS, self._hang_up)
        hung.start()
        try:
            return self._run(statement, data)
        finally:
            hung.cancel()

    def _hang_up(self) -> None:
        with socket.socket(fileno=os.dup(self.connection.socket)) as shared:
            shared.shutdown(socket.SHUT_RDWR)

    def _run(self, statement: str, data: str | None) -> Answer:
        try:
            result = self.connection.exec_(statement.encode())
            if result.status == pq.ExecStatus.COPY_IN:
                self.connection.put_copy_data((data or "").encode())
                self.connection.put_copy_end()
                return self._last()
            if result.status == pq.ExecStatus.COPY_OUT:
                rows = []
                while (got := self.connection.get_copy_data(0))[0] > 0:
                    rows.append((bytes(got[1]),))
                last = self._last()
                return last if last.sqlstate else Answer(("copy",), ("copy",), tuple(rows))
        except Exception as error:
            return Answer(sqlstate="08006", message=str(error).splitlines()[0])
        return self._answer(result)

    def _last(self) -> Answer:
        last = Answer()
        while (result := self.connection.get_result()) is not None:
            last = self._answer(result)
        return last

    def _answer(self, result: pq.abc.PGresult) -> Answer:
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY):
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
            position = result.error_field(pq.DiagnosticField.STATEMENT_POSITION)
            return Answer(sqlstate=(state or b"08006").decode(), message=(message or b"").decode(errors="replace"),
                          position=int(position or 0))
        columns = range(result.nfields)
        names = tuple((result.fname(i) or b"").decode() for i in columns)
        types = tuple(self._type(result.ftype(i), result.fmod(i)) for i in columns)
        rows = tuple(tuple(result.get_value(row, i) for i in columns) for row in range(result.ntuples))
        return Answer(names, types, rows)

    def _type(self, oid: int, modifier: int) -> str:
        if oid < FIRST_USER_OID:
            return f"{oid}/{modifier}"
        if oid not in self._types and self.transaction != "failed":
            found = self.connection.exec_(f"select typname from pg_catalog.pg_type where oid = {oid}".encode())
            self._types[oid] = (found.get_value(0, 0) or b"").decode() if found.ntuples else str(oid)
        return self._types.get(oid, str(oid))

    @property
    def transaction(self) -> str:
        return _STATUS.get(pq.TransactionStatus(self.connection.transaction_status), "broken")

    @property
    def broken(self) -> bool:
        return self.connection.status != pq.ConnStatus.OK

    def close(self) -> None:
        self.connection.finish()


@dataclass
class Pair:
    """PostgreSQL and Shoal, led through a script in step."""

    postgres: Side
    shoal: Side
    copied: set[str] = field(default_factory=set)
    """Tables that had to be copied, for the report."""
    unequal: dict[str, str] = field(default_factory=dict)
    """Tables that stayed unequal even so, with what differs."""
    retyped: dict[str, str] = field(default_factory=dict)
    """Tables with columns of types that Shoal has not, which are text there."""
    _whole: set[str] = field(default_factory=set)
    """Large tables whose rows were compared, not only counted, since a statement last named them."""
    _compared: set[str] = field(default_factory=set)
    """Words of queries and names of tables that need no comparing until something is changed."""
    _in_transaction: set[str] = field(default_factory=set)

    def query(self, statement: str) -> tuple[Answer, Answer]:
        """Both answers to a statement with rows."""
        return self._both(statement, None)

    def set_up(self, statement: str, data: str | None) -> tuple[Answer, Answer]:
        """Runs what makes or fills tables, or changes the session, and makes Shoal's tables equal where they are not."""
        answers = self._both(statement, data)
        self._compared.clear()
        names = set(re.findall(r"[A-Za-z_]\w*", statement.lower()))
        self._whole -= names
        ended = not self._in_transaction or self.postgres.transaction == "none"
        if self.postgres.transaction != "none":
            self._in_transaction |= names
        elif ended and self._in_transaction:
            names |= self._in_transaction
            self._in_transaction = set()
        if self.postgres.transaction != "failed":
            self.mirror(names)
        return answers

    def _both(self, statement: str, data: str | None) -> tuple[Answer, Answer]:
        expected = self.postgres.run(statement, data)
        if self.shoal.broken:
            self.shoal.close()
            self.shoal.open()
        guarded = self.shoal.transaction == "open" and self.postgres.transaction != "none"
        if guarded:
            self.shoal.run("savepoint regress")
        got = self.shoal.run(statement, data)
        if guarded and self.shoal.transaction == "failed" and self.postgres.transaction == "open":
            self.shoal.run("rollback to savepoint regress")
        elif self.postgres.transaction == "none" and self.shoal.transaction != "none":
            self.shoal.run("rollback")
        elif self.postgres.transaction == "failed" and self.shoal.transaction == "open":
            self.shoal.run("select 1/0")
        return expected, got

    def mirror(self, names: Iterable[str]) -> None:
        """Makes Shoal's tables of these names PostgreSQL's: copies those that differ, drops those that are not there."""
        there = self._tables(self.postgres, names)
        for name in self._tables(self.shoal, names).keys() - there.keys():
            self._guarded(f'drop table if exists "{name}"')
        for name, temporary in there.items():
            if not self._equal(name):
                self._copy(name, temporary)
                self.unequal.pop(name, None)
                if not self._equal(name):
                    self.unequal[name] = self._counts(name)

    def mirror_all(self) -> None:
        """Mirrors every table."""
        self.mirror(str(row[0] or b"", "utf8") for row in self.postgres.run(
            "select relname from pg_catalog.pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace").rows)

    def look_after(self, statement: str) -> str:
        """Mirrors the tables that a query reads, by name or through a view or a parent of theirs, where something may
        have changed since they were last compared. Those of the tables it names that are unequal even so; "" for none."""
        words = set(re.findall(r"[A-Za-z_]\w*", statement.lower()))
        if not words <= self._compared and self.postgres.transaction != "failed":
            self._compare(words - self._compared)
        return ", ".join(sorted(words & self.unequal.keys()))

    def _compare(self, words: set[str]) -> None:
        read = self.postgres.run(_READ.format(words=_array(words))).rows
        names = {str(row[0] or b"", "utf8") for row in read} - self._compared
        self._compared |= words | names
        self.mirror(names)

    def changed(self, names: Collection[str]) -> None:
        """Mirrors tables after a query that writes."""
        self._compared.clear()
        self._whole -= set(names)
        self.mirror(names)

    def otherwise(self, statement: str) -> Iterator[Answer]:
        """PostgreSQL's answers by other plans, and over the same rows stored in another order."""
        for settings in OTHER_PLANS:
            yield self._undone((settings,), statement)
        rows = {name: int(self.postgres.run(f'select count(*) from "{name}"').rows[0][0] or 0)
                for name in self._tables(self.postgres, re.findall(r"[A-Za-z_]\w*", statement.lower()))}
        tables = [name for name, count in rows.items() if count <= MOST_COMPARED_ROWS]
        shuffles = SHUFFLES_OF_SMALL if all(count <= SMALL_ROWS for count in rows.values()) else SHUFFLES
        for seed in range(shuffles if tables else 0):
            yield self._undone((f"select setseed({seed / shuffles})", *(step for name in tables for step in (
                f'alter table "{name}" rename to "{name} as it was"',
                f'create temporary table "{name}" as select * from "{name} as it was" order by random()'))), statement)

    def _undone(self, before: Iterable[str], statement: str) -> Answer:
        """PostgreSQL's answer after other statements, all of which are undone."""
        inside = self.postgres.transaction == "open"
        self.postgres.run("savepoint otherwise" if inside else "begin")
        for step in before:
            self.postgres.run(step)
        answer = self.postgres.run(statement)
        self.postgres.run("rollback to savepoint otherwise" if inside else "rollback")
        return answer

    def _counts(self, name: str) -> str:
        """What differs between two tables that are not equal."""
        count = f'select count(*) from "{name}"'
        told = [answer.message or str(answer.rows[0][0] or b"", "utf8") + " rows"
                for answer in (self.postgres.run(count), self._guarded(count))]
        return " <> ".join(told) if told[0] != told[1] else f"{told[0]} of other values"

    @staticmethod
    def _tables(side: Side, names: Iterable[str]) -> dict[str, bool]:
        """The tables of these names, and whether they are temporary."""
        rows = side.run(
            "select c.relname, c.relpersistence = 't' from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'm') "
            "and pg_catalog.pg_table_is_visible(c.oid) and c.relnamespace <> 'pg_catalog'::regnamespace and "
            f"c.relname = any({_array(names)})").rows
        return {str(name, "utf8"): temporary == b"t" for name, temporary in rows if name}

    def _equal(self, name: str) -> bool:
        small = f'select count(*) from "{name}"'
        count = self.postgres.run(small)
        got = self._guarded(small)
        if got.rows != count.rows:
            return False
        large = bool(count.rows) and int(count.rows[0][0] or 0) > MOST_COMPARED_ROWS
        if large and name in self._whole:
            return True
        everything = f'select * from "{name}"'
        expected, got = self.postgres.run(everything), self._guarded(everything)
        if got.columns != expected.columns or sorted(map(repr, got.rows)) != sorted(map(repr, expected.rows)):
            return False
        if large:
            self._whole.add(name)
        return True

    def _copy(self, name: str, temporary: bool) -> None:
        """Fills Shoal's table anew; one with other columns, or none, is made anew, and with it go the views over it."""
        columns = self.postgres.run(
            "select attname, format_type(atttypid, atttypmod) from pg_catalog.pg_attribute where "
            f"attrelid = '\"{name}\"'::regclass and attnum > 0 and not attisdropped order by attnum").rows
        self.copied.add(name)
        rows = self.postgres.run(f'copy (select * from "{name}") to stdout')
        data = "".join(str(row[0] or b"", "utf8") for row in rows.rows)
        found = self._guarded(f'select * from "{name}" limit 0')
        if not found.sqlstate and [*found.columns] == [str(column or b"", "utf8") for column, _ in columns]:
            self._guarded(f'delete from "{name}"')
            self._guarded(f'copy "{name}" from stdin', data)
            if self._equal(name):
                return
        for kind in ("table", "view", "materialized view"):
            self._guarded(f'drop {kind} if exists "{name}" cascade')
        known = [(str(column or b"", "utf8"), self._known_type(str(spelled or b"", "utf8"))) for column, spelled in columns]
        self.retyped.pop(name, None)
        for (column, known_type), (_, spelled) in zip(known, columns, strict=True):
            if known_type.encode() != spelled:
                self.retyped[name] = f"{column} is {known_type} for {str(spelled or b'', 'utf8')}"
        made = self._guarded(f'create {"temporary " if temporary else ""}table "{name}" ('
                             + ", ".join(f'"{column}" {spelled}' for column, spelled in known) + ")")
        if not made.sqlstate and rows.rows:
            self._guarded(f'copy "{name}" from stdin', data)

    def _known_type(self, spelled: str) -> str:
        """The type, or text where Shoal has none of this name."""
        return "text" if self._guarded(f"select null::{spelled}").sqlstate else spelled

    def _guarded(self, statement: str, data: str | None = None) -> Answer:
        if self.shoal.transaction == "open":
            self.shoal.run("savepoint mirror")
            got = self.shoal.run(statement, data)
            self.shoal.run("rollback to savepoint mirror" if got.sqlstate else "release savepoint mirror")
            return got
        return self.shoal.run(statement, data)
