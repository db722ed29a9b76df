"""Exchange frames: pages of rows as checksummed bytes, and back (hop 6: between workers; pure).

A stream (one consumer reading one partition of one task's output over one connection) is a sequence of frames:

    header, 32 bytes, big-endian:
        magic 4s "SHLF" | version u8 | kind u8 | codec u8 (0 plain, 1 zstd) | zero u8 | sequence u64
        rows u32 | raw length u32 | length u32 | crc32 u32 of the header before it and the payload; for plain ROWS of
        the header, the sum of the payload's 64-bit words and its odd bytes, which takes a quarter of the time
    payload of `length` bytes, `raw length` once decompressed

    SCHEMA      Arrow schema of the pages that follow; sent when it differs from the one before
    DICTIONARY  one-column record batch: the dictionary of the page's column number `rows`; sent when it changed
    PAGE        Arrow record batch message: dictionary columns hold their int32 codes
    ROWS        rows that are encoded for the client already, opaque here; needs no schema
    END         JSON: what follows (see transport.py)

Numeric columns change between int64, decimal128 and decimal256 from page to page, and strings between plain and
dictionary form, so the schema is per page, but costs nothing while it stays. A dictionary that is the same as the
last one of its column is not sent again; one that is larger than the page it serves is never sent, the page goes plain.

Arrow's IPC reader is not safe on arbitrary bytes (design/kernels.md), so magic, lengths and checksum are checked before
it sees any, and the arrays are validated after.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import zstandard

from shoal.catalog.errors import ProtocolViolation
from shoal.exec.exchange.buffer import Page
from shoal.exec.exchange.partition import same_dictionary

_HEADER: Final = struct.Struct("!4sBBBBQIIII")
HEADER_BYTES: Final = _HEADER.size
_CHECKED: Final = HEADER_BYTES - 4
MAGIC: Final = b"SHLF"
VERSION: Final = 1
MAX_FRAME_BYTES: Final = 1 << 30
"""The most a payload may hold, compressed or not."""
_MIN_COMPRESSED_BYTES: Final = 512

SCHEMA, DICTIONARY, PAGE, END, ROWS = 1, 2, 3, 4, 5
_PLAIN, _ZSTD = 0, 1

Buffers: TypeAlias = bytes | bytearray | memoryview | pa.Buffer


@dataclass(frozen=True, slots=True)
class Header:
    kind: int
    codec: int
    sequence: int
    rows: int
    """Rows of a PAGE or ROWS; the column number of a DICTIONARY."""
    raw_length: int
    length: int
    crc: int
    checked: bytes


def parse_header(data: bytes | bytearray | memoryview) -> Header:
    """The header of a frame. Raises: ProtocolViolation (08P01) before anything is allocated for the payload."""
    if len(data) != HEADER_BYTES:
        raise ProtocolViolation("an exchange frame's header is cut short")
    magic, version, kind, codec, _, sequence, rows, raw_length, length, crc = _HEADER.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise ProtocolViolation("not an exchange frame of this version")
    if kind not in (SCHEMA, DICTIONARY, PAGE, END, ROWS) or codec not in (_PLAIN, _ZSTD):
        raise ProtocolViolation("an exchange frame of an unknown kind")
    if raw_length > MAX_FRAME_BYTES or length > MAX_FRAME_BYTES or (codec == _PLAIN and raw_length != length):
        raise ProtocolViolation(f"an exchange frame claims {raw_length} bytes")
    return Header(kind, codec, sequence, rows, raw_length, length, crc, bytes(data[:_CHECKED]))


def payload_of(header: Header, payload: Buffers) -> Buffers:
    """The checked and decompressed payload. Raises: ProtocolViolation (08P01)."""
    if len(payload) != header.length or _checksum(header.kind, header.codec, header.checked, payload) != header.crc:
        raise ProtocolViolation("an exchange frame's checksum does not match")
    if header.codec == _PLAIN:
        return payload
    try:
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=header.raw_length)
    except zstandard.ZstdError as error:
        raise ProtocolViolation(f"an exchange frame cannot be decompressed: {error}") from None
    if len(raw) != header.raw_length:
        raise ProtocolViolation("an exchange frame's length does not match")
    return raw


def _checksum(kind: int, codec: int, header: bytes, payload: Buffers) -> int:
    if kind != ROWS or codec != _PLAIN:
        return zlib.crc32(payload, zlib.crc32(header))
    words = len(payload) // 8
    total = np.add.reduce(np.frombuffer(payload, "<u8", words)) if words else np.uint64(0)
    return zlib.crc32(memoryview(payload)[words * 8:], zlib.crc32(int(total).to_bytes(8, "little"), zlib.crc32(header)))


def frame(kind: int, payload: Buffers, *, sequence: int = 0, rows: int = 0,
          codec: Literal["", "zstd"] = "") -> list[Buffers]:
    """Header and payload, ready to be written one after the other."""
    raw_length = len(payload)
    if raw_length > MAX_FRAME_BYTES:
        raise ProtocolViolation(f"a page of {raw_length} bytes is too large to be exchanged")
    packed, used = payload, _PLAIN
    if codec == "zstd" and raw_length >= _MIN_COMPRESSED_BYTES:
        compressed = zstandard.ZstdCompressor(level=1).compress(payload)
        if len(compressed) < raw_length:
            packed, used = compressed, _ZSTD
    header = _HEADER.pack(MAGIC, VERSION, kind, used, 0, sequence, rows, raw_length, len(packed), 0)
    crc = _checksum(kind, used, header[:_CHECKED], packed)
    return [header[:_CHECKED] + crc.to_bytes(4, "big"), packed]


class FrameEncoder:
    """The sending end of one stream: remembers the schema and dictionaries the other end has."""

    def __init__(self, codec: Literal["", "zstd"] = "") -> None:
        self._codec = codec
        self._schema: pa.Schema | None = None
        self._dictionaries: dict[int, pa.Array] = {}

    def encode(self, sequence: int, page: Page) -> list[Buffers]:
        """The frames of one page: what changed of its schema and dictionaries, then its rows."""
        if page.encoded is not None:
            return frame(ROWS, page.encoded, sequence=sequence, rows=page.rows, codec=self._codec)
        frames: list[Buffers] = []
        columns: list[pa.Array] = []
        types: list[pa.DataType] = []
        dictionaries: list[tuple[int, pa.Array]] = []
        for position, array in enumerate(page.arrays):
            if pa.types.is_dictionary(array.type):
                dictionary = array.dictionary
                known = self._dictionaries.get(position)
                if known is not None and same_dictionary(known, dictionary):
                    types.append(array.type)
                    array = array.indices
                elif len(dictionary) > page.rows or array.type.index_type != pa.int32():
                    array = array.dictionary_decode()
                    types.append(array.type)
                else:
                    dictionaries.append((position, dictionary))
                    types.append(array.type)
                    array = array.indices
            else:
                types.append(array.type)
            columns.append(array)
        schema = pa.schema([("", t) for t in types])
        if schema != self._schema:
            frames += frame(SCHEMA, schema.serialize(), sequence=sequence)
            self._schema = schema
        for position, dictionary in dictionaries:
            batch = pa.RecordBatch.from_arrays([dictionary], names=[""])
            frames += frame(DICTIONARY, batch.serialize(), sequence=sequence, rows=position, codec=self._codec)
            self._dictionaries[position] = dictionary
        payload: Buffers = pa.RecordBatch.from_arrays(columns, names=[""] * len(columns)).serialize() if columns else b""
        return frames + frame(PAGE, payload, sequence=sequence, rows=page.rows, codec=self._codec)


class FrameDecoder:
    """The receiving end of one stream."""

    def __init__(self) -> None:
        self._types: list[pa.DataType] | None = None
        self._wire_schema: pa.Schema | None = None
        self._dictionaries: dict[int, pa.Array] = {}

    def decode(self, header: Header, payload: Buffers) -> Page | None:
        """The page of a PAGE or ROWS frame; None for the frames that prepare one. Raises: ProtocolViolation (08P01)."""
        raw = payload_of(header, payload)
        if header.kind == ROWS:
            return Page((), header.rows, header.raw_length, memoryview(raw))
        try:
            if header.kind == SCHEMA:
                schema = pa.ipc.read_schema(pa.py_buffer(raw))
                self._types = [f.type for f in schema]
                self._wire_schema = pa.schema([("", t.index_type if pa.types.is_dictionary(t) else t) for t in self._types])
                return None
            if self._types is None or self._wire_schema is None:
                raise ProtocolViolation("an exchange stream starts without its schema")
            if header.kind == DICTIONARY:
                column = self._types[header.rows] if header.rows < len(self._types) else None
                if column is None or not pa.types.is_dictionary(column):
                    raise ProtocolViolation("an exchange frame holds a dictionary of no column")
                self._dictionaries[header.rows] = _read(raw, pa.schema([("", column.value_type)]))[0]
                return None
            return self._page(header, raw)
        except (pa.ArrowException, ValueError, TypeError, OSError) as error:
            raise ProtocolViolation(f"an exchange frame holds no valid Arrow data: {error}") from None

    def _page(self, header: Header, raw: Buffers) -> Page:
        assert self._types is not None and self._wire_schema is not None
        if not self._types:
            return Page((), header.rows, 0)
        arrays = _read(raw, self._wire_schema)
        for position, column_type in enumerate(self._types):
            if len(arrays[position]) != header.rows:
                raise ProtocolViolation("an exchange frame's row count does not match")
            if pa.types.is_dictionary(column_type):
                dictionary = self._dictionaries.get(position)
                if dictionary is None:
                    raise ProtocolViolation("an exchange frame uses a dictionary that was never sent")
                arrays[position] = pa.DictionaryArray.from_arrays(arrays[position], dictionary, safe=False)
        return Page(tuple(arrays), header.rows, header.raw_length)


def _read(raw: Buffers, schema: pa.Schema) -> list[pa.Array]:
    batch = pa.ipc.read_record_batch(pa.py_buffer(raw), schema)
    batch.validate()
    return list(batch.columns)

