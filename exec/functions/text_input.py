"""Text to values of every type: one at a time for literals and parameters, whole columns for casts from text.

Spec: PostgreSQL 15 documentation, chapter 8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import (
    FeatureNotSupported,
    InvalidTextRepresentation,
    NumericOutOfRange,
    StringTooLong,
)
from shoal.catalog.types import OID_LIKE, SqlType, numeric, storage_type
from shoal.exec.functions import datetime_input
from shoal.exec.functions.json_text import canonical_jsonb, checked_json
from shoal.exec.kernels import decimals, nulls, views
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
        return datetime_input.parse_date(text, settings.now_us, settings.time_zone)
    if name == "time":
        return datetime_input.parse_time(text, settings.now_us, settings.time_zone)
    if name in ("timestamp", "timestamptz"):
        return datetime_input.parse_timestamp(text, settings.now_us, settings.time_zone, name == "timestamptz")
    if name == "timetz":
        from shoal.exec.functions.text_output import offset_text, time_text
        us, offset = datetime_input.parse_timetz(text, settings.now_us, settings.time_zone)
        return time_text(us) + offset_text(offset)
    if name == "interval":
        return datetime_input.parse_interval(text)
    if name == "bytea":
        return parse_bytea(text).hex()
    if target.is_array:
        return parse_array(text, target, settings, names)
    if name in OID_LIKE:
        return _identifier(text, target, names)
    if name in ("int2vector", "oidvector"):
        return [int(part) for part in text.split()]
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
        if body.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise FeatureNotSupported(f"numeric {body} is not supported")
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
    """numeric(p, s) with exactly the digits written."""
    value, scale = split_number(text, numeric(38, 16, trim=True))
    digits = max(len(str(abs(value))), scale, 1)
    if digits > 76:
        raise FeatureNotSupported("numeric values of more than 76 digits are not supported")
    return numeric(digits, scale)


def _numeric(text: str, target: SqlType) -> int:
    value, scale = split_number(text, target)
    result = decimals.rescaled(value, (target.scale or 0) - scale)
    assert isinstance(result, int)
    if not target.trim and target.precision is not None and abs(result) >= decimals.POWERS[target.precision]:
        raise NumericOutOfRange("numeric field overflow", detail=overflow_detail(target))
    if abs(result) >= decimals.POWERS[76]:
        raise NumericOutOfRange("value overflows numeric format")
    return result


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
        return text[:1]
    if name == "name":
        return text.encode()[:_NAME_BYTES].decode(errors="ignore")
    if name == "uuid":
        body = text.strip().lower().strip("{}")
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
    if name == "void":
        return ""
    return text


def _inet(text: str, target: SqlType) -> str:
    import ipaddress
    try:
        address = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise invalid(text, target) from None
    full = 32 if address.version == 4 else 128
    return str(address.ip) if address.network.prefixlen == full else str(address)


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
    if target.name in ("oid", "xid", "cid"):
        raise invalid(text, target)
    from shoal.exec.functions.registers import resolve_register
    return resolve_register(body, target.name, names)


_ARRAY_TOKEN = re.compile(r"""\s*(?:
    (?P<brace>[{}]) | (?P<comma>,)
  | "(?P<quoted>(?:[^"\\]|\\.)*)"
  | (?P<bare>[^{},"\\\s](?:[^{},"\\]|\\.)* | \\.(?:[^{},"\\]|\\.)*)
)\s*""", re.DOTALL | re.VERBOSE)


def parse_array(text: str, target: SqlType, settings: TaskSettings, names: Names | None = None) -> list[Any]:
    """'{1,NULL,"a b"}' of one dimension. Raises: InvalidTextRepresentation (22P02), FeatureNotSupported (0A000)."""
    def malformed(detail: str) -> InvalidTextRepresentation:
        return InvalidTextRepresentation(f'malformed array literal: "{text}"', detail=detail)
    body = text.strip()
    bounds = re.match(r"\[-?\d+:-?\d+\]=", body)
    if bounds:
        body = body[bounds.end():]
    if not body.startswith("{"):
        raise malformed('Array value must start with "{" or dimension information.')
    items: list[Any] = []
    position, expect_item, closed = 1, True, False
    while position < len(body):
        match = _ARRAY_TOKEN.match(body, position)
        if match is None or closed:
            raise malformed("Junk after closing right brace." if closed else "Unexpected array element.")
        position = match.end()
        if match["brace"] == "{":
            raise FeatureNotSupported("arrays of more than one dimension are not supported")
        if match["brace"] == "}":
            if expect_item and items:
                raise malformed('Unexpected "}" character.')
            closed = True
        elif match["comma"]:
            if expect_item:
                raise malformed('Unexpected "," character.')
            expect_item = True
        else:
            if not expect_item:
                raise malformed("Unexpected array element.")
            expect_item = False
            raw = match["quoted"]
            if raw is None:
                raw = match["bare"].strip()
                if raw.upper() == "NULL":
                    items.append(None)
                    continue
            items.append(parse_value(re.sub(r"\\(.)", r"\1", raw, flags=re.DOTALL), target.element, settings, names))
    if not closed:
        raise malformed("Unexpected end of input.")
    return items


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


