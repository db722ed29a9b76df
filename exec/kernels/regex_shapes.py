"""Which regular expressions other engines answer as PostgreSQL does, and how they spell them.

Whether there is a match at all is the same question for every engine that knows the language; where the first match
ends and what its groups hold is not: RE2 (in Arrow) and Python's re take the first alternative, PostgreSQL the longest
match. The answers are provably the same in one shape: items one after the other, each a set of characters with a
quantifier, all of them greedy. Taking the most for each in turn then reaches, after every item, at least as far as any
other way to match does: whatever another way takes beyond that point, the greedy way could have taken too. Of the
same length, alternatives change nothing; optional or unequal ones may come where only one position is possible before
them. With non-greedy quantifiers there must be one item of variable length in all, which then decides everything.
Spec: PostgreSQL 15 documentation, 9.7.3.5 "Regular Expression Matching Rules".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from shoal.exec.kernels.regex_characters import LAST, Chars
from shoal.exec.kernels.regex_syntax import SHORTER, TOO_COMPLEX, Alternation, Back, Branch, Edge, Group, Item, Look, bad

MOST_PAIRS: Final = 1_500_000
"""Pairs of characters of an expression that may follow each other; PostgreSQL's memory for one is bounded, too."""
_ASCII: Final = 0x7F
_MANY: Final = 4
"""A counted repetition of more than this many is like one without a bound."""


# --- what an expression consists of

def items_of(tree: Alternation) -> Iterable[Item]:
    """All items at all depths, but for those inside look-around."""
    for branch in tree.branches:
        for item in branch:
            yield item
            if isinstance(item.atom, Group):
                yield from items_of(item.atom.body)


def has_word_edges(tree: Alternation) -> bool:
    """Whether the match depends on where words begin and end."""
    return any(isinstance(item.atom, Edge) and item.atom.kind in "<>yY" for item in items_of(tree))


def is_wide(tree: Alternation) -> bool:
    """Whether characters beyond ASCII are classed by name, or words have edges."""
    return has_word_edges(tree) or any(isinstance(item.atom, Chars) and item.atom.wide for item in items_of(tree))


def is_regular(tree: Alternation) -> bool:
    """Whether RE2 knows the language: no back references, no look-around, no one-sided edges of words."""
    return not any(isinstance(item.atom, Back | Look) or (isinstance(item.atom, Edge) and item.atom.kind in "<>")
                   for item in items_of(tree))


@dataclass(slots=True)
class _Size:
    """`first`, `last`: how many characters a match may begin and end with; `pairs`: how many may follow each other."""

    optional: bool = True
    first: int = 0
    last: int = 0
    pairs: int = 0

    def then(self, other: _Size) -> _Size:
        found = _Size(self.optional and other.optional, self.first + (other.first if self.optional else 0),
                      other.last + (self.last if other.optional else 0),
                      self.pairs + other.pairs + self.last * other.first)
        if found.pairs > MOST_PAIRS:
            raise bad(TOO_COMPLEX)
        return found


def check_size(tree: Alternation) -> None:
    """Raises: InvalidRegularExpression (2201B) for an expression whose automaton would be too large."""
    _size(tree)


def _size(tree: Alternation) -> _Size:
    whole = _Size(False)
    for branch in tree.branches:
        found = _Size()
        for item in branch:
            found = found.then(_item_size(item))
        whole = _Size(whole.optional or found.optional, whole.first + found.first, whole.last + found.last,
                      whole.pairs + found.pairs)
    return whole


def _item_size(item: Item) -> _Size:
    atom = item.atom
    if isinstance(atom, Edge):
        return _Size()
    if isinstance(atom, Look):
        _size(atom.body)
        return _Size()
    once = _Size(False, 1, 1) if isinstance(atom, Chars) else _size(atom.body)
    found = _Size()
    for _ in range(item.least):
        found = found.then(once)
    if item.most is None:
        return found.then(_Size(True, once.first, once.last, once.pairs + once.first * once.last))
    maybe = _Size(True, once.first, once.last, once.pairs)
    for _ in range(item.most - item.least):
        found = found.then(maybe)
    return found


# --- the same answers

@dataclass(frozen=True, slots=True)
class Alike:
    """An expression that Python's re (and RE2) match as PostgreSQL does."""

    least: int
    """The length of the shortest match."""
    repeats: int
    """Items repeated without a bound ..."""
    choices: int
    """... and other items of variable length."""


@dataclass(frozen=True, slots=True)
class _Step:
    """Characters, or alternatives of fixed length (`lengths`)."""

    least: int
    most: int | None
    chars: Chars | None = None
    lazy: bool = False

    @property
    def fixed(self) -> bool:
        return self.least == self.most


def alike(tree: Alternation) -> Alike | None:
    """How an expression of the provable shape matches; None for the others."""
    branch = tree.branches[0] if len(tree.branches) == 1 else (Item(Group(0, tree)),)
    steps: list[_Step] = []
    if not _flatten(branch, steps):
        return None
    variable = [step for step in steps if not step.fixed]
    if any(step.lazy for step in variable) and len(variable) > 1:
        return None
    for i, step in enumerate(steps):
        if step.chars is None and not step.fixed and not all(
                before.fixed or _ends_where_it_must(before, steps[at + 1]) for at, before in enumerate(steps[:i])):
            return None
    repeats = sum(step.most is None or step.most > _MANY for step in variable)
    choices = sum(step.most - step.least for step in variable if step.most is not None and step.most <= _MANY)
    return Alike(sum(step.least for step in steps), repeats, choices)


