"""One normal form per SQL type, in which equal values are equal whatever Arrow form a batch holds them in.

Keys of joins, groups, exchanges and sets go through here. Types fall into two families:

    integers: bool int2 int4 int8 oid date time timestamp numeric float4 float8 -> int64 (floats by their bits,
        -0 as 0, every NaN alike); numerics beyond 64 bits are listed apart as `wide` byte strings
    texts: strings, bytea, interval, arrays -> codes into a plain string or binary array

Spec: PostgreSQL's equality: bpchar ignores trailing blanks, intervals compare by 30-day months and 24-hour days.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import SqlType
from shoal.exec.kernels import shapes, text_order, views
from shoal.exec.kernels.nulls import decoded, validity

_NAN_BITS = np.array([np.nan]).view(np.int64)[0]
_DAY_US = 86_400_000_000
_EXACT = Context(prec=100)


@dataclass(slots=True)
class Integers:
    """int64 `values`; rows where `valid` is False are NULL. Rows numbered in `wide_rows` do not fit: their values
    are the byte strings `wide` (little-endian two's complement, 32 bytes) and `values` is arbitrary there."""

    values: np.ndarray
    valid: np.ndarray | None
    wide_rows: np.ndarray | None = None
    wide: pa.Array | None = None


@dataclass(slots=True)
class Texts:
    """Row i is `dictionary[codes[i]]`; `dictionary` is a plain string or binary array whose entries may repeat.

    `originals[j]` is a value as it arrived whose normal form is `dictionary[j]` (the same array where they agree).
    """

    codes: np.ndarray
    valid: np.ndarray | None
    dictionary: pa.Array
    originals: pa.Array


def is_integers(sql_type: SqlType) -> bool:
    """Whether `integers` (else `texts`) gives this type's normal form."""
    return not (sql_type.is_string or sql_type.varies or sql_type.is_array
                or sql_type.name in ("bytea", "interval", "int2vector", "oidvector"))


def is_decimal_form(arrow: pa.DataType) -> bool:
    return pa.types.is_decimal(arrow)


def limbs_of(array: pa.Array) -> np.ndarray:
    """A decimal128/256 array's little-endian 64-bit words: int64 of shape (rows, 2 or 4)."""
    words = array.type.byte_width // 8
    if array.buffers()[1] is None:
        return np.zeros((len(array), words), np.int64)
    return np.frombuffer(array.buffers()[1], "<i8", words * len(array), 8 * words * array.offset).reshape(-1, words)


def fits_int64(limbs: np.ndarray) -> np.ndarray:
    """Per row of `limbs_of`: whether the lowest word alone is the value."""
    sign = limbs[:, 0] >> 63
    fits = limbs[:, 1] == sign
    for word in range(2, limbs.shape[1]):
        fits &= limbs[:, word] == sign
    return fits


def int64_of(array: pa.Array) -> np.ndarray | None:
    """The exact (unscaled) values of an integer, date/time, boolean or decimal array as int64; None when some valid
    row does not fit. Rows under NULL are arbitrary but small."""
    if is_decimal_form(array.type):
        limbs = limbs_of(array)
        fits = fits_int64(limbs)
        valid = validity(array)
        if not (fits.all() if valid is None else (fits | ~valid).all()):
            return None
        low = np.ascontiguousarray(limbs[:, 0])
        return low if valid is None else np.where(valid, low, 0)
    if pa.types.is_null(array.type):
        return np.zeros(len(array), np.int64)
    return views.values(array).astype(np.int64, copy=False)


def float_bits(values: np.ndarray) -> np.ndarray:
    """int64 bit patterns under which equal floats (and all NaNs) are equal."""
    with np.errstate(invalid="ignore"):  # what is under NULL may be a signalling NaN
        doubles = values.astype(np.float64) + 0.0  # adding zero turns -0 into 0
    bits = doubles.view(np.int64)
    nan = np.isnan(doubles)
    return np.where(nan, _NAN_BITS, bits) if nan.any() else bits


def integers(array: pa.Array, sql_type: SqlType) -> Integers:
    """The normal form of a column whose type `is_integers`."""
    valid = validity(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        return Integers(float_bits(views.values(array)), valid)
    values = int64_of(array)
    if values is not None:
        return Integers(values, valid)
    limbs = limbs_of(array)
    wide = ~fits_int64(limbs)
    if valid is not None:
        wide &= valid
    rows = np.flatnonzero(wide)
    return Integers(np.where(wide, 0, limbs[:, 0]), valid, rows, wide_bytes(limbs[rows]))


def wide_bytes(limbs: np.ndarray) -> pa.Array:
    """Rows of 64-bit words as 32-byte binary values."""
    full = np.empty((len(limbs), 4), np.int64)
    full[:, :limbs.shape[1]] = limbs
    for word in range(limbs.shape[1], 4):
        full[:, word] = limbs[:, -1] >> 63
    fixed = pa.Array.from_buffers(pa.binary(32), len(full), [None, pa.py_buffer(full)])
    return fixed.cast(pa.binary())


def texts(array: pa.Array, sql_type: SqlType) -> Texts:
    """The normal form of a column whose type is not `is_integers`."""
    valid = validity(array)
    if pa.types.is_null(array.type):
        array = pa.nulls(len(array), pa.string())
    if sql_type.varies:
        from shoal.exec.kernels import scaled  # which needs kernels that need this one
        return _encoded(scaled.order_keys(array, sql_type), decoded(array), valid)
    if sql_type.name == "interval":
        return _encoded(interval_texts(array), array, valid)
    if pa.types.is_list(array.type) or shapes.is_shaped(array):
        scale = sql_type.element.scale or 0 if sql_type.is_array else 0
        element = sql_type.element if sql_type.is_array else None
        forms = [None if v is None else repr(_plain(v, scale)) for v in shapes.values_of(array, element)]
        if shapes.is_shaped(array):  # a plain one is the same text in both forms
            forms = [form if form is None or shapes.is_plain(dims) else shapes.bounds_text(dims or ()) + form
                     for form, dims in zip(forms, shapes.dims_of(array), strict=True)]
        return _encoded(pa.array(forms, pa.string()), array, valid)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes, dictionary = views.values(array), array.dictionary
    if dictionary.null_count:  # NULL held in the dictionary
        dictionary = dictionary.fill_null("" if pa.types.is_string(dictionary.type) else b"")
    normal = dictionary
    if sql_type.name == "bpchar":
        normal = pc.utf8_rtrim(dictionary, " ")
    elif sql_type.name in text_order.NORMALIZED:
        normal = text_order.normalized(sql_type.name, dictionary)
    return Texts(codes, valid, normal, dictionary)


def _encoded(normal: pa.Array, originals: pa.Array, valid: np.ndarray | None) -> Texts:
    encoded = normal.dictionary_encode()
    codes = views.values(encoded)
    dictionary = encoded.dictionary
    first = np.zeros(len(dictionary), np.int64)
    rows = np.arange(len(normal))[::-1] if valid is None else np.flatnonzero(valid)[::-1]
    first[codes[rows]] = rows
    return Texts(codes, valid, dictionary, originals.take(pa.array(first)))


def _plain(value: Any, scale: int) -> Any:
    if isinstance(value, list):
        return [_plain(item, scale) for item in value]
    if isinstance(value, Decimal):
        return int(value.scaleb(scale, _EXACT))
    if isinstance(value, float):
        return value + 0.0
    return value


def interval_parts(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 months, days, and microseconds of an interval array."""
    parts = views.values(array)
    return (parts["f0"].astype(np.int64), parts["f1"].astype(np.int64), parts["f2"])


def interval_order(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Two int64 columns (days, microseconds below one day) that order intervals as PostgreSQL does."""
    months, days, micros = interval_parts(array)
    return months * 30 + days + micros // _DAY_US, micros % _DAY_US


def interval_texts(array: pa.Array) -> pa.Array:
    days, micros = interval_order(array)
    joined = pc.binary_join_element_wise(pa.array(days).cast(pa.string()), pa.array(micros).cast(pa.string()), ":")
    valid = validity(array)
    return joined if valid is None else pc.if_else(pa.array(valid), joined, None)
