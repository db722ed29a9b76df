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
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shoal.catalog.errors import (
    AdminShutdown,
    FeatureNotSupported,
    InvalidAuthorization,
    InvalidPassword,
    ProtocolViolation,
    QueryCanceled,
    SqlError,
    TooManyConnections,
    UndefinedDatabase,
    did_you_mean,
)
from shoal.catalog.registry import FEDERATED
from shoal.exec.engine import Engine
from shoal.server.notifications import Notifications
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection
from shoal.server.responses import as_sql_error, error_response
from shoal.server.session import Session
from shoal.server.tls import TlsStream

log = logging.getLogger("shoal.server")

READ_AHEAD_BYTES = 256 << 10
"""How much of a client's input may wait before its socket is no longer read."""
WRITE_AHEAD_BYTES = 256 << 10
"""How much output may wait in the process before a session pauses."""
GONE_AFTER_S = 0.5
"""A client that has closed its side is taken for gone when its statement has not ended after this long."""
_MAX_UNAUTHENTICATED = 1_000
_MAX_REMEMBERED_FAILURES = 10_000
_LONGEST_DELAY_S = 8.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`users` empty: everyone is let in (the command line allows that on loopback only)."""

    users: Mapping[str, auth.Verifier] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    certificate_hash: bytes | None = None
    """The channel binding of the certificate, for SCRAM-SHA-256-PLUS."""
    max_connections: int = 100
    authentication_timeout_s: float = 60.0
    settings: Mapping[str, str] = field(default_factory=dict)
    """Defaults of every session's settings."""


