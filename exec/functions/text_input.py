"""Text to values of every type: one at a time for literals and parameters, whole columns for casts from text.

Spec: PostgreSQL 15 documentation, chapter 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled as form
from shoal.catalog import specials
from shoal.catalog.errors import (
    ArraySubscriptError,
    InvalidTextRepresentation,
    NumericOutOfRange,
    ProgramLimitExceeded,
    StringTooLong,
)
from shoal.catalog.types import MULTIRANGES, NUMERIC, OID_LIKE, RANGES, ShapedArray, SqlType, array_of, numeric, storage_type
from shoal.exec.functions import datetime_input
from shoal.exec.functions.interval_input import parse_interval
from shoal.exec.functions.json_text import canonical_jsonb, checked_json
from shoal.exec.functions.numeric_types import merged
from shoal.exec.kernels import decimals, multidimensional, nulls, shapes, tids, views
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.encodings import from_hex

if TYPE_CHECKING:
    from shoal.exec.evaluation_context import EvaluationContext, Names
    from shoal.exec.plan.fragment import TaskSettings

_SPACE = " \t\n\r\v\f"
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_BOOLEANS = {word[:n]: value for word, least, value in (
    ("true", 1, True), ("yes", 1, True), ("on", 2, True), ("1", 1, True),
    ("false", 1, False), ("no", 1, False), ("off", 2, False), ("0", 1, False)) for n in range(least, len(word) + 1)}
INTEGER_LIMITS = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 63}
"""The first number beyond each type; the type goes down to its negative."""
_UUID = re.compile(r"(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}")
_NAME_BYTES = 63
_ADDRESSES = frozenset({"inet", "cidr", "macaddr", "macaddr8"})


def invalid(text: str, sql_type: SqlType) -> InvalidTextRepresentation:
    from shoal.exec.functions.casts import bare_sql
    return InvalidTextRepresentation(f'invalid input syntax for type {bare_sql(sql_type)}: "{text}"')


def parse_value(text: str, target: SqlType, settings: TaskSettings, names: Names | None = None) -> Any:
    """The physical value of one text. Raises: InvalidTextRepresentation (22P02), InvalidDatetimeFormat (22007),
    DatetimeOverflow (22008), NumericOutOfRange (22003), UndefinedObject (42704) for reg* names."""
    name = target.name
    if name == "numeric":
        return _numeric(text, target)
    if name in INTEGER_LIMITS:
        return _integer(text, target)
    if name in ("float4", "float8"):
        return _float(text, target)
    if name == "bool":
        value = _BOOLEANS.get(text.strip(_SPACE).lower())
        if value is None:
            raise invalid(text, target)
        return value
    if name == "date":
        return datetime_input.parse_date(text, settings.now_us, settings.time_zone, settings.styles.order)
    if name == "time":
        return datetime_input.parse_time(text, settings.now_us, settings.time_zone, settings.styles.order)
    if name in ("timestamp", "timestamptz"):
        return datetime_input.parse_timestamp(text, settings.now_us, settings.time_zone, name == "timestamptz",
                                              settings.styles.order)
    if name == "timetz":
        from shoal.exec.functions.text_output import offset_text, time_text
        us, offset = datetime_input.parse_timetz(text, settings.now_us, settings.time_zone, settings.styles.order)
        return time_text(us) + offset_text(offset)
    if name == "interval":
        return parse_interval(text, style=settings.styles.interval)
    if name == "bytea":
        return parse_bytea(text).hex()
    if target.is_array:
        return parse_array(text, target, settings, names)
    if name in OID_LIKE:
        return _identifier(text, target, names)
    if name == "tid":
        place = tids.parsed(text)
        if place is None:
            raise invalid(text, target)
        return place
    if target.user is not None:
        from shoal.exec.functions import user_types
        if name == "enum":
            return user_types.enum_label(text, target)
        from shoal.exec.evaluation_context import EvaluationContext
        return user_types.parse_record(text, target, EvaluationContext(settings, names))
    if name in _ADDRESSES:
        from shoal.exec.kernels import network
        if name.startswith("macaddr"):
            short = name == "macaddr"
            return network.mac_text(network.parsed_mac(text) if short else network.parsed_mac8(text), 6 if short else 8)
        return network.text_of(network.parsed(text, name), name)
    if name in RANGES:
        return parse_range(text, name, settings)
    if name in MULTIRANGES:
        from shoal.exec.kernels import ranges
        inner = MULTIRANGES[name]
        parts = [parse_range(part, inner, settings) for part in ranges.multirange_parts(text)]
        return ranges.multirange_text(ranges.normalized(ranges.range_of(part, inner) for part in parts), name)
    if name in ("int2vector", "oidvector"):
        element = SqlType("int2" if name == "int2vector" else "oid")
        return [parse_value(part, element, settings) for part in text.split()]
    return _string(text, target)


def parse_range(text: str, kind: str, settings: TaskSettings) -> str:
    """The canonical text of a range literal. Raises: what its bounds' type raises, InvalidTextRepresentation (22P02),
    DataException (22000) for bounds in the wrong order."""
    from shoal.exec.kernels import ranges
    element = SqlType(RANGES[kind])

    def bound(part: str) -> str:
        if element.name == "numeric":
            if specials.parsed(part) is None:
                number_of(part, NUMERIC)
                return part.strip(_SPACE)
            return specials.TEXTS[specials.parsed(part)]  # type: ignore[index]
        return ranges.bound_text(parse_value(part, element, settings), element.name)
    return ranges.text_of(ranges.parsed(text, kind, bound), kind)


def _integer(text: str, target: SqlType) -> int:
    body = text.strip(_SPACE)
    if not _INTEGER.fullmatch(body):
        raise invalid(text, target)
    value = int(body) if len(body) < 40 else 1 << 64
    limit = INTEGER_LIMITS[target.name]
    if not -limit <= value < limit:
        raise NumericOutOfRange(f'value "{text}" is out of range for type {target.sql}')
    return value


def _float(text: str, target: SqlType) -> float:
    body = text.strip(_SPACE)
    if not _FLOAT.fullmatch(body):
        raise invalid(text, target)
    value = float(body)
    if target.name == "float4":
        value = _single(body, value)
    named = body.lstrip("+-")[:1].lower() in "in"
    if not named and (value in (float("inf"), float("-inf")) or (value == 0 and body.strip("+-0.eE") and _nonzero(body))):
        raise NumericOutOfRange(f'"{text}" is out of range for type {target.sql}')
    return value


def _single(number: str, value: float) -> float:
    """The float4 nearest to a number in text, whose float8 is `value`: that may lie halfway where the number does not."""
    with np.errstate(over="ignore"):
        near = np.float32(value)
        if float(near) == value or not np.isfinite(near):
            return float(near)
        other = np.nextafter(near, np.float32(np.inf if value > float(near) else -np.inf))
    if (float(near) + float(other)) / 2 == value:
        exact, halfway = Decimal(number), Decimal(value)
        if exact != halfway:
            return max(float(near), float(other)) if exact > halfway else min(float(near), float(other))
    return float(near)


def _nonzero(number: str) -> bool:
    mantissa = re.split("[eE]", number)[0]
    return any(digit in "123456789" for digit in mantissa)


def number_of(text: str, target: SqlType) -> tuple[int, int]:
    """(integer, scale): the value integer / 10**scale of a decimal number's text; below 0 the scales of special values."""
    found = form.parsed(text)
    if found is None:
        raise invalid(text, target)
    return found


