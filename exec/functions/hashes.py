"""hashtext, hashint8 and the like: PostgreSQL's hash values, by which users choose advisory locks and buckets.

Spec: the functions of the hash operator classes in pg_proc; the values are those of PostgreSQL 15 on little-endian machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.functions.registry import declare
from shoal.exec.kernels import canonical, nulls, postgres_hashes, strings, views
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]
_EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which PostgreSQL counts."""
_DAY_US = 86_400_000_000
_BYTES: dict[str, Callable[[str], bytes]] = {
    "bpchar": lambda value: value.rstrip(" ").encode(), "uuid": lambda value: bytes.fromhex(value.replace("-", ""))}


def integers_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Of integers of any width, times and intervals, each as the integer that PostgreSQL keeps for it."""
    array, kind = column(args[0], rows), call.args[0].type.name
    if kind == "interval":
        days, micros = canonical.interval_order(array)
        values = days * _DAY_US + micros
    else:
        values = views.values(array).astype(np.int64) - (_EPOCH_US if kind == "timestamp" else 0)
    hashed = postgres_hashes.of_words(values.astype(np.uint32)) if kind == "oid" else postgres_hashes.of_integers(values)
    return views.array_of(hashed, pa.int32(), nulls.validity(array))


def floats_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Of the eight bytes; 0 of both zeros, and all NaNs are one."""
    array = column(args[0], rows)
    distinct, codes = np.unique(canonical.float_bits(views.values(array)), return_inverse=True)
    hashed = np.array([postgres_hashes.of_bytes(bits.tobytes()) if bits else 0 for bits in distinct], np.int32)
    return views.array_of(hashed[codes], pa.int32(), nulls.validity(array))


def text_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    encoded = _BYTES.get(call.args[0].type.name, str.encode)
    return strings.mapped(column(args[0], rows), lambda value: postgres_hashes.of_bytes(encoded(value)), pa.int32())


@parameters(1)
def seeded_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda value: postgres_hashes.of_bytes_extended(value.encode(), args[1]),
                          pa.int64())


_DOC = "PostgreSQL's hash value."
for _name, _type in (("hashint2", "int2"), ("hashint4", "int4"), ("hashint8", "int8"), ("hashoid", "oid"),
                     ("time_hash", "time"), ("timestamp_hash", "timestamp"), ("interval_hash", "interval")):
    declare(_name, f"{_type} -> int4", kernel=integers_kernel, raises=False, family="hash", doc=_DOC)
for _name, _type in (("hashfloat4", "float4"), ("hashfloat8", "float8")):
    declare(_name, f"{_type} -> int4", kernel=floats_kernel, raises=False, family="hash", doc=_DOC)
for _name, _type in (("hashtext", "text"), ("hashname", "name"), ("hashbpchar", "bpchar"), ("uuid_hash", "uuid")):
    declare(_name, f"{_type} -> int4", kernel=text_kernel, raises=False, family="hash", doc=_DOC,
            example="hashtext('abc')" if _name == "hashtext" else "")
declare("hashtextextended", "text int8 -> int8", kernel=seeded_kernel, raises=False, family="hash",
        doc="PostgreSQL's hash value of 64 bits for a seed.", example="hashtextextended('abc', 7)")
