"""Text to values of every type: one at a time for literals and parameters, whole columns for casts from text.

Spec: PostgreSQL 15 documentation, chapter 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import specials
from shoal.catalog.errors import (
    ArraySubscriptError,
    FeatureNotSupported,
    InvalidTextRepresentation,
    NumericOutOfRange,
    ProgramLimitExceeded,
    StringTooLong,
)
from shoal.catalog.types import NUMERIC, OID_LIKE, ShapedArray, SqlType, array_of, numeric, storage_type
from shoal.exec.functions import datetime_input
from shoal.exec.functions.casts import loosely_merged
from shoal.exec.functions.interval_input import parse_interval
from shoal.exec.functions.json_text import canonical_jsonb, checked_json
from shoal.exec.kernels import decimals, nulls, shapes, views
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.kernels.encodings import from_hex

if TYPE_CHECKING:
    from shoal.exec.evaluation_context import EvaluationContext, Names
    from shoal.exec.plan.fragment import TaskSettings

_SPACE = " \t\n\r\v\f"
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_BOOLEANS = {word[:n]: value for word, least, value in (
    ("true", 1, True), ("yes", 1, True), ("on", 2, True), ("1", 1, True),
    ("false", 1, False), ("no", 1, False), ("off", 2, False), ("0", 1, False)) for n in range(least, len(word) + 1)}
_RANGES = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 63}
_UUID = re.compile(r"(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}")
_NAME_BYTES = 63


def invalid(text: str, sql_type: SqlType) -> InvalidTextRepresentation:
    from shoal.exec.functions.casts import bare_sql
    return InvalidTextRepresentation(f'invalid input syntax for type {bare_sql(sql_type)}: "{text}"')


def parse_value(text: str, target: SqlType, settings: TaskSettings, names: Names | None = None) -> Any:
    """The physical value of one text. Raises: InvalidTextRepresentation (22P02), InvalidDatetimeFormat (22007),
    DatetimeOverflow (22008), NumericOutOfRange (22003), UndefinedObject (42704) for reg* names."""
    name = target.name
    if name == "numeric":
        return _numeric(text, target)
    if name in _RANGES:
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
    if name in ("int2vector", "oidvector"):
        element = SqlType("int2" if name == "int2vector" else "oid")
        return [parse_value(part, element, settings) for part in text.split()]
    return _string(text, target)


def _integer(text: str, target: SqlType) -> int:
    body = text.strip(_SPACE)
    if not _INTEGER.fullmatch(body):
        raise invalid(text, target)
    value = int(body) if len(body) < 40 else 1 << 64
    limit = _RANGES[target.name]
    if not -limit <= value < limit:
        raise NumericOutOfRange(f'value "{text}" is out of range for type {target.sql}')
    return value


def _float(text: str, target: SqlType) -> float:
    body = text.strip(_SPACE)
    if not _FLOAT.fullmatch(body):
        raise invalid(text, target)
    value = float(body)
    if target.name == "float4":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    named = body.lstrip("+-")[:1].lower() in "in"
    if not named and (value in (float("inf"), float("-inf")) or (value == 0 and body.strip("+-0.eE") and _nonzero(body))):
        raise NumericOutOfRange(f'"{text}" is out of range for type {target.sql}')
    return value


def _nonzero(number: str) -> bool:
    mantissa = re.split("[eE]", number)[0]
    return any(digit in "123456789" for digit in mantissa)


def split_number(text: str, target: SqlType) -> tuple[int, int]:
    """(integer, scale): the exact value integer / 10**scale of a decimal number's text; scale is never negative."""
    body = text.strip(_SPACE)
    match = _NUMBER.fullmatch(body)
    if match is None or not (match[2] or match[3]):
        raise invalid(text, target)
    whole, fraction, exponent = match[2], match[3] or "", int(match[4] or 0)
    if abs(exponent) > 500:
        raise NumericOutOfRange("value overflows numeric format")
    value = int((whole + fraction) or "0")
    scale = len(fraction) - exponent
    if scale < 0:
        value, scale = value * 10 ** -scale, 0
    return (-value if match[1] == "-" else value), scale


