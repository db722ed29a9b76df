"""String kernels: plain Arrow string (or binary) columns in and out, minor arguments as Python values.

Positions and lengths count characters and start at 1. Spec: PostgreSQL 15 documentation, 9.4 and 9.5.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidParameterValue, NumericOutOfRange, ProgramLimitExceeded, SubstringError
from shoal.exec.kernels import matching, views

Mapper = Any
_MAX_BYTES = (1 << 30) - 1


def mapped(array: pa.Array, function: Mapper, arrow: pa.DataType | None = None) -> pa.Array:
    """function(value) for each value that is not NULL, called once for each distinct one."""
    encoded = array.dictionary_encode()
    values = [function(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, arrow or array.type).take(encoded.indices)


def int_array(data: Any, array: pa.Array) -> pa.Array:
    return views.array_of(np.asarray(data), pa.int32(), views.validity(array))


def substring(array: pa.Array, start: int, count: int | None) -> pa.Array:
    """Characters from `start`; what lies before the first one is not there but counts.

    Raises: SubstringError (22011) for a negative count.
    """
    if count is not None and count < 0:
        raise SubstringError("negative substring length not allowed")
    end = None if count is None else start + count - 1
    first = max(start - 1, 0)
    if end is not None and end <= first:
        return pa.array([""], array.type).take(pa.nulls(0, pa.int32())) if len(array) == 0 else _emptied(array)
    if pa.types.is_binary(array.type):
        return pc.binary_slice(array, first, _MAX_BYTES if end is None else end)  # Arrow miscounts without an end
    return pc.utf8_slice_codeunits(array, first, end)


def overlay(array: pa.Array, replacement: Any, start: int, count: int) -> pa.Array:
    """`count` characters from `start` on replaced.

    Raises: SubstringError (22011) for a start before the first character, NumericOutOfRange (22003).
    """
    if start <= 0:
        raise SubstringError("negative substring length not allowed")
    if start + count > (1 << 31) - 1:
        raise NumericOutOfRange("integer out of range")
    head, tail = substring(array, 1, start - 1), substring(array, start + count, None)
    empty = b"" if pa.types.is_binary(array.type) else ""
    return pc.binary_join_element_wise(head, pa.scalar(replacement, array.type), tail, pa.scalar(empty, array.type))


def _emptied(array: pa.Array) -> pa.Array:
    valid = views.validity(array)
    codes = np.zeros(len(array), np.int32)
    empty = b"" if pa.types.is_binary(array.type) else ""
    return pa.array([empty], array.type).take(pa.array(codes, mask=None if valid is None else ~valid))


def left(array: pa.Array, count: int) -> pa.Array:
    """The first characters; a negative count leaves out that many at the end."""
    if count == 0:
        return _emptied(array)
    return pc.utf8_slice_codeunits(array, 0, count)


def right(array: pa.Array, count: int) -> pa.Array:
    """The last characters; a negative count leaves out that many at the start."""
    if count == 0:
        return _emptied(array)
    if count == -1 << 31:
        return array  # PostgreSQL cannot negate it
    return pc.utf8_slice_codeunits(array, -count, None)


def pad(array: pa.Array, width: int, fill: str, at_left: bool) -> pa.Array:
    """Filled up to, or cut down to, `width` characters."""
    width = max(width, 0)
    if width * 4 > _MAX_BYTES:
        raise ProgramLimitExceeded("requested length too large")
    if len(fill) == 1:
        padded = (pc.utf8_lpad if at_left else pc.utf8_rpad)(array, width=width, padding=fill)
        return pc.utf8_slice_codeunits(padded, 0, width) if width else _emptied(array)

    def one(value: str) -> str:
        room = width - len(value)
        if room <= 0 or not fill:
            return value[:width]
        filling = (fill * (room // len(fill) + 1))[:room]
        return filling + value if at_left else value + filling
    return mapped(array, one)


def initcap(array: pa.Array) -> pa.Array:
    """Each word (letters and digits) with its first letter upper case, the rest lower."""
    return mapped(array, lambda value: re.sub(r"[^\W_]+", lambda m: _upper(m[0][0]) + m[0][1:].lower(), value))


def _upper(char: str) -> str:
    """A character in upper case where that is one character, too."""
    found = char.upper()
    return found if len(found) == 1 else char


def upper(array: pa.Array) -> pa.Array:
    """Upper case, a character for a character: the sharp s has none."""
    if not _is_ascii(array) and matching.contains(array, "\u00df").any():
        return mapped(array, lambda value: "".join(map(_upper, value)))
    return pc.utf8_upper(array)


def translate(array: pa.Array, source: str, target: str) -> pa.Array:
    table: dict[int, int | None] = {}
    for i, char in enumerate(source):
        table.setdefault(ord(char), ord(target[i]) if i < len(target) else None)
    return mapped(array, lambda value: value.translate(table))


def trimmed(array: pa.Array, characters: Any, side: str) -> pa.Array:
    """Without leading and/or trailing characters of a set; side is ltrim, rtrim or btrim."""
    if pa.types.is_binary(array.type):
        strip = {"ltrim": bytes.lstrip, "rtrim": bytes.rstrip, "btrim": bytes.strip}[side]
        return mapped(array, lambda value: strip(value, bytes.fromhex(characters)))
    if not characters:
        return array
    kernel = {"ltrim": pc.utf8_ltrim, "rtrim": pc.utf8_rtrim, "btrim": pc.utf8_trim}[side]
    return kernel(array, characters=characters)


def positions(array: pa.Array, needle: Any) -> pa.Array:
    """1-based character position of the first occurrence, 0 for none."""
    if pa.types.is_binary(array.type):
        wanted = bytes.fromhex(needle)
        return mapped(array, lambda value: value.find(wanted) + 1, pa.int32())
    if needle.isascii() and _is_ascii(array):
        found = pc.find_substring(array, needle)
        return int_array(views.values(found).astype(np.int32) + 1, array)
    return mapped(array, lambda value: value.find(needle) + 1, pa.int32())


def _is_ascii(array: pa.Array) -> bool:
    """Whether no byte of the column's data has its highest bit set."""
    if not len(array) or array.buffers()[2] is None:
        return True
    offsets = np.frombuffer(array.buffers()[1], np.int32, count=len(array) + 1, offset=4 * array.offset)
    data = np.frombuffer(array.buffers()[2], np.int8)[int(offsets[0]):int(offsets[-1])]
    return not len(data) or int(data.min()) >= 0


def split_part(array: pa.Array, delimiter: str, field: int) -> pa.Array:
    """The n-th field, counted from the end where n is negative, '' where there is none.

    Raises: InvalidParameterValue (22023) for field 0.
    """
    if field == 0:
        raise InvalidParameterValue("field position must not be zero")
    if not delimiter:
        return array if field in (1, -1) else _emptied(array)

    def one(value: str) -> str:
        parts = value.split(delimiter)
        at = field - 1 if field > 0 else len(parts) + field
        return parts[at] if 0 <= at < len(parts) else ""
    return mapped(array, one)


_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_$]*")


def quote_ident(text: str) -> str:
    """Double-quoted unless it is a plain lower-case name that is no reserved word."""
    from shoal.catalog.keywords import QUOTED_KEYWORDS
    if _PLAIN_IDENTIFIER.fullmatch(text) and text not in QUOTED_KEYWORDS:
        return text
    return '"' + text.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
    return "E" + quoted if "\\" in text else quoted
