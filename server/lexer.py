"""SQL text -> tokens and statements, as far as the session needs them: to cut a query string at its semicolons and to
recognise the statements it answers itself (server/statements.py). Expressions are never parsed here.

Spec: PostgreSQL 15 documentation, 4.1 "Lexical Structure".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from shoal.catalog.errors import FeatureNotSupported, SqlError, SqlSyntaxError

Kind = Literal["word", "quoted", "string", "number", "parameter", "symbol"]


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is the folded word, the identifier or string without quotes, or the text itself; `start`/`end` are
    character offsets."""

    kind: Kind
    value: str
    start: int
    end: int


_TOKEN = re.compile(r"""
    (?P<space>\s+ | --[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<estring>[eE]'(?:[^'\\]++|\\.|'')*+')
  | (?P<open>[eE]')
  | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']++|'')*+')
  | (?P<quoted>(?:[uU]&)?"(?:[^"]++|"")*+")
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$)
  | (?P<parameter>\$\d+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
  | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)? | \.\d+(?:[eE][+-]?\d+)?)
  | (?P<symbol>.)
""", re.VERBOSE | re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_NAMED_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def tokens(sql: str) -> Iterator[Token]:
    """Every token that is neither white space nor a comment. Raises: SqlSyntaxError (42601), unterminated quotes."""
    position, length = 0, len(sql)
    while position < length:
        match = _TOKEN.match(sql, position)
        assert match is not None
        kind, text, end = match.lastgroup, match.group(), match.end()
        if kind == "space":
            position = end
            continue
        if kind == "comment":
            position = _comment_end(sql, position)
            continue
        if kind == "word":
            yield Token("word", text.lower(), position, end)
        elif kind == "string":
            yield Token("string", text[text.index("'") + 1:-1].replace("''", "'"), position, end)
        elif kind == "estring":
            yield Token("string", _unescape(text[2:-1]), position, end)
        elif kind == "quoted":
            yield Token("quoted", text[text.index('"') + 1:-1].replace('""', '"'), position, end)
        elif kind == "dollar":
            close = sql.find(text, end)
            if close < 0:
                raise _unterminated("dollar-quoted string", sql, position)
            yield Token("string", sql[end:close], position, close + len(text))
            end = close + len(text)
        elif kind == "open" or text in ("'", '"'):
            raise _unterminated("quoted identifier" if text == '"' else "quoted string", sql, position)
        else:
            yield Token(kind, text, position, end)  # type: ignore[arg-type]
        position = end


def _comment_end(sql: str, start: int) -> int:
    depth, position = 0, start
    while match := _COMMENT_EDGE.search(sql, position):
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
        if depth == 0:
            return position
    raise _unterminated("/* comment", sql, start)


def _unterminated(what: str, sql: str, start: int) -> SqlSyntaxError:
    return SqlSyntaxError(f'unterminated {what} at or near "{sql[start:]}"', position=start + 1)


def _unescape(body: str) -> str:
    def one(match: re.Match[str]) -> str:
        octal, short, four, eight, other = match.groups()
        if octal:
            return chr(int(octal, 8) & 0xFF)
        digits = short or four or eight
        if digits:
            return chr(min(int(digits, 16), 0x10FFFF))
        return _NAMED_ESCAPES.get(other, other)

    return _ESCAPE.sub(one, body.replace("''", "'"))


Edits = tuple[tuple[int, int], ...]
"""(offset in an edited text, by how much what stands there was longer before), ascending."""


@dataclass(frozen=True, slots=True)
class StatementText:
    """One statement of a query string: its text without the semicolon, and its character offset in the string."""

    text: str
    offset: int
    notices: tuple[str, ...] = ()
    """Of names that were too long."""
    gap: int = 0
    """Characters between it and its semicolon, or the end of the string."""
    closed: bool = False
    """A semicolon follows."""
    edits: tuple[Edits, ...] = ()
    """From `text` back to what the client wrote, one after the other."""

    def located(self, error: SqlError) -> None:
        """Moves an error's position in `text` to the one in what the client wrote, and one about the statement's end to
        where the string says that it ends."""
        for edits in self.edits:
            as_written(error, edits)
        if error.message == "syntax error at end of input":
            error.position += self.gap
            if self.closed:
                error.message = 'syntax error at or near ";"'


def as_written(error: SqlError, edits: Edits) -> None:
    """Moves an error's position in an edited text to the one in the text as it was."""
    if (error.position - 1, -1) in edits:  # it is about the constant itself, which had no E
        error.message = error.message.replace("""at or near "E'""", """at or near "'""")
    error.position = unedited(error.position - 1, edits) + 1 if error.position else 0


def unedited(offset: int, edits: Edits) -> int:
    """Where a character of an edited text stood before."""
    return offset + sum(longer for at, longer in edits if at < offset)


_PLAIN = re.compile(r"""(?: [^;'"$/\-eE]++ | [eE](?!') | -(?!-) | /(?!\*) | \$(?=\d)
                          | '(?:[^']++|'')*+' | "(?:[^"]++|"")*+" )*+ ;? \s*""", re.VERBOSE)


def split(sql: str) -> list[StatementText]:
    """The statements of a query string; empty ones are left out. Raises: SqlSyntaxError (42601)."""
    if _PLAIN.fullmatch(sql):  # one statement without comments or odd quotes: most strings, and the long ones
        text = sql.strip().rstrip(";").rstrip()
        if not text:
            return []
        offset = sql.index(text)
        close = sql.find(";", offset + len(text))
        return [StatementText(text, offset, (), (len(sql) if close < 0 else close) - offset - len(text), close >= 0)]
    found: list[StatementText] = []
    start = end = -1
    depth = atomic = 0  # atomic: the CASEs, and BEGIN ATOMIC itself, that wait for their END
    word = ""
    for token in tokens(sql):
        before, word = word, token.value if token.kind == "word" else ""
        if word == "atomic" and before == "begin":
            atomic = 1
        elif atomic and word in ("case", "end"):
            atomic += 1 if word == "case" else -1
        if token.kind == "symbol":
            if token.value == ";" and depth == 0 and not atomic:
                if start >= 0:
                    found.append(StatementText(sql[start:end], start, (), token.start - end, True))
                start = -1
                continue
            depth += (token.value == "(") - (token.value == ")" and depth > 0)
        start, end = token.start if start < 0 else start, token.end
    if start >= 0:
        found.append(StatementText(sql[start:end], start, (), len(sql) - end))
    return found


_BACKSLASHED = re.compile(r"""
    (?P<unicode> [uU]&')
  | (?P<other> --[^\n\r]*+ | [eE]'(?:[^'\\]++|\\.|'')*+' | [bBxX]'[^']*+' | "(?:[^"]++|"")*+"
        | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$).*?(?P=dollar)
        | [A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*+(?!') )
  | (?P<comment> /\*)
  | (?P<string> [nN]?(?P<quotes>'(?:[^'\\]++|\\.|'')*+'))
""", re.VERBOSE | re.DOTALL)


def conforming(sql: str) -> tuple[str, Edits]:
    r"""`sql`, written under standard_conforming_strings = off, with E'...' for each '...' that has a backslash.

    Raises: FeatureNotSupported (0A000) for U&'...', which is unsafe then.
    """
    pieces: list[str] = []
    edits: list[tuple[int, int]] = []
    position = done = 0
    while found := _BACKSLASHED.search(sql, position):
        position = found.end()
        if found["comment"]:
            position = _comment_end(sql, found.start())
        elif found["unicode"]:
            raise FeatureNotSupported("unsafe use of string constant with Unicode escapes", position=found.start() + 1,
                                      detail="String constants with Unicode escapes cannot be used when "
                                             "standard_conforming_strings is off.")
        elif found["string"] and "\\" in found["quotes"]:
            start = found.start("quotes")
            mark = "E" if start == found.start() else "nchar E"
            edits.append((found.start() - sum(longer for _, longer in edits), start - found.start() - len(mark)))
            pieces += [sql[done:found.start()], mark, found["quotes"]]
            done = position
    return "".join([*pieces, sql[done:]]), tuple(edits)


LONGEST_NAME_BYTES = 63
_MAY_BE_LONG = re.compile(r'[\w$]{16}|"[^"]{16}')  # the shortest run of characters that may be more bytes than that


def shorten(sql: str) -> tuple[str, tuple[str, ...], Edits]:
    """`sql` with identifiers of more than 63 bytes cut to them, and the notices of it. Raises: SqlSyntaxError."""
    if len(sql) <= LONGEST_NAME_BYTES // 4 or _MAY_BE_LONG.search(sql) is None:
        return sql, (), ()
    notices: list[str] = []
    edits: list[tuple[int, int]] = []
    pieces, position = [], 0
    for token in tokens(sql):
        if token.kind not in ("word", "quoted") or token.end - token.start <= LONGEST_NAME_BYTES // 4:
            continue
        raw = token.value.encode()
        if len(raw) <= LONGEST_NAME_BYTES:
            continue
        short = raw[:LONGEST_NAME_BYTES].decode(errors="ignore")
        notices.append(f'identifier "{token.value}" will be truncated to "{short}"')
        name = '"' + short.replace('"', '""') + '"' if token.kind == "quoted" else short
        pieces += [sql[position:token.start], name]
        edits.append((token.start - sum(longer for _, longer in edits), token.end - token.start - len(name)))
        position = token.end
    return ("".join([*pieces, sql[position:]]), tuple(notices), tuple(edits)) if notices else (sql, (), ())


_FIRST_WORD = re.compile(r"[\s(]*+(?:([A-Za-z_]++)|(--|/\*))?")


def first_word(sql: str) -> str:
    """The statement's first keyword in lower case; "" when it does not start with a word. Comments are skipped."""
    match = _FIRST_WORD.match(sql)
    assert match is not None
    word, comment = match.groups()
    if comment is not None:
        first = next((token for token in tokens(sql) if token.kind != "symbol" or token.value != "("), None)
        return first.value if first is not None and first.kind == "word" else ""
    return "" if word is None else word.lower()
