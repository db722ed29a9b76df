"""Sets of characters: the classes of regular expressions, as glibc's C.UTF-8 has them, and ranges of code points.

Spec: PostgreSQL 15 documentation, 9.7.3.2 "Bracket Expressions" and 9.7.3.6 (case).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

Range = tuple[int, int]
LAST: Final = 0x10FFFF


def _alpha(char: str) -> bool:
    if char.isascii():
        return char.isalpha()
    kind = unicodedata.category(char)
    if kind[0] == "L" or kind in ("Nl", "Nd"):
        return True
    if kind in ("Mn", "Mc"):
        return unicodedata.combining(char) == 0
    return kind == "So" and (0x24B6 <= ord(char) <= 0x24E9 or 0x1F130 <= ord(char) <= 0x1F149
                             or 0x1F150 <= ord(char) <= 0x1F169 or 0x1F170 <= ord(char) <= 0x1F189)


def _space(char: str) -> bool:
    return char in "\t\n\v\f\r " or (not char.isascii() and unicodedata.category(char) in ("Zs", "Zl", "Zp")
                                     and char not in "\u00a0\u2007\u202f")


def _graph(char: str) -> bool:
    if char.isascii():
        return "!" <= char <= "~"
    return unicodedata.category(char) not in ("Cc", "Cs", "Cn") and not _space(char)


CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "alpha": _alpha,
    "alnum": lambda c: _alpha(c) or "0" <= c <= "9",
    "ascii": lambda c: c <= "\x7f",
    "blank": lambda c: c in " \t",
    "cntrl": lambda c: unicodedata.category(c) == "Cc",
    "digit": lambda c: "0" <= c <= "9",
    "graph": _graph,
    "lower": lambda c: c.islower(),
    "print": lambda c: _graph(c) or (c != "\t" and _space(c) and unicodedata.category(c) == "Zs"),
    "punct": lambda c: _graph(c) and not _alpha(c) and not "0" <= c <= "9",
    "space": _space,
    "upper": lambda c: c.isupper() or unicodedata.category(c) == "Lt",
    "word": lambda c: _alpha(c) or "0" <= c <= "9" or c == "_",
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}
_WIDE: Final = frozenset({"alpha", "alnum", "cntrl", "graph", "lower", "print", "punct", "space", "upper", "word"})
"""Classes with members beyond ASCII."""


def is_word(char: str) -> bool:
    """Whether this is a character of words: a letter, a digit or the underscore."""
    return char.isalnum() or char == "_" if char.isascii() else _alpha(char)


@lru_cache(maxsize=64)
def _class_ranges(name: str, ascii_only: bool) -> tuple[Range, ...]:
    holds = CLASSES[name]
    found: list[Range] = []
    start = -1
    end = 0x80 if ascii_only or name not in _WIDE else LAST + 1
    for code in range(end + 1):
        inside = code < end and not 0xD800 <= code <= 0xDFFF and holds(chr(code))
        if inside and start < 0:
            start = code
        elif not inside and start >= 0:
            found.append((start, code - 1))
            start = -1
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Chars:
    """A set of characters: ranges of code points and named classes (a class may be meant negated)."""

    ranges: tuple[Range, ...] = ()
    classes: tuple[tuple[str, bool], ...] = ()
    negated: bool = False
    without_newline: bool = False

    def holds(self, char: str) -> bool:
        """Whether the character is in the set."""
        if self.without_newline and char == "\n":
            return False
        code = ord(char)
        inside = any(low <= code <= high for low, high in self.ranges) or any(
            CLASSES[name](char) is not negated for name, negated in self.classes)
        return inside is not self.negated

    @property
    def wide(self) -> bool:
        """Whether a named class decides about characters beyond ASCII."""
        return any(name in _WIDE for name, _ in self.classes)

    def code_ranges(self, ascii_only: bool) -> tuple[Range, ...]:
        """The set as ranges of code points, in order; `ascii_only`: right for ASCII, anything beyond."""
        return _code_ranges(self, ascii_only)


@lru_cache(maxsize=1024)
def _code_ranges(chars: Chars, ascii_only: bool) -> tuple[Range, ...]:
    found = [(low, min(high, LAST)) for low, high in chars.ranges if low <= LAST]
    for name, negated in chars.classes:
        ranges = _class_ranges(name, ascii_only)
        found += _complement(ranges) if negated else ranges
    ranges_found = merged(found)
    if chars.negated:
        ranges_found = _complement(ranges_found)
    if chars.without_newline:
        ranges_found = tuple(part for low, high in ranges_found for part in ((low, min(high, 9)), (max(low, 11), high))
                             if part[0] <= part[1])
    return ranges_found


def merged(ranges: list[Range]) -> tuple[Range, ...]:
    """The ranges in order, those that touch as one."""
    out: list[Range] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def _complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    out: list[Range] = []
    at = 0
    for low, high in ranges:
        if low > at:
            out.append((at, low - 1))
        at = high + 1
    if at <= LAST:
        out.append((at, LAST))
    return tuple(out)


def case_variants(code: int) -> tuple[int, ...]:
    """A character's code with that of its other case."""
    char = chr(code)
    found = {code}
    for other in (char.lower(), char.upper()):
        if len(other) == 1:
            found.add(ord(other))
    return tuple(sorted(found))
