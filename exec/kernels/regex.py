"""PostgreSQL's regular expressions over columns and texts.

Whether there is a match is asked of RE2 (inside Arrow, whole columns) wherever it knows the language. Where a match is,
and what its groups hold, is asked of RE2 and Python's re only for expressions whose answers are provably PostgreSQL's
(regex_shapes.py), and of our own matcher otherwise (regex_matcher.py), once for each distinct value.
Spec: PostgreSQL 15 documentation, 9.7.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidEscape, InvalidParameterValue, InvalidUseOfEscapeCharacter
from shoal.exec.kernels import strings, views
from shoal.exec.kernels.regex_matcher import Matcher, Spans
from shoal.exec.kernels.regex_shapes import alike, check_size, has_word_edges, is_regular, is_wide, spelled
from shoal.exec.kernels.regex_syntax import Options, parse, with_option

HARMLESS_BITS: Final = 24
"""Python's matcher may take 2 to the power of this many steps: about a tenth of a second."""


class OwnMatch:
    """A match and its groups as our matcher found them, to be used like re.Match; group 0 is the match."""

    __slots__ = ("_spans", "_text")

    def __init__(self, text: str, spans: Spans) -> None:
        self._text, self._spans = text, spans

    def __getitem__(self, group: int) -> str | None:
        start, end = self._spans[group]
        return None if start < 0 else self._text[start:end]

    def start(self, group: int = 0) -> int:
        """-1 for a group that matched nothing."""
        return self._spans[group][0]

    def end(self, group: int = 0) -> int:
        return self._spans[group][1]

    def groups(self) -> tuple[str | None, ...]:
        return tuple(self[group] for group in range(1, len(self._spans)))


Match = re.Match[str] | OwnMatch


class Pattern:
    """A regular expression with its options. Raises: InvalidRegularExpression (2201B)."""

    def __init__(self, source: str, options: Options) -> None:
        self._syntax = parse(source, options)
        self.groups = self._syntax.groups
        tree = self._syntax.tree
        check_size(tree)
        self._wide = is_wide(tree)
        self._regular = is_regular(tree)
        self._edges = has_word_edges(tree)
        self._alike = alike(tree)
        self._re2: dict[tuple[bool, bool], str] = {}
        self._longest = -1
        """The longest text for Python's matcher: every start of a match, by every length of every repetition, by every
        choice are powers of two that are added up."""
        if self._alike is not None:
            bits = (HARMLESS_BITS - self._alike.choices) // (1 + self._alike.repeats)
            self._longest = 1 << max(bits, 3)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self._syntax)

    @cached_property
    def _python(self) -> re.Pattern[str]:
        return re.compile(spelled(self._syntax.tree, "python", ascii_only=True, captures=True), re.ASCII)

    def re2(self, array: pa.Array, *, captures: bool) -> str | None:
        """The spelling for RE2 that is right for this column, None where there is none."""
        if not self._regular:
            return None
        ascii_only = not self._wide or pc.all(pc.string_is_ascii(array)).as_py() is not False
        if self._edges and not ascii_only:
            return None
        key = ascii_only, captures
        if key not in self._re2:
            self._re2[key] = spelled(self._syntax.tree, "re2", ascii_only=ascii_only, captures=captures)
        return self._re2[key]

    def replaceable(self, array: pa.Array) -> str | None:
        """The spelling under which RE2 replaces in this column as PostgreSQL does; None where it might not."""
        return self.re2(array, captures=True) if self._alike is not None and self._alike.least > 0 else None

    def _by_python(self, text: str) -> bool:
        """Whether Python's re gives the same answer, and soon."""
        return len(text) < self._longest and (not self._wide or text.isascii())

    def found(self, text: str) -> bool:
        """Whether there is a match anywhere. Raises: InvalidRegularExpression (2201B) when that takes too long."""
        return self._python.search(text) is not None if self._by_python(text) else self._matcher.found(text)

    def search(self, text: str, start: int = 0) -> Match | None:
        """The first match that begins at `start` or later; places before it are seen. Raises: as `found`."""
        if self._by_python(text):
            return self._python.search(text, start)
        spans = self._matcher.search(self._matcher.reader(text), start)
        return None if spans is None else OwnMatch(text, spans)

    def finditer(self, text: str, start: int = 0) -> Iterator[Match]:
        """All matches from `start` on that do not overlap. Raises: as `found`."""
        search = self._searcher(text)
        while start <= len(text):
            match = search(start)
            if match is None:
                return
            yield match
            start = match.end() + (match.start() == match.end())

    def _searcher(self, text: str) -> Callable[[int], Match | None]:
        if self._by_python(text):
            python = self._python
            return lambda start: python.search(text, start)
        reader, matcher = self._matcher.reader(text), self._matcher

        def search(start: int) -> Match | None:
            spans = matcher.search(reader, start)
            return None if spans is None else OwnMatch(text, spans)
        return search

    def sub(self, fill: Callable[[Match], str], text: str, start: int = 0, occurrence: int = 0) -> str:
        """The text with all matches from `start` on replaced, or the occurrence-th only."""
        pieces, at = [], 0
        for number, match in enumerate(self.finditer(text, start), 1):
            if occurrence in (0, number):
                pieces += [text[at:match.start()], fill(match)]
                at = match.end()
            if number == occurrence:
                break
        return "".join([*pieces, text[at:]])


