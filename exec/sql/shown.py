"""Expressions and queries as PostgreSQL prints them: the parts, and the printer that puts them into lines (hop 2).

With parentheses around every operator, or "pretty", only where they are needed.

Spec: ruleutils.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.types import BOOL, SqlType

INDENT = 8
"""What a query's clauses stand inside of the query."""
SMALL_INDENT = 4
_WIDEST_INDENT = 40
_BARE_NAMES = {"bpchar": "bpchar", "char": '"char"'}
"""Types whose name without a modifier is not format_type()'s."""
_SELF_CONTAINED = ("constant", "atom", "call", "field", "sublink")


@dataclass(frozen=True)
class Line:
    """A word on a line of its own. `before`, `after`: what the indentation changes by; `extra`: of this line alone."""

    word: str
    before: int = 0
    after: int = 0
    extra: int = 0


@dataclass(frozen=True)
class Indent:
    """Text after which lines are indented by `change` more."""

    change: int
    text: str = ""


@dataclass(frozen=True)
class Entry:
    """One of several parts that each have a line, the first excepted."""

    pieces: tuple[Piece, ...]
    first: bool
    casts: bool = True
    """Also the implicit ones."""


@dataclass(frozen=True)
class Choice:
    """What only the pretty form has, and what only the other has."""

    pretty: str
    plain: str


@dataclass(frozen=True)
class Shown:
    """A part of an expression. `pieces`: its text, with its operands in place.

    `kind`: constant, atom, call, field, sublink and query need no parentheses of their own; operator, test, and, or,
    not, any, collate and zone have them unless pretty; cast has them around its operand; grouped is what is sorted or
    grouped by, which must not be taken for something else.
    """

    kind: str
    type: SqlType
    pieces: tuple[Piece, ...]
    implicit: bool = False
    """Of a cast: nobody wrote it."""
    symbol: str = ""
    """Of an operator with two operands; of a constant, its text as it was written; "function" for the call of one, "query"
    for a scalar subquery, "[" for a subscript."""
    name: str | None = None
    """Of a column: the name that is shown for it."""
    alone: str = ""
    """Of a whole row: the type that is shown where it is a value by itself."""

    def text(self, pretty: bool) -> str:
        return _Printer(pretty).whole(self)

    @property
    def is_call(self) -> bool:
        """Whether an index shows it without parentheses around it."""
        found = self.operand if self.kind == "cast" and self.implicit else self
        return found.kind == "call"

    @property
    def is_function(self) -> bool:
        """Whether it is computed by a function of its own, as some casts are."""
        if self.kind == "cast":
            return (self.operand.type.oid, self.type.oid) in _cast_functions()
        return self.symbol == "function"

    @property
    def operand(self) -> Shown:
        found = self.pieces[0]
        assert isinstance(found, Shown)
        return found


Piece = str | Shown | Line | Indent | Entry | Choice


@cache
def _cast_functions() -> frozenset[tuple[int, int]]:
    methods = zip(*column("pg_cast", "castsource", "casttarget", "castmethod"), strict=True)
    return frozenset((source, target) for source, target, method in methods if method == "f")


