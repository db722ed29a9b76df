"""Zero-copy numpy views of Arrow arrays and the way back: the border that every kernel crosses.

A view shows the raw values, whatever the validity bits say: values under NULL are arbitrary (but allocated).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_VIEW: dict[str, str] = {
    "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "<u1", "uint16": "<u2", "uint32": "<u4",
    "uint64": "<u8", "float": "<f4", "double": "<f8", "date32[day]": "<i4", "time64[us]": "<i8",
    "timestamp[us]": "<i8", "timestamp[us, tz=UTC]": "<i8", "month_day_nano_interval": "<i4,<i4,<i8",
}


def is_fixed(arrow: pa.DataType) -> bool:
    """True where `values` gives a view of this type."""
    return str(arrow) in _VIEW or pa.types.is_boolean(arrow)


def values(array: pa.Array) -> np.ndarray:
    """The raw values of a fixed-width array: a view of shape (rows,), a copy only for booleans.

    Dates are int32 days, times and timestamps int64 microseconds, dictionary arrays their int32 indices.
    """
    if pa.types.is_dictionary(array.type):
        array = array.indices
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(array.buffers()[1], np.uint8)
        first = array.offset >> 3
        unpacked = np.unpackbits(bits[first:(array.offset + len(array) + 7) >> 3], bitorder="little")
        return unpacked[array.offset & 7:(array.offset & 7) + len(array)].view(np.bool_)
    dtype = np.dtype(_VIEW[str(array.type)])
    if len(array) == 0 or array.buffers()[1] is None:
        return np.zeros(len(array), dtype)
    return np.frombuffer(array.buffers()[1], dtype, count=len(array), offset=array.offset * dtype.itemsize)


def validity(array: pa.Array) -> np.ndarray | None:
    """A boolean mask of the rows that are not NULL, or None when all are."""
    if array.null_count == 0:
        return None
    bits = array.buffers()[0]
    if bits is None:  # null type, or a dictionary whose values hold the nulls
        return np.asarray(array.is_valid())
    first = array.offset >> 3
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8)[first:(array.offset + len(array) + 7) >> 3], bitorder="little")
    return unpacked[array.offset & 7:(array.offset & 7) + len(array)].view(np.bool_)


def bitmap(valid: np.ndarray | None) -> pa.Buffer | None:
    """The validity buffer of a boolean mask (None: no buffer)."""
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def array_of(data: np.ndarray, arrow: pa.DataType, valid: np.ndarray | None = None) -> pa.Array:
    """An Arrow array over numpy values without copying them (booleans are packed); `valid` False rows are NULL."""
    if pa.types.is_boolean(arrow):
        buffer = pa.py_buffer(np.packbits(data.astype(np.bool_, copy=False), bitorder="little"))
    else:
        buffer = pa.py_buffer(np.ascontiguousarray(data, np.dtype(_VIEW[str(arrow)])))
    return pa.Array.from_buffers(arrow, len(data), [bitmap(valid), buffer])


def dictionary_of(codes: np.ndarray, dictionary: pa.Array, valid: np.ndarray | None = None) -> pa.DictionaryArray:
    """dictionary<int32, T> over int32 codes without copying."""
    return pa.DictionaryArray.from_arrays(array_of(codes.astype(np.int32, copy=False), pa.int32(), valid), dictionary,
                                          safe=False)
