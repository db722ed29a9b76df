"""PostgreSQL's advanced regular expressions, translated to RE2 (inside Arrow, whole columns) or to Python's re.

RE2 takes every pattern without back references and look-around; the rest, and whatever needs positions or all
matches, runs in Python once per distinct value. One difference remains: where alternatives match at the same
place, the first one wins here, the longest in PostgreSQL. Spec: PostgreSQL 15 documentation, 9.7.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidEscape, InvalidParameterValue, InvalidRegularExpression
from shoal.exec.kernels import strings, views
from shoal.exec.kernels.backtracking import Guarded, Match

_CLASSES = {"alnum": r"a-zA-Z0-9", "alpha": r"a-zA-Z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": r"0-9",
            "graph": r"\x21-\x7e", "lower": r"a-z", "print": r"\x20-\x7e", "punct": r"!-/:-@\[-`{-~", "space": r"\s",
            "upper": r"A-Z", "xdigit": r"0-9A-Fa-f", "word": r"\w"}
_WORD_EDGES = {"m": r"\b(?=\w)", "M": r"\b(?<=\w)", "y": r"\b", "Y": r"\B", "A": r"\A", "Z": r"\Z"}
_EMBEDDED = re.compile(r"\(\?([bceimnpqstwx]+)\)")


_ERRORS = (("unterminated subpattern", "parentheses () not balanced"),
           ("unbalanced parenthesis", "parentheses () not balanced"),
           ("repeat", "quantifier operand invalid"), ("character set", "brackets [] not balanced"),
           ("group reference", "invalid backreference number"), ("character range", "invalid character range"))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A translated pattern: `portable` says that RE2 understands it too."""

    source: str
    flags: str
    portable: bool
    python: Guarded


@lru_cache(maxsize=512)
def compiled(pattern: str, flags: str = "") -> Pattern:
    """The pattern under option letters (9.7.3.4 "i", "n", "x" ... without "g").

    Raises: InvalidRegularExpression (2201B), InvalidParameterValue (22023) for unknown options.
    """
    literal = False
    if pattern.startswith("***="):
        literal, pattern = True, pattern[4:]
    elif pattern.startswith("***:"):
        pattern = pattern[4:]
    match = _EMBEDDED.match(pattern)
    if match is not None and not literal:
        flags, pattern = flags + match[1], pattern[match.end():]
    for letter in flags:
        if letter not in "bceimnpqstwx":
            raise InvalidParameterValue(f'invalid regular expression option: "{letter}"')
    literal = literal or "q" in flags
    fold = False
    for letter in flags:
        fold = {"i": True, "c": False}.get(letter, fold)
    newline = any(letter in flags for letter in "nmp")
    anchors = any(letter in flags for letter in "nmw")
    if literal:
        body, portable = re.escape(pattern), True
    else:
        body, portable = _translated(pattern, anchors, "x" in flags)
    inline = ("i" if fold else "") + ("" if newline else "s") + ("m" if anchors else "")
    source = f"(?{inline}){body}" if inline else body
    try:
        return Pattern(source, flags, portable, Guarded(source))
    except (re.error, OverflowError, RecursionError) as error:
        message = str(error)
        word = next((ours for theirs, ours in _ERRORS if theirs in message), message)
        raise InvalidRegularExpression(f"invalid regular expression: {word}") from None


def _translated(pattern: str, anchors: bool, expanded: bool) -> tuple[str, bool]:
    """The pattern in Python's syntax, and whether RE2 takes it as it is."""
    out: list[str] = []
    portable = True
    i, size = 0, len(pattern)
    while i < size:
        char = pattern[i]
        if char == "\\":
            i += 1
            if i == size:
                raise InvalidRegularExpression("invalid regular expression: invalid escape \\ sequence")
            char = pattern[i]
            if char in _WORD_EDGES:
                out.append(_WORD_EDGES[char] if char != "Z" else r"\Z")
                portable = portable and char in "yYA"
            elif char.isdigit() and char != "0":
                out.append("\\" + char)
                portable = False
            elif char.isalnum() and char not in "dDsSwWabefnrtuUvxB0":
                raise InvalidRegularExpression("invalid regular expression: invalid escape \\ sequence")
            else:
                out.append({"e": r"\x1b", "B": r"\\", "b": r"\x08"}.get(char, "\\" + char))
        elif char == "[":
            i, text = _bracket(pattern, i)
            if text in (r"\b(?=\w)", r"\b(?<=\w)"):
                portable = False
            out.append(text)
        elif char == "$" and not anchors:
            out.append(r"\Z")
        elif char == "(" and pattern[i:i + 2] == "(?":
            if pattern[i + 2:i + 3] in ("=", "!", "<"):
                portable = False
            if pattern[i + 2:i + 3] == "#":
                i = pattern.find(")", i)
                if i < 0:
                    raise InvalidRegularExpression("invalid regular expression: parentheses () not balanced")
            else:
                out.append("(?")
                i += 1
        elif char == "{" and not pattern[i + 1:i + 2].isdigit():
            out.append(r"\{")
        elif expanded and char in " \t\n\r\v\f":
            pass
        elif expanded and char == "#":
            i = pattern.find("\n", i)
            i = size if i < 0 else i
        else:
            out.append(char)
        i += 1
    return "".join(out), portable


