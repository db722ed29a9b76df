"""float8send and its like: a value's bytes as the binary format of the wire has them.

Spec: PostgreSQL 15, pg_type.typsend; the bytes are those of encoding/binary.py.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shoal.exec.functions.registry import declare
from shoal.exec.kernels import views
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call


def send_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    from shoal.exec.encoding.binary import binary_form, prefixed
    array = column(args[0], rows)
    valid = views.validity(array)
    sent = pc.binary_slice(prefixed(binary_form(array, call.args[0].type, context.settings)), 4)
    return sent if valid is None else pc.if_else(pa.array(valid), sent, pa.scalar(None, pa.binary()))


_TYPES = ("bool", "bpchar", "bytea", "char", "cidr_", "date_", "float4", "float8", "inet_", "int2", "int4", "int8",
          "interval_", "json_", "jsonb_", "macaddr_", "macaddr8_", "name", "numeric_", "oid", "text", "time_", "timestamp_",
          "timestamptz_", "timetz_", "uuid_", "varchar")
"""Types with the names of their functions up to "send"."""
for _prefix in _TYPES:
    declare(f"{_prefix}send", f"{_prefix.rstrip('_')} -> bytea", raises=False, kernel=send_kernel, family="conversion",
            doc="The value in the wire's binary format.",
            example="int4send(1)" if _prefix == "int4" else "")