def numeric_literal_type(text: str) -> SqlType:
    """numeric(p, s) with exactly the digits written; the unconstrained one for NaN and the infinities."""
    if specials.parsed(text) is not None:
        return NUMERIC
    value, scale = split_number(text, numeric(38, 16, trim=True))
    digits = max(len(str(abs(value))), scale, 1)
    if digits > 76:
        raise FeatureNotSupported("numeric values of more than 76 digits are not supported")
    return numeric(digits, scale)


def _numeric(text: str, target: SqlType) -> int:
    special = specials.parsed(text)
    if special is not None:
        if special != specials.NAN:
            check_infinite(target)
        return special
    value, scale = split_number(text, target)
    result = decimals.rescaled(value, (target.scale or 0) - scale)
    assert isinstance(result, int)
    if not target.trim and target.precision is not None and abs(result) >= decimals.POWERS[target.precision]:
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
    if name == "inet":
        return _inet(text, target)
    if name == "tid":
        return _tid(text, target)
    if name == "void":
        return ""
    return text


def char_form(byte: int) -> str:
    """A value of type "char": nothing for the byte 0, \\ooo for one that is not ASCII, else the character."""
    return "" if byte == 0 else chr(byte) if byte < 128 else f"\\{byte:03o}"


def _tid(text: str, target: SqlType) -> str:
    match = re.fullmatch(r"\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*", text)
    if match is None or int(match[1]) >= 1 << 32 or int(match[2]) >= 1 << 16:
        raise invalid(text, target)
    return f"({int(match[1])},{int(match[2])})"


def _inet(text: str, target: SqlType) -> str:
    import ipaddress
    try:
        address = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise invalid(text, target) from None
    full = 32 if address.version == 4 else 128
    shown = str(address.ip)
    if address.version == 6:
        packed = address.ip.packed
        if not any(packed[:10]) and (packed[10:12] == b"\xff\xff" or (not any(packed[10:12]) and any(packed[12:14]))):
            shown = f"::{'ffff:' if packed[10] else ''}{'.'.join(map(str, packed[12:]))}"
    return shown if address.network.prefixlen == full else f"{shown}/{address.network.prefixlen}"


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
    """numeric[] with the digits that these elements have; where their scales differ, zeros at the end are not shown.
    Raises: what parse_array raises."""
    return numeric_items_type([item for item in _array_texts(text)[0] if item is not None])


def numeric_items_type(items: Sequence[str]) -> SqlType:
    """numeric[] with the digits of these elements."""
    return array_of(loosely_merged([numeric_literal_type(item) for item in items]) if items else NUMERIC)


def _array_texts(text: str) -> tuple[list[str | None], tuple[int, ...]]:
    """The elements' texts, and size and lower bound of each dimension."""
    def malformed(detail: str) -> InvalidTextRepresentation:
        return InvalidTextRepresentation(f'malformed array literal: "{text}"', detail=detail)

    bounds: list[tuple[int, int]] = []
    match = _BOUNDS.match(text)
    if match:
        for bound in re.findall(r"\[([^]]*)\]", match[1]):
            low, _, high = bound.rpartition(":")
            bounds.append((int(low or 1), int(high)))
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
    return whole, tuple(n for pair in zip(shape, lows, strict=True) for n in pair)


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
    pattern = (_SIMPLE_INTEGER if name in _RANGES else _SIMPLE_FLOAT if name in ("float8", "numeric") else _SIMPLE_DATE
               if name == "date" else _SIMPLE_TIMESTAMP if name == "timestamp" else None)
    if pattern is None or len(array) < 64:
        return None
    plain = pc.match_substring_regex(array, pattern)
    if pc.all(plain).as_py() is False:
        return None
    try:
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


