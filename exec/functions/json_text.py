"""JSON text: checked as it is (json), or in the one form that jsonb prints: keys by length then bytes, no duplicates.

Spec: PostgreSQL 15 documentation, 8.14 "JSON Types".
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from shoal.catalog.errors import InvalidTextRepresentation, StatementTooComplex
from shoal.exec.functions.json_errors import json_error

_CONTROL = re.compile(r"[\x00-\x1f]")


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
    value = load(text)
    if "\\u" in text and (error := json_error(text, jsonb=True)) is not None:
        raise error
    return dump(value)


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
        return f"{value:f}" if value or not value.is_signed() else f"{abs(value):f}"
    return str(value)


def dump_compact(value: Any) -> str:
    """json's form where PostgreSQL itself builds it: no blanks, keys in the order given."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(k)}:{dump_compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump_compact, value)) + "]"
    return scalar_text(value)


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
    """Orders and equates jsonb texts as PostgreSQL does: object > array > boolean > number > string > null."""
    return _order_key(load(text)) if text is not None else ()


def _order_key(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return (5, len(keys), [(key.encode(), _order_key(value[key])) for key in keys])
    if isinstance(value, list):
        return (4, len(value), [_order_key(item) for item in value])
    rank = {"boolean": 3, "number": 2, "string": 1, "null": 0}[kind_of(value)]
    return (rank, 0 if value is None else value.encode() if isinstance(value, str) else value, [])
