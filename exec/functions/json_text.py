"""JSON text: checked as it is (json), or in the one form that jsonb prints: keys by length then bytes, no duplicates.

Spec: PostgreSQL 15 documentation, 8.14 "JSON Types".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidTextRepresentation, NumericOutOfRange, StatementTooComplex
from shoal.exec.functions.json_errors import json_error

_CONTROL = re.compile(r"[\x00-\x1f]")
_BLANKS = " \t\n\r"
_SKIPPED = json.JSONDecoder(parse_float=str, parse_int=str, strict=False)
"""For finding ends: what it makes is thrown away."""
_ZEROS = r"\.[0-9]*0(?:[^0-9]|$)"
_MAX_WHOLE, _MAX_SCALE = 131072, 16383


def load(text: str) -> Any:
    """The Python value; numbers as Decimal, so that their digits stay. Raises: InvalidTextRepresentation (22P02)."""
    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise StatementTooComplex("stack depth limit exceeded") from None
    except ValueError as error:
        found = json_error(text) or InvalidTextRepresentation("invalid input syntax for type json", detail=str(error))
        raise found from None


def _no_constant(word: str) -> Any:
    raise ValueError(f'Token "{word}" is invalid.')


def checked_json(text: str) -> str:
    load(text)
    return text


def canonical_jsonb(text: str) -> str:
    """The one text of a jsonb value. Raises: InvalidTextRepresentation (22P02), UntranslatableCharacter (22P05),
    NumericOutOfRange (22003) for numbers that numeric cannot hold."""
    value = load(text)
    if "\\u" in text and (error := json_error(text, jsonb=True)) is not None:
        raise error
    return dump(value)


def skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def value_end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends."""
    return _SKIPPED.raw_decode(text, at)[1]


def members(text: str, at: int) -> Iterator[tuple[str | None, int, int]]:
    """(name, start, end) of what the object or array at `at` of a JSON text holds; names of elements are None."""
    named = text[at] == "{"
    at = skip_blanks(text, at + 1)
    while text[at] not in "]}":
        name = None
        if named:
            name, at = _SKIPPED.raw_decode(text, at)
            at = skip_blanks(text, skip_blanks(text, at) + 1)
        end = value_end(text, at)
        yield name, at, end
        at = skip_blanks(text, end)
        if text[at] == ",":
            at = skip_blanks(text, at + 1)


def unquoted(raw: str) -> str | None:
    """What ->> makes of a json value's characters: a string without its quotes and escapes, null as NULL."""
    if raw[0] != '"':
        return None if raw == "null" else raw
    if "\\" not in raw:
        return raw[1:-1]
    if "\\u" in raw and (error := json_error(raw, jsonb=True)) is not None:
        raise error
    return str(_SKIPPED.decode(raw))


class Pairs(list[tuple[str, Any]]):
    """An object as a list of its members, names as often as they were written."""


class Number(str):
    """A number as it was written."""


_FAITHFUL = json.JSONDecoder(parse_float=Number, parse_int=Number, object_pairs_hook=Pairs, strict=False)


def stripped(text: str) -> str:
    """json_strip_nulls of a json text."""
    return _stripped(_FAITHFUL.decode(text.strip(_BLANKS)))


def _stripped(value: Any) -> str:
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{quoted(name)}:{_stripped(item)}" for name, item in value if item is not None) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_stripped, value)) + "]"
    return str(value) if isinstance(value, Number) else scalar_text(value)


def has_duplicates(text: str) -> bool:
    """Whether some object of a JSON text has a name twice."""
    def twice(value: Any) -> bool:
        if isinstance(value, Pairs):
            return len({name for name, _ in value}) < len(value) or any(twice(item) for _, item in value)
        return isinstance(value, list) and any(map(twice, value))
    return twice(_FAITHFUL.decode(text.strip(_BLANKS)))


def dump(value: Any) -> str:
    """jsonb's text form of a Python value made by `load`."""
    if isinstance(value, dict):
        pairs = sorted(((k.encode(), k, v) for k, v in value.items()), key=lambda item: (len(item[0]), item[0]))
        return "{" + ", ".join(f"{quoted(k)}: {dump(v)}" for _, k, v in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dump, value)) + "]"
    return scalar_text(value)


def scalar_text(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Decimal):
        return number_text(value)
    return str(value)


def number_text(value: Decimal) -> str:
    """A number as numeric prints it."""
    exponent = value.as_tuple().exponent
    if value.adjusted() >= _MAX_WHOLE or (isinstance(exponent, int) and -exponent > _MAX_SCALE):
        raise NumericOutOfRange("value overflows numeric format")
    return f"{value:f}" if value or not value.is_signed() else f"{abs(value):f}"


def quoted(text: str) -> str:
    """A JSON string with PostgreSQL's escapes."""
    body = text.replace("\\", "\\\\").replace('"', '\\"')
    if _CONTROL.search(body):
        named = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        body = _CONTROL.sub(lambda m: named.get(m[0], f"\\u{ord(m[0]):04x}"), body)
    return f'"{body}"'


def kind_of(value: Any) -> str:
    """json_typeof of a loaded value."""
    return ("null" if value is None else "boolean" if isinstance(value, bool) else "number" if isinstance(value, Decimal)
            else "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object")


def order_key(text: str | None) -> Any:
    """Orders and equates jsonb texts as PostgreSQL does: objects above arrays above booleans, numbers, strings and null;
    larger containers above smaller ones, and so an empty array below every scalar."""
    if text is None:
        return ()
    value = load(text)
    if isinstance(value, dict):
        return (1, _order_key(value))
    return (0, len(value) if isinstance(value, list) else 1, isinstance(value, list), _order_key(value))


def _order_key(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return (5, len(keys), tuple((key.encode(), _order_key(value[key])) for key in keys))
    if isinstance(value, list):
        return (4, len(value), tuple(map(_order_key, value)))
    rank = {"boolean": 3, "number": 2, "string": 1, "null": 0}[kind_of(value)]
    return (rank, 0 if value is None else value.encode() if isinstance(value, str) else value, ())


def normalized(texts: pa.Array) -> pa.Array:
    """jsonb texts, none of them NULL, of which equal values are equal: numbers without zeros at their end."""
    odd = pc.match_substring_regex(texts, _ZEROS)
    if not pc.any(odd).as_py():
        return texts
    return pa.array([dump(_normal(load(text))) if zeros else text
                     for text, zeros in zip(texts.to_pylist(), odd.to_pylist(), strict=True)], pa.string())


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return Decimal(text.rstrip("0").rstrip(".")) if "." in text else value
    return value
