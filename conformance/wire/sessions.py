"""The script's side of a connection: sends bytes in the way a replay asks for, performs actions, reads answers.

Blocking sockets; each script has its own sessions, so that scripts run in threads beside each other.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.wire import frames
from conformance.wire.script import Operation, ScriptError, Wait
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m

TIMEOUT_S = 8.0
SILENCE_S = 0.12


@dataclass(frozen=True)
class Target:
    """A server that scripts talk to. `files`: ca.crt, server.crt, client.crt, client.key of a secure one."""

    host: str
    port: int
    user: str = "shoal"
    database: str = "shoal"
    files: Path | None = None


@dataclass
class Wire:
    """One session of a script."""

    target: Target
    bytewise: bool = False
    """Every byte in a send of its own."""
    numbers: dict[int, str] = field(default_factory=dict)
    """Letters of the script's sessions by process id; shared among them."""
    letter: str = "A"

    def __post_init__(self) -> None:
        self._socket: socket.socket | None = None
        self._buffer = b""
        self.key: m.BackendKeyData | None = None
        self._waiting: list[str] = []
        """Messages read by an action, not yet by a wait."""

    # --- sending -----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self.close()
        self._buffer = b""
        self._socket = socket.create_connection((self.target.host, self.target.port), TIMEOUT_S)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """The usual way in: start-up as the target's user, read up to ReadyForQuery."""
        self.connect()
        self.send(frames.encode(Operation("Startup", (), {"user": self.target.user, "database": self.target.database,
                                                          "TimeZone": "UTC", "lc_messages": "C"})))
        lines = self.read(Wait("ReadyForQuery"))
        if not lines or not lines[-1].startswith("ReadyForQuery"):
            raise ScriptError(f"session {self.letter} could not start: {lines}")

    def send(self, data: bytes) -> None:
        assert self._socket is not None
        try:
            if self.bytewise and len(data) <= 20_000:
                for index in range(len(data)):
                    self._socket.sendall(data[index:index + 1])
            else:
                self._socket.sendall(data)
        except OSError:
            pass  # closed by the server: the read that follows says so

    def act(self, operation: Operation, others: Mapping[str, Wire]) -> None:
        """One action (a word in lower case) on the connection."""
        options = {name: str(value) for name, value in operation.options.items()}
        match operation.name:
            case "connect":
                self.connect()
            case "tls":
                self._start_tls(options)
            case "half-close":
                assert self._socket is not None
                self._socket.shutdown(socket.SHUT_WR)
            case "close":
                self.close()
            case "pause":
                time.sleep(int(str(operation.arguments[0])) / 1000)
            case "cancel":
                self._cancel(others[str(operation.arguments[0])], options.get("key", "right"))
            case "scram":
                self._scram(options)
            case _:
                raise ScriptError(f"there is no action {operation.name}")

    def _start_tls(self, options: Mapping[str, str]) -> None:
        assert self._socket is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if "alpn" in options:
            context.set_alpn_protocols([options["alpn"]])
        if "certificate" in options:
            assert self.target.files is not None
            name = self.target.files / options["certificate"]
            context.load_cert_chain(f"{name}.crt", f"{name}.key")
        self._socket = context.wrap_socket(self._socket)

    def _cancel(self, other: Wire, which: str) -> None:
        assert other.key is not None
        process_id, secret = other.key.process_id, other.key.secret
        if which == "wrong":
            secret = bytes(byte ^ 0xFF for byte in secret)
        elif which == "process":
            process_id += 1
        with socket.create_connection((self.target.host, self.target.port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            data = m.encode(m.CancelRequest(process_id, secret))
            for piece in ([data[i:i + 1] for i in range(len(data))] if self.bytewise else [data]):
                connection.sendall(piece)
            try:
                while connection.recv(100):
                    pass
            except ConnectionResetError:
                pass

    def _scram(self, options: Mapping[str, str]) -> None:
        """The whole SASL exchange: password=, mechanism=PLUS, header= (the GS2 header), wrong= (what to get wrong)."""
        plus = options.get("mechanism") == "PLUS"
        client = auth.ScramClient(options.get("password", ""), self.binding() if plus else None)
        mechanism = auth.MECHANISM_PLUS if plus else auth.MECHANISM
        first, header = client.first(), options.get("header")
        if header is not None:
            client = auth.ScramClient(options.get("password", ""), self.binding() if plus else None, header=header)
            first = client.first()
        wrong = options.get("wrong", "")
        if wrong == "mechanism":
            mechanism = "SCRAM-SHA-1"
        raw = first.encode()
        self.send(m.encode(m.AuthenticationData(mechanism.encode() + b"\0" + struct.pack(">i", len(raw)) + raw)))
        message = self._message()
        self._waiting.append(self._shown(message))
        if not isinstance(message, m.Authentication) or message.code != 11:
            return
        final = client.final(message.data.decode())
        if wrong == "nonce":
            final = final.replace(",r=", ",r=x", 1)
        elif wrong == "proof":
            final = final[:-8] + "AAAAAAA="
        elif wrong == "binding":
            final = "c=eSws" + final[final.index(","):]
        self.send(m.encode(m.AuthenticationData(final.encode())))
        message = self._message()
        self._waiting.append(self._shown(message))
        if isinstance(message, m.Authentication) and not client.check(message.data.decode()):
            self._waiting.append("the server's signature is wrong")

    def binding(self) -> bytes:
        """The tls-server-end-point binding of the server's certificate (its hash is SHA-256)."""
        assert isinstance(self._socket, ssl.SSLSocket)
        return hashlib.sha256(self._socket.getpeercert(True) or b"").digest()

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, wait: Wait) -> list[str]:
        """The lines of what comes up to what is waited for, or `end` (closed), or `timeout`."""
        if wait.kind == "later":
            return []
        if wait.kind == "byte":
            found = self._take(1)
            return [f"byte {frames.show_bytes(found)}" if found else "end"]
        self._note(wait)
        lines, self._waiting = frames.in_order(self._waiting), []
        return lines

    def _note(self, wait: Wait) -> None:
        left = wait.count
        limit = SILENCE_S if wait.kind == "nothing" else TIMEOUT_S
        assert self._socket is not None
        self._socket.settimeout(limit)
        try:
            while left:
                message = self._message()
                self._waiting.append(self._shown(message))
                if message is None:
                    return
                left -= wait.kind in (type(message).__name__, "Message")
        except TimeoutError:
            if wait.kind != "nothing":
                self._waiting.append("timeout")
        finally:
            self._socket.settimeout(TIMEOUT_S)

    def _shown(self, message: m.Message | None) -> str:
        return "end" if message is None else frames.show(message, self.numbers)

    def _message(self) -> m.Message | None:
        while len(self._buffer) < 5 or len(self._buffer) < 1 + struct.unpack_from(">i", self._buffer, 1)[0]:
            if not self._fill():
                return None
        length = struct.unpack_from(">i", self._buffer, 1)[0]
        kind, body = chr(self._buffer[0]), self._buffer[5:1 + length]
        self._buffer = self._buffer[1 + length:]
        message = m.BACKEND[kind].decode(body)
        if isinstance(message, m.BackendKeyData):
            self.key = message
            self.numbers[message.process_id] = self.letter
        return message

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count and self._fill():
            pass
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _fill(self) -> bool:
        assert self._socket is not None
        try:
            data = self._socket.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self._buffer += data
        return bool(data)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

