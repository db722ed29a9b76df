"""Reading psql scripts: statements, COPY data and the few meta-commands that regression scripts use.

Spec: PostgreSQL 15 documentation, psql ("Variables", "SQL Interpolation", \\set, \\getenv, \\gset) and 4.1 "Lexical
Structure".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PIECE = re.compile(r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<string> (?:(?P<escape>\b[eE])|(?P<unicode>\b[uU]&))?' )
    | (?P<quoted> "(?:[^"]|"")*" )
    | (?P<dollar> (?<![\w$])\$(?:[A-Za-z_\x80-\uffff][\w]*)?\$ )
    | (?P<variable> (?<!:):(?:'(?P<literal>\w+)'|"(?P<name>\w+)"|(?P<bare>[A-Za-z_]\w*)) )
    | (?P<meta> \\(?P<command>\S+)(?P<rest>[^\n]*) )
    | (?P<open> [(\[] ) | (?P<close> [)\]] ) | (?P<end> ; )
    | (?P<word> [A-Za-z_\x80-\uffff][\w$]* )
    """, re.VERBOSE)
_COPY_DATA = re.compile(r"\s*copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_LEAD = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
_OLD_STRINGS = re.compile(r"\s*(?:set|reset)\s+standard_conforming_strings(?:\s*(?:to|=)\s*(\w+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement as psql would send it, with its first line in the file; `data` follows COPY ... FROM STDIN."""

    text: str
    line: int
    data: str | None = None
    into_variables: bool = False
    """Ended by \\gset: its only row becomes variables."""

    @property
    def words(self) -> list[str]:
        """The first words, lower case, without comments and opening parentheses."""
        return [word.lower() for word in re.findall(r"[A-Za-z_]\w*", self.bare[:200])[:4]]

    @property
    def bare(self) -> str:
        """The text without comments, as far as they can be told without reading strings."""
        return re.sub(r"--[^\n]*|/\*.*?\*/", " ", self.text, flags=re.DOTALL).strip()

    @property
    def is_query(self) -> bool:
        """Whether it asks for rows by a query, and not by a cursor or a setting."""
        return self.words[:1] in (["select"], ["with"], ["values"], ["table"]) and not self._selects_into

    @property
    def _selects_into(self) -> bool:
        return bool(re.match(r"(?is)\s*select\b(?:(?!\bfrom\b)[^'(])*?\binto\b", self.text))


class Script:
    """The statements of a script, read one by one: `variables` may change between them, as \\gset makes them."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.text = text
        self.environment = environment
        self.variables: dict[str, str] = {}
        self._backslashes = False

    def __iter__(self) -> Iterator[Statement]:
        at, first, depth, atomic = 0, 0, 0, 0
        parts: list[str] = []
        while found := _PIECE.search(self.text, at):
            parts.append(self.text[at:found.start()])
            piece, at = found[0], found.end()
            if found["block"]:
                at = self._comment_end(found.start())
                piece = self.text[found.start():at]
            elif found["string"]:
                at = self._string_end(found.end(), bool(found["escape"]) or (
                    self._backslashes and not found["unicode"]))
                piece = self.text[found.start():at]
            elif found["dollar"]:
                end = self.text.find(piece, at)
                at = len(self.text) if end < 0 else end + len(piece)
                piece = self.text[found.start():at]
            elif found["variable"]:
                piece = self._variable(found)
            elif found["open"] or found["close"]:
                depth += 1 if found["open"] else -1
            elif found["word"]:
                atomic += self._atomic(piece.lower(), atomic, "".join(parts))
            elif found["meta"]:
                if "".join(parts).strip() and found["command"].startswith("g"):
                    yield self._statement(parts, first, found["command"] == "gset")
                    parts, first = [], at
                else:
                    self._run(found["command"], found["rest"])
                    first = first if "".join(parts).strip() else at
                piece = ""
            elif found["end"] and depth <= 0 and not atomic:
                if "".join(parts).strip():
                    statement = self._statement(parts, first, False)
                    if _COPY_DATA.match(statement.text):
                        start = self.text.index("\n", at) + 1
                        end = self.text.index("\\.\n", start)
                        statement = Statement(statement.text, statement.line, self.text[start:end])
                        at = end + 3
                    yield statement
                parts, first, depth = [], at, 0
                continue
            parts.append(piece)

    def _statement(self, parts: list[str], first: int, into_variables: bool) -> Statement:
        text = "".join(parts)
        lead = _LEAD.match(text)
        assert lead is not None
        if found := _OLD_STRINGS.match(text, lead.end()):
            self._backslashes = (found[1] or "on").lower() == "off"
        return Statement(text.strip(), self.text.count("\n", 0, first + lead.end()) + 1, into_variables=into_variables)

    @staticmethod
    def _atomic(word: str, depth: int, before: str) -> int:
        """BEGIN ATOMIC ... END, and CASE ... END inside it, hold semicolons of their own."""
        if word == "atomic" and before.rstrip().lower().endswith("begin"):
            return 1
        if depth and word == "case":
            return 1
        return -1 if depth and word == "end" else 0

    def _comment_end(self, start: int) -> int:
        depth, at = 0, start
        while at < len(self.text):
            two = self.text[at:at + 2]
            depth += (two == "/*") - (two == "*/")
            at += 2 if two in ("/*", "*/") else 1
            if not depth:
                break
        return at

    def _string_end(self, at: int, escapes: bool) -> int:
        while at < len(self.text):
            if (escapes and self.text[at] == "\\") or self.text.startswith("''", at):
                at += 2
            elif self.text[at] == "'":
                return at + 1
            else:
                at += 1
        return at

    def _variable(self, found: re.Match[str]) -> str:
        value = self.variables.get(found["literal"] or found["name"] or found["bare"])
        if value is None:
            return found[0]
        if found["literal"]:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if found["name"] else value

    def _run(self, command: str, rest: str) -> None:
        if command == "getenv":
            name, variable = rest.split()
            if variable in self.environment:
                self.variables[name] = self.environment[variable]
        elif command == "set":
            name, *values = re.findall(r"'(?:[^']|'')*'|[^\s']+", rest)
            self.variables[name] = "".join(
                value[1:-1].replace("''", "'") if value.startswith("'") else self.variables.get(value[1:], value)
                if value.startswith(":") else value for value in values)
