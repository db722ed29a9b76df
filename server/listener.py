"""The listener: sockets in, sessions out. Hop 1 of a query's way.

`Server` owns what sessions share; `ClientConnection` moves one client's bytes between its socket (through TLS where
asked for) and the sans-IO protocol, starts it up, authenticates it, and runs its session in one task.

Spec: PostgreSQL documentation, 55.2.1 "Start-up", 55.2.9 "Canceling Requests in Progress".
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.catalog.config import AccessRule
from shoal.catalog.errors import (
    AdminShutdown,
    FeatureNotSupported,
    InvalidAuthorization,
    InvalidParameterValue,
    ProtocolViolation,
    QueryCanceled,
    SqlError,
    TooManyConnections,
    UndefinedDatabase,
    did_you_mean,
)
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.registry import FEDERATED, SYSTEM
from shoal.exec.engine import Engine
from shoal.exec.exchange.sockets import prepare_for_bulk
from shoal.server.advisory import AdvisoryLocks
from shoal.server.authentication import Failures, Gate, Stranger
from shoal.server.monitoring import Monitoring
from shoal.server.notifications import Notifications
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection
from shoal.server.responses import as_sql_error, error_response
from shoal.server.session import IdleTimeout, Session
from shoal.server.tls import TlsStream

log = logging.getLogger("shoal.server")

READ_BYTES = 256 << 10
READ_AHEAD_BYTES = 256 << 10
"""How much of a client's input may wait before its socket is no longer read."""
WRITE_AHEAD_BYTES = 256 << 10
"""How much output may wait in the process before a session pauses."""
MESSAGES_AT_ONCE = 64
"""Messages of one client that are handled before others get their turn."""
GONE_AFTER_S = 0.5
"""A client that has closed its side is taken for gone when its statement has not ended after this long."""
_MAX_UNAUTHENTICATED = 1_000


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Neither `users` nor `access`: everyone is let in (the command line allows that on loopback only)."""

    users: Mapping[str, auth.Verifier] = field(default_factory=dict, repr=False)
    access: Mapping[str, AccessRule] = field(default_factory=dict)
    """How users show who they are, by name; without a rule by SCRAM."""
    tls: ssl.SSLContext | None = None
    certificate_hash: bytes | None = None
    """The channel binding of the certificate, for SCRAM-SHA-256-PLUS."""
    max_connections: int = 10_000
    authentication_timeout_s: float = 60.0
    settings: Mapping[str, str] = field(default_factory=dict)
    """Defaults of every session's settings."""


class Server:
    """One listening server. `databases` gives the names clients may connect to."""

    def __init__(self, engine: Engine, databases: Callable[[], Iterable[str]], options: ServerOptions | None = None) -> None:
        self.engine, self.databases, self.options = engine, databases, options or ServerOptions()
        self.notifications = Notifications()
        self.advisory_locks = AdvisoryLocks()
        self.schema_version = 0
        self.started_us = time.time_ns() // 1000
        self.sessions: dict[int, ClientConnection] = {}
        self.unauthenticated = 0
        self.receiving = memoryview(bytearray(READ_BYTES))
        self.gate = Gate(self.options.users, self.options.access, self.options.certificate_hash, secrets.token_bytes(32),
                         Failures())
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.stopping = False

    async def listen(self, host: str, port: int) -> int:
        """Starts to listen; gives the port. Raises: OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        catalog = self.engine.catalogs.connector(SYSTEM)
        assert isinstance(catalog, PgCatalog)
        Monitoring(self, loop).publish(catalog)
        self._listener = await loop.create_server(lambda: ClientConnection(self), host, port, backlog=1024)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self, drain: bool = True, timeout_s: float = 60.0) -> None:
        """Stops listening and ends all sessions: running statements finish first when draining."""
        self.stopping = True
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.sessions.values()):
            connection.stop()
        pending = set(self._tasks)
        if drain and pending:
            _, pending = await asyncio.wait(pending, timeout=timeout_s)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=5.0)
        if self._listener is not None:
            await self._listener.wait_closed()

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of a connection, owned by the server until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def enter(self, connection: ClientConnection) -> int:
        """A process id for a new session. Raises: TooManyConnections (53300)."""
        if len(self.sessions) >= self.options.max_connections:
            raise TooManyConnections("sorry, too many clients already")
        while (process_id := secrets.randbelow(0x7FFFFFFE) + 1) in self.sessions:
            pass
        self.sessions[process_id] = connection
        return process_id

    def cancel(self, process_id: int, secret: bytes) -> None:
        """A cancel request: silently nothing unless the secret is the session's."""
        connection = self.sessions.get(process_id)
        if connection is not None and connection.session is not None and hmac.compare_digest(connection.secret, secret):
            connection.session.interrupts.request()