def _bracket(pattern: str, start: int) -> tuple[int, str]:
    """The bracket expression at `start`: (index of its ], Python's form)."""
    for edge, text in (("[[:<:]]", r"\b(?=\w)"), ("[[:>:]]", r"\b(?<=\w)")):
        if pattern.startswith(edge, start):
            return start + len(edge) - 1, text
    i = start + 1
    out = "["
    if pattern[i:i + 1] == "^":
        out, i = out + "^", i + 1
    first = True
    while i < len(pattern):
        char = pattern[i]
        if char == "]" and not first:
            return i, out + "]"
        first = False
        if char == "[" and pattern[i + 1:i + 2] in (":", ".", "="):
            kind = pattern[i + 1]
            end = pattern.find(kind + "]", i + 2)
            name = pattern[i + 2:end] if end >= 0 else ""
            if end < 0 or (kind == ":" and name not in _CLASSES):
                raise InvalidRegularExpression("invalid regular expression: invalid character class")
            out += _CLASSES[name] if kind == ":" else re.escape(name)
            i = end + 2
            continue
        if char == "\\":
            following = pattern[i + 1:i + 2]
            out += "\\" + following
            i += 2
            continue
        out += "\\" + char if char in "[]&~|" else char
        i += 1
    raise InvalidRegularExpression("invalid regular expression: brackets [] not balanced")


def matches(array: pa.Array, pattern: Pattern) -> np.ndarray:
    """The mask of values in which the pattern is found (rows under NULL: anything)."""
    if pattern.portable:
        try:
            return views.values(pc.match_substring_regex(array, pattern.source.replace(r"\Z", r"\z")))
        except pa.ArrowInvalid:
            pass
    search = pattern.python.search
    found = strings.mapped(array, lambda value: search(value) is not None, pa.bool_())
    return views.values(found)


@lru_cache(maxsize=256)
def replacement_parts(replacement: str) -> tuple[str | int, ...]:
    """Text and group numbers of a regexp_replace replacement: \\1 to \\9, \\& (0), \\\\."""
    parts: list[str | int] = []
    i = 0
    while i < len(replacement):
        if replacement[i] == "\\" and i + 1 < len(replacement):
            following = replacement[i + 1]
            if following.isdigit() and following != "0":
                parts.append(int(following))
            elif following == "&":
                parts.append(0)
            elif following == "\\":
                parts.append("\\")
            else:
                parts.append("\\" + following)
            i += 2
        else:
            parts.append(replacement[i])
            i += 1
    return tuple(parts)


def replace(array: pa.Array, pattern: Pattern, replacement: str, start: int = 1, occurrence: int = 1) -> pa.Array:
    """The occurrence-th match (0: all) from character `start` on replaced."""
    parts = replacement_parts(replacement)
    groups = pattern.python.groups
    if pattern.portable and start == 1 and occurrence in (0, 1):
        rewrite = "".join(f"\\{part}" if isinstance(part, int) and part <= groups else "" if isinstance(part, int)
                          else part.replace("\\", "\\\\") for part in parts)
        try:
            return pc.replace_substring_regex(array, pattern.source.replace(r"\Z", r"\z"), rewrite,
                                              max_replacements=1 if occurrence else None)
        except pa.ArrowInvalid:
            pass

    def fill(match: Match) -> str:
        return "".join((match[part] or "") if isinstance(part, int) and part <= groups else "" if isinstance(part, int)
                       else part
                       for part in parts)

    def one(value: str) -> str:
        head, tail = value[:start - 1], value[start - 1:]
        if occurrence == 0:
            return head + pattern.python.sub(fill, tail)
        for number, match in enumerate(pattern.python.finditer(tail), 1):
            if number == occurrence:
                return head + tail[:match.start()] + fill(match) + tail[match.end():]
        return value
    return strings.mapped(array, one)


def groups_of(match: Match) -> list[str | None]:
    """What regexp_match gives: the groups, or the whole match where there are none."""
    return list(match.groups()) or [match[0]]


def split(value: str, pattern: Pattern) -> list[str]:
    """The pieces between matches; an empty match splits between characters but not at the ends."""
    pieces: list[str] = []
    at = 0
    for match in pattern.python.finditer(value):
        if match.end() == match.start() and (match.start() >= len(value) or match.start() == at):
            continue
        pieces.append(value[at:match.start()])
        at = match.end()
    pieces.append(value[at:])
    return pieces


def occurrences(value: str, pattern: Pattern, start: int) -> Iterator[Match]:
    """Matches from character `start` (1-based) on; anchors see the rest as the whole text."""
    return pattern.python.finditer(value[start - 1:])


@lru_cache(maxsize=256)
def similar_to_regex(pattern: str, escape: str = "\\") -> str:
    """The regular expression that a SIMILAR TO pattern means. Raises: InvalidEscape (22025)."""
    if len(escape) > 1:
        raise InvalidEscape("invalid escape string", hint="Escape string must be empty or one character.")
    out: list[str] = []
    i, bracket = 0, False
    while i < len(pattern):
        char = pattern[i]
        if escape and char == escape:
            i += 1
            if i < len(pattern):
                out.append("\\" + pattern[i] if not pattern[i].isalnum() else pattern[i])
        elif bracket:
            out.append("\\\\" if char == "\\" else char)
            bracket = char != "]"
        elif char == "[":
            out.append("[")
            bracket = True
            if pattern[i + 1:i + 2] == "^":
                out.append("^")
                i += 1
            if pattern[i + 1:i + 2] == "]":
                out.append("]")
                i += 1
        elif char == "%":
            out.append(".*")
        elif char == "_":
            out.append(".")
        elif char == "(":
            out.append("(?:")
        elif char in "\\.^$":
            out.append("\\" + char)
        else:
            out.append(char)
        i += 1
    return "^(?:" + "".join(out) + ")$"