def numeric_literal_type(text: str) -> SqlType:
    """numeric(p, s) with exactly the digits written; the one of any scale for NaN, infinities and too many digits."""
    value, scale = number_of(text, NUMERIC)
    digits = max(len(form.digits_of(abs(value))), scale, 1)
    return numeric(digits, scale) if scale >= 0 and digits <= 76 else NUMERIC


def _numeric(text: str, target: SqlType) -> int | str:
    value, scale = number_of(text, target)
    if target.varies:
        if target.scale is None or target.precision is None:
            return form.plain(value, scale)
        if scale < 0:
            if scale != form.NAN:
                check_infinite(target)
            return form.plain(value, scale)
        by = target.scale - scale
        value = value * 10 ** by if by >= 0 else int(decimals.divide_rounded(value, 10 ** -by))
        if abs(value) >= 10 ** target.precision:
            raise NumericOutOfRange("numeric field overflow", detail=overflow_detail(target))
        return form.plain(value * 10 ** max(-target.scale, 0), max(target.scale, 0))
    special = specials.parsed(text)
    if special is not None:
        if special != specials.NAN:
            check_infinite(target)
        return special
    if value and len(form.digits_of(abs(value))) - scale > 100:
        raise NumericOutOfRange("numeric field overflow", detail=overflow_detail(target))
    by = (target.scale or 0) - scale
    result = value * 10 ** by if by >= 0 else decimals.divide_rounded(value, 10 ** -by)
    assert isinstance(result, int)
    if target.precision is not None and abs(result) >= decimals.POWERS[target.precision]:
        raise NumericOutOfRange("numeric field overflow", detail=overflow_detail(target))
    if abs(result) >= decimals.POWERS[76]:
        raise NumericOutOfRange("value overflows numeric format")
    return result


