"""Proof of the cluster secret, both ways, before anything else is read from a connection (design/faults.md; pure).

    server -> client   "SHOAL1\\n", 32 random bytes                                     (39 bytes)
    client -> server   purpose byte, 32 random bytes, HMAC("client", purpose, both)      (65 bytes)
    server -> client   HMAC("server", purpose, both), or zeros for a client that failed  (32 bytes)

HMAC-SHA256 keyed by the secret. The role and the purpose are part of what is signed, so an answer can neither be
sent back to where it came from nor be used for another kind of connection. All lengths are fixed; the server
proves itself only after the client has. A refusal is said, so that a link that breaks here is not taken for one.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Literal

from shoal.catalog.errors import InvalidAuthorization

Purpose = Literal["control", "liveness", "exchange"]
PURPOSES: Final[dict[int, Purpose]] = {1: "control", 2: "liveness", 3: "exchange"}
_NUMBERS: Final = {purpose: number for number, purpose in PURPOSES.items()}
GREETING: Final = b"SHOAL1\n"
NONCE_BYTES: Final = 32
GREETING_BYTES: Final = len(GREETING) + NONCE_BYTES
PROOF_BYTES: Final = 32
ANSWER_BYTES: Final = 1 + NONCE_BYTES + PROOF_BYTES
REFUSAL: Final = bytes(PROOF_BYTES)


def _proof(secret: bytes, role: bytes, purpose: int, server_nonce: bytes, client_nonce: bytes) -> bytes:
    return hmac.digest(secret, b"shoal/1/" + role + bytes([purpose]) + server_nonce + client_nonce, hashlib.sha256)


class ServerHandshake:
    """The accepting end. `nonce` is 32 fresh random bytes; an empty secret lets nobody in."""

    def __init__(self, secret: bytes, nonce: bytes) -> None:
        self._secret, self._nonce = secret, nonce

    def greeting(self) -> bytes:
        return GREETING + self._nonce

    def verify(self, answer: bytes) -> tuple[Purpose, bytes]:
        """What the client wants, and the proof to send it. Raises: InvalidAuthorization (28000)."""
        purpose, client_nonce = answer[0] if answer else 0, answer[1:1 + NONCE_BYTES]
        expected = _proof(self._secret, b"client", purpose, self._nonce, client_nonce)
        good = hmac.compare_digest(expected, answer[1 + NONCE_BYTES:]) and len(answer) == ANSWER_BYTES
        if not self._secret or not good or purpose not in PURPOSES:
            raise InvalidAuthorization("the peer does not know the cluster secret")
        return PURPOSES[purpose], _proof(self._secret, b"server", purpose, self._nonce, client_nonce)


class ClientHandshake:
    """The connecting end."""

    def __init__(self, secret: bytes, nonce: bytes, purpose: Purpose) -> None:
        self._secret, self._nonce, self._purpose = secret, nonce, _NUMBERS[purpose]
        self._server_nonce = b""

    def answer(self, greeting: bytes) -> bytes:
        """What to send for the server's greeting. Raises: InvalidAuthorization (28000)."""
        if len(greeting) != GREETING_BYTES or not greeting.startswith(GREETING):
            raise InvalidAuthorization("the peer is not a Shoal node")
        self._server_nonce = greeting[len(GREETING):]
        proof = _proof(self._secret, b"client", self._purpose, self._server_nonce, self._nonce)
        return bytes([self._purpose]) + self._nonce + proof

    def verify(self, proof: bytes) -> None:
        """Raises: InvalidAuthorization (28000) when the server does not know the secret, or says that this end does not."""
        if proof == REFUSAL:
            raise InvalidAuthorization("the peer refused the cluster secret")
        expected = _proof(self._secret, b"server", self._purpose, self._server_nonce, self._nonce)
        if not hmac.compare_digest(expected, proof):
            raise InvalidAuthorization("the peer does not know the cluster secret")
