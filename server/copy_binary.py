"""COPY FROM's binary format: blocks of bytes to columns, with numpy over whole blocks.

A row's place follows from the lengths of those before it. So that nothing walks from row to row, every place where a row may
start (it holds the count of columns) is measured at once, and the rows are those that the first one leads to, found by
doubling the distance: after n steps 2**n rows are known.

Pure. Spec: PostgreSQL 15 documentation, COPY, "Binary Format"; the typreceive functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import (
    BadCopyFileFormat,
    CharacterNotInRepertoire,
    InvalidBinaryRepresentation,
    ProtocolViolation,
    SqlError,
)
from shoal.catalog.types import TEXT, SqlType, numeric, storage_type
from shoal.exec.encoding.binary import DAYS_TO_2000, MICROSECONDS_TO_2000
from shoal.exec.evaluation_context import EvaluationContext
from shoal.exec.functions.cast_kernels import conversion
from shoal.exec.kernels import scaled, views
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.fragment import TaskSettings
from shoal.server import parameters

BLOCK_BYTES = 1 << 20
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = len(_SIGNATURE) + 8
_TRAILER = 0xFFFF
_MOST_BYTES = 1 << 30
_NUMERIC_NEGATIVE = 0x4000
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "S2")
Reader = Callable[[pa.Array], pa.Array]


@dataclass(slots=True)
class Block:
    """Whole rows. `columns`: the values' bytes; `readers` make columns of them; `error` ends the input after these rows, in
    the column `error_column` if it is known."""

    columns: list[pa.Array]
    rows: int
    readers: list[Reader]
    error: SqlError | None = None
    error_column: int | None = None


class BinaryReader:
    """Cuts a stream of binary rows of these columns."""

    def __init__(self, types: Sequence[SqlType], names: Sequence[str], settings: TaskSettings) -> None:
        self._names = list(names)
        self._readers = [reader_of(sql_type, settings) for sql_type in types]
        self._waiting: list[bytes] = []
        self._waiting_bytes, self._wanted_bytes = 0, BLOCK_BYTES
        self._begun = self._done = False

    @property
    def begun(self) -> bool:
        """Whether the header has been read."""
        return self._begun

    def takes(self, data: bytes) -> bool:
        """Notes data; True when there is enough of it to be cut."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        return self._waiting_bytes >= self._wanted_bytes

    def cut(self, final: bool) -> Block | None:
        """The whole rows of what was noted; with `final` the input has ended. Raises: BadCopyFileFormat (22P04)."""
        data = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        if self._done:
            if data:
                raise BadCopyFileFormat("received copy data after EOF marker")
            return None
        if not self._begun:
            start = self._header(data, final)
            if start is None:
                self._waiting, self._waiting_bytes = [data], len(data)
                return None
            data, self._begun = data[start:], True
        columns, rows, used, error, column = self._rows(data, final)
        rest = data[used:]
        if error is None and rest[:2] == b"\xff\xff":
            self._done = True
            if rest[2:]:
                error = BadCopyFileFormat("received copy data after EOF marker")
        elif rest:
            self._waiting, self._waiting_bytes = [rest], len(rest)
            self._wanted_bytes = max(BLOCK_BYTES, 2 * len(rest))
        return Block(columns, rows, self._readers, error, column)

    @staticmethod
    def _header(data: bytes, final: bool) -> int | None:
        """Where the first row starts."""
        if len(data) < _HEADER_BYTES and not final:
            return None
        if data[:len(_SIGNATURE)] != _SIGNATURE:
            raise BadCopyFileFormat("COPY file signature not recognized")
        if len(data) < _HEADER_BYTES:
            raise BadCopyFileFormat("invalid COPY file header (missing flags)" if len(data) < _HEADER_BYTES - 4 else
                                    "invalid COPY file header (missing length)")
        flags, extra = (int.from_bytes(data[i:i + 4], "big", signed=True) for i in (11, 15))
        if flags & (1 << 16):
            raise BadCopyFileFormat("invalid COPY file header (WITH OIDS)")
        if flags >> 16:
            raise BadCopyFileFormat("unrecognized critical flags in COPY file header")
        if extra < 0 or (final and len(data) < _HEADER_BYTES + extra):
            raise BadCopyFileFormat("invalid COPY file header (wrong length)")
        return _HEADER_BYTES + extra if len(data) >= _HEADER_BYTES + extra else None

    def _rows(self, data: bytes, final: bool) -> tuple[list[pa.Array], int, int, SqlError | None, int | None]:
        """(columns, rows, bytes used, error after them, its column)."""
        width = len(self._names)
        buffer = np.frombuffer(data + bytes(8), np.uint8)
        marks = np.flatnonzero((buffer[:-9] == width >> 8) & (buffer[1:-8] == width & 0xFF))
        starts, ends, whole = self._measured(buffer, marks, len(data))
        order = _chain(marks, ends, whole)
        at = int(ends[order[-1]]) if len(order) else 0
        error, column = self._error_at(data, at, final)
        rows = len(order)
        cells = [_cells(data, starts[i][order], lengths[order]) for i, lengths in enumerate(self._lengths)]
        return cells, rows, at, error, column

    def _measured(self, buffer: np.ndarray, marks: np.ndarray,
                  size: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """For a row at each of `marks`: where its values start, where it ends, whether it is all there and valid."""
        at = marks + 2
        starts: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []
        whole = np.ones(len(marks), np.bool_)
        for _ in self._names:
            whole &= at + 4 <= size
            place = np.where(whole, at, 0)
            length = ((buffer[place].astype(np.int64) << 24) | (buffer[place + 1].astype(np.int64) << 16)
                      | (buffer[place + 2].astype(np.int64) << 8) | buffer[place + 3])
            length = np.where(length >= 1 << 31, length - (1 << 32), length)
            whole &= (length >= -1) & (length < _MOST_BYTES)
            starts.append(at + 4)
            self._lengths.append(length)
            at = at + 4 + np.maximum(length, 0)
            whole &= at <= size
            at = np.where(whole, at, size)
        return starts, at, whole

    def _error_at(self, data: bytes, at: int, final: bool) -> tuple[SqlError | None, int | None]:
        """What is wrong with the row that starts at `at`, if something is."""
        if len(data) - at < 2:
            return (BadCopyFileFormat("unexpected EOF in COPY data") if final and len(data) > at else None), None
        count = int.from_bytes(data[at:at + 2], "big")
        if count == _TRAILER:
            return None, None
        if count != len(self._names):
            shown = count - (1 << 16) if count >= 1 << 15 else count
            return BadCopyFileFormat(f"row field count is {shown}, expected {len(self._names)}"), None
        at += 2
        for column in range(len(self._names)):
            length = int.from_bytes(data[at:at + 4], "big", signed=True)
            if len(data) - at >= 4 and length < -1:
                return BadCopyFileFormat("invalid field size"), column
            at += 4 + max(length, 0)
            if at > len(data):
                return (BadCopyFileFormat("unexpected EOF in COPY data"), column) if final else (None, None)
        return None, None


def _chain(marks: np.ndarray, ends: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The rows (indexes into `marks`) that a row at 0 leads to, itself the first."""
    if not len(marks) or marks[0] != 0 or not whole[0]:
        return np.zeros(0, np.int64)
    nowhere = len(marks)
    following = np.searchsorted(marks, ends)
    found = following < nowhere
    found[found] = marks[following[found]] == ends[found]
    jump = np.append(np.where(found, following, nowhere), nowhere)
    jump[:-1][np.append(whole, True)[jump[:-1]] == 0] = nowhere  # a row that is not all there ends the block
    chain = np.zeros(1, np.int64)
    while True:
        further = jump[chain]
        further = further[further != nowhere]
        chain = np.append(chain, further)
        if not len(further):
            return chain
        jump = jump[jump]


def _cells(data: bytes, starts: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """The bytes of one column's values, NULL where the length is -1."""
    if not len(starts):
        return pa.array([], pa.binary())
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, starts + np.maximum(lengths, 0)
    offsets[-1] = offsets[-2]
    cells = pa.Array.from_buffers(pa.binary(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    nulls = lengths < 0
    return cells.take(pa.array(np.arange(0, 2 * len(starts), 2), mask=nulls if nulls.any() else None))


# --- values ----------------------------------------------------------------------------------------------------------


def reader_of(sql_type: SqlType, settings: TaskSettings) -> Reader:
    """What makes a column in storage form of the bytes of its values.

    The reader raises: InvalidBinaryRepresentation (22P03), CharacterNotInRepertoire (22021), and what casts raise.
    """
    context = EvaluationContext(settings)
    name = sql_type.name
    if name in _FIXED:
        return lambda array: _fixed(array, sql_type, *_FIXED[name])
    if name == "numeric":
        return lambda array: _numeric(array, sql_type, context, settings)
    if name in ("text", "varchar", "bpchar", "name", "json"):
        cast = conversion(TEXT, sql_type, False)
        return lambda array: cast.run(_text(array), context)
    if name == "bytea":
        cast = conversion(TEXT, sql_type, False)
        return lambda array: cast.run(_hex(array), context)
    return lambda array: _by_value(array, sql_type, settings)


def _values(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(bytes of all values one after another, their lengths, which are not NULL)."""
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset:array.offset + len(array) + 1] if len(array) else \
        np.zeros(1, np.int32)
    buffer = array.buffers()[2]
    data = np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.zeros(0, np.uint8)
    return data[offsets[0]:offsets[-1]], np.diff(offsets), views.validity(array)


def _same_length(array: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The bytes of the values that are not NULL, which must have `size` each."""
    data, lengths, valid = _values(array)
    wrong = lengths != size if valid is None else (lengths != size) & valid
    if wrong.any():
        raise (ProtocolViolation("insufficient data left in message") if lengths[wrong][0] < size else
               InvalidBinaryRepresentation("incorrect binary data format"))
    return data, valid


def _fixed(array: pa.Array, sql_type: SqlType, wire: str, shift: int) -> pa.Array:
    dtype = np.dtype(wire)
    data, valid = _same_length(array, dtype.itemsize)
    values = data.view(dtype).astype(dtype.newbyteorder("<"))
    if shift:
        limits = np.iinfo(values.dtype)
        values = np.where((values == limits.min) | (values == limits.max), values, values + values.dtype.type(shift))
    if sql_type.name == "bool":
        values = values != 0
    return _spread(values, valid, storage_type(sql_type))


def _spread(values: np.ndarray, valid: np.ndarray | None, arrow: pa.DataType) -> pa.Array:
    """The values with NULLs among them."""
    if valid is None:
        return views.array_of(values, arrow)
    out = np.zeros(len(valid), values.dtype)
    out[valid] = values
    return views.array_of(out, arrow, valid)


_FIXED: dict[str, tuple[str, int]] = {
    "bool": ("u1", 0), "int2": (">i2", 0), "int4": (">i4", 0), "int8": (">i8", 0), "float4": (">f4", 0),
    "float8": (">f8", 0),
    "date": (">i4", DAYS_TO_2000), "time": (">i8", 0), "timestamp": (">i8", MICROSECONDS_TO_2000),
    "timestamptz": (">i8", MICROSECONDS_TO_2000),
}


def _text(array: pa.Array) -> pa.Array:
    data, _, _ = _values(array)
    raw = data.tobytes()
    if b"\0" in raw:
        raise CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": 0x00')
    text = array.view(pa.string())
    if not raw.isascii():
        try:
            text.validate(full=True)
        except pa.ArrowInvalid:
            raise CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": '
                                           + " ".join(f"0x{byte:02x}" for byte in _bad_bytes(array))) from None
    return text


def _bad_bytes(array: pa.Array) -> bytes:
    for value in array.to_pylist():
        try:
            (value or b"").decode()
        except UnicodeDecodeError as error:
            return value[error.start:error.end]
    return b""


def _hex(array: pa.Array) -> pa.Array:
    r"""The bytes as \x... text."""
    data, lengths, _ = _values(array)
    digits = _HEX[data].view(np.uint8)
    offsets = np.append(0, np.cumsum(2 * lengths)).astype(np.int32)
    body = pa.Array.from_buffers(pa.string(), len(array), [
        None if array.null_count == 0 else views.bitmap(views.validity(array)), pa.py_buffer(offsets), pa.py_buffer(digits)])
    return pc.binary_join_element_wise(pa.scalar("\\x"), body, pa.scalar(""))


def _numeric(array: pa.Array, sql_type: SqlType, context: EvaluationContext, settings: TaskSettings) -> pa.Array:
    """Values of up to 18 digits all at once; a block with others value by value."""
    data, lengths, valid = _values(array)
    used = lengths if valid is None else lengths[valid]
    if (used < 8).any():
        raise ProtocolViolation("insufficient data left in message")
    if not len(used):
        return pa.nulls(len(array), storage_type(sql_type))
    begins = np.cumsum(used) - used
    heads = data[begins[:, None] + np.arange(8)].reshape(-1, 8).view(">u2").astype(np.int64)
    count, weight, sign, scale = heads[:, 0], heads[:, 1], heads[:, 2], heads[:, 3]
    weight = np.where(weight >= 1 << 15, weight - (1 << 16), weight)
    groups, most = int(np.maximum(count - weight - 1, 0).max()), int(np.maximum(weight + 1, 0).max())
    plain = (sign == 0) | (sign == _NUMERIC_NEGATIVE)
    digits_ok = (used == 8 + 2 * count).all() and plain.all()
    if not digits_ok or (groups + most) * 4 > 18 or ((scale > 4 * groups + 3).any() and groups * 4 > 14):
        return _by_value(array, sql_type, settings)
    total = np.zeros(len(used), np.int64)
    for place in range(int(count.max())):
        has = place < count
        at = np.where(has, begins + 8 + 2 * place, 0)
        digit = np.where(has, (data[at].astype(np.int64) << 8) | data[np.minimum(at + 1, len(data) - 1)], 0)
        if (digit > 9999).any():
            raise InvalidBinaryRepresentation('invalid digit in external "numeric" value')
        exponent = 4 * np.maximum(weight - place + groups, 0)
        total += digit * np.where(has, 10 ** exponent, 0)
    total = np.where(sign == _NUMERIC_NEGATIVE, -total, total)
    if sql_type.varies:
        cut = scaled.rescaled(scaled.Scaled(total, np.full(len(total), 4 * groups)), scale, "trunc")
        made = scaled.written(scaled.Scaled(cut, scale))
        return made if valid is None else made.take(pa.array(np.maximum(np.cumsum(valid) - 1, 0), mask=~valid))
    made = _spread(total, valid, pa.int64())
    return conversion(numeric(18, 4 * groups), sql_type, False).run(made, context)


def _by_value(array: pa.Array, sql_type: SqlType, settings: TaskSettings) -> pa.Array:
    """Types without a kernel here: each distinct value once."""
    coded = array.dictionary_encode()
    values = [parameters.from_binary(value, sql_type, settings) for value in coded.dictionary.to_pylist()]
    return array_of_values(values, sql_type).take(coded.indices)
