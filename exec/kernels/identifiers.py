"""parse_ident(): a qualified identifier taken apart.

Spec: PostgreSQL 15 documentation, 9.4 "String Functions and Operators".
"""

from __future__ import annotations

from shoal.catalog.errors import InvalidParameterValue

_SPACE = " \t\n\r\v\f"


def identifier_parts(text: str, strict: bool) -> list[str]:
    """The parts of `a."B c".d`, those without quotes in lower case; `strict`: nothing may follow them.

    Raises: InvalidParameterValue (22023).
    """
    def invalid(detail: str = "") -> InvalidParameterValue:
        return InvalidParameterValue(f'string is not a valid identifier: "{text}"', detail=detail)

    parts: list[str] = []
    at = _skipped(text, 0)
    after_dot = False
    while True:
        missing = True
        if text[at:at + 1] == '"':
            end = at + 1
            while True:
                end = text.find('"', end)
                if end < 0:
                    raise invalid("String has unclosed double quotes.")
                if text[end + 1:end + 2] != '"':
                    break
                end += 2
            part = text[at + 1:end].replace('""', '"')
            if not part:
                raise invalid("Quoted identifier must not be empty.")
            parts.append(part)
            at, missing = end + 1, False
        elif at < len(text) and (text[at].isalpha() or text[at] == "_" or not text[at].isascii()):
            end = at
            while end < len(text) and (text[end].isalnum() or text[end] in "_$" or not text[end].isascii()):
                end += 1
            parts.append("".join(char.lower() if char.isascii() else char for char in text[at:end]))
            at, missing = end, False
        if missing:
            if text[at:at + 1] == ".":
                raise invalid('No valid identifier before ".".')
            raise invalid('No valid identifier after ".".' if after_dot else "")
        at = _skipped(text, at)
        if text[at:at + 1] == ".":
            after_dot = True
            at = _skipped(text, at + 1)
        elif at >= len(text) or not strict:
            return parts
        else:
            raise invalid()


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
