"""row_order(record or record[]): bytes that sort as PostgreSQL sorts such values.

Fields compare in turn as their types do, a NULL as larger than all others, and an array's elements in turn, the end
of the array as smaller than any element. Each field becomes a byte that says whether it is NULL, and bytes of a length
that its value shows, so that comparing the bytes compares the fields.

Spec: PostgreSQL 15 documentation, 9.24.6 "Composite Type Comparison".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.functions.registry import declare
from shoal.exec.functions.rows import fields_of, typed
from shoal.exec.kernels import nulls
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

_INTEGERS = frozenset({"int2", "int4", "int8", "oid"})
_TIMES = frozenset({"date", "time", "timestamp", "timestamptz"})


def order_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """The bytes of each value."""
    sql_type = call.args[0].type
    fields = [t for _, t in sql_type.fields or ()]
    values = nulls.decoded(column(args[0], rows)).to_pylist()
    listed = [value if sql_type.is_array else [value] for value in values if value is not None]
    texts = [text for value in listed for text in value if text is not None]
    keys = iter(_record_keys(texts, fields, context))
    made = iter([b"".join(b"\x02" if text is None else b"\x01" + next(keys) for text in value) + b"\x00"
                 for value in listed])
    return pa.array([None if value is None else next(made) for value in values], pa.binary())


def _record_keys(texts: Sequence[str], fields: Sequence[SqlType], context: Any) -> list[bytes]:
    records = [fields_of(text, len(fields)) for text in texts]
    columns = [_field_keys([record[i] for record in records], sql_type, context) for i, sql_type in enumerate(fields)]
    return [b"".join(parts) for parts in zip(*columns, strict=True)] if columns else [b""] * len(texts)


def _field_keys(texts: list[str | None], sql_type: SqlType, context: Any) -> list[bytes]:
    """A key for each text of a field of this type; what is not known to sort otherwise sorts by its text."""
    name = sql_type.name
    if name in _INTEGERS:
        values: list[bytes | None] = [None if t is None else struct.pack(">Q", int(t) + (1 << 63)) for t in texts]
    elif name in _TIMES:
        units = typed(pa.array(texts, pa.string()), sql_type, context)
        numbers = units.cast(pa.int32() if name == "date" else pa.int64()).to_pylist()
        values = [None if n is None else struct.pack(">Q", n + (1 << 63)) for n in numbers]
    elif name in ("float4", "float8"):
        values = [None if t is None else _float_key(float(t)) for t in texts]
    elif name == "enum" and sql_type.user is not None:
        values = [None if t is None else struct.pack(">I", sql_type.user.labels.index(t)) for t in texts]
    elif name == "numeric":
        values = [None if t is None else _numeric_key(t) for t in texts]
    else:
        values = [None if t is None else t.encode() + b"\x00" for t in texts]
    return [b"\x01" if value is None else b"\x00" + value for value in values]


def _float_key(value: float) -> bytes:
    if value != value:
        return b"\xff" * 8
    bits: int = struct.unpack(">Q", struct.pack(">d", value + 0.0))[0]
    return struct.pack(">Q", bits ^ ((1 << 64) - 1 if bits >> 63 else 1 << 63))


def _numeric_key(text: str) -> bytes:
    """Sign, exponent, digits; those of negative numbers inverted."""
    value = Decimal(text)
    if value.is_nan():
        return b"\x05"
    if value.is_infinite():
        return b"\x04" if value > 0 else b"\x00"
    if not value:
        return b"\x02"
    sign, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    body = struct.pack(">I", exponent + len(digits) + (1 << 31)) + bytes(d + 1 for d in digits) + b"\x00"
    return b"\x01" + bytes(255 - b for b in body) if sign else b"\x03" + body


declare("row_order", "any -> bytea", volatility="stable", hidden=True, raises=False, kernel=order_kernel, shapes=True,
        family="row")
