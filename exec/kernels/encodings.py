"""Binary to text and back: encode(), decode(), character sets and Unicode escapes, one value at a time.

Spec: PostgreSQL 15 documentation, 9.5 "Binary String Functions and Operators" and 24.3.
"""

from __future__ import annotations

import base64
import binascii
import re

from shoal.catalog.errors import InvalidParameterValue, SqlSyntaxError, UndefinedObject

_CODECS = {"utf8": "utf-8", "unicode": "utf-8", "sqlascii": "ascii", "latin1": "iso8859-1", "iso88591": "iso8859-1",
           "latin2": "iso8859-2", "latin9": "iso8859-15", "win1252": "cp1252", "win1250": "cp1250", "win1251": "cp1251",
           "koi8r": "koi8-r", "eucjp": "euc-jp", "sjis": "shift-jis", "big5": "big5", "gbk": "gbk", "gb18030": "gb18030",
           "euckr": "euc-kr"}


def codec(name: str) -> str:
    """Python's codec for a PostgreSQL encoding name. Raises: UndefinedObject (42704)."""
    found = _CODECS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if found is None:
        raise UndefinedObject(f'encoding "{name}" does not exist')
    return found


def encode(data: bytes, form: str) -> str:
    match form.lower():
        case "hex":
            return data.hex()
        case "base64":
            text = base64.b64encode(data).decode()
            return "\n".join(text[i:i + 76] for i in range(0, len(text), 76))
        case "escape":
            return "".join("\\\\" if b == 92 else chr(b) if 0 < b < 128 else f"\\{b:03o}" for b in data)
    raise InvalidParameterValue(f'unrecognized encoding: "{form}"')


def decode(text: str, form: str) -> bytes:
    """Raises: InvalidParameterValue (22023) for text the form does not allow."""
    match form.lower():
        case "hex":
            return from_hex(text)
        case "base64":
            body = "".join(text.split())
            bad = re.search(r"[^A-Za-z0-9+/=]", body)
            if bad is not None:
                raise InvalidParameterValue(f'invalid symbol "{bad[0]}" found while decoding base64 sequence')
            try:
                return base64.b64decode(body, validate=True)
            except binascii.Error:
                raise InvalidParameterValue("invalid base64 end sequence", hint=(
                    "Input data is missing padding, is truncated, or is otherwise corrupted.")) from None
        case "escape":
            from shoal.exec.functions.text_input import parse_bytea
            return parse_bytea(text) if not text.startswith("\\x") else text.encode()
    raise InvalidParameterValue(f'unrecognized encoding: "{form}"')


def from_hex(text: str) -> bytes:
    """Pairs of hexadecimal digits, with white space anywhere. Raises: InvalidParameterValue (22023)."""
    body = "".join(text.split())
    bad = re.search(r"[^0-9a-fA-F]", body)
    if bad is not None:
        raise InvalidParameterValue(f'invalid hexadecimal digit: "{bad[0]}"')
    if len(body) % 2:
        raise InvalidParameterValue("invalid hexadecimal data: odd number of digits")
    return bytes.fromhex(body)


_UNICODE = re.compile(r"\\(?:(\\)|([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")


def unistr(text: str) -> str:
    """Unicode escapes \\XXXX, \\+XXXXXX, \\uXXXX, \\UXXXXXXXX. Raises: SqlSyntaxError (42601)."""
    if "\\" in _UNICODE.sub("", text):
        raise SqlSyntaxError("invalid Unicode escape",
                             hint=r"Unicode escapes must be \XXXX, \+XXXXXX, \uXXXX, or \UXXXXXXXX.")
    out = _UNICODE.sub(lambda m: "\\" if m[1] else chr(int(next(g for g in m.groups()[1:] if g), 16)), text)
    return out.encode("utf-16", "surrogatepass").decode("utf-16")
