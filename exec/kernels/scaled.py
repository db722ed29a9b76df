"""Numerics that bring each its own scale (catalog/scaled.py): reading and making their columns, order, arithmetic.

`Scaled` is a column (or a constant, of length 1) as numpy arrays: unscaled integers, in int64 where they fit, else as
Python integers, and scales. Rows that share a scale are computed together, in the kernels of decimals.py; columns have
few different scales. Static scales are read as the same form, so that both kinds mix.

Spec: PostgreSQL 15 documentation, 9.3, and the rules for result scales that its numeric functions follow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import scaled as form
from shoal.catalog import specials
from shoal.catalog.errors import DivisionByZero, NumericOutOfRange
from shoal.catalog.types import SqlType
from shoal.exec.kernels import canonical, decimals, nulls, special_rules, views

MIN_SIGNIFICANT, MOST_DISPLAYED = 16, 1000
"""Digits that quotients and their like have at least, and digits after the point they have at most."""
_SIGN = np.int64(-(1 << 63))
_POW64 = np.array([10 ** n for n in range(19)], np.int64)
_POWU64 = np.array([10 ** n for n in range(20)], np.uint64)
_OF_SCALE = {form.NAN: np.nan, form.INFINITY: np.inf, form.MINUS_INFINITY: -np.inf}


@dataclass(slots=True)
class Scaled:
    """Row i is values[i] / 10**scales[i], or, where `odd` is not 0, the NaN or infinity that it has there.

    Under NULL and where `odd` is not 0 values and scales are 0 or anything else that computes.
    """

    values: np.ndarray
    scales: np.ndarray
    odd: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def spread(self, rows: int) -> Scaled:
        if len(self.values) == rows:
            return self
        return Scaled(np.repeat(self.values, rows), np.repeat(self.scales, rows),
                      None if self.odd is None else np.repeat(self.odd, rows))

    def take(self, rows: np.ndarray) -> Scaled:
        return Scaled(self.values.take(rows), self.scales.take(rows), None if self.odd is None else self.odd.take(rows))


def pair_of(text: str) -> tuple[int, int]:
    """(unscaled integer, scale) of a number's text, which the caller knows to be one."""
    found = form.parsed(text)
    assert found is not None
    return found


def involved(call: Any) -> bool:
    """Whether a call has to do with numerics of this kind."""
    return call.type.varies or any(arg.type.varies for arg in call.args)


def read(arg: pa.Array | pa.Scalar, sql_type: SqlType) -> Scaled:
    """A column of numerics or integers, or a constant (length 1)."""
    if isinstance(arg, pa.Scalar):
        arg = pa.nulls(1, arg.type) if not arg.is_valid else pa.repeat(arg, 1)
    if pa.types.is_dictionary(arg.type):
        words, codes = read(arg.dictionary, sql_type), views.values(arg)
        valid = nulls.validity(arg)
        if not len(words):
            return Scaled(np.zeros(len(arg), np.int64), np.zeros(len(arg), np.int64))
        return words.take(codes if valid is None else np.where(valid, codes, 0))
    if pa.types.is_string(arg.type):
        arg = form.of_texts(arg)
    if pa.types.is_string(arg.type):
        return _of_long_texts(arg)
    valid = views.validity(arg) if not pa.types.is_null(arg.type) else np.zeros(len(arg), np.bool_)
    if form.is_scaled(arg.type):
        values, scales = decimals.unscaled(arg.field(0)), views_int16(arg.field(1))
        if valid is not None:
            values, scales = np.where(valid, values, 0), np.where(valid, scales, 0)
        odd = None
        if len(scales) and int(scales.min()) < 0:
            odd = np.select([scales == scale for scale in _OF_SCALE], list(_OF_SCALE.values()), 0.0)
            scales = np.maximum(scales, 0)
        return Scaled(np.asarray(values), scales, odd)
    if pa.types.is_null(arg.type):
        return Scaled(np.zeros(len(arg), np.int64), np.zeros(len(arg), np.int64))
    odd = specials.stand_ins(arg)
    values = np.asarray(decimals.unscaled(arg if odd is None else specials.as_zero(arg, odd)))
    if valid is not None:
        values = np.where(valid, values, 0)
    return Scaled(values, np.full(len(values), sql_type.scale or 0), odd)


