"""pgbouncer between client and server: session, transaction and statement pooling, one server connection for all clients.

Needs psycopg for the client's side. pgbouncer logs in with SCRAM by the password of its user list.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from checking import Check, equal, raises

LONG = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
USER, PASSWORD, DATABASE = os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGDATABASE"]


def account() -> str | None:
    """Whom pgbouncer, which refuses to run as root, becomes; None when it need not."""
    return (
        next((name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()}), None)
        if getpass.getuser() == "root"
        else None
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def pooling(mode: str) -> Iterator[int]:
    """A pgbouncer in a mode, with one server connection; its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="shoal-pgbouncer-") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (folder / "ini").write_text(f"""[databases]
* = host={os.environ["PGHOST"]} port={os.environ["PGPORT"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
admin_users = {USER}
pool_mode = {mode}
default_pool_size = 1
server_reset_query = DISCARD ALL
server_check_delay = 0
server_check_query = SELECT 1
ignore_startup_parameters = extra_float_digits
""")
        other = account()
        for path in (folder, folder / "users", folder / "ini"):
            path.chmod(0o755)
        command = ["pgbouncer", *(["-u", other] if other else []), str(folder / "ini")]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError((folder / "log").read_text()[-600:]) from None
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def connect(port: int, database: str = DATABASE, **options: Any) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname=database, autocommit=True, **options
    )


def code(error: psycopg.Error) -> str | None:
    return error.sqlstate


def backend(db: psycopg.Connection) -> int:
    """The process the server names, which pgbouncer does not hide."""
    row = db.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


check = Check(
    re.findall(r"[\d.]+", subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True).stdout)[0]
)


@check.part("session mode: state stays with the client, DISCARD ALL clears it for the next")
def session() -> None:
    with pooling("session") as port:
        with connect(port, prepare_threshold=1) as db:
            first = backend(db)
            db.execute("SET statement_timeout = '77s'")
            db.execute("PREPARE mine AS SELECT $1::int + 1")
            db.execute("LISTEN pool_news")
            db.execute("DECLARE kept CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 100) AS g")
            equal(db.execute("FETCH 2 FROM kept").fetchall(), [(1,), (2,)])
            for n in range(4):
                equal(db.execute("SELECT %s::int * 2", (n,)).fetchone(), (n * 2,))
            equal(db.execute("EXECUTE mine (41)").fetchone(), (42,))
            db.execute("NOTIFY pool_news, 'hello'")
            equal([notice.payload for notice in db.notifies(timeout=5, stop_after=1)], ["hello"])
        with connect(port) as db:
            equal(backend(db), first)
            equal(db.execute("SHOW statement_timeout").fetchone(), ("0",))
            equal(
                db.execute(
                    "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors)"
                ).fetchone(),
                (0, 0),
            )
            equal(db.execute("SELECT count(*) FROM pg_listening_channels()").fetchone(), (0,))


@check.part("transaction mode: clients share a server connection between transactions")
def transaction() -> None:
    with (
        pooling("transaction") as port,
        connect(port, prepare_threshold=None) as one,
        connect(port, prepare_threshold=None) as two,
    ):
        equal(backend(one), backend(two))
        one.execute("CREATE TABLE pooled (id int PRIMARY KEY, note text)")
        with one.transaction():
            one.execute("SET LOCAL statement_timeout = '9s'")
            one.execute("INSERT INTO pooled VALUES (%s, %s)", (1, "one"))
            equal(one.execute("SHOW statement_timeout").fetchone(), ("9s",))
        equal(two.execute("SHOW statement_timeout").fetchone(), ("0",))
        with raises_rollback(), one.transaction():
            one.execute("INSERT INTO pooled VALUES (2, 'two')")
            raises(lambda: one.execute("SELECT 1 / 0"), "22012", code)
        equal(two.execute("SELECT count(*) FROM pooled").fetchone(), (1,))
        cursor = two.cursor(name="named")
        with two.transaction():
            cursor.execute("SELECT g FROM generate_series(1, 1000) AS g")
            equal(sum(row[0] for row in cursor), 500500)
        with two.cursor() as plain, plain.copy("COPY pooled FROM STDIN") as copy:
            for n in range(10, 20):
                copy.write_row((n, f"note {n}"))
        with two.cursor() as plain, plain.copy("COPY (SELECT * FROM pooled WHERE id < 11 ORDER BY id) TO STDOUT") as copy:
            equal(b"".join(bytes(part) for part in copy), b"1\tone\n10\tnote 10\n")
        raises(lambda: one.execute("SELECT nothing FROM pooled"), "42703", code)
        one.execute("DROP TABLE pooled")


