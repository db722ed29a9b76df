"""The two servers a regression script runs on, and the copying that keeps their tables equal.

Set-up statements run on both. Where Shoal refuses one, or makes other rows of it, the tables it names are copied from
PostgreSQL afterwards, so that each SELECT is asked over the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg import pq

SETTINGS = ("set datestyle = 'Postgres, MDY'", "set timezone = 'PST8PDT'", "set intervalstyle = 'postgres_verbose'",
            "set statement_timeout = '30s'")
"""What PostgreSQL's own runner asks of a session."""
FIRST_USER_OID = 16_384
MOST_COMPARED_ROWS = 2_000
_STATUS = {pq.TransactionStatus.INTRANS: "open", pq.TransactionStatus.INERROR: "failed", pq.TransactionStatus.IDLE: "none"}


@dataclass(frozen=True)
class Answer:
    """Rows as text with their columns' names and types, or an error."""

    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    has_rows: bool = False
    sqlstate: str = ""
    message: str = ""


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
        """One statement by the simple protocol; `data` feeds COPY FROM STDIN."""
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
                return last if last.sqlstate else Answer(("copy",), ("copy",), tuple(rows), True)
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
            return Answer(sqlstate=(state or b"08006").decode(), message=(message or b"").decode(errors="replace"))
        columns = range(result.nfields)
        names = tuple((result.fname(i) or b"").decode() for i in columns)
        types = tuple(self._type(result.ftype(i), result.fmod(i)) for i in columns)
        rows = tuple(tuple(result.get_value(row, i) for i in columns) for row in range(result.ntuples))
        return Answer(names, types, rows, result.status == pq.ExecStatus.TUPLES_OK)

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
    _in_transaction: set[str] = field(default_factory=set)

    def query(self, statement: str) -> tuple[Answer, Answer]:
        """Both answers to a statement with rows."""
        return self._both(statement, None)

    def set_up(self, statement: str, data: str | None) -> tuple[Answer, Answer]:
        """Runs what makes or fills tables, or changes the session, and makes Shoal's tables equal where they are not."""
        answers = self._both(statement, data)
        names = set(re.findall(r"[A-Za-z_]\w*", statement.lower()))
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
        """Copies those of the tables of these names that differ, and drops those that are gone."""
        listed = ("select c.relname, c.relpersistence = 't' from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'm') "
                  "and pg_catalog.pg_table_is_visible(c.oid) and c.relnamespace <> 'pg_catalog'::regnamespace and "
                  f"c.relname = any('{{{','.join(sorted(set(names) or {''}))}}}')")
        there = {str(name, "utf8"): temporary == b"t" for name, temporary in self.postgres.run(listed).rows if name}
        for name, temporary in there.items():
            if not self._equal(name):
                self._copy(name, temporary)

    def _equal(self, name: str) -> bool:
        small = f'select count(*) from "{name}"'
        count = self.postgres.run(small)
        got = self._guarded(small)
        if got.rows != count.rows:
            return False
        if count.rows and int(count.rows[0][0] or 0) > MOST_COMPARED_ROWS:
            return True
        everything = f'select * from "{name}"'
        expected, got = self.postgres.run(everything), self._guarded(everything)
        return got.columns == expected.columns and sorted(map(repr, got.rows)) == sorted(map(repr, expected.rows))

    def _copy(self, name: str, temporary: bool) -> None:
        columns = self.postgres.run(
            "select attname, format_type(atttypid, atttypmod) from pg_catalog.pg_attribute where "
            f"attrelid = '\"{name}\"'::regclass and attnum > 0 and not attisdropped order by attnum").rows
        if not columns:
            return
        self.copied.add(name)
        for kind in ("table", "view", "materialized view"):
            self._guarded(f'drop {kind} if exists "{name}" cascade')
        known = [(str(column or b"", "utf8"), self._known_type(str(spelled or b"", "utf8"))) for column, spelled in columns]
        made = self._guarded(f'create {"temporary " if temporary else ""}table "{name}" ('
                             + ", ".join(f'"{column}" {spelled}' for column, spelled in known) + ")")
        rows = self.postgres.run(f'copy (select * from "{name}") to stdout')
        if not made.sqlstate and rows.rows:
            data = "".join(str(row[0] or b"", "utf8") for row in rows.rows)
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
