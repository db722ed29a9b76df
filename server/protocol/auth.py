"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both sides, as plain state machines: message text in, message text out.

`ScramServer` answers a client's SASL messages against a `Verifier`; for a user who does not exist it runs the same
exchange against a verifier derived from the server's own secret, so that nobody can tell the two apart. `ScramClient`
plays the other side in tests and in tools.

Pure: randomness is passed in or drawn from `secrets`; no sockets, no clock. Spec: RFC 5802, RFC 7677, RFC 4013
(SASLprep), RFC 5929 (tls-server-end-point); PostgreSQL documentation, 55.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from shoal.catalog.errors import FeatureNotSupported, InvalidAuthorization, InvalidPassword, ProtocolViolation

MECHANISM, MECHANISM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
ITERATIONS = 4096
_KEY_BYTES = 32
_PROHIBITED = (stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
               stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
               stringprep.in_table_c9, stringprep.in_table_a1)


def saslprep(password: str) -> str:
    """The normalised password; one that SASLprep forbids is used as it is, as PostgreSQL does."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(check(c) for c in normal for check in _PROHIBITED):
        return password
    right_to_left = [stringprep.in_table_d1(c) for c in normal]
    if any(right_to_left) and (any(map(stringprep.in_table_d2, normal)) or not (right_to_left[0] and right_to_left[-1])):
        return password
    return normal


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps instead of a password."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @staticmethod
    def of(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> Verifier:
        salt = secrets.token_bytes(16) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
        return Verifier(salt, iterations, hashlib.sha256(_hmac(salted, b"Client Key")).digest(),
                        _hmac(salted, b"Server Key"))

    @staticmethod
    def parse(text: str) -> Verifier:
        """PostgreSQL's rolpassword form, `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. Raises: ValueError."""
        mechanism, settings, keys = text.split("$")
        iterations, salt = settings.split(":")
        stored, server = keys.split(":")
        verifier = Verifier(_unbase64(salt), int(iterations), _unbase64(stored), _unbase64(server))
        if mechanism != MECHANISM or len(verifier.stored_key) != _KEY_BYTES or len(verifier.server_key) != _KEY_BYTES:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        return verifier

    def __str__(self) -> str:
        return (f"{MECHANISM}${self.iterations}:{_base64(self.salt)}"
                f"${_base64(self.stored_key)}:{_base64(self.server_key)}")

    def __repr__(self) -> str:
        return "Verifier(...)"

    def matches(self, password: str) -> bool:
        """Whether a password sent in the clear is the right one."""
        other = Verifier.of(password, self.salt, self.iterations)
        return hmac.compare_digest(other.stored_key, self.stored_key)


def mock_verifier(user: str, server_secret: bytes) -> Verifier:
    """A verifier no password meets, with a salt that stays the same for one user name."""
    salt = _hmac(server_secret, b"salt:" + user.encode("utf-8", "surrogateescape"))[:16]
    return Verifier(salt, ITERATIONS, secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES))


