"""Values as PostgreSQL prints them: whole columns at a time, for the wire, casts to text, COPY and EXPLAIN (hop 7).

The default styles are here: DateStyle ISO, IntervalStyle postgres, bytea_output hex, shortest floats. The others are in
text_styles.py. Spec: PostgreSQL 15 documentation, chapter 8 and 20.11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled as form
from shoal.catalog import specials
from shoal.catalog.types import MULTIRANGES, OID_LIKE, RANGES, SqlType
from shoal.exec.functions import text_styles
from shoal.exec.kernels import decimals, digits, nulls, shapes, tids, views
from shoal.exec.kernels.calendar import civil_from_days
from shoal.exec.kernels.timezones import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    INFINITY,
    MINUS_INFINITY,
    SECOND_US,
    utc_to_local,
)

if TYPE_CHECKING:
    from shoal.exec.evaluation_context import Names
    from shoal.exec.plan.fragment import TaskSettings

_MIN_DAY, _MAX_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_QUOTED_IN_ARRAY = r'[{}",\\ \t\n\r\v\f]|^(?i:null)$'
_NEVER_QUOTED = frozenset({"bool", "uuid", "oid"})


def to_text(array: pa.Array, sql_type: SqlType, settings: TaskSettings, names: Names | None = None) -> pa.StringArray:
    """The text form of every value, NULL for NULL. `names` gives reg* types their names (else numbers).

    A dictionary-encoded string column stays one.
    """
    kind, styles = sql_type.name, settings.styles
    if sql_type.is_string:
        if kind in RANGES or kind in MULTIRANGES:
            from shoal.exec.functions.range_text import styled
            return styled(array, kind, settings)
        return array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string())
    if kind == "numeric":
        return _numeric(array, sql_type)
    if kind == "bool":
        return _spread(["f", "t"], views.values(array).view(np.int8), views.validity(array))
    if kind in ("float4", "float8"):
        return _floats(array) if styles.float_digits > 0 else text_styles.rounded_floats(
            array, max((6 if kind == "float4" else 15) + styles.float_digits, 1))
    if kind == "date":
        return _dates(array) if styles.date == "ISO" else text_styles.dates(array, styles)
    if kind == "time":
        return _times(array)
    if kind == "timestamp":
        return _timestamps(views.values(array), views.validity(array)) if styles.date == "ISO" else \
            text_styles.timestamps(array, styles)
    if kind == "timestamptz":
        return _timestamps_with_zone(array, settings.time_zone) if styles.date == "ISO" else \
            text_styles.timestamps(array, styles, settings.time_zone)
    if kind == "interval":
        return _intervals(array) if styles.interval == "postgres" else text_styles.intervals(array, styles.interval)
    if kind == "bytea":
        return _bytes(array) if styles.bytea == "hex" else text_styles.escaped_bytes(array)
    if kind in OID_LIKE and kind not in ("oid", "xid", "cid"):
        from shoal.exec.functions.registers import register_names
        return register_names(array, kind, names)
    if sql_type.is_array:
        return _arrays(array, sql_type, settings, names)
    if kind == "tid":
        return tids.texts(array)
    if kind in ("int2vector", "oidvector"):
        return pa.array([None if v is None else " ".join(map(str, v)) for v in array.to_pylist()], pa.string())
    return pc.cast(array, pa.string())


def _spread(words: list[str], codes: np.ndarray, valid: np.ndarray | None) -> pa.StringArray:
    """words[codes] as a plain string array."""
    return pa.array(words, pa.string()).take(pa.array(codes, mask=None if valid is None else ~valid))


# --- numbers

def scaled_texts(array: pa.Array) -> pa.StringArray:
    """Each value with its own scale: all of one scale at once."""
    array = nulls.decoded(array)
    if pa.types.is_string(array.type):
        return array
    valid = nulls.validity(array)
    scales = views.values(array.field(1))
    values = array.field(0)
    shown = np.unique(scales if valid is None else scales[valid]).tolist()
    if len(shown) > 40:
        pairs = zip(np.asarray(decimals.unscaled(values)).tolist(), scales.tolist(), strict=True)
        return pa.array([form.plain(value, scale) for value, scale in pairs], pa.string(),
                        mask=None if valid is None else ~valid)
    if valid is not None:
        values = nulls.with_validity(values, valid)
    if len(shown) == 1 and shown[0] >= 0:
        return _of_scale(values, shown[0])
    pieces, places = [pa.array([None], pa.string())], np.zeros(len(array), np.int64)
    total = 1
    for scale in shown:
        mask = scales == scale
        where = np.flatnonzero(mask if valid is None else mask & valid)
        some = values.take(pa.array(where))
        pieces.append(_of_scale(some, scale) if scale >= 0 else pa.array([form.SPECIAL_TEXTS[scale]] * len(where)))
        places[where] = np.arange(total, total + len(where))
        total += len(where)
    return pa.concat_arrays(pieces).take(pa.array(places))


def _of_scale(values: pa.Array, scale: int) -> pa.StringArray:
    """Unscaled integers (int64 or decimals without a scale) with a point put in."""
    if scale == 0:
        return pc.cast(values, pa.string())
    if pa.types.is_int64(values.type) and scale <= 38:
        return digits.decimals(views.values(values), scale, views.validity(values))
    if pa.types.is_decimal(values.type) and scale <= values.type.precision:
        arrow = pa.decimal128(38, scale) if values.type.byte_width == 16 else pa.decimal256(76, scale)
        buffers = values.buffers()
        return _numeric(pa.Array.from_buffers(arrow, len(values), buffers, offset=values.offset),
                        SqlType("numeric", arrow.precision, scale))
    whole = np.asarray(decimals.unscaled(values)).tolist()
    mask = None if not values.null_count else ~np.asarray(values.is_valid())
    return pa.array([form.plain(value, scale) for value in whole], pa.string(), mask=mask)


def _numeric(array: pa.Array, sql_type: SqlType) -> pa.StringArray:
    if sql_type.varies:
        return scaled_texts(array)
    found = specials.stand_ins(array)
    if found is not None:
        text = _numeric(specials.without(array, found), sql_type)
        odd = found != 0
        return _replace(text, odd, [specials.TEXTS[specials.of_float(value)] for value in found[odd].tolist()])
    scale = sql_type.scale or 0
    valid = views.validity(array)
    if scale == 0:
        text = pc.cast(array, pa.string())
        return text
    if pa.types.is_decimal(array.type):
        text = pc.cast(array, pa.string())
        wide: Any = decimals.unscaled(array)
    else:
        wide = views.values(array)
        text = digits.decimals(wide, scale, valid)
    if scale > 6 and pa.types.is_decimal(array.type):  # Arrow prints values below 1e-6 in scientific form
        tiny = abs(wide) < decimals.POWERS[scale - 6]
        if valid is not None:
            tiny &= valid
        if tiny.any():
            text = _replace(text, tiny, [_plain(int(v), scale) for v in wide[tiny]])
    return text


def _plain(value: int, scale: int) -> str:
    digits = str(abs(value)).rjust(scale + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}" if scale else str(value)


def _replace(text: pa.StringArray, where: np.ndarray, values: list[str]) -> pa.StringArray:
    return pc.replace_with_mask(text, pa.array(where), pa.array(values, pa.string()))


def _floats(array: pa.Array) -> pa.StringArray:
    text = pc.cast(array, pa.string())
    data = views.values(array)
    single = data.dtype == np.float32
    magnitude = np.abs(data)
    with np.errstate(invalid="ignore"):
        plain = ((magnitude >= 1e-4) & (magnitude < (1e6 if single else 1e10))) | (data == 0)
    if not plain.all():
        valid = views.validity(array)
        odd = ~plain if valid is None else ~plain & valid
        text = _replace(text, odd, [float_text(value, single) for value in data[odd]])
    return text


def float_text(value: Any, single: bool = False) -> str:
    """One float as PostgreSQL prints it: the fewest digits that give it back, exponents of two digits at least."""
    if value != value:
        return "NaN"
    if np.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    number = np.float32(value) if single else np.float64(value)
    scientific = np.format_float_scientific(number, unique=True, trim="-", exp_digits=2)
    exponent = int(scientific.partition("e")[2])
    if -4 <= exponent < (6 if single else 15):
        return np.format_float_positional(number, unique=True, trim="-")
    return scientific


# --- dates and times

def _dates(array: pa.Array) -> pa.StringArray:
    days = views.values(array)
    if (common := digits.iso_dates(days, views.validity(array))) is not None:
        return common
    text = pc.cast(array, pa.string())
    if len(days) and (int(days.min()) < _MIN_DAY or int(days.max()) > _MAX_DAY):
        odd = (days < _MIN_DAY) | (days > _MAX_DAY)
        valid = views.validity(array)
        if valid is not None:
            odd &= valid
        text = _replace(text, odd, [date_text(day) for day in days[odd].tolist()])
    return text


def date_text(days: int) -> str:
    """One date, also outside the years 1 to 9999 and infinite."""
    if days == DATE_INFINITY:
        return "infinity"
    if days == DATE_MINUS_INFINITY:
        return "-infinity"
    year, month, day = civil_from_days(days)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}{'' if year > 0 else ' BC'}"


def _trimmed(text: pa.StringArray) -> pa.StringArray:
    """Without trailing zeros of the six fraction digits."""
    return pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")


def _times(array: pa.Array) -> pa.StringArray:
    us = views.values(array)
    midnight = us == DAY_US
    valid = views.validity(array)
    clean = views.array_of(np.where(midnight, 0, us) if valid is None else np.where(midnight | ~valid, 0, us),
                           pa.time64("us"), valid)
    text = _trimmed(pc.cast(clean, pa.string()))
    if midnight.any():
        text = _replace(text, midnight if valid is None else midnight & valid,
                        ["24:00:00"] * int(np.count_nonzero(midnight if valid is None else midnight & valid)))
    return text


def _timestamps(us: np.ndarray, valid: np.ndarray | None) -> pa.StringArray:
    if (common := digits.iso_timestamps(us, valid)) is not None:
        return common
    low, high = _MIN_DAY * DAY_US, (_MAX_DAY + 1) * DAY_US
    odd = (us < low) | (us >= high) if len(us) and (int(us.min()) < low or int(us.max()) >= high) else None
    if odd is not None:
        clean = np.where(odd, 0, us)
        if valid is not None:
            odd &= valid
    else:
        clean = us
    text = _trimmed(pc.cast(views.array_of(clean, pa.timestamp("us"), valid), pa.string()))
    if odd is not None and odd.any():
        text = _replace(text, odd, [timestamp_text(value) for value in us[odd].tolist()])
    return text


def timestamp_text(us: int) -> str:
    """One timestamp, also outside the years 1 to 9999 and infinite."""
    if us == INFINITY:
        return "infinity"
    if us == MINUS_INFINITY:
        return "-infinity"
    days, rest = divmod(us, DAY_US)
    date, _, era = date_text(days).partition(" ")
    return f"{date} {time_text(rest)}{' ' + era if era else ''}"


def time_text(us: int) -> str:
    seconds, fraction = divmod(us, SECOND_US)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def offset_text(seconds: int) -> str:
    """An offset east of UTC: +00, +05:30, -03:30:15."""
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    text = f"{sign}{seconds // 3600:02d}"
    if seconds % 3600:
        text += f":{seconds // 60 % 60:02d}"
    if seconds % 60:
        text += f":{seconds % 60:02d}"
    return text


def _timestamps_with_zone(array: pa.Array, zone: str) -> pa.StringArray:
    us, valid = views.values(array), views.validity(array)
    if valid is not None:
        us = np.where(valid, us, 0)
    local = utc_to_local(us, zone)
    shift = local - us
    if len(us) and (shift == shift[0]).all() and (
            common := digits.iso_timestamps(local, valid, offset_text(int(shift[0]) // SECOND_US).encode())) is not None:
        return common
    text = _timestamps(local, valid)
    offsets = shift // SECOND_US
    infinite = (us == INFINITY) | (us == MINUS_INFINITY)
    distinct, codes = np.unique(offsets, return_inverse=True)
    suffixes = [offset_text(int(offset)) for offset in distinct]
    if infinite.any():
        codes = np.where(infinite, len(suffixes), codes)
        suffixes.append("")
    if len(suffixes) == 1:
        suffix: Any = suffixes[0]
    else:
        suffix = pa.array(suffixes, pa.string()).take(pa.array(codes))
    joined = pc.binary_join_element_wise(text, suffix, "")
    if len(us) and int(local.min()) < _MIN_DAY * DAY_US:
        joined = pc.replace_substring_regex(joined, r"^(.*) BC([+-].*)$", r"\1\2 BC")
    return joined


def _sizes(us: np.ndarray) -> np.ndarray:
    """Absolute values, also of the smallest int64."""
    size = np.abs(us)
    return size.view(np.uint64) if len(size) and int(size.min()) < 0 else size


def _intervals(array: pa.Array) -> pa.StringArray:
    """What interval_text gives, for a whole column."""
    fields, valid = views.values(array), views.validity(array)
    months, days, us = fields["f0"].astype(np.int64), fields["f1"], fields["f2"]
    years = np.trunc(months / 12).astype(np.int64)
    begun = after_negative = np.zeros(len(fields), np.bool_)
    pieces: list[Any] = []
    for value, word in ((years, "year"), (months - 12 * years, "mon"), (days, "day")):
        some = value != 0
        if not some.any():
            continue
        lead = _spread(["", " ", "+", " +"], begun + 2 * (after_negative & (value > 0)), None)
        unit = _spread([f" {word}", f" {word}s"], (value != 1).view(np.int8), None)
        piece = pc.binary_join_element_wise(lead, pa.array(value).cast(pa.string()), unit, "")
        pieces.append(piece if some.all() else pc.if_else(pa.array(some), piece, ""))
        begun, after_negative = begun | some, np.where(some, value < 0, after_negative)
    timed = (us != 0) | ~begun
    if timed.any():
        lead = _spread(["", " ", "-", " -", "+", " +"], begun + np.where(us < 0, 2, np.where(after_negative, 4, 0)), None)
        piece = pc.binary_join_element_wise(lead, text_styles.clock(_sizes(us)), "")
        pieces.append(piece if timed.all() else pc.if_else(pa.array(timed), piece, ""))
    text = pc.binary_join_element_wise(*pieces, "") if pieces else pa.array([], pa.string())
    return text if valid is None else pc.if_else(pa.array(valid), text, pa.scalar(None, pa.string()))


def interval_text(months: int, days: int, us: int) -> str:
    """One interval in the style "postgres": 1 year 2 mons 3 days 04:05:06.7."""
    parts: list[str] = []
    years, months = int(months / 12), int(np.fmod(months, 12))
    negative_before = False
    for value, word in ((years, "year"), (months, "mon"), (days, "day")):
        if value:
            plus = "+" if negative_before and value > 0 else ""
            parts.append(f"{plus}{value} {word}{'' if value == 1 else 's'}")
            negative_before = value < 0
    if us or not parts:
        sign = "-" if us < 0 else "+" if negative_before else ""
        parts.append(sign + time_text(abs(us)))
    return " ".join(parts)


# --- bytes and arrays

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "<u2")


def _bytes(array: pa.Array) -> pa.StringArray:
    offsets = np.frombuffer(array.buffers()[1], np.int32, count=len(array) + 1, offset=4 * array.offset) if len(array) else \
        np.zeros(1, np.int32)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.frombuffer(array.buffers()[2], np.uint8)[first:last] if last > first else np.zeros(0, np.uint8)
    digits = np.ascontiguousarray(_HEX[data])
    hexed = pa.Array.from_buffers(pa.string(), len(array), [
        views.bitmap(views.validity(array)), pa.py_buffer(((offsets - first) * 2).astype(np.int32)), pa.py_buffer(digits)])
    return pc.binary_join_element_wise("\\x", hexed, "")


def _arrays(array: pa.Array, sql_type: SqlType, settings: TaskSettings, names: Names | None) -> pa.StringArray:
    lists = shapes.items_of(array)
    items = _array_items(nulls.decoded(to_text(lists.flatten(), sql_type.element, settings, names)), sql_type.element)
    if shapes.is_shaped(array):
        return _shaped_arrays(array, items.to_pylist())
    counts = pc.fill_null(pc.list_value_length(lists), 0)
    ends = np.zeros(len(lists) + 1, np.int32)
    np.cumsum(views.values(counts), out=ends[1:])
    mask = pc.is_null(lists) if lists.null_count else None
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), items, mask=mask), ",")
    return pc.binary_join_element_wise("{", joined, "}", "")


def _array_items(texts: pa.StringArray, element: SqlType) -> pa.StringArray:
    """The elements' texts as arrays show them: quoted where they must be, NULL as a word."""
    if not element.is_number and element.name not in _NEVER_QUOTED:
        special = pc.or_(pc.match_substring_regex(texts, _QUOTED_IN_ARRAY), pc.equal(pc.binary_length(texts), 0))
        if pc.any(special).as_py():
            escaped = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
            texts = pc.if_else(special, pc.binary_join_element_wise('"', escaped, '"', ""), texts)
    return pc.fill_null(texts, "NULL")


def _shaped_arrays(array: pa.Array, items: list[str]) -> pa.StringArray:
    nested = shapes.nested_texts(array, items, "{}")
    return pa.array([None if dims is None else shapes.prefix(dims) + text for dims, text in nested], pa.string())
