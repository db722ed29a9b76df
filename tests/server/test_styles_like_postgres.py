"""DateStyle, IntervalStyle, bytea_output, extra_float_digits and TimeZone: output, casts to text, and what input means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer
from tests.server.both import Both, both_servers
from tests.server.conftest import Address

DATE_STYLES = [f"{style}, {order}" for style in ("ISO", "SQL", "Postgres", "German") for order in ("MDY", "DMY", "YMD")]
INTERVAL_STYLES = ["postgres", "postgres_verbose", "sql_standard", "iso_8601"]
DATES = ["1999-12-31", "2024-02-09", "0001-01-01", "0044-03-15 BC", "12000-01-02", "infinity", "-infinity", "0099-05-06"]
TIMES = ["1999-12-31 23:59:59.999999", "2024-02-09 04:05:06", "2024-07-09 04:05:06.5", "0044-03-15 12:00:00 BC",
    "12000-01-02 00:00:00",
         "infinity", "1850-01-01 00:00:00"]
INTERVALS = ["0", "1 day", "-1 day", "1 year 2 mons", "1 year 2 mons 3 days 04:05:06.789",
    "-1 year -2 mons -3 days -04:05:06.789",
             "1 year -2 days", "1 mon -1 day 02:00", "-00:00:00.5", "00:00:01", "-1 day 02:03:04", "1 day -00:00:01",
             "-2 years", "14 mons",
             "3 days", "100:00:00", "-1 mon 5 days", "1 mon 00:00:00.000001", "00:01:00", "-1 sec", "1 min -2 sec",
             "2 days 1 sec",
             "1 day 00:00:01.5", "-1 year 1 day"]
AMBIGUOUS = ["1/2/2003", "01-02-03", "01.02.2003", "2003/1/2", "1-2-2003", "31/12/1999", "12/31/1999", "99-01-02",
    "03-Jan-04", "Jan-03-04",
             "04-Jan-03", "8 1 1999", "1999 8 1", "990102", "19990102", "Jan 2 2003", "2 Jan 2003", "2003 Jan 2", "1 2 03",
             "99/01/02", "1/13/03",
             "13/1/03", "03/13/1", "January 8, 99 BC", "1999-Jan-08", "08-Jan-99", "8/Jan/1999", "Jan/8/1999"]
INTERVAL_TEXTS = ["-1 2:03:04", "-1 day 2 hours", "-1-2 3 4:05:06", "-1-2 +3 4:05:06", "1 -2:03", "-1 year 2 mons", "P1Y",
    "-10 seconds 5 minutes",
                  "+1-2 -3 +4:05:06"]
FLOATS = ["0.1", "1e-07", "123456789.123456789", "1e15", "1e22", "NaN", "Infinity", "-0", "3.4028235e38",
    "0.30000000000000004", "100000", "1e-45"]
DATE_STYLE_WORDS = ["sql", "german", "iso, dmy", "postgres, us", "ymd", "sql, iso", "x", "dmy, mdy", "", "European",
    "NonEuropean", "ISO,", "german, ymd"]
ZONES = ["+05:30", "5.5", "-8", "+3", "UTC+3", "utc+3", "FOO-5", "<+03>-3", "<+03:30>-03:30", "EST5EDT", "EST", "PST",
    "CET", "pst8pdt",
         "america/new_york", "Zulu", "UCT", "Etc/GMT+5", "europe/Berlin", "16", "170", "-15:30", "GMT+2", "GMT", "Europe",
         "x", "", "WET", "HST10", "0", "UTC0",
         "America/Sao_Paulo"]
SET_TIME_ZONES = ["interval '-08:00' hour to minute", "interval '5 hours'", "-3", "5.5", "'America/Los_Angeles'", "local",
    "default", "utc",
                  "interval '1 day'"]


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal) as pair:
        yield pair


@pytest.fixture(autouse=True)
def reset(both: Both) -> Iterator[None]:
    yield
    for client in (both.postgres, both.shoal):
        client.query("RESET ALL")


def _set(both: Both, name: str, value: str) -> None:
    postgres, shoal = both.query(f"SET {name} = '{value}'")
    assert sorted(shoal) == sorted(postgres)


def _list(texts: list[str], *casts: str) -> str:
    return "SELECT " + ", ".join(f"'{text}'::{cast}" for text in texts for cast in casts)


@pytest.mark.parametrize("style", DATE_STYLES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "<+05:30>-05:30"])
def test_date_styles(both: Both, style: str, zone: str) -> None:
    for client in (both.postgres, both.shoal):
        client.query(f"SET TimeZone = '{zone}'; SET DateStyle = 'ISO'")
    values = _list(DATES, "date") + ", " + _list(TIMES, "timestamp", "timestamptz").removeprefix("SELECT ")
    columns = values.removeprefix("SELECT ").split(", ")
    _set(both, "DateStyle", style)
    for sql in (f"SELECT {', '.join(f'({column})::text' for column in columns)}", values,
                "SELECT 'x' || d, to_json(d), ARRAY[d]::text FROM (VALUES ('2024-02-09'::date), (NULL)) v(d)",
                "SELECT t::varchar, to_jsonb(t) FROM (VALUES ('2024-02-09 04:05:06+00'::timestamptz), (NULL)) v(t)",
                "SELECT '04:05:06+02'::timetz, '04:05:06'::time"):
        postgres, shoal = both.query(sql)
        assert shoal == postgres


@pytest.mark.parametrize("order", ["MDY", "DMY", "YMD"])
def test_input_follows_the_order(both: Both, order: str) -> None:
    _set(both, "DateStyle", f"ISO, {order}")
    for text in AMBIGUOUS:
        postgres, shoal = both.query(f"SELECT '{text}'::date")
        assert shoal == postgres, text
        postgres, shoal = both.run("SELECT $1::timestamp", [f"{text} 04:05".encode()])
        assert shoal == postgres, text


@pytest.mark.parametrize("style", INTERVAL_STYLES)
def test_interval_styles(both: Both, style: str) -> None:
    sql = _list(INTERVALS, "interval")
    columns = sql.removeprefix("SELECT ").split(", ")
    _set(both, "IntervalStyle", "postgres")
    both.query("SELECT 1")
    _set(both, "IntervalStyle", style)
    for statement in ("SELECT " + ", ".join(f"make_interval(days => 1) * 0 + {column}" for column in columns),
                      "SELECT (i)::text || '|' FROM (SELECT make_interval(months => m, days => d, secs => s) AS i "
                      "FROM generate_series(-13, 13, 13) m, "
                      "generate_series(-1, 1) d, generate_series(-1, 1) s) v ORDER BY i"):
        postgres, shoal = both.query(statement)
        assert shoal == postgres
    for text in [*INTERVAL_TEXTS, *INTERVALS]:
        postgres, shoal = both.query(f"SELECT '{text}'::interval")
        assert shoal == postgres, text


@pytest.mark.parametrize("digits", range(-15, 4))
def test_float_digits(both: Both, digits: int) -> None:
    _set(both, "extra_float_digits", str(digits))
    for sql in (_list(FLOATS[:-2], "float8", "float4") , _list(["1.5", "1e-45"], "float4"),
    "SELECT ('1.23456789'::float8)::text, ARRAY[1.23456789::float4]"):
        postgres, shoal = both.query(sql)
        assert shoal == postgres


def test_bytea_output(both: Both) -> None:
    for output in ("escape", "hex"):
        _set(both, "bytea_output", output)
        for sql in (r"SELECT '\x00017f80ff5c27410a'::bytea, ''::bytea, ('\x5c00'::bytea)::text, ARRAY['\x5c00'::bytea]",
                    "SELECT b FROM (VALUES ('abc'::bytea), (NULL), (''), ('\\x5c5c')) v(b)"):
            postgres, shoal = both.query(sql)
            assert shoal == postgres


@pytest.mark.parametrize("words", DATE_STYLE_WORDS)
def test_date_style_words(both: Both, words: str) -> None:
    for sql in (f"SET DateStyle = '{words}'", "SHOW DateStyle"):
        postgres, shoal = both.query(sql)
        assert sorted(map(str, shoal)) == sorted(map(str, postgres))


@pytest.mark.parametrize("zone", [*(f"TIMEZONE = '{zone}'" for zone in ZONES),
*(f"TIME ZONE {zone}" for zone in SET_TIME_ZONES)])
def test_spellings_of_time_zones(both: Both, zone: str) -> None:
    for sql in (f"SET {zone}", "SHOW TimeZone", "SELECT '2024-07-01 12:00+00'::timestamptz, '2024-01-01 12:00'::timestamptz",
                "SET DateStyle = 'SQL'",
                "SELECT now() = now(), '2024-07-01 12:00+00'::timestamptz, '1850-01-01'::timestamptz"):
        postgres, shoal = both.query(sql)
        assert sorted(map(str, shoal)) == sorted(map(str, postgres))


def test_zones_in_literals(both: Both) -> None:
    for zone in ("EST5EDT", "UTC+3", "GMT+3", "PST", "z", "zulu", "America/New_York", "america/new_york", "CET",
    "+05:30:15", "nowhere", "Mars/Phobos"):
        postgres, shoal = both.query(f"SELECT '2024-07-01 12:00:00 {zone}'::timestamptz")
        assert shoal == postgres, zone
