"""to_char and its inverses.

Spec: PostgreSQL 15 documentation, 9.8 "Data Type Formatting Functions".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.scaled import decimal_of
from shoal.catalog.types import NUMERIC
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import scaled_texts
from shoal.exec.kernels import decimals, nulls, strings, views
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.date_reading import read_clock, read_date
from shoal.exec.kernels.formatting import ZONED, date_parts, format_clock, interval_clock, timestamp_clock
from shoal.exec.kernels.number_formats import format_number, read_number
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.kernels.timestamp_formatting import format_timestamps
from shoal.exec.kernels.timezones import INFINITY, MINUS_INFINITY, SECOND_US, local_to_utc, utc_to_local, zone_of
from shoal.exec.plan.expr import Call

Args = list[Any]
_CONTEXT = Context(prec=120)


def _distinct(data: np.ndarray, valid: np.ndarray | None, function: Callable[[Any], str | None]) -> pa.Array:
    """function of each distinct integer."""
    distinct, codes = np.unique(data, return_inverse=True)
    if valid is not None:
        used = np.zeros(len(distinct), np.bool_)
        used[codes[valid]] = True
    else:
        used = np.ones(len(distinct), np.bool_)
    texts = [function(value) if ok else None for value, ok in zip(distinct.tolist(), used.tolist(), strict=True)]
    return pa.array(texts, pa.string()).take(pa.array(codes))


@parameters(1)
def to_char_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    kind, template = call.args[0].type.name, args[1]
    array = column(args[0], rows)
    valid = views.validity(array)
    if not template and kind in ("timestamp", "timestamptz", "interval"):
        return pa.nulls(rows, pa.string())
    if kind in ("timestamp", "timestamptz"):
        us = views.values(array)
        if kind == "timestamp" or not any(part.keyword in ZONED for part in date_parts(template)):
            return format_timestamps(utc_to_local(us, context.time_zone) if kind == "timestamptz" else us, valid, template)

        def zoned(value: int) -> str | None:
            if value in (INFINITY, MINUS_INFINITY):
                return None
            here = int(utc_to_local(value, context.time_zone))
            clock = timestamp_clock(here, (here - value) // SECOND_US, _abbreviation(value, context.time_zone))
            return format_clock(clock, template)
        return _distinct(us, valid, zoned)
    if kind == "interval":
        texts = {key: format_clock(interval_clock(key[0], key[1], key[2]), template)
                 for key in set(views.values(array).tolist())}
        return pa.array([texts[key] for key in views.values(array).tolist()], pa.string())
    if kind in ("float4", "float8"):
        digits = 6 if kind == "float4" else 15
        return strings.mapped(array, lambda value: format_number(value, template, digits=digits), pa.string())
    if kind != "numeric":
        return _distinct(views.values(array), valid, lambda value: format_number(value, template))
    if call.args[0].type.varies:
        texts = nulls.decoded(scaled_texts(array)).dictionary_encode()
        words = [format_number(decimal_of(text), template) for text in texts.dictionary.to_pylist()]
        return pa.array(words, pa.string()).take(texts.indices)
    data = np.asarray(decimals.unscaled(array, specials_too=True))
    scale = call.args[0].type.scale or 0
    return _distinct(data, valid, lambda value: format_number(
        Decimal(specials.TEXTS[value]) if value in specials.TEXTS else Decimal(value).scaleb(-scale, _CONTEXT), template))


def _abbreviation(us: int, zone: str) -> str:
    import datetime
    found = zone_of(zone)
    if isinstance(found, int):
        return zone if zone.isalpha() else ""
    instant = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=us)
    return instant.astimezone(found).tzname() or ""


@parameters(1)
def from_text_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """to_date and to_timestamp."""
    template, array = args[1], column(args[0], rows)
    if call.type.name == "date":
        return strings.mapped(array, lambda text: read_date(text, template), pa.int32()).cast(pa.date32())

    def instant(text: str) -> int:
        local, offset = read_clock(text, template)
        return local - offset * SECOND_US if offset is not None else int(local_to_utc(local, context.time_zone))
    return strings.mapped(array, instant, pa.int64()).cast(pa.timestamp("us", "UTC"))


@parameters(1)
def to_number_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(text: str) -> str | None:
        value = read_number(text, args[1])
        return None if value is None else f"{value:f}"
    array = column(args[0], rows)
    encoded = array.dictionary_encode()
    values = array_of_values([one(text) for text in encoded.dictionary.to_pylist()], call.type)
    return values.take(encoded.indices)


declare("to_char", "timestamp text -> text", "timestamptz text -> text", "interval text -> text", "int4 text -> text",
        "int8 text -> text", "numeric text -> text", "float4 text -> text", "float8 text -> text", volatility="stable",
        kernel=to_char_kernel, family="formatting", example="to_char(125, '999')")
declare("to_date", "text text -> date", volatility="stable", kernel=from_text_kernel, family="formatting",
        example="to_date('05 Dec 2000', 'DD Mon YYYY')")
declare("to_timestamp", "text text -> timestamptz", volatility="stable", kernel=from_text_kernel, family="formatting",
        example="to_timestamp('05 Dec 2000', 'DD Mon YYYY')")
declare("to_number", "text text", returns=NUMERIC, volatility="stable", kernel=to_number_kernel, family="formatting",
        example="to_number('12,454.8-', '99G999D9S')")
