"""What every part of the grammar stands on: errors in PostgreSQL's words, keywords and names (hop 2).

Spec: PostgreSQL 15 documentation, 4.1.1 "Identifiers and Key Words".
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql.lexer import CONSTANT_LIST, CONSTANT_ROWS, NOT_WORDS, RESERVED, TYPE_OR_FUNCTION, tokenize

OR, AND, NOT, IS, COMPARE, RANGE, OPERATOR, ADD, MULTIPLY, POWER, AT, COLLATE, MINUS = range(1, 14)
"""Binding powers of operators, weakest first."""
QUERY_START = frozenset({T.SELECT, T.VALUES, T.WITH, T.TABLE})


class GrammarBase(PostgresParser):
    """Errors, words and names; the parts that need each other are declared here."""

    def expression_at(self, power: int, restricted: bool = False) -> Any:
        """An expression whose operators bind at least as tightly as `power`; `restricted` is gram.y's b_expr."""
        raise NotImplementedError

    def query(self) -> exp.Expression:
        """A SELECT, VALUES or TABLE with everything that may follow."""
        raise NotImplementedError

    def continue_query(self, operand: exp.Expression) -> exp.Expression:
        """The rest of a query whose first operand, in parentheses, was read as an expression."""
        raise NotImplementedError

    def type_name(self, array: bool = True) -> s.TypeName:
        raise NotImplementedError

    # Failing

    def unexpected(self, token: Token | None = None) -> SqlSyntaxError:
        """PostgreSQL's syntax error at `token`, by default the current one."""
        token = token or self._curr
        if token.token_type == T.SENTINEL:
            return SqlSyntaxError("syntax error at end of input", position=len(self.sql) + 1)
        text = self.sql[token.start:token.end + 1]
        if token.token_type == CONSTANT_ROWS:
            text = "("
        elif token.token_type == CONSTANT_LIST:
            first = tokenize(text)[0]
            text = text[first.start:first.end + 1]
        if token.text.endswith(" by") and token.token_type != T.STRING:
            text = text.split()[0]
        return SqlSyntaxError(f'syntax error at or near "{text}"', position=token.start + 1)

    def expect(self, token_type: T) -> None:
        if self._curr.token_type != token_type:
            raise self.unexpected()
        self._advance()

    def expect_by(self, clause: T) -> None:
        """ORDER BY or GROUP BY; without BY what follows is the mistake."""
        self.expect(clause)
        if not self._prev.text.endswith(" by"):
            raise self.unexpected()

    def expect_word(self, word: str) -> None:
        if not self.accept_word(word):
            raise self.unexpected()

    # Words and names

    def at_word(self, *words: str) -> bool:
        """Whether the current token is one of these unquoted words."""
        return self._curr.text in words and self._curr.token_type not in NOT_WORDS

    def accept_word(self, word: str) -> bool:
        if self._curr.text == word and self._curr.token_type not in NOT_WORDS:
            self._advance()
            return True
        return False

    def is_column_id(self, token: Token) -> bool:
        """Whether the token can name a column or table."""
        if token.token_type == T.IDENTIFIER:
            return True
        return (token.token_type not in NOT_WORDS and token.text not in RESERVED and token.text not in TYPE_OR_FUNCTION
                and " " not in token.text)

    def name(self) -> str:
        """ColId: the name of a column, table or alias."""
        token = self._curr
        if not self.is_column_id(token):
            raise self.unexpected()
        self._advance()
        return str(token.text)

    def label(self) -> str:
        """ColLabel: any word, as after AS or a dot."""
        token = self._curr
        if token.token_type != T.IDENTIFIER and (token.token_type in NOT_WORDS or " " in token.text):
            raise self.unexpected()
        self._advance()
        return str(token.text)

    def names(self) -> list[str]:
        """A parenthesised list of names."""
        self.expect(T.L_PAREN)
        found = [self.name()]
        while self._match(T.COMMA):
            found.append(self.name())
        self.expect(T.R_PAREN)
        return found

    def qualified_name(self) -> tuple[str, ...]:
        parts = [self.name()]
        while self._match(T.DOT):
            parts.append(self.label())
        return tuple(parts)

    def unsupported(self, what: str, token: Token | None = None) -> FeatureNotSupported:
        return FeatureNotSupported(f"{what} is not supported", position=(token or self._prev).start + 1)
