"""The jsonpath language: text to a tree of items, and the tree as the canonical text PostgreSQL prints (hop 2 and 6).

An item knows what follows it (`$.a[*]` is $, then .a, then [*]); operators hold their operands.

Spec: PostgreSQL 15 documentation, 8.14.7 "jsonpath Type" and 9.16.2; wording of its parser's errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

from shoal.catalog.errors import FeatureNotSupported, InvalidTextRepresentation, SqlError, SqlSyntaxError
from shoal.exec.functions.json_text import quoted

UNLIMITED = 0xFFFFFFFF
"""`last` as a level of .**{...}."""
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
METHODS = frozenset({"abs", "ceiling", "double", "floor", "keyvalue", "size", "type"})
_LOOSE, _STICKY = 2, 6
_PRIORITIES = {"||": 0, "&&": 1, **dict.fromkeys([*COMPARISONS, "starts with"], _LOOSE), "+": 3, "-": 3, "*": 4, "/": 4,
               "%": 4, "unary": 5}
_KEYWORDS = frozenset({"is", "to", "abs", "lax", "flag", "last", "size", "type", "with", "floor", "double", "exists",
                       "starts", "strict", "ceiling", "unknown", "datetime", "keyvalue", "like_regex"})
_BLANK = re.compile(r"[ \t\n\r\f]+")
_OTHER = r'[^?%$.\[\]{}()|&!=<>@#,*:\-+/\\" \t\n\r\f]'
_WORD = re.compile(rf"(?:{_OTHER}|\\(?:.|\n))+")
_NUMBER = re.compile(r"(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"0|[1-9][0-9]*")
_JUNK = re.compile(_OTHER)
_OPERATOR = re.compile(r"&&|\|\||\*\*|<=|==|<>|!=|>=|[?%$.\[\]{}()|&!=<>@#,*:\-+/]")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SURROGATES = "Unicode low surrogate must follow a high surrogate."


@dataclass(slots=True)
class Item:
    """One step. `kind`: root, current, last, null, bool, number, string, variable; key, any_key, any_array, index, levels,
    filter, method, datetime; an operator's symbol, "unary +", "unary -", "!", "is unknown", exists, like_regex.

    `value` is the name, number, text or flags; `args` the operands (for index: pairs of items, the second may be None).
    """

    kind: str
    value: Any = None
    args: tuple[Any, ...] = ()
    next: Item | None = None


@dataclass(frozen=True, slots=True)
class JsonPath:
    root: Item
    lax: bool


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is the operator itself, a keyword, or name, string, variable, number, end; `shown` what errors quote."""

    kind: str
    value: Any = None
    shown: str = ""


def _syntax_error(message: str, shown: str) -> NoReturn:
    raise SqlSyntaxError(f'{message} at or near "{shown}" of jsonpath input' if shown
                         else f"{message} at end of jsonpath input")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        blank = _BLANK.match(text, at)
        if blank:
            at = blank.end()
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                _syntax_error("unexpected end of comment", "")
            at = end + 2
        elif char == '"':
            value, at = _quoted(text, at + 1)
            found.append(_Token("string", value, '"'))
        elif char == "$" and text[at + 1:at + 2] == '"':
            value, at = _quoted(text, at + 2)
            found.append(_Token("variable", value, '"'))
        elif char == "$" and (word := _WORD.match(text, at + 1)):
            at = word.end()
            found.append(_Token("variable", _unescaped(word[0]), _following(text, at)))
        elif char.isascii() and (char.isdigit() or (char == "." and text[at + 1:at + 2].isdigit())):
            token, at = _number(text, at)
            found.append(token)
        elif operator := _OPERATOR.match(text, at):
            kind = "!=" if operator[0] == "<>" else operator[0]
            found.append(_Token(kind, None, operator[0]))
            at = operator.end()
        else:
            word = _WORD.match(text, at)
            if word is None:
                _syntax_error("unexpected end after backslash", "")
            at = word.end()
            name = _unescaped(word[0])
            lower = name.lower()
            kind = lower if lower in _KEYWORDS else name if name in ("null", "true", "false") else "name"
            found.append(_Token(kind, name, _following(text, at)))
    found.append(_Token("end"))
    return found


