"""Parquet footers rewritten so that Arrow decodes columns in the form Shoal's batches use.

Decimals of up to 18 digits that a file stores as INT32 or INT64 come out of Arrow as decimal128, which costs more
than decoding them did (63 ms against 21 ms for 6 M rows of l_extendedprice). Here the footer's schema loses the
DECIMAL annotation of those columns, so that Arrow hands over the stored integers, which are just what a batch
holds. Also the writer's own Arrow schema can be hidden: it may ask for string_view or large_string.

Hop 6 (worker reads a split) and planning (statistics). Spec: Apache Parquet format 2.11, parquet.thrift; Thrift
compact protocol.
"""

from __future__ import annotations

import struct

MAGIC = b"PAR1"
_INT32, _INT64, _REPEATED = 1, 2, 2
_CONVERTED_DECIMAL, _LOGICAL_DECIMAL = 5, 5
_ARROW_KEY = b"\x18\x0cARROW:schema"  # a KeyValue struct's field 1: a string of 12 bytes
_HIDDEN_KEY = b"\x18\x0carrow_hidden"


class MalformedThrift(ValueError):
    """The bytes are not what parquet.thrift allows."""


class ThriftReader:
    """A cursor over Thrift compact protocol bytes; only what footers and page headers need."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    def byte(self) -> int:
        if self.position >= len(self.data):
            raise MalformedThrift("unexpected end")
        self.position += 1
        return self.data[self.position - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise MalformedThrift("a number is too long")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def field(self, last: int) -> tuple[int, int]:
        """The next field's (id, type); type 0 ends the struct."""
        head = self.byte()
        if head == 0:
            return last, 0
        return (last + (head >> 4) if head >> 4 else self.zigzag()), head & 15

    def list_head(self) -> tuple[int, int]:
        """A list's (length, element type)."""
        head = self.byte()
        return (self.varint() if head >> 4 == 15 else head >> 4), head & 15

    def skip(self, kind: int, depth: int = 0) -> None:
        """Moves past one value of this type."""
        if depth > 16:
            raise MalformedThrift("nested too deeply")
        match kind:
            case 1 | 2:  # a boolean field: its value is its type
                pass
            case 3:
                self.byte()
            case 4 | 5 | 6:
                self.varint()
            case 7:
                self.position += 8
            case 8:
                length = self.varint()
                self.position += length
            case 9 | 10:
                length, element = self.list_head()
                for _ in range(length):
                    self.skip(3 if element in (1, 2) else element, depth + 1)
            case 12:
                last = 0
                while True:
                    last, kind = self.field(last)
                    if not kind:
                        return
                    self.skip(kind, depth + 1)
            case _:
                raise MalformedThrift(f"unexpected type {kind}")
        if self.position > len(self.data):
            raise MalformedThrift("unexpected end")


def whole_file(footer: bytes) -> bytes:
    """An empty Parquet file with this footer (the serialised FileMetaData), for Arrow to parse."""
    return MAGIC + footer + struct.pack("<I", len(footer)) + MAGIC


def plain_footer(footer: bytes, *, hide_arrow_schema: bool) -> bytes:
    """The serialised FileMetaData with integers in the place of short decimals that are columns of their own.

    Raises: MalformedThrift.
    """
    reader = ThriftReader(footer)
    field, kind = reader.field(0)
    while field != 2:
        if not kind:
            raise MalformedThrift("no schema")
        reader.skip(kind)
        field, kind = reader.field(field)
    length, element = reader.list_head()
    if element != 12:
        raise MalformedThrift("the schema is no list of structs")
    pieces = [footer[:reader.position]]
    pending: list[int] = []  # children still to come, for each open group; one group is open: a column of the table
    for _ in range(length):
        start = reader.position
        found = _SchemaElement(reader)
        top_level = len(pending) == 1
        pieces.append(found.plain() if top_level and found.is_integer_decimal else footer[start:reader.position])
        if pending:
            pending[-1] -= 1
        if found.children:
            pending.append(found.children)
        while pending and not pending[-1]:
            pending.pop()
    rest = footer[reader.position:]
    at = rest.rfind(_ARROW_KEY) if hide_arrow_schema else -1
    if at >= 0:
        rest = rest[:at] + _HIDDEN_KEY + rest[at + len(_ARROW_KEY):]
    pieces.append(rest)
    return b"".join(pieces)


class _SchemaElement:
    """The next SchemaElement of a footer: its raw fields and what they say."""

    def __init__(self, reader: ThriftReader) -> None:
        self.fields: list[tuple[int, int, bytes]] = []
        self.children = 0
        physical, repetition, decimal, last = None, 0, False, 0
        while True:
            last, kind = reader.field(last)
            if not kind:
                break
            start = reader.position
            if kind == 5:
                value = reader.zigzag()
                if last == 1:
                    physical = value
                elif last == 3:
                    repetition = value
                elif last == 5:
                    self.children = value
                elif last == 6:
                    decimal |= value == _CONVERTED_DECIMAL
            elif last == 10 and kind == 12:
                decimal |= reader.field(0)[0] == _LOGICAL_DECIMAL
                reader.position = start
                reader.skip(kind)
            else:
                reader.skip(kind)
            self.fields.append((last, kind, reader.data[start:reader.position]))
        self.is_integer_decimal = decimal and physical in (_INT32, _INT64) and repetition != _REPEATED

    def plain(self) -> bytes:
        """The element again without converted_type, scale, precision and logicalType."""
        out, last = bytearray(), 0
        for field, kind, value in self.fields:
            if field not in (6, 7, 8, 10):
                out.append((field - last) << 4 | kind)  # ids of SchemaElement are below 16: every step fits 4 bits
                out += value
                last = field
        out.append(0)
        return bytes(out)


def dictionary_size(header: bytes) -> tuple[int, int] | None:
    """(values, uncompressed bytes) of the dictionary page whose header starts `header`; None for another page.

    Raises: MalformedThrift.
    """
    reader = ThriftReader(header)
    field = size = page = 0
    while True:
        field, kind = reader.field(field)
        if not kind:
            return None
        if field == 1:
            page = reader.zigzag()
        elif field == 2:
            size = reader.zigzag()
        elif field == 7 and page == 2 and kind == 12:
            inner, inner_kind = reader.field(0)
            return (reader.zigzag(), size) if inner == 1 and inner_kind == 5 else None
        else:
            reader.skip(kind)
