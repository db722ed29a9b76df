from __future__ import annotations

import pyarrow as pa
import pytest

from shoal.catalog.types import (
    BOOL,
    BYTEA,
    DATE,
    FLOAT4,
    FLOAT8,
    INT4,
    INTERVAL,
    NUMERIC,
    REGTYPE,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    SqlType,
    numeric,
)
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.fragment import TaskSettings

DAY = 86_400_000_000


def shown(values: list[object], sql_type: SqlType, zone: str = "UTC") -> list[str | None]:
    return to_text(array_of_values(values, sql_type), sql_type, TaskSettings(now_us=0, time_zone=zone)).to_pylist()


@pytest.mark.parametrize(("sql_type", "values", "texts"), [
    (BOOL, [True, False, None], ["t", "f", None]),
    (INT4, [1, -2, None], ["1", "-2", None]),
    (numeric(15, 2), [12345, -5, 0, None], ["123.45", "-0.05", "0.00", None]),
    (numeric(38, 16), [1, 0, -10 ** 15, 5 * 10 ** 16, None],
     ["0.0000000000000001", "0.0000000000000000", "-0.1000000000000000", "5.0000000000000000", None]),
    (numeric(60, 3), [10 ** 50 + 1], ["1" + "0" * 47 + ".001"]),
    (NUMERIC, ["1.50", "1", "0.0000000000000001", None], ["1.50", "1", "0.0000000000000001", None]),
    (FLOAT8, [1.0, 0.1, 1e-7, 1e15, 123456789012345.0, float("inf"), float("nan"), -0.0, 1e100, 5e-324],
     ["1", "0.1", "1e-07", "1e+15", "123456789012345", "Infinity", "NaN", "-0", "1e+100", "5e-324"]),
    (FLOAT4, [1.5, 1e6, 123456.0], ["1.5", "1e+06", "123456"]),
    (DATE, [0, -719163, 2932897, (1 << 31) - 1, None], ["1970-01-01", "0001-12-31 BC", "10000-01-01", "infinity", None]),
    (TIME, [0, DAY, 3_600_000_001, None], ["00:00:00", "24:00:00", "01:00:00.000001", None]),
    (TIMESTAMP, [0, 1_500_000, -1, (1 << 63) - 1, None],
     ["1970-01-01 00:00:00", "1970-01-01 00:00:01.5", "1969-12-31 23:59:59.999999", "infinity", None]),
    (INTERVAL, [(14, 3, 5), (0, 0, 0), (-1, 1, 0), (0, -1, 3_600_000_000), (0, 0, -1_500_000), None],
     ["1 year 2 mons 3 days 00:00:00.000005", "00:00:00", "-1 mons +1 day", "-1 days +01:00:00", "-00:00:01.5", None]),
    (BYTEA, ["00ff", "", None], ["\\x00ff", "\\x", None]),
    (SqlType("_text"), [["a", 'b"c', None, "", "null", "x,y", "z\\"], [], None],
     ['{a,"b\\"c",NULL,"","null","x,y","z\\\\"}', "{}", None]),
    (SqlType("_bool"), [[True, None]], ["{t,NULL}"]),
    (REGTYPE, [23, 1009, 0, 99999], ["integer", "text[]", "-", "99999"])])
def test_output(sql_type: SqlType, values: list[object], texts: list[str | None]) -> None:
    assert shown(values, sql_type) == texts


def test_offsets_follow_the_session_zone() -> None:
    assert shown([0, 15_552_000_000_000, None], TIMESTAMPTZ, "Europe/Paris") == [
        "1970-01-01 01:00:00+01", "1970-06-30 01:00:00+01", None]
    assert shown([1_625_000_000_000_000], TIMESTAMPTZ, "Asia/Kolkata") == ["2021-06-30 02:23:20+05:30"]


def test_slices_and_dictionaries() -> None:
    values = array_of_values([["a"], ["b", "c"], None], SqlType("_text")).slice(1)
    assert to_text(values, SqlType("_text"), TaskSettings(now_us=0)).to_pylist() == ["{b,c}", None]
    encoded = pa.array(["x", None, "x"]).dictionary_encode()
    assert to_text(encoded, SqlType("text"), TaskSettings(now_us=0)) is encoded
