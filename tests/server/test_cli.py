"""The command line is a contract: ready line, exit codes, one-line complaints, ports, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from shoal.server import cli
from shoal.server.protocol import messages as m
from tests.server.wire import wire

PROGRAM = [sys.executable, "-m", "shoal.server.cli"]


def run(*arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout)


class Serving:
    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process, self.lines = process, lines
        found = re.search(r"shoal ready on (\S+):(\d+) with (\d+) worker", lines[-1])
        assert found, lines
        self.host, self.port, self.workers = found[1], int(found[2]), int(found[3])
        assert process.stdout is not None
        self.psql = process.stdout.readline().strip()

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=self.host, port=self.port, user="shoal", dbname=database, autocommit=True)


@contextmanager
def serving(*arguments: str) -> Iterator[Serving]:
    process = subprocess.Popen([*PROGRAM, "serve", "--workers", "1", *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE,
                               text=True)
    assert process.stdout is not None and process.stderr is not None
    try:
        lines: list[str] = []
        while not (lines and lines[-1].startswith("shoal ready")):
            line = process.stdout.readline()
            assert line, (lines, process.stderr.read())
            lines.append(line)
        yield Serving(process, lines)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def test_the_sample_is_served_when_there_is_nothing_else() -> None:
    with serving("--port", "0", "--cluster-port", "0") as server:
        assert server.workers == 1
        found = re.fullmatch(rf"psql -h 127.0.0.1 -p {server.port} -U shoal sample -c '(SELECT .*)'", server.psql)
        assert found
        with server.connect("sample") as connection:
            assert connection.execute(found[1].encode()).fetchall()
        with server.connect("shoal") as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert server.process.stderr is not None and server.process.stderr.read() == ""


def test_paths_are_the_catalog_files(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "birds.csv").write_text("id,name\n1,kestrel\n2,swift\n")
    (tmp_path / "fish.csv").write_text("id,name\n1,cod\n")
    with serving("--port", "0", "--cluster-port", "0", str(tmp_path / "a b"), str(tmp_path / "fish.csv"),
                 "--catalog", "m=memory:") as server:
        assert server.psql == f"psql -h 127.0.0.1 -p {server.port} -U shoal files"
        with server.connect("files") as connection:
            sql = "select b.name, f.name from birds b join fish f on b.id = f.id"
            assert connection.execute(sql).fetchall() == [("kestrel", "cod")]
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 130


def test_two_interrupts_end_at_once() -> None:
    with serving("--port", "0", "--cluster-port", "0") as server, wire(server.host, server.port) as client:
        client.send(m.Query("select count(*) from generate_series(1, 100000) a(x), generate_series(1, 100000) b(y) "
                            "where x * y % 7 = 3"))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.process.poll() is None
        started = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(5) == 130 and time.monotonic() - started < 2


def test_ports_that_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--workers", "1", "--port", str(port), "--cluster-port", "0")
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and f"127.0.0.1:{port}" in done.stderr
        done = run("serve", "--workers", "1", "--port", "0", "--cluster-port", str(port))
        assert done.returncode in (1, 2) and done.stderr.count("\n") == 1 and str(port) in done.stderr


def test_the_default_port_gives_way() -> None:
    held = None
    try:
        held = socket.create_server(("127.0.0.1", cli.DEFAULT_PORT))
    except OSError:
        pass  # somebody else holds it already
    try:
        with serving() as server:
            assert server.port > cli.DEFAULT_PORT
            assert any(str(cli.DEFAULT_PORT) in line and str(server.port) in line for line in server.lines[:-1])
    finally:
        if held is not None:
            held.close()


BAD: list[tuple[Sequence[str], str]] = [
    (["serve", "--nope"], "--nope"), (["nope"], "nope"), ([], "COMMAND"), (["serve", "--port", "x"], "port"),
    (["serve", "--port", "70000"], "70000"), (["serve", "--workers", "many"], "many"), (["serve", "/no/such/folder"],
                                                                                        "/no/such/folder"),
    (["serve", "--catalog", "x"], "NAME=URL"), (["serve", "--catalog", "x=nope:y"], "nope"), (["serve", "--memory",
                                                                                               "lots"], "lots"),
    (["serve", "--config", "/no/such.toml"], "/no/such.toml"), (["serve", "--host", "0.0.0.0"], "users"),
    (["serve", "--workers", "0"], "secret"), (["serve", "--secret-file", "/no/such"], "/no/such"), (["query"], "-c"),
    (["check"], "--config"), (["worker"], "--join"), (["serve", "--data-dir", "/dev/null/x"], "--data-dir"),
    (["query", "-c", "select 1", "--database", "nope"], "nope"), (["serve", "--catalog", "shoal=memory:"], "shoal"),
    (["serve", "--catalog", "a=memory:", "--catalog", "a=sample:"], "twice"), (["serve", "--memory", "0"], "--memory"),
    (["worker", "--join", "x", "--secret-file", "/no/such"], "HOST:PORT"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=[" ".join(b[0]) or "nothing" for b in BAD])
def test_bad_usage_is_one_line_and_exit_code_2(arguments: Sequence[str], named: str,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == "" and named in captured.err and "Traceback" not in captured.err
    assert captured.err.count("\n") == 1


def test_exposure_needs_users_and_a_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "shoal.toml"
    config.write_text('[users]\nada = "pw"\n')
    assert cli.main(["serve", "--host", "0.0.0.0", "--config", str(config)]) == 2
    assert "cluster secret" in capfd.readouterr().err
    (tmp_path / "short").write_text("short")
    assert cli.main(["serve", "--secret-file", str(tmp_path / "short")]) == 2
    assert "16 bytes" in capfd.readouterr().err


def test_check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "shoal.toml"
    config.write_text('[server]\nport = 6000\n[catalogs]\nm = "memory:"\n[users]\nada = "pw"\n')
    assert cli.main(["check", "--config", str(config)]) == 0
    assert "ok" in capfd.readouterr().out
    for bad in ("[server]\nprot = 1\n", "[catalogs]\nx = \"nope:\"\n", "[[[\n",
                '[tls]\ncertificate = "no.pem"\nkey = "no.pem"\n',
                '[users]\nada = "SCRAM-SHA-256$nonsense"\n'):
        config.write_text(bad)
        assert cli.main(["check", "--config", str(config)]) == 2, bad
        captured = capfd.readouterr()
        assert captured.err.count("\n") == 1 and captured.out == ""


def test_query(tmp_path: Path) -> None:
    (tmp_path / "birds.csv").write_text("id,name\n1,kestrel\n2,\n")
    done = run("query", "-c", "select id, name, id * 1.5 as x from birds order by id", "--workers", "1", str(tmp_path))
    table = " id |  name   |  x\n----+---------+-----\n  1 | kestrel | 1.5\n  2 |         | 3.0\n(2 rows)\n"
    assert done.stdout == table, done
    done = run("query", "--csv", "-c", "select 'a,b' as x, null as y", "--workers", "1")
    assert (done.stdout, done.returncode) == ('x,y\n"a,b",\n', 0)
    done = run("query", "-c", "select nope", "--workers", "1")
    assert done.returncode == 1 and "nope" in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capfd.readouterr().out.startswith("shoal 0.")
    for arguments in (["--help"], ["serve", "--help"], ["query", "--help"], ["check", "--help"]):
        assert cli.main(arguments) == 0
        assert "example" in capfd.readouterr().out


def test_the_command_starts_without_heavy_imports() -> None:
    script = ("import sys; from shoal.server import cli; cli.main(['version']); "
              "print([m for m in ('pyarrow', 'numpy', 'sqlglot', 'asyncio', 'psycopg') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, env={**os.environ})
    assert done.stdout.splitlines()[-1] == "[]", done