class Server:
    """One listening server. `databases` gives the names clients may connect to."""

    def __init__(self, engine: Engine, databases: Callable[[], Iterable[str]], options: ServerOptions | None = None) -> None:
        self.engine, self.databases, self.options = engine, databases, options or ServerOptions()
        self.notifications = Notifications()
        self.schema_version = 0
        self.sessions: dict[int, ClientConnection] = {}
        self.unauthenticated = 0
        self.mock_secret = secrets.token_bytes(32)
        self._failures: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.stopping = False

    async def listen(self, host: str, port: int) -> int:
        """Starts to listen; gives the port. Raises: OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
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

    def run(self, connection: ClientConnection) -> asyncio.Task[None]:
        """The task that serves a connection, owned by the server until it ends."""
        task = asyncio.get_running_loop().create_task(connection.serve())
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

    def failure_delay_s(self, user: str, address: str) -> float:
        """How long a failed login of this user from this address waits; it doubles each time."""
        key = user, address
        count = self._failures[key] = self._failures.pop(key, 0) + 1
        while len(self._failures) > _MAX_REMEMBERED_FAILURES:
            self._failures.popitem(last=False)
        return min(0.05 * 2 ** min(count - 1, 20), _LONGEST_DELAY_S)

    def login_succeeded(self, user: str, address: str) -> None:
        self._failures.pop((user, address), None)


class ClientConnection(asyncio.Protocol):
    """One client's socket. Also the session's `Client`: it reads messages and writes bytes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = Connection()
        self._transport: asyncio.Transport | None = None
        self._tls: TlsStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._error: SqlError | None = None
        self._ended = False
        self._lost = False
        self._paused_reading = False
        self._paused_writing = False
        self._process_id = 0
        self._address = ""
        self.secret = b""
        self.session: Session | None = None

    # --- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else "local"
        transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES, low=WRITE_AHEAD_BYTES // 4)
        self._server.unauthenticated += 1
        if self._server.stopping or self._server.unauthenticated > _MAX_UNAUTHENTICATED:
            transport.abort()
        self._task = self._server.run(self)

    def data_received(self, data: bytes) -> None:
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
        assert self._transport is not None
        if self._connection.pending_bytes > READ_AHEAD_BYTES and not self._paused_reading and self._reader is None:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        if self.session is not None and not self.session.idle:
            asyncio.get_running_loop().call_later(GONE_AFTER_S, self._check_gone)
        return True  # what was sent before is still answered

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = self._ended = True
        self._wake()
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        if self._task is not None and self.session is not None and not self.session.idle:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._paused_writing = True

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _check_gone(self) -> None:
        if self._task is not None and self.session is not None and not self.session.idle and not self._task.done():
            self._task.cancel()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- the session's side --------------------------------------------------------------------------------------------

    async def read(self) -> m.Message | None:
        """The next message; None when the client has gone. Raises: ProtocolViolation (08P01)."""
        while True:
            message = self._connection.next_message()
            if message is not None:
                return message
            if self._error is not None:
                raise self._error
            if self._ended or (self.session is not None and self.session.stopping):
                return None
            self._reader = asyncio.get_running_loop().create_future()
            if self._paused_reading:
                assert self._transport is not None
                self._paused_reading = False
                self._transport.resume_reading()
            try:
                await self._reader
            finally:
                self._reader = None

    def write(self, data: bytes | memoryview) -> None:
        if self._lost or self._transport is None:
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
        self._wake()

    def _send_encrypted(self) -> None:
        assert self._tls is not None and self._transport is not None
        if (pending := self._tls.pending()) and not self._lost:
            self._transport.write(pending)

    def _abort(self) -> None:
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    # --- one connection's life -----------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Start-up, authentication, session, end."""
        try:
            try:
                async with asyncio.timeout(self._server.options.authentication_timeout_s):
                    session = await self._start_up()
            except TimeoutError:
                raise QueryCanceled("canceling authentication due to timeout") from None
            finally:
                self._server.unauthenticated -= 1
            if session is not None:
                await session.run()
        except (ConnectionError, asyncio.CancelledError):
            if not self._lost and self._server.stopping:
                self._fatal(AdminShutdown("terminating connection due to administrator command"))
            self._abort()
        except Exception as error:
            self._fatal(as_sql_error(error))
        finally:
            self._server.sessions.pop(self._process_id, None)
            self._connection.close()
            if self._transport is not None:
                self._transport.close()

    def _fatal(self, error: SqlError) -> None:
        if self.session is not None:
            self.session.flush()
        self._send(error_response(error, "FATAL"))

    def _send(self, *messages: m.Message) -> None:
        self.write(b"".join(map(Connection.send, messages)))

    async def _start_up(self) -> Session | None:
        start = await self._startup_message()
        if start is None:
            return None
        options = self._check_protocol(start)
        user = start.parameters.get("user", "")
        if not user:
            raise InvalidAuthorization("no PostgreSQL user name specified in startup packet")
        if start.parameters.get("replication", "false").lower() not in ("false", "off", "no", "0"):
            raise FeatureNotSupported("replication connections are not supported")
        await self._authenticate(user)
        database = self._database(start.parameters.get("database") or user)
        self._process_id = self._server.enter(self)
        self.secret = secrets.token_bytes(32 if start.protocol >= m.PROTOCOL_3_2 else 4)
        self._connection.authenticated()
        self._send(m.Authentication(0))
        self.session = Session(self._server, self, user=user, database=database, process_id=self._process_id,
                               secret=self.secret, password_checked=bool(self._server.options.users),
                               defaults={**self._server.options.settings, **options})
        return self.session

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
            self.data_received(received)

    def _check_protocol(self, start: m.StartupMessage) -> dict[str, str]:
        """Negotiates what we do not know; gives the settings in the packet. Raises: FeatureNotSupported (0A000)."""
        major, minor = start.protocol >> 16, start.protocol & 0xFFFF
        if major != 3:
            raise FeatureNotSupported(f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")
        if self._tls is not None and self._tls.application_protocol not in (None, "postgresql"):
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

    async def _authenticate(self, user: str) -> None:
        options = self._server.options
        if not options.users:
            return
        verifier = options.users.get(user)
        known = verifier is not None
        exchange = auth.ScramServer(verifier or auth.mock_verifier(user, self._server.mock_secret),
                                    options.certificate_hash if self._tls is not None else None)
        offered = b"".join(name.encode() + b"\0" for name in exchange.mechanisms) + b"\0"
        self._send(m.Authentication(10, offered))
        challenge = exchange.first(*auth.parse_initial_response(await self._authentication_data()))
        self._send(m.Authentication(11, challenge.encode()))
        try:
            signature = exchange.final(auth.parse_response(await self._authentication_data()))
            if not known:
                raise InvalidPassword("unknown user")
        except InvalidPassword:
            await asyncio.sleep(self._server.failure_delay_s(user, self._address))
            raise InvalidPassword(f'password authentication failed for user "{user}"') from None
        self._server.login_succeeded(user, self._address)
        self._send(m.Authentication(12, signature.encode()))

    async def _authentication_data(self) -> bytes:
        message = await self.read()
        if isinstance(message, m.AuthenticationData):
            return message.data
        if message is None or isinstance(message, m.Terminate):
            raise ConnectionResetError("the client left while authenticating")
        raise ProtocolViolation("expected SASL response")


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