def _following(text: str, at: int) -> str:
    """What an error at a bare word quotes: the blanks that ended it."""
    blank = _BLANK.match(text, at)
    return blank[0] if blank else ""


def _number(text: str, start: int) -> tuple[_Token, int]:
    match = _NUMBER.match(text, start)
    assert match is not None
    end = match.end()
    if end < len(text) and _JUNK.match(text, end):
        _syntax_error("trailing junk after numeric literal", text[start:end + 1])
    return _Token("number", match[0], match[0]), end


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The string that begins after its opening quote, and where it ends."""
    at = start
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        _syntax_error("unexpected end of quoted string", "")
    return _unescaped(text[start:at]), at + 1


def _unescaped(body: str) -> str:
    if "\\" not in body:
        return body
    out: list[str] = []
    high = 0
    at = 0
    while at < len(body):
        char = body[at]
        code: int | None = None
        if char == "\\" and body[at + 1:at + 2] == "u":
            match = re.compile(r"\\u(?:([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]{1,6})\})").match(body, at)
            if match is None:
                bad = re.compile(r"\\u\{?[0-9A-Fa-f]*").match(body, at)
                _syntax_error("invalid unicode sequence", bad[0] if bad else "")
            code, at = int(match[1] or match[2], 16), match.end()
        elif char == "\\" and body[at + 1:at + 2] == "x":
            match = re.compile(r"\\x([0-9A-Fa-f]{2})").match(body, at)
            if match is None:
                bad = re.compile(r"\\x[0-9A-Fa-f]?").match(body, at)
                _syntax_error("invalid hex character sequence", bad[0] if bad else "")
            code, at = int(match[1], 16), match.end()
        if code is None:
            if high:
                raise _bad_unicode(_SURROGATES)
            if char == "\\":
                escaped = body[at + 1]
                out.append(_ESCAPES.get(escaped, escaped))
                at += 2
            else:
                out.append(char)
                at += 1
            continue
        if code == 0:
            from shoal.catalog.errors import UntranslatableCharacter
            raise UntranslatableCharacter("unsupported Unicode escape sequence",
                                          detail="\\u0000 cannot be converted to text.")
        if 0xD800 <= code <= 0xDBFF:
            if high:
                raise _bad_unicode("Unicode high surrogate must not follow a high surrogate.")
            high = code
            continue
        if 0xDC00 <= code <= 0xDFFF:
            if not high:
                raise _bad_unicode(_SURROGATES)
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
            high = 0
        elif high:
            raise _bad_unicode(_SURROGATES)
        out.append(chr(code))
    if high:
        raise _bad_unicode(_SURROGATES)
    return "".join(out)


def _bad_unicode(detail: str) -> SqlError:
    return InvalidTextRepresentation("invalid input syntax for type jsonpath", detail=detail)


class _Parser:
    """Recursive descent; predicates and values share one grammar, and are told apart once an operator shows which."""

    def __init__(self, text: str) -> None:
        self.tokens, self.at = _tokens(text), 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def accept(self, *kinds: str) -> bool:
        if self.token.kind in kinds:
            self.at += 1
            return True
        return False

    def expect(self, kind: str) -> None:
        if not self.accept(kind):
            self.fail()

    def fail(self) -> NoReturn:
        _syntax_error("syntax error", self.token.shown)

    def whole(self) -> JsonPath:
        lax = not self.accept("strict")
        if lax:
            self.accept("lax")
        found, _ = self.any_expression()
        if self.token.kind != "end":
            self.fail()
        _check(found, 0, False)
        return JsonPath(found, lax)

    # A predicate or a value; the flag says which

    def any_expression(self) -> tuple[Item, bool]:
        left = self.conjunction()
        while self.token.kind == "||":
            self.must(left, True)
            self.at += 1
            left = (Item("||", None, (left[0], self.must(self.conjunction(), True))), True)
        return left

    def conjunction(self) -> tuple[Item, bool]:
        left = self.comparison()
        while self.token.kind == "&&":
            self.must(left, True)
            self.at += 1
            left = (Item("&&", None, (left[0], self.must(self.comparison(), True))), True)
        return left

    def must(self, found: tuple[Item, bool], predicate: bool) -> Item:
        if found[1] != predicate:
            self.fail()
        return found[0]

    def predicate(self) -> Item:
        return self.must(self.any_expression(), True)

    def expression(self) -> Item:
        return self.must(self.sum(), False)

    def comparison(self) -> tuple[Item, bool]:
        if self.accept("!"):
            if self.token.kind not in ("(", "exists"):
                self.fail()
            if self.token.kind == "exists":
                return Item("!", None, (self.exists(),)), True
            self.at += 1
            inner = self.predicate()
            self.expect(")")
            return Item("!", None, (inner,)), True
        if self.token.kind == "exists":
            return self.exists(), True
        left = self.sum()
        if left[1]:
            return left
        kind = self.token.kind
        if kind in COMPARISONS:
            self.at += 1
            return Item(kind, None, (left[0], self.expression())), True
        if kind == "starts":
            self.at += 1
            self.expect("with")
            if self.token.kind not in ("string", "variable"):
                self.fail()
            initial = Item(self.token.kind, self.token.value)
            self.at += 1
            return Item("starts with", None, (left[0], initial)), True
        if kind == "like_regex":
            self.at += 1
            return self.like_regex(left[0]), True
        return left

    def exists(self) -> Item:
        self.at += 1
        self.expect("(")
        inner = self.expression()
        self.expect(")")
        return Item("exists", None, (inner,))

    def like_regex(self, left: Item) -> Item:
        pattern, flags = self.token.value, ""
        if self.token.kind != "string":
            self.fail()
        self.at += 1
        if self.accept("flag"):
            if self.token.kind != "string":
                self.fail()
            flags = self.token.value
            self.at += 1
        for flag in flags:
            if flag not in "ismxq":
                raise SqlSyntaxError("invalid input syntax for type jsonpath",
                                     detail=f'Unrecognized flag character "{flag}" in LIKE_REGEX predicate.')
        if "x" in flags and "q" not in flags:
            raise FeatureNotSupported('XQuery "x" flag (expanded regular expressions) is not implemented')
        flags = "".join(flag for flag in "ismxq" if flag in flags)
        like_regex_pattern(pattern, flags)
        return Item("like_regex", (pattern, flags), (left,))

    def sum(self) -> tuple[Item, bool]:
        left = self.product()
        while self.token.kind in ("+", "-") and not left[1]:
            kind = self.token.kind
            self.at += 1
            left = (Item(kind, None, (left[0], self.must(self.product(), False))), False)
        return left

    def product(self) -> tuple[Item, bool]:
        left = self.unary()
        while self.token.kind in ("*", "/", "%") and not left[1]:
            kind = self.token.kind
            self.at += 1
            left = (Item(kind, None, (left[0], self.must(self.unary(), False))), False)
        return left

    def unary(self) -> tuple[Item, bool]:
        if self.token.kind in ("+", "-"):
            sign = self.token.kind
            self.at += 1
            inner = self.must(self.unary(), False)
            return Item(f"unary {sign}", None, (inner,)), False
        return self.accessed()

    def accessed(self) -> tuple[Item, bool]:
        token = self.token
        if self.accept("("):
            inner, predicate = self.any_expression()
            self.expect(")")
            if predicate and self.accept("is"):
                self.expect("unknown")
                return Item("is unknown", None, (inner,)), True
            if self.token.kind not in (".", "[", "?"):
                return inner, predicate
            return self.accessors(inner), False
        self.at += 1
        kind = token.kind
        if kind in ("string", "variable"):
            item = Item(kind, token.value)
        elif kind == "number":
            item = Item("number", Decimal(token.value))
        elif kind == "null":
            item = Item("null")
        elif kind in ("true", "false"):
            item = Item("bool", kind == "true")
        elif kind in ("$", "@", "last"):
            item = Item({"$": "root", "@": "current"}.get(kind, kind))
        else:
            self.at -= 1
            self.fail()
        return self.accessors(item), False

    def accessors(self, first: Item) -> Item:
        last = first
        while last.next is not None:
            last = last.next
        while self.token.kind in (".", "[", "?"):
            last.next = self.accessor()
            last = last.next
        return first

    def accessor(self) -> Item:
        if self.accept("?"):
            self.expect("(")
            inner = self.predicate()
            self.expect(")")
            return Item("filter", None, (inner,))
        if self.accept("["):
            return self.subscripts()
        self.expect(".")
        token = self.token
        self.at += 1
        if token.kind == "*":
            return Item("any_key")
        if token.kind == "**":
            return self.levels()
        if (token.kind != "string" and token.value is None) or token.kind in ("number", "variable"):
            self.at -= 1
            self.fail()
        if self.token.kind == "(" and token.kind in METHODS | {"datetime"}:
            self.at += 1
            return self.method(token.kind)
        return Item("key", token.value)

    def method(self, name: str) -> Item:
        template = None
        if name == "datetime" and self.token.kind == "string":
            template = self.token.value
            self.at += 1
        self.expect(")")
        return Item("datetime", template) if name == "datetime" else Item("method", name)

    def subscripts(self) -> Item:
        if self.accept("*"):
            self.expect("]")
            return Item("any_array")
        pairs: list[tuple[Item, Item | None]] = []
        while True:
            start = self.expression()
            pairs.append((start, self.expression() if self.accept("to") else None))
            if not self.accept(","):
                break
        self.expect("]")
        return Item("index", None, tuple(pairs))

    def levels(self) -> Item:
        if not self.accept("{"):
            return Item("levels", (0, UNLIMITED))
        first = last = self.level()
        if self.accept("to"):
            last = self.level()
        self.expect("}")
        return Item("levels", (first, last))

    def level(self) -> int:
        token = self.token
        if self.accept("last"):
            return UNLIMITED
        if token.kind != "number" or not _INTEGER.fullmatch(token.value):
            self.fail()
        self.at += 1
        return int(token.value)


def like_regex_pattern(pattern: str, flags: str) -> Any:
    """The compiled pattern of like_regex: XQuery's flags as our regular expressions have them."""
    from shoal.exec.kernels.regex import compiled
    if "q" in flags:
        return compiled("***=" + pattern, "i" if "i" in flags else "")
    newlines = "w" if "s" in flags and "m" in flags else "" if "s" in flags else "n" if "m" in flags else "p"
    return compiled(pattern, ("i" if "i" in flags else "") + newlines)


