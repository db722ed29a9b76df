"""Which match PostgreSQL finds, and what its groups hold, by automata.

The match begins as early as any does; among those it is the longest, or the shortest where the expression as a whole
prefers that. Inside it, what comes first decides first: each part takes as much, or as little, as it prefers while the
rest can still match. Only back references can make that go wrong, and only for them are further divisions tried. An
expression is taken apart no further than groups, back references and changes of preference ask for.
Spec: PostgreSQL 15 documentation, 9.7.3.5 "Regular Expression Matching Rules".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from shoal.exec.kernels.regex_automata import Alphabet, Automaton, Language, Reader
from shoal.exec.kernels.regex_syntax import (
    LONGER,
    SHORTER,
    TOO_COMPLEX,
    Alternation,
    Back,
    Branch,
    Edge,
    Group,
    Item,
    Look,
    Syntax,
    bad,
)

_MIXED: Final = 4
_CAPTURES: Final = 8
_REFERS: Final = 16
_UPWARDS: Final = _MIXED | _CAPTURES | _REFERS
Spans = list[tuple[int, int]]
"""(start, end) of the match and of each group, (-1, -1) for a group that matched nothing."""


def _up(flags: int) -> int:
    """What of a part's flags holds for the whole: both preferences in it make a mixture."""
    return flags & _UPWARDS | (_MIXED if flags & LONGER and flags & SHORTER else 0)


def _combined(first: int, second: int) -> int:
    """The flags of two parts together: the first one that prefers something decides."""
    return _up(first | second) | (first & (LONGER | SHORTER) or second & (LONGER | SHORTER))


@dataclass(slots=True, eq=False)
class _Part:
    """A part of an expression that is looked into when a match is divided."""

    kind: Literal["plain", "then", "either", "repeat", "back", "wrap"]
    flags: int
    language: Language
    children: tuple[_Part, ...] = ()
    group: int = 0
    least: int = 1
    most: int | None = 1
    number: int = 0
    """Of the group that a back reference means."""
    automaton: Automaton | None = None
    groups: tuple[int, ...] = field(default=())
    """All groups in it."""


def _alternation(tree: Alternation) -> _Part:
    branches = [_branch(branch) for branch in tree.branches]
    if len(branches) == 1:
        return branches[0]
    flags = LONGER
    for branch in branches:
        flags |= _up(flags | branch.flags)
    if not flags & _UPWARDS:
        return _Part("plain", flags, tree)
    return _Part("either", flags, tree, tuple(branches))


def _branch(items: Branch) -> _Part:
    top = 0
    for i, item in enumerate(items):
        if isinstance(item.atom, Edge | Look):
            continue
        atom = _alternation(item.atom.body) if isinstance(item.atom, Group) else None
        flags = top | item.preference | (atom.flags if atom is not None else 0)
        if not isinstance(item.atom, Group | Back) and not _up(flags) & _UPWARDS:
            top = flags
            continue
        return _divided(items, i, top, _repeated(item, atom))
    return _Part("plain", top, items)


def _divided(items: Branch, i: int, top: int, part: _Part) -> _Part:
    """What is before item `i`, then the item (`part`), then the rest."""
    flags = part.flags
    if i + 1 < len(items):
        flags = _combined(items[i].preference, flags)
        rest = _branch(items[i + 1:])
        flags |= _combined(flags, rest.flags)
        if i and part.kind == "plain" and rest.kind == "plain" and not _up(part.flags | rest.flags) & _UPWARDS:
            part = _Part("plain", _combined(part.flags, rest.flags), items[i:])
        else:
            part = _Part("then", flags, items[i:], (part, rest))
    if not i:
        return part
    return _Part("then", top | _combined(top, flags), items, (_Part("plain", top, items[:i]), part))


def _repeated(item: Item, atom: _Part | None) -> _Part:
    """One item, its quantifier included."""
    once: Branch = (Item(item.atom),)
    preference = item.preference
    if isinstance(item.atom, Back):
        return _Part("back", _REFERS | preference, (item,), least=item.least, most=item.most, number=item.atom.number)
    if atom is None:
        return _Part("plain", preference, (item,))
    if isinstance(item.atom, Group) and item.atom.number:
        if atom.group:
            atom = _Part("wrap", atom.flags, once, (atom,))
        atom.flags |= _CAPTURES
        atom.group = item.atom.number
    own = atom.flags & (LONGER | SHORTER | _MIXED)
    if item.least == item.most == 1 and (not preference or not own or preference == own):
        return atom
    flags = _combined(preference, atom.flags)
    if not atom.flags & (_CAPTURES | _REFERS):
        return _Part("plain", flags, (item,))
    if item.least > 0 and not atom.flags & _REFERS:
        before: Branch = (Item(item.atom, item.least - 1, None if item.most is None else item.most - 1),)
        return _Part("then", flags, (item,), (_Part("plain", flags & (LONGER | SHORTER), before), atom))
    return _Part("repeat", flags, (item,), (atom,), least=item.least, most=item.most)


def _number(part: _Part) -> tuple[int, ...]:
    """Notes the groups of each part."""
    found: tuple[int, ...] = (part.group,) if part.group else ()
    for child in part.children:
        found += _number(child)
    part.groups = found
    return found


