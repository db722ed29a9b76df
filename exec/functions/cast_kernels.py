"""The casts themselves: for a pair of types, a kernel over whole columns.

Every kernel takes an array in the source's storage form and gives one in the target's; NULL stays NULL, and what
lies under NULL never raises. Spec: PostgreSQL 15 documentation, chapter 8 and catalog pg_cast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import specials
from shoal.catalog.errors import CannotCoerce, FeatureNotSupported, InvalidParameterValue, NumericOutOfRange
from shoal.catalog.types import OID_LIKE, SqlType, item_storage, storage_type
from shoal.exec.functions import casts, json_text, text_input
from shoal.exec.functions.casts import STRING_CATEGORY, bare_sql
from shoal.exec.functions.text_output import offset_text, time_text, to_text
from shoal.exec.kernels import concat, decimals, nulls, numbers, shapes, views
from shoal.exec.kernels.comparing import without_blanks
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.timezones import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    INFINITY,
    MINUS_INFINITY,
    SECOND_US,
    date_to_timestamp,
    local_to_utc,
    utc_offset,
    utc_to_local,
)

if TYPE_CHECKING:
    from shoal.exec.evaluation_context import EvaluationContext

Kernel = Callable[[pa.Array, "EvaluationContext"], pa.Array]


@dataclass(frozen=True, slots=True)
class Conversion:
    """`stable`: depends on the session. `keeps_dictionary`: the same values, whatever their encoding."""

    run: Kernel
    raises: bool = True
    stable: bool = False
    keeps_dictionary: bool = False


_IDENTITY = Conversion(lambda array, context: array, raises=False, keeps_dictionary=True)
_FLOAT_DIGITS = {"float4": 6, "float8": 15}
_STYLED = frozenset({"date", "timestamp", "timestamptz", "interval", "float4", "float8", "bytea"})
"""Types whose text depends on the session's settings."""


def conversion(source: SqlType, target: SqlType, explicit: bool = True) -> Conversion:
    """The kernel for source -> target. Raises: CannotCoerce (42846)."""
    s, t = source.name, target.name
    if source == target or s == t == "record":
        return _IDENTITY
    if s in OID_LIKE or s in ("unknown", "void"):
        found = _from_special(source, target)
        if found is not None:
            return found
    if source.is_array and target.is_array:
        return _array_conversion(source, target, explicit)
    if t in STRING_CATEGORY:
        return _to_string(source, target, explicit)
    if s in STRING_CATEGORY or s == "unknown":
        return _from_string(source, target)
    if casts.cast_context(source, target) is None:
        raise CannotCoerce(f"cannot cast type {bare_sql(source)} to {bare_sql(target)}")
    maker = _MAKERS.get((_group(s), _group(t)))
    if maker is None:
        raise CannotCoerce(f"cannot cast type {bare_sql(source)} to {bare_sql(target)}")
    return maker(source, target)


def _group(name: str) -> str:
    return "integer" if name in ("int2", "int4", "int8") else "float" if name in ("float4", "float8") else (
        "oid" if name in OID_LIKE else name)


# --- strings

def _to_string(source: SqlType, target: SqlType, explicit: bool) -> Conversion:
    s, t = source.name, target.name
    limited = t in ("varchar", "bpchar") and target.length is not None
    if s in STRING_CATEGORY or s == "unknown" or source.is_string:
        if s == "bpchar" and t != "bpchar":
            def strip(array: pa.Array, context: EvaluationContext) -> pa.Array:
                stripped = without_blanks(array)
                return text_input.length_checked(stripped, target, explicit) if limited else stripped
            return Conversion(strip, raises=limited)
        if limited and not (source.name == target.name and source.length is not None
                            and source.length <= (target.length or 0)
                            and t == "varchar"):
            return Conversion(lambda array, context: text_input.length_checked(array, target, explicit), raises=not explicit)
        if t in ("name", "char"):
            limit = 63 if t == "name" else 1
            return Conversion(lambda array, context: pc.utf8_slice_codeunits(nulls.decoded(array), 0, limit), raises=False)
        return _IDENTITY

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        if s == "bool":
            text = pc.if_else(array, "true", "false")
        else:
            text = to_text(array, source, context.settings, context.names)
        if t == "char" and s == "int4":
            return pa.array([None if v is None else chr(v & 0xFF) if v else "" for v in array.to_pylist()], pa.string())
        return text_input.length_checked(text, target, explicit) if limited else text
    return Conversion(run, raises=limited, stable=s in _STYLED or s in OID_LIKE or source.is_array)


