"""String and binary string functions and operators.

Spec: PostgreSQL 15 documentation, 9.4 "String Functions and Operators", 9.5 and 9.7.1 "LIKE".
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import FeatureNotSupported, InvalidEscape, InvalidParameterValue, ProgramLimitExceeded
from shoal.catalog.types import BOOL, TEXT, SqlType
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, constant, everywhere, spelled
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import matching, nulls, strings, views
from shoal.exec.kernels.arrays import flattened
from shoal.exec.kernels.comparing import without_blanks
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]


@parameters(1)
def like_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    array = column(args[0], rows)
    if call.args[0].type.name == "bytea":
        pattern = bytes.fromhex(args[1]).decode("latin-1")
        array = strings.mapped(array, lambda v: v.decode("latin-1"), pa.string())
    else:
        pattern = args[1]
    found = matching.like(array, pattern, ignore_case="ilike" in call.name)
    return ~found if call.name.startswith("not") else found


@parameters(1)
def like_escape_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    binary = call.type.name == "bytea"
    escape = bytes.fromhex(args[1]).decode("latin-1") if binary else args[1]
    if len(escape) > 1:
        raise InvalidEscape("invalid escape string", hint="Escape string must be empty or one character.")

    def one(pattern: str) -> str:
        if escape == "\\":
            return pattern
        out, i = "", 0
        while i < len(pattern):
            if escape and pattern[i] == escape:
                i += 1
                out += "\\" + pattern[i:i + 1]
            else:
                out += "\\\\" if pattern[i] == "\\" else pattern[i]
            i += 1
        return out
    if binary:
        return strings.mapped(column(args[0], rows), lambda v: one(v.decode("latin-1")).encode("latin-1"), pa.binary())
    return strings.mapped(column(args[0], rows), one)


def as_text(arg: Any, sql_type: SqlType, rows: int, context: Any) -> Any:
    """An argument of "any" type as its text (bool as true/false is not meant here: concat prints t and f)."""
    if isinstance(arg, pa.Scalar):
        if not arg.is_valid:
            return pa.scalar(None, pa.string())
        return nulls.decoded(to_text(pa.repeat(arg, 1), sql_type, context.settings, context.names))[0]
    if sql_type.name == "bpchar":
        return without_blanks(arg)
    return nulls.decoded(to_text(arg, sql_type, context.settings, context.names))


def concat_op_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    if call.type.name == "bytea":
        return pc.binary_join_element_wise(*args, pa.scalar(b"", pa.binary()))
    texts = []
    for arg, expr in zip(args, call.args, strict=True):
        text = as_text(arg, expr.type, rows, context)
        if expr.type.name == "bool":  # || casts, and the cast of a boolean to text spells it out
            text = pc.if_else(arg, "true", "false")
        texts.append(text)
    return pc.binary_join_element_wise(*texts, "")


def concat_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return _joined([_filled(arg, expr.type, rows, context) for arg, expr in zip(args, call.args, strict=True)])


def _printed(arg: Any, sql_type: SqlType, rows: int, context: Any) -> pa.Array:
    """An argument of "any" type as it prints, so with the blanks of char(n)."""
    printed = arg if sql_type.name == "bpchar" else as_text(arg, sql_type, rows, context)
    return column(nulls.decoded(printed) if isinstance(printed, pa.Array) else printed, rows)


def _filled(arg: Any, sql_type: SqlType, rows: int, context: Any) -> pa.Array:
    return pc.fill_null(_printed(arg, sql_type, rows, context), "")


def _joined(texts: list[Any]) -> pa.Array:
    return pc.binary_join_element_wise(*texts, "")


@parameters(0)
def concat_ws_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Every value that is not NULL gets the separator before it; the first separator is cut off again."""
    separator = args[0]
    if separator is None or len(args) == 1:
        return pa.nulls(rows, pa.string())
    texts = [_printed(arg, expr.type, rows, context) for arg, expr in zip(args[1:], call.args[1:], strict=True)]
    parts = [pc.fill_null(_joined([separator, text]), "") for text in texts]
    return pc.utf8_slice_codeunits(_joined(parts), len(separator), None)


def _spread_items(call: Call, args: Args, rows: int, context: Any) -> list[list[str | None] | None]:
    """The texts of the items of each row's last argument, an array."""
    array = args[-1] if isinstance(args[-1], pa.Array) else nulls.spread(args[-1], rows)
    counts, items = flattened(array)
    texts = column(as_text(items, call.args[-1].type.element, len(items), context), len(items)).to_pylist()
    ends = np.cumsum(counts).tolist()
    valid = array.is_valid().to_pylist()
    return [texts[end - count:end] if ok else None for end, count, ok in zip(ends, counts.tolist(), valid, strict=True)]