def check_infinite(target: SqlType) -> None:
    """Raises: NumericOutOfRange (22003) where the numeric type has declared digits, which no infinity has."""
    if target.typmod != -1:
        raise NumericOutOfRange("numeric field overflow", detail=f"A field with precision {target.precision}, scale "
                                                                 f"{target.scale} cannot hold an infinite value.")


def overflow_detail(target: SqlType) -> str:
    whole = (target.precision or 0) - (target.scale or 0)
    bound = f"10^{whole}" if whole else "1"
    return (f"A field with precision {target.precision}, scale {target.scale} must round to an absolute value less than "
            f"{bound}.")


def _string(text: str, target: SqlType) -> str:
    name = target.name
    if name in ("varchar", "bpchar") and target.length is not None:
        text = text[:target.length]
        return text.ljust(target.length) if name == "bpchar" else text
    if name in ("bit", "varbit"):
        from shoal.exec.functions.bit_casts import fitted, parse_bits
        return fitted(parse_bits(text), target, explicit=True)
    if name == "char":
        octal = re.fullmatch(r"\\([0-7]{3})", text)
        return char_form(int(octal[1], 8) & 0xFF if octal else text.encode()[0] if text else 0)
    if name == "name":
        return text.encode()[:_NAME_BYTES].decode(errors="ignore")
    if name == "uuid":
        body = text.lower()
        if body.startswith("{") and body.endswith("}"):
            body = body[1:-1]
        if not _UUID.fullmatch(body):
            raise invalid(text, target)
        digits = body.replace("-", "")
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    if name == "json":
        return checked_json(text)
    if name == "jsonb":
        return canonical_jsonb(text)
    if name == "jsonpath":
        from shoal.exec.functions.jsonpath_syntax import canonical
        return canonical(text)
    if name == "void":
        return ""
    return text


def char_form(byte: int) -> str:
    """A value of type "char": nothing for the byte 0, \\ooo for one that is not ASCII, else the character."""
    return "" if byte == 0 else chr(byte) if byte < 128 else f"\\{byte:03o}"