class ScramServer:
    """One exchange: `first(...)` gives the challenge, `final(...)` the server's signature or InvalidPassword.

    `certificate_hash` is the tls-server-end-point binding of the connection's certificate, None without TLS.
    """

    def __init__(self, verifier: Verifier, certificate_hash: bytes | None = None, nonce: str | None = None) -> None:
        self._verifier = verifier
        self._certificate_hash = certificate_hash
        self._own_nonce = nonce or secrets.token_urlsafe(18)
        self._header = ""
        self._nonce = ""
        self._first_bare = ""
        self._challenge = ""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What to offer, best first."""
        return (MECHANISM_PLUS, MECHANISM) if self._certificate_hash is not None else (MECHANISM,)

    def first(self, mechanism: str, message: str) -> str:
        """Client-first-message -> server-first-message. Raises: ProtocolViolation (08P01)."""
        if mechanism not in self.mechanisms:
            raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
        parts = message.split(",", 2)
        if len(parts) < 3:
            raise ProtocolViolation("malformed SCRAM message", detail=_unexpected_flag(message))
        binding, authorization, self._first_bare = parts
        if mechanism == MECHANISM_PLUS:
            if binding != "p=tls-server-end-point":
                if binding.startswith("p="):
                    raise ProtocolViolation(f'unsupported SCRAM channel-binding type "{binding[2:]}"')
                raise ProtocolViolation("malformed SCRAM message", detail="The client selected SCRAM-SHA-256-PLUS, but the "
                                                                          "SCRAM message does not include channel binding "
                                                                          "data.")
        elif binding == "y" and self._certificate_hash is not None:
            # The client believes we cannot bind although we offered it: somebody took the offer out on the way.
            raise InvalidAuthorization("SCRAM channel binding negotiation error",
                                       detail="The client supports SCRAM channel binding but thinks the server does not.  "
                                              "However, this server does support channel binding.")
        elif binding not in ("n", "y"):
            raise ProtocolViolation("malformed SCRAM message", detail=_unexpected_flag(binding))
        if authorization:
            raise FeatureNotSupported("client uses authorization identity, but it is not supported")
        self._header = f"{binding},{authorization},"
        attributes = _attributes(self._first_bare)
        if "m" in attributes:
            raise ProtocolViolation("client requires an unsupported SCRAM extension")
        client_nonce = attributes.get("r", "")
        if not client_nonce or not client_nonce.isascii() or not client_nonce.isprintable():
            raise ProtocolViolation("non-printable characters in SCRAM nonce")
        self._nonce = client_nonce + self._own_nonce
        self._challenge = f"r={self._nonce},s={_base64(self._verifier.salt)},i={self._verifier.iterations}"
        return self._challenge

    def final(self, message: str) -> str:
        """Client-final-message -> server-final-message. Raises: InvalidPassword (28P01), ProtocolViolation (08P01)."""
        without_proof, separator, proof_text = message.rpartition(",p=")
        attributes = _attributes(without_proof)
        if not separator or not self._challenge:
            raise ProtocolViolation("malformed SCRAM message")
        binding = self._header.encode() + (self._certificate_hash or b"" if self._header[0] == "p" else b"")
        if not hmac.compare_digest(attributes.get("c", "").encode(), _base64(binding).encode()):
            raise InvalidAuthorization("SCRAM channel binding check failed")
        if not hmac.compare_digest(attributes.get("r", "").encode(), self._nonce.encode()):
            raise ProtocolViolation("invalid SCRAM response", detail="Nonce does not match.")
        try:
            proof = _unbase64(proof_text)
        except ValueError:
            proof = b""
        if len(proof) != _KEY_BYTES:
            raise ProtocolViolation("malformed SCRAM message", detail="Malformed proof in client-final-message.")
        transcript = f"{self._first_bare},{self._challenge},{without_proof}".encode()
        signature = _hmac(self._verifier.stored_key, transcript)
        client_key = bytes(a ^ b for a, b in zip(proof, signature))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), self._verifier.stored_key):
            raise InvalidPassword("password authentication failed")
        return f"v={_base64(_hmac(self._verifier.server_key, transcript))}"


class ScramClient:
    """The client's side: `first()`, then `final(challenge)`, then `check(server_final)`."""

    def __init__(self, password: str, certificate_hash: bytes | None = None, nonce: str | None = None,
                 header: str | None = None) -> None:
        """`header` is the GS2 header, by default what goes with having a certificate's hash or not."""
        self._password = password
        self._certificate_hash = certificate_hash
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._header = header or ("n,," if certificate_hash is None else "p=tls-server-end-point,,")
        self._server_signature = b""

    def first(self) -> str:
        return f"{self._header}n=,r={self._nonce}"

    def final(self, challenge: str) -> str:
        """Raises: ProtocolViolation when the challenge is malformed or its nonce is not ours."""
        attributes = _attributes(challenge)
        if not attributes.get("r", "").startswith(self._nonce) or len(attributes["r"]) == len(self._nonce):
            raise ProtocolViolation("invalid SCRAM challenge")
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(self._password).encode(), _unbase64(attributes["s"]),
                                     int(attributes["i"]))
        client_key = _hmac(salted, b"Client Key")
        binding = self._header.encode() + (self._certificate_hash or b"")
        without_proof = f"c={_base64(binding)},r={attributes['r']}"
        transcript = f"n=,r={self._nonce},{challenge},{without_proof}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), transcript)
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), transcript)
        return f"{without_proof},p={_base64(bytes(a ^ b for a, b in zip(client_key, signature)))}"

    def check(self, server_final: str) -> bool:
        """Whether the server knew the verifier too."""
        return hmac.compare_digest(_unbase64(_attributes(server_final).get("v", "")), self._server_signature)


def parse_initial_response(body: bytes) -> tuple[str, str]:
    """SASLInitialResponse -> mechanism, client-first-message. Raises: ProtocolViolation (08P01)."""
    name, separator, rest = body.partition(b"\0")
    if not separator:
        raise ProtocolViolation("invalid string in message")
    length = int.from_bytes(rest[:4], "big", signed=True) if len(rest) >= 4 else len(rest)
    if length != len(rest) - 4:
        raise ProtocolViolation("insufficient data left in message" if length > len(rest) - 4 else "invalid message format")
    return _text(name), _text(rest[4:])


def parse_password(body: bytes) -> str:
    """PasswordMessage -> the password. Raises: ProtocolViolation (08P01)."""
    if not body.endswith(b"\0") or b"\0" in body[:-1]:
        raise ProtocolViolation("invalid password packet size")
    return body[:-1].decode("utf-8", "replace")


def parse_response(body: bytes) -> str:
    """SASLResponse -> its text. Raises: ProtocolViolation (08P01)."""
    return _text(body)


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("malformed SCRAM message") from None
    if "\0" in text:
        raise ProtocolViolation("malformed SCRAM message")
    return text


def _unexpected_flag(message: str) -> str:
    return f"Unexpected channel-binding flag \"'{message[:1]}'\"."


def _attributes(message: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in message.split(","):
        if len(part) < 2 or part[1] != "=":
            raise ProtocolViolation("malformed SCRAM message")
        found[part[0]] = part[2:]
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("invalid base64") from None
