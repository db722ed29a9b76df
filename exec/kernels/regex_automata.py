"""Finite automata of regular expressions over one text: where matches end, found without going back.

An expression becomes a nondeterministic automaton, of which the deterministic one is made as texts need it. Characters
are classed first: two that no set of the expression tells apart are one symbol. Places (^, \\m, look-ahead ...) are arcs
that are open or shut at a position. Spec: PostgreSQL 15 documentation, 9.7.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from shoal.catalog.errors import InvalidRegularExpression
from shoal.exec.kernels.regex_characters import Chars, is_word
from shoal.exec.kernels.regex_syntax import TOO_COMPLEX, Alternation, Atom, Back, Edge, Group, Item, Look, bad

MOST_STATES: Final = 100_000
MOST_STEPS: Final = 20_000_000
"""Characters looked at for one match in one text: two seconds or so."""
_KEPT_STATES: Final = 5_000
Language = Alternation | tuple[Item, ...]
"""What an automaton accepts: the branches of an alternation, or items one after the other."""


class Alphabet:
    """What the automata of one expression share: the sets of characters and the places that occur in it."""

    __slots__ = ("_members", "_sets", "_symbols", "places")

    def __init__(self) -> None:
        self._sets: dict[Chars, int] = {}
        self.places: list[Edge | Placed] = []
        self._symbols: dict[str, int] = {}
        self._members: dict[frozenset[int], int] = {frozenset(): 0}

    def set_number(self, chars: Chars) -> int:
        return self._sets.setdefault(chars, len(self._sets))

    def place_number(self, place: Edge | Look) -> int:
        if isinstance(place, Edge):
            for number, known in enumerate(self.places):
                if known == place:
                    return number
            self.places.append(place)
        else:
            self.places.append(Placed(place))
        return len(self.places) - 1

    def symbols(self, text: str) -> list[int]:
        """The symbol of every character, and 0 for the end. All automata must have been made before."""
        known = self._symbols
        try:
            found = [known[char] for char in text]
        except KeyError:
            for char in set(text) - known.keys():
                sets = frozenset(number for chars, number in self._sets.items() if chars.holds(char))
                known[char] = self._members.setdefault(sets, len(self._members))
            found = [known[char] for char in text]
        found.append(0)
        return found

    def members(self) -> list[frozenset[int]]:
        """Of every symbol, the sets that have it."""
        return list(self._members)


class Placed:
    """A look-ahead or look-behind with its own automaton."""

    __slots__ = ("_alphabet", "_automaton", "look")

    def __init__(self, look: Look) -> None:
        self.look = look
        self._alphabet = Alphabet()
        self._automaton = Automaton(self._alphabet, look.body, searching=not look.ahead)

    def reader(self, text: str) -> Reader:
        return Reader(text, self._alphabet)

    def open(self, reader: Reader, at: int) -> bool:
        if self.look.ahead:
            found = self._automaton.shortest(reader, at, at, len(reader.text)) >= 0
        else:
            if reader.ends is None:
                reader.ends = self._automaton.all_ends(reader)
            found = at in reader.ends
        return found is not self.look.negated


class Reader:
    """One text as the automata of one alphabet read it."""

    __slots__ = ("_alphabet", "_inner", "_open", "ends", "steps", "symbols", "text")

    def __init__(self, text: str, alphabet: Alphabet) -> None:
        self.text = text
        self.symbols = alphabet.symbols(text)
        self.steps = 0
        self.ends: frozenset[int] | None = None
        self._alphabet = alphabet
        self._open: dict[tuple[int, int], bool] = {}
        self._inner: dict[int, Reader] = {}

    def count(self, steps: int) -> None:
        """Raises: InvalidRegularExpression (2201B) where finding the match takes too long."""
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise too_long()

    def is_open(self, number: int, at: int) -> bool:
        key = number, at
        found = self._open.get(key)
        if found is None:
            place = self._alphabet.places[number]
            if isinstance(place, Edge):
                found = self._edge(place.kind, at)
            else:
                inner = self._inner.get(number)
                if inner is None:
                    inner = self._inner[number] = place.reader(self.text)
                found = place.open(inner, at)
            self._open[key] = found
        return found

    def _edge(self, kind: str, at: int) -> bool:
        text = self.text
        match kind:
            case "bos":
                return at == 0
            case "eos":
                return at == len(text)
            case "bol":
                return at == 0 or text[at - 1] == "\n"
            case "eol":
                return at == len(text) or text[at] == "\n"
        before = at > 0 and is_word(text[at - 1])
        after = at < len(text) and is_word(text[at])
        match kind:
            case "<":
                return after and not before
            case ">":
                return before and not after
            case "y":
                return before is not after
        return before is after


def too_long() -> InvalidRegularExpression:
    """The error for a text that takes an expression too many steps."""
    return InvalidRegularExpression("invalid regular expression: regular expression is too complex",
                                    hint="It takes too long on one of the texts: avoid repetitions of repetitions.")


@dataclass(slots=True, eq=False)
class _State:
    """A set of nondeterministic states, and where each symbol leads: (the next state, whether a match may end here)."""

    core: frozenset[int]
    needs: tuple[int, ...]
    """The places that decide here."""
    ways: dict[int, tuple[_State | None, bool]] = field(default_factory=dict)


class Automaton:
    """The automaton of one language; `searching`: of all texts that end with one of its words."""

    __slots__ = ("_accepting", "_alphabet", "_arcs", "_empty", "_first", "_members", "_searching", "_start", "_states")

    def __init__(self, alphabet: Alphabet, language: Language, *, searching: bool = False) -> None:
        self._alphabet = alphabet
        self._empty: list[list[tuple[int, int]]] = []
        """Of each state the arcs that take no character: (place or -1, next state)."""
        self._arcs: list[tuple[int, int] | None] = []
        """Of each state the one arc that takes a character: (set, next state)."""
        self._searching = searching
        self._accepting = self._state()
        self._start = self._state()
        self._language(language, self._start, self._accepting, free=False)
        self._states: dict[frozenset[int], _State] = {}
        self._members: list[frozenset[int]] = []
        self._first = self._known(frozenset((self._start,)))

    # --- making it

    def _state(self) -> int:
        if len(self._empty) >= MOST_STATES:
            raise bad(TOO_COMPLEX)
        self._empty.append([])
        self._arcs.append(None)
        return len(self._empty) - 1

    def _language(self, language: Language, start: int, end: int, *, free: bool) -> None:
        """Arcs from `start` to `end`; `free` without places, as what a back reference may match is not bound to them."""
        if isinstance(language, Alternation):
            for branch in language.branches:
                self._language(branch, start, end, free=free)
            return
        at = start
        for item in language:
            following = self._state()
            self._item(item, at, following, free=free)
            at = following
        self._empty[at].append((-1, end))

    def _item(self, item: Item, start: int, end: int, *, free: bool) -> None:
        at = start
        for _ in range(item.least):
            following = self._state()
            self._atom(item.atom, at, following, free=free)
            at = following
        if item.most is None:
            loop, back = self._state(), self._state()
            self._empty[at].append((-1, loop))
            self._empty[loop].append((-1, end))
            self._atom(item.atom, loop, back, free=free)
            self._empty[back].append((-1, loop))
            return
        self._empty[at].append((-1, end))
        for _ in range(item.most - item.least):
            following = self._state()
            self._atom(item.atom, at, following, free=free)
            self._empty[following].append((-1, end))
            at = following

    def _atom(self, atom: Atom, start: int, end: int, *, free: bool) -> None:
        if isinstance(atom, Chars):
            taker = self._state()
            self._empty[start].append((-1, taker))
            self._arcs[taker] = (self._alphabet.set_number(atom), end)
        elif isinstance(atom, Edge | Look):
            self._empty[start].append((-1 if free else self._alphabet.place_number(atom), end))
        elif isinstance(atom, Group):
            self._language(atom.body, start, end, free=free)
        else:
            assert isinstance(atom, Back)
            self._language(atom.body, start, end, free=True)

    # --- running it

    def _known(self, core: frozenset[int]) -> _State:
        found = self._states.get(core)
        if found is None:
            if len(self._states) > _KEPT_STATES:
                first = self._first
                self._states.clear()
                first.ways.clear()
                self._states[first.core] = first
            needs: set[int] = set()
            todo, seen = list(core), set(core)
            while todo:
                for place, target in self._empty[todo.pop()]:
                    if place >= 0:
                        needs.add(place)
                    if target not in seen:
                        seen.add(target)
                        todo.append(target)
            found = self._states[core] = _State(core, tuple(sorted(needs)))
        return found

    def _way(self, state: _State, key: int, symbol: int, is_open: Sequence[bool]) -> tuple[_State | None, bool]:
        """Computes and notes where `symbol` leads, with the state's places open or shut."""
        if symbol >= len(self._members):
            self._members = self._alphabet.members()
        sets = self._members[symbol]
        opened = dict(zip(state.needs, is_open, strict=True))
        todo, seen = list(state.core), set(state.core)
        following: set[int] = set()
        arcs = self._arcs
        while todo:
            at = todo.pop()
            arc = arcs[at]
            if arc is not None and arc[0] in sets:
                following.add(arc[1])
            for place, target in self._empty[at]:
                if target not in seen and (place < 0 or opened[place]):
                    seen.add(target)
                    todo.append(target)
        if self._searching:
            following.add(self._start)
        found = (self._known(frozenset(following)) if following else None, self._accepting in seen)
        state.ways[key] = found
        return found

    def _step(self, reader: Reader, state: _State, at: int) -> tuple[_State | None, bool]:
        symbol = reader.symbols[at]
        if not state.needs:
            return state.ways.get(symbol) or self._way(state, symbol, symbol, ())
        is_open = [reader.is_open(number, at) for number in state.needs]
        key = symbol
        for one in is_open:
            key = key * 2 + one
        key = -1 - key
        return state.ways.get(key) or self._way(state, key, symbol, is_open)

    def longest(self, reader: Reader, start: int, stop: int) -> int:
        """The last position up to `stop` where a match from `start` may end, -1 for none."""
        state: _State | None = self._first
        best, at = -1, start
        symbols = reader.symbols
        while state is not None:
            if state.needs:
                following, ends = self._step(reader, state, at)
            else:
                following, ends = state.ways.get(symbols[at]) or self._way(state, symbols[at], symbols[at], ())
            if ends:
                best = at
            if at == stop:
                break
            state = following
            at += 1
        reader.count(at - start + 1)
        return best

    def shortest(self, reader: Reader, start: int, least: int, stop: int) -> int:
        """The first position from `least` to `stop` where a match from `start` may end, -1 for none."""
        state: _State | None = self._first
        at = start
        while state is not None:
            following, ends = self._step(reader, state, at)
            if ends and at >= least:
                reader.count(at - start + 1)
                return at
            if at == stop:
                break
            state = following
            at += 1
        reader.count(at - start + 1)
        return -1

    def first_end(self, reader: Reader, start: int) -> tuple[int, int]:
        """Of a searching automaton: the first position where a match that begins at `start` or later ends, and one that
        no match begins before; (-1, -1) for none."""
        state: _State | None = self._first
        at = cold = start
        stop, symbols = len(reader.text), reader.symbols
        while state is not None:
            if state is self._first:
                cold = at
            if state.needs:
                following, ends = self._step(reader, state, at)
            else:
                following, ends = state.ways.get(symbols[at]) or self._way(state, symbols[at], symbols[at], ())
            if ends:
                reader.count(at - start + 1)
                return at, cold
            if at == stop:
                break
            state = following
            at += 1
        reader.count(at - start + 1)
        return -1, -1

    def all_ends(self, reader: Reader) -> frozenset[int]:
        """Of a searching automaton: every position where a match ends."""
        state: _State | None = self._first
        found = []
        for at in range(len(reader.text) + 1):
            assert state is not None
            state, ends = self._step(reader, state, at)
            if ends:
                found.append(at)
        reader.count(len(reader.text) + 1)
        return frozenset(found)
