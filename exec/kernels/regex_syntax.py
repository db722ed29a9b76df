"""PostgreSQL's regular expressions as trees: advanced, extended and basic ones, with all their options and errors.

Spec: PostgreSQL 15 documentation, 9.7.3 "POSIX Regular Expressions".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from shoal.catalog.errors import InvalidRegularExpression
from shoal.exec.kernels.regex_characters import CLASSES, LAST, Chars, Range, case_variants, merged

MOST_REPEATS: Final = 255
LONGER, SHORTER = 1, 2


def bad(reason: str) -> InvalidRegularExpression:
    """The error (2201B) for an expression that cannot be used."""
    return InvalidRegularExpression(f"invalid regular expression: {reason}")


TOO_COMPLEX: Final = "regular expression is too complex"
_ESCAPE = "invalid escape \\ sequence"
_BRACKETS = "brackets [] not balanced"
_PARENTHESES = "parentheses () not balanced"
_OPERAND = "quantifier operand invalid"
_COUNTS = "invalid repetition count(s)"
_RANGE = "invalid character range"
_BACK = "invalid backreference number"


# --- the tree

@dataclass(frozen=True, slots=True)
class Edge:
    """A place: "bos" "eos" (of the text), "bol" "eol" (of a line), "<" ">" (of a word), "y" (either), "Y" (neither)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Look:
    """A place before (`ahead`) or after which `body` matches, or does not."""

    ahead: bool
    negated: bool
    body: Alternation


@dataclass(frozen=True, slots=True)
class Group:
    """Parentheses; number 0 captures nothing."""

    number: int
    body: Alternation


@dataclass(frozen=True, slots=True)
class Back:
    """What group `number` matched; `body` is what it may match."""

    number: int
    body: Alternation


Atom = Chars | Edge | Look | Group | Back


@dataclass(frozen=True, slots=True)
class Item:
    """An atom and how often it may come (`most` None: any number of times).

    `preference`: LONGER or SHORTER where a quantifier says so, 0 for none, which leaves it to the atom.
    """

    atom: Atom
    least: int = 1
    most: int | None = 1
    preference: int = 0


Branch = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Alternation:
    """Branches of which one matches."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How an expression is read (9.7.3.4)."""

    kind: Literal["advanced", "extended", "basic", "literal"] = "advanced"
    fold: bool = False
    expanded: bool = False
    stop: bool = False
    """. and [^...] never match a newline."""
    anchors: bool = False
    """^ and $ also match at newlines."""


@dataclass(slots=True)
class Syntax:
    """A whole expression."""

    tree: Alternation
    groups: int
    options: Options
    has_back: bool = False
    has_look: bool = False


def with_option(options: Options, letter: str) -> Options | None:
    """The options after one more letter; None for a letter that is none."""
    match letter:
        case "b":
            return replace(options, kind="basic")
        case "e":
            return replace(options, kind="extended")
        case "q":
            return replace(options, kind="literal")
        case "c":
            return replace(options, fold=False)
        case "i":
            return replace(options, fold=True)
        case "m" | "n":
            return replace(options, stop=True, anchors=True)
        case "p":
            return replace(options, stop=True, anchors=False)
        case "s":
            return replace(options, stop=False, anchors=False)
        case "t":
            return replace(options, expanded=False)
        case "w":
            return replace(options, stop=False, anchors=True)
        case "x":
            return replace(options, expanded=True)
    return None


def parse(pattern: str, options: Options) -> Syntax:
    """Raises: InvalidRegularExpression (2201B)."""
    try:
        return _Parser(pattern, options).parse()
    except RecursionError:
        raise bad(TOO_COMPLEX) from None


_NAMES: Final = {"NUL": 0, "alert": 7, "backspace": 8, "tab": 9, "newline": 10, "vertical-tab": 11, "form-feed": 12,
                 "carriage-return": 13, "space": 32, "exclamation-mark": 33, "quotation-mark": 34, "number-sign": 35,
                 "dollar-sign": 36, "percent-sign": 37, "ampersand": 38, "apostrophe": 39, "left-parenthesis": 40,
                 "right-parenthesis": 41, "asterisk": 42, "plus-sign": 43, "comma": 44, "hyphen": 45, "hyphen-minus": 45,
                 "period": 46, "full-stop": 46, "slash": 47, "solidus": 47, "colon": 58, "semicolon": 59,
                 "less-than-sign": 60, "equals-sign": 61, "greater-than-sign": 62, "question-mark": 63, "commercial-at": 64,
                 "left-square-bracket": 91, "backslash": 92, "reverse-solidus": 92, "right-square-bracket": 93,
                 "circumflex": 94, "circumflex-accent": 94, "underscore": 95, "low-line": 95, "grave-accent": 96,
                 "left-brace": 123, "left-curly-bracket": 123, "vertical-line": 124, "right-brace": 125,
                 "right-curly-bracket": 125, "tilde": 126, "DEL": 127, "ESC": 27, "zero": 48, "one": 49, "two": 50,
                 "three": 51, "four": 52, "five": 53, "six": 54, "seven": 55, "eight": 56, "nine": 57}
