"""Random calls: every scalar function and operator over values at the edges of their types, on PostgreSQL and on Shoal.

Values stand in the call as constants, or come from a row of VALUES, so that both ways of computing are taken. Answers are
alike with the same type and text, or with the same SQLSTATE; floats may differ in their last digits.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from conformance.functions.examples import answer
from shoal.exec.functions.registry import Function, all_functions

FAMILIES = frozenset({"comparison", "arithmetic", "math", "string", "binary", "bit", "regex", "datetime", "formatting",
                      "array", "json", "range", "network", "conditional"})
_STEPS = ("0", "1", "-1", "2", "7", "100")
_JSON = ("null", "{}", "[]", "1", '"a"', '{"a": 1, "b": [true, null, {"c": "d"}]}', "[1, 2, [3]]", "1.50",
         '"\\ud83d\\ude00"', "[null]", "true", '{"": ""}')
VALUES: dict[str, Sequence[str]] = {
    "bool": ("true", "false"), "int2": (*_STEPS, "32767", "-32768"), "int4": (*_STEPS, "2147483647", "-2147483648", "36"),
    "int8": (*_STEPS, "9223372036854775807", "-9223372036854775808", "4294967296"),
    "numeric": (*_STEPS, "0.00", "1.50", "-0.005", "NaN", "Infinity", "-Infinity", "1e30", "1e-30", "99.995",
                "123456789012345678901234567890.12345"),
    "float4": (*_STEPS, "NaN", "Infinity", "-Infinity", "1e-37", "3.4e38", "0.1", "-0"),
    "float8": (*_STEPS, "NaN", "Infinity", "-Infinity", "1e-300", "1e300", "0.5", "-0", "1.5", "-2.5"),
    "text": ("", "a", "abc", "  abc ", "é😀z", "a%b_c", "(a|b)c*", "\\", "1", "YYYY-MM-DD", "day", "12,454.8-", "{a,b}",
             "ABC def", "escape", "99D9", "UTC", "hex", "a.b.c", "'", "%s %I", "Europe/Berlin", "i", "month"),
    "bpchar": ("", "a", "ab  ", "é"), "name": ("a", "pg_class"), "bytea": ("\\x", "\\x00", "\\x123456", "\\xff"),
    "date": ("2026-01-31", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31", "4713-01-01 BC", "2024-02-29",
             "1970-01-01"),
    "time": ("00:00", "23:59:59.999999", "24:00", "12:34:56.5"),
    "timetz": ("00:00+00", "23:59:59.999999-15:59", "12:00+02"),
    "timestamp": ("2026-01-31 12:34:56.789", "0044-03-15 10:00 BC", "infinity", "-infinity", "290000-12-31 23:59:59.999999",
                  "4713-01-01 BC", "2000-02-29", "2026-03-29 02:30"),
    "timestamptz": ("2026-01-31 12:34:56.789+00", "0044-03-15 10:00+00 BC", "infinity", "-infinity", "290000-12-31 00:00+00",
                    "2026-03-29 01:00+00"),
    "interval": ("0", "1 month", "-1 day", "1 year 2 months 3 days 04:05:06.789", "-00:00:00.000001", "178000000 years",
                 "30 days 24:00", "1 mon -1 day", "100000:00:54"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
    "json": _JSON, "jsonb": _JSON,
    "jsonpath": ("$", "$.a", "$.b[*]", "lax $.b[last]", "strict $.x", "$.a > 0", "$.* ? (@ != 1)"),
    "bit": ("1", "0", "1010", ""), "varbit": ("", "1", "0110", "111100001111"), "oid": ("0", "23", "4294967295"),
    "inet": ("10.0.0.1", "192.168.1.5/24", "::1", "2001:db8::/32", "255.255.255.255", "0.0.0.0/0"),
    "cidr": ("10.0.0.0/8", "::/0", "192.168.1.5/32"), "macaddr": ("08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"),
    "macaddr8": ("08:00:2b:01:02:03:04:05",), '"char"': ("a", ""),
    "int4range": ("empty", "[1,5)", "(,)", "[3,)", "[2147483646,2147483647)", "(,0]"),
    "int8range": ("empty", "[1,5)", "(,)"), "numrange": ("empty", "[1.0,2.5]", "(,3)", "(1,1.5)"),
    "daterange": ("empty", "[2026-01-01,2026-02-01]", "[infinity,]", "(,2026-01-01)"),
    "tsrange": ("empty", "[2026-01-01,2026-02-01]", "(,infinity)"), "tstzrange": ("empty", "[2026-01-01+00,2026-02-01+00]"),
    "int4multirange": ("{}", "{[1,3),[5,9)}", "{(,)}"), "int8multirange": ("{}", "{[1,3)}"),
    "nummultirange": ("{}", "{[1,2],(3,4.5)}"), "datemultirange": ("{}", "{[2026-01-01,2026-01-05)}"),
    "tsmultirange": ("{}", "{[2026-01-01,2026-01-05)}"), "tstzmultirange": ("{}", "{[2026-01-01+00,2026-01-05+00)}"),
    "int4[]": ("{}", "{1,2,3}", "{NULL}", "{{1,2},{3,4}}", "[0:2]={1,NULL,3}", "{2,2}"),
    "int8[]": ("{}", "{1,2,3}", "{NULL}"),
    "text[]": ("{}", '{a,b}', "{NULL}", '{"",NULL,"x y"}', "{{a,b},{c,d}}", "{0}"),
    "float8[]": ("{}", "{1,2.5,NaN}", "{1,2,3}"),
    "numeric[]": ("{}", "{1,2.50}"), "timestamp[]": ("{}", "{2026-01-01}"), "date[]": ("{}", "{2026-01-01,infinity}"),
}
"""Texts of values by type as SQL names it; NULL is one of each type's too."""
_GENERIC = {"anyelement": "int4", "anynonarray": "int4", "anyarray": "int4[]", "any": "text", "anycompatible": "int4",
            "anycompatiblenonarray": "int4", "anycompatiblearray": "int4[]", "varchar": "text", "char": '"char"'}
