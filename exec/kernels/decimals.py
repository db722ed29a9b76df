"""Exact decimal arithmetic: int64 wherever bounds prove that it fits, Python integers in numpy arrays beyond.

A numeric column holds unscaled integers, as an Arrow int64, decimal128 or decimal256 array. `unscaled` gives them as
an int64 numpy array, or as an object array of Python integers where some do not fit 64 bits; `packed` goes back.
The operations in between take and give such arrays (or single Python integers) and choose the narrow path by the
actual smallest and largest values, which numpy finds in half the time of one multiplication.

NaN and the infinities (catalog/specials.py) are no numbers: a kernel that has not set them apart is refused them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.errors import DivisionByZero, FeatureNotSupported, NumericOutOfRange
from shoal.exec.kernels import views
from shoal.exec.kernels.float_digits import leading_digits

Unscaled = np.ndarray | int
INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
_WORD = (1 << 64) - 1
_LIMIT_128, _LIMIT_256 = 10 ** 38, 10 ** 76
POWERS = tuple(10 ** n for n in range(160))


def unscaled(arg: pa.Array | pa.Scalar, specials_too: bool = False) -> Unscaled:
    """The unscaled integers of an int64 or decimal array (rows under NULL: anything); of a scalar a Python int.

    `specials_too`: the raw values of NaN and the infinities among them. Raises: FeatureNotSupported (0A000) where there
    are some and the caller has not said so.
    """
    if isinstance(arg, pa.Scalar):
        value = arg.as_py()
        if value is None or isinstance(value, int):
            return value or 0
        sign, digits, exponent = value.as_tuple()
        number = int("".join(map(str, digits))) * POWERS[arg.type.scale + int(exponent)]
        number = -number if sign else number
        if number in specials.TEXTS and not specials_too:
            raise _special(number)
        return number
    if not pa.types.is_decimal(arg.type):
        data = views.values(arg)
        return data if data.dtype == np.int64 else data.astype(np.int64)
    width = arg.type.byte_width // 8
    if len(arg) == 0:
        return np.zeros(0, np.int64)
    words = np.frombuffer(arg.buffers()[1], "<i8", count=width * len(arg), offset=8 * width * arg.offset)
    low, sign_words = words[::width], [words[i::width] for i in range(1, width)]
    signs = low >> 63
    narrow = np.logical_and.reduce([word == signs for word in sign_words])
    valid = views.validity(arg)
    if valid is not None:
        narrow |= ~valid
    if narrow.all():
        return np.ascontiguousarray(low)
    if width == 4 and not specials_too:
        found = specials.stand_ins(arg)
        if found is not None:
            raise _special(specials.of_float(found[found != 0][0]))
    result = words[width - 1::width].astype(object)
    for i in range(width - 2, -1, -1):
        result = (result << 64) + words[i::width].view("<u8").astype(object)
    if valid is not None:
        result[~valid] = 0
    return result


def _special(value: int) -> FeatureNotSupported:
    return FeatureNotSupported(f"numeric {specials.TEXTS[value]} is not supported here")


def packed(data: np.ndarray, scale: int, valid: np.ndarray | None = None, specials_too: bool = False) -> pa.Array:
    """The numeric column of unscaled integers: int64 where they fit, else decimal128 or decimal256.

    `specials_too`: raw values of NaN and the infinities are meant as such, not the results of sums that are too large.
    Raises: NumericOutOfRange (22003) beyond 76 digits.
    """
    if data.dtype != object:
        return views.array_of(data, pa.int64(), valid)
    if valid is not None:
        data = np.where(valid, data, 0)
    low, high = (int(data.min()), int(data.max())) if len(data) else (0, 0)
    if low >= INT64_MIN and high <= INT64_MAX:
        return views.array_of(data.astype(np.int64), pa.int64(), valid)
    largest = max(-low, high)
    if largest >= _LIMIT_256 and not (specials_too and all(
            abs(value) < _LIMIT_256 or value in specials.TEXTS for value in data.tolist())):
        raise NumericOutOfRange("value overflows numeric format")
    width = 2 if largest < _LIMIT_128 else 4
    words = np.empty((len(data), width), "<u8")
    for i in range(width - 1):
        words[:, i] = (data & _WORD).astype(np.uint64)
        data = data >> 64
    words.view("<i8")[:, -1] = data.astype(np.int64)
    arrow = pa.decimal128(38, scale) if width == 2 else pa.decimal256(76, scale)
    return pa.Array.from_buffers(arrow, len(data), [views.bitmap(valid), pa.py_buffer(words)])


def scalar(value: int | None, scale: int) -> pa.Scalar:
    """A constant of the narrowest form that holds it."""
    if value is None or INT64_MIN <= value <= INT64_MAX:
        return pa.scalar(value, pa.int64())
    return packed(np.array([value], object), scale, specials_too=True)[0]


def bounds(data: Unscaled, valid: np.ndarray | None = None) -> tuple[int, int]:
    """Smallest and largest value, over the rows that are `valid` where garbage under NULL would widen them."""
    if isinstance(data, int):
        return data, data
    if len(data) == 0:
        return 0, 0
    if valid is not None:
        return bounds(data[valid])
    return int(data.min()), int(data.max())


def fits(low: int, high: int) -> bool:
    return low >= INT64_MIN and high <= INT64_MAX


def _wide(data: Unscaled) -> Unscaled:
    return data if isinstance(data, int) else data.astype(object)


def _narrow_bounds(left: Unscaled, right: Unscaled, combine: str, valid: np.ndarray | None) -> bool:
    for rows in (None, valid) if valid is not None else (None,):
        (a, b), (c, d) = bounds(left, rows), bounds(right, rows)
        if not (fits(a, b) and fits(c, d)):
            continue
        if combine == "add":
            low, high = a + c, b + d
        elif combine == "sub":
            low, high = a - d, b - c
        else:
            products = (a * c, a * d, b * c, b * d)
            low, high = min(products), max(products)
        if fits(low, high):
            return True
    return False


def _operands(left: Unscaled, right: Unscaled, combine: str, valid: np.ndarray | None) -> tuple[Unscaled, Unscaled]:
    if _narrow_bounds(left, right, combine, valid):
        if not isinstance(left, int) and left.dtype == object:
            left = left.astype(np.int64)
        if not isinstance(right, int) and right.dtype == object:
            right = right.astype(np.int64)
        return left, right
    return _wide(left), _wide(right)


def alike(left: Unscaled, right: Unscaled) -> tuple[Unscaled, Unscaled]:
    """Both as Python integers where one of them is a constant beyond 64 bits, which numpy does not mix with int64."""
    if any(isinstance(data, int) and not fits(data, data) for data in (left, right)):
        return _wide(left), _wide(right)
    return left, right


def add(left: Unscaled, right: Unscaled, valid: np.ndarray | None = None) -> np.ndarray:
    a, b = _operands(left, right, "add", valid)
    return a + b  # type: ignore[return-value]


def subtract(left: Unscaled, right: Unscaled, valid: np.ndarray | None = None) -> np.ndarray:
    a, b = _operands(left, right, "sub", valid)
    return a - b  # type: ignore[return-value]


def multiply(left: Unscaled, right: Unscaled, valid: np.ndarray | None = None) -> np.ndarray:
    a, b = _operands(left, right, "mul", valid)
    return a * b  # type: ignore[return-value]


def rescaled(data: Unscaled, digits: int, valid: np.ndarray | None = None) -> Unscaled:
    """data * 10**digits; digits below zero round half away from zero."""
    if digits == 0:
        return data
    if digits > 0:
        return data * POWERS[digits] if isinstance(data, int) else multiply(data, POWERS[digits], valid)
    return divide_rounded(data, POWERS[-digits])


def truncated(data: Unscaled, digits: int) -> Unscaled:
    """data / 10**digits, towards zero."""
    if digits == 0:
        return data
    divisor = POWERS[digits]
    if isinstance(data, int):
        return abs(data) // divisor * (1 if data >= 0 else -1)
    if data.dtype != object and divisor > INT64_MAX:
        return np.zeros_like(data)
    quotient = data // divisor
    return quotient + ((data < 0) & (quotient * divisor != data))


def floored(data: Unscaled, digits: int) -> Unscaled:
    """data / 10**digits, downwards."""
    if not isinstance(data, int) and data.dtype != object and POWERS[digits] > INT64_MAX:
        return np.where(data < 0, -1, 0).astype(np.int64)
    return data // POWERS[digits]


def divide_rounded(data: Unscaled, divisor: int) -> Unscaled:
    """data / divisor for one positive divisor, half away from zero."""
    if isinstance(data, int):
        return (2 * abs(data) + divisor) // (2 * divisor) * (1 if data >= 0 else -1)
    if data.dtype == object or 2 * divisor > INT64_MAX or (len(data) and int(data.min()) == INT64_MIN):
        wide = data.astype(object)
        magnitude = (2 * np.abs(wide) + divisor) // (2 * divisor)
        return np.where(wide < 0, -magnitude, magnitude) if len(data) else wide
    magnitude = np.abs(data)
    quotient = magnitude // divisor
    quotient += (magnitude - quotient * divisor) >= divisor - divisor // 2
    return np.where(data < 0, -quotient, quotient)


def divide(left: Unscaled, right: Unscaled, digits: int, rows: int, valid: np.ndarray | None = None) -> np.ndarray:
    """left * 10**digits / right, half away from zero, exactly. `digits` may be negative.

    Raises: DivisionByZero (22012) where a valid row's divisor is 0.
    """
    numerator = np.full(rows, left, object if not fits(left, left) else np.int64) if isinstance(left, int) else left
    divisor = np.full(rows, right, object if not fits(right, right) else np.int64) if isinstance(right, int) else right
    zero = divisor == 0
    if zero.any():
        if valid is None or bool((zero & valid).any()):
            raise DivisionByZero("division by zero")
        divisor = np.where(zero, 1, divisor)
    if digits < 0:
        divisor, digits = multiply(divisor, POWERS[-digits], valid), 0
    if numerator.dtype != object and divisor.dtype != object and rows:
        parts = quotient_parts(numerator, divisor, digits)
        if parts is not None:
            high, low, shift = parts
            size = high.astype(object) * POWERS[shift] + low if shift else high
            return np.where((numerator < 0) ^ (divisor < 0), -size, size)
    below, under = numerator < 0, divisor < 0
    top, bottom = numerator.astype(object) * POWERS[digits], divisor.astype(object)
    top, bottom = np.abs(top) if below.any() else top, np.abs(bottom) if under.any() else bottom
    magnitude = (top + (bottom >> 1)) // bottom
    negative = (below != under).astype(np.bool_)
    return np.where(negative, -magnitude, magnitude) if negative.any() else magnitude


def quotient_parts(numerator: np.ndarray, divisor: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray, int] | None:
    """|numerator| * 10**digits / |divisor|, rounded half up, as high * 10**m + low with low < 10**m: (high, low, m), all
    in int64, by schoolbook division of several decimal digits a step. None where that is not enough. No divisor is 0."""
    if digits < 0 or int(numerator.min()) == INT64_MIN or int(divisor.min()) == INT64_MIN:
        return None
    top, bottom = np.abs(numerator), np.abs(divisor)
    largest, room = int(bottom.max()), 0
    while largest * POWERS[room + 1] <= INT64_MAX:
        room += 1
    if room == 0 and digits:
        return None
    high = top // bottom
    rest = top - high * bottom
    low: np.ndarray | None = None
    shift = 0
    while digits:
        step = min(room, digits)
        rest = rest * POWERS[step]
        part = rest // bottom
        rest -= part * bottom
        if low is None and (int(high.max()) + 1) * POWERS[step] <= INT64_MAX:
            high = high * POWERS[step] + part
        else:
            if shift + step > 18:
                return None
            low, shift = part if low is None else low * POWERS[step] + part, shift + step
        digits -= step
    up = rest >= bottom - rest
    if low is None:
        return high + up, np.zeros_like(high), 0
    low = low + up
    carry = low == POWERS[shift]
    return high + carry, np.where(carry, 0, low), shift


def words_of(high: np.ndarray, low: np.ndarray, shift: int, negative: np.ndarray) -> np.ndarray:
    """high * 10**shift + low, all from 0 up, with a sign, as 64-bit words of decimal128: int64 (rows, 2)."""
    mask = np.uint64(0xFFFFFFFF)
    a, power = high.view(np.uint64), POWERS[shift]
    a0, a1, b0, b1 = a & mask, a >> np.uint64(32), np.uint64(power & 0xFFFFFFFF), np.uint64(power >> 32)
    middle = a1 * b0 + ((a0 * b0) >> np.uint64(32))
    cross = (middle & mask) + a0 * b1
    lowest = (cross << np.uint64(32)) | ((a0 * b0) & mask)
    words = np.empty((len(high), 2), np.uint64)
    words[:, 0] = lowest + low.view(np.uint64)
    words[:, 1] = a1 * b1 + (middle >> np.uint64(32)) + (cross >> np.uint64(32)) + (words[:, 0] < lowest)
    words[negative] = ~words[negative]
    words[negative, 0] += np.uint64(1)
    words[:, 1] += (negative & (words[:, 0] == 0)).astype(np.uint64)
    return words.view(np.int64)


def check_precision(data: Unscaled, precision: int, valid: np.ndarray | None, describe: str) -> None:
    """Raises: NumericOutOfRange (22003) where a value has more than `precision` digits."""
    limit = POWERS[precision]
    for rows in (None, valid) if valid is not None else (None,):
        low, high = bounds(data, rows)
        if -limit < low and high < limit:
            return
    raise NumericOutOfRange("numeric field overflow", detail=describe)


def to_float(data: Unscaled, scale: int) -> np.ndarray | float:
    """The nearest float8 of each value: correctly rounded, as reading its text would give."""
    if isinstance(data, int):
        return data / POWERS[scale]
    if data.dtype != object and scale <= 22:
        low, high = bounds(data)
        if max(-low, high) < 1 << 53:  # both operands are exact, so one division rounds correctly
            return data.astype(np.float64) / float(POWERS[scale])
    divisor = POWERS[scale]
    try:
        return np.array([value / divisor for value in data.tolist()], np.float64)
    except OverflowError:
        raise NumericOutOfRange("value out of range: overflow") from None


def _at_scale(values: np.ndarray, scales: np.ndarray, scale: int) -> np.ndarray:
    """int64 values / 10**scales as multiples of 10**-scale, halves away from zero; they fit."""
    result = values * 10 ** np.minimum(np.maximum(scale - scales, 0), 18)
    divisor = 10 ** np.minimum(np.maximum(scales - scale, 0), 18)
    size = np.abs(result)
    size = size // divisor + (size % divisor * 2 >= divisor) * (divisor > 1)
    return np.where(result < 0, -size, size)


def from_float(data: np.ndarray, scale: int, digits: int, valid: np.ndarray | None) -> np.ndarray:
    """Floats as decimals the way PostgreSQL does: their first `digits` significant digits, rounded to `scale`.

    Raises: NumericOutOfRange (22003). NaN and infinities must be none among the valid ones.
    """
    clean = data if valid is None else np.where(valid, data, 0.0)
    scaled = clean * float(POWERS[scale]) if scale <= 22 else None
    if scaled is not None and digits >= 15 and len(clean) and np.abs(scaled).max() < 1e15:
        rounded = np.rint(scaled)
        if (np.abs(scaled - rounded) <= 1e-6).all():
            return rounded.astype(np.int64)
    values, scales, known = leading_digits(clean, digits)
    if known.all() and np.abs(clean).max(initial=0.0) * 10.0 ** scale < 9e18:
        return _at_scale(values, scales, scale)
    if len(clean) and np.abs(clean).max() >= 1e76:
        raise NumericOutOfRange("value overflows numeric format")
    from decimal import ROUND_HALF_UP, Context, Decimal
    context = Context(prec=200, rounding=ROUND_HALF_UP)
    step = Decimal(1).scaleb(-scale)
    unscaled_values = [int(context.quantize(Decimal(f"{value:.{digits - 1}e}"), step).scaleb(scale, context))
                       for value in clean.tolist()]
    result = np.array(unscaled_values, object)
    return result if not len(result) or not fits(int(result.min()), int(result.max())) else result.astype(np.int64)
