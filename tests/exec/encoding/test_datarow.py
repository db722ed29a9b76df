"""DataRow bytes, text and binary, are PostgreSQL's own for the same values."""

from __future__ import annotations

import decimal
import struct
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog import scaled
from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import (
    BOOL,
    BYTEA,
    CHAR,
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    INTERVAL,
    JSON,
    JSONB,
    NAME,
    NUMERIC,
    OID,
    RECORD,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    TIMETZ,
    UUID,
    VARCHAR,
    SqlType,
    array_of,
    numeric,
    storage_type,
)
from shoal.exec.encoding.datarow import RowEncoder
from shoal.exec.plan.fragment import TaskSettings
from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.wire import decode_all, wire

SETTINGS = TaskSettings(0)


def rows_of(arrays: Sequence[pa.Array], types: Sequence[SqlType], formats: Sequence[int]) -> list[tuple[bytes | None, ...]]:
    """The values in the DataRows our encoder makes."""
    data = b"".join(map(bytes, RowEncoder(types, formats, SETTINGS).encode(arrays, len(arrays[0]))))
    found = []
    for message in decode_all(data):
        assert isinstance(message, m.DataRow)
        found.append(message.values)
    return found


def unscaled(scale: int, *texts: str) -> list[int]:
    return [int(Decimal(text).scaleb(scale)) for text in texts]


def day(text: str) -> int:
    return int(np.datetime64(text, "D").astype(np.int64))


