"""`shoal serve`: puts catalogs, engine and listener together, says when it is ready, and ends in order.

SIGTERM drains: no new connections, running statements finish, then exit code 0. SIGINT does the same with 130; a
second one ends at once.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import shlex
import signal
import socket
import sys
from typing import TYPE_CHECKING

from shoal.catalog.config import Config
from shoal.catalog.errors import ConfigurationError, IoError
from shoal.catalog.registry import Catalogs
from shoal.server.cli import DEFAULT_CLUSTER_PORT, DEFAULT_PORT, INTERRUPTED, OK, is_loopback

if TYPE_CHECKING:
    from shoal.exec.engine import Engine
    from shoal.server.listener import Server, ServerOptions

PORTS_TRIED = 100
_MEMORY_SHARE = 0.6

log = logging.getLogger("shoal.server")


def serve(config: Config, secret: bytes, cluster_port: int | None) -> int:
    """Serves until told to stop; gives the exit code. `cluster_port` None: the default, or the next free one."""
    logging.basicConfig(level=os.environ.get("SHOAL_LOG", "WARNING"), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _allow_files()
    try:
        return asyncio.run(_serve(config, secret, cluster_port))
    except KeyboardInterrupt:
        return INTERRUPTED


def _allow_files() -> None:
    """As many open files, and so connections, as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def worker_count(config: Config) -> int:
    return config.server.workers if config.server.workers is not None else os.cpu_count() or 1


def memory_bytes(config: Config) -> int:
    """What all queries may hold in all local workers together: what was given, or a share of the machine's memory."""
    if config.server.memory_bytes is not None:
        return config.server.memory_bytes
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _MEMORY_SHARE)


async def _serve(config: Config, secret: bytes, cluster_port: int | None) -> int:
    from shoal.exec.engine import Engine, EngineOptions
    from shoal.server.listener import Server

    stop, code = asyncio.Event(), OK
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        nonlocal code
        if stop.is_set():
            _end_at_once(engine)
        code = INTERRUPTED
        stop.set()

    catalogs = Catalogs(config.catalogs)
    workers = worker_count(config)
    host = config.server.host
    # Without a shared secret nobody else can join: the cluster's port then stays on this machine.
    cluster_host = host if secret else "127.0.0.1"
    engine = Engine(catalogs, EngineOptions(
        workers=workers, host=cluster_host, cluster_port=_cluster_port(cluster_host, cluster_port), secret=secret,
        memory_bytes=memory_bytes(config), spill_dir=str(config.server.spill_dir or "")))
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    add_system_schemas(catalogs)
    # The planner's modules load in a thread while the workers start; neither needs the other.
    warm = loop.run_in_executor(None, load_planner)
    server = Server(engine, catalogs.names, server_options(config))
    await engine.start()
    try:
        await warm
        gc.freeze()  # what is loaded by now stays: looking through it again and again would make statements wait
        port = await _listen(server, host, config.server.port)
        _announce(config, host, port, engine)
        await stop.wait()
    finally:
        await server.stop(drain=True)
        await engine.stop(drain=True)
        catalogs.close()
    return code


def add_system_schemas(catalogs: Catalogs) -> None:
    """pg_catalog and information_schema, with the settings this server knows."""
    from shoal.catalog.pg_catalog import PgCatalog
    from shoal.server.settings import setting_rows
    catalogs.add(PgCatalog(catalogs, {"pg_settings": setting_rows}))


def load_planner() -> None:
    """Imports what the first statement needs, so that it does not wait for it."""
    import shoal.exec.optimizer
    import shoal.exec.sql.bind
    import shoal.exec.sql.parse  # noqa: F401


def server_options(config: Config) -> ServerOptions:
    """Users, TLS and limits as the listener takes them. Raises: ConfigurationError."""
    from shoal.server.listener import ServerOptions
    from shoal.server.protocol.auth import Verifier
    from shoal.server.tls import certificate_hash, server_context

    users = {}
    for name, password in config.users.items():
        try:
            text = password.reveal()
            users[name] = Verifier.parse(text) if password.is_verifier else Verifier.of(text)
        except ValueError:
            raise ConfigurationError(f"users.{name}: not a valid SCRAM-SHA-256 verifier") from None
    settings = {}
    if config.limits.statement_timeout_s:
        settings["statement_timeout"] = f"{int(config.limits.statement_timeout_s * 1000)}ms"
    if config.limits.query_memory_bytes:
        settings["shoal.query_memory"] = str(config.limits.query_memory_bytes)
    tls = config.tls
    return ServerOptions(
        users=users, access=config.access,
        tls=server_context(tls.certificate, tls.key, tls.client_ca, tls.client_certificates == "required") if tls else None,
        certificate_hash=certificate_hash(tls.certificate) if tls else None, max_connections=config.limits.connections,
        authentication_timeout_s=config.limits.authentication_timeout_s, settings=settings)


def _cluster_port(host: str, asked: int | None) -> int:
    """The port workers join on: the one asked for, else the default or the next free one."""
    if asked is not None:
        return asked
    for port in range(DEFAULT_CLUSTER_PORT, DEFAULT_CLUSTER_PORT + PORTS_TRIED):
        try:
            with socket.create_server((host, port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                break
    return 0


async def _listen(server: Server, host: str, asked: int | None) -> int:
    """Raises: IoError (58030) when the address cannot be had."""
    ports = [asked] if asked is not None else range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    for port in ports:
        try:
            found: int = await server.listen(host, port)
        except OSError as error:
            if asked is not None or error.errno != errno.EADDRINUSE:
                raise IoError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}") from None
            continue
        if asked is None and found != DEFAULT_PORT:
            print(f"port {DEFAULT_PORT} is taken, using {found}", flush=True)
        return found
    raise IoError(f"cannot listen on {host}: ports {DEFAULT_PORT} to {DEFAULT_PORT + PORTS_TRIED - 1} are all taken")


def _announce(config: Config, host: str, port: int, engine: Engine) -> None:
    count = engine.workers
    shown = f"[{host}]" if ":" in host else host
    print(f"shoal ready on {shown}:{port} with {count} worker{'' if count == 1 else 's'}", flush=True)
    reach = host if is_loopback(host) else "127.0.0.1" if host in ("0.0.0.0", "::") else host
    names = {definition.name: definition for definition in config.catalogs}
    database = "files" if "files" in names else "sample" if list(names) == ["sample"] else "shoal"
    user = next(iter(config.users), "shoal")
    line = f"psql -h {reach} -p {port} -U {shlex.quote(user)} {database}"
    if (sample := _first_query(engine.catalogs, database)) is not None:
        line += f" -c {shlex.quote(sample)}"
    print(line, flush=True)
    if config.server.workers == 0:
        address, cluster_port = engine.cluster_address
        print(f"workers join with: shoal worker --join {address}:{cluster_port} "
              f"--secret-file {config.server.cluster_secret_file}", flush=True)


def _first_query(catalogs: Catalogs, database: str) -> str | None:
    """A query that works at once, where looking for a table costs nothing."""
    from shoal.catalog.access import quoted
    if database != "sample":
        return None
    tables = catalogs.connector(database).tables("public")
    return f"SELECT * FROM {quoted(tables[0].name)} LIMIT 5" if tables else None


def _end_at_once(engine: Engine) -> None:
    """The second SIGINT: nothing is waited for; local workers go as well."""
    for pid in engine.local_pids.values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(INTERRUPTED)