def _check(item: Item | None, nesting: int, in_subscript: bool) -> None:
    """Raises: SqlSyntaxError (42601) for @ outside filters and `last` outside subscripts."""
    while item is not None:
        if item.kind == "current" and nesting <= 0:
            raise SqlSyntaxError("@ is not allowed in root expressions")
        if item.kind == "last" and not in_subscript:
            raise SqlSyntaxError("LAST is allowed only in array subscripts")
        if item.kind == "index":
            for start, end in item.args:
                _check(start, nesting, True)
                _check(end, nesting, True)
        else:
            for arg in item.args:
                _check(arg, nesting + (item.kind == "filter"), in_subscript)
        item = item.next


@lru_cache(maxsize=512)
def parse(text: str) -> JsonPath:
    """The path that `text` is. Raises: SqlSyntaxError (42601), InvalidTextRepresentation (22P02) ..."""
    if not text:
        raise InvalidTextRepresentation('invalid input syntax for type jsonpath: ""')
    try:
        return _Parser(text).whole()
    except RecursionError:
        from shoal.catalog.errors import StatementTooComplex
        raise StatementTooComplex("stack depth limit exceeded") from None


@lru_cache(maxsize=512)
def canonical(text: str) -> str:
    """The text that a jsonpath of this text prints."""
    path = parse(text)
    return ("" if path.lax else "strict ") + _shown(path.root, False, True)


