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
from shoal.catalog.types import MULTIRANGES, NUMERIC, OID_LIKE, RANGES, SqlType, item_storage, storage_type
from shoal.exec.functions import casts, json_text, text_input
from shoal.exec.functions.bit_casts import BITS, converted
from shoal.exec.functions.casts import STRING_CATEGORY, bare_sql
from shoal.exec.functions.text_output import offset_text, scaled_texts, to_text
from shoal.exec.kernels import concat, decimals, nulls, numbers, scaled, shapes, timetz, views
from shoal.exec.kernels.comparing import without_blanks
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.float_digits import leading_digits
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
    if s in BITS or t in BITS:
        found = _of_bits(source, target, explicit)
        if found is not None:
            return found
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


def _of_bits(source: SqlType, target: SqlType, explicit: bool) -> Conversion | None:
    known = ({"int4", "int8", "unknown"} | BITS | STRING_CATEGORY) if target.name in BITS else {"int4", "int8"}
    other = source.name if target.name in BITS else target.name
    if other not in known:
        return None
    return Conversion(lambda array, context: converted(array, source, target, explicit=explicit))


def _group(name: str) -> str:
    return "integer" if name in ("int2", "int4", "int8") else "float" if name in ("float4", "float8") else (
        "oid" if name in OID_LIKE else name)


# --- strings

def _to_string(source: SqlType, target: SqlType, explicit: bool) -> Conversion:
    s, t = source.name, target.name
    limited = t in ("varchar", "bpchar") and target.length is not None
    if s in STRING_CATEGORY or s == "unknown" or (source.is_string and s not in RANGES and s not in MULTIRANGES
                                                  and s not in ("inet", "cidr")):
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
            return Conversion(lambda array, context: text_input.shortened(nulls.decoded(array), target), raises=False)
        return _IDENTITY

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        if s == "bool":
            text = pc.if_else(array, "true", "false")
        elif s == "inet":
            text = _inet_with_prefix(array)
        else:
            text = to_text(array, source, context.settings, context.names)
        if t == "char" and s == "int4":
            return pa.array([None if v is None else chr(v & 0xFF) if v else "" for v in array.to_pylist()], pa.string())
        return text_input.length_checked(text, target, explicit) if limited else text
    return Conversion(run, raises=limited, stable=s in _STYLED or s in OID_LIKE or source.is_array)


def _inet_with_prefix(array: pa.Array) -> pa.Array:
    """What text(inet) gives: the prefix length is there even where it is the whole address."""
    texts = nulls.decoded(array)
    full = pc.if_else(pc.match_substring(texts, ":"), "/128", "/32")
    return pc.if_else(pc.match_substring(texts, "/"), texts, pc.binary_join_element_wise(texts, full, ""))


def _from_string(source: SqlType, target: SqlType) -> Conversion:
    if (target.name == "record" and target.user is None) or target.name in (
            "xml", "pg_node_tree", "aclitem", "unknown"):
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
    if sql_type.varies:
        return scaled_texts(array)
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
    return _to_scaled(source, target) if target.varies else _rescale(0, target)


def _numeric_to_numeric(source: SqlType, target: SqlType) -> Conversion:
    if target.varies:
        return _to_scaled(source, target)
    return _from_scaled(target) if source.varies else _rescale(source.scale or 0, target)