class ClientConnection(asyncio.BufferedProtocol):
    """One client's socket. Also the session's `Client`: it reads messages and writes bytes.

    Messages are handled as they arrive. One that has to wait for something goes on in a task, which then handles those
    that have come in the meantime and ends when there are none: an idle session has no task.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = Connection()
        self._transport: asyncio.Transport | None = None
        self._tls: TlsStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._error: SqlError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = self._lost = self._closing = self._running = False
        self._paused_reading = self._paused_writing = self._direct_tls = False
        self._process_id = 0
        self._address = ""
        self.peer: tuple[str | None, int] = (None, -1)
        """The client's address and port; None and -1 on a local socket."""
        self.own: tuple[str | None, int] = (None, -1)
        """The server's, likewise."""
        self.secret = b""
        self.session: Session | None = None

    # --- asyncio.BufferedProtocol ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.peer = (self._address, int(peer[1])) if isinstance(peer, tuple) else (None, -1)
        transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES, low=WRITE_AHEAD_BYTES // 4)
        own = transport.get_extra_info("sockname")
        self.own = (str(own[0]), int(own[1])) if isinstance(own, tuple) else (None, -1)
        prepare_for_bulk(transport.get_extra_info("socket"))
        self._server.unauthenticated += 1
        if self._server.stopping or self._server.unauthenticated > _MAX_UNAUTHENTICATED:
            transport.abort()
        self._task = self._server.run(self._start())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.receiving  # one for all: what is received is taken out of it before anything else is

    def buffer_updated(self, nbytes: int) -> None:
        self._receive(self._server.receiving[:nbytes])

    def _receive(self, data: bytes | memoryview) -> None:
        try:
            if self._tls is not None:
                data = self._tls.receive(data)
                self._send_encrypted()
                if self._tls.closed:
                    self._ended = True
            if data:
                self._connection.feed(data)
        except ssl.SSLError as error:
            log.info("TLS with %s failed: %s", self._address, error.reason)
            self._abort()
        except SqlError as error:
            self._error = error
        self._handle_or_wake()
        if self._task is not None and self._connection.pending_bytes > READ_AHEAD_BYTES and self._reader is None:
            self._pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self._handle_or_wake()
        if self._task is not None:
            asyncio.get_running_loop().call_later(GONE_AFTER_S, self._check_gone)
        return True  # what was sent before is still answered

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = self._ended = True
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        self._check_gone()
        if self._task is None:
            self._go_on(None)
        else:
            self._handle_or_wake()

    def pause_writing(self) -> None:
        self._paused_writing = True

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        elif self._task is None:
            self._handle_messages()

    def _check_gone(self) -> None:
        """Stops what runs for a client that has gone. A task that has not begun will see for itself."""
        if self._task is not None and self._running and not self._closing and self.session is not None:
            self._task.cancel()

    def _handle_or_wake(self) -> None:
        if self._task is None:
            self._handle_messages()
        elif self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause_reading(self) -> None:
        if not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused_reading and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()

    # --- messages ----------------------------------------------------------------------------------------------------

    def _handle_messages(self) -> None:
        """Handles what has come, as far as nothing has to be waited for. Called while no task of ours runs."""
        session = self.session
        if session is None or self._closing:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if session.stopping:
                raise AdminShutdown("terminating connection due to administrator command")
            for _ in range(MESSAGES_AT_ONCE):
                message = None if self._paused_writing else self._connection.next_message()
                if message is None:
                    break
                if type(message) is m.Terminate:
                    self._ended = True
                    self._connection.close()
                    break
                rest = session.handle(message)
                if rest is not None:
                    self._go_on(rest)
                    return
            else:  # others get their turn
                self._go_on(asyncio.sleep(0))
                return
            session.flush()
            if self._paused_writing:
                self._pause_reading()  # until the client has taken its answers
            elif self._error is not None:
                raise self._error
            elif self._ended:
                self._go_on(None)
            else:
                self._resume_reading()
                self._watch(session)
        except Exception as error:
            self._fatal(as_sql_error(error))
            self._go_on(None)

    def _watch(self, session: Session) -> None:
        """Ends the session if it stays idle for too long."""
        seconds, reason = session.idle_timeout()
        if seconds:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._idle_for_too_long, reason)

    def _idle_for_too_long(self, reason: str) -> None:
        if self._task is None:
            self._fatal(IdleTimeout(reason))
            self._go_on(None)

    def _go_on(self, rest: Awaitable[None] | None) -> None:
        """Goes on in a task: with the rest of a message's work, or (None) to the end of the connection."""
        self._closing = self._closing or rest is None
        if self.session is not None:
            self.session.idle = False
        self._task = self._server.run(self._finish(rest))

    async def _finish(self, rest: Awaitable[None] | None) -> None:
        self._running = True
        try:
            if rest is not None:
                await rest
        except (ConnectionError, asyncio.CancelledError):
            if not self._lost and self._server.stopping:
                self._fatal(AdminShutdown("terminating connection due to administrator command"))
            self._abort()
        except Exception as error:
            self._closing = True
            self._fatal(as_sql_error(error))
        if self._closing or self._lost or self.session is None:
            await self._close()
            return
        self._task = None
        self._running = False
        self.session.idle = True
        self._handle_messages()

    async def _close(self) -> None:
        self._closing = True
        try:
            if self.session is not None:
                await self.session.close()
        finally:
            self._server.sessions.pop(self._process_id, None)
            self._connection.close()
            if self._transport is not None:
                self._transport.close()

    # --- the session's side ------------------------------------------------------------------------------------------

    async def read(self) -> m.Message | None:
        """The next message, for a task of ours; None when the client has gone. Raises: ProtocolViolation (08P01)."""
        while True:
            message = self._connection.next_message()
            if message is not None:
                return message
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            self._resume_reading()
            try:
                await self._reader
            finally:
                self._reader = None

    def write(self, data: bytes | memoryview) -> None:
        if self._lost or self._transport is None or self._transport.is_closing():
            return
        if self._tls is not None:
            self._tls.send(data)
            self._send_encrypted()
        else:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits until the client has taken enough of what was written. Raises: ConnectionResetError when it has gone."""
        if self._paused_writing and not self._lost:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        if self._lost:
            raise ConnectionResetError("the client has gone")

    def stop(self) -> None:
        """The server is shutting down: the session ends when it is next idle."""
        if self.session is not None:
            self.session.stopping = True
        else:
            self._ended = True
        self._handle_or_wake()

    def _send_encrypted(self) -> None:
        assert self._tls is not None and self._transport is not None
        if (pending := self._tls.pending()) and not self._lost:
            self._transport.write(pending)

    def _abort(self) -> None:
        self._ended = self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _fatal(self, error: SqlError) -> None:
        if self.session is not None:
            self.session.flush()
        self._send(error_response(error, "FATAL"))

    def _send(self, *messages: m.Message) -> None:
        self.write(b"".join(map(Connection.send, messages)))

    # --- start-up ------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Start-up and authentication; afterwards messages are the session's."""
        await self._finish(self._greet())

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(self._server.options.authentication_timeout_s):
                self.session = await self._start_up()
        except TimeoutError:
            raise QueryCanceled("canceling authentication due to timeout") from None
        finally:
            self._server.unauthenticated -= 1
        if self.session is not None:
            self.session.greet()

    async def _start_up(self) -> Session | None:
        start = await self._startup_message()
        if start is None:
            return None
        options = self._check_protocol(start)
        user = start.parameters.get("user", "")
        if not user:
            raise InvalidAuthorization("no PostgreSQL user name specified in startup packet")
        _check_replication(start.parameters.get("replication", "false"))
        await self._server.gate.admit(Stranger(user, self._address, self._tls, self._send, self._authentication_data))
        self._connection.authenticated()
        self._send(m.Authentication(0))
        database = self._database(start.parameters.get("database") or user)
        self._process_id = self._server.enter(self)
        self.secret = secrets.token_bytes(32 if start.protocol >= m.PROTOCOL_3_2 else 4)
        return Session(self._server, self, user=user, database=database, process_id=self._process_id,
                       secret=self.secret, password_checked=bool(self._server.options.users or self._server.options.access),
                       defaults={**self._server.options.settings, **options})

    async def _startup_message(self) -> m.StartupMessage | None:
        while True:
            message = await self.read()
            match message:
                case m.StartupMessage():
                    return message
                case m.SslRequest() if self._server.options.tls is not None:
                    self.write(self._connection.accept_encryption())
                    self._start_tls(b"")
                case m.SslRequest() | m.GssEncRequest():
                    self.write(self._connection.refuse_encryption())
                case m.DirectTls() if self._server.options.tls is not None:
                    self._direct_tls = True
                    self._start_tls(self._connection.take_buffered())
                case m.CancelRequest(process_id, secret):
                    self._server.cancel(process_id, secret)
                    return None
                case _:
                    return None

    def _start_tls(self, received: bytes) -> None:
        assert self._server.options.tls is not None
        self._tls = TlsStream(self._server.options.tls)
        self._connection.encryption_started()
        if received:
            self._receive(received)

    def _check_protocol(self, start: m.StartupMessage) -> dict[str, str]:
        """Negotiates what we do not know; gives the settings in the packet. Raises: FeatureNotSupported (0A000)."""
        major, minor = start.protocol >> 16, start.protocol & 0xFFFF
        if major != 3:
            raise FeatureNotSupported(f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")
        if self._direct_tls and self._tls is not None and self._tls.application_protocol != "postgresql":
            raise ProtocolViolation("received direct TLS connection request without ALPN protocol negotiation extension")
        extensions = tuple(name for name in start.parameters if name.startswith("_pq_."))
        if extensions or start.protocol > m.PROTOCOL_3_2:
            self._send(m.NegotiateProtocolVersion(min(start.protocol, m.PROTOCOL_3_2), extensions))
        given = {name: value for name, value in start.parameters.items()
                 if name not in ("user", "database", "replication", "options") and not name.startswith("_pq_.")}
        return {**parse_options(start.parameters.get("options", "")), **given}

    def _database(self, name: str) -> str:
        names = [FEDERATED, *self._server.databases()]
        if name in names:
            return name
        if name in ("postgres", "template1"):  # where tools go that only want some database
            return FEDERATED
        raise UndefinedDatabase(f'database "{name}" does not exist',
                                hint=did_you_mean(name, names) or f"There are: {', '.join(sorted(set(names)))}.")

    async def _authentication_data(self, expected: Literal["SASL", "password"]) -> bytes:
        self._connection.expected = expected
        message = await self.read()
        if message is None:
            raise ConnectionResetError("the client left while authenticating")
        assert isinstance(message, m.AuthenticationData)  # nothing else is legal
        return message.data


def _check_replication(value: str) -> None:
    """Raises: FeatureNotSupported (0A000), InvalidParameterValue (22023)."""
    if value.lower() in ("false", "off", "no", "0"):
        return
    if value.lower() in ("true", "on", "yes", "1", "database"):
        raise FeatureNotSupported("replication connections are not supported")
    raise InvalidParameterValue(f'invalid value for parameter "replication": "{value}"',
                                hint='Valid values are: "false", 0, "true", 1, "database".')


def parse_options(text: str) -> dict[str, str]:
    """The settings in a start-up packet's `options`: `-c name=value` and `--name=value`, a backslash escapes a space.

    Other words are ignored.
    """
    words, word, escaped = [], "", False
    for character in text + " ":
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif character.isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += character
    found: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "-c" and position < len(words):
            word = words[position]
            position += 1
        elif word.startswith(("-c", "--")):
            word = word[2:]
        else:
            continue
        name, equals, value = word.partition("=")
        if equals:
            found[name.replace("-", "_")] = value
    return found
