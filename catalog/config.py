"""shoal.toml: what a server can be told, as frozen dataclasses. Command-line values are merged over the file's.

Every mistake is one ConfigurationError that names the key; the command line turns it into exit code 2. Secrets are
held as `Secret`, which does not print.

    [server]
    host = "127.0.0.1"            port = 5433             http_port = 8433        cluster_port = 7433
    workers = "auto"              memory = "4GB"          spill_dir = "/var/tmp"  data_dir = "/var/lib/shoal"
    cluster_secret_file = "/etc/shoal/secret"
    paths = ["/data/lake"]        # mounted in catalog `files`
    [catalogs]
    pg = "postgresql://reader:${PG_PASSWORD}@db/sales"
    lake = {url = "s3://bucket/x", region = "eu-west-1"}
    [users]
    ada = "SCRAM-SHA-256$4096:..."          # a verifier, or a password
    bob = {password = "${BOB_PASSWORD}"}    # ${NAME} is the environment's
    [access]                                # how users show who they are; without a row: SCRAM-SHA-256
    bob = "password"                        # in the clear, over TLS only
    carl = "certificate"                    # a client certificate whose common name is carl
    eve = {method = "trust", from = ["10.1.0.0/16"]}    # by default from this machine only
    [tls]
    certificate = "server.crt"    key = "server.key"      client_ca = "ca.crt"
    client_certificates = "optional"        # or "required", the default with a client_ca
    [limits]
    connections = 100             authentication_timeout = "60s"   statement_timeout = "0s"   query_memory = "1GB"
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import ConfigurationError, did_you_mean

_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20, "gb": 1 << 30, "gib": 1 << 30,
          "tb": 1 << 40, "tib": 1 << 40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_NAME = re.compile(r"[^\s\"$./]+\Z")


class Secret:
    """Text that neither str() nor repr() shows; `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def is_verifier(self) -> bool:
        """Whether this is a SCRAM verifier rather than a password (RFC 5803 as PostgreSQL writes it)."""
        return self._text.startswith("SCRAM-SHA-256$")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str = "127.0.0.1"
    port: int | None = None
    """None: 5433, or the next free one; 0: any free port; a number: that one or failure. Likewise http_port (8433)."""
    http_port: int | None = None
    cluster_port: int = 7433
    workers: int | None = None
    """None is "auto": one for each core. 0: wait for remote workers."""
    memory_bytes: int | None = None
    spill_dir: Path | None = None
    data_dir: Path | None = None
    cluster_secret_file: Path | None = None
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsConfig:
    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_certificates: Literal["required", "optional"] = "required"
    """Where there is a client_ca."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """How a user shows who they are when they come from these networks; from elsewhere it is SCRAM-SHA-256."""

    method: Literal["scram-sha-256", "password", "certificate", "trust"] = "scram-sha-256"
    networks: tuple[str, ...] = ()
    """Empty: any."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    connections: int = 10_000
    """Idle ones are cheap: some 10 kB each."""
    authentication_timeout_s: float = 60.0
    statement_timeout_s: float = 0.0
    """0: none."""
    query_memory_bytes: int | None = None
    queries: int | None = None
    """Statements that run at the same time; None: no limit."""


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerConfig = field(default_factory=ServerConfig)
    catalogs: tuple[CatalogDefinition, ...] = ()
    users: Mapping[str, Secret] = field(default_factory=dict)
    """Passwords or SCRAM verifiers by user name; empty: open to everyone on this machine."""
    access: Mapping[str, AccessRule] = field(default_factory=dict)
    """By user name."""
    tls: TlsConfig | None = None
    limits: LimitsConfig = field(default_factory=LimitsConfig)

    def merge(self, *, catalogs: tuple[CatalogDefinition, ...] = (), **server: Any) -> Config:
        """This configuration with command-line values over it: `server` are ServerConfig's fields, None meaning not
        given; a catalog replaces the file's of the same name."""
        given = {key: value for key, value in server.items() if value is not None}
        by_name = {definition.name: definition for definition in (*self.catalogs, *catalogs)}
        return replace(self, server=replace(self.server, **given), catalogs=tuple(by_name.values()))


def parse_size(text: str | int, key: str = "size") -> int:
    """Bytes of `256MB`, `4GB`, `1.5GiB` or a plain number (units are powers of 1024). Raises: ConfigurationError."""
    expected = "a size such as 256MB or 4GB"
    size = int(_quantity(text, _UNITS, key, expected))
    if not size:
        raise ConfigurationError(f"{key}: {text!r} is not {expected}")
    return size


def parse_duration_s(text: str | float, key: str = "duration") -> float:
    """Seconds of `30s`, `500ms`, `5min` or a plain number. Raises: ConfigurationError."""
    return _quantity(text, _SECONDS, key, "a duration such as 30s or 5min")


def _quantity(text: str | float, units: Mapping[str, float], key: str, expected: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([A-Za-z]*)\s*", str(text))
    unit = units.get(found[2].lower()) if found and not isinstance(text, bool) else None
    if found is None or unit is None:
        raise ConfigurationError(f"{key}: {text!r} is not {expected}")
    return float(found[1]) * unit


def parse_workers(text: str | int, key: str = "workers") -> int | None:
    """A count of worker processes; None for "auto". Raises: ConfigurationError."""
    if text == "auto":
        return None
    if isinstance(text, bool) or not str(text).isdecimal() or int(text) > 4096:
        raise ConfigurationError(f'{key}: {text!r} is neither "auto" nor a number of workers')
    return int(text)


def parse_port(text: str | int, key: str = "port") -> int:
    if isinstance(text, bool) or not str(text).isdecimal() or int(text) > 65535:
        raise ConfigurationError(f"{key}: {text!r} is not a port number (0 to 65535)")
    return int(text)


def catalog_definition(text: str) -> CatalogDefinition:
    """The definition in a command line's NAME=URL. Raises: ConfigurationError."""
    name, equals, url = text.partition("=")
    if not equals or not url:
        raise ConfigurationError(f"--catalog {text!r} is not NAME=URL")
    return CatalogDefinition(_catalog_name(name, "--catalog"), url)


def load(path: str | Path) -> Config:
    """The configuration in a TOML file; relative paths in it are relative to the file's folder.

    Raises: ConfigurationError (F0000) naming the file and the key.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    try:
        return parse(document, path.parent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from None


def parse(document: Mapping[str, Any], folder: Path = Path()) -> Config:
    """The configuration in a parsed TOML document. Raises: ConfigurationError naming the key."""
    _only(document, {"server", "catalogs", "users", "access", "tls", "limits"}, "")
    server = _section(document, "server", _SERVER, folder)
    tls = None
    if "tls" in document:
        values = _section(document, "tls", _TLS, folder)
        for required in ("certificate", "key"):
            if required not in values:
                raise ConfigurationError(f"tls.{required} is missing")
        tls = TlsConfig(**values)
    return Config(ServerConfig(**server), _catalogs(_table(document, "catalogs")), _users(_table(document, "users")),
                  _access(_table(document, "access")), tls,
                  LimitsConfig(**_section(document, "limits", _LIMITS, folder)))


Reader = Callable[[Any, str, Path], Any]


def _text(value: Any, key: str, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{key}: expected a text, not {value!r}")
    return _expanded(value, key)


def _path(value: Any, key: str, folder: Path) -> Path:
    return folder / Path(_text(value, key, folder)).expanduser()


def _paths(value: Any, key: str, folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{key}: expected a list of paths, not {value!r}")
    return tuple(item if "://" in (item := _text(one, key, folder)) else str(_path(item, key, folder)) for one in value)


def _count(value: Any, key: str, folder: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{key}: expected a number above 0, not {value!r}")
    return value


_SERVER: dict[str, tuple[str, Reader]] = {
    "host": ("host", _text),
    "port": ("port", lambda v, k, f: parse_port(v, k)),
    "http_port": ("http_port", lambda v, k, f: parse_port(v, k)),
    "cluster_port": ("cluster_port", lambda v, k, f: parse_port(v, k)),
    "workers": ("workers", lambda v, k, f: parse_workers(v, k)),
    "memory": ("memory_bytes", lambda v, k, f: parse_size(v, k)),
    "spill_dir": ("spill_dir", _path),
    "data_dir": ("data_dir", _path),
    "cluster_secret_file": ("cluster_secret_file", _path),
    "paths": ("paths", _paths),
}
_TLS: dict[str, tuple[str, Reader]] = {"certificate": ("certificate", _path), "key": ("key", _path),
                                       "client_ca": ("client_ca", _path),
                                       "client_certificates": ("client_certificates",
                                                               lambda v, k, f: _presence(v, k, f))}
_LIMITS: dict[str, tuple[str, Reader]] = {
    "connections": ("connections", _count),
    "queries": ("queries", _count),
    "authentication_timeout": ("authentication_timeout_s", lambda v, k, f: parse_duration_s(v, k)),
    "statement_timeout": ("statement_timeout_s", lambda v, k, f: parse_duration_s(v, k)),
    "query_memory": ("query_memory_bytes", lambda v, k, f: parse_size(v, k)),
}
"""TOML key -> field of the section's dataclass, and how its value is read."""


def _only(table: Mapping[str, Any], known: set[str], prefix: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigurationError(f"unknown key {prefix}{key}",
                                     hint=did_you_mean(key, known) or f"Known are: {', '.join(sorted(known))}.")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name}: expected a table [{name}], not {value!r}")
    return value


def _section(document: Mapping[str, Any], name: str, readers: Mapping[str, tuple[str, Reader]],
             folder: Path) -> dict[str, Any]:
    table = _table(document, name)
    _only(table, set(readers), f"{name}.")
    return {readers[key][0]: readers[key][1](value, f"{name}.{key}", folder) for key, value in table.items()}


def _catalogs(table: Mapping[str, Any]) -> tuple[CatalogDefinition, ...]:
    found = []
    for name, value in table.items():
        key = f"catalogs.{_catalog_name(name, 'catalogs')}"
        entry = {"url": value} if isinstance(value, str) else value
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str) or not entry["url"]:
            raise ConfigurationError(f"{key}: expected a URL, or a table with a url")
        options: dict[str, str] = {}
        for option, given in entry.items():
            if option != "url":
                options[option] = _option(given, f"{key}.{option}")
        found.append(CatalogDefinition(name, _expanded(entry["url"], key), options))
    return tuple(found)


def _option(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _expanded(value, key)
    if isinstance(value, int | float):
        return str(value)
    raise ConfigurationError(f"{key}: expected a text, number or boolean, not {value!r}")


def _catalog_name(name: str, key: str) -> str:
    if not _NAME.match(name):
        raise ConfigurationError(f"{key}: {name!r} cannot be the name of a catalog")
    return name


def _users(table: Mapping[str, Any]) -> dict[str, Secret]:
    found = {}
    for name, value in table.items():
        key = f"users.{name}"
        if isinstance(value, dict):
            _only(value, {"password", "verifier"}, f"{key}.")
            if len(value) != 1:
                raise ConfigurationError(f"{key}: expected either a password or a verifier")
            value = next(iter(value.values()))
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{key}: expected a password or a SCRAM verifier")  # never echo the value
        # a verifier holds $ and braces of its own, but never ${NAME}
        found[name] = Secret(_expanded(value, key))
    return found


_METHODS = ("scram-sha-256", "password", "certificate", "trust")
_THIS_MACHINE = ("127.0.0.0/8", "::1/128")


def _access(table: Mapping[str, Any]) -> dict[str, AccessRule]:
    found = {}
    for name, value in table.items():
        key = f"access.{name}"
        rule = value if isinstance(value, dict) else {"method": value}
        _only(rule, {"method", "from"}, f"{key}.")
        method = rule.get("method")
        if method not in _METHODS:
            raise ConfigurationError(f"{key}: {method!r} is not a method", hint=f"Methods: {', '.join(_METHODS)}.")
        networks = rule.get("from", _THIS_MACHINE if method == "trust" else ())
        try:
            found[name] = AccessRule(method, tuple(str(ipaddress.ip_network(network)) for network in networks))
        except (ValueError, TypeError):
            raise ConfigurationError(f"{key}.from: expected a list of networks such as 10.1.0.0/16") from None
    return found


def _presence(value: Any, key: str, folder: Path) -> str:
    if value not in ("required", "optional"):
        raise ConfigurationError(f'{key}: expected "required" or "optional", not {value!r}')
    return str(value)


def _expanded(text: str, key: str) -> str:
    """`text` with each ${NAME} replaced from the environment."""
    def lookup(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigurationError(f"{key}: the environment variable {match[1]} is not set")
        return os.environ[match[1]]
    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", lookup, text)
