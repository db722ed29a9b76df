"""The servers scripts talk to: PostgreSQL 15 and Shoal, each plain and secure, set up alike.

Both have the role and database `shoal`, who is let in by trust. The secure ones have TLS, and these users:

    ada     SCRAM-SHA-256, password "secret"
    bob     cleartext password "secret", over TLS only
    carl    a client certificate with the common name "carl", over TLS only
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.server import Server
from conformance.wire.sessions import Target
from tests.postgres_server import PostgresServer

_RULES = """
hostnossl all bob all reject
hostssl all bob all password
hostnossl all carl all reject
hostssl all carl all cert
host all ada,nobody all scram-sha-256
host all all all trust
"""
CONFIGURATION = """
[users]
ada = "secret"
bob = "secret"
[access]
shoal = "trust"
bob = "password"
carl = "certificate"
[tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
client_certificates = "optional"
"""
"""Shoal's file for the secure server, beside the certificates."""


def prepare(postgres: PostgresServer) -> Target:
    """The role and database of the scripts in a running PostgreSQL, and its address."""
    if not postgres.query("select 1 from pg_roles where rolname = 'shoal'"):
        postgres.run("create role shoal superuser login")
        postgres.run("create database shoal owner shoal")
    return Target(postgres.host, postgres.port)


def certificates(folder: Path) -> None:
    """A certificate authority, a server's and two clients' certificates with their keys. Needs `openssl`."""
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=shoal test authority")
    for name, subject in (("server", "localhost"), ("carl", "carl"), ("mallory", "mallory")):
        openssl("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-out", f"{name}.crt")


@contextmanager
def secured(postgres: PostgresServer, files: Path) -> Iterator[Target | None]:
    """The running PostgreSQL with TLS, users and rules for a while; None where it was built without TLS."""
    target = prepare(postgres)
    data = Path(postgres.query("show data_directory")[0][0])
    rules = Path(postgres.query("show hba_file")[0][0])
    before = rules.read_text()
    owner = data.stat()
    for name in ("server.crt", "server.key", "ca.crt"):
        copy = data / name
        copy.write_bytes((files / name).read_bytes())
        copy.chmod(0o600)
        _give(copy, owner.st_uid, owner.st_gid)
    names = ("ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file")
    try:
        for user in ("ada", "bob", "carl"):
            if not postgres.query(f"select 1 from pg_roles where rolname = '{user}'"):
                postgres.run(f"create role {user} superuser login password 'secret'")
        for name, value in zip(names, ("on", "server.crt", "server.key", "ca.crt")):
            postgres.run(f"alter system set {name} = '{value}'")
        rules.write_text(_RULES)
        postgres.run("select pg_reload_conf()")
        postgres.run("select pg_sleep(0.3)")
        on = postgres.query("show ssl")[0][0] == "on"
        yield Target(target.host, target.port, files=files) if on else None
    finally:
        rules.write_text(before)
        for name in names:
            postgres.run(f"alter system reset {name}")
        postgres.run("select pg_reload_conf()")


def _give(path: Path, uid: int, gid: int) -> None:
    import os
    if os.geteuid() == 0:
        os.chown(path, uid, gid)


@contextmanager
def shoal(files: Path | None = None) -> Iterator[Target]:
    """`shoal serve`, secure where `files` has the certificates."""
    arguments = ["--workers", "1"]
    if files is not None:
        (files / "shoal.toml").write_text(CONFIGURATION)
        arguments += ["--config", str(files / "shoal.toml")]
    with Server(arguments) as server:
        yield Target("127.0.0.1", server.port, files=files)
