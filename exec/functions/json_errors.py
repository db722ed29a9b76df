"""What is wrong with a text that is not JSON, in PostgreSQL's words.

Only called for texts that are refused, or that hold \\u escapes, which jsonb cannot keep all of.
Spec: jsonapi.c of PostgreSQL 15.
"""

from __future__ import annotations

import re

from shoal.catalog.errors import InvalidTextRepresentation, SqlError, UntranslatableCharacter

_BLANK = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]+")
_NUMBER = re.compile(r"-?(?:(0|[1-9][0-9]*)(?:\.[0-9]+|(\.))?(?:[eE][+-]?[0-9]+|([eE][+-]?))?)?")
_WORD_RUN = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]*")
_HEX = re.compile(r"[0-9a-fA-F]{0,4}")
_ESCAPES = '"\\/bfnrt'
_WANTED = {"end": "end of input", "value": "JSON value", "string": "string", "array start": 'array element or "]"',
           "array next": '"," or "]"', "object start": 'string or "}"', "label": '":"', "object next": '"," or "}"'}


class _Invalid(Exception):
    def __init__(self, error: SqlError) -> None:
        self.error = error


def json_error(text: str, jsonb: bool = False) -> SqlError | None:
    """The error that PostgreSQL raises of `text`, None if it finds none; `jsonb` has to understand every escape."""
    try:
        _Reader(text, jsonb).whole()
    except _Invalid as invalid:
        return invalid.error
    return None


class _Reader:
    """A recursive-descent parser that keeps nothing. `kind` and `token` are of the token at hand; "" is the end."""

    def __init__(self, text: str, jsonb: bool) -> None:
        self.text, self.jsonb, self.position = text, jsonb, 0
        self.kind = self.token = ""
        self.line_end = 0
        self.next()

    def invalid(self, detail: str, end: int | None = None) -> _Invalid:
        """The error at the token that ends at `end`, by default where the reader is."""
        return self.failed(InvalidTextRepresentation("invalid input syntax for type json", detail=detail), end)

    def failed(self, error: SqlError, end: int | None = None) -> _Invalid:
        """With the line it is on, up to the end of what was read."""
        end = self.position if end is None else end
        line_start = self.text.rfind("\n", 0, self.line_end) + 1
        start = line_start
        while len(self.text[start:end].encode()) >= 50:
            start += 1
        start = line_start if start - line_start <= 3 else start
        more = self.kind != "" and end < len(self.text) and self.text[end] not in "\r\n"
        shown = ("..." if start > line_start else "") + self.text[start:end] + ("..." if more else "")
        error.where = f"JSON data, line {self.text.count(chr(10), 0, line_start) + 1}: {shown}"
        return _Invalid(error)

    def whole(self) -> None:
        self.value()
        if self.kind:
            raise self.unexpected("end")

    def unexpected(self, where: str) -> _Invalid:
        if not self.kind:
            return self.invalid("The input string ended unexpectedly.")
        return self.invalid(f'Expected {_WANTED[where]}, but found "{self.token}".')

    def value(self, where: str = "value") -> None:
        if self.kind == "{":
            self.object()
        elif self.kind == "[":
            self.array()
        elif self.kind in ("string", "scalar"):
            self.next()
        else:
            raise self.unexpected(where)

    def object(self) -> None:
        self.next()
        if self.kind == "string":
            self.field()
            while self.kind == ",":
                self.next()
                self.field()
        elif self.kind != "}":
            raise self.unexpected("object start")
        if self.kind != "}":
            raise self.unexpected("object next")
        self.next()

    def field(self) -> None:
        if self.kind != "string":
            raise self.unexpected("string")
        self.next()
        if self.kind != ":":
            raise self.unexpected("label")
        self.next()
        self.value()

    def array(self) -> None:
        self.next()
        if self.kind != "]":
            self.value()
            while self.kind == ",":
                self.next()
                self.value()
        if self.kind != "]":
            raise self.unexpected("array next")
        self.next()

    def next(self) -> None:
        """Goes on to the following token."""
        text = self.text
        start = _BLANK.match(text, self.position).end()  # type: ignore[union-attr]
        self.line_end = start
        first = text[start:start + 1]
        if first == "" or first in "{}[],:":
            self.kind = self.token = first
            self.position = start + len(first)
        elif first == '"':
            self.position = self.string(start)
            self.kind, self.token = "string", text[start:self.position]
        elif first == "-" or first.isdigit():
            number = _NUMBER.match(text, start)
            assert number is not None
            trailing = _WORD_RUN.match(text, number.end())
            assert trailing is not None
            self.position = trailing.end()
            run = text[start:self.position]
            if trailing[0] or number[1] is None or number[2] or number[3]:
                raise self.invalid(f'Token "{run}" is invalid.')
            self.kind, self.token = "scalar", run
        else:
            word = _WORD.match(text, start)
            token = word.group() if word else first
            self.position = start + len(token)
            if token not in ("true", "false", "null"):
                raise self.invalid(f'Token "{token}" is invalid.')
            self.kind, self.token = "scalar", token

    def string(self, start: int) -> int:
        """Where the string that begins at `start` ends."""
        text, at, high = self.text, start + 1, False
        self.kind = "string"
        while True:
            character = text[at:at + 1]
            if character == "":
                raise self.invalid(f'Token "{text[start:]}" is invalid.', at)
            if character < " ":
                raise self.invalid(f"Character with value 0x{ord(character):02x} must be escaped.", at)
            if character == "\\" and text[at + 1:at + 2] == "u":
                code = _HEX.match(text, at + 2)
                assert code is not None
                if len(code[0]) < 4:
                    raise self.invalid('"\\u" must be followed by four hexadecimal digits.', code.end() + 1)
                high = self.unicode(int(code[0], 16), high, at + 6)
                at += 6
                continue
            if high and self.jsonb:
                raise self.invalid("Unicode low surrogate must follow a high surrogate.", at + 1)
            if character == '"':
                return at + 1
            if character == "\\":
                escaped = text[at + 1:at + 2]
                if escaped == "":
                    raise self.invalid(f'Token "{text[start:]}" is invalid.', at + 1)
                if escaped not in _ESCAPES:
                    raise self.invalid(f'Escape sequence "\\{escaped}" is invalid.', at + 2)
                at += 1
            at += 1

    def unicode(self, code: int, high: bool, end: int) -> bool:
        """Whether the code, which ends at `end`, is a high surrogate, which its low one must follow."""
        if not self.jsonb:
            return False
        if 0xD800 <= code <= 0xDBFF:
            if high:
                raise self.invalid("Unicode high surrogate must not follow a high surrogate.", end)
            return True
        if (0xDC00 <= code <= 0xDFFF) != high:
            raise self.invalid("Unicode low surrogate must follow a high surrogate.", end)
        if code == 0:
            raise self.failed(UntranslatableCharacter("unsupported Unicode escape sequence",
                                                      detail="\\u0000 cannot be converted to text."), end)
        return False