def views_int16(array: pa.Array) -> np.ndarray:
    return views.values(array).astype(np.int64)


def _of_long_texts(array: pa.Array) -> Scaled:
    pairs = [(0, 0) if text is None else form.parsed(text) or (0, 0) for text in array.to_pylist()]
    values = np.empty(len(pairs), object)
    values[:] = [value for value, _ in pairs]
    scales = np.array([scale for _, scale in pairs], np.int64)
    odd = None
    if (scales < 0).any():
        odd = np.select([scales == scale for scale in _OF_SCALE], list(_OF_SCALE.values()), 0.0)
    return Scaled(values, np.maximum(scales, 0), odd)


def written(data: Scaled, valid: np.ndarray | None = None) -> pa.Array:
    """The column in the narrowest form. Raises: NumericOutOfRange (22003) beyond what any numeric holds."""
    values, scales = data.values, data.scales
    if data.odd is not None:
        odd = data.odd != 0
        values = np.where(odd, 0, values)
        scales = np.where(odd, np.select([np.isnan(data.odd), data.odd > 0], [form.NAN, form.INFINITY],
                                         form.MINUS_INFINITY), scales)
    if values.dtype == object:
        if valid is not None:
            values = np.where(valid, values, 0)
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        if max(-low, high) >= decimals.POWERS[76]:
            _check_reach(values, scales)
            return form.made(values.tolist(), scales, valid)
        return form.struct_of(decimals.packed(values, 0), scales, valid)
    return form.struct_of(views.array_of(values, pa.int64()), scales, valid)


def _check_reach(values: np.ndarray, scales: np.ndarray) -> None:
    most = form.MOST_WHOLE_DIGITS
    for value, scale in zip(values.tolist(), scales.tolist(), strict=True):
        if value.bit_length() > 3.3 * (most + scale) and abs(value) >= 10 ** (most + scale):
            raise NumericOutOfRange("value overflows numeric format")


def as_fixed(data: Scaled, scale: int, valid: np.ndarray | None) -> pa.Array:
    """The numeric column of one static scale, rounded; specials too. Raises: NumericOutOfRange (22003)."""
    result = decimals.packed(rescaled(data, np.full(1, scale)), scale, valid)
    return result if data.odd is None else specials.placed(result, data.odd, scale)


# --- scales

def _power(digits: int) -> int:
    return decimals.POWERS[digits] if digits < len(decimals.POWERS) else 10 ** digits


def powers(digits: np.ndarray) -> np.ndarray:
    """10**digits, none below 0: int64 or Python integers."""
    if not len(digits) or int(digits.max()) <= 18:
        return _POW64.take(digits)
    found = np.empty(len(digits), object)
    found[:] = [_power(n) for n in digits.tolist()]
    return found


