"""Text of dates, timestamps and decimals from tables of digits, whole columns at a time (hop 7).

Each value is put together in a row of fixed width, then rows are set down one after the other at the offsets their true
lengths give: what a row has too much on its right is overwritten by the next one. Several times faster than Arrow's
casts, which know neither PostgreSQL's zeros nor its offsets, so that their text has to be mended.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import views
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

FIRST_DAY, LAST_DAY = -25_567, 47_481  # 1900-01-01 and 2099-12-31: the days of the table
_GROUP = 10_000


@lru_cache(maxsize=1)
def _days() -> np.ndarray:
    return np.datetime_as_string(np.arange(FIRST_DAY, LAST_DAY + 1).astype("datetime64[D]")).astype("S10")


@lru_cache(maxsize=1)
def _seconds() -> np.ndarray:
    """ " HH:MM:SS" for every second of a day."""
    return np.char.replace(np.datetime_as_string(np.arange(86_400).astype("datetime64[s]")), "1970-01-01T", " ").astype("S9")


@lru_cache(maxsize=8)
def _numbers(digits: int, lead: str = "") -> np.ndarray:
    """`lead` and the numbers below 10**digits, filled with zeros."""
    return np.char.add(lead, np.char.zfill(np.arange(10 ** digits).astype("U"), digits)).astype(f"S{digits + len(lead)}")


@lru_cache(maxsize=1)
def _zeros() -> np.ndarray:
    """How many zeros numbers of three digits end with."""
    number = np.arange(1000)
    return ((number % 10 == 0).astype(np.int32) + (number % 100 == 0) + (number == 0)).astype(np.int32)


def _strings(data: np.ndarray, ends: np.ndarray, valid: np.ndarray | None) -> pa.StringArray:
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends
    return pa.Array.from_buffers(pa.string(), len(ends), [views.bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(data)])


def _of_width(rows: np.ndarray, valid: np.ndarray | None) -> pa.StringArray:
    return _strings(rows.view(np.uint8), np.arange(1, len(rows) + 1) * rows.itemsize, valid)


def _at_every_byte(data: np.ndarray, width: int) -> np.ndarray:
    """A view of `data` whose element i is the `width` bytes that start at byte i."""
    return np.ndarray((len(data) - width + 1,), np.dtype(f"V{width}"), data, strides=(1,))


def _set_down(rows: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """`rows`, of fixed width, written to ascending `starts` in this order; `size` bytes count in the end."""
    width = rows.itemsize
    out = np.empty(size + width, np.uint8)
    _at_every_byte(out, width)[starts] = rows.view(f"V{width}")
    return out


def _in_table(days: np.ndarray) -> bool:
    return not len(days) or (int(days.min()) >= FIRST_DAY and int(days.max()) <= LAST_DAY)


def iso_dates(days: np.ndarray, valid: np.ndarray | None) -> pa.StringArray | None:
    """YYYY-MM-DD; None where some day is not in the table."""
    if valid is not None:
        days = np.where(valid, days, 0)
    return _of_width(_days().take(days - FIRST_DAY), valid) if _in_table(days) else None


def iso_timestamps(us: np.ndarray, valid: np.ndarray | None, suffix: bytes = b"") -> pa.StringArray | None:
    """YYYY-MM-DD HH:MM:SS[.ffffff] of local microseconds, and `suffix`; None where some day is not in the table."""
    if valid is not None:
        us = np.where(valid, us, 0)
    days = us // DAY_US
    if not _in_table(days):
        return None
    rest = us - days * DAY_US
    seconds = rest // SECOND_US
    fraction = rest - seconds * SECOND_US
    whole = not fraction.any()
    form = [("date", "S10"), ("time", "S9"), ("high", "S4"), ("low", "S3")]
    rows = np.empty(len(us), [*form[:2], ("zone", f"S{len(suffix)}")] if whole and suffix else form[:2] if whole else form)
    rows["date"], rows["time"] = _days().take(days - FIRST_DAY), _seconds().take(seconds)
    if whole:
        if suffix:
            rows["zone"] = suffix
        return _of_width(rows, valid)
    high = fraction // 1000
    low = fraction - high * 1000
    rows["high"], rows["low"] = _numbers(3, ".").take(high), _numbers(3).take(low)
    lengths = 26 - _zeros().take(low)
    short = np.flatnonzero(low == 0)
    lengths[short] -= _zeros().take(high[short])
    lengths[short] -= fraction[short] == 0  # no point either
    ends = np.cumsum(lengths + len(suffix))
    starts = ends - (lengths + len(suffix))
    data = _set_down(rows, starts, int(ends[-1]))
    if suffix:
        _at_every_byte(data, len(suffix))[starts + lengths] = np.void(suffix)
    return _strings(data, ends, valid)


def decimals(unscaled: np.ndarray, scale: int, valid: np.ndarray | None) -> pa.StringArray:
    """int64 values of `scale` digits after the point, at least 1; more than 18 leave nothing before it."""
    rows = len(unscaled)
    if rows == 0:
        return pa.array([], pa.string())
    if valid is not None:
        unscaled = np.where(valid, unscaled, 0)
    negative = unscaled < 0
    magnitude = np.abs(unscaled)
    whole = magnitude // 10 ** scale if scale <= 18 else np.zeros_like(magnitude)
    rest = magnitude - whole * 10 ** scale if scale <= 18 else magnitude
    largest = int(whole.max()) if rows else 0
    groups = max(1, -(-len(str(largest)) // 4))
    left = 1 + 4 * groups
    width = left + 1 + scale
    table = np.empty((rows, width), np.uint8)
    lengths = np.ones(rows, np.int32)
    for power in range(1, len(str(largest))):
        lengths += whole >= 10 ** power
    for group in range(groups):
        following = whole // _GROUP if group < groups - 1 else 0
        _field(table, left - 4 * (group + 1), 4)[:] = _numbers(4).take(whole - following * _GROUP)
        whole = following
    place = width
    for digits in [4] * (scale // 4):
        following = rest // _GROUP
        place -= digits
        _field(table, place, digits)[:] = _numbers(digits).take(rest - following * _GROUP)
        rest = following
    if scale % 4:
        _field(table, left, 1 + scale % 4)[:] = _numbers(scale % 4, ".").take(rest)
    else:
        table[:, left] = ord(".")
    flat = table.reshape(-1)
    begins = np.arange(left, left + rows * width, width) - lengths
    minus = np.flatnonzero(negative)
    if len(minus):
        lengths[minus] += 1
        begins[minus] -= 1
        flat[begins[minus]] = ord("-")
    lengths += 1 + scale
    ends = np.cumsum(lengths)
    if not rows:
        return pa.array([], pa.string())
    padded = np.empty(len(flat) + width, np.uint8)
    padded[:len(flat)] = flat
    data = _set_down(_at_every_byte(padded, width)[begins], ends - lengths, int(ends[-1]))
    return _strings(data, ends, valid)


def _field(table: np.ndarray, start: int, width: int) -> np.ndarray:
    """The columns `start` ... of a table of bytes, as strings."""
    return np.ndarray((len(table),), f"S{width}", table, start, (table.shape[1],))