def _ends_where_it_must(step: _Step, following: _Step) -> bool:
    return (step.chars is not None and following.chars is not None and following.least > 0
            and _disjoint(step.chars, following.chars))


def _flatten(branch: Branch, steps: list[_Step]) -> bool:
    for item in branch:
        atom = item.atom
        if isinstance(atom, Edge):
            if atom.kind in "<>":
                return False
        elif isinstance(atom, Chars):
            steps.append(_Step(item.least, item.most, atom, item.preference == SHORTER and item.least != item.most))
        elif not isinstance(atom, Group):
            return False
        elif len(atom.body.branches) == 1 and item.least == item.most == 1 and not item.preference:
            if not _flatten(atom.body.branches[0], steps):
                return False
        elif (step := _alternatives(item, atom.body)) is not None:
            steps.append(step)
        else:
            return False
    return True


def _alternatives(item: Item, body: Alternation) -> _Step | None:
    """Of fixed lengths, at most one of which can match at a place (or all of the same length), once or not at all."""
    if item.most != 1 or item.preference == SHORTER or (item.least == 1 and item.preference):
        return None
    words: list[list[Chars]] = []
    for branch in body.branches:
        word: list[Chars] = []
        for part in branch:
            if not isinstance(part.atom, Chars) or part.least != part.most:
                return None
            word += [part.atom] * part.least
        if not word:
            return None
        words.append(word)
    lengths = {len(word) for word in words}
    if len(lengths) > 1 and not all(any(_disjoint(a, b) for a, b in zip(left, right, strict=False))
                                    for i, left in enumerate(words) for right in words[:i]):
        return None
    return _Step(0 if item.least == 0 else min(lengths), max(lengths))


def _disjoint(left: Chars, right: Chars) -> bool:
    """Whether no character is in both, as far as that is plain."""
    a, b = left.code_ranges(True), right.code_ranges(True)
    if any(low <= other_high and other_low <= high for low, high in a for other_low, other_high in b):
        return False
    return not ((left.wide and _beyond_ascii(right)) or (right.wide and _beyond_ascii(left)))


def _beyond_ascii(chars: Chars) -> bool:
    ranges = chars.code_ranges(True)
    return chars.wide or bool(ranges and ranges[-1][1] > _ASCII)


# --- spelling

Dialect = Literal["re2", "python"]
_EDGES: Final[dict[str, dict[Dialect, str]]] = {
    "bos": {"re2": r"\A", "python": r"\A"}, "eos": {"re2": r"\z", "python": r"\Z"},
    "bol": {"re2": "(?m:^)", "python": "(?m:^)"}, "eol": {"re2": "(?m:$)", "python": "(?m:$)"},
    "y": {"re2": r"\b", "python": r"\b"}, "Y": {"re2": r"\B", "python": r"\B"}}


def spelled(tree: Alternation, dialect: Dialect, *, ascii_only: bool, captures: bool) -> str:
    """The expression in the dialect; `ascii_only`: right for ASCII texts. Groups capture only where that is asked for."""
    branches = ["".join(_item(item, dialect, ascii_only, captures) for item in branch) for branch in tree.branches]
    return "|".join(branches)


def _item(item: Item, dialect: Dialect, ascii_only: bool, captures: bool) -> str:
    atom = item.atom
    if isinstance(atom, Edge):
        return _EDGES[atom.kind][dialect]
    if isinstance(atom, Chars):
        text = _chars(atom, dialect, ascii_only)
    else:
        assert isinstance(atom, Group)
        mark = "(" if captures and atom.number else "(?:"
        text = mark + spelled(atom.body, dialect, ascii_only=ascii_only, captures=captures) + ")"
    if item.least == item.most == 1:
        return text
    most = "" if item.most is None else str(item.most)
    quantifier = {(0, ""): "*", (1, ""): "+", (0, "1"): "?"}.get((item.least, most)) or (
        f"{{{most}}}" if str(item.least) == most else f"{{{item.least},{most}}}")
    return text + quantifier + ("?" if item.preference == SHORTER else "")


def _chars(chars: Chars, dialect: Dialect, ascii_only: bool) -> str:
    ranges = chars.code_ranges(ascii_only)
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _code(ranges[0][0], dialect)
    if ranges == ((0, LAST),):
        return "(?s:.)"
    inside = "".join(_code(low, dialect) if low == high else f"{_code(low, dialect)}-{_code(high, dialect)}"
                     for low, high in ranges)
    return f"[{inside}]" if inside else f"[^{_code(0, dialect)}-{_code(LAST, dialect)}]"


def _code(code: int, dialect: Dialect) -> str:
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    if dialect == "re2":
        return f"\\x{{{min(code, LAST):x}}}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
