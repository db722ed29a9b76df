"""Values of enums, composite types and domains: their text, their order, their conditions.

An enum's value is held as its label, a composite one as PostgreSQL's text form; the SqlType knows the labels and fields.

Spec: PostgreSQL 15 documentation, 8.7 "Enumerated Types", 8.16.2 and 8.16.6 "Composite Type Input and Output Syntax", 8.18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidTextRepresentation, SqlError
from shoal.catalog.shaped import struct_of
from shoal.catalog.types import TEXT, SqlType
from shoal.exec.functions.registry import declare
from shoal.exec.functions.rows import FIELD, row_kernel, unescaped
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call, Literal


def enum_label(text: str, target: SqlType) -> str:
    """Raises: InvalidTextRepresentation (22P02)."""
    assert target.user is not None
    if text not in target.user.labels:
        raise InvalidTextRepresentation(f'invalid input value for enum {target.user.name}: "{text}"')
    return text


def rank_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """The place of an enum's label, from 0; of an array of them, the array of their places."""
    user = call.args[0].type.user
    assert user is not None
    labels = pa.array(user.labels, pa.string())
    return _elementwise(nulls.decoded(column(args[0], rows)), lambda found: pc.index_in(
        found, value_set=labels).cast(pa.int32()))


def label_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """The label in this place; of an array of places, the array of their labels."""
    assert call.type.user is not None
    labels = pa.array(call.type.user.labels, pa.string())
    return _elementwise(column(args[0], rows), labels.take)


def _elementwise(array: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """`change` of the values, or of the elements of arrays."""
    if pa.types.is_struct(array.type):  # arrays with shapes
        lists, dims = (pc.struct_field(array, place) for place in (0, 1))
        return struct_of(_elementwise(lists, change), dims)
    if not pa.types.is_list(array.type):
        return change(array)
    mask = pc.is_null(array) if array.null_count else None
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0))
    offsets = np.zeros(len(array) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), change(array.flatten()), mask=mask)


def parse_record(text: str, target: SqlType, context: Any) -> str:
    """A composite value's text with its fields as their types print. Raises: InvalidTextRepresentation (22P02), and what
    the fields' types raise."""
    from shoal.exec.functions.cast_kernels import conversion
    wanted = target.fields or ()
    found = _fields(text, len(wanted))
    arrays = []
    for value, (_, sql_type) in zip(found, wanted, strict=True):
        array = pa.array([value], pa.string())
        arrays.append(array if sql_type == TEXT else conversion(TEXT, sql_type).run(array, context))
    made = row_kernel(Call(target, "row", tuple(Literal(t, None) for _, t in wanted)), arrays, 1, context)
    return str(made[0].as_py())


def _fields(text: str, count: int) -> list[str | None]:
    body = text.strip()

    def malformed(detail: str) -> SqlError:
        return InvalidTextRepresentation(f'malformed record literal: "{text}"', detail=detail)

    if not body.startswith("("):
        raise malformed("Missing left parenthesis.")
    found: list[str | None] = []
    at = 1
    while True:
        parts: list[str] = []
        plain = True
        while at < len(body) and body[at] not in ",)":
            match = FIELD.match(body, at)
            if match is None or match.end() == at:
                raise malformed("Unexpected end of input.")
            quoted_part, bare = match.groups()
            plain = plain and quoted_part is None
            parts.append(unescaped(quoted_part if quoted_part is not None else bare))
            at = match.end()
        found.append(None if plain and not "".join(parts) else "".join(parts))
        if at >= len(body):
            raise malformed("Unexpected end of input.")
        at += 1
        if body[at - 1] == ")":
            break
    if at < len(body):
        raise malformed("Junk after right parenthesis.")
    if count == 0 and found == [None]:
        return []
    if len(found) != count:
        raise malformed("Too few columns." if len(found) < count else "Too many columns.")
    return found


def require_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    """The first argument, if the second is not false anywhere. Raises: the error whose SQLSTATE and text the others are."""
    passed = column(args[1], rows)
    failed = ~views.values(passed)
    valid = views.validity(passed)
    if np.any(failed if valid is None else failed & valid):
        state, message = (arg.value for arg in call.args[2:4] if isinstance(arg, Literal))
        raise SqlError.by_sqlstate[state](message)
    return args[0]


declare("enum_rank", "enum -> int4", hidden=True, raises=False, kernel=rank_kernel, family="enum",
        doc="The place of an enum's value in the order of its type, from 0.")
declare("enum_label", "int4", returns=SqlType("enum"), hidden=True, raises=False, kernel=label_kernel, family="enum",
        doc="The value of an enum in this place, from 0.")
declare("require", "any bool text text", returns=lambda types: types[0], strict=False, hidden=True,
        shapes=True, kernel=require_kernel, family="domain",
        doc="The value, once it has passed a condition of its domain.")
