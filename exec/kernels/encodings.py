"""Binary to text and back: encode(), decode(), character sets and Unicode escapes, one value at a time.

Spec: PostgreSQL 15 documentation, 9.5 "Binary String Functions and Operators" and 24.3.
"""

from __future__ import annotations

import base64
import re

from shoal.catalog.errors import (
    CharacterNotInRepertoire,
    InvalidParameterValue,
    InvalidTextRepresentation,
    SqlSyntaxError,
    UntranslatableCharacter,
)

_CODECS = {"UTF8": "utf-8", "SQL_ASCII": "latin-1", "EUC_JP": "euc_jp", "EUC_CN": "gb2312", "EUC_KR": "euc_kr",
           "EUC_JIS_2004": "euc_jis_2004", "SHIFT_JIS_2004": "shift_jis_2004", "SJIS": "cp932", "BIG5": "cp950",
           "GBK": "cp936", "UHC": "cp949", "GB18030": "gb18030", "JOHAB": "johab", "KOI8R": "koi8_r", "KOI8U": "koi8_u",
           "LATIN1": "iso8859-1", "LATIN2": "iso8859-2", "LATIN3": "iso8859-3", "LATIN4": "iso8859-4",
           "LATIN5": "iso8859-9", "LATIN6": "iso8859-10", "LATIN7": "iso8859-13", "LATIN8": "iso8859-14",
           "LATIN9": "iso8859-15", "LATIN10": "iso8859-16", "ISO_8859_5": "iso8859-5", "ISO_8859_6": "iso8859-6",
           "ISO_8859_7": "iso8859-7", "ISO_8859_8": "iso8859-8", "WIN866": "cp866", "WIN874": "cp874",
           **{f"WIN{page}": f"cp{page}" for page in range(1250, 1259)}}
"""PostgreSQL's names of character sets, and Python's."""
_ALIASES = {"unicode": "UTF8", "sqlascii": "SQL_ASCII", "iso88591": "LATIN1", "iso88592": "LATIN2", "iso88593": "LATIN3",
            "iso88594": "LATIN4", "iso88599": "LATIN5", "iso885910": "LATIN6", "iso885913": "LATIN7", "iso885914": "LATIN8",
            "iso885915": "LATIN9", "iso885916": "LATIN10", "mskanji": "SJIS", "shiftjis": "SJIS", "win932": "SJIS",
            "windows932": "SJIS", "windows936": "GBK", "win936": "GBK", "windows949": "UHC", "win949": "UHC",
            "windows950": "BIG5", "win950": "BIG5", "koi8": "KOI8R", "alt": "WIN866", "win": "WIN1251", "abc": "WIN1258",
            "tcvn": "WIN1258", "tcvn5712": "WIN1258", "vscii": "WIN1258", "windows866": "WIN866", "windows874": "WIN874",
            **{f"windows{page}": f"WIN{page}" for page in range(1250, 1259)},
            **{re.sub("[^a-z0-9]", "", name.lower()): name for name in _CODECS}}


def charset(name: str, what: str) -> str:
    """PostgreSQL's own spelling of a character set's name (`what` it is needed as: source, destination).

    Raises: InvalidParameterValue (22023).
    """
    found = _ALIASES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if found is None:
        raise InvalidParameterValue(f'invalid {what} encoding name "{name}"')
    return found


def decoded(data: bytes, name: str) -> str:
    """The text of these bytes. Raises: CharacterNotInRepertoire (22021)."""
    try:
        return data.decode(_CODECS[name])
    except UnicodeDecodeError as error:
        size = _length(data, error.start) if name == "UTF8" else max(error.end - error.start, 1)
        shown = " ".join(f"0x{byte:02x}" for byte in data[error.start:error.start + size])
        raise CharacterNotInRepertoire(f'invalid byte sequence for encoding "{name}": {shown}') from None


def _length(data: bytes, at: int) -> int:
    """How many bytes the UTF-8 character that begins here says it has."""
    first = data[at]
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4 if first < 0xF8 else 1


