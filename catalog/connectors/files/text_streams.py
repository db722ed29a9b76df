"""Text files as streams of decompressed UTF-8: their beginning for sniffing, and byte ranges of whole lines.

Hops 2 (sniffing) and 6 (reading). Used by delimited.py and json_lines.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.errors import BadCopyFileFormat

_WHOLE_SAMPLE_BYTES = 8 << 20
"""Files up to this size are looked at in full."""
_HEAD_BYTES, _LARGEST_HEAD_BYTES = 2 << 20, 64 << 20
_BLOCKS, _BLOCK_BYTES = 8, 128 << 10
"""Further parts of a larger file that the types are checked against."""
_DIVIDED_BYTES, _RANGE_BYTES = 32 << 20, 16 << 20
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16LE", b"\xfe\xff": "UTF-16BE"}


def beginning(source: Source) -> tuple[bytes, bool, str]:
    """(the text up to the end of a line, whether that is all of it, its encoding if it is not UTF-8)."""
    limit = _WHOLE_SAMPLE_BYTES if source.file.size <= _WHOLE_SAMPLE_BYTES and not source.compression else _HEAD_BYTES
    with source.open_stream() as stream:
        encoding = _BYTE_ORDER_MARKS.get(bytes(stream.read(2)), "")
    with _decoded(source, encoding) as stream:
        head = b""
        while len(head) < _LARGEST_HEAD_BYTES:
            more = stream.read(limit + 1 - len(head) if len(head) <= limit else limit)
            head += more
            if not more:
                return head, True, encoding
            end = max(head.rfind(b"\n"), head.rfind(b"\r", 0, -1))
            if len(head) > limit and end >= 0:
                return head[:end + 1], False, encoding
    raise BadCopyFileFormat(f'file "{source.display}" has no line end in its first {_LARGEST_HEAD_BYTES >> 20} MB')


def _decoded(source: Source, encoding: str) -> pa.NativeFile:
    stream = source.open_stream()
    return pa.transcoding_input_stream(stream, encoding, "utf-8") if encoding else stream


def text(source: Source, encoding: str, start: int, end: int = -1) -> pa.NativeFile:
    """The text from byte `start` to `end` (-1: to the end of the file), decompressed and in UTF-8."""
    if source.compression or encoding:
        stream = _decoded(source, encoding)
        left = start
        while left and (got := len(stream.read(min(left, 1 << 20)))):
            left -= got
        return stream
    file = source.open()
    return file.get_stream(start, (source.file.size if end < 0 else end) - start)


def further_lines(source: Source, head: int) -> Iterator[bytes]:
    """Some whole lines from all over the rest of an uncompressed file, after its first `head` bytes."""
    step = (source.file.size - head) // _BLOCKS
    with source.open() as file:
        for i in range(_BLOCKS):
            block = file.read_at(_BLOCK_BYTES, max(head, head + step * (i + 1) - _BLOCK_BYTES))
            first, last = block.find(b"\n"), block.rfind(b"\n")
            if 0 <= first < last:
                yield block[first + 1:last + 1]


def ranges(source: Source, start: int, encoding: str, forbidden: bytes = b"") -> Iterator[tuple[int, int]]:
    """Byte ranges of whole lines of a large plain file, unless `forbidden` is anywhere in it; else (start, -1)."""
    size = source.file.size
    if source.compression or encoding or source.root.remote or size < _DIVIDED_BYTES:
        yield start, -1
        return
    with source.open() as file:
        while forbidden and (block := file.read(4 << 20)):
            if forbidden in block:
                yield start, -1
                return
        while start < size:
            end = _line_end(file, min(start + _RANGE_BYTES, size), size)
            yield start, end
            start = end


def _line_end(file: pa.NativeFile, position: int, size: int) -> int:
    """The first line start at or after `position`."""
    file.seek(position)
    while position < size:
        more = file.read(64 << 10)
        if not more:
            break
        found = more.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(more)
    return min(position, size)