def _from_string(source: SqlType, target: SqlType) -> Conversion:
    if target.name in ("record", "xml", "pg_node_tree", "aclitem", "tid", "unknown"):
        return _IDENTITY
    if source.name == "char" and target.name == "int4":
        def code(array: pa.Array, context: EvaluationContext) -> pa.Array:
            return pa.array([None if v is None else ord(v[0]) if v else 0 for v in array.to_pylist()], pa.int32())
        return Conversion(code)

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        return text_input.parse_column(nulls.decoded(array), target, context)
    stable = target.name in ("date", "time", "timestamp", "timestamptz", "timetz",
                             "interval") or target.name in OID_LIKE or target.is_array
    return Conversion(run, stable=stable)


def _from_special(source: SqlType, target: SqlType) -> Conversion | None:
    if source.name in OID_LIKE and target.name in OID_LIKE:
        return _IDENTITY
    if source.name == "unknown" and target.name in ("text", "unknown"):
        return _IDENTITY
    return None


def _array_conversion(source: SqlType, target: SqlType, explicit: bool) -> Conversion:
    inner = conversion(source.element, target.element, explicit)

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        if shapes.is_shaped(array):
            return shapes.with_items(array, run(shapes.items_of(array), context))
        flat = inner.run(array.flatten(), context)
        flat = nulls.decoded(flat)
        want = storage_type(target).value_type
        if flat.type != want:
            flat = pc.cast(flat, want) if target.element.name != "numeric" else decimal_array(flat, target.element)
        counts = pc.fill_null(pc.list_value_length(array), 0)
        offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(views.values(counts), dtype=np.int32)])
        return pa.Array.from_buffers(pa.list_(want), len(array), [
            views.bitmap(views.validity(array)), pa.py_buffer(offsets)], children=[flat])
    return Conversion(run, inner.raises, inner.stable)