@lru_cache(maxsize=512)
def compiled(pattern: str, flags: str = "") -> Pattern:
    """The pattern under option letters (9.7.3.4 "i", "n", "x" ... without "g").

    Raises: InvalidRegularExpression (2201B), InvalidParameterValue (22023) for unknown options.
    """
    options = Options()
    for letter in flags:
        found = with_option(options, letter)
        if found is None:
            raise InvalidParameterValue(f'invalid regular expression option: "{letter}"')
        options = found
    return Pattern(pattern, options)


def matches(array: pa.Array, pattern: Pattern) -> np.ndarray:
    """The mask of values in which the pattern is found (rows under NULL: anything)."""
    source = pattern.re2(array, captures=False)
    if source is not None:
        try:
            return views.values(pc.match_substring_regex(array, source))
        except pa.ArrowInvalid:
            pass  # too large for RE2
    return views.values(strings.mapped(array, pattern.found, pa.bool_()))


@lru_cache(maxsize=256)
def replacement_parts(replacement: str) -> tuple[str | int, ...]:
    """Text and group numbers of a regexp_replace replacement: \\1 to \\9, \\& (0), \\\\."""
    parts: list[str | int] = []
    i = 0
    while i < len(replacement):
        if replacement[i] == "\\" and i + 1 < len(replacement):
            following = replacement[i + 1]
            if following in "123456789":
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
    groups = pattern.groups
    parts = [part for part in replacement_parts(replacement) if isinstance(part, str) or part <= groups]
    source = pattern.replaceable(array) if start == 1 and occurrence in (0, 1) else None
    if source is not None:
        rewrite = "".join(f"\\{part}" if isinstance(part, int) else part.replace("\\", "\\\\") for part in parts)
        try:
            return pc.replace_substring_regex(array, source, rewrite, max_replacements=1 if occurrence else None)
        except pa.ArrowInvalid:
            pass  # too large for RE2

    def fill(match: Match) -> str:
        return "".join((match[part] or "") if isinstance(part, int) else part for part in parts)
    return strings.mapped(array, lambda value: pattern.sub(fill, value, start - 1, occurrence))


def groups_of(match: Match) -> list[str | None]:
    """What regexp_match gives: the groups, or the whole match where there are none."""
    return list(match.groups()) or [match[0]]


def split(value: str, pattern: Pattern) -> list[str]:
    """The pieces between matches; empty matches count only inside, and not right after another match."""
    pieces: list[str] = []
    at = previous = 0
    for match in pattern.finditer(value):
        if match.start() < len(value) and match.end() > previous:
            pieces.append(value[at:match.start()])
            at = match.end()
        previous = match.end()
    pieces.append(value[at:])
    return pieces


@lru_cache(maxsize=256)
def similar_to_regex(pattern: str, escape: str = "\\") -> str:
    """The regular expression that a SIMILAR TO pattern means; escape-quote marks separate the part that SUBSTRING gives.

    Raises: InvalidEscape (22025), InvalidUseOfEscapeCharacter (2200C) for more than two marks.
    """
    if len(escape) > 1:
        raise InvalidEscape("invalid escape string", hint="Escape string must be empty or one character.")
    out = ["^(?:"]
    escaped = bracket = False
    marks: Final = ["){1,1}(?:", "){1,1}?("]
    for char in pattern:
        if escaped:
            if char == '"' and not bracket:
                if not marks:
                    raise InvalidUseOfEscapeCharacter(
                        "SQL regular expression may not contain more than two escape-double-quote separators")
                out.append(marks.pop())
            else:
                out.append("\\" + char)
            escaped = False
        elif escape and char == escape:
            escaped = True
        elif bracket:
            out.append("\\\\" if char == "\\" else char)
            bracket = char != "]"
        elif char == "[":
            out.append(char)
            bracket = True
        else:
            out.append({"%": ".*", "_": ".", "(": "(?:"}.get(char) or ("\\" + char if char in "\\.^$" else char))
    return "".join(out) + ")$"
