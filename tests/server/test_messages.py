"""Every row of the message tables survives encoding and decoding; malformed bodies are violations."""

from __future__ import annotations

import random

import pytest

from shoal.catalog.errors import CharacterNotInRepertoire, ProtocolViolation, SqlError
from shoal.server.protocol import messages as m

FRONTEND = [
    m.Bind("p", "s", (1, 0), (b"\0\1", None, b""), (1,)), m.Close("P", "p"), m.CopyData(b"x\ty\n"), m.CopyDone(),
    m.CopyFail("no"), m.Describe("S", "s"), m.Execute("p", 100), m.Flush(), m.FunctionCall(7, (1,), (b"x", None), 0),
    m.Parse("s", "select $1", (23, 0)), m.AuthenticationData(b"n,,"), m.Query("select 'é'"), m.Sync(), m.Terminate(),
]
BACKEND = [
    m.ParseComplete(), m.BindComplete(), m.CloseComplete(), m.NotificationResponse(1, "c", "p"),
    m.CommandComplete("SELECT 1"),
    m.DataRow((b"1", None)), m.ErrorResponse({"S": "ERROR", "C": "42601", "M": "no"}), m.CopyInResponse(0, (0,)),
    m.CopyOutResponse(1, (1, 1)), m.EmptyQueryResponse(), m.BackendKeyData(5, b"abcd"), m.NoticeResponse({"S": "NOTICE"}),
    m.Authentication(10, b"SCRAM-SHA-256\0\0"), m.ParameterStatus("a", "b"), m.ReadyForQuery("T"),
    m.RowDescription((m.ColumnDescription("a", 1, 2, 23, 4, -1, 1),)), m.NoData(), m.PortalSuspended(),
    m.ParameterDescription((23, 2950)), m.FunctionCallResponse((b"x",)), m.NegotiateProtocolVersion(196610, ("_pq_.x",)),
]


@pytest.mark.parametrize(("table", "message"), [(m.FRONTEND, x) for x in FRONTEND] + [(m.BACKEND, x) for x in BACKEND],
                         ids=lambda x: type(x).__name__)
def test_round_trip(table: dict[str, m.Layout], message: m.Message) -> None:
    data = m.encode(message)
    assert int.from_bytes(data[1:5], "big") == len(data) - 1
    assert table[chr(data[0])].decode(data[5:]) == message


def test_every_row_is_covered() -> None:
    assert {type(x) for x in FRONTEND} == {row.message for row in m.FRONTEND.values()}
    assert {type(x) for x in BACKEND} | {m.CopyData, m.CopyDone} == {row.message for row in m.BACKEND.values()}


@pytest.mark.parametrize("message", [m.StartupMessage(m.PROTOCOL_3_2, {"user": "a", "database": "b"}), m.SslRequest(),
                                     m.GssEncRequest(), m.CancelRequest(7, b"x" * 32)], ids=lambda x: type(x).__name__)
def test_startup_round_trip(message: m.Message) -> None:
    data = m.encode(message)
    assert m.decode_startup(data[4:]) == message


@pytest.mark.parametrize(("kind", "body"), [
    ("Q", b"select 1"), ("Q", b"select 1\0x"), ("B", b"\0\0\0\1"), ("B", b"\0\0\0\0\0\1\0\0\0\x63a\0\0"), ("E", b"\0\0\0"),
    ("P", b"\0select\0\xff\xff"), ("S", b"x"), ("D", b""), ("B", b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),
])
def test_malformed_bodies_are_violations(kind: str, body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        m.FRONTEND[kind].decode(body)


def test_bad_text_is_named() -> None:
    with pytest.raises(CharacterNotInRepertoire, match="0xff"):
        m.FRONTEND["Q"].decode(b"select '\xff'\0")


def test_mutations_give_messages_or_sql_errors() -> None:
    draw = random.Random(3)
    for _ in range(5_000):
        body = bytearray(m.encode(draw.choice(FRONTEND))[5:])
        for _ in range(draw.randrange(1, 4)):
            if body:
                body[draw.randrange(len(body))] = draw.randrange(256)
        try:
            draw.choice(list(m.FRONTEND.values())).decode(bytes(body[:draw.randrange(len(body) + 1)]))
        except SqlError as error:
            assert error.sqlstate in ("08P01", "22021")
