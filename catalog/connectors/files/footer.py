"""Parquet footers rewritten so that Arrow decodes columns in the form Shoal's batches use.

Decimals of up to 18 digits that a file stores as INT32 or INT64 come out of Arrow as decimal128, which costs more
than decoding them did (63 ms against 21 ms for 6 M rows of l_extendedprice). Here the footer's schema loses the
DECIMAL annotation of those columns, so that Arrow hands over the stored integers, which are just what a batch
holds. Also the writer's own Arrow schema can be hidden: it may ask for string_view or large_string.

Hop 6 (worker reads a split) and planning (statistics). Spec: Apache Parquet format 2.11, parquet.thrift; Thrift
compact protocol.
"""

from __future__ import annotations

import re
import struct

MAGIC = b"PAR1"
_INT32, _INT64, _REPEATED = 1, 2, 2
_CONVERTED_DECIMAL, _LOGICAL_DECIMAL = 5, 5
_CHECKED_BYTES = 1 << 20
_INTEGER_FIELDS = re.compile(b"(?:[" + b"".join(re.escape(bytes([step << 4 | kind])) for step in range(1, 16)
                                                for kind in (4, 5, 6)) + rb"][\x80-\xff]*[\x00-\x7f]|["
                             + b"".join(re.escape(bytes([step << 4 | kind])) for step in range(1, 16) for kind in (1, 2))
                             + b"])*", re.DOTALL)
"""Any number of short-form fields of a struct that hold an integer or a boolean."""
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
                if length > len(self.data) - self.position:
                    raise MalformedThrift("unexpected end")
                if element in (4, 5, 6):
                    for _ in range(length):
                        self.varint()
                    return
                for _ in range(length):
                    self.skip(3 if element in (1, 2) else element, depth + 1)
            case 12:
                self._skip_struct(depth)
            case _:
                raise MalformedThrift(f"unexpected type {kind}")
        if self.position > len(self.data):
            raise MalformedThrift("unexpected end")


    def _skip_struct(self, depth: int) -> None:
        """Footers are mostly structs of integers and short strings, so those are skipped here without a call."""
        data, position = self.data, self.position
        try:
            while True:
                position = _INTEGER_FIELDS.match(data, position).end()  # type: ignore[union-attr]
                head = data[position]
                if not head:
                    self.position = position + 1
                    return
                position += 1
                if not head >> 4:
                    while data[position] > 127:
                        position += 1
                    position += 1
                if head & 15 == 8 and data[position] < 128:
                    position += 1 + data[position]
                else:
                    self.position = position
                    self.skip(head & 15, depth + 1)
                    position = self.position
        except IndexError:
            raise MalformedThrift("unexpected end") from None


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
    leaves: list[int | None] = []
    pending: list[int] = []  # children still to come, for each open group; one group is open: a column of the table
    for _ in range(length):
        start = reader.position
        found = _SchemaElement(reader)
        top_level = len(pending) == 1
        pieces.append(found.plain() if top_level and found.is_integer_decimal else footer[start:reader.position])
        if not found.children and pending:
            leaves.append(found.physical)
        if pending:
            pending[-1] -= 1
        if found.children:
            pending.append(found.children)
        while pending and not pending[-1]:
            pending.pop()
    rest = bytearray(footer[reader.position:])
    if hide_arrow_schema and (at := rest.rfind(_ARROW_KEY)) >= 0:
        rest[at:at + len(_ARROW_KEY)] = _HIDDEN_KEY
    if len(footer) <= _CHECKED_BYTES:
        _check_chunks(rest, leaves)
    pieces.append(bytes(rest))
    return b"".join(pieces)


def _check_chunks(rest: bytearray, physical: list[int | None]) -> None:
    """Makes the FileMetaData after its schema safe to ask for column chunks, whose columns have these types.

    pyarrow 26 aborts the whole process if damage made a chunk's type or the histograms of its size_statistics wrong.
    So wrong types are found here, and size_statistics, which nobody here needs, get an id that readers skip. Takes
    some 60 us a kilobyte, so very large footers go without. Raises: MalformedThrift.
    """
    reader = ThriftReader(bytes(rest))
    field = 2
    while True:
        field, kind = reader.field(field)
        if not kind:
            return
        if field != 4 or kind != 9:
            reader.skip(kind)
            continue
        for _ in range(reader.list_head()[0]):  # RowGroup
            group_field = 0
            while True:
                group_field, kind = reader.field(group_field)
                if not kind:
                    break
                if group_field != 1 or kind != 9:
                    reader.skip(kind)
                    continue
                chunks = reader.list_head()[0]
                if chunks != len(physical):
                    raise MalformedThrift(f"a row group of {chunks} columns instead of {len(physical)}")
                try:
                    for expected in physical:
                        _check_chunk(reader, rest, expected)
                except IndexError:
                    raise MalformedThrift("unexpected end") from None


def _check_chunk(reader: ThriftReader, rest: bytearray, physical: int | None) -> None:
    """One ColumnChunk. Works on the bytes itself: this is called for every column of every row group."""
    data, position, field = reader.data, reader.position, 0
    while head := data[position]:
        field += head >> 4
        position += 1
        if field != 3 or head & 15 != 12:
            reader.position = position
            reader.skip(head & 15)
            position = reader.position
            continue
        inner = 0
        while head := data[position]:
            at, kind = position, head & 15
            inner += head >> 4
            position += 1
            if inner == 1 and data[position] >> 1 != physical:
                raise MalformedThrift("a column chunk is not of its column's type")
            if 4 <= kind <= 6:
                while data[position] > 127:
                    position += 1
                position += 1
            else:
                if inner == 16 and kind == 12 and head < 8 << 4:
                    rest[at] += 7 << 4  # id 23; what follows has a still higher id
                reader.position = position
                reader.skip(kind)
                position = reader.position
        position += 1
    reader.position = position + 1


class _SchemaElement:
    """The next SchemaElement of a footer: its raw fields and what they say."""

    def __init__(self, reader: ThriftReader) -> None:
        self.fields: list[tuple[int, int, bytes]] = []
        self.children = 0
        self.physical: int | None = None
        repetition, decimal, last = 0, False, 0
        while True:
            last, kind = reader.field(last)
            if not kind:
                break
            start = reader.position
            if kind == 5:
                value = reader.zigzag()
                if last == 1:
                    self.physical = value
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
        self.is_integer_decimal = decimal and self.physical in (_INT32, _INT64) and repetition != _REPEATED

    def plain(self) -> bytes:
        """The element again without converted_type, scale, precision and logicalType."""
        out, last = bytearray(), 0
        for field, kind, value in self.fields:
            if field not in (6, 7, 8, 10):
                if not 0 < field - last < 16:  # parquet.thrift ends at 10, and writers keep the order
                    raise MalformedThrift("fields out of order")
                out.append((field - last) << 4 | kind)
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