def concat_variadic_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """concat(VARIADIC array), concat_ws(separator, VARIADIC array)."""
    spread = _spread_items(call, args, rows, context)
    separators = column(args[0], rows).to_pylist() if len(args) > 1 else [""] * rows
    return pa.array([None if items is None or separator is None else separator.join(t for t in items if t is not None)
                     for items, separator in zip(spread, separators, strict=True)], pa.string())


def format_variadic_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """format(template, VARIADIC array)."""
    from shoal.exec.kernels.format_strings import format_row
    spread = _spread_items(call, args, rows, context)
    return pa.array([None if template is None else format_row(template, items or [])
                     for template, items in zip(column(args[0], rows).to_pylist(), spread, strict=True)], pa.string())


@parameters(1)
def starts_with_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    return views.values(pc.starts_with(column(args[0], rows), args[1]))


def length_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array = args[0]
    if call.args[0].type.name == "bpchar" and call.name != "octet_length":
        array = without_blanks(array)
    if call.name in ("octet_length", "bit_length") or pa.types.is_binary(array.type):
        lengths = pc.binary_length(array)
    else:
        lengths = pc.utf8_length(array)
    data = views.values(lengths)
    return views.array_of(data * 8 if call.name == "bit_length" else data, pa.int32(), views.validity(array))


def case_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    kernels: dict[str, Callable[[pa.Array], pa.Array]] = {
        "lower": pc.utf8_lower, "upper": strings.upper, "reverse": pc.utf8_reverse, "initcap": strings.initcap}
    return kernels[call.name](args[0])


@parameters(1, 2)
def substring_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.substring(column(args[0], rows), args[1], args[2] if len(args) > 2 else None)


@parameters(1)
def position_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.positions(column(args[0], rows), args[1])


@parameters(1, 2)
def replace_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array = column(args[0], rows)
    return pc.replace_substring(array, args[1], args[2]) if args[1] else array


@parameters(1, 2)
def translate_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.translate(column(args[0], rows), args[1], args[2])


@parameters(1, 2)
def pad_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.pad(column(args[0], rows), args[1], args[2] if len(args) > 2 else " ", call.name == "lpad")


@parameters(1)
def trim_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.trimmed(column(args[0], rows), args[1] if len(args) > 1 else " ", call.name)


@parameters(1)
def repeat_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array, count = column(args[0], rows), max(args[1], 0)
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest * count > (1 << 30) - 1:
        raise ProgramLimitExceeded("requested length too large")
    return pc.binary_repeat(array, count)


@parameters(1)
def side_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return (strings.left if call.name == "left" else strings.right)(column(args[0], rows), args[1])


@parameters(1, 2)
def split_part_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.split_part(column(args[0], rows), args[1], args[2])


def ascii_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(args[0], lambda value: ord(value[0]) if value else 0, pa.int32())


def chr_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(code: int) -> str:
        if code == 0:
            raise ProgramLimitExceeded("null character not permitted")
        if code < 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            if code < 0:
                raise InvalidParameterValue("character number must be positive")
            word = "too large" if code > 0x10FFFF else "not valid"
            raise ProgramLimitExceeded(f"requested character {word} for encoding: {code}")
        return chr(code)
    return strings.mapped(args[0], one, pa.string())


def md5_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(args[0], lambda v: hashlib.md5(v.encode() if isinstance(v, str) else v,
                                                         usedforsecurity=False).hexdigest(),
                          pa.string())


def sha_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(args[0], lambda v: hashlib.new(call.name, v).digest())


def to_hex_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    mask = 0xFFFFFFFF if call.args[0].type.name == "int4" else 0xFFFFFFFFFFFFFFFF
    return strings.mapped(args[0], lambda value: format(value & mask, "x"), pa.string())


def quote_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    text = column(as_text(args[0], call.args[0].type, rows, context), rows)
    if call.name == "quote_ident":
        return strings.mapped(text, strings.quote_ident)
    quoted = strings.mapped(text, strings.quote_literal)
    return pc.fill_null(quoted, "NULL") if call.name == "quote_nullable" else quoted


def format_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    from shoal.exec.kernels.format_strings import format_rows
    texts = [_printed(arg, expr.type, rows, context).to_pylist() for arg,
             expr in zip(args, call.args, strict=True)]
    return pa.array(format_rows(texts[0], texts[1:]), pa.string())


@parameters(1)
def normalize_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    """normalize, is_normalized."""
    form: Any = args[1].upper() if len(args) > 1 else "NFC"
    if form not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise InvalidParameterValue(f"invalid normalization form: {args[1]}")
    if call.name == "is_normalized":
        return strings.mapped(column(args[0], rows), lambda v: unicodedata.is_normalized(form, v), pa.bool_())
    return strings.mapped(column(args[0], rows), lambda v: unicodedata.normalize(form, v))