def encoded(text: str, name: str) -> bytes:
    """The bytes of this text. Raises: UntranslatableCharacter (22P05)."""
    if name == "SQL_ASCII":
        return text.encode()
    try:
        return text.encode(_CODECS[name])
    except UnicodeEncodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in text[error.start].encode())
        raise UntranslatableCharacter(f'character with byte sequence {shown} in encoding "UTF8" has no equivalent in '
                                      f'encoding "{name}"') from None


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
    """Raises: InvalidParameterValue (22023), InvalidTextRepresentation (22P02) for text the form does not allow."""
    match form.lower():
        case "hex":
            return from_hex(text)
        case "base64":
            return _from_base64(text)
        case "escape":
            return _from_escape(text.encode())
    raise InvalidParameterValue(f'unrecognized encoding: "{form}"')


_BASE64 = {char: i for i, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}


def _from_base64(text: str) -> bytes:
    out = bytearray()
    held = count = end = 0
    for char in text:
        if char in " \t\n\r":
            continue
        if char == "=":
            if not end:
                if count not in (2, 3):
                    raise InvalidParameterValue('unexpected "=" while decoding base64 sequence')
                end = 1 if count == 2 else 2
            value = 0
        else:
            found = _BASE64.get(char)
            if found is None:
                raise InvalidParameterValue(f'invalid symbol "{char}" found while decoding base64 sequence')
            value = found
        held = held << 6 | value
        count += 1
        if count == 4:
            taken = held.to_bytes(3, "big")
            out += taken if not end else taken[:end]
            held = count = 0
    if count:
        raise InvalidParameterValue("invalid base64 end sequence", hint=(
            "Input data is missing padding, is truncated, or is otherwise corrupted."))
    return bytes(out)


_ESCAPED = re.compile(rb"\\(\\|[0-3][0-7]{2})")


def _from_escape(data: bytes) -> bytes:
    if b"\\" in _ESCAPED.sub(b"", data):
        raise InvalidTextRepresentation("invalid input syntax for type bytea")
    return _ESCAPED.sub(lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1], 8)]), data)


def from_hex(text: str) -> bytes:
    """Pairs of hexadecimal digits, with white space between them. Raises: InvalidParameterValue (22023)."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    pair = ""
    for char in text:
        if not pair and char in " \t\n\r":
            continue
        if char not in "0123456789abcdefABCDEF":
            raise InvalidParameterValue(f'invalid hexadecimal digit: "{char}"')
        pair = "" if pair else char
    raise InvalidParameterValue("invalid hexadecimal data: odd number of digits")


_UNICODE = re.compile(r"\\(?:(\\)|([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")


def unistr(text: str) -> str:
    """Unicode escapes \\XXXX, \\+XXXXXX, \\uXXXX, \\UXXXXXXXX.

    Raises: SqlSyntaxError (42601), InvalidParameterValue (22023) for codes beyond Unicode.
    """
    out: list[str] = []
    at = high = 0
    while at < len(text):
        if text[at] != "\\":
            code, size = ord(text[at]), 1
            escaped = False
        else:
            match = _UNICODE.match(text, at)
            if match is None:
                raise SqlSyntaxError("invalid Unicode escape",
                                     hint=r"Unicode escapes must be \XXXX, \+XXXXXX, \uXXXX, or \UXXXXXXXX.")
            escaped = not match[1]
            code = 92 if match[1] else int(next(group for group in match.groups()[1:] if group), 16)
            size = match.end() - at
        if escaped and not 0 < code <= 0x10FFFF:
            raise InvalidParameterValue(f"invalid Unicode code point: {code:04X}")
        low = escaped and 0xDC00 <= code <= 0xDFFF
        if low != bool(high):
            raise SqlSyntaxError("invalid Unicode surrogate pair")
        if low:
            code, high = 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF), 0
        if escaped and 0xD800 <= code <= 0xDBFF:
            high = code
        else:
            out.append(chr(code))
        at += size
    if high:
        raise SqlSyntaxError("invalid Unicode surrogate pair")
    return "".join(out)
