"""The `shoal` command: serve, worker, query, check, version.

Parses and checks arguments with light imports only; what runs a server is imported when it is needed
(server/serving.py, server/oneshot.py). Exit codes: 0 clean, 1 failure, 2 bad usage or configuration (one clear line, no
traceback), 130 interrupted.
"""

from __future__ import annotations

import argparse
import glob
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

if TYPE_CHECKING:
    from shoal.catalog.config import Config

OK, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
DEFAULT_PORT, DEFAULT_CLUSTER_PORT = 5433, 7433
MIN_SECRET_BYTES = 16


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (try {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["worker"]:  # its own parser, in the package that workers are made of
            from shoal.exec.worker.__main__ import main as worker
            return worker(given[1:])
        options = _parser().parse_args(given)
        return int(options.run(options))
    except SystemExit as stop:  # argparse: --help, or bad usage
        return stop.code if isinstance(stop.code, int) else FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILURE
    except Exception as error:
        from shoal.catalog.errors import ConfigurationError, SqlError
        if not isinstance(error, SqlError):
            raise
        complain(f"{error.message}. {error.hint}" if error.hint else error.message)
        return USAGE if isinstance(error, ConfigurationError) else FAILURE


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"shoal: {' '.join(message.split())}", file=sys.stderr)


def _parser() -> Parser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser("shoal", description="One Postgres endpoint over files, databases and lakes.",
                    epilog="examples:\n  shoal serve ~/data\n  shoal query -c 'SELECT count(*) FROM orders' ~/data\n"
                           "  shoal worker --join coordinator:7433 --secret-file secret", formatter_class=raw)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="start a server that Postgres clients connect to", formatter_class=raw,
                                description="Starts a server. Each PATH is a folder or file whose tables are mounted in the "
                                            "catalog `files`; without anything to show, a small sample is mounted.",
                                epilog="examples:\n  shoal serve\n  shoal serve ~/data sales.csv\n"
                                       "  shoal serve --catalog pg=postgresql://reader@db/sales --catalog lake=s3://bucket/x\n"
                                       "  shoal serve --config shoal.toml --host 0.0.0.0 --secret-file secret")
    serve.add_argument("paths", nargs="*", metavar="PATH", help="a folder, file, glob or URI of tables")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port,
                       help=f"port to listen on ({DEFAULT_PORT}, or the next free one; 0: any free one)")
    serve.add_argument("--http-port", type=_port, help="port of the HTTP interface (reserved: this version has none)")
    serve.add_argument("--cluster-port", type=_port,
                       help=f"port that workers join on ({DEFAULT_CLUSTER_PORT}, or the next free one; 0: any free one)")
    serve.add_argument("--secret-file", metavar="FILE", help="the secret that workers on other machines share")
    serve.add_argument("--workers", metavar="N|auto", help="local worker processes (auto: one per core; 0: only remote)")
    serve.add_argument("--data-dir", metavar="DIR", help="what the server itself keeps")
    _common(serve)
    serve.set_defaults(run=_serve)

    worker = commands.add_parser("worker", help="run a worker that joins a server")
    worker.set_defaults(run=None)

    query = commands.add_parser("query", help="run one statement without a server", formatter_class=raw,
                                description="Runs one SQL statement over the given files and catalogs, and prints its rows.",
                                epilog="examples:\n  shoal query -c 'SELECT count(*) FROM orders' ~/data\n"
                                       "  shoal query -c 'SELECT * FROM pg.public.users' --csv "
                                       "--catalog pg=postgresql://reader@db/sales")
    query.add_argument("paths", nargs="*", metavar="PATH", help="a folder, file, glob or URI of tables")
    query.add_argument("-c", "--command", required=True, metavar="SQL", help="the statement")
    query.add_argument("--csv", action="store_true", help="print comma-separated values instead of a table")
    query.add_argument("--database", metavar="NAME", help="the catalog that unqualified names are looked up in first")
    query.add_argument("--workers", metavar="N|auto", help="local worker processes (auto: one per core)")
    _common(query)
    query.set_defaults(run=_query)

    check = commands.add_parser("check", help="check a configuration file", formatter_class=raw,
                                description="Checks a configuration without starting anything.",
                                epilog="example:\n  shoal check --config shoal.toml")
    check.add_argument("--config", required=True, metavar="FILE", help="the TOML file")
    check.set_defaults(run=_check)

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _common(parser: Parser) -> None:
    parser.add_argument("--catalog", action="append", default=[], metavar="NAME=URL",
                        help="mount a catalog: pg=postgresql://u@h/db lake=s3://bucket/x lite=sqlite:f.db h=tpch:?scale=1")
    parser.add_argument("--config", metavar="FILE", help="settings in TOML; options given here come before it")
    parser.add_argument("--memory", metavar="SIZE", help="the most that all queries together may hold, such as 4GB")
    parser.add_argument("--spill-dir", metavar="DIR", help="where to put what does not fit into memory")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to 65535)")
    return int(text)