def _to_scaled(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid = nulls.validity(array)
        return scaled.written(_declared(scaled.read(array, source), target, valid), valid)
    return Conversion(run, raises=target.precision is not None)


def _declared(data: scaled.Scaled, target: SqlType, valid: np.ndarray | None) -> scaled.Scaled:
    """Rounded to the digits that `target` declares, if any. Raises: NumericOutOfRange (22003)."""
    if target.precision is None or target.scale is None:
        return data
    if data.odd is not None and np.isinf(data.odd).any():
        text_input.check_infinite(target)
    values = scaled.rescaled(data, np.full(1, target.scale))
    limit = 10 ** target.precision
    if len(values) and (int(values.max()) >= limit or int(values.min()) <= -limit):
        raise NumericOutOfRange("numeric field overflow", detail=text_input.overflow_detail(target))
    if target.scale < 0:
        values = scaled.upscaled(values, np.full(1, -target.scale))
    return scaled.Scaled(values, np.full(len(values), max(target.scale, 0)), data.odd)


def _from_scaled(target: SqlType) -> Conversion:
    scale = target.scale or 0

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, data = nulls.validity(array), scaled.read(array, NUMERIC)
        values = scaled.rescaled(data, np.full(1, scale))
        decimals.check_precision(values, target.precision or 38, valid, text_input.overflow_detail(target))
        result = decimals.packed(values, scale, valid)
        return result if data.odd is None else _with_specials(result, data.odd, target)
    return Conversion(run)


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


def _float_to_scaled(source: SqlType, target: SqlType) -> Conversion:
    """The first 15 (of float4: 6) significant digits, without zeros at their end."""
    digits = _FLOAT_DIGITS[source.name]

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, floats = views.validity(array), views.values(array).astype(np.float64)
        odd = np.where(np.isfinite(floats), 0.0, floats)
        if valid is not None:
            odd = np.where(valid, odd, 0.0)
        clean = np.where(np.isfinite(floats) if valid is None else np.isfinite(floats) & valid, floats, 0.0)
        values, scales, known = leading_digits(clean, digits)
        if not known.all():
            pairs = [scaled.pair_of(f"{value:.{digits}g}") for value in clean[~known].tolist()]
            values = values.astype(object)
            values[~known], scales[~known] = [value for value, _ in pairs], [scale for _, scale in pairs]
        data = scaled.Scaled(values, scales, odd if odd.any() else None)
        return scaled.written(_declared(data, target, valid), valid)
    return Conversion(run)


def _float_to_numeric(source: SqlType, target: SqlType) -> Conversion:
    if target.varies:
        return _float_to_scaled(source, target)
    digits = _FLOAT_DIGITS[source.name]

    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid, floats = views.validity(array), views.values(array).astype(np.float64)
        odd = ~np.isfinite(floats) if valid is None else ~np.isfinite(floats) & valid
        known = valid
        if odd.any():
            known = ~odd if valid is None else valid & ~odd
        data = decimals.from_float(floats, target.scale or 0, digits, known)
        decimals.check_precision(data, target.precision or 38, known, text_input.overflow_detail(target))
        result = decimals.packed(data, target.scale or 0, known)
        return result if known is valid else _with_specials(result, np.where(odd, floats, 0.0), target)
    return Conversion(run)


def _numeric_to_integer(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid = nulls.validity(array)
        given = scaled.read(array, source) if source.varies else None
        found = specials.stand_ins(array) if given is None else given.odd
        if found is not None:
            word = "NaN" if np.isnan(found[found != 0][0]) else "infinity"
            raise FeatureNotSupported(f"cannot convert {word} to {target.sql}")
        data = decimals.rescaled(decimals.unscaled(array), -(source.scale or 0)) if given is None else \
            scaled.rescaled(given, np.zeros(1, np.int64))
        assert not isinstance(data, int)
        return views.array_of(numbers.checked(data, target.name, valid), storage_type(target), valid)
    return Conversion(run)


def _numeric_to_float(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        valid = nulls.validity(array)
        if source.varies:
            given = scaled.read(array, source)
            found, data = given.odd, scaled.to_float(given)
        else:
            found = specials.stand_ins(array)
            plain = array if found is None else specials.as_zero(array, found)
            data = np.asarray(decimals.to_float(decimals.unscaled(plain), source.scale or 0))
        if target.name == "float4":
            with np.errstate(over="ignore"):
                data = data.astype(np.float32)
            beyond = np.isinf(data) if valid is None else np.isinf(data) & valid
            if found is not None:
                beyond &= found == 0
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
        data["f2"] = views.values(array)
        return views.array_of(data, storage_type(target), views.validity(array))
    return Conversion(run, raises=False)


def _interval_to_time(source: SqlType, target: SqlType) -> Conversion:
    return Conversion(lambda array, context: views.array_of(
        views.values(array)["f2"] % DAY_US, pa.time64("us"), views.validity(array)), raises=False)


def _time_to_timetz(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        offset = offset_text(utc_offset(context.settings.now_us, context.time_zone))
        return pc.binary_join_element_wise(to_text(array, source, context.settings), offset, "")
    return Conversion(run, raises=False, stable=True)


def _timestamptz_to_timetz(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        us, local = views.values(array), _local(array, source, context)
        valid = views.validity(array)
        finite = (us != INFINITY) & (us != MINUS_INFINITY)
        if not finite.all():
            valid = nulls.both(valid, finite)
        return timetz.texts_of(local % DAY_US, (local - us) // SECOND_US, valid)
    return Conversion(run, raises=False, stable=True)


def _timetz_to_time(source: SqlType, target: SqlType) -> Conversion:
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        return views.array_of(timetz.columns_of(array)[0], pa.time64("us"), views.validity(array))
    return Conversion(run, raises=False)


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
        numeric = array_of_values([None if v is None else f"{v:f}" for v in values], NUMERIC)
        return numeric if target.varies else conversion(NUMERIC, target).run(numeric, context)
    return Conversion(run)


# --- network addresses and ranges

def _per_text(function: Callable[[str], str], raises: bool = False) -> Maker:
    """A cast of types held as texts, a value at a time."""
    def run(array: pa.Array, context: EvaluationContext) -> pa.Array:
        return pa.array([None if text is None else function(text) for text in nulls.decoded(array).to_pylist()], pa.string())
    return lambda source, target: Conversion(run, raises=raises)


def _cidr_to_inet(text: str) -> str:
    from shoal.exec.kernels import network
    return network.text_of(network.address_of(text), "inet")


def _inet_to_cidr(text: str) -> str:
    from shoal.exec.kernels import network
    value = network.address_of(text)
    return network.text_of(value._replace(number=value.network), "cidr")


def _macaddr_to_macaddr8(text: str) -> str:
    from shoal.exec.kernels import network
    return network.mac_text(network.widened_mac(network.mac_of(text)), 8)


def _macaddr8_to_macaddr(text: str) -> str:
    from shoal.exec.kernels import network
    number = network.mac_of(text)
    if number >> 24 & 0xFFFF != 0xFFFE:
        raise NumericOutOfRange("macaddr8 data out of range to convert to macaddr",
                                hint="Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, "
                                     "for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to "
                                     "macaddr.")
    return network.mac_text(number >> 40 << 24 | number & 0xFFFFFF, 6)


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
    ("cidr", "inet"): _per_text(_cidr_to_inet), ("inet", "cidr"): _per_text(_inet_to_cidr),
    ("macaddr", "macaddr8"): _per_text(_macaddr_to_macaddr8),
    ("macaddr8", "macaddr"): _per_text(_macaddr8_to_macaddr, raises=True),
    **{(inner, multi): _per_text(lambda text: "{}" if text == "empty" else f"{{{text}}}")
       for multi, inner in MULTIRANGES.items()},
    ("json", "jsonb"): _json_to_jsonb, ("jsonb", "json"): _json_to_jsonb,
    **{("jsonb", target): _jsonb_to_scalar for target in ("bool", "integer", "float", "numeric")},
    ("int2vector", "_int2"): lambda source, target: Conversion(lambda array, context: pc.cast(array, storage_type(target)),
                                                               raises=False),
    ("oidvector", "_oid"): lambda source, target: Conversion(lambda array, context: pc.cast(array, storage_type(target)),
                                                             raises=False),
}
