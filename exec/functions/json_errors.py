"""What is wrong with a text that is not JSON, in PostgreSQL's words.

Only called for texts that are refused, or that hold \\u escapes, which jsonb cannot keep all of.
Spec: jsonapi.c of PostgreSQL 15.
"""

from __future__ import annotations

import re

from shoal.catalog.errors import InvalidTextRepresentation, SqlError, UntranslatableCharacter

_BLANK = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_RUN = re.compile(r"[-+.A-Za-z0-9_\x80-\U0010ffff]+")
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


def _invalid(detail: str) -> _Invalid:
    return _Invalid(InvalidTextRepresentation("invalid input syntax for type json", detail=detail))


class _Reader:
    """A recursive-descent parser that keeps nothing. `kind` and `token` are of the token at hand; "" is the end."""

    def __init__(self, text: str, jsonb: bool) -> None:
        self.text, self.jsonb, self.position = text, jsonb, 0
        self.kind = self.token = ""
        self.next()

    def whole(self) -> None:
        self.value()
        if self.kind:
            raise self.unexpected("end")

    def unexpected(self, where: str) -> _Invalid:
        if not self.kind:
            return _invalid("The input string ended unexpectedly.")
        return _invalid(f'Expected {_WANTED[where]}, but found "{self.token}".')

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
        first = text[start:start + 1]
        if first == "" or first in "{}[],:":
            self.kind = self.token = first
            self.position = start + len(first)
        elif first == '"':
            self.position = self.string(start)
            self.kind, self.token = "string", text[start:self.position]
        elif first == "-" or first.isdigit():
            run = _NUMBER_RUN.match(text, start).group()  # type: ignore[union-attr]
            if not _NUMBER.fullmatch(run):
                raise _invalid(f'Token "{run}" is invalid.')
            self.kind, self.token, self.position = "scalar", run, start + len(run)
        else:
            word = _WORD.match(text, start)
            token = word.group() if word else first
            if token not in ("true", "false", "null"):
                raise _invalid(f'Token "{token}" is invalid.')
            self.kind, self.token, self.position = "scalar", token, start + len(token)

    def string(self, start: int) -> int:
        """Where the string that begins at `start` ends."""
        text, at, high = self.text, start + 1, False
        while True:
            character = text[at:at + 1]
            if character == "":
                raise _invalid(f'Token "{text[start:]}" is invalid.')
            if character < " ":
                raise _invalid(f"Character with value 0x{ord(character):02x} must be escaped.")
            if character == "\\" and text[at + 1:at + 2] == "u":
                code = text[at + 2:at + 6]
                if not re.fullmatch(r"[0-9a-fA-F]{4}", code):
                    raise _invalid('"\\u" must be followed by four hexadecimal digits.')
                high = self.unicode(int(code, 16), high)
                at += 6
                continue
            if high and self.jsonb:
                raise _invalid("Unicode low surrogate must follow a high surrogate.")
            if character == '"':
                return at + 1
            if character == "\\":
                escaped = text[at + 1:at + 2]
                if escaped == "":
                    raise _invalid(f'Token "{text[start:]}" is invalid.')
                if escaped not in _ESCAPES:
                    raise _invalid(f'Escape sequence "\\{escaped}" is invalid.')
                at += 1
            at += 1

    def unicode(self, code: int, high: bool) -> bool:
        """Whether the code is a high surrogate, which its low one must follow."""
        if not self.jsonb:
            return False
        if 0xD800 <= code <= 0xDBFF:
            if high:
                raise _invalid("Unicode high surrogate must not follow a high surrogate.")
            return True
        if (0xDC00 <= code <= 0xDFFF) != high:
            raise _invalid("Unicode low surrogate must follow a high surrogate.")
        if code == 0:
            raise _Invalid(UntranslatableCharacter("unsupported Unicode escape sequence",
                                                   detail="\\u0000 cannot be converted to text."))
        return False
