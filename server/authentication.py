"""Who a client is: by SCRAM-SHA-256, a password in the clear over TLS, a client certificate, or trust, as rules say.

Hop 1 of a query's way. The arithmetic is in protocol/auth.py; this is the order of messages. An unknown user is asked
and refused like one with a wrong password, in the same words and after the same work.

Spec: PostgreSQL documentation, 55.2.1 "Start-up", 55.3 "SASL Authentication".
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from shoal.catalog.config import AccessRule
from shoal.catalog.errors import InvalidAuthorization, InvalidPassword
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m
from shoal.server.tls import TlsStream

_MAX_REMEMBERED_FAILURES = 10_000
_LONGEST_DELAY_S = 8.0


@dataclass(frozen=True, slots=True)
class Stranger:
    """A client that has said who it is. `address` is empty for a local socket; `receive` gives the data of its next
    answer, which is to be of the named kind."""

    user: str
    address: str
    tls: TlsStream | None
    send: Callable[[m.Message], None]
    receive: Callable[[Literal["SASL", "password"]], Awaitable[bytes]]


class Failures:
    """How long a failed login waits: it doubles each time for one user from one address."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def delay_s(self, user: str, address: str) -> float:
        """Notes a failure."""
        key = user, address
        count = self._counts[key] = self._counts.pop(key, 0) + 1
        while len(self._counts) > _MAX_REMEMBERED_FAILURES:
            self._counts.popitem(last=False)
        return min(0.05 * 2 ** min(count - 1, 20), _LONGEST_DELAY_S)

    def forget(self, user: str, address: str) -> None:
        self._counts.pop((user, address), None)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a server knows of its users. `certificate_hash` is the channel binding of its certificate."""

    users: Mapping[str, auth.Verifier]
    access: Mapping[str, AccessRule]
    certificate_hash: bytes | None
    mock_secret: bytes
    failures: Failures

    async def admit(self, stranger: Stranger) -> None:
        """Raises: InvalidPassword (28P01), InvalidAuthorization (28000), ProtocolViolation (08P01)."""
        if not self.users and not self.access:
            return
        match self._method(stranger):
            case "trust":
                return
            case "certificate":
                _check_certificate(stranger)
                return
            case "password":
                await self._ask_password(stranger)
            case _:
                await self._ask_scram(stranger)

    def _method(self, stranger: Stranger) -> str:
        """What the user's rule asks for on this connection. Where it does not hold it is SCRAM, which tells nobody
        anything."""
        rule = self.access.get(stranger.user)
        if rule is None or (rule.method in ("password", "certificate") and stranger.tls is None):
            return "scram-sha-256"
        if rule.networks:
            address = ipaddress.ip_address(stranger.address) if stranger.address else None
            if address is None or not any(address in ipaddress.ip_network(network) for network in rule.networks):
                return "scram-sha-256"
        return rule.method

    def _verifier(self, user: str) -> auth.Verifier:
        return self.users.get(user) or auth.mock_verifier(user, self.mock_secret)

    async def _ask_scram(self, stranger: Stranger) -> None:
        exchange = auth.ScramServer(self._verifier(stranger.user),
                                    self.certificate_hash if stranger.tls is not None else None)
        offered = b"".join(name.encode() + b"\0" for name in exchange.mechanisms) + b"\0"
        stranger.send(m.Authentication(10, offered))
        challenge = exchange.first(*auth.parse_initial_response(await stranger.receive("SASL")))
        stranger.send(m.Authentication(11, challenge.encode()))
        try:
            signature = exchange.final(auth.parse_response(await stranger.receive("SASL")))
            if stranger.user not in self.users:
                raise InvalidPassword("unknown user")
        except InvalidPassword:
            await self._refuse(stranger)
        self.failures.forget(stranger.user, stranger.address)
        stranger.send(m.Authentication(12, signature.encode()))

    async def _ask_password(self, stranger: Stranger) -> None:
        stranger.send(m.Authentication(3))
        password = auth.parse_password(await stranger.receive("password"))
        if not password:
            raise InvalidPassword("empty password returned by client")
        matches = await asyncio.to_thread(self._verifier(stranger.user).matches, password)
        if not matches or stranger.user not in self.users:
            await self._refuse(stranger)
        self.failures.forget(stranger.user, stranger.address)

    async def _refuse(self, stranger: Stranger) -> NoReturn:
        await asyncio.sleep(self.failures.delay_s(stranger.user, stranger.address))
        raise InvalidPassword(f'password authentication failed for user "{stranger.user}"') from None


def _check_certificate(stranger: Stranger) -> None:
    name = stranger.tls.common_name if stranger.tls is not None else None
    if name is None:
        raise InvalidAuthorization("connection requires a valid client certificate")
    if name != stranger.user:
        raise InvalidAuthorization(f'certificate authentication failed for user "{stranger.user}"')