_CONTROLS: Final = {"a": 7, "b": 8, "B": 92, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_SHORTHANDS: Final = {"d": ("digit", False), "D": ("digit", True), "s": ("space", False), "S": ("space", True),
                      "w": ("word", False), "W": ("word", True)}
_PLACES: Final = {"A": "bos", "Z": "eos", "m": "<", "M": ">", "y": "y", "Y": "Y"}


@dataclass(slots=True)
class _Parser:
    text: str
    options: Options
    at: int = 0
    groups: int = 0
    bodies: dict[int, Alternation] = field(default_factory=dict)
    """Of the groups that are closed."""
    has_back: bool = False
    has_look: bool = False

    def parse(self) -> Syntax:
        self._prefixes()
        if self.options.kind == "literal":
            if self.options.expanded or self.options.stop or self.options.anchors:
                raise bad("invalid argument to regex function")
            items = tuple(Item(self._one(ord(char))) for char in self.text[self.at:])
            return Syntax(Alternation((items,)), 0, self.options)
        tree = self._alternation(nested=False, look=False)
        return Syntax(tree, self.groups, self.options, self.has_back, self.has_look)

    def _prefixes(self) -> None:
        if self.options.kind != "advanced":
            return
        if self.text.startswith("***"):
            if self.text.startswith("***="):
                self.options = replace(self.options, kind="literal")
                self.at = 4
                return
            if not self.text.startswith("***:"):
                raise bad("invalid regexp (reg version 0.8)" if self.text.startswith("***?") else _OPERAND)
            self.at = 4
        if self.text.startswith("(?", self.at) and self.text[self.at + 2:self.at + 3].isalpha():
            self.at += 2
            while self.text[self.at:self.at + 1].isalpha():
                found = with_option(self.options, self.text[self.at])
                if found is None:
                    raise bad("invalid embedded option")
                self.options = found
                self.at += 1
            if self.text[self.at:self.at + 1] != ")":
                raise bad("invalid embedded option")
            self.at += 1

    # --- structure

    @property
    def _basic(self) -> bool:
        return self.options.kind == "basic"

    def _sees(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def _skip(self) -> None:
        """White space and comments where they mean nothing."""
        while True:
            if self.options.expanded:
                while self.at < len(self.text) and self.text[self.at] in " \t\n\v\f\r":
                    self.at += 1
                if self._sees("#"):
                    while self.at < len(self.text) and self.text[self.at] != "\n":
                        self.at += 1
                    continue
            if self.options.kind == "advanced" and self._sees("(?#"):
                while self.at < len(self.text) and self.text[self.at] != ")":
                    self.at += 1
                self.at = min(self.at + 1, len(self.text))
                continue
            return

    def _closes(self) -> bool:
        return self._sees("\\)") if self._basic else self._sees(")")

    def _alternation(self, *, nested: bool, look: bool) -> Alternation:
        branches = [self._branch(nested, look)]
        while not self._basic and self._sees("|"):
            self.at += 1
            branches.append(self._branch(nested, look))
        return Alternation(tuple(branches))

    def _branch(self, nested: bool, look: bool) -> Branch:
        items: list[Item] = []
        start = True
        while True:
            self._skip()
            if self.at >= len(self.text) or (not self._basic and self._sees("|")):
                break
            if self._closes() and (nested or self.options.kind != "extended"):
                if not nested:
                    raise bad(_PARENTHESES)
                break
            atom = self._atom(start, look)
            start = False
            if isinstance(atom, Edge | Look):
                items.append(Item(atom))
                continue
            self._skip()
            item = self._quantified(atom)
            if item is not None:
                items.append(item)
        return tuple(items)

    def _close(self) -> None:
        if not self._closes():
            raise bad(_PARENTHESES)
        self.at += 2 if self._basic else 1

    def _atom(self, start: bool, look: bool) -> Atom:
        char = self.text[self.at]
        self.at += 1
        if char == "[":
            for edge in "<>":
                if self.text.startswith(f"[:{edge}:]]", self.at):
                    self.at += 6
                    return Edge(edge)
            return self._bracket()
        if char == ".":
            return Chars(negated=True, without_newline=self.options.stop)
        if self._basic:
            return self._basic_atom(char, start, look)
        match char:
            case "^":
                return Edge("bol" if self.options.anchors else "bos")
            case "$":
                return Edge("eol" if self.options.anchors else "eos")
            case "*" | "+" | "?":
                raise bad(_OPERAND)
            case "{" if self.text[self.at:self.at + 1].isdigit():
                raise bad(_OPERAND)
            case "(":
                return self._parenthesis(look)
            case "\\":
                return self._escape(look)
        return self._one(ord(char))

    def _basic_atom(self, char: str, start: bool, look: bool) -> Atom:
        if char == "*" and not start:
            raise bad(_OPERAND)
        if char == "^" and start:
            return Edge("bol" if self.options.anchors else "bos")
        if char == "$":
            self._skip()
            if self.at >= len(self.text) or self._sees("\\)"):
                return Edge("eol" if self.options.anchors else "eos")
        if char != "\\":
            return self._one(ord(char))
        if self.at >= len(self.text):
            raise bad(_ESCAPE)
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            return self._captured(look)
        if char == "{":
            raise bad(_OPERAND)
        if char in "<>":
            return Edge(char)
        if char in "123456789":
            return self._back(int(char), look)
        return self._one(ord(char))

    def _parenthesis(self, look: bool) -> Atom:
        if self.options.kind == "advanced" and self._sees("?"):
            self.at += 1
            mark = self.text[self.at:self.at + 1]
            self.at += 1
            if mark == ":":
                body = self._alternation(nested=True, look=look)
                self._close()
                return Group(0, body)
            ahead = mark != "<"
            if not ahead:
                mark = self.text[self.at:self.at + 1]
                self.at += 1
            if mark not in ("=", "!"):
                raise bad(_OPERAND)
            self.has_look = True
            body = self._alternation(nested=True, look=True)
            self._close()
            return Look(ahead, mark == "!", body)
        return self._captured(look)

    def _captured(self, look: bool) -> Atom:
        if look:
            body = self._alternation(nested=True, look=True)
            self._close()
            return Group(0, body)
        self.groups += 1
        number = self.groups
        body = self._alternation(nested=True, look=False)
        self._close()
        self.bodies[number] = body
        return Group(number, body)

    def _back(self, number: int, look: bool) -> Back:
        if look or number not in self.bodies:
            raise bad(_BACK)
        self.has_back = True
        return Back(number, self.bodies[number])

    # --- quantifiers

    def _quantified(self, atom: Atom) -> Item | None:
        """The atom with the quantifier that follows; None for one that comes no times."""
        least: int
        most: int | None
        lazy_mark = self.options.kind == "advanced"
        if self._sees("*"):
            least, most = 0, None
            self.at += 1
        elif not self._basic and self._sees("+"):
            least, most = 1, None
            self.at += 1
        elif not self._basic and self._sees("?"):
            least, most = 0, 1
            self.at += 1
        elif self._sees("\\{") if self._basic else self._sees("{") and self.text[self.at + 1:self.at + 2].isdigit():
            self.at += 2 if self._basic else 1
            return self._counted(atom)
        else:
            return Item(atom)
        lazy = lazy_mark and self._sees("?")
        self.at += lazy
        return Item(atom, least, most, SHORTER if lazy else LONGER)

    def _counted(self, atom: Atom) -> Item | None:
        least = self._count()
        exact = True
        most: int | None = least
        self._skip_in_braces()
        if self._sees(","):
            exact = False
            self.at += 1
            self._skip_in_braces()
            most = self._count() if self.text[self.at:self.at + 1].isdigit() else None
            if most is not None and least > most:
                raise bad(_COUNTS)
        self._skip_in_braces()
        if self.at >= len(self.text):
            raise bad("braces {} not balanced")
        close = "\\}" if self._basic else "}"
        if not self._sees(close):
            raise bad(_COUNTS)
        self.at += len(close)
        lazy = self.options.kind == "advanced" and self._sees("?")
        self.at += lazy
        if most == 0:
            return None
        return Item(atom, least, most, 0 if exact else SHORTER if lazy else LONGER)

    def _skip_in_braces(self) -> None:
        if self.options.expanded:
            self._skip()

    def _count(self) -> int:
        self._skip_in_braces()
        start = self.at
        while self.text[self.at:self.at + 1] in tuple("0123456789"):
            self.at += 1
        if start == self.at:
            raise bad(_COUNTS if self.at < len(self.text) else "braces {} not balanced")
        value = int(self.text[start:self.at]) if self.at - start < 6 else MOST_REPEATS + 1
        if value > MOST_REPEATS:
            raise bad(_COUNTS)
        return value

    # --- characters

    def _one(self, code: int) -> Chars:
        codes = case_variants(code) if self.options.fold and code <= LAST else (code,)
        return Chars(tuple((c, c) for c in codes))

    def _escape(self, look: bool) -> Atom:
        if self.at >= len(self.text):
            raise bad(_ESCAPE)
        char = self.text[self.at]
        if self.options.kind == "advanced":
            if char in _PLACES:
                self.at += 1
                return Edge(_PLACES[char])
            if char in _SHORTHANDS:
                self.at += 1
                return Chars(classes=(_SHORTHANDS[char],))
            if char in "123456789":
                number = self._reference()
                if number:
                    return self._back(number, look)
        return self._one(self._escaped())

    def _reference(self) -> int:
        """The number of the group that \\N refers to, 0 where it is an octal number."""
        start = self.at
        end = start
        while self.text[end:end + 1] in tuple("0123456789"):
            end += 1
        number = int(self.text[start:end]) if end - start < 6 else 1 << 20
        if end - start == 1 or number <= self.groups:
            self.at = end
            return number
        return 0

    def _digits(self, base: int, least: int, most: int) -> int:
        allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"
        start = self.at
        while self.at - start < most and self.at < len(self.text) and self.text[self.at] in allowed:
            self.at += 1
        if self.at - start < least:
            raise bad(_ESCAPE)
        return int(self.text[start:self.at], base)

    def _escaped(self) -> int:
        """The code of the one character that an escape stands for; `at` is after the backslash."""
        char = self.text[self.at]
        self.at += 1
        if self.options.kind != "advanced" or not (char.isascii() and char.isalnum()):
            return ord(char)
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c":
            if self.at >= len(self.text):
                raise bad(_ESCAPE)
            self.at += 1
            return ord(self.text[self.at - 1]) & 0x1F
        if char in "uUx":
            code = self._digits(16, *{"u": (4, 4), "U": (8, 8), "x": (1, 255)}[char])
            if code > 0x7FFFFFFE:
                raise bad(_ESCAPE)
            return code
        if char.isdigit():
            self.at -= 1
            code = self._digits(8, 1, 3)
            if code > 0xFF:
                self.at -= 1
                code >>= 3
            return code
        raise bad(_ESCAPE)

    def _bracket(self) -> Chars:
        negated = self._sees("^")
        self.at += negated
        ranges: list[Range] = []
        classes: list[tuple[str, bool]] = []
        first = True
        while True:
            if self.at >= len(self.text):
                raise bad(_BRACKETS)
            if self._sees("]") and not first:
                self.at += 1
                break
            if self._sees("-") and not first and not self._sees("-]"):
                raise bad(_RANGE)
            self._element(ranges, classes)
            first = False
        if self.options.fold:
            classes = [("alpha" if name in ("lower", "upper") else name, no) for name, no in classes]
            ranges = [(c, c) for low, high in ranges for code in range(low, min(high, LAST) + 1)
                      for c in case_variants(code)]
        return Chars(merged(ranges), tuple(dict.fromkeys(classes)), negated, negated and self.options.stop)

    def _element(self, ranges: list[Range], classes: list[tuple[str, bool]]) -> None:
        if self._sees("[:"):
            name = self._between(":")
            if name not in CLASSES:
                raise bad("invalid character class")
            classes.append((name, False))
            return
        if self._sees("[="):
            code = self._named(self._between("="))
            ranges.append((code, code))
            return
        if self.options.kind == "advanced" and self._sees("\\") and self.text[self.at + 1:self.at + 2] in tuple(_SHORTHANDS):
            classes.append(_SHORTHANDS[self.text[self.at + 1]])
            self.at += 2
            return
        low = self._end_of_range()
        high = low
        if self._sees("-") and not self._sees("-]"):
            self.at += 1
            if self.at >= len(self.text):
                raise bad(_BRACKETS)
            if self._sees("[:") or self._sees("[="):
                raise bad(_RANGE)
            high = ord("-") if self._sees("-") else self._end_of_range()
            self.at += self._sees("-") and high == ord("-")
            if low > high:
                raise bad(_RANGE)
        ranges.append((low, high))

    def _end_of_range(self) -> int:
        if self._sees("[."):
            return self._named(self._between("."))
        char = self.text[self.at]
        self.at += 1
        if char != "\\" or self.options.kind != "advanced":
            return ord(char)
        if self.at >= len(self.text):
            raise bad(_ESCAPE)
        following = self.text[self.at]
        if following in _PLACES or following in _SHORTHANDS:
            raise bad(_RANGE if following in _SHORTHANDS else _ESCAPE)
        if following in "123456789" and self._reference():
            raise bad(_ESCAPE)
        return self._escaped()

    def _between(self, mark: str) -> str:
        end = self.text.find(mark + "]", self.at + 2)
        if end < 0:
            raise bad(_BRACKETS)
        name = self.text[self.at + 2:end]
        self.at = end + 2
        return name

    def _named(self, name: str) -> int:
        if len(name) == 1:
            return ord(name)
        if name not in _NAMES:
            raise bad("invalid collating element")
        return _NAMES[name]