_UNLIKE = frozenset({"pg_column_size", "to_ascii", "random", "convert", "convert_to", "convert_from",
                     "json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"})
"""Whose answers depend on storage, encodings or chance, or that need a list of columns."""


@dataclass
class Found:
    """How many calls were answered alike, and which were not, by the function's name."""

    alike: int = 0
    refused: int = 0
    different: list[str] = field(default_factory=list)
    by_name: Counter[str] = field(default_factory=Counter)


def calls(count: int, seed: int) -> list[tuple[str, str]]:
    """(name, statement) of so many random calls, each function about as often as the others."""
    draw = random.Random(seed)
    groups: dict[str, list[Function]] = {}
    for function in all_functions():
        if function.family in FAMILIES and function.kind == "scalar" and function.volatility != "volatile" and (
                function.symbol or not function.hidden) and function.arguments and function.name not in _UNLIKE:
            types = [_type(one) for one in function.arguments]
            if all(one in VALUES for one in types):
                groups.setdefault(function.symbol if function.hidden else function.name, []).append(function)
    names = sorted(groups)
    return [(name, _statement(draw, draw.choice(groups[name]))) for name in (draw.choice(names) for _ in range(count))]


def _type(name: str) -> str:
    name = _GENERIC.get(name, name)
    return f"{name[1:]}[]" if name.startswith("_") else name


def _statement(draw: random.Random, function: Function) -> str:
    types = [_type(one) for one in function.arguments]
    if function.variadic:
        types += types[-1:] * draw.randrange(3)
    constants = [f"NULL::{one}" if draw.random() < 0.07 else f"'{_quoted(draw.choice(VALUES[one]))}'::{one}"
                 for one in types]
    if draw.random() < 0.5 or not types:
        return f"SELECT {_call(function, constants)}"
    columns = [f"c{i}" for i in range(len(types))]
    return f"SELECT {_call(function, columns)} FROM (VALUES ({', '.join(constants)}) OFFSET 0) AS t({', '.join(columns)})"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _call(function: Function, arguments: Sequence[str]) -> str:
    if function.symbol:
        return f"{arguments[0]} {function.symbol} {arguments[1]}" if len(arguments) == 2 else (
            f"{function.symbol} {arguments[0]}")
    return f'"{function.name}"({", ".join(arguments)})' if function.name not in _SYNTAX else (
        f"{function.name}({', '.join(arguments)})")


_SYNTAX = frozenset({"coalesce", "nullif", "greatest", "least", "normalize", "overlay", "position", "substring", "trim"})


def alike(want: str, got: str) -> bool:
    """Whether two answers are the same: of errors the SQLSTATE counts, of floats all but the last digits."""
    if want.startswith("error") or got.startswith("error"):
        return want.split()[:2] == got.split()[:2]
    if want == got:
        return True
    if not want.startswith(("[701]", "[700]")) or want[:5] != got[:5]:
        return False
    try:
        one, other = (float(text.partition("b'")[2].partition("'")[0]) for text in (want, got))
    except ValueError:
        return False
    return math.isclose(one, other, rel_tol=1e-6 if want.startswith("[700]") else 1e-14, abs_tol=1e-300)


def compare(count: int, seed: int, postgres: psycopg.Connection, shoal: psycopg.Connection) -> Found:
    found = Found()
    for name, sql in calls(count, seed):
        want, got = answer(postgres, sql), answer(shoal, sql)
        found.refused += want.startswith("error")
        if alike(want, got):
            found.alike += 1
        else:
            found.by_name[name] += 1
            found.different.append(f"{sql}\n  PostgreSQL: {want}\n  Shoal:      {got}")
    return found
