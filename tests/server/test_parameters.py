"""Binary parameters mean what PostgreSQL's own binary output of the same literal means; malformed ones are refused."""

from __future__ import annotations

import struct

import pytest

from shoal.catalog.errors import (
    CharacterNotInRepertoire,
    DatatypeMismatch,
    FeatureNotSupported,
    InvalidBinaryRepresentation,
    InvalidParameterValue,
    ProgramLimitExceeded,
    ProtocolViolation,
)
from shoal.catalog.types import BOOL, DATE, INT4, NUMERIC, TEXT, TIMESTAMP, SqlType, array_of, numeric
from shoal.exec.functions.casts import parse_literal
from shoal.exec.plan.fragment import TaskSettings
from shoal.server import binary_input, parameters
from shoal.server.protocol import messages as m
from tests.exec.encoding.test_datarow import CASES
from tests.postgres_server import PostgresServer
from tests.server.wire import wire

SETTINGS = TaskSettings(0)
SKIPPED = {"int2vector", "oidvector"}


@pytest.mark.parametrize(("sql_type", "cast", "texts"), [c[:3] for c in CASES if c[1] not in SKIPPED],
                         ids=[f"{c[1]}-{c[3].type}" for c in CASES if c[1] not in SKIPPED])
def test_binary_and_text_agree(postgres_server: PostgresServer, sql_type: SqlType, cast: str, texts: list[str]) -> None:
    with wire(postgres_server.host, postgres_server.port, user="postgres", database="postgres") as client:
        client.query("SET TimeZone = 'UTC'")
        for text in texts:
            answer = client.ask(m.Parse("", f"SELECT $1::text::{cast}", ()), m.Bind("", "", (), (text.encode(),), (1,)),
                                m.Execute("", 0), m.Sync())
            (value,) = (message.values[0] for message in answer if isinstance(message, m.DataRow))
            from_text, from_binary = parameters.decode([text.encode(), value], [0, 1], [sql_type, sql_type], SETTINGS)
            assert from_binary == from_text or from_binary != from_binary  # NaN


def test_formats_are_none_one_or_each() -> None:
    types = [INT4, TEXT]
    assert parameters.decode([b"7", b"x"], [], types, SETTINGS) == [7, "x"]
    assert parameters.decode([struct.pack(">i", 7), b"x"], [1], types, SETTINGS) == [7, "x"]
    assert parameters.decode([None, None], [0, 1], types, SETTINGS) == [None, None]
    for bad, error in (([0, 0, 0], ProtocolViolation), ([2], InvalidParameterValue)):
        with pytest.raises(error):
            parameters.decode([b"7", b"x"], bad, types, SETTINGS)


@pytest.mark.parametrize(("sql_type", "value", "error"), [
    (INT4, b"\0", ProtocolViolation), (BOOL, b"", ProtocolViolation), (INT4, bytes(5), InvalidBinaryRepresentation),
    (NUMERIC, b"\0", ProtocolViolation), (NUMERIC, struct.pack(">HhHH", 5, 0, 0, 0), ProtocolViolation),
    (NUMERIC, struct.pack(">HhHHH", 1, 0, 7, 0, 1), InvalidBinaryRepresentation),
    (NUMERIC, struct.pack(">HhHHH", 1, 0, 0, 0, 10_000), InvalidBinaryRepresentation),
    (SqlType("uuid"), b"\0" * 15, ProtocolViolation), (SqlType("jsonb"), b"\2{}", InvalidBinaryRepresentation),
    (SqlType("jsonb"), b"", ProtocolViolation), (TEXT, b"\xff", CharacterNotInRepertoire),
    (TEXT, b"a\0", CharacterNotInRepertoire),
    (array_of(INT4), b"\0\0", ProtocolViolation), (SqlType("inet"), b"\2\x20", ProtocolViolation),
    (array_of(INT4), struct.pack(">iiiii", 1, 0, 23, 2**31 - 1, 1), ProgramLimitExceeded),
    (array_of(INT4), struct.pack(">iiiiii", 1, 0, 23, 1, 1, 2**30), InvalidBinaryRepresentation),
    (array_of(INT4), struct.pack(">iiiii", 1, 0, 25, 0, 1), DatatypeMismatch),
    (array_of(INT4), struct.pack(">iiiiiiii", 7, 0, 23, 1, 1, 1, 1, -1), ProgramLimitExceeded),
    (SqlType("record"), b"\0\0\0\0", FeatureNotSupported),
])
def test_malformed_values_are_refused(sql_type: SqlType, value: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parameters.decode([value], [1], [sql_type], SETTINGS)


@pytest.mark.parametrize("text", ["0", "1", "-1.5", "10000", "0.0001", "123456789.00001", "-99999999", "1" * 30])
def test_numeric_text(text: str) -> None:
    sign = 0x4000 if text.startswith("-") else 0
    whole, _, fraction = text.lstrip("-").partition(".")
    padded = whole.zfill(-(-len(whole) // 4) * 4) + fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    digits = [int(padded[i:i + 4]) for i in range(0, len(padded), 4)]
    data = struct.pack(">HhHH", len(digits), -(-len(whole) // 4) - 1, sign,
                       len(fraction)) + struct.pack(f">{len(digits)}H", *digits)
    assert binary_input.numeric_text(data) == text


def test_infinities_and_ranges() -> None:
    assert binary_input.from_binary(struct.pack(">i", 2**31 - 1), DATE, SETTINGS) == 2**31 - 1
    assert binary_input.from_binary(struct.pack(">q", -2**63), TIMESTAMP, SETTINGS) == -2**63
    with pytest.raises(Exception, match="out of range"):
        binary_input.from_binary(struct.pack(">q", 2**63 - 2), TIMESTAMP, SETTINGS)
    assert binary_input.from_binary(struct.pack(">HhHHH", 1, 0, 0, 1, 3), numeric(10, 2), SETTINGS) == \
        parse_literal("3", numeric(10, 2), SETTINGS)