@parameters(1)
def parse_ident_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    from shoal.exec.kernels.identifiers import identifier_parts
    strict = args[1] if len(args) > 1 else True
    return strings.mapped(column(args[0], rows), lambda v: identifier_parts(v, strict), pa.list_(pa.string()))


def to_ascii_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    raise FeatureNotSupported("encoding conversion from UTF8 to ASCII not supported")


def unistr_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    from shoal.exec.kernels.encodings import unistr
    return strings.mapped(args[0], unistr)


_escaped = constant(1, lambda pattern: (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0)
for _name, _symbol in (("like", "~~"), ("not_like", "!~~"), ("ilike", "~~*"), ("not_ilike", "!~~*")):
    declare(_name, "text text", returns=BOOL, symbol=_symbol, hidden=True, kernel=like_kernel, family="string", raises=False,
            spelled={} if "ilike" in _name else spelled(
                Spelling(f"({{0}} {_name.replace('_', ' ').upper()} {{1}})", when=_escaped)))
    declare(_name, "name text", "bpchar text", returns=BOOL, symbol=_symbol, hidden=True, kernel=like_kernel,
            family="string", raises=False)
for _name, _symbol in (("like", "~~"), ("not_like", "!~~")):
    declare(_name, "bytea bytea", returns=BOOL, symbol=_symbol, hidden=True, kernel=like_kernel, family="string")
declare("like_escape", "text text -> text", "bytea bytea -> bytea", kernel=like_escape_kernel, family="string",
        doc="A LIKE pattern with another escape character, rewritten for backslash.")
declare("concat_op", "text text -> text", symbol="||", hidden=True, raises=False, kernel=concat_op_kernel, family="string",
        spelled=everywhere("({0} || {1})"))
declare("concat_op", "bytea bytea -> bytea", symbol="||", hidden=True, raises=False, kernel=concat_op_kernel,
        family="string")
declare("concat_op", "text anynonarray", "anynonarray text", returns=TEXT, symbol="||", hidden=True, raises=False,
        volatility="stable", kernel=concat_op_kernel, family="string")
for _name in ("like", "notlike"):
    declare(_name, "text text", "name text", "bytea bytea", returns=BOOL, kernel=like_kernel, family="string", raises=False)
declare("starts_with", "text text", returns=BOOL, symbol="^@", raises=False, kernel=starts_with_kernel, family="string",
        spelled=spelled("starts_with({0}, {1})"),
        example="starts_with('alphabet', 'alph')")

for _name in ("length", "char_length", "character_length"):
    declare(_name, "text -> int4", raises=False, kernel=length_kernel, family="string", doc="Number of characters.",
            example=f"{_name}('jose')", spelled=everywhere("length({0})"))
    declare(_name, "bpchar -> int4", raises=False, kernel=length_kernel, family="string")
declare("length", "bytea -> int4", raises=False, kernel=length_kernel, family="string")
declare("octet_length", "bpchar -> int4", "bytea -> int4", raises=False, kernel=length_kernel, family="string")
declare("bit_length", "bytea -> int4", raises=False, kernel=length_kernel, family="string")
for _name in ("octet_length", "bit_length"):
    declare(_name, "text -> int4", raises=False, kernel=length_kernel, family="string", spelled=spelled(f"{_name}({{0}})"))
for _name in ("lower", "upper", "initcap", "reverse"):
    declare(_name, "text -> text", raises=False, kernel=case_kernel, family="string", example=f"{_name}('tOM')",
            spelled=spelled("reverse({0})" if _name == "reverse" else ()))
_from_first, _forwards = constant(1, lambda start: start > 0), constant(2, lambda count: count >= 0)
for _name in ("substr", "substring"):
    declare(_name, "text int4 -> text", kernel=substring_kernel, family="string",
            spelled=spelled("substr({0}, {1})", Spelling("substr({0}, {1})", when=_from_first)))
    declare(_name, "text int4 int4 -> text", kernel=substring_kernel, family="string",
            spelled=spelled(Spelling("substr({0}, {1}, {2})", when=_forwards),
                            Spelling("substr({0}, {1}, {2})", when=lambda args: _from_first(args) and _forwards(args))))
    declare(_name, "bytea int4 -> bytea", "bytea int4 int4 -> bytea",
            kernel=substring_kernel, family="string", example=f"{_name}('alphabet', 3, 2)")
declare("position", "bytea bytea -> int4", raises=False, kernel=position_kernel, family="string")
declare("position", "text text -> int4", raises=False, kernel=position_kernel, family="string",
        spelled=spelled("strpos({0}, {1})"),
        doc="position(needle IN text) is position(text, needle).", example="position('ig' IN 'high')")
declare("strpos", "text text -> int4", raises=False, kernel=position_kernel, family="string", example="strpos('high', 'ig')",
        spelled=spelled("strpos({0}, {1})"))
declare("replace", "text text text -> text", raises=False, kernel=replace_kernel, family="string",
        example="replace('abcdefabcdef', 'cd', 'XX')")
declare("translate", "text text text -> text", raises=False, kernel=translate_kernel, family="string",
        example="translate('12345', '143', 'ax')")
for _name in ("lpad", "rpad"):
    declare(_name, "text int4 -> text", "text int4 text -> text", kernel=pad_kernel, family="string",
            example=f"{_name}('hi', 5, 'xy')")
for _name in ("ltrim", "rtrim", "btrim"):
    declare(_name, "text -> text", "text text -> text", raises=False, kernel=trim_kernel, family="string",
            example=f"{_name}('zzzytest', 'xyz')", spelled=spelled(f"{_name}({{0*, }})"))
    declare(_name, "bytea bytea -> bytea", raises=False, kernel=trim_kernel, family="string")
declare("repeat", "text int4 -> text", kernel=repeat_kernel, family="string", example="repeat('Pg', 4)")
for _name in ("left", "right"):
    declare(_name, "text int4 -> text", raises=False, kernel=side_kernel, family="string", example=f"{_name}('abcde', 2)",
            spelled=spelled(f"{_name}({{0}}, {{1}})"))
declare("split_part", "text text int4 -> text", kernel=split_part_kernel, family="string",
        example="split_part('abc~@~def', '~@~', 2)")
declare("concat", "any -> text", variadic=True,
        shapes=True, strict=False, volatility="stable", raises=False, kernel=concat_kernel,
        family="string",
        doc="The text of all arguments, NULLs left out.", example="concat('abcde', 2, NULL, 22)")
declare("concat_ws", "text any -> text", variadic=True, shapes=True, strict=False, volatility="stable", raises=False,
        kernel=concat_ws_kernel,
        family="string", doc="The text of all but the first argument, NULLs left out, the first between them.",
        example="concat_ws(',', 'abcde', 2, NULL, 22)")
declare("concat_variadic", "anyarray -> text", hidden=True, volatility="stable", raises=False, strict=False,
        kernel=concat_variadic_kernel, family="string")
declare("concat_ws_variadic", "text anyarray -> text", hidden=True, volatility="stable", raises=False, strict=False,
        kernel=concat_variadic_kernel, family="string")
declare("format_variadic", "text anyarray -> text", hidden=True, volatility="stable", strict=False,
        kernel=format_variadic_kernel, family="string")
declare("ascii", "text -> int4", raises=False, kernel=ascii_kernel, family="string", example="ascii('x')",
        spelled=spelled("ascii({0})"))
declare("chr", "int4 -> text", kernel=chr_kernel, family="string", example="chr(65)")
declare("md5", "text -> text", "bytea -> text", raises=False, kernel=md5_kernel, family="string", example="md5('abc')")
for _name in ("sha224", "sha256", "sha384", "sha512"):
    declare(_name, "bytea -> bytea", raises=False, kernel=sha_kernel, family="string")
declare("to_hex", "int4 -> text", "int8 -> text", raises=False, kernel=to_hex_kernel, family="string",
        example="to_hex(2147483647)")
declare("quote_ident", "text -> text", raises=False, kernel=quote_kernel, family="string", example="quote_ident('Foo bar')")
for _name in ("quote_literal", "quote_nullable"):
    declare(_name, "text -> text", strict=_name == "quote_literal", raises=False, kernel=quote_kernel, family="string",
            example=f"{_name}(E'O\\'Reilly')")
    declare(_name, "anyelement -> text", strict=_name == "quote_literal", volatility="stable", raises=False,
            kernel=quote_kernel, family="string")
declare("format", "text -> text", strict=False, volatility="stable", kernel=format_kernel, family="string")
declare("format", "text any -> text", variadic=True, shapes=True, strict=False, volatility="stable", kernel=format_kernel,
        family="string",
        doc="sprintf-like: %s, %I, %L, %%, with positions and widths.", example="format('Hello %s, %1$s', 'World')")
declare("normalize", "text -> text", "text text -> text", kernel=normalize_kernel, family="string")
declare("is_normalized", "text -> bool", "text text -> bool", kernel=normalize_kernel, family="string",
        doc="x IS NFC NORMALIZED is is_normalized(x, 'NFC').")
declare("to_ascii", "text -> text", "text name -> text", "text int4 -> text", kernel=to_ascii_kernel, family="string",
        doc="Not from UTF8, the only encoding here.")
declare("unistr", "text -> text", kernel=unistr_kernel, family="string")
declare("parse_ident", "text -> _text", "text bool -> _text", kernel=parse_ident_kernel, family="string",
        doc="A qualified identifier as its parts; `true`: nothing may follow it.", example="parse_ident('\"Some\".Table')")