def micros(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


DECIMALS = ["0", "1", "-1", "0.0001", "-0.0001", "9999.9999", "10000", "100000000", "-12345678.9012", "0.5000", "123.4000"]
WIDE = ["0", "1", "-1", "99999999999999999999999999999999.999999", "-99999999999999999999999999999999.000001", "0.000001",
        "12345678901234567890", "10000000000000000"]
HUGE = ["0", "-1", "9" * 60 + ".5", "-" + "1" * 61 + ".25"]
CASES: list[tuple[SqlType, str, list[str], pa.Array]] = [
    (BOOL, "bool", ["t", "f"], pa.array([True, False])),
    (INT2, "int2", ["-32768", "0", "32767"], pa.array([-32768, 0, 32767], pa.int16())),
    (INT4, "int4", ["-2147483648", "7"], pa.array([-2147483648, 7], pa.int32())),
    (INT8, "int8", ["-9223372036854775808", "9223372036854775807"], pa.array([-2**63, 2**63 - 1])),
    (FLOAT4, "float4", ["1.5", "1e-10", "3e38", "NaN", "-Infinity", "-0", "0.1"],
     pa.array([1.5, 1e-10, 3e38, float("nan"), float("-inf"), -0.0, 0.1], pa.float32())),
    (FLOAT8, "float8", ["1.5", "1e-7", "1e20", "123456789012345680", "NaN", "Infinity", "0.1", "1e15", "1e16", "-1e-5"],
     pa.array([1.5, 1e-7, 1e20, 123456789012345680.0, float("nan"), float("inf"), 0.1, 1e15, 1e16, -1e-5])),
    (numeric(15, 4), "numeric(15,4)", DECIMALS, pa.array(unscaled(4, *DECIMALS))),
    (numeric(15, 4), "numeric(15,4)", DECIMALS, pa.array([Decimal(x) for x in DECIMALS], pa.decimal128(38, 4))),
    (numeric(38, 6), "numeric(38,6)", WIDE, pa.array([Decimal(x) for x in WIDE], pa.decimal128(38, 6))),
    (numeric(70, 2), "numeric(70,2)", HUGE, pa.array([Decimal(x) for x in HUGE], pa.decimal256(76, 2))),
    (numeric(18, 0), "numeric(18,0)", ["0", "10000", "-123456789012345678", "20000000"],
     pa.array([0, 10000, -123456789012345678, 20000000])),
    (numeric(18, 17), "numeric(18,17)", ["9.99999999999999999", "-0.00000000000000001"],
     pa.array([999999999999999999, -1])),
    (NUMERIC, "numeric", ["0", "1.5", "100", "-0.0001", "12345.678901", "10000", "20", "0.1"],
     scaled.of_texts(pa.array(["0", "1.5", "100", "-0.0001", "12345.678901", "10000", "20", "0.1"]))),
    (NUMERIC, "numeric", ["NaN", "1.50", "-Infinity", "1e400", "-0.00", "-123456789.000"],
     pa.array(["NaN", "1.50", "-Infinity", "1" + "0" * 400, "0.00", "-123456789.000"])),
    (NUMERIC, "numeric", ["NaN", "1.50", "Infinity", "-12345678901234567890.5"],
     scaled.of_texts(pa.array(["NaN", "1.50", "Infinity", "-12345678901234567890.5"]))),
    (TEXT, "text", ["", "a", "née Ω 🐟", "x" * 1000], pa.array(["", "a", "née Ω 🐟", "x" * 1000])),
    (VARCHAR, "varchar", ["a", "b", "a"], pa.array(["a", "b", "a"]).dictionary_encode()),
    (NAME, "name", ["pg_type"], pa.array(["pg_type"])),
    (CHAR, '"char"', ["r"], pa.array(["r"])),
    (BYTEA, "bytea", ["\\x", "\\x00ff5c"], pa.array([b"", b"\x00\xff\\"])),
    (DATE, "date", ["2000-01-01", "1970-01-01", "1582-10-15", "9999-12-31", "infinity", "-infinity"],
     pa.array([day("2000-01-01"), 0, day("1582-10-15"), day("9999-12-31"), 2**31 - 1, -2**31],
              pa.int32()).view(pa.date32())),
    (TIME, "time", ["00:00:00", "12:34:56.789", "23:59:59.999999"],
     pa.array([0, 45296789000, 86399999999]).view(pa.time64("us"))),
    (TIMESTAMP, "timestamp", ["2000-01-01 00:00:00", "2024-02-29 12:34:56.789", "1969-12-31 23:59:59.999999", "infinity",
                              "-infinity"],
     pa.array([micros("2000-01-01"), micros("2024-02-29T12:34:56.789"), -1, 2**63 - 1, -2**63]).view(pa.timestamp("us"))),
    (TIMESTAMPTZ, "timestamptz", ["2024-02-29 12:34:56+00", "1900-01-01 00:00:00+00"],
     pa.array([micros("2024-02-29T12:34:56"), micros("1900-01-01")]).view(pa.timestamp("us", "UTC"))),
    (INTERVAL, "interval", ["0", "1 year 2 mons 3 days 04:05:06.7", "-1 mon +1 day -00:00:01", "25:00:00"],
     pa.array([pa.MonthDayNano([0, 0, 0]), pa.MonthDayNano([14, 3, 14706700000]), pa.MonthDayNano([-1, 1, -10**6]),
               pa.MonthDayNano([0, 0, 90000 * 10**6])])),
    (UUID, "uuid", ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
     pa.array(["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"])),
    (JSON, "json", ['{"a": [1, null]}'], pa.array(['{"a": [1, null]}'])),
    (JSONB, "jsonb", ['{"a": [1, null]}'], pa.array(['{"a": [1, null]}'])),
    (OID, "oid", ["0", "4294967295"], pa.array([0, 4294967295])),
    (TIMETZ, "timetz", ["12:34:56+02", "00:00:00.5-03:30"], pa.array(["12:34:56+02", "00:00:00.5-03:30"])),
    (SqlType("inet"), "inet", ["10.0.0.1", "10.0.0.0/8", "::1"], pa.array(["10.0.0.1", "10.0.0.0/8", "::1"])),
    (array_of(INT4), "int4[]", ["{}", "{1,NULL,3}", "{-1}"], pa.array([[], [1, None, 3], [-1]], pa.list_(pa.int32()))),
    (array_of(TEXT), "text[]", ['{}', '{a,"b,c",NULL,"","NULL","q\\"x"}'],
     pa.array([[], ["a", "b,c", None, "", "NULL", 'q"x']], pa.list_(pa.string()))),
    (array_of(NUMERIC), "numeric[]", ["{1.5,NULL}"],
     pa.array([["1.5", None]])),
    (array_of(BOOL), "bool[]", ["{t,f,NULL}"], pa.array([[True, False, None]])),
    (SqlType("int2vector"), "int2vector", ["1 2 3"], pa.array([[1, 2, 3]], pa.list_(pa.int64()))),
    (SqlType("oidvector"), "oidvector", ["23 25"], pa.array([[23, 25]], pa.list_(pa.int64()))),
]


@pytest.mark.parametrize(("sql_type", "cast", "texts", "array"), CASES, ids=[f"{c[1]}-{c[3].type}" for c in CASES])
@pytest.mark.parametrize("wire_format", [0, 1], ids=["text", "binary"])
def test_values_are_postgresqls(postgres_server: PostgresServer, sql_type: SqlType, cast: str, texts: list[str],
                                array: pa.Array, wire_format: int) -> None:
    with wire(postgres_server.host, postgres_server.port, user="postgres", database="postgres") as client:
        client.query("SET TimeZone = 'UTC'")
        expected: list[bytes | None] = []
        for text in texts:
            answer = client.ask(m.Parse("", f"SELECT $1::text::{cast}", ()), m.Bind("", "", (), (text.encode(),),
                                                                                    (wire_format,)),
                                m.Execute("", 0), m.Sync())
            expected += [message.values[0] for message in answer if isinstance(message, m.DataRow)]
    assert len(expected) == len(texts) == len(array)
    assert [row[0] for row in rows_of([array], [sql_type], [wire_format])] == expected
    # with NULLs between, in a slice that does not start at the array's beginning, and with other columns around
    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    nulls = pa.concat_arrays([pa.nulls(1, plain.type), plain, pa.nulls(2, plain.type)])
    ones = pa.array(range(len(nulls)), pa.int32())
    rows = rows_of([ones.slice(1), nulls.slice(1), ones.slice(1)], [INT4, sql_type, INT4], [1, wire_format, 0])
    assert [row[1] for row in rows] == [*expected, None, None]
    assert [row[0] for row in rows] == [struct.pack(">i", i) for i in range(1, len(nulls))]
    assert [row[2] for row in rows] == [b"%d" % i for i in range(1, len(nulls))]


def test_all_fixed_columns_are_one_block() -> None:
    arrays = [pa.array(range(1000), pa.int32()), pa.array(np.arange(1000) / 7)]
    (block,) = RowEncoder([INT4, FLOAT8], [1, 1], SETTINGS).encode(arrays, 1000)
    assert len(block) == 1000 * (7 + 4 + 4 + 4 + 8)
    rows = rows_of(arrays, [INT4, FLOAT8], [1, 1])
    assert rows[500] == (struct.pack(">i", 500), struct.pack(">d", 500 / 7))


def test_every_numeric_group_boundary() -> None:
    values = [sign * (10**power + delta) for power in range(18) for delta in (-1, 0, 1) for sign in (1, -1)]
    for scale in range(0, 18, 5):
        kind = numeric(18, scale)
        got = rows_of([pa.array(values)], [kind], [1])
        assert [numeric_value(row[0]) for row in got] == [Decimal(v).scaleb(-scale) for v in values]
        wide = pa.array([Decimal(v).scaleb(-scale) for v in values], pa.decimal128(38, scale))
        assert rows_of([wide], [kind], [1]) == got


def numeric_value(data: bytes | None) -> Decimal:
    assert data is not None
    count, weight, sign, scale = struct.unpack_from(">HhHH", data)
    digits = struct.unpack(f">{count}H", data[8:])
    assert not digits or (digits[0] and digits[-1])
    with decimal.localcontext(prec=100):
        value = sum((Decimal(d).scaleb(4 * (weight - i)) for i, d in enumerate(digits)), Decimal(0))
        assert scale >= 0
        return -value if sign else value


def test_no_rows_and_no_columns() -> None:
    assert RowEncoder([INT4], [1], SETTINGS).encode([pa.array([], pa.int32())], 0) == []
    (block,) = RowEncoder([], [], SETTINGS).encode([], 3)
    assert decode_all(bytes(block)) == [m.DataRow(())] * 3


def test_empty_arrays_of_all_types_encode_in_both_formats() -> None:
    for sql_type, *_ in CASES:
        empty = pa.array([], storage_type(sql_type))
        null = pa.nulls(2, storage_type(sql_type))
        for wire_format in (0, 1):
            assert RowEncoder([sql_type], [wire_format], SETTINGS).encode([empty], 0) == []
            assert rows_of([null], [sql_type], [wire_format]) == [(None,), (None,)]


def test_records_have_no_binary_form() -> None:
    with pytest.raises(FeatureNotSupported):
        RowEncoder([RECORD], [1], SETTINGS).encode([pa.array(["(1,2)"])], 1)
