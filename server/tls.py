"""TLS over memory buffers, so that a connection can start it at any moment and bytes already read can be refused or
handed over. No I/O of its own: the listener moves the bytes.

Spec: PostgreSQL documentation, 55.2.10 "SSL Session Encryption"; RFC 5929 for the channel binding.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

from shoal.catalog.errors import ConfigurationError

_READ_BYTES = 64 << 10


def server_context(certificate: Path, key: Path, client_ca: Path | None = None,
                   client_required: bool = True) -> ssl.SSLContext:
    """With a `client_ca` clients' certificates are checked, and may be left out unless they are required.

    Raises: ConfigurationError (F0000) naming the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"TLS: {certificate} and {key} cannot be used: {error}") from None
    context.set_alpn_protocols(["postgresql"])
    return context


def certificate_hash(certificate: Path) -> bytes:
    """The tls-server-end-point channel binding of a PEM certificate (SHA-256, which is what its own hash is raised to)."""
    text = certificate.read_text()
    start, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(text[start:end] + "-----END CERTIFICATE-----\n")
    return hashlib.sha256(der).digest()


class TlsStream:
    """One TLS session: `receive` takes what came from the network, `send` what is to go there."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False
        self.closed = False

    @property
    def application_protocol(self) -> str | None:
        return self._object.selected_alpn_protocol()

    @property
    def common_name(self) -> str | None:
        """Of the client's certificate, which has been checked; None without one."""
        subject: Any = (self._object.getpeercert() or {}).get("subject", ())
        return next((str(value) for part in subject for name, value in part if name == "commonName"), None)

    def receive(self, data: bytes | memoryview) -> bytes:
        """Network bytes in, plain bytes out. Raises: ssl.SSLError."""
        self._incoming.write(data)
        plain = bytearray()
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            while True:
                piece = self._object.read(_READ_BYTES)
                if not piece:
                    self.closed = True
                    break
                plain += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return bytes(plain)

    def send(self, data: bytes | memoryview) -> None:
        """Plain bytes to encrypt; `pending` then has them."""
        view = memoryview(data)
        while len(view):
            view = view[self._object.write(view):]

    def pending(self) -> bytes:
        """Bytes for the network."""
        return self._outgoing.read()
