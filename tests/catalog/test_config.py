"""shoal.toml: every setting read, every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.catalog.config import (
    AccessRule,
    Config,
    Secret,
    catalog_definition,
    load,
    parse_duration_s,
    parse_size,
    parse_workers,
)
from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import ConfigurationError

FULL = """
[server]
host = "0.0.0.0"
port = 0
http_port = 9000
cluster_port = 7000
workers = 3
memory = "1.5GB"
spill_dir = "spill"
data_dir = "/var/lib/shoal"
cluster_secret_file = "secret"
paths = ["lake", "s3://bucket/x"]
[catalogs]
pg = "postgresql://reader:${SHOAL_TEST_PASSWORD}@db/sales"
lake = {url = "s3://bucket/x", region = "eu-west-1", anonymous = true}
[users]
ada = "SCRAM-SHA-256$4096:c2FsdA==$a:b"
bob = {password = "${SHOAL_TEST_PASSWORD}"}
[tls]
certificate = "server.crt"
key = "/etc/server.key"
[limits]
connections = 7
statement_timeout = "30s"
query_memory = "256MB"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOAL_TEST_PASSWORD", "pa$$word")
    return tmp_path / "shoal.toml"


def test_everything(file: Path) -> None:
    file.write_text(FULL)
    config = load(file)
    server = config.server
    assert (server.host, server.port, server.http_port, server.cluster_port, server.workers) == ("0.0.0.0", 0, 9000, 7000, 3)
    assert server.memory_bytes == 3 << 29
    assert server.spill_dir == file.parent / "spill" and server.data_dir == Path("/var/lib/shoal")
    assert server.paths == (str(file.parent / "lake"), "s3://bucket/x")
    assert config.catalogs == (
        CatalogDefinition("pg", "postgresql://reader:pa$$word@db/sales"),
        CatalogDefinition("lake", "s3://bucket/x", {"region": "eu-west-1", "anonymous": "true"}))
    assert config.users["ada"].is_verifier and config.users["bob"] == Secret("pa$$word")
    assert config.tls is not None and config.tls.certificate == file.parent / "server.crt" and config.tls.client_ca is None
    assert (config.limits.connections, config.limits.statement_timeout_s) == (7, 30.0)
    assert config.limits.query_memory_bytes == 256 << 20
    assert "pa$$word" not in repr(config.users)


def test_access_rules(file: Path) -> None:
    file.write_text('[access]\nbob = "password"\neve = {method = "trust"}\nmax = {method = "trust", '
                    'from = ["10.1.0.0/16"]}\n'
                    '[tls]\ncertificate = "a"\nkey = "b"\nclient_ca = "c"\nclient_certificates = "optional"\n')
    config = load(file)
    assert config.access == {"bob": AccessRule("password"), "eve": AccessRule("trust", ("127.0.0.0/8", "::1/128")),
                             "max": AccessRule("trust", ("10.1.0.0/16",))}
    assert config.tls is not None and config.tls.client_certificates == "optional"
    for bad, key in (('a = "md5"', "access.a"), ('a = {method = "trust", from = ["x"]}', "access.a.from"),
                     ('a = {method = "trust", to = []}', "access.a.to")):
        file.write_text(f"[access]\n{bad}\n")
        with pytest.raises(ConfigurationError, match=key):
            load(file)


def test_an_empty_file_is_the_defaults(file: Path) -> None:
    file.write_text("")
    assert load(file) == Config()


@pytest.mark.parametrize(("text", "message"), [
    ("[server]\nprot = 1", "unknown key server.prot"),
    ("[sever]", "unknown key sever"),
    ("server = 3", "server: expected a table"),
    ("[server]\nport = 70000", "server.port: 70000 is not a port number"),
    ("[server]\nport = true", "server.port: True is not a port number"),
    ("[server]\nmemory = '12 parsecs'", "server.memory: '12 parsecs' is not a size"),
    ("[server]\nworkers = -1", "server.workers: -1 is neither"),
    ("[server]\nhost = 5", "server.host: expected a text"),
    ("[server]\npaths = 'x'", "server.paths: expected a list"),
    ("[catalogs]\na = 5", "catalogs.a: expected a URL"),
    ("[catalogs]\na = {region = 'x'}", "catalogs.a: expected a URL"),
    ("[catalogs]\na = {url = 'x', b = [1]}", "catalogs.a.b: expected a text"),
    ("[catalogs]\n'a b' = 'x'", "catalogs: 'a b' cannot be the name"),
    ("[catalogs]\na = '${SHOAL_NO_SUCH_VARIABLE}'", "catalogs.a: the environment variable SHOAL_NO_SUCH"),
    ("[users]\na = 5", "users.a: expected a password"),
    ("[users]\na = {pasword = 'x'}", "unknown key users.a.pasword"),
    ("[users]\na = {password = 'x', verifier = 'y'}", "users.a: expected either"),
    ("[tls]\nkey = 'x'", "tls.certificate is missing"),
    ("[limits]\nconnections = 0", "limits.connections: expected a number above 0"),
    ("[limits]\nstatement_timeout = 'soon'", "limits.statement_timeout: 'soon' is not a duration"),
    ("[server", "not valid TOML"),
])
def test_mistakes_are_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert caught.value.message.startswith(f"{file}: {message}")


def test_near_names_are_offered(file: Path) -> None:
    file.write_text("[server]\nprot = 1")
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert caught.value.hint == 'Did you mean "port"?'


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_command_line_over_file(file: Path) -> None:
    file.write_text(FULL)
    merged = load(file).merge(port=5555, host=None, catalogs=(CatalogDefinition("pg", "memory:"),))
    assert (merged.server.port, merged.server.host) == (5555, "0.0.0.0")
    assert merged.catalogs[0] == CatalogDefinition("pg", "memory:") and len(merged.catalogs) == 2


def test_quantities() -> None:
    assert [parse_size(text) for text in ("1", "1b", "2KB", "256MB", "4 GiB", "1tb")] == \
        [1, 1, 2048, 256 << 20, 4 << 30, 1 << 40]
    assert [parse_duration_s(text) for text in ("5", "500ms", "2min", "1h")] == [5, 0.5, 120, 3600]
    assert (parse_workers("auto"), parse_workers("0"), parse_workers(2)) == (None, 0, 2)
    for bad in ("", "MB", "-1MB", "1XB", "1e3"):
        with pytest.raises(ConfigurationError):
            parse_size(bad)


def test_catalog_argument() -> None:
    assert catalog_definition("pg=postgresql://h/db?x=y") == CatalogDefinition("pg", "postgresql://h/db?x=y")
    for bad in ("pg", "=x", "pg=", "a.b=x"):
        with pytest.raises(ConfigurationError):
            catalog_definition(bad)


def test_secrets_do_not_print() -> None:
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r}" and secret.reveal() == "hush"
