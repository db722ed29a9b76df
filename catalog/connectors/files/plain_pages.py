"""Decodes plainly encoded number columns of Parquet itself: their pages are, once decompressed, the column's buffer.

Arrow's reader decompresses such a page, decodes the definition levels, and copies the values. Here a page without
NULLs is decompressed straight into the column, and by a faster implementation of Snappy where the package cramjam is
installed: 6 M rows of l_extendedprice cost 32 ms rather than 67. Only what is certain is decoded here: fixed-width
values, data pages of version 1, levels that are one run of "not NULL". For the rest `read` gives None, and Arrow reads
the chunk: NULLs, dictionaries, nested columns, other codecs, and whatever looks odd, as errors are Arrow's to word.

Hop 6 (worker reads a row group). Spec: Apache Parquet format 2.11, parquet.thrift (PageHeader) and Encodings.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shoal.catalog.connectors.files.footer import MalformedThrift, ThriftReader

try:
    import cramjam
except ImportError:
    cramjam = None

Decompress = Callable[[memoryview, int], np.ndarray | None]
"""What a page's bytes decompress to; None if they do not, or to another size."""

_WIDTHS: Final = {"INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8}
_ENCODINGS: Final = frozenset({"PLAIN", "RLE", "BIT_PACKED"})  # the latter two are of levels
_DATA_PAGE, _PLAIN = 0, 0
_MAX_LEVEL_BYTES: Final = 16
"""Of a page's definition levels, if they are one run: a length, a varint, a value."""


@dataclass(frozen=True, slots=True)
class PlainChunk:
    """Where the pages of a column chunk are, of `rows` values of `width` bytes that all are there."""

    offset: int
    size_bytes: int
    rows: int
    width: int
    optional: bool
    codec: str


def plain_chunk(metadata: pq.FileMetaData, group: int, leaf: int, arrow: pa.DataType) -> PlainChunk | None:
    """The chunk, if its footer says that it is of the kind decoded here, as values of the type `arrow`."""
    column = metadata.schema.column(leaf)
    chunk = metadata.row_group(group).column(leaf)
    width = _WIDTHS.get(chunk.physical_type)
    if width is None or not _same_bytes(arrow, width) or column.max_repetition_level or column.max_definition_level > 1:
        return None
    if chunk.has_dictionary_page or not _ENCODINGS.issuperset(chunk.encodings) or chunk.compression not in _CODECS:
        return None
    statistics = chunk.statistics
    if column.max_definition_level and (statistics is None or not statistics.has_null_count or statistics.null_count):
        return None
    return PlainChunk(chunk.data_page_offset, chunk.total_compressed_size, chunk.num_values, width,
                      column.max_definition_level == 1, chunk.compression)


def read(file: pa.NativeFile, chunk: PlainChunk, arrow: pa.DataType) -> pa.Array | None:
    """The chunk's values; None if its pages turn out not to be what is decoded here. Raises: what reading the file does."""
    if not 0 <= chunk.offset <= chunk.offset + chunk.size_bytes <= file.size():
        return None
    data = memoryview(file.read_at(chunk.size_bytes, chunk.offset))
    decompress = _CODECS[chunk.codec]
    done, position = 0, 0
    pages: list[np.ndarray] = []
    while done < chunk.rows:
        try:
            page = _PageHeader(ThriftReader(data[position:]))  # type: ignore[arg-type]  # anything that can be indexed
        except (MalformedThrift, IndexError):
            return None
        position += page.header_bytes
        body = data[position:position + page.compressed]
        position += page.compressed
        values_bytes = page.values * chunk.width
        levels_bytes = page.uncompressed - values_bytes
        if not page.is_plain or not 0 < page.values <= chunk.rows - done or len(body) != page.compressed \
                or not 0 <= levels_bytes <= _MAX_LEVEL_BYTES or (page.crc is not None and zlib.crc32(body) != page.crc):
            return None
        out = decompress(body, page.uncompressed)
        if out is None or not _all_there(out[:levels_bytes].tobytes(), page.values, chunk.optional):
            return None
        pages.append(out[levels_bytes:])
        done += page.values
    values = pages[0] if len(pages) == 1 else np.concatenate(pages)
    if values.ctypes.data % chunk.width:
        values = values.copy()
    return pa.Array.from_buffers(arrow, chunk.rows, [None, pa.py_buffer(values)], 0)


class _PageHeader:
    __slots__ = ("compressed", "crc", "header_bytes", "is_plain", "uncompressed", "values")

    def __init__(self, reader: ThriftReader) -> None:
        kind = self.uncompressed = self.compressed = self.values = -1
        encoding = -1
        self.crc: int | None = None
        field, wire = reader.field(0)
        while wire:
            if field == 5 and wire == 12:
                inner, inner_wire = reader.field(0)
                while inner_wire:
                    if inner in (1, 2) and inner_wire == 5:
                        number = reader.zigzag()
                        self.values, encoding = (number, encoding) if inner == 1 else (self.values, number)
                    else:
                        reader.skip(inner_wire)
                    inner, inner_wire = reader.field(inner)
            elif field in (1, 2, 3, 4) and wire == 5:
                number = reader.zigzag()
                if field == 1:
                    kind = number
                elif field == 2:
                    self.uncompressed = number
                elif field == 3:
                    self.compressed = number
                else:
                    self.crc = number & 0xFFFFFFFF
            else:
                reader.skip(wire)
            field, wire = reader.field(field)
        self.header_bytes = reader.position
        self.is_plain = kind == _DATA_PAGE and encoding == _PLAIN and self.compressed >= 0


def _all_there(levels: bytes, values: int, optional: bool) -> bool:
    """Whether a page's definition levels are a single run of ones: so many values, none of them NULL."""
    if not optional:
        return not levels
    if len(levels) < 6 or int.from_bytes(levels[:4], "little") != len(levels) - 4:
        return False
    reader = ThriftReader(levels, 4)
    run = reader.varint()
    return not run & 1 and run >> 1 == values and reader.position == len(levels) - 1 and levels[-1] == 1


def _same_bytes(arrow: pa.DataType, width: int) -> bool:
    """Whether an array of this type is just the stored values one after the other."""
    return (pa.types.is_primitive(arrow) and not pa.types.is_boolean(arrow) and not pa.types.is_duration(arrow)
            and arrow.bit_width == 8 * width)


def _as_it_is(body: memoryview, size: int) -> np.ndarray | None:
    return np.frombuffer(body, np.uint8) if len(body) == size else None


def _snappy(body: memoryview, size: int) -> np.ndarray | None:
    if cramjam is None:
        return _by_arrow("snappy")(body, size)
    out = np.empty(size, np.uint8)
    try:
        return out if cramjam.snappy.decompress_raw_into(body, out) == size else None
    except cramjam.DecompressionError:
        return None


def _by_arrow(codec: str) -> Decompress:
    def decompress(body: memoryview, size: int) -> np.ndarray | None:
        try:
            return _as_it_is(memoryview(pa.Codec(codec).decompress(body, size)), size)
        except (pa.ArrowException, OSError):
            return None
    return decompress


_CODECS: Final[dict[str, Decompress]] = {"UNCOMPRESSED": _as_it_is, "SNAPPY": _snappy, "ZSTD": _by_arrow("zstd")}
