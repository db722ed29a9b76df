"""Python's regular expressions without their danger: a search that may take for ever runs in a process of its own.

Python's matcher tries alternatives one after the other, which some patterns make exponentially many, and it keeps the
interpreter's lock meanwhile: neither a cancel request nor another session gets through. What looks harmless is
searched right here; the rest is sent to a child process that is given two seconds a text (backtracking_process.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from shoal.catalog.errors import InvalidRegularExpression

HARMLESS_BITS: Final = 27
"""2 to the power of this many steps take about a second."""
_COUNTED = re.compile(r"\{(\d+)(,?)(\d*)\}")
_MANY: Final = 4
"""A counted repetition of more than this many is like one without a bound."""


class Found:
    """A match, as far as re.Match is used of it."""

    __slots__ = ("_spans", "_text", "re")

    def __init__(self, pattern: Guarded, text: str, spans: list[tuple[int, int]]) -> None:
        self.re, self._text, self._spans = pattern, text, spans

    def __getitem__(self, group: int) -> str | None:
        start, end = self._spans[group]
        return None if start < 0 else self._text[start:end]

    def start(self, group: int = 0) -> int:
        return self._spans[group][0]

    def end(self, group: int = 0) -> int:
        return self._spans[group][1]

    def groups(self) -> tuple[str | None, ...]:
        return tuple(self[group] for group in range(1, len(self._spans)))


Match = re.Match[str] | Found


class Guarded:
    """A compiled pattern. Raises: InvalidRegularExpression (2201B) when a text takes too long."""

    __slots__ = ("_choices", "_nested", "_pattern", "_repeats", "groups")

    def __init__(self, source: str) -> None:
        self._pattern = re.compile(source)
        self.groups = self._pattern.groups
        self._repeats, self._choices, self._nested = _shape(source)

    def _harmless(self, text: str) -> bool:
        """Every start of a match, by every length of every repetition, by every choice: powers of two are added up."""
        places = len(text).bit_length()
        return places <= 3 or (not self._nested and self._choices + (1 + self._repeats) * places <= HARMLESS_BITS)

    def search(self, text: str) -> Match | None:
        """The first match anywhere."""
        if self._harmless(text):
            return self._pattern.search(text)
        spans = _CHILD.spans(self._pattern.pattern, text, first=True)
        return Found(self, text, spans[0]) if spans else None

    def finditer(self, text: str) -> Iterator[Match]:
        """All matches that do not overlap."""
        if self._harmless(text):
            return self._pattern.finditer(text)
        return (Found(self, text, spans) for spans in _CHILD.spans(self._pattern.pattern, text, first=False))

    def sub(self, fill: Callable[[Match], str], text: str) -> str:
        """The text with all matches replaced."""
        pieces, at = [], 0
        for match in self.finditer(text):
            pieces += [text[at:match.start()], fill(match)]
            at = match.end()
        return "".join([*pieces, text[at:]])


def _shape(source: str) -> tuple[int, int, bool]:
    """How many repetitions without a bound there are, how many other choices, and whether one repeats another."""
    repeats = choices = i = 0
    nested = False
    inside: list[bool] = [False]
    """Whether there is a choice in each group that is open."""
    last = False
    while i < len(source):
        char = source[i]
        counted = _COUNTED.match(source, i) if char == "{" else None
        if char in "*+?" or counted is not None:
            if counted is not None:
                most = int(counted[3] or (counted[1] if not counted[2] else 1 << 30))
                i = counted.end()
            else:
                most = 1 if char == "?" else 1 << 30
                i += 1
            if i < len(source) and source[i] in "?+":  # lazy or possessive
                i += 1
            if most > _MANY:
                repeats += 1
                nested = nested or last
            elif counted is None or counted[2]:
                choices += most
            inside[-1], last = True, False
            continue
        last = False
        if char == "\\":
            i += 1
        elif char == "[":
            i += 2 if source[i + 1:i + 2] == "^" else 1
            i += 1  # a bracket that comes first is a character
            while i < len(source) and source[i] != "]":
                i += 2 if source[i] == "\\" else 1
        elif char == "(":
            inside.append(False)
            if source[i + 1:i + 2] == "?":
                i += 1
        elif char == ")" and len(inside) > 1:
            last = inside.pop()
            inside[-1] = inside[-1] or last
        elif char == "|":
            choices += 1
            inside[-1] = True
        i += 1
    return repeats, choices, nested


class _Child:
    """The process, started when it is needed first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failed: deque[bytes] = deque(maxlen=8)

    def spans(self, source: str, text: str, *, first: bool) -> list[list[tuple[int, int]]]:
        """Of every match, or the first, where it and its groups are. Blocks for as long as the child may take."""
        request = json.dumps([source, text, first]).encode() + b"\n"
        with self._lock:
            if request in self._failed:  # an expression is often tried again: while planning, then when run
                raise _too_complex()
            process = self._process
            if process is None or process.poll() is not None:
                process = self._process = self._start()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(request)
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                self._end(process)
                self._failed.append(request)
                raise _too_complex()
        found: list[list[tuple[int, int]]] = json.loads(answer)
        return found

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("backtracking_process.py")
        return subprocess.Popen([sys.executable, "-I", "-S", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        process.kill()
        process.wait()
        assert process.stdin is not None and process.stdout is not None
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass

    def close(self) -> None:
        """Ends the process if there is one; the next search starts another."""
        with self._lock:
            if self._process is not None:
                self._end(self._process)


def _too_complex() -> InvalidRegularExpression:
    return InvalidRegularExpression("invalid regular expression: regular expression is too complex",
                                    hint="It takes too long on one of the texts: avoid repetitions of repetitions.")


_CHILD: Final = _Child()
close: Final = _CHILD.close
