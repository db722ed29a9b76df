"""Calls: arguments, FILTER, OVER and windows, ORDER BY lists, and the forms with a grammar of their own (hop 2).

Spec: PostgreSQL 15 documentation, 4.2.6 to 4.2.8; gram.y's func_expr.
"""

from __future__ import annotations

from typing import Any

from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError, WrongObjectType
from shoal.exec.sql import syntax as s
from shoal.exec.sql.grammar_base import COMPARE, OR
from shoal.exec.sql.grammar_types import TypeGrammar

_ORDERINGS = {"<": False, ">": True, "~<~": False, "~>~": True}
"""The operators that ORDER BY USING takes, and whether they sort downwards."""


class CallGrammar(TypeGrammar):
    """Calls and windows."""

    def _qualified_operator(self) -> str:
        raise NotImplementedError

    def _arguments_until_paren(self) -> list[Any]:
        """Comma-separated expressions up to and with the closing parenthesis."""
        if self._match(T.R_PAREN):
            return []
        items = [self.expression_at(OR)]
        while self._match(T.COMMA):
            items.append(self.expression_at(OR))
        self.expect(T.R_PAREN)
        return items

    def _call(self, parts: tuple[str, ...], pos: int) -> s.Function:
        """A call after its opening parenthesis."""
        node = s.Function(pos, parts, [])
        if self._match(T.R_PAREN):
            return self._call_suffix(node)
        if self._curr.token_type == T.STAR and self._next.token_type == T.R_PAREN:
            self._advance(2)
            node.star = True
            return self._call_suffix(node)
        if self._curr.token_type == T.STAR:
            raise self.unexpected(self._next)
        if self._match(T.DISTINCT):
            node.distinct = True
        else:
            self._match(T.ALL)
        while True:
            if self.accept_word("variadic"):
                node.variadic = True
            if self._next.token_type in (T.FARROW, T.COLON_EQ) and self._curr.token_type not in (T.STRING, T.NUMBER):
                node.arg_names[len(node.args)] = self.label()
                self._advance()
            elif node.arg_names:
                raise SqlSyntaxError("positional argument cannot follow named argument", position=self._curr.start + 1)
            node.args.append(self.expression_at(OR))
            if not self._match(T.COMMA):
                break
        if self._curr.token_type == T.ORDER_BY:
            node.order = self.sort_items()
        self.expect(T.R_PAREN)
        return self._call_suffix(node)

    def _call_suffix(self, node: s.Function) -> s.Function:
        """WITHIN GROUP, FILTER and OVER after a call."""
        if self._curr.text == "within" and self._curr.token_type == T.VAR and self._next.text == "group":
            self._advance(2)
            self.expect(T.L_PAREN)
            node.within = self.sort_items()
            self.expect(T.R_PAREN)
        if self._curr.text == "filter" and self._curr.token_type == T.VAR:
            self._advance()
            self.expect(T.L_PAREN)
            self.expect(T.WHERE)
            node.filter = self.expression_at(OR)
            self.expect(T.R_PAREN)
        if self._curr.text == "over" and self._curr.token_type == T.VAR:
            self._advance()
            if self._curr.token_type == T.L_PAREN:
                node.over = self.window_spec()
            else:
                node.over = s.WindowSpec(self._curr.start, reference=self.name(), bare=True)
        return node

    def sort_items(self) -> list[s.SortItem]:
        """ORDER BY and its list."""
        self.expect_by(T.ORDER_BY)
        items = [self.sort_item()]
        while self._match(T.COMMA):
            items.append(self.sort_item())
        return items

    def sort_item(self) -> s.SortItem:
        pos = self._curr.start
        item = s.SortItem(pos, self.expression_at(OR))
        if self._match(T.DESC):
            item.descending = True
        elif self._match(T.USING):
            symbol = self._qualified_operator() if self.accept_word("operator") else str(self._curr.text)
            if self._prev.token_type != T.R_PAREN:
                self._advance()
            if symbol not in _ORDERINGS:
                raise WrongObjectType(f"operator {symbol} is not a valid ordering operator", position=pos + 1,
                                      hint='Ordering operators must be "<" or ">" members of btree operator families.')
            item.descending = _ORDERINGS[symbol]
        else:
            self._match(T.ASC)
        item.nulls_first = item.descending
        if self._curr.text == "nulls" and self._next.text in ("first", "last"):
            self._advance()
            item.nulls_first = self._curr.text == "first"
            self._advance()
        return item

    def window_spec(self) -> s.WindowSpec:
        """The parenthesised window after OVER or AS."""
        spec = s.WindowSpec(self._curr.start)
        self.expect(T.L_PAREN)
        if self.is_column_id(self._curr) and not self.at_word("rows", "range", "groups", "partition"):
            spec.reference = self.name()
        if self.at_word("partition"):
            raise self.unexpected(self._next)
        if self._match(T.PARTITION_BY):
            spec.partition.append(self.expression_at(OR))
            while self._match(T.COMMA):
                spec.partition.append(self.expression_at(OR))
        if self._curr.token_type == T.ORDER_BY:
            spec.order = self.sort_items()
        if self.at_word("rows", "range", "groups"):
            spec.frame = self._frame()
        self.expect(T.R_PAREN)
        return spec

    def _frame(self) -> s.Frame:
        token = self._curr
        self._advance()
        between = bool(self._match(T.BETWEEN))
        if between:
            start = self._frame_bound()
            self.expect(T.AND)
            end = self._frame_bound()
        else:
            start, end = self._frame_bound(), s.Bound(token.start, "current_row")
        exclude = ""
        if self.accept_word("exclude"):
            if self.accept_word("current"):
                self.expect_word("row")
                exclude = "current_row"
            elif self.at_word("group", "ties"):
                exclude = str(self._curr.text)
                self._advance()
            elif self.accept_word("no"):
                self.expect_word("others")
            else:
                raise self.unexpected()
        return s.Frame(token.start, token.text, start, end, exclude, between)

    def _frame_bound(self) -> s.Bound:
        pos = self._curr.start
        if self.at_word("current") and self._next.text == "row":
            self._advance(2)
            return s.Bound(pos, "current_row")
        offset = None
        if self.at_word("unbounded") and self._next.text in ("preceding", "following"):
            self._advance()
        else:
            offset = self.expression_at(OR)
        if not self.at_word("preceding", "following"):
            raise self.unexpected()
        kind = ("" if offset is not None else "unbounded_") + self._curr.text
        self._advance()
        return s.Bound(pos, kind, offset)

    # Special forms: each after the opening parenthesis, up to and with the closing one

    def _extract(self, token: Token) -> s.Function:
        field_token = self._curr
        if field_token.token_type != T.STRING:
            self.label()
        else:
            self._advance()
        self.expect(T.FROM)
        arg = self.expression_at(OR)
        self.expect(T.R_PAREN)
        return s.Function(token.start, ("extract",), [s.Constant(field_token.start, "string", field_token.text.lower()),
                                                      arg], form="words")

    def _overlay(self, token: Token) -> s.Function:
        args = [self.expression_at(OR)]
        placing = self.accept_word("placing")
        if placing:
            args.append(self.expression_at(OR))
            self.expect(T.FROM)
            args.append(self.expression_at(OR))
            if self._match(T.FOR):
                args.append(self.expression_at(OR))
            self.expect(T.R_PAREN)
        elif self._match(T.COMMA):
            args += self._arguments_until_paren()
        else:
            raise self.unexpected()
        return s.Function(token.start, ("overlay",), args, form="words" if placing else "")

    def _position(self, token: Token) -> s.Function:
        needle = self.expression_at(COMPARE, restricted=True)
        self.expect(T.IN)
        hay = self.expression_at(COMPARE, restricted=True)
        self.expect(T.R_PAREN)
        return s.Function(token.start, ("position",), [hay, needle], form="words")

    def _substring(self, token: Token) -> s.Function:
        text = self.expression_at(OR)
        if self._match(T.COMMA):
            return s.Function(token.start, ("substring",), [text, *self._arguments_until_paren()])
        start = length = None
        if self.accept_word("similar"):
            pattern = self.expression_at(OR)
            self.expect_word("escape")
            args = [text, pattern, self.expression_at(OR)]
            self.expect(T.R_PAREN)
            return s.Function(token.start, ("substring",), args)
        while self._curr.token_type in (T.FROM, T.FOR):
            is_start = self._match(T.FROM)
            if not is_start:
                self._advance()
            value = self.expression_at(OR)
            if is_start:
                start = value
            else:
                length = value
        self.expect(T.R_PAREN)
        if start is None:
            start = s.Constant(token.start, "integer", "1")
        args = [text, start] if length is None else [text, start, length]
        return s.Function(token.start, ("substring",), args, form="words")

    def _trim(self, token: Token) -> s.Function:
        name = "btrim"
        if self.at_word("leading", "trailing", "both"):
            name = {"leading": "ltrim", "trailing": "rtrim", "both": "btrim"}[self._curr.text]
            self._advance()
        if self._match(T.FROM):
            return s.Function(token.start, (name,), self._arguments_until_paren(), form="words")
        first = self.expression_at(OR)
        if self._match(T.FROM):
            return s.Function(token.start, (name,), [*self._arguments_until_paren(), first], form="words")
        args = [first]
        if self._match(T.COMMA):
            args += self._arguments_until_paren()
        else:
            self.expect(T.R_PAREN)
        return s.Function(token.start, (name,), args, form="words")

    def _plain(self, token: Token) -> s.Function:
        args = self._arguments_until_paren()
        if not args:
            raise self.unexpected(self._prev)
        return s.Function(token.start, (token.text,), args)

    def _normalize(self, token: Token) -> s.Function:
        """NORMALIZE(text [, form])."""
        args = [self.expression_at(OR)]
        if self._match(T.COMMA):
            if not self.at_word("nfc", "nfd", "nfkc", "nfkd"):
                raise self.unexpected()
            args.append(s.Constant(self._curr.start, "string", self._curr.text.upper()))
            self._advance()
        self.expect(T.R_PAREN)
        return s.Function(token.start, ("normalize",), args)

    def _treat(self, token: Token) -> s.Function:
        raise FeatureNotSupported("TREAT is not supported", position=token.start + 1)


def _json_form(grammar: CallGrammar, token: Token) -> Any:
    from shoal.exec.sql.grammar_json import json_form
    return json_form(grammar, token)


SPECIAL_FORMS = {
    **dict.fromkeys(("json", "json_array", "json_arrayagg", "json_exists", "json_object", "json_objectagg", "json_query",
                     "json_scalar", "json_serialize", "json_value"), _json_form),
    "extract": CallGrammar._extract, "overlay": CallGrammar._overlay, "position": CallGrammar._position,
    "substring": CallGrammar._substring, "trim": CallGrammar._trim, "coalesce": CallGrammar._plain,
    "nullif": CallGrammar._plain, "greatest": CallGrammar._plain, "least": CallGrammar._plain,
    "grouping": CallGrammar._plain, "normalize": CallGrammar._normalize, "treat": CallGrammar._treat}