@contextmanager
def raises_rollback() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InFailedSqlTransaction:
        pass


@check.part("transaction mode: a start-up setting follows the client")
def settings() -> None:
    with (
        pooling("transaction") as port,
        connect(port, application_name="first") as one,
        connect(port, application_name="second") as two,
    ):
        for db, name in ((one, "first"), (two, "second"), (one, "first")):
            equal(db.execute("SHOW application_name").fetchone(), (name,))
        one.execute("SET TimeZone = 'Asia/Tokyo'")
        equal(one.info.parameter_status("TimeZone"), "Asia/Tokyo")
        equal(two.info.parameter_status("server_version"), one.info.parameter_status("server_version"))


@check.part("cancel through the pool")
def cancel() -> None:
    with pooling("transaction") as port, connect(port) as db:
        timer = threading.Timer(0.4, db.cancel)
        timer.start()
        raises(lambda: db.execute(LONG), "57014", code)
        timer.join()
        equal(db.execute("SELECT 1").fetchone(), (1,))


@check.part("a client that leaves in the middle of a transaction")
def leaving() -> None:
    with pooling("transaction") as port:
        gone = connect(port)
        gone.execute("BEGIN")
        gone.execute("SELECT 1")
        gone.close()
        with connect(port) as db:
            equal(db.execute("SELECT 2").fetchone(), (2,))
            equal(db.info.transaction_status, psycopg.pq.TransactionStatus.IDLE)


@check.part("statement mode: no transactions")
def statement() -> None:
    with pooling("statement") as port:
        with connect(port, prepare_threshold=None) as db:
            equal(db.execute("SELECT g FROM generate_series(1, %s::int) AS g", (3,)).fetchall(), [(1,), (2,), (3,)])
            raises(
                lambda: db.execute("BEGIN"),
                "08P01",
                lambda error: "08P01" if "transaction blocks not allowed" in str(error) else str(error),
            )
        with connect(port) as db:
            equal(db.execute("SELECT 5").fetchone(), (5,))


@check.part("wrong password and unknown database")
def refused() -> None:
    with pooling("session") as port:
        wrong = raises(
            lambda: psycopg.connect(host="127.0.0.1", port=port, user=USER, password="no", dbname=DATABASE),
            "",
            lambda error: "",
        )
        assert "authentication failed" in str(wrong), wrong
        unknown = raises(lambda: connect(port, "no_such_database"), "", lambda error: "")
        assert "no_such_database" in str(unknown), unknown


@check.part("the console: SHOW, RECONNECT, PAUSE and RESUME")
def console() -> None:
    with pooling("transaction") as port, connect(port) as db, connect(port, "pgbouncer") as admin:
        first = backend(db)
        row = admin.execute("SHOW SERVERS").fetchone()
        assert row is not None and DATABASE in row, row
        for what in ("POOLS", "STATS", "DATABASES", "CLIENTS", "CONFIG", "VERSION", "LISTS"):
            assert admin.execute(f"SHOW {what}".encode()).fetchone() is not None, what
        admin.execute("PAUSE")
        admin.execute("RESUME")
        admin.execute("RECONNECT")
        time.sleep(0.2)
        equal(backend(db) != first, True)


check.run()
