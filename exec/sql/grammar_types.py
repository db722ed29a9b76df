"""Type names: `double precision`, `character varying(5)`, `timestamp with time zone`, `int[]` (hop 2).

Spec: PostgreSQL 15 documentation, chapter 8; gram.y's Typename.
"""

from __future__ import annotations

from typing import Any

from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported
from shoal.exec.sql import syntax as s
from shoal.exec.sql.grammar_base import GrammarBase
from shoal.exec.sql.lexer import NOT_WORDS, RESERVED

_INTERVAL_FIELDS = ("year", "month", "day", "hour", "minute", "second")


class TypeGrammar(GrammarBase):
    """Types."""

    def _parse_types(self, *_: object, **__: object) -> Any:
        return self.type_name()

    def type_name(self, array: bool = True) -> s.TypeName:
        """A type with its modifiers; `array`: with [] after it."""
        token = self._curr
        if token.token_type == T.IDENTIFIER:
            self._advance()
            written = self._generic_type(token, quoted=True)
        elif token.token_type in NOT_WORDS or (token.text in RESERVED):
            raise self.unexpected()
        else:
            self._advance()
            written = self._word_type(token)
        if array:
            self._array_bounds(written)
        return written

    def _array_bounds(self, written: s.TypeName) -> None:
        if self._curr.text == "array" and self._curr.token_type == T.ARRAY:
            self._advance()
            written.dimensions = 1
            if self._match(T.L_BRACKET):
                self.expect(T.NUMBER)
                self.expect(T.R_BRACKET)
            return
        while self._match(T.L_BRACKET):
            self._match(T.NUMBER)
            self.expect(T.R_BRACKET)
            written.dimensions += 1

    def _word_type(self, token: Token) -> s.TypeName:
        word, pos = token.text, token.start
        if word == "double" and self.accept_word("precision"):
            return s.TypeName(pos, "double precision")
        if word in ("character", "char", "nchar", "national", "bit", "varchar"):
            if word == "national":
                if not self.at_word("character", "char"):
                    raise self.unexpected()
                self._advance()
                word = "character"
            word = {"char": "character", "nchar": "character"}.get(word, word)
            if word != "varchar" and self.accept_word("varying"):
                word += " varying"
            return s.TypeName(pos, word, self._modifiers())
        if word in ("timestamp", "time"):
            modifiers = self._modifiers()
            zone = ""
            if self._curr.text in ("with", "without") and self._next.text == "time":
                zone = " with time zone" if self._curr.text == "with" else ""
                self._advance(2)
                self.expect_word("zone")
            return s.TypeName(pos, word + zone, modifiers)
        if word == "interval":
            return self._interval_type(pos)
        return self._generic_type(token, quoted=False)

    def _generic_type(self, token: Token, quoted: bool) -> s.TypeName:
        catalog, schema, name = "", "", token.text
        while self._match(T.DOT):
            catalog, schema, name = schema, name, self.label()
            quoted = True
        if self._curr.token_type == T.MOD and self._next.text.lower() == "type":
            raise FeatureNotSupported("%TYPE is not supported", position=token.start + 1)
        return s.TypeName(token.start, name, self._modifiers(), schema=schema, quoted=quoted, catalog=catalog)

    def _modifiers(self) -> tuple[int, ...]:
        if not self._match(T.L_PAREN):
            return ()
        found: list[int] = []
        while True:
            negative = self._match(T.DASH)
            token = self._curr
            self.expect(T.NUMBER)
            if not token.text.isdigit():
                raise self.unexpected(token)
            found.append(-int(token.text) if negative else int(token.text))
            if not self._match(T.COMMA):
                break
        self.expect(T.R_PAREN)
        return tuple(found)

    def _interval_type(self, pos: int) -> s.TypeName:
        """What follows the word INTERVAL (or its literal): digits, or fields of which the seconds may have digits."""
        modifiers = self._modifiers()
        if not self.at_word(*_INTERVAL_FIELDS):
            return s.TypeName(pos, "interval", modifiers)
        fields = [str(self._curr.text)]
        self._advance()
        if fields[0] == "second":
            modifiers = self._modifiers()
        if self.at_word("to") and self._next.text in _INTERVAL_FIELDS:
            self._advance()
            fields.append(str(self._curr.text))
            self._advance()
            if fields[1] == "second":
                modifiers = self._modifiers()
        return s.TypeName(pos, "interval", modifiers, fields=tuple(fields))