class Matcher:
    """The automata of one expression, made when they are needed first."""

    __slots__ = ("_alphabet", "_fold", "_groups", "_has_back", "_search", "_top")

    def __init__(self, syntax: Syntax) -> None:
        self._groups = syntax.groups
        self._has_back = syntax.has_back
        self._fold = syntax.options.fold
        self._alphabet = Alphabet()
        try:
            self._top = _alternation(syntax.tree)
            _number(self._top)
            self._search = Automaton(self._alphabet, syntax.tree, searching=True)
            self._prepare(self._top)
        except RecursionError:
            raise bad(TOO_COMPLEX) from None

    def _prepare(self, part: _Part) -> None:
        part.automaton = Automaton(self._alphabet, part.language)
        for child in part.children:
            self._prepare(child)

    def reader(self, text: str) -> Reader:
        """The text, to be searched several times."""
        return Reader(text, self._alphabet)

    def found(self, text: str) -> bool:
        """Whether there is a match anywhere."""
        if self._has_back:
            return self.search(self.reader(text), 0) is not None
        return self._search.first_end(self.reader(text), 0)[0] >= 0

    def search(self, reader: Reader, start: int) -> Spans | None:
        """The first match that begins at `start` or later. Raises: InvalidRegularExpression (2201B) where it takes too
        long."""
        size = len(reader.text)
        reader.steps = 0
        shorter = bool(self._top.flags & SHORTER)
        automaton = self._top.automaton
        assert automaton is not None
        while start <= size:
            close, cold = self._search.first_end(reader, start)
            if close < 0:
                return None
            for begin in range(cold, close + 1):
                least, stop = begin, size
                while least <= stop:
                    end = (automaton.shortest(reader, begin, least, stop) if shorter
                           else automaton.longest(reader, begin, stop))
                    if end < 0:
                        break
                    spans = [(-1, -1)] * (self._groups + 1)
                    if not self._groups and not self._has_back:
                        return [(begin, end)]
                    try:
                        divided = _Division(reader, spans, self._fold).divide(self._top, begin, end)
                    except RecursionError:
                        raise bad(TOO_COMPLEX) from None
                    if divided:
                        spans[0] = (begin, end)
                        return spans
                    if shorter:
                        least = end + 1
                    else:
                        stop = end - 1
            start = close + 1
            if start >= size:  # PostgreSQL, too, does not look at the end again
                break
        return None


@dataclass(slots=True)
class _Division:
    """Divides a match among the parts of an expression and notes the groups in `spans`."""

    reader: Reader
    spans: Spans
    fold: bool

    def divide(self, part: _Part, start: int, end: int) -> bool:
        """Whether the part matches exactly this, which its automaton must have found possible."""
        self.reader.count(1)
        match part.kind:
            case "plain":
                done = True
            case "then":
                done = self._then(part, start, end)
            case "either":
                done = any(self._is(child, start, end) and self.divide(child, start, end) for child in part.children)
            case "repeat":
                done = self._repeat(part, start, end)
            case "back":
                done = self._back(part, start, end)
            case _:
                done = self.divide(part.children[0], start, end)
        if done and part.group:
            self.spans[part.group] = (start, end)
        return done

    def _is(self, part: _Part, start: int, end: int) -> bool:
        assert part.automaton is not None
        return part.automaton.longest(self.reader, start, end) == end

    def _forget(self, part: _Part) -> None:
        for group in part.groups:
            self.spans[group] = (-1, -1)

    def _then(self, part: _Part, start: int, end: int) -> bool:
        left, right = part.children
        automaton = left.automaton
        assert automaton is not None
        shorter = bool(left.flags & SHORTER)
        least, stop = start, end
        while least <= stop:
            middle = (automaton.shortest(self.reader, start, least, stop) if shorter
                      else automaton.longest(self.reader, start, stop))
            if middle < 0:
                return False
            if self._is(right, middle, end):
                if self.divide(left, start, middle) and self.divide(right, middle, end):
                    return True
                self._forget(left)
                self._forget(right)
            if shorter:
                least = middle + 1
            else:
                stop = middle - 1
        return False

    def _repeat(self, part: _Part, start: int, end: int) -> bool:
        child = part.children[0]
        shorter = bool(child.flags & SHORTER)
        if shorter and part.least == 0 and start == end:
            return True
        least = max(part.least, 1)
        most = end - start
        if part.most is not None:
            most = min(most, part.most)
        most = max(most, least)
        automaton = child.automaton
        assert automaton is not None
        ends = [start]
        bounds: list[tuple[int, int]] = [(start, end)]
        """For the repetition to be tried next: the (least, last) end still to be tried."""
        while bounds:
            number = len(bounds)
            low, high = bounds[-1]
            begin = ends[number - 1]
            if number == most:
                low = max(low, end)
            at = -1
            if low <= high:
                at = (automaton.shortest(self.reader, begin, low, high) if shorter
                      else automaton.longest(self.reader, begin, high))
            if at < 0:
                bounds.pop()
                ends.pop()
                continue
            bounds[-1] = (at + 1, high) if shorter else (low, at - 1)
            if at != end:
                empty = at == begin
                if number < most and not (empty and (number >= least or least - number < end - at)):
                    ends.append(at)
                    bounds.append((at, end))
                continue
            if number >= least and self._verify(child, [*ends, at]):
                return True
        self._forget(child)
        return part.least == 0 and start == end

    def _verify(self, child: _Part, ends: list[int]) -> bool:
        """Whether each repetition matches, of which the last one's groups are kept."""
        for number in range(1, len(ends)):
            self._forget(child)
            if not self.divide(child, ends[number - 1], ends[number]):
                return False
        return True

    def _back(self, part: _Part, start: int, end: int) -> bool:
        first, last = self.spans[part.number]
        if first < 0:
            return False
        size, given = last - first, end - start
        if size == 0:
            return given == 0
        if given == 0:
            return part.least == 0
        times, rest = divmod(given, size)
        if rest or times < part.least or (part.most is not None and times > part.most):
            return False
        self.reader.count(given)
        text = self.reader.text
        wanted, found = text[first:last] * times, text[start:end]
        return wanted == found or (self.fold and wanted.lower() == found.lower())
