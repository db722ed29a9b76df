"""SCRAM client and server in memory, and the RFC's own example."""

from __future__ import annotations

import base64

import pytest

from shoal.catalog.errors import FeatureNotSupported, InvalidAuthorization, InvalidPassword, ProtocolViolation
from shoal.server.protocol import auth


def exchange(client: auth.ScramClient, server: auth.ScramServer, mechanism: str = auth.MECHANISM) -> bool:
    return client.check(server.final(client.final(server.first(mechanism, client.first()))))


def test_the_right_password_is_let_in_and_the_server_proves_itself() -> None:
    assert exchange(auth.ScramClient("pässword"), auth.ScramServer(auth.Verifier.of("pässword")))


def test_a_wrong_password_is_not() -> None:
    with pytest.raises(InvalidPassword):
        exchange(auth.ScramClient("wrong"), auth.ScramServer(auth.Verifier.of("right")))


def test_unknown_users_see_the_same_salt_every_time_and_never_get_in() -> None:
    salts = set()
    for _ in range(3):
        server = auth.ScramServer(auth.mock_verifier("nobody", b"secret"))
        client = auth.ScramClient("anything")
        challenge = server.first(auth.MECHANISM, client.first())
        salts.add(challenge.split(",")[1])
        with pytest.raises(InvalidPassword):
            server.final(client.final(challenge))
    assert len(salts) == 1


def test_channel_binding() -> None:
    verifier = auth.Verifier.of("pw")
    server = auth.ScramServer(verifier, b"h" * 32)
    assert server.mechanisms == (auth.MECHANISM_PLUS, auth.MECHANISM)
    assert exchange(auth.ScramClient("pw", b"h" * 32), server, auth.MECHANISM_PLUS)
    with pytest.raises(InvalidAuthorization, match="channel binding"):
        exchange(auth.ScramClient("pw", b"x" * 32), auth.ScramServer(verifier, b"h" * 32), auth.MECHANISM_PLUS)
    with pytest.raises(InvalidAuthorization, match="negotiation"):
        auth.ScramServer(verifier, b"h" * 32).first(auth.MECHANISM, "y,,n=,r=abc")
    with pytest.raises(ProtocolViolation, match="invalid SASL"):
        auth.ScramServer(verifier).first(auth.MECHANISM_PLUS, "p=tls-server-end-point,,n=,r=abc")


def test_rfc_7677_example() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = auth.Verifier.of("pencil", salt, 4096)
    server = auth.ScramServer(verifier, nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    challenge = server.first(auth.MECHANISM, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert challenge == "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    signature = server.final("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                             "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert signature == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_verifiers_are_read_as_postgresql_writes_them_and_do_not_print() -> None:
    verifier = auth.Verifier.of("pw")
    assert auth.Verifier.parse(str(verifier)) == verifier
    assert verifier.matches("pw") and not verifier.matches("wp")
    assert repr(verifier) == "Verifier(...)"
    for bad in ("", "SCRAM-SHA-256$x", "SCRAM-SHA-1$4096:YQ==$YQ==:YQ==", "md5abc"):
        with pytest.raises(ValueError):
            auth.Verifier.parse(bad)


@pytest.mark.parametrize("message", ["", "n", "n,,", "n,,n=,r=", "x,,n=,r=a", "n,,m=1,n=,r=a",
                                     "n,,n=,r=\x01"])
def test_malformed_first_messages(message: str) -> None:
    with pytest.raises(ProtocolViolation):
        auth.ScramServer(auth.Verifier.of("pw")).first(auth.MECHANISM, message)


def test_an_authorization_identity_is_not_supported() -> None:
    with pytest.raises(FeatureNotSupported):
        auth.ScramServer(auth.Verifier.of("pw")).first(auth.MECHANISM, "n,a=b,n=,r=x")


def test_another_header_than_the_first_is_noticed() -> None:
    server, client = auth.ScramServer(auth.Verifier.of("pw")), auth.ScramClient("pw")
    final = client.final(server.first(auth.MECHANISM, client.first()))
    with pytest.raises(InvalidAuthorization):
        server.final(final.replace("c=biws", "c=eSws"))


@pytest.mark.parametrize("change", [lambda s: s[:-4], lambda s: s + "=",
                                    lambda s: s.replace("r=", "r=x"), lambda s: "", lambda s: s.split(",p=")[0]])
def test_malformed_final_messages(change) -> None:  # type: ignore[no-untyped-def]
    server, client = auth.ScramServer(auth.Verifier.of("pw")), auth.ScramClient("pw")
    with pytest.raises(ProtocolViolation):
        server.final(change(client.final(server.first(auth.MECHANISM, client.first()))))


@pytest.mark.parametrize(("raw", "prepared"), [("I\u00adX", "IX"), ("user", "user"), ("\u00aa", "a"), ("\u2168", "IX"),
                                               ("a\u00a0b", "a b"), ("\u0007", "\u0007"), ("\u0627\u0031", "\u0627\u0031")])
def test_saslprep(raw: str, prepared: str) -> None:
    assert auth.saslprep(raw) == prepared


def test_passwords_in_the_clear() -> None:
    assert auth.parse_password("wörd\0".encode()) == "wörd" and auth.parse_password(b"\0") == ""
    for bad in (b"", b"pw", b"p\0w\0"):
        with pytest.raises(ProtocolViolation):
            auth.parse_password(bad)


def test_initial_response_lengths() -> None:
    assert auth.parse_initial_response(b"X\0\0\0\0\3n,,") == ("X", "n,,")
    for bad in (b"", b"X", b"X\0\0\0\0\4n,,", b"X\0\xff\xff\xff\xff", b"X\0\0\0\0\1\xff"):
        with pytest.raises(ProtocolViolation):
            auth.parse_initial_response(bad)
