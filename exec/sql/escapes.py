r"""The escapes inside constants and names: E'\n\x27\u0027' and U&'\0027', U&"..." UESCAPE '!' (hop 2, first step).

Positions are those of the escape in the statement. Runs of byte escapes are read together as UTF-8.

Spec: PostgreSQL 15 documentation, 4.1.2.2 "String Constants with C-Style Escapes" and 4.1.2.3 "... with Unicode Escapes".
"""

from __future__ import annotations

import re

from shoal.catalog.errors import CharacterNotInRepertoire, InvalidEscape, SqlSyntaxError
from shoal.exec.kernels.encodings import decoded

_ESCAPE = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE_ESCAPE = r"{0}(?:([0-9a-fA-F]{{4}})|\+([0-9a-fA-F]{{6}})|({0})|)"
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


def unescape(body: str, start: int) -> str:
    r"""The value of E'...' whose text between the quotes begins at `start` in the statement.

    Raises: SqlSyntaxError (42601), InvalidEscape (22025), CharacterNotInRepertoire (22021).
    """
    if "\\" not in body:
        return body.replace("''", "'")
    out = bytearray()
    last, high, has_bytes = 0, 0, False
    for found in _ESCAPE.finditer(body):
        if high and found.start() > last:
            raise _pair(body[last], start + last)
        out += body[last:found.start()].encode("utf-8", "surrogatepass")
        last = found.end()
        octal, hexadecimal, short, long, plain = found.groups()
        if short or long:
            code = _checked(int(short or long, 16), f' at or near "{found.group()}"', start + found.start())
            if bool(high) != (code in _LOW):
                raise _pair(found.group(), start + found.start())
            high, code = _joined(high, code)
            if not high:
                out += chr(code).encode()
            continue
        if high:
            raise _pair(found.group(), start + found.start())
        if octal or hexadecimal:
            has_bytes = True
            out.append(int(octal, 8) & 0xFF if octal else int(hexadecimal, 16))
        elif plain in ("u", "U"):
            raise InvalidEscape("invalid Unicode escape", hint=r"Unicode escapes must be \uXXXX or \UXXXXXXXX.",
                                position=start + found.start() + 1)
        else:
            out += _SIMPLE_ESCAPES.get(plain, plain or "'").encode("utf-8", "surrogatepass")
    if high:
        raise _pair(body[last:last + 1] or "'", start + last)
    out += body[last:].encode("utf-8", "surrogatepass")
    return _text(bytes(out), has_bytes)


def unescape_unicode(body: str, start: int, escape: str) -> str:
    """The value of U&'...' or U&"..." whose text, quotes undoubled, begins at `start`. Raises: SqlSyntaxError (42601)."""
    out: list[str] = []
    last = high = 0
    for found in re.finditer(_UNICODE_ESCAPE.format(re.escape(escape)), body):
        position = start + found.start()
        short, long, itself = found.groups()
        if high and (found.start() > last or not (short or long)):
            raise SqlSyntaxError("invalid Unicode surrogate pair", position=start + last + 1)
        out.append(body[last:found.start()])
        last = found.end()
        if itself:
            out.append(itself)
        elif not (short or long):
            raise SqlSyntaxError("invalid Unicode escape", hint=r"Unicode escapes must be \XXXX or \+XXXXXX.",
                                 position=position + 1)
        else:
            code = _checked(int(short or long, 16), "", position)
            if bool(high) != (code in _LOW):
                raise SqlSyntaxError("invalid Unicode surrogate pair", position=position + 1)
            high, code = _joined(high, code)
            if not high:
                out.append(chr(code))
    if high:
        raise SqlSyntaxError("invalid Unicode surrogate pair", position=start + last + 1)
    return "".join([*out, body[last:]])


def _joined(high: int, code: int) -> tuple[int, int]:
    """(first half of a pair that waits for its second, character)."""
    if code in _HIGH:
        return code, 0
    return 0, 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else code


def _checked(code: int, where: str, position: int) -> int:
    if code == 0 or code > 0x10FFFF:
        raise SqlSyntaxError(f"invalid Unicode escape value{where}", position=position + 1)
    return code


def _pair(text: str, position: int) -> SqlSyntaxError:
    return SqlSyntaxError(f'invalid Unicode surrogate pair at or near "{text}"', position=position + 1)


def _text(value: bytes, has_bytes: bool) -> str:
    if not has_bytes:
        return value.decode("utf-8", "surrogatepass")
    if 0 in value:
        raise CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": 0x00')
    return decoded(value, "UTF8")
