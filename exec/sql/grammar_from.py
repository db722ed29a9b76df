"""FROM items: tables, subqueries, functions and joins (hop 2).

Spec: PostgreSQL 15 documentation, 7.2.1; gram.y's table_ref.
"""

from __future__ import annotations

from typing import Any

from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.exec.sql import syntax as s
from shoal.exec.sql.grammar_base import QUERY_START
from shoal.exec.sql.grammar_expressions import ExpressionGrammar
from shoal.exec.sql.lexer import NOT_WORDS, TYPE_OR_FUNCTION

_EXPRESSION_START = frozenset({T.L_PAREN, T.IDENTIFIER, T.NUMBER, T.STRING, T.CASE, T.NOT, T.DASH, T.EXISTS, T.TRUE,
                               T.FALSE, T.NULL, T.PARAMETER})
_JOIN_SIDES = {T.LEFT: "left", T.RIGHT: "right", T.FULL: "full"}


class FromGrammar(ExpressionGrammar):
    """FROM items."""

    def from_item(self) -> s.FromItem:
        """A FROM item with all its joins."""
        left = self._from_primary()
        while True:
            token = self._curr
            natural = self._match(T.NATURAL)
            kind: Any = "inner"
            if self._match(T.CROSS):
                self.expect(T.JOIN)
                if natural:
                    raise self.unexpected(self._prev)
                left = s.JoinRef(token.start, "cross", left, self._from_primary())
                continue
            side = _JOIN_SIDES.get(self._curr.token_type)
            if side is not None and self._next.token_type in (T.JOIN, T.OUTER):
                kind = side
                self._advance()
                self._match(T.OUTER)
                self.expect(T.JOIN)
            elif self._match(T.INNER):
                self.expect(T.JOIN)
            elif not self._match(T.JOIN):
                if natural:
                    raise self.unexpected()
                return left
            join = s.JoinRef(token.start, kind, left, left, natural)
            if natural:
                join.right = self._from_primary()
            else:
                join.right = self._joined_operand()
                self._join_condition(join)
            left = join

    def _joined_operand(self) -> s.FromItem:
        """The right side of a join that ends in ON or USING: further joins before that bind to it."""
        right = self._from_primary()
        while self._curr.token_type not in (T.ON, T.USING):
            token = self._curr
            kind: Any = "inner"
            if self._match(T.CROSS):
                self.expect(T.JOIN)
                right = s.JoinRef(token.start, "cross", right, self._from_primary())
                continue
            if self._match(T.NATURAL):
                side = _JOIN_SIDES.get(self._curr.token_type)
                if side is not None:
                    self._advance()
                    self._match(T.OUTER)
                else:
                    self._match(T.INNER)
                self.expect(T.JOIN)
                right = s.JoinRef(token.start, side or "inner", right, self._from_primary(), True)  # type: ignore[arg-type]
                continue
            if (side := _JOIN_SIDES.get(self._curr.token_type)) is not None:
                kind = side
                self._advance()
                self._match(T.OUTER)
            else:
                self._match(T.INNER)
            self.expect(T.JOIN)
            join = s.JoinRef(token.start, kind, right, self._joined_operand())
            self._join_condition(join)
            right = join
        return right

    def _join_condition(self, join: s.JoinRef) -> None:
        if self._match(T.ON):
            join.on = self.expression_at(1)
        elif self._match(T.USING):
            join.using = self.names()
            if self._match(T.ALIAS):
                join.using_alias = self.name()
        else:
            raise self.unexpected()

    def _from_primary(self) -> s.FromItem:
        token = self._curr
        lateral = self._match(T.LATERAL)
        if self._curr.token_type == T.L_PAREN:
            item = self._parenthesized_from(token, lateral)
        elif self.at_word("rows") and self._next.token_type == T.FROM:
            self._advance(2)
            self.expect(T.L_PAREN)
            functions: list[s.Function] = []
            definitions: dict[int, list[s.ColumnDefinition]] = {}
            while not functions or self._match(T.COMMA):
                functions.append(self._from_function())
                if self._match(T.ALIAS):
                    definitions[len(functions) - 1] = self._definitions()
            self.expect(T.R_PAREN)
            item = s.FunctionRef(token.start, functions, lateral, self._ordinality(), inner_definitions=definitions)
        elif self._curr.token_type == T.STRING and not lateral:
            self._advance()
            item = s.FileRef(token.start, str(token.text))
        else:
            only = self._match(T.ONLY)
            start = self._curr
            if start.token_type == T.L_PAREN and only:
                self._advance()
                parts = self.qualified_name()
                self.expect(T.R_PAREN)
                item = s.TableRef(token.start, parts, True)
            else:
                if self.at_word("json_table") and self._next.token_type == T.L_PAREN:
                    from shoal.exec.sql.grammar_json import json_table
                    item = json_table(self, lateral)
                    self._alias(item)
                    return item
                call = self._from_call(start, only)
                if call is not None:
                    item = s.FunctionRef(start.start, [call], lateral, self._ordinality())
                else:
                    if lateral:
                        raise self.unexpected()
                    if start.text in TYPE_OR_FUNCTION and start.token_type not in NOT_WORDS and not only:
                        raise self.unexpected(self._next)  # it may begin a function's name
                    item = s.TableRef(start.start, self.qualified_name(), only)
                    self._match(T.STAR)
        self._alias(item)
        if self.at_word("tablesample") and isinstance(item, s.TableRef):
            item.sample = self._sample(item)
        return item

    def _sample(self, item: s.TableRef) -> s.Function:
        """TABLESAMPLE method (percentage) [REPEATABLE (seed)], as a call of the method; the seed goes to the item."""
        self._advance()
        token = self._curr
        method = self.qualified_name()
        self.expect(T.L_PAREN)
        args = self._parse_csv(lambda: self.expression_at(1))
        self.expect(T.R_PAREN)
        if self.accept_word("repeatable"):
            self.expect(T.L_PAREN)
            item.seed = self.expression_at(1)
            self.expect(T.R_PAREN)
        return s.Function(token.start, method, args)

    def _from_call(self, start: Token, only: bool) -> s.Function | None:
        """The function call at the current token, or None for a table's name."""
        if only or (start.token_type in NOT_WORDS and start.token_type != T.IDENTIFIER):
            if start.token_type in NOT_WORDS and start.token_type != T.IDENTIFIER:
                raise self.unexpected()
            return None
        if " " in start.text and start.token_type != T.IDENTIFIER:
            raise self.unexpected()
        index = self._index
        if start.text in ("current_date", "current_timestamp", "current_user", "session_user", "current_schema",
                          "current_catalog", "user", "localtime", "localtimestamp", "current_role", "current_time") and (
                start.token_type != T.IDENTIFIER):
            return self._from_function()
        if start.text == "collation" and self._next.text == "for":
            return self._from_function()
        while self._next.token_type == T.DOT:
            self._advance(2)
        is_call = self._next.token_type == T.L_PAREN
        self._retreat(index)
        return self._from_function() if is_call else None

    def _from_function(self) -> s.Function:
        token = self._curr
        call = self._primary(token)
        if not isinstance(call, s.Function):
            raise self.unexpected(token)
        return call

    def _ordinality(self) -> bool:
        if self._curr.token_type == T.WITH and self._next.text == "ordinality":
            self._advance(2)
            return True
        return False

    def _parenthesized_from(self, token: Token, lateral: bool) -> s.FromItem:
        """A subquery or a join in parentheses."""
        index = self._index
        depth = 0
        while self._tokens[index].token_type == T.L_PAREN and index + 1 < self._tokens_size:
            index += 1
            depth += 1
        if self._tokens[index].token_type in QUERY_START and (depth == 1 or self._is_subquery(index, depth)):
            self._advance()
            query = self.query()
            self.expect(T.R_PAREN)
            return s.QueryRef(token.start, query, lateral)
        if lateral:
            raise self.unexpected()
        self._advance()
        item = self.from_item()
        self.expect(T.R_PAREN)
        if isinstance(item, s.TableRef):
            raise self.unexpected(self._prev)
        return item

    def _is_subquery(self, start: int, depth: int) -> bool:
        """Whether the outermost of `depth` parentheses before token `start` holds a query, not a join of queries."""
        index, level = start, depth
        while index < self._tokens_size:
            kind = self._tokens[index].token_type
            if kind == T.L_PAREN:
                level += 1
            elif kind == T.R_PAREN:
                level -= 1
                if level == depth - 1:
                    follower = self._tokens[index + 1].token_type if index + 1 < self._tokens_size else T.SENTINEL
                    if level == 1 or follower in (T.UNION, T.EXCEPT, T.INTERSECT, T.ORDER_BY, T.LIMIT, T.OFFSET, T.FETCH):
                        return level >= 1 and follower in (T.UNION, T.EXCEPT, T.INTERSECT, T.ORDER_BY, T.LIMIT, T.OFFSET,
                                                           T.FETCH, T.R_PAREN)
                    if follower != T.R_PAREN:
                        return False
                    depth -= 1
            index += 1
        return False

    def _alias(self, item: s.FromItem) -> None:
        if self._match(T.ALIAS):
            if self._curr.token_type == T.L_PAREN and isinstance(item, s.FunctionRef):
                item.definitions = self._definitions()
                return
            item.alias = self.name()
        elif self.is_column_id(self._curr) and not self._at_qualify():
            item.alias = self.name()
        else:
            return
        if self._curr.token_type == T.L_PAREN:
            after = self._tokens[self._index + 2:self._index + 3]
            if isinstance(item, s.FunctionRef) and after and after[0].token_type not in (T.COMMA, T.R_PAREN):
                item.definitions = self._definitions()
            else:
                item.columns = self.names()

    def _at_qualify(self) -> bool:
        """Whether here is a QUALIFY clause, not `qualify` as a table's alias: then an expression follows."""
        if not self.at_word("qualify"):
            return False
        follower = self._next
        return follower.token_type in _EXPRESSION_START or (self.is_column_id(follower) and not (
            follower.token_type in NOT_WORDS or follower.text in ("tablesample", "qualify")))

    def _definitions(self) -> list[s.ColumnDefinition]:
        self.expect(T.L_PAREN)
        found = self._parse_csv(lambda: s.ColumnDefinition(self._curr.start, self.name(), self.type_name()))
        self.expect(T.R_PAREN)
        return found
