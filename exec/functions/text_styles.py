"""Text forms other than the defaults: DateStyle SQL, Postgres and German, IntervalStyles, digits of floats, bytea escape.

Dates and times are put together from columns of numbers, a whole column at a time; intervals and floats once for each
distinct value. The default forms are in text_output.py.

Spec: EncodeDateOnly, EncodeDateTime, EncodeInterval and float8out of PostgreSQL 15; documentation, 8.5.2 and 8.5.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.exec.kernels import views
from shoal.exec.kernels.calendar import civil_from_days
from shoal.exec.kernels.timezones import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    INFINITY,
    MINUS_INFINITY,
    SECOND_US,
    utc_to_local,
    zone_abbreviations,
)
from shoal.exec.plan.styles import Styles

_MONTHS = pa.array(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
_WEEKDAYS = pa.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
_TWO_DIGITS = pa.array([f"{number:02d}" for number in range(100)])
_SEPARATORS = {"SQL": "/", "Postgres": "-", "German": "."}


def _join(*parts: Any) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")


def _picked(words: pa.Array, codes: Any) -> pa.StringArray:
    return words.take(pa.array(np.asarray(codes, np.int64)))


def _padded_year(year: np.ndarray) -> pa.StringArray:
    """The year of its era, four digits at least."""
    shown = np.where(year > 0, year, 1 - year)
    return pc.utf8_lpad(pa.array(shown).cast(pa.string()), width=4, padding="0")


def _finished(text: pa.StringArray, year: np.ndarray, infinite: np.ndarray, positive: np.ndarray,
              valid: np.ndarray | None) -> pa.StringArray:
    """With eras, infinities and NULLs put in."""
    ancient = year <= 0
    if ancient.any():
        text = pc.if_else(pa.array(ancient), _join(text, " BC"), text)
    if infinite.any():
        text = pc.if_else(pa.array(infinite), _picked(pa.array(["-infinity", "infinity"]), positive), text)
    return text if valid is None else pc.if_else(pa.array(valid), text, pa.scalar(None, pa.string()))


def dates(array: pa.Array, styles: Styles) -> pa.StringArray:
    """DateStyle SQL 12/31/1999, Postgres 12-31-1999, German 31.12.1999; day first where the order says so."""
    raw, valid = views.values(array), views.validity(array)
    days = raw.astype(np.int64)
    infinite = (days == DATE_INFINITY) | (days == DATE_MINUS_INFINITY)
    year, month, day = civil_from_days(np.where(infinite, 0, days))
    return _finished(_date(year, month, day, styles), year, infinite, days > 0, valid)


def _date(year: np.ndarray, month: np.ndarray, day: np.ndarray, styles: Styles) -> pa.StringArray:
    separator = _SEPARATORS[styles.date]
    first, second = (day, month) if styles.order == "DMY" or styles.date == "German" else (month, day)
    return _join(_picked(_TWO_DIGITS, first), separator, _picked(_TWO_DIGITS, second), separator, _padded_year(year))


def clock(us: np.ndarray) -> pa.StringArray:
    """04:05:06.7 of microseconds, none of them negative; hours have as many digits as they need, two at least."""
    seconds = us // SECOND_US
    hours = seconds // 3600
    shown = _picked(_TWO_DIGITS, hours) if not len(hours) or int(hours.max()) < 100 else pc.utf8_lpad(
        pa.array(hours).cast(pa.string()), width=2, padding="0")
    text = _join(shown, ":", _picked(_TWO_DIGITS, seconds // 60 % 60), ":",
                 _picked(_TWO_DIGITS, seconds % 60))
    fraction = us - seconds * SECOND_US
    if fraction.any():
        digits = pc.utf8_lpad(pa.array(fraction).cast(pa.string()), width=6, padding="0")
        text = _join(text, pc.utf8_rtrim(_join(".", pc.utf8_rtrim(digits, characters="0")), characters="."))
    return text


def timestamps(array: pa.Array, styles: Styles, zone: str | None = None) -> pa.StringArray:
    """Timestamps in a DateStyle other than ISO; with a `zone` they are instants, shown there with its abbreviation."""
    us, valid = views.values(array), views.validity(array)
    infinite = (us == INFINITY) | (us == MINUS_INFINITY)
    us = np.where(infinite if valid is None else infinite | ~valid, 0, us)
    local = us if zone is None else utc_to_local(us, zone)
    days = local // DAY_US
    year, month, day = civil_from_days(days)
    hours = clock(local - days * DAY_US)
    if styles.date == "Postgres":
        numbered = _picked(_TWO_DIGITS, day)
        named = _picked(_MONTHS, month - 1)
        where = (numbered, " ", named) if styles.order == "DMY" else (named, " ", numbered)
        parts: list[Any] = [_picked(_WEEKDAYS, (days + 3) % 7), " ", *where, " ", hours, " ", _padded_year(year)]
    else:
        parts = [_date(year, month, day, styles), " ", hours]
    if zone is not None:
        parts += [" ", zone_abbreviations(us, zone)]
    return _finished(_join(*parts), year, infinite, views.values(array) > 0, valid)


# --- intervals

def _split(months: int, us: int) -> tuple[int, int, int, int, int, str]:
    """(years, months, hours, minutes, seconds, fraction digits) with the signs of their parts; the fraction has none."""
    years = int(months / 12)
    sign = -1 if us < 0 else 1
    seconds, fraction = divmod(abs(us), SECOND_US)
    return (years, months - 12 * years, sign * (seconds // 3600), sign * (seconds // 60 % 60), sign * (seconds % 60),
            f".{fraction:06d}".rstrip("0") if fraction else "")


def _seconds(value: int, fraction: str, negative: bool) -> str:
    return f"{'-' if negative else ''}{abs(value)}{fraction}"


def iso_interval(months: int, days: int, us: int) -> str:
    """IntervalStyle iso_8601: P1Y2M3DT4H5M6.7S."""
    years, months, hours, minutes, seconds, fraction = _split(months, us)
    if not (years or months or days or us):
        return "PT0S"
    text = "P" + "".join(f"{value}{unit}" for value, unit in ((years, "Y"), (months, "M"), (days, "D")) if value)
    if us:
        text += "T" + "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M")) if value)
        if seconds or fraction:
            text += _seconds(seconds, fraction, us < 0) + "S"
    return text


def verbose_interval(months: int, days: int, us: int) -> str:
    """IntervalStyle postgres_verbose: @ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs; ago if the first part is negative."""
    years, months, hours, minutes, seconds, fraction = _split(months, us)
    parts: list[str] = []
    backwards = False
    for value, word in ((years, "year"), (months, "mon"), (days, "day"), (hours, "hour"), (minutes, "min")):
        if not value:
            continue
        if not parts:
            backwards = value < 0
            value = abs(value)
        elif backwards:
            value = -value
        parts.append(f"{value} {word}{'' if value == 1 else 's'}")
    if seconds or fraction:
        negative = us < 0
        if not parts:
            backwards, negative = negative, False
        elif backwards:
            negative = not negative
        single = abs(seconds) == 1 and not fraction
        parts.append(f"{_seconds(seconds, fraction, negative)} sec{'' if single else 's'}")
    if not parts:
        return "@ 0"
    return f"@ {' '.join(parts)}{' ago' if backwards else ''}"


def standard_interval(months: int, days: int, us: int) -> str:
    """IntervalStyle sql_standard: 1-2, 3 4:05:06, +1-2 -3 +4:05:06."""
    years, months, hours, minutes, seconds, fraction = _split(months, us)
    values = (years, months, days, hours, minutes, seconds)
    negative = any(v < 0 for v in values) or us < 0
    positive = any(v > 0 for v in values) or us > 0
    has_months, has_days, has_time = bool(years or months), bool(days), bool(us)
    clock = f"{abs(hours)}:{abs(minutes):02d}:{abs(seconds):02d}{fraction}"
    if not (negative or positive):
        return "0"
    if not (negative and positive) and not (has_months and (has_days or has_time)):
        sign = "-" if negative else ""
        if has_months:
            return f"{sign}{abs(years)}-{abs(months)}"
        return f"{sign}{abs(days)} {clock}" if has_days else sign + clock
    # what SQL's grammar has no form for: every part with its sign
    return (f"{'-' if years < 0 or months < 0 else '+'}{abs(years)}-{abs(months)} {'-' if days < 0 else '+'}{abs(days)} "
            f"{'-' if us < 0 else '+'}{clock}")


_INTERVALS: dict[str, Callable[[int, int, int], str]] = {
    "iso_8601": iso_interval, "postgres_verbose": verbose_interval, "sql_standard": standard_interval}


def intervals(array: pa.Array, style: str) -> pa.StringArray:
    """Intervals in a style other than "postgres", once for each distinct value."""
    fields, valid, form = np.ascontiguousarray(views.values(array)), views.validity(array), _INTERVALS[style]
    encoded = pa.Array.from_buffers(pa.binary(16), len(fields), [None, pa.py_buffer(fields)]).dictionary_encode()
    distinct = np.frombuffer(encoded.dictionary.buffers()[1], fields.dtype, len(encoded.dictionary))
    texts = pa.array([form(*parts) for parts in distinct.tolist()], pa.string())
    return texts.take(pa.array(views.values(encoded), mask=None if valid is None else ~valid))


# --- numbers and bytes

def rounded_floats(array: pa.Array, digits: int) -> pa.StringArray:
    """Floats with so many significant digits, as C's %g prints them: extra_float_digits of 0 and below."""
    encoded = array.dictionary_encode()
    texts = [_rounded(value, digits) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _rounded(value: float, digits: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.{digits}g}"


def _escape_table() -> tuple[np.ndarray, np.ndarray]:
    forms = [b"\\\\" if byte == 92 else bytes([byte]) if 32 <= byte <= 126 else f"\\{byte:03o}".encode()
             for byte in range(256)]
    table = np.zeros((256, 4), np.uint8)
    for byte, form in enumerate(forms):
        table[byte, :len(form)] = list(form)
    return table, np.array([len(form) for form in forms], np.int64)


_ESCAPED, _ESCAPED_LENGTHS = _escape_table()


def escaped_bytes(array: pa.Array) -> pa.StringArray:
    """bytea_output escape: printable characters as they are, a backslash twice, other bytes as \\nnn."""
    rows, valid = len(array), views.validity(array)
    offsets = np.frombuffer(array.buffers()[1], np.int32, rows + 1, 4 * array.offset) if rows else np.zeros(1, np.int32)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.frombuffer(array.buffers()[2], np.uint8)[first:last] if last > first else np.zeros(0, np.uint8)
    lengths = _ESCAPED_LENGTHS[data]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    kept = np.arange(4) < lengths[:, None]
    text = np.ascontiguousarray(_ESCAPED[data][kept])
    moved = ends[offsets - first].astype(np.int32)
    return pa.Array.from_buffers(pa.string(), rows, [views.bitmap(valid), pa.py_buffer(moved), pa.py_buffer(text)])