class _Printer:
    def __init__(self, pretty: bool) -> None:
        self.pretty, self.out, self.level = pretty, "", 0

    def whole(self, shown: Shown) -> str:
        self.show(shown, False)
        return self.out

    def show(self, shown: Shown, casts: bool) -> None:
        """`casts`: also the implicit one that `shown` may be."""
        kind = shown.kind
        if kind == "cast":
            self._cast(shown, casts)
        elif kind == "case":
            self._case(shown)
        elif kind == "query":
            level = self.level
            self._pieces(shown.pieces, False)
            self.level = level
        elif kind == "grouped":
            bare = not self.pretty and not shown.operand.is_function
            self.out += "" if bare else "("
            self.show(shown.operand, True)
            self.out += "" if bare else ")"
        elif kind in _SELF_CONTAINED:
            self._pieces(shown.pieces, True)
        else:
            bare = self.pretty and kind not in ("zone", "rows")
            self.out += "" if bare else "("
            for piece in shown.pieces:
                if isinstance(piece, Shown):
                    self._nested(piece, shown, True)
                else:
                    self._piece(piece, True)
            self.out += "" if bare else ")"

    def _pieces(self, pieces: Sequence[Piece], casts: bool) -> None:
        for piece in pieces:
            self._piece(piece, casts)

    def _piece(self, piece: Piece, casts: bool) -> None:
        match piece:
            case str():
                self.out += piece
            case Shown():
                self.show(piece, casts)
            case Line():
                self.line(piece)
            case Indent():
                self.out += piece.text
                self.level += piece.change
            case Choice():
                self.out += piece.pretty if self.pretty else piece.plain
            case Entry():
                self._entry(piece)

    def _entry(self, entry: Entry) -> None:
        before, self.out = self.out, ""
        self._pieces(entry.pieces, entry.casts)
        text, self.out = self.out, before
        if text.startswith("\n"):
            self.out = self.out.rstrip(" ")
        elif not entry.first:
            self.line(Line("", -INDENT, INDENT, SMALL_INDENT))
        self.out += text

    def line(self, line: Line) -> None:
        self.level += line.before
        level = max(self.level, 0)
        if level >= _WIDEST_INDENT:
            level = (_WIDEST_INDENT + (level - _WIDEST_INDENT) // (INDENT // 2)) % _WIDEST_INDENT
        self.out = self.out.rstrip(" ") + "\n" + " " * (level + line.extra) + line.word
        self.level = max(self.level + line.after, 0)

    def _nested(self, shown: Shown, parent: Shown, casts: bool) -> None:
        parentheses = self.pretty and not _is_simple(shown, parent)
        self.out += "(" if parentheses else ""
        self.show(shown, casts)
        self.out += ")" if parentheses else ""

    def _cast(self, shown: Shown, casts: bool) -> None:
        operand = shown.operand
        if shown.implicit and not casts:
            self._nested(operand, shown, False)
            return
        if operand.kind == "constant" and operand.type.name == shown.type.name:
            self.out += str(operand.pieces[0]).removesuffix("::" + type_text(operand.type))
        else:
            self.out += "" if self.pretty else "("
            self._nested(operand, shown, False)
            self.out += "" if self.pretty else ")"
        self.out += "::" + type_text(shown.type)

    def _case(self, shown: Shown) -> None:
        """The pieces: the operand or "", then a condition and a result in turn, the default last."""
        operand, *branches, default = shown.pieces
        self.line(Line("CASE", after=SMALL_INDENT))
        if isinstance(operand, Shown):
            self.out += " "
            self.show(operand, True)
        for condition, result in zip(branches[::2], branches[1::2], strict=True):
            assert isinstance(condition, Shown) and isinstance(result, Shown)
            self.line(Line("WHEN "))
            self.show(condition, False)
            self.out += " THEN "
            self.show(result, True)
        assert isinstance(default, Shown)
        self.line(Line("ELSE "))
        self.show(default, True)
        self.line(Line("END", before=-SMALL_INDENT))


def _is_simple(shown: Shown, parent: Shown) -> bool:
    """isSimpleNode of ruleutils.c: whether the pretty form needs no parentheses around `shown` inside `parent`."""
    kind = shown.kind
    if kind in ("constant", "atom", "call", "field", "case", "zone"):
        return True
    if kind == "cast":
        relabels = shown.type.is_string or shown.operand.type.is_string
        return _is_simple(shown.operand, shown) if relabels else True
    if kind == "operator" and parent.kind == "operator" and shown.symbol and parent.symbol:
        low, high = parent.symbol in "+-", parent.symbol in "*/%"
        own_low, own_high = shown.symbol in "+-", shown.symbol in "*/%"
        if low and own_high:
            return True
        if (low and own_low) or (high and own_high):
            return parent.pieces[0] is shown
    if kind in ("operator", "test", "sublink"):
        return parent.kind in ("and", "or", "not", "call", "case")
    if kind in ("and", "not"):
        return parent.kind in ("and", "or", "call", "case")
    if kind == "or":
        return parent.kind in ("or", "call", "case")
    return False


def type_text(sql_type: SqlType) -> str:
    """A type as format_type() has it."""
    if sql_type.length is None and not sql_type.is_array and sql_type.name in _BARE_NAMES:
        return _BARE_NAMES[sql_type.name]
    return sql_type.sql


def call_of(result: SqlType, *pieces: Piece) -> Shown:
    return Shown("call", result, pieces)


def call(name: str, result: SqlType, args: Sequence[Shown]) -> Shown:
    return Shown("call", result, (f"{name}(", *listed(args), ")"))


def listed(items: Sequence[Piece], separator: str = ", ") -> list[Piece]:
    """The items with the separator between them."""
    return [piece for item in items for piece in (separator, item)][1:]


def joined(word: str, parts: Sequence[Shown]) -> Shown:
    """The conditions under AND or OR."""
    if len(parts) == 1:
        return parts[0]
    return Shown(word, BOOL, tuple(piece for part in parts for piece in (f" {word.upper()} ", part))[1:])


def standing_alone(shown: Shown) -> Shown:
    """`shown` where it is a whole value: a whole row says its type there."""
    return Shown("atom", shown.type, (*shown.pieces, f"::{shown.alone}")) if shown.alone else shown


def without_casts(shown: Shown) -> Shown:
    """`shown` where a cast of it that nobody wrote is not shown."""
    return Shown("query", shown.type, (shown,))


def cannot_be_shown(what: object) -> FeatureNotSupported:
    name = what if isinstance(what, str) else type(what).__name__
    return FeatureNotSupported(f"{name} cannot be shown")
