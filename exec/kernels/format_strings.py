"""format(): sprintf-like templates with %s, %I and %L, positions (%2$s), widths and left alignment.

Spec: PostgreSQL 15 documentation, 9.4.1 "format".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shoal.catalog.errors import InvalidParameterValue, InvalidTextRepresentation, NullNotAllowed
from shoal.exec.kernels.strings import quote_ident, quote_literal

_SPECIFIER = re.compile(r"%(?:(?P<position>\d+)\$)?(?P<flag>-)?(?P<width>\d+|\*(?:(?P<width_position>\d+)\$)?)?(?P<type>.)?",
                        re.DOTALL)


def format_rows(templates: Sequence[str | None], columns: Sequence[Sequence[str | None]]) -> list[str | None]:
    """Each row's template filled with its arguments' texts.

    Raises: InvalidParameterValue (22023), NullNotAllowed (22004).
    """
    return [None if template is None else format_row(template, [column[row] for column in columns])
            for row, template in enumerate(templates)]


def format_row(template: str, values: Sequence[str | None]) -> str:
    """One template filled. Raises: as format_rows."""
    following = 0
    out: list[str] = []
    at = 0
    for match in _SPECIFIER.finditer(template):
        out.append(template[at:match.start()])
        at = match.end()
        kind = match["type"]
        if kind is None:
            raise InvalidParameterValue("unterminated format() type specifier", hint='For a single "%" use "%%".')
        if kind == "%":
            out.append("%")
            continue
        if kind not in "sIL":
            raise InvalidParameterValue(f'unrecognized format() type specifier "{kind}"', hint='For a single "%" use "%%".')
        width, left = 0, match["flag"] is not None
        if match["width"] is not None:
            if match["width"].startswith("*"):
                index = int(match["width_position"]) - 1 if match["width_position"] else following
                following = index + 1
                if index < 0:
                    raise InvalidParameterValue("format specifies argument 0, but arguments are numbered from 1")
                width = _width(_at(values, index))
                left, width = left or width < 0, abs(width)
            else:
                width = int(match["width"])
        if match["position"] is not None:
            following = int(match["position"]) - 1
            if following < 0:
                raise InvalidParameterValue("format specifies argument 0, but arguments are numbered from 1")
        value = _at(values, following)
        following += 1
        if kind == "s":
            text = value or ""
        elif kind == "I":
            if value is None:
                raise NullNotAllowed("null values cannot be formatted as an SQL identifier")
            text = quote_ident(value)
        else:
            text = "NULL" if value is None else quote_literal(value)
        out.append(text.ljust(width) if left else text.rjust(width))
    out.append(template[at:])
    return "".join(out)


def _width(text: str | None) -> int:
    if text is None:
        return 0
    if re.fullmatch(r"\s*[+-]?\d+\s*", text) is None:
        raise InvalidTextRepresentation(f'invalid input syntax for type integer: "{text}"')
    return int(text)


def _at(values: Sequence[str | None], index: int) -> str | None:
    if index >= len(values):
        raise InvalidParameterValue("too few arguments for format()")
    return values[index]
