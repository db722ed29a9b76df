"""String and binary string functions and operators.

Spec: PostgreSQL 15 documentation, 9.4 "String Functions and Operators", 9.5 and 9.7.1 "LIKE".
"""

from __future__ import annotations

from shoal.catalog.types import BOOL, TEXT
from shoal.exec.functions.registry import declare

for _name, _symbol in (("like", "~~"), ("not_like", "!~~"), ("ilike", "~~*"), ("not_ilike", "!~~*")):
    declare(_name, "text text", "name text", "bpchar text", returns=BOOL, symbol=_symbol, hidden=True, family="string")
declare("like", "bytea bytea", returns=BOOL, symbol="~~", hidden=True, family="string")
declare("like_escape", "text text -> text", family="string",
        doc="A LIKE pattern with another escape character, rewritten for backslash.")
declare("concat_op", "text text -> text", symbol="||", hidden=True, raises=False, family="string")
declare("concat_op", "bytea bytea -> bytea", symbol="||", hidden=True, raises=False, family="string")
declare("concat_op", "text anynonarray", "anynonarray text", returns=TEXT, symbol="||", hidden=True, raises=False, family="string")
declare("starts_with", "text text", returns=BOOL, symbol="^@", raises=False, family="string", example="starts_with('alphabet', 'alph')")

for _name in ("length", "char_length", "character_length"):
    declare(_name, "text -> int4", "bpchar -> int4", raises=False, family="string", doc="Number of characters.")
declare("length", "bytea -> int4", raises=False, family="string")
declare("octet_length", "text -> int4", "bpchar -> int4", "bytea -> int4", raises=False, family="string")
declare("bit_length", "text -> int4", "bytea -> int4", raises=False, family="string")
for _name in ("lower", "upper", "initcap", "reverse"):
    declare(_name, "text -> text", raises=False, family="string", example=f"{_name}('tOM')")
for _name in ("substr", "substring"):
    declare(_name, "text int4 -> text", "text int4 int4 -> text", "bytea int4 -> bytea", "bytea int4 int4 -> bytea",
            family="string", example=f"{_name}('alphabet', 3, 2)")
declare("substring", "text text -> text", "text text text -> text", family="string",
        doc="The part that matches a regular expression (with three arguments: an SQL one with escape).")
declare("overlay", "text text int4 -> text", "text text int4 int4 -> text", family="string",
        example="overlay('Txxxxas', 'hom', 2, 4)")
declare("position", "text text -> int4", "bytea bytea -> int4", raises=False, family="string", example="position('high', 'ig')")
declare("strpos", "text text -> int4", raises=False, family="string", example="strpos('high', 'ig')")
declare("replace", "text text text -> text", raises=False, family="string", example="replace('abcdefabcdef', 'cd', 'XX')")
declare("translate", "text text text -> text", raises=False, family="string", example="translate('12345', '143', 'ax')")
for _name in ("lpad", "rpad"):
    declare(_name, "text int4 -> text", "text int4 text -> text", raises=False, family="string", example=f"{_name}('hi', 5, 'xy')")
for _name in ("ltrim", "rtrim", "btrim"):
    declare(_name, "text -> text", "text text -> text", "bytea bytea -> bytea", raises=False, family="string",
            example=f"{_name}('zzzytest', 'xyz')")
declare("repeat", "text int4 -> text", family="string", example="repeat('Pg', 4)")
for _name in ("left", "right"):
    declare(_name, "text int4 -> text", raises=False, family="string", example=f"{_name}('abcde', 2)")
declare("split_part", "text text int4 -> text", family="string", example="split_part('abc~@~def', '~@~', 2)")
declare("concat", "any -> text", variadic=True, strict=False, volatility="stable", raises=False, family="string",
        doc="The text of all arguments, NULLs left out.", example="concat('abcde', 2, NULL, 22)")
declare("concat_ws", "text any -> text", variadic=True, strict=False, volatility="stable", raises=False, family="string",
        doc="The text of all but the first argument, NULLs left out, the first between them.", example="concat_ws(',', 'abcde', 2, NULL, 22)")
declare("ascii", "text -> int4", raises=False, family="string")
declare("chr", "int4 -> text", family="string")
declare("md5", "text -> text", "bytea -> text", raises=False, family="string")
for _name in ("sha224", "sha256", "sha384", "sha512"):
    declare(_name, "bytea -> bytea", raises=False, family="string")
declare("encode", "bytea text -> text", family="string", example="encode('123\\000\\001', 'base64')")
declare("decode", "text text -> bytea", family="string")
declare("convert_from", "bytea name -> text", family="string")
declare("convert_to", "text name -> bytea", family="string")
declare("to_hex", "int4 -> text", "int8 -> text", raises=False, family="string")
declare("quote_ident", "text -> text", raises=False, family="string", example="quote_ident('Foo bar')")
for _name in ("quote_literal", "quote_nullable"):
    declare(_name, "text -> text", "anyelement -> text", strict=_name == "quote_literal", raises=False, family="string")
declare("format", "text -> text", strict=False, family="string")
declare("format", "text any -> text", variadic=True, strict=False, volatility="stable", family="string",
        doc="sprintf-like: %s, %I, %L, %%, with positions and widths.", example="format('Hello %s, %1$s', 'World')")
declare("get_byte", "bytea int4 -> int4", family="string")
declare("set_byte", "bytea int4 int4 -> bytea", family="string")
declare("bit_count", "bytea -> int8", raises=False, family="string")
declare("normalize", "text -> text", "text text -> text", family="string")
declare("unistr", "text -> text", family="string")