def shortened(array: pa.Array, target: SqlType) -> pa.Array:
    """Texts as values of type name (63 bytes) or "char" (one)."""
    if target.name == "name" and (pc.max(pc.binary_length(array)).as_py() or 0) <= _NAME_BYTES:
        return array
    encoded = array.dictionary_encode()
    values = [_string(value, target) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


_ESCAPED = re.compile(r"\\(\\|[0-3][0-7]{2})")


def parse_bytea(text: str) -> bytes:
    """Hex (\\x...) or escape format. Raises: InvalidTextRepresentation (22P02),
    InvalidParameterValue (22023) for bad hex."""
    if text.startswith("\\x"):
        return from_hex(text[2:])
    if "\\" not in text:
        return text.encode()
    if "\\" in _ESCAPED.sub("", text):
        raise InvalidTextRepresentation("invalid input syntax for type bytea")
    out = bytearray()
    position = 0
    for match in _ESCAPED.finditer(text):
        out += text[position:match.start()].encode()
        out.append(92 if match[1] == "\\" else int(match[1], 8))
        position = match.end()
    return bytes(out + text[position:].encode())


def _identifier(text: str, target: SqlType, names: Names | None) -> int:
    body = text.strip()
    if re.fullmatch(r"-?\d+", body):
        value = int(body)
        if not -(1 << 31) <= value < 1 << 32:
            raise NumericOutOfRange(f'value "{text}" is out of range for type {target.sql}')
        return value & 0xFFFFFFFF
    if target.name in ("xid", "cid"):  # read by C's strtoul, which stops at what it does not know
        digits = re.match(r"\s*\d+", text)
        return int(digits.group()) & 0xFFFFFFFF if digits else 0
    if target.name == "oid":
        raise invalid(text, target)
    from shoal.exec.functions.registers import resolve_register
    return resolve_register(body, target.name, names)


_ARRAY_TOKEN = re.compile(r"""[ \t\n\r\v\f]*(?:
    (?P<mark>[{},])
  | "(?P<quoted>(?:[^"\\]|\\.)*)"(?P<junk>[^{},]*)
  | (?P<bare>(?:[^{},"\\]|\\.)+)(?P<quote>"?)
)""", re.DOTALL | re.VERBOSE)
_DIMENSIONS = re.compile(r"\s*((?:\[\s*[+-]?\d+\s*(?::\s*[+-]?\d+\s*)?\])+)\s*")
_BOUNDS = re.compile(_DIMENSIONS.pattern + r"=\s*")


def parse_array(text: str, target: SqlType, settings: TaskSettings, names: Names | None = None) -> list[Any] | ShapedArray:
    """'{1,NULL,"a b"}', '[0:1]={1,2}', '{{1,2},{3,4}}'. Raises: InvalidTextRepresentation (22P02), ArraySubscriptError
    (2202E), ProgramLimitExceeded (54000) for more than six dimensions, and what the elements' input raises."""
    texts, dims = _array_texts(text)
    return shapes.physical_shape([None if item is None else parse_value(item, target.element, settings, names)
                                  for item in texts], dims)


def numeric_array_type(text: str) -> SqlType:
    """numeric[] of the digits that these elements have, of any where their scales differ. Raises: what parse_array
    raises."""
    return numeric_items_type([item for item in _array_texts(text)[0] if item is not None])


def numeric_items_type(items: Sequence[str]) -> SqlType:
    """numeric[] with the digits of these elements."""
    return array_of(merged([numeric_literal_type(item) for item in items]) if items else NUMERIC)


def _array_texts(text: str) -> tuple[list[str | None], tuple[int, ...]]:
    """The elements' texts, and size and lower bound of each dimension."""
    def malformed(detail: str) -> InvalidTextRepresentation:
        return InvalidTextRepresentation(f'malformed array literal: "{text}"', detail=detail)

    bounds: list[tuple[int, int]] = []
    match = _BOUNDS.match(text)
    if match:
        for bound in re.findall(r"\[([^]]*)\]", match[1]):
            low, _, high = bound.rpartition(":")
            bounds.append((_wrapped(int(low or 1)), _wrapped(int(high))))
            if bounds[-1][1] < bounds[-1][0]:
                raise ArraySubscriptError("upper bound cannot be less than lower bound")
    body = text[match.end() if match else 0:].strip(_SPACE)
    if body.startswith("[") and not match:
        raise malformed('Missing "=" after array dimensions.' if _DIMENSIONS.match(body) else
                        '"[" must introduce explicitly-specified array dimensions.')
    if not body.startswith("{"):
        raise malformed('Array contents must start with "{".' if match else
                        'Array value must start with "{" or dimension information.')
    whole, position = _nested(body, 0, malformed, 1)
    if position < len(body):
        raise malformed("Junk after closing right brace.")
    shape = _shape(whole, malformed)
    if bounds and [high - low + 1 for low, high in bounds] != shape:
        raise malformed("Specified array dimensions do not match array contents.")
    for _ in shape[1:]:
        whole = [item for items in whole for item in items]
    lows = [low for low, _ in bounds] or [1] * len(shape)
    multidimensional.check_bounds(shape, lows)
    return whole, tuple(n for pair in zip(shape, lows, strict=True) for n in pair)


def _wrapped(bound: int) -> int:
    """A bound in 32 bits, as PostgreSQL reads it."""
    return (bound + (1 << 31)) % (1 << 32) - (1 << 31)


def _nested(body: str, position: int, malformed: Any, depth: int) -> tuple[list[Any], int]:
    """The items between the brace at `position` and the one that closes it: texts, None, lists; and what follows.
    Raises: ProgramLimitExceeded (54000) where it opens a seventh dimension."""
    if depth > shapes.MOST_DIMENSIONS:
        raise ProgramLimitExceeded(f"number of array dimensions ({depth}) exceeds the maximum allowed "
                                   f"({shapes.MOST_DIMENSIONS})")
    items: list[Any] = []
    position, wants_item = position + 1, True
    while True:
        match = _ARRAY_TOKEN.match(body, position)
        if match is None:
            raise malformed("Unexpected end of input.")
        mark = match["mark"]
        if mark == "}":
            if wants_item and (items or depth > 1):
                raise malformed('Unexpected "}" character.')
            return items, match.end()
        if mark == ",":
            if wants_item:
                raise malformed('Unexpected "," character.')
            wants_item, position = True, match.end()
            continue
        if not wants_item:
            raise malformed('Unexpected "{" character.' if mark else "Unexpected array element.")
        wants_item, position = False, match.end()
        if mark:
            inner, position = _nested(body, match.end() - 1, malformed, depth + 1)
            items.append(inner)
        elif match["quoted"] is not None:
            if match["junk"].strip(_SPACE):
                raise malformed("Unexpected array element.")
            items.append(re.sub(r"\\(.)", r"\1", match["quoted"], flags=re.DOTALL))
        else:
            if match["quote"]:
                raise malformed("Unexpected array element.")
            bare = match["bare"]
            kept = bare.strip(_SPACE) + (bare[-1] if re.search(r"\\[ \t\n\r\v\f]$", bare) else "")
            items.append(None if kept.upper() == "NULL" else re.sub(r"\\(.)", r"\1", kept, flags=re.DOTALL))


def _shape(items: list[Any], malformed: Any) -> list[int]:
    """The size of each dimension; [] of an empty array."""
    inner = [_shape(item, malformed) if isinstance(item, list) else None for item in items]
    if any(shape != inner[0] for shape in inner):
        if None in inner:
            raise malformed('Unexpected "{" character.' if inner[0] is None else "Unexpected array element.")
        raise malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
    return [len(items), *(inner[0] or [])] if items else []


# --- whole columns

_SIMPLE_INTEGER = r"^-?[0-9]{1,18}$"
_SIMPLE_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_SIMPLE_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"
_SIMPLE_FLOAT = r"^-?[0-9]+(\.[0-9]+)?$"


def parse_column(array: pa.Array, target: SqlType, context: EvaluationContext) -> pa.Array:
    """A string column as `target`: in Arrow where every value has the plain form, else each distinct value once.

    Raises: what parse_value raises, for rows that are not NULL.
    """
    fast = _parse_plain(array, target)
    if fast is not None:
        return fast
    encoded = array.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    values = [parse_value(text, target, context.settings, context.names) for text in texts]
    parsed = array_of_values(values, target)
    return parsed.take(encoded.indices)


def _parse_plain(array: pa.Array, target: SqlType) -> pa.Array | None:
    name = target.name
    pattern = (_SIMPLE_INTEGER if name in INTEGER_LIMITS else _SIMPLE_FLOAT if name in ("float8", "numeric") else
               _SIMPLE_DATE if name == "date" else _SIMPLE_TIMESTAMP if name == "timestamp" else None)
    if pattern is None or len(array) < 64:
        return None
    plain = pc.match_substring_regex(array, pattern)
    if pc.all(plain).as_py() is False:
        return None
    try:
        if target.varies:
            return None if target.precision is not None else form.of_texts(array)
        if name == "numeric":
            if pc.max(pc.utf8_length(array)).as_py() not in range(30):
                return None
            wide = pc.cast(array, pa.decimal128(38, 9))
            data = decimals.rescaled(decimals.unscaled(wide), (target.scale or 0) - 9, views.validity(array))
            return decimals.packed(np.asarray(data), target.scale or 0, views.validity(array))
        return pc.cast(array, storage_type(target))
    except pa.ArrowInvalid:
        return None  # the slow way finds the value to blame, in PostgreSQL's words




def length_checked(array: pa.Array, target: SqlType, explicit: bool) -> pa.Array:
    """varchar(n) and char(n): too long values are cut by explicit casts and where only blanks go, else 22001."""
    length = target.length
    assert length is not None
    array = nulls.decoded(array)
    lengths = pc.utf8_length(array)
    longest = pc.max(lengths).as_py()
    if longest is not None and longest > length:
        cut = pc.utf8_slice_codeunits(array, 0, length)
        if not explicit:
            kept = pc.utf8_length(pc.utf8_rtrim(array, characters=" "))
            if (pc.max(kept).as_py() or 0) > length:
                word = "character varying" if target.name == "varchar" else "character"
                raise StringTooLong(f"value too long for type {word}({length})")
        array = cut
    if target.name == "bpchar":
        array = pc.utf8_rpad(array, width=length, padding=" ")
    return array