def _config(options: argparse.Namespace) -> Config:
    """The configuration file with the command line's values over it. Raises: ConfigurationError."""
    from shoal.catalog import config
    from shoal.catalog.errors import ConfigurationError

    base = config.load(options.config) if options.config else config.Config()
    catalogs = tuple(config.catalog_definition(text) for text in options.catalog)
    for i, definition in enumerate(catalogs):
        if definition.name in {other.name for other in catalogs[:i]}:
            raise ConfigurationError(f"--catalog: {definition.name} is given twice")
    workers = config.parse_workers(options.workers, "--workers") if options.workers is not None else None

    def path(name: str) -> Path | None:
        value = getattr(options, name, None)
        return Path(value).expanduser() if value else None

    merged = base.merge(
        catalogs=catalogs, host=getattr(options, "host", None), port=getattr(options, "port", None),
        http_port=getattr(options, "http_port", None), workers=workers, data_dir=path("data_dir"),
        spill_dir=path("spill_dir"), cluster_secret_file=path("secret_file"), paths=tuple(options.paths) or None,
        memory_bytes=config.parse_size(options.memory, "--memory") if options.memory is not None else None)
    if options.workers == "auto":
        from dataclasses import replace
        merged = replace(merged, server=replace(merged.server, workers=None))
    return _with_mounts(merged)


def _with_mounts(merged: Config) -> Config:
    """Adds the catalogs `files` (from PATHs) or `sample` (from nothing at all). Raises: ConfigurationError."""
    from shoal.catalog.connector import CatalogDefinition
    from shoal.catalog.errors import ConfigurationError

    names = {definition.name for definition in merged.catalogs}
    paths = merged.server.paths
    for path in paths:
        local = os.path.expanduser(path)
        if "://" not in path and not os.path.exists(local) and not glob.glob(local, recursive=True):
            raise ConfigurationError(f"{path}: no such file or folder")
    if paths:
        if "files" in names:
            raise ConfigurationError("a catalog is named files, which is the catalog of the given paths: rename it")
        absolute = [path if "://" in path else os.path.abspath(os.path.expanduser(path)) for path in paths]
        url = absolute[0] if len(absolute) == 1 else "files:?" + urlencode([("path", path) for path in absolute])
        return merged.merge(catalogs=(CatalogDefinition("files", url),))
    if not names:
        return merged.merge(catalogs=(CatalogDefinition("sample", "sample:"),))
    return merged


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(config: Config) -> None:
    """Refuses to be open to other machines by mistake. Raises: ConfigurationError."""
    from shoal.catalog.errors import ConfigurationError

    server = config.server
    if not is_loopback(server.host):
        if not config.users and not config.access:
            raise ConfigurationError(f"refusing to listen on {server.host} without users: anybody could connect",
                                     hint="Add a [users] section to the configuration, or listen on 127.0.0.1.")
        if server.cluster_secret_file is None:
            raise ConfigurationError(f"refusing to listen on {server.host} with workers and no cluster secret",
                                     hint="Make one with `openssl rand -hex 32 > secret` and give --secret-file secret.")
    if server.workers == 0 and server.cluster_secret_file is None:
        raise ConfigurationError("--workers 0 waits for other workers to join, which needs a secret that they share",
                                 hint="Make one with `openssl rand -hex 32 > secret` and give --secret-file secret.")


def read_secret(path: Path | None) -> bytes:
    """The cluster secret in a file; empty without one. Raises: ConfigurationError."""
    from shoal.catalog.errors import ConfigurationError

    if path is None:
        return b""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the secret file {path}: {error.strerror}") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigurationError(f"{path}: a cluster secret needs at least {MIN_SECRET_BYTES} bytes")
    return secret


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    check_exposure(config)
    secret = read_secret(config.server.cluster_secret_file)
    _check_folder(config.server.data_dir, "--data-dir")
    _check_folder(config.server.spill_dir, "--spill-dir")
    from shoal.exec.missing_imports import remember_missing_imports
    from shoal.server.serving import serve
    remember_missing_imports()
    asked = options.cluster_port
    if asked is None and config.server.cluster_port != DEFAULT_CLUSTER_PORT:
        asked = config.server.cluster_port
    return serve(config, secret, asked)


def _check_folder(path: Path | None, option: str) -> None:
    from shoal.catalog.errors import ConfigurationError

    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: cannot be used: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{option} {path}: cannot be written")


def _query(options: argparse.Namespace) -> int:
    from shoal.exec.missing_imports import remember_missing_imports
    from shoal.server.oneshot import run
    remember_missing_imports()
    config = _config(options)
    _check_folder(config.server.spill_dir, "--spill-dir")
    return run(config, options.command, csv=options.csv, database=options.database)


def _check(options: argparse.Namespace) -> int:
    from shoal.catalog import config, registry
    loaded = _with_mounts(config.load(options.config))
    check_exposure(loaded)
    read_secret(loaded.server.cluster_secret_file)
    from shoal.server.serving import server_options
    server_options(loaded)
    registry.Catalogs(loaded.catalogs).close()
    names = ", ".join(sorted(definition.name for definition in loaded.catalogs))
    print(f"{options.config}: ok, catalogs: {names}")
    return OK


def _version(options: argparse.Namespace) -> int:
    from shoal.server.settings import SERVER_VERSION, VERSION
    print(f"shoal {VERSION} (answers as PostgreSQL {SERVER_VERSION.split()[0]})")
    return OK


if __name__ == "__main__":
    sys.exit(main())