def upscaled(values: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """values * 10**digits, none below 0."""
    low, high = (int(digits.min()), int(digits.max())) if len(digits) else (0, 0)
    if high == 0:
        return values
    if low == high:
        return decimals.multiply(values, _power(high))
    if high <= 18 and values.dtype != object and (
            np.abs(values.astype(np.float64)) * _POW64.take(digits) < 9.2e18).all():
        return values * _POW64.take(digits)
    return values.astype(object) * powers(digits).astype(object)


def rescaled(data: Scaled, scales: np.ndarray, how: str = "round") -> np.ndarray:
    """The unscaled integers at these scales; digits too many are rounded half away from zero, or as `how` says (trunc,
    floor, ceil). Scales may be below 0."""
    digits = scales - data.scales
    if not len(digits) or int(digits.min()) >= 0:
        return upscaled(data.values, digits)
    rows = len(data.values)
    if int(digits.min()) == int(digits.max()):
        return _shortened(data.values, -int(digits[0]), how)
    result = np.zeros(rows, object if data.values.dtype == object else np.int64)
    for size in np.unique(digits).tolist():
        where = np.flatnonzero(digits == size)
        some = data.values.take(where)
        found = _shortened(some, -size, how) if size < 0 else upscaled(some, np.full(1, size))
        if found.dtype == object and result.dtype != object:
            result = result.astype(object)
        result[where] = found
    return result


def _shortened(values: np.ndarray, digits: int, how: str) -> np.ndarray:
    if digits > 150:
        divisor = _power(digits)
        wide = values.astype(object)
        size = np.abs(wide)
        quotient = (2 * size + divisor) // (2 * divisor) if how == "round" else size // divisor
        found = np.where(wide < 0, -quotient, quotient)
        if how == "floor":
            return found - ((wide < 0) & (size % divisor != 0))
        return found + ((wide > 0) & (size % divisor != 0)) if how == "ceil" else found
    if how == "round":
        return np.asarray(decimals.divide_rounded(values, _power(digits)))
    if how == "trunc":
        return np.asarray(decimals.truncated(values, digits))
    if how == "floor":
        return np.asarray(decimals.floored(values, digits))
    return -np.asarray(decimals.floored(-values, digits))


def digit_counts(values: np.ndarray) -> np.ndarray:
    """Decimal digits of each value, 0 of 0."""
    if values.dtype == object:
        return _wide_digit_counts(values)
    return np.searchsorted(_POWU64, np.abs(values).view(np.uint64), side="right")


def _wide_digit_counts(values: np.ndarray) -> np.ndarray:
    """By floats, and exactly near powers of ten."""
    try:
        logs = np.log10(np.maximum(np.abs(values.astype(np.float64)), 0.5))
    except OverflowError:
        logs = np.zeros(len(values))
    found = np.floor(logs).astype(np.int64) + 1
    for row in np.flatnonzero(np.abs(logs - np.rint(logs)) < 1e-9).tolist():
        found[row] = form.digit_count(abs(values[row])) if values[row] else 0
    return found


def leading(data: Scaled) -> tuple[np.ndarray, np.ndarray]:
    """Weight and value of the first digit to base 10000 that is not 0; both 0 of 0."""
    count = digit_counts(data.values)
    weight = (count - 1 - data.scales) // 4
    shift = data.scales + 4 * weight
    if data.values.dtype == object:
        first = _first_digits(data.values, shift)
    else:
        first = np.abs(data.values) // _POW64.take(np.clip(shift, 0, 18)) * _POW64.take(np.clip(-shift, 0, 4))
    zero = count == 0
    return np.where(zero, 0, weight), np.where(zero, 0, first)


def _first_digits(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """|values| // 10**shift, none above 9999: by floats where these are far enough from a whole number."""
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            near = np.abs(values.astype(np.float64)) / 10.0 ** shift
    except OverflowError:
        near = np.zeros(len(values))
    found = np.floor(near)
    unclear = np.flatnonzero(~((np.abs(near - np.rint(near)) > 1e-9) & (near < 1e4)))
    sizes = shift.take(unclear)
    for places in np.unique(sizes).tolist():
        rows = unclear[sizes == places]
        exact = np.abs(values.take(rows))
        found[rows] = exact // _power(places) if places >= 0 else exact * _power(-places)
    return found.astype(np.int64)


def quotient_scales(a: Scaled, b: Scaled) -> np.ndarray:
    """Digits after the point of a / b: at least 16 significant ones, and those of both."""
    (weight_a, first_a), (weight_b, first_b) = leading(a), leading(b)
    weight = weight_a - weight_b - (first_a <= first_b)
    scales = np.maximum(np.maximum(MIN_SIGNIFICANT - 4 * weight, a.scales), b.scales)
    return np.clip(scales, 0, MOST_DISPLAYED)


def least_scales(data: Scaled) -> np.ndarray:
    """Digits after the point without zeros at the end."""
    scales, values = data.scales.copy(), data.values
    scales[values == 0] = 0
    rows = np.flatnonzero(scales > 0)
    rest = values.take(rows)
    while len(rows):
        short = rest % 10 == 0
        rows, rest = rows[short], rest[short] // 10
        scales[rows] -= 1
        more = scales[rows] > 0
        rows, rest = rows[more], rest[more]
    return scales


def plain_parts(array: pa.Array) -> tuple[pa.Array, np.ndarray] | None:
    """The unscaled integers (an array without NULLs) and the scales of a column in the struct form, as they are; None of
    any other form, and where a special value is among them."""
    if not form.is_scaled(array.type):
        return None
    scales = views_int16(array.field(1))
    return None if len(scales) and int(scales.min()) < 0 else (array.field(0), scales)


def approximate(array: pa.Array) -> np.ndarray | None:
    """Floats next to the values, under NULL anything; None where `plain_parts` gives none."""
    parts = plain_parts(array)
    if parts is None:
        return None
    return _floats(canonical.limbs_of(parts[0]), parts[1])


def _floats(words: np.ndarray, scales: np.ndarray) -> np.ndarray:
    negative = words[:, -1] < 0
    words = np.where(negative[:, None], ~words, words)  # -1 - v: small ones would lose all digits to the highest word
    floats = words[:, -1].astype(np.float64)
    for word in range(words.shape[1] - 2, -1, -1):
        floats = floats * 2.0 ** 64 + words[:, word].view(np.uint64)
    with np.errstate(over="ignore"):
        return np.where(negative, -1.0 - floats, floats) / 10.0 ** scales


# --- order

def order_codes(array: pa.Array) -> list[np.ndarray] | None:
    """int64 columns, most significant first, that order the values of this one column (under NULL: anything). None where
    `plain_parts` gives none.

    Floats next to the values order all but neighbours that are nearly equal; those are compared as integers.
    """
    parts = plain_parts(array)
    if parts is None:
        return None
    words, scales = canonical.limbs_of(parts[0]), parts[1]
    top = words.shape[1] - 1
    valid = nulls.validity(array)
    if valid is not None and len(scales):
        first = int(np.argmax(valid))  # a row like others under NULL: no scale of its own
        words, scales = np.where(valid[:, None], words, words[first]), np.where(valid, scales, scales[first])
    if len(scales) == 0 or (scales == scales[0]).all():
        return [np.ascontiguousarray(words[:, top])] + [words[:, word] ^ _SIGN for word in range(top - 1, -1, -1)]
    near = _floats(words, scales)
    order = np.argsort(near)
    words, scales, near = words.take(order, axis=0), scales.take(order), near.take(order)
    same = (words[1:] == words[:-1]).all(axis=1) & (scales[1:] == scales[:-1])
    close = near[1:] - near[:-1] <= 1e-14 * np.abs(near[1:])
    steps = ~same
    doubtful = np.flatnonzero(close & ~same)
    if len(doubtful):
        runs = np.concatenate([[0], np.cumsum(~(close | same))])
        for run in np.unique(runs.take(doubtful)).tolist():
            start, end = np.searchsorted(runs, [run, run + 1]).tolist()
            most = int(scales[start:end].max())
            values = [int.from_bytes(row.tobytes(), "little", signed=True) * _power(most - scale)
                      for row, scale in zip(words[start:end], scales[start:end].tolist(), strict=True)]
            places = sorted(range(end - start), key=values.__getitem__)
            order[start:end] = order[start:end].take(places)
            steps[start:end - 1] = [values[a] != values[b] for a, b in itertools.pairwise(places)]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.concatenate([[0], np.cumsum(steps)])
    return [ranks]


def order_keys(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """Byte strings equal for equal values and ordered as the values are; NULL for NULL."""
    valid = nulls.validity(array)
    data = read(array, sql_type)
    values, rows = data.values, len(data.values)
    count = digit_counts(values)
    kind = np.where(values > 0, 3, np.where(values < 0, 1, 2))
    if data.odd is not None:
        kind = np.select([np.isnan(data.odd), data.odd > 0, data.odd < 0], [5, 4, 0], kind)
    number = (kind == 1) | (kind == 3)
    if values.dtype == object:
        parts = [_mantissa(abs(v), n) if ok else [0] for v, n, ok in
                 zip(values.tolist(), count.tolist(), number.tolist(), strict=True)]
        mantissa = np.array([part[0] for part in parts], np.uint64)
        longer = {row: part[1:] for row, part in enumerate(parts) if len(part) > 1}
    else:
        mantissa, longer = np.abs(values).view(np.uint64) * _POWU64.take(19 - count), {}
        mantissa = np.where(number, mantissa, np.uint64(0))
    exponent = np.where(number, count - data.scales + (1 << 30), 0).astype(np.uint32)
    table = np.empty(rows, [("kind", "u1"), ("exponent", ">u4"), ("mantissa", ">u8"), ("end", "u1")])
    negative = kind == 1
    table["kind"], table["end"] = kind, np.where(negative, 255, 0)
    table["exponent"] = np.where(negative, ~exponent, exponent)
    table["mantissa"] = np.where(negative, ~mantissa, mantissa)
    fixed = pa.Array.from_buffers(pa.binary(table.itemsize), rows, [views.bitmap(valid), pa.py_buffer(table)])
    if not longer:
        return fixed.cast(pa.binary())
    found = fixed.to_pylist()
    for row, chunks in longer.items():
        if found[row] is not None:
            marker, mask, end = (b"\xfe", (1 << 64) - 1, b"\xff") if negative[row] else (b"\x01", 0, b"\0")
            found[row] = found[row][:-1] + b"".join(marker + (chunk ^ mask).to_bytes(8, "big") for chunk in chunks) + end
    return pa.array(found, pa.binary())


def _mantissa(value: int, count: int) -> list[int]:
    """The digits, 19 at a time from the first on, without zeros at the end."""
    if count <= 19:
        return [value * 10 ** (19 - count)]
    digits = form.digits_of(value).rstrip("0")
    return [int(digits[i:i + 19].ljust(19, "0")) for i in range(0, len(digits), 19)]


def compared(a: Scaled, b: Scaled) -> np.ndarray:
    """-1, 0 or 1 a row; one side may be a constant."""
    rows = max(len(a), len(b))
    if len(a.scales) == 0 or len(b.scales) == 0:
        return np.zeros(rows, np.int8)
    if a.values.dtype != object and b.values.dtype != object and (a.scales == b.scales).all():
        found = (a.values > b.values).astype(np.int8) - (a.values < b.values)
    else:
        try:
            x, y = a.values.astype(np.float64) / 10.0 ** a.scales, b.values.astype(np.float64) / 10.0 ** b.scales
        except OverflowError:
            x = y = np.zeros(rows)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = x - y
            close = np.flatnonzero(np.broadcast_to(
                ~(np.abs(gap) > 1e-13 * (np.abs(x) + np.abs(y))) | ~np.isfinite(gap), rows))
        found = np.broadcast_to(np.sign(np.where(np.isfinite(gap), gap, 0.0)).astype(np.int8), rows).copy()
        if len(close):
            left, right = a.spread(rows).take(close), b.spread(rows).take(close)
            scales = np.maximum(left.scales, right.scales)
            u, v = upscaled(left.values, scales - left.scales), upscaled(right.values, scales - right.scales)
            found[close] = np.asarray(u > v, np.int8) - np.asarray(u < v, np.int8)
    if a.odd is None and b.odd is None:
        return found
    left_rank, right_rank = _rank(a), _rank(b)
    plain = (left_rank == 0) & (right_rank == 0)
    return np.where(plain, found, np.sign(left_rank - right_rank)).astype(np.int8)


def _rank(data: Scaled) -> np.ndarray:
    if data.odd is None:
        return np.zeros(len(data.values), np.int64)
    return np.select([np.isnan(data.odd), data.odd > 0, data.odd < 0], [2, 1, -1], 0)


# --- arithmetic

def aligned(a: Scaled, b: Scaled) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both as unscaled integers at the larger scale of each row, and these scales."""
    scales = np.maximum(a.scales, b.scales)
    return upscaled(a.values, scales - a.scales), upscaled(b.values, scales - b.scales), scales


def add(a: Scaled, b: Scaled) -> Scaled:
    x, y, scales = aligned(a, b)
    return Scaled(decimals.add(x, y), scales)


def subtract(a: Scaled, b: Scaled) -> Scaled:
    x, y, scales = aligned(a, b)
    return Scaled(decimals.subtract(x, y), scales)


def exact_product(a: Scaled, b: Scaled) -> Scaled:
    return Scaled(decimals.multiply(a.values, b.values), a.scales + b.scales)


def multiply(a: Scaled, b: Scaled) -> Scaled:
    found = exact_product(a, b)
    if len(found.scales) and int(found.scales.max()) > form.MOST_SCALE:
        most = np.minimum(found.scales, form.MOST_SCALE)
        return Scaled(rescaled(found, most), most)
    return found


def divide(a: Scaled, b: Scaled, valid: np.ndarray | None) -> Scaled:
    """Raises: DivisionByZero (22012) where a valid row's divisor is 0."""
    return divided(a, b, quotient_scales(a, b), valid)


def quotient_column(a: Scaled, b: Scaled, rows: int, valid: np.ndarray | None) -> pa.Array | None:
    """a / b as a column, of decimal128 where int64 is too small: without Python integers. None where that needs some."""
    if a.odd is not None or b.odd is not None or a.values.dtype == object or b.values.dtype == object or not rows:
        return None
    scales = np.broadcast_to(quotient_scales(a, b), rows)
    digits = scales + b.scales - a.scales
    x, y = np.broadcast_to(a.values, rows), np.broadcast_to(b.values, rows)
    zero = y == 0
    if zero.any():
        if valid is None or (zero & valid).any():
            raise DivisionByZero("division by zero")
        y = np.where(zero, 1, y)
    negative = (x < 0) != (y < 0)
    parts = []
    low, high = int(digits.min()), int(digits.max())
    for size in [low] if low == high else np.flatnonzero(np.bincount(digits - low)) + low if low >= 0 else []:
        where = None if low == high else np.flatnonzero(digits == size)
        top, bottom = (x, y) if where is None else (x.take(where), y.take(where))
        found = decimals.quotient_parts(top, bottom, int(size))
        if found is None:
            return None
        parts.append((where, *found))
    if not parts:
        return None
    if all(shift == 0 for *_, shift in parts):
        narrow = np.empty(rows, np.int64)
        for where, value, _, _ in parts:
            narrow[slice(None) if where is None else where] = value
        return form.struct_of(views.array_of(np.where(negative, -narrow, narrow), pa.int64()), scales, valid)
    words = np.empty((rows, 2), np.int64)
    for where, value, rest, shift in parts:
        at = slice(None) if where is None else where
        words[at] = decimals.words_of(value, rest, shift, negative[at])
    wide = pa.Array.from_buffers(pa.decimal128(38, 0), rows, [None, pa.py_buffer(words)])
    return form.struct_of(wide, scales, valid)


def divided(a: Scaled, b: Scaled, scales: np.ndarray, valid: np.ndarray | None) -> Scaled:
    """a / b rounded to these scales."""
    rows = max(len(a), len(b))
    digits = np.broadcast_to(scales + b.scales - a.scales, rows)
    scales = np.broadcast_to(scales, rows)
    sizes = np.unique(digits).tolist()
    x, y = (np.broadcast_to(data.values, rows) for data in (a, b))
    if len(sizes) == 1:
        return Scaled(_quotient(x, y, sizes[0], valid), scales)
    result = np.zeros(rows, np.int64)
    for size in sizes:
        where = np.flatnonzero(digits == size)
        found = _quotient(x.take(where), y.take(where), size, None if valid is None else valid.take(where))
        if found.dtype == object and result.dtype != object:
            if len(found) and decimals.fits(int(found.min()), int(found.max())):
                found = found.astype(np.int64)
            else:
                result = result.astype(object)
        result[where] = found
    return Scaled(result, scales)


def _quotient(top: np.ndarray, bottom: np.ndarray, digits: int, valid: np.ndarray | None) -> np.ndarray:
    if abs(digits) < len(decimals.POWERS):
        return decimals.divide(top, bottom, digits, len(top), valid)
    power = _power(abs(digits))
    if digits < 0:
        return decimals.divide(top, bottom.astype(object) * power, 0, len(top), valid)
    return decimals.divide(top.astype(object) * power, bottom, 0, len(top), valid)


def remainder(a: Scaled, b: Scaled, valid: np.ndarray | None) -> Scaled:
    from shoal.exec.kernels import numbers
    x, y, scales = aligned(a, b)
    y = numbers.nonzero(y, valid)
    size = abs(x) % abs(y)
    return Scaled(np.where(x < 0, -size, size), scales)


def truncated_quotient(a: Scaled, b: Scaled, valid: np.ndarray | None) -> Scaled:
    from shoal.exec.kernels import numbers
    x, y, scales = aligned(a, b)
    y = numbers.nonzero(y, valid)
    size = abs(x) // abs(y)
    return Scaled(np.where((x < 0) ^ (y < 0), -size, size), np.zeros(len(scales), np.int64))


def with_specials(rule: special_rules.Rule, name: str, args: list[Scaled], valid: np.ndarray | None, rows: int,
                  compute: Callable[..., Scaled]) -> Scaled:
    """compute(*args, valid), with `rule` (see special_rules.py) deciding where an argument is NaN or infinite."""
    if all(arg.odd is None for arg in args):
        return compute(*args, valid)
    spread = [arg.spread(rows) for arg in args]
    special = np.zeros(rows, np.bool_)
    for arg in spread:
        if arg.odd is not None:
            special |= arg.odd != 0
    ordinary = ~special if valid is None else valid & ~special
    where = np.flatnonzero(special if valid is None else special & valid)
    signs = []
    for arg in spread:
        sign = np.sign(arg.values.take(where)).astype(np.float64)
        own = None if arg.odd is None else arg.odd.take(where)
        signs.append(sign if own is None else np.where(own == 0, sign, own))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = rule(name, *signs)
    result = compute(*(Scaled(arg.values, arg.scales) for arg in spread), ordinary).spread(rows)
    finite = np.isfinite(found)
    values, scales = result.values.copy(), result.scales.copy()
    values[where], scales[where] = np.where(finite, found, 0.0).astype(np.int64), 0
    odd = np.zeros(rows)
    odd[where[~finite]] = found[~finite]
    return Scaled(values, scales, odd if odd.any() else None)


def to_float(data: Scaled) -> np.ndarray:
    """The nearest float8s. Raises: NumericOutOfRange (22003)."""
    if len(data.scales) and (data.scales == data.scales[0]).all() and data.scales[0] < len(decimals.POWERS):
        found = np.asarray(decimals.to_float(data.values, int(data.scales[0])))
    else:
        try:
            found = np.array([value / _power(scale) for value, scale in
                              zip(data.values.tolist(), data.scales.tolist(), strict=True)], np.float64)
        except OverflowError:
            raise NumericOutOfRange("value out of range: overflow") from None
    return found if data.odd is None else np.where(data.odd == 0, found, data.odd)