@lru_cache(maxsize=512)
def leading_names(text: str) -> tuple[tuple[str, ...], str]:
    """The names that a lax path begins with, and the path that goes on from what they lead to; no names where the rest
    speaks of the whole document."""
    path = parse(text)
    names: list[str] = []
    item: Item | None = path.root
    if not path.lax or item is None or item.kind != "root":
        return (), text
    item = item.next
    while item is not None and item.kind == "key":
        names.append(item.value)
        item = item.next
    if not names or _speaks_of_document(item):
        return (), text
    return tuple(names), "$" + (_shown(item, True, True) if item is not None else "")


def _speaks_of_document(item: Item | None) -> bool:
    while item is not None:
        if item.kind == "root" or (item.kind == "method" and item.value == "keyvalue"):
            return True
        parts = [part for pair in item.args for part in pair] if item.kind == "index" else item.args
        if any(map(_speaks_of_document, parts)):
            return True
        item = item.next
    return False


def _priority(item: Item) -> int:
    return _PRIORITIES.get("unary" if item.kind.startswith("unary") else item.kind, _STICKY)


def _operand(item: Item, parent: Item) -> str:
    return _shown(item, False, _priority(item) <= _priority(parent))


def _shown(item: Item, inside: bool, brackets: bool) -> str:
    """`inside`: after another item; `brackets`: around operators."""
    kind, value = item.kind, item.value
    opening, closing = ("(", ")") if brackets else ("", "")
    if kind in _PRIORITIES:
        text = f"{opening}{_operand(item.args[0], item)} {kind} {_operand(item.args[1], item)}{closing}"
    elif kind.startswith("unary"):
        text = f"{opening}{kind[-1]}{_operand(item.args[0], item)}{closing}"
    elif kind == "like_regex":
        flags = f' flag "{value[1]}"' if value[1] else ""
        text = f"{opening}{_operand(item.args[0], item)} like_regex {quoted(value[0])}{flags}{closing}"
    elif kind == "number":
        text = f"({value:f})" if item.next is not None else f"{value:f}"
    elif kind == "index":
        text = "[" + ",".join(_shown(start, False, False) + (f" to {_shown(end, False, False)}" if end else "")
                              for start, end in item.args) + "]"
    elif kind == "levels":
        text = ("." if inside else "") + _levels(*value)
    else:
        text = _simple(item, inside)
    return text + (_shown(item.next, True, True) if item.next is not None else "")


def _simple(item: Item, inside: bool) -> str:
    dot = "." if inside else ""
    match item.kind:
        case "key":
            return dot + quoted(item.value)
        case "any_key":
            return dot + "*"
        case "string":
            return quoted(item.value)
        case "variable":
            return "$" + quoted(item.value)
        case "bool":
            return "true" if item.value else "false"
        case "filter":
            return f"?({_shown(item.args[0], False, False)})"
        case "!":
            return f"!({_shown(item.args[0], False, False)})"
        case "is unknown":
            return f"({_shown(item.args[0], False, False)}) is unknown"
        case "exists":
            return f"exists ({_shown(item.args[0], False, False)})"
        case "method":
            return f".{item.value}()"
        case "datetime":
            return f".datetime({'' if item.value is None else quoted(item.value)})"
        case _:
            return {"root": "$", "current": "@", "any_array": "[*]"}.get(item.kind, item.kind)


def _levels(first: int, last: int) -> str:
    if (first, last) == (0, UNLIMITED):
        return "**"
    if first == last:
        return "**{last}" if first == UNLIMITED else f"**{{{first}}}"
    return f"**{{{'last' if first == UNLIMITED else first} to {'last' if last == UNLIMITED else last}}}"