def decimal_array(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """A numeric column in the one form that lists of numerics hold."""
    want = item_storage(sql_type)
    if pa.types.is_decimal(array.type):
        return array if array.type == want else pc.cast(array, want)
    return concat.widened(pa.nulls(len(array), pa.int64()) if pa.types.is_null(array.type) else array, want)


# --- numbers

def _integer_to_integer(source: SqlType, target: SqlType) -> Conversion:
    grows = numbers.dtype_of(target.name)().itemsize >= numbers.dtype_of(source.name)().itemsize

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid = views.validity(array)
        return views.array_of(numbers.checked(views.values(array), target.name, valid), storage_type(target), valid)
    return Conversion(run, raises=not grows)


def _integer_to_float(source: SqlType, target: SqlType) -> Conversion:
    return Conversion(lambda array, context: views.array_of(
        views.values(array).astype(numbers.dtype_of(target.name)), storage_type(target), views.validity(array)),
                      raises=False)


def _integer_to_numeric(source: SqlType, target: SqlType) -> Conversion:
    return _rescale(0, target)


def _numeric_to_numeric(source: SqlType, target: SqlType) -> Conversion:
    return _rescale(source.scale or 0, target)


def _rescale(scale: int, target: SqlType) -> Conversion:
    by = (target.scale or 0) - scale

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        found = specials.stand_ins(array)
        if found is not None:
            return _with_specials(run(specials.without(array, found), context), found, target)
        valid = views.validity(array)
        data = decimals.unscaled(array)
        result = decimals.rescaled(data, by, valid)
        assert not isinstance(result, int)
        if not target.trim:
            decimals.check_precision(result, target.precision or 38, valid, text_input.overflow_detail(target))
        if result is data and by == 0 and array.type == pa.int64():
            return array
        return decimals.packed(result, target.scale or 0, valid)
    return Conversion(run)


def _with_specials(array: pa.Array, found: np.ndarray, target: SqlType) -> pa.Array:
    """The numeric column with the special values `found` (see specials.stand_ins). Raises: NumericOutOfRange (22003) for
    an infinity where digits are declared."""
    if np.isinf(found).any():
        text_input.check_infinite(target)
    return specials.placed(array, found, target.scale or 0)


def _float_to_integer(source: SqlType, target: SqlType) -> Conversion:
    bound = float(2 ** {"int2": 15, "int4": 31, "int8": 63}[target.name])

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid = views.validity(array)
        data = np.rint(views.values(array).astype(np.float64))
        if valid is not None:
            data = np.where(valid, data, 0.0)
        if len(data) and not bool(((data >= -bound) & (data < bound)).all()):
            raise numbers.out_of_range(target.name)
        return views.array_of(data.astype(numbers.dtype_of(target.name)), storage_type(target), valid)
    return Conversion(run)


def _float_to_float(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, data = views.validity(array), views.values(array)
        with np.errstate(over="ignore", under="ignore"):
            result = data.astype(numbers.dtype_of(target.name))
        if target.name == "float4":
            seen = slice(None) if valid is None else valid
            if (np.isinf(result[seen]) & ~np.isinf(data[seen])).any():
                raise NumericOutOfRange("value out of range: overflow")
            if ((result[seen] == 0) & (data[seen] != 0)).any():
                raise NumericOutOfRange("value out of range: underflow")
        return views.array_of(result, storage_type(target), valid)
    return Conversion(run, raises=target.name == "float4")


def _float_to_numeric(source: SqlType, target: SqlType) -> Conversion:
    digits = _FLOAT_DIGITS[source.name]

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, floats = views.validity(array), views.values(array).astype(np.float64)
        odd = ~np.isfinite(floats) if valid is None else ~np.isfinite(floats) & valid
        known = valid
        if odd.any():
            known = ~odd if valid is None else valid & ~odd
        data = decimals.from_float(floats, target.scale or 0, digits, known)
        if not target.trim:
            decimals.check_precision(data, target.precision or 38, known, text_input.overflow_detail(target))
        result = decimals.packed(data, target.scale or 0, known)
        return result if known is valid else _with_specials(result, np.where(odd, floats, 0.0), target)
    return Conversion(run)


def _numeric_to_integer(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, found = views.validity(array), specials.stand_ins(array)
        if found is not None:
            word = "NaN" if np.isnan(found[found != 0][0]) else "infinity"
            raise FeatureNotSupported(f"cannot convert {word} to {target.sql}")
        data = decimals.rescaled(decimals.unscaled(array), -(source.scale or 0))
        assert not isinstance(data, int)
        return views.array_of(numbers.checked(data, target.name, valid), storage_type(target), valid)
    return Conversion(run)


def _numeric_to_float(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, found = views.validity(array), specials.stand_ins(array)
        plain = array if found is None else specials.as_zero(array, found)
        data = np.asarray(decimals.to_float(decimals.unscaled(plain), source.scale or 0))
        if target.name == "float4":
            with np.errstate(over="ignore"):
                data = data.astype(np.float32)
            beyond = np.isinf(data) if valid is None else np.isinf(data) & valid
            if beyond.any():
                text = to_text(array.take(pa.array(np.flatnonzero(beyond)[:1])), source, context.settings)[0].as_py()
                raise NumericOutOfRange(f'"{text}" is out of range for type real')
        if found is not None:
            data = np.where(found == 0, data, found).astype(data.dtype)
        return views.array_of(data, storage_type(target), valid)
    return Conversion(run)


def _bool_to_integer(source: SqlType, target: SqlType) -> Conversion:
    return Conversion(lambda array, context: views.array_of(
        views.values(array).astype(np.int32), storage_type(target), views.validity(array)), raises=False)


def _integer_to_bool(source: SqlType, target: SqlType) -> Conversion:
    return Conversion(lambda array, context: views.array_of(
        views.values(array) != 0, pa.bool_(), views.validity(array)), raises=False)


def _integer_to_oid(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        data, valid = views.values(array).astype(np.int64), views.validity(array)
        seen = data if valid is None else data[valid]
        if source.name == "int8" and len(seen) and (int(seen.min()) < 0 or int(seen.max()) > 0xFFFFFFFF):
            raise NumericOutOfRange("OID out of range")
        return views.array_of(data & 0xFFFFFFFF, pa.int64(), valid)
    return Conversion(run, raises=source.name == "int8")


def _oid_to_integer(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        data = views.values(array)
        if target.name == "int4":
            data = data.astype(np.uint32).view(np.int32)
        return views.array_of(data, storage_type(target), views.validity(array))
    return Conversion(run, raises=False)


# --- dates and times

def _date_to_timestamp(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, days = views.validity(array), views.values(array)
        us = date_to_timestamp(days if valid is None else np.where(valid, days, 0).astype(np.int32))
        if target.name == "timestamptz":
            us = local_to_utc(us, context.time_zone)
        return views.array_of(us, storage_type(target), valid)
    return Conversion(run, stable=target.name == "timestamptz")


def _local(array: pa.Array, source: SqlType, context: EvaluationContext) -> np.ndarray:
    """Local microseconds of a timestamp, with or without zone; 0 under NULL."""
    us, valid = views.values(array), views.validity(array)
    if valid is not None:
        us = np.where(valid, us, 0)
    return utc_to_local(us, context.time_zone) if source.name == "timestamptz" else us


def _timestamp_to_date(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        us = _local(array, source, context)
        days = us // DAY_US
        days = np.where(us == INFINITY, DATE_INFINITY, np.where(us == MINUS_INFINITY, DATE_MINUS_INFINITY, days))
        return views.array_of(days, pa.date32(), views.validity(array))
    return Conversion(run, raises=False, stable=source.name == "timestamptz")


def _timestamp_to_time(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        us = _local(array, source, context)
        valid = views.validity(array)
        infinite = (us == INFINITY) | (us == MINUS_INFINITY)
        if infinite.any():
            valid = nulls.both(valid, ~infinite)
        return views.array_of(us % DAY_US, pa.time64("us"), valid)
    return Conversion(run, raises=False, stable=source.name == "timestamptz")


def _timestamp_to_timestamp(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        us, valid = views.values(array), views.validity(array)
        if valid is not None:
            us = np.where(valid, us, 0)
        us = (local_to_utc if target.name == "timestamptz" else utc_to_local)(us, context.time_zone)
        return views.array_of(us, storage_type(target), valid)
    return Conversion(run, stable=True)


def _time_to_interval(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        data = np.zeros(len(array), "<i4,<i4,<i8")
        data["f2"] = views.values(array) * 1000
        return views.array_of(data, storage_type(target), views.validity(array))
    return Conversion(run, raises=False)


def _interval_to_time(source: SqlType, target: SqlType) -> Conversion:
    return Conversion(lambda array, context: views.array_of(
        (views.values(array)["f2"] // 1000) % DAY_US, pa.time64("us"), views.validity(array)), raises=False)


def _time_to_timetz(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        offset = offset_text(utc_offset(context.settings.now_us, context.time_zone))
        return pc.binary_join_element_wise(to_text(array, source, context.settings), offset, "")
    return Conversion(run, raises=False, stable=True)


def _timestamptz_to_timetz(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        us, local = views.values(array), _local(array, source, context)
        valid = views.validity(array)
        texts = [time_text(int(a) % DAY_US) + offset_text(int(a - b) // SECOND_US) for a, b in zip(local, us, strict=True)]
        return nulls.with_validity(pa.array(texts, pa.string()), valid)
    return Conversion(run, raises=False, stable=True)


def _timetz_to_time(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        from shoal.exec.functions.datetime_input import parse_timetz
        values = [None if v is None else parse_timetz(v, 0, "UTC")[0] for v in nulls.decoded(array).to_pylist()]
        return pa.array(values, pa.time64("us"))
    return Conversion(run)


# --- json

def _json_to_jsonb(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        if target.name == "json":
            return array
        return pa.array([None if v is None else json_text.canonical_jsonb(v) for v in nulls.decoded(array).to_pylist()],
                        pa.string())
    return Conversion(run)


def _jsonb_to_scalar(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        from decimal import Decimal
        loaded = [None if v is None else json_text.load(v) for v in nulls.decoded(array).to_pylist()]
        values: list[Any] = []
        for value, missing in zip(loaded, nulls.decoded(array).is_null().to_pylist(), strict=True):
            if missing:
                values.append(None)
                continue
            kind = ("null" if value is None else "boolean" if isinstance(value, bool) else "numeric"
                    if isinstance(value, Decimal)
                    else "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object")
            if (kind == "boolean") != (target.name == "bool") or kind not in ("boolean", "numeric"):
                raise InvalidParameterValue(f"cannot cast jsonb {kind} to type {bare_sql(target)}")
            values.append(value)
        if target.name == "bool":
            return pa.array(values, pa.bool_())
        scale = max((-int(v.as_tuple().exponent) for v in values if v is not None), default=0)
        scale = max(scale, 0)
        wide = SqlType("numeric", 76, scale, trim=True)
        numeric = array_of_values([None if v is None else int(v.scaleb(scale)) for v in values], wide)
        return numeric if wide == target else conversion(wide, target).run(numeric, context)
    return Conversion(run)


Maker = Callable[[SqlType, SqlType], Conversion]
_MAKERS: dict[tuple[str, str], Maker] = {
    ("integer", "integer"): _integer_to_integer, ("integer", "float"): _integer_to_float,
    ("integer", "numeric"): _integer_to_numeric, ("integer", "bool"): _integer_to_bool, ("integer", "oid"): _integer_to_oid,
    ("numeric", "numeric"): _numeric_to_numeric, ("numeric", "integer"): _numeric_to_integer,
    ("numeric", "float"): _numeric_to_float,
    ("float", "integer"): _float_to_integer, ("float", "float"): _float_to_float, ("float", "numeric"): _float_to_numeric,
    ("bool", "integer"): _bool_to_integer, ("oid", "integer"): _oid_to_integer,
    ("date", "timestamp"): _date_to_timestamp, ("date", "timestamptz"): _date_to_timestamp,
    ("timestamp", "date"): _timestamp_to_date, ("timestamptz", "date"): _timestamp_to_date,
    ("timestamp", "time"): _timestamp_to_time, ("timestamptz", "time"): _timestamp_to_time,
    ("timestamp", "timestamptz"): _timestamp_to_timestamp, ("timestamptz", "timestamp"): _timestamp_to_timestamp,
    ("timestamptz", "timetz"): _timestamptz_to_timetz, ("time", "timetz"): _time_to_timetz,
    ("timetz", "time"): _timetz_to_time,
    ("time", "interval"): _time_to_interval, ("interval", "time"): _interval_to_time,
    ("json", "jsonb"): _json_to_jsonb, ("jsonb", "json"): _json_to_jsonb,
    **{("jsonb", target): _jsonb_to_scalar for target in ("bool", "integer", "float", "numeric")},
    ("int2vector", "_int2"): lambda source, target: Conversion(lambda array, context: pc.cast(array, storage_type(target)),
                                                               raises=False),
    ("oidvector", "_oid"): lambda source, target: Conversion(lambda array, context: pc.cast(array, storage_type(target)),
                                                             raises=False),
}
