"""Regular expressions: the ~ operators, SIMILAR TO, regexp_* functions.

Spec: PostgreSQL 15 documentation, 9.7.2 and 9.7.3; their meaning is in kernels/regex.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidParameterValue
from shoal.catalog.types import BOOL
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls, regex, strings
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]


@parameters(1)
def match_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    pattern = regex.compiled(args[1], "i" if call.name in ("regex_imatch", "regex_not_imatch") else "")
    found = regex.matches(column(args[0], rows), pattern)
    return ~found if "not" in call.name else found


@parameters(1)
def similar_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    return regex.matches(column(args[0], rows), regex.compiled(regex.similar_to_regex(args[1])))


@parameters(1)
def similar_escape_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """The regular expression of a SIMILAR TO pattern with this escape character: x SIMILAR TO p ESCAPE e is
    x ~ similar_to_escape(p, e)."""
    escape = args[1] if len(args) > 1 else "\\"
    return strings.mapped(column(args[0], rows), lambda pattern: regex.similar_to_regex(pattern, escape))


def similar_escape_or_none_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """similar_escape: without an escape character it is the backslash."""
    given: pa.Array = similar_escape_kernel(call, [args[0], pc.fill_null(nulls.decoded(args[1]), "\\")], rows, context)
    return given


def _flags(flags: str, function: str, allow_global: bool = False) -> str:
    if "g" in flags and not allow_global:
        raise InvalidParameterValue(f"{function}() does not support the \"global\" option")
    return flags.replace("g", "")


def _start(value: int) -> int:
    if value < 1:
        raise InvalidParameterValue(f'invalid value for parameter "start": {value}')
    return value


@parameters(1, 2, 3, 4, 5)
def replace_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array, pattern, replacement, rest = column(args[0], rows), args[1], args[2], args[3:]
    if rest and isinstance(rest[0], str):
        if rest[0][:1].isdigit():
            raise InvalidParameterValue(f'invalid regular expression option: "{rest[0][0]}"',
                                        hint="If you meant to use regexp_replace() with a start parameter, cast the fourth "
                                             "argument to integer explicitly.")
        return regex.replace(array, regex.compiled(pattern, _flags(rest[0], "regexp_replace", True)), replacement,
                             occurrence=0 if "g" in rest[0] else 1)
    start = _start(rest[0]) if rest else 1
    flags = rest[2] if len(rest) > 2 else ""
    occurrence = rest[1] if len(rest) > 1 else 1
    if occurrence < 0:
        raise InvalidParameterValue(f'invalid value for parameter "n": {occurrence}')
    return regex.replace(array, regex.compiled(pattern, _flags(flags, "regexp_replace", True)), replacement, start,
                         occurrence)


@parameters(1, 2)
def first_match_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """regexp_match, regexp_like, substring(text FROM pattern)."""
    array = column(args[0], rows)
    if call.name == "substring":
        found = regex.compiled(args[1] if len(args) == 2 else regex.similar_to_regex(args[1], args[2]))
        group = 1 if found.groups else 0

        def part(value: str) -> str | None:
            match = found.search(value)
            return None if match is None else match[group]
        return strings.mapped(array, part)
    pattern = regex.compiled(args[1], _flags(args[2] if len(args) > 2 else "", call.name))
    if call.name == "regexp_like":
        return regex.matches(array, pattern)
    find = pattern.search

    def groups(value: str) -> list[str | None] | None:
        match = find(value)
        return None if match is None else regex.groups_of(match)
    return strings.mapped(array, groups, pa.list_(pa.string()))


@parameters(1, 2, 3)
def count_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    start = _start(args[2]) if len(args) > 2 else 1
    pattern = regex.compiled(args[1], _flags(args[3] if len(args) > 3 else "", call.name))
    return strings.mapped(column(args[0], rows), lambda value: sum(1 for _ in pattern.finditer(value, start - 1)),
                          pa.int32())


def _nth(value: str, pattern: regex.Pattern, start: int, number: int) -> Any:
    for i, match in enumerate(pattern.finditer(value, start - 1), 1):
        if i == number:
            return match
    return None


@parameters(1, 2, 3, 4, 5, 6)
def instr_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    start, number, end_option, flags, group = (list(args[2:]) + [1, 1, 0, "", 0][len(args) - 2:])
    pattern = regex.compiled(args[1], _flags(flags, call.name))
    _start(start)
    if number < 1:
        raise InvalidParameterValue(f'invalid value for parameter "n": {number}')
    if end_option not in (0, 1):
        raise InvalidParameterValue(f'invalid value for parameter "endoption": {end_option}')
    if group < 0:
        raise InvalidParameterValue(f'invalid value for parameter "subexpr": {group}')

    def one(value: str) -> int:
        match = _nth(value, pattern, start, number)
        if match is None or group > pattern.groups or match.start(group) < 0:
            return 0
        return int((match.end(group) if end_option else match.start(group)) + 1)
    return strings.mapped(column(args[0], rows), one, pa.int32())


@parameters(1, 2, 3, 4, 5)
def substr_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    start, number, flags, group = (list(args[2:]) + [1, 1, "", 0][len(args) - 2:])
    pattern = regex.compiled(args[1], _flags(flags, call.name))
    _start(start)
    if number < 1:
        raise InvalidParameterValue(f'invalid value for parameter "n": {number}')
    if group < 0:
        raise InvalidParameterValue(f'invalid value for parameter "subexpr": {group}')

    def one(value: str) -> str | None:
        match = _nth(value, pattern, start, number)
        return None if match is None or group > pattern.groups else match[group]
    return strings.mapped(column(args[0], rows), one)


@parameters(1, 2)
def split_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    pattern = regex.compiled(args[1], _flags(args[2] if len(args) > 2 else "", call.name))
    return strings.mapped(column(args[0], rows), lambda value: regex.split(value, pattern), pa.list_(pa.string()))


for _name, _symbol in (("regex_match", "~"), ("regex_not_match", "!~"), ("regex_imatch", "~*"), ("regex_not_imatch", "!~*")):
    declare(_name, "text text", "name text", "bpchar text", returns=BOOL, symbol=_symbol, hidden=True, kernel=match_kernel,
            family="regex")
declare("similar", "text text", returns=BOOL, hidden=True, kernel=similar_kernel, family="regex",
        doc="text SIMILAR TO pattern.")
declare("similar_escape", "text text -> text", strict=False, kernel=similar_escape_or_none_kernel, family="regex")
declare("similar_to_escape", "text -> text", "text text -> text", kernel=similar_escape_kernel, family="regex")
declare("substring", "text text -> text", "text text text -> text", kernel=first_match_kernel, family="regex",
        doc="The part that matches a regular expression (with three arguments: an SQL one with escape).",
        example="substring('Thomas', '...$')")
declare("regexp_replace", "text text text -> text", "text text text text -> text", "text text text int4 -> text",
        "text text text int4 int4 -> text", "text text text int4 int4 text -> text", kernel=replace_kernel,
        family="regex", example="regexp_replace('Hello World', '[aeiou]', 'X', 'g')")
declare("regexp_match", "text text -> _text", "text text text -> _text", kernel=first_match_kernel, family="regex",
        example="regexp_match('foobarbequebaz', '(bar)(beque)')")
declare("regexp_like", "text text -> bool", "text text text -> bool", kernel=first_match_kernel, family="regex")
declare("regexp_count", "text text -> int4", "text text int4 -> int4", "text text int4 text -> int4", kernel=count_kernel,
        family="regex")
declare("regexp_instr", "text text -> int4", "text text int4 -> int4", "text text int4 int4 -> int4",
        "text text int4 int4 int4 -> int4", "text text int4 int4 int4 text -> int4",
        "text text int4 int4 int4 text int4 -> int4",
        kernel=instr_kernel, family="regex")
declare("regexp_substr", "text text -> text", "text text int4 -> text", "text text int4 int4 -> text",
        "text text int4 int4 text -> text", "text text int4 int4 text int4 -> text", kernel=substr_kernel, family="regex")
declare("regexp_split_to_array", "text text -> _text", "text text text -> _text", kernel=split_kernel, family="regex",
        example="regexp_split_to_array('hello world', '\\s+')")
