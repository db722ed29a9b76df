"""The grammar of expressions: PostgreSQL's precedence, operators and special function forms (hop 2).

Part of the dialect: sqlglot reads statements and clauses (dialect.py), but its expression grammar is a union of
thirty dialects that rewrites what it reads and keeps no places; this one gives the nodes of syntax.py. It is operator
precedence parsing; binding powers follow the %left/%nonassoc table of PostgreSQL's gram.y.

Spec: PostgreSQL 15 documentation, 4.1.6 "Operator Precedence" and 4.2 "Value Expressions".
"""

from __future__ import annotations

from typing import Any

from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql.constants import ConstantList
from shoal.exec.sql.grammar_base import (
    ADD,
    AND,
    AT,
    COLLATE,
    COMPARE,
    IS,
    MINUS,
    MULTIPLY,
    NOT,
    OPERATOR,
    OR,
    POWER,
    QUERY_START,
    RANGE,
)
from shoal.exec.sql.grammar_calls import SPECIAL_FORMS, CallGrammar
from shoal.exec.sql.lexer import COLUMN_ONLY, CONSTANT_LIST, GENERIC_OPERATOR, NOT_WORDS, RESERVED, TYPE_OR_FUNCTION

_INFIX: dict[T, int] = {
    T.OR: OR, T.AND: AND, T.IS: IS, T.ISNULL: IS, T.NOTNULL: IS, T.LT: COMPARE, T.GT: COMPARE, T.LTE: COMPARE,
    T.GTE: COMPARE, T.EQ: COMPARE, T.NEQ: COMPARE, T.BETWEEN: RANGE, T.IN: RANGE, T.LIKE: RANGE, T.ILIKE: RANGE,
    T.SIMILAR_TO: RANGE, T.NOT: RANGE, GENERIC_OPERATOR: OPERATOR, T.PLUS: ADD, T.DASH: ADD, T.STAR: MULTIPLY,
    T.SLASH: MULTIPLY, T.MOD: MULTIPLY, T.CARET: POWER, T.COLLATE: COLLATE}
_INFIX_WORDS = {"at": AT, "operator": OPERATOR, "overlaps": RANGE}
_ARITHMETIC = frozenset({T.PLUS, T.DASH, T.STAR, T.SLASH, T.MOD, T.CARET, GENERIC_OPERATOR, T.LT, T.GT, T.LTE, T.GTE,
                         T.EQ, T.NEQ})
_AFTER_NOT = frozenset({T.BETWEEN, T.IN, T.LIKE, T.ILIKE, T.SIMILAR_TO})
_QUANTIFIERS = frozenset({T.ANY, T.SOME, T.ALL})
_QUERY_CONTINUES = frozenset({T.UNION, T.EXCEPT, T.INTERSECT, T.ORDER_BY, T.LIMIT, T.OFFSET, T.FETCH})
_LIKE_OPERATORS = {T.LIKE: "~~", T.ILIKE: "~~*"}
_TYPE_WORDS = frozenset({
    "bigint", "bit", "boolean", "char", "character", "dec", "decimal", "double", "float", "int", "integer", "interval",
    "national", "nchar", "numeric", "real", "smallint", "time", "timestamp", "varchar"})
_VALUE_FUNCTIONS = frozenset({
    "current_catalog", "current_date", "current_role", "current_time", "current_timestamp", "current_user", "localtime",
    "localtimestamp", "session_user", "system_user", "user", "current_schema"})
_WITH_PRECISION = frozenset({"current_time", "current_timestamp", "localtime", "localtimestamp"})
_XML = frozenset({
    "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi",
    "xmlroot", "xmlserialize", "xmltable"})


class ExpressionGrammar(CallGrammar):
    """Expressions."""

    # sqlglot's clause methods enter here

    def _parse_disjunction(self) -> Any:
        return self.expression_at(OR)

    def _parse_assignment(self) -> Any:
        return self.expression_at(OR)

    def _parse_bitwise(self) -> Any:
        return self.expression_at(OPERATOR)

    # Precedence parsing

    def expression_at(self, power: int, restricted: bool = False) -> Any:
        """An expression whose operators bind at least as tightly as `power`; `restricted` is gram.y's b_expr."""
        left = self._prefix()
        nonassociative = 0
        while True:
            token = self._curr
            kind = token.token_type
            binding = _INFIX.get(kind)
            if binding is None:
                binding = _INFIX_WORDS.get(token.text) if kind == T.VAR else None
                if binding is None:
                    return left
                if token.text == "operator" and self._next.token_type != T.L_PAREN:
                    return left
            if binding < power or (restricted and binding <= RANGE and binding != COMPARE):
                return left
            if kind == T.NOT and self._next.token_type not in _AFTER_NOT:
                return left
            if kind == T.SIMILAR_TO and self._next.text != "to":
                return left
            if binding in (COMPARE, RANGE) and binding == nonassociative:
                raise self.unexpected()
            self._advance()
            nonassociative = binding
            if kind in _ARITHMETIC:
                left = self._operation(token.text, left, token, binding)
            elif binding in (AND, OR):
                left = self._logical(left, token, binding)
            elif binding == IS:
                left = self._is(left, token)
                nonassociative = 0
            elif binding == RANGE:
                left, nonassociative = self._range(left, token)
            elif binding == COLLATE:
                left = s.Collate(token.start, left, self.qualified_name())
            elif token.text == "at":
                self.expect_word("time")
                self.expect_word("zone")
                zone = self.expression_at(AT + 1)
                left = s.Function(token.start, ("timezone",), [zone, left], form="words")
            else:
                symbol = self._qualified_operator()
                left = self._operation(symbol, left, token, OPERATOR)

    def _operation(self, symbol: str, left: Any, token: Token, binding: int) -> Any:
        if self._curr.token_type in _QUANTIFIERS and self._next.token_type == T.L_PAREN:
            return self._quantified(symbol, left, token.start)
        return s.Operation(token.start, symbol, left, self.expression_at(binding + 1))

    def _quantified(self, symbol: str, left: Any, pos: int) -> s.Quantified:
        every = self._curr.token_type == T.ALL
        self._advance(2)
        if self._curr.token_type not in QUERY_START and self._curr.token_type != T.L_PAREN:
            array = self.expression_at(OR)
            self.expect(T.R_PAREN)
            return s.Quantified(pos, left, symbol, every, array, False)
        query, items = self._parenthesized()
        if query is None and len(items) != 1:
            raise self.unexpected(self._prev)
        return s.Quantified(pos, left, symbol, every, items[0] if query is None else query, query is not None)

    def _logical(self, left: Any, token: Token, binding: int) -> s.Logical:
        args = [left, self.expression_at(binding + 1)]
        while self._curr.token_type == token.token_type:
            self._advance()
            args.append(self.expression_at(binding + 1))
        return s.Logical(token.start, "and" if binding == AND else "or", args)

    def _is(self, left: Any, token: Token) -> Any:
        if token.token_type != T.IS:
            return s.Is(token.start, left, "null", token.token_type == T.NOTNULL)
        negated = self._match(T.NOT)
        if self._match(T.DISTINCT):
            self.expect(T.FROM)
            return s.IsDistinct(token.start, left, self.expression_at(IS + 1), negated)
        word = self._curr.text
        if word not in ("null", "true", "false", "unknown") or self._curr.token_type in NOT_WORDS:
            if self.at_word("json"):
                from shoal.exec.sql.grammar_json import is_json
                return is_json(self, left, token.start, negated)
            if self.at_word("normalized", "nfc", "nfd", "nfkc", "nfkd"):
                return self._is_normalized(left, token, negated)
            if self.at_word("document"):
                raise FeatureNotSupported(f"IS {word.upper()} is not supported", position=token.start + 1)
            raise self.unexpected()
        self._advance()
        test: Any = word
        return s.Is(token.start, left, test, negated)

    def _is_normalized(self, left: Any, token: Token, negated: bool) -> Any:
        """x IS [form] NORMALIZED is is_normalized(x, 'form')."""
        args = [left]
        if not self.at_word("normalized"):
            args.append(s.Constant(self._curr.start, "string", self._curr.text.upper()))
            self._advance()
        self.expect_word("normalized")
        test = s.Function(token.start, ("is_normalized",), args)
        return s.Not(token.start, test) if negated else test

    def _range(self, left: Any, token: Token) -> tuple[Any, int]:
        """BETWEEN, IN, LIKE ... after their left side; gives the node and what may not follow it unparenthesised."""
        negated = token.token_type == T.NOT
        pos = token.start
        if negated:
            token = self._curr
            self._advance()
        kind = token.token_type
        if kind == T.IN:
            self.expect(T.L_PAREN)
            query, items = self._parenthesized()
            if query is not None:
                return s.InQuery(pos, left, query, negated), 0
            return s.InList(pos, left, items, negated), 0
        if kind == T.BETWEEN:
            symmetric = self.accept_word("symmetric")
            if not symmetric:
                self.accept_word("asymmetric")
            low = self.expression_at(COMPARE, restricted=True)
            self.expect(T.AND)
            return s.Between(pos, left, low, self.expression_at(RANGE + 1), symmetric, negated), RANGE
        if token.text == "overlaps":
            right = self.expression_at(RANGE + 1)
            if not (isinstance(left, s.Row) and isinstance(right, s.Row) and len(left.items) == len(right.items) == 2):
                raise SqlSyntaxError("wrong number of parameters on left side of OVERLAPS expression", position=pos + 1)
            return s.Function(pos, ("overlaps",), [*left.items, *right.items]), RANGE
        if kind == T.SIMILAR_TO:
            self.expect_word("to")
        elif self._curr.token_type in _QUANTIFIERS and self._next.token_type == T.L_PAREN:
            return self._quantified(("!" if negated else "") + _LIKE_OPERATORS[kind], left, pos), 0
        pattern = self.expression_at(RANGE + 1)
        escape = self.expression_at(RANGE + 1) if self.accept_word("escape") else None
        name: Any = {T.LIKE: "like", T.ILIKE: "ilike"}.get(kind, "similar")
        return s.Match(pos, name, left, pattern, escape, negated), RANGE

    def _qualified_operator(self) -> str:
        """The symbol of OPERATOR(schema.symbol), after the word OPERATOR."""
        self.expect(T.L_PAREN)
        while self.is_column_id(self._curr):
            self._advance()
            self.expect(T.DOT)
        if self._curr.token_type not in _ARITHMETIC:
            raise self.unexpected()
        symbol = str(self._curr.text)
        self._advance()
        self.expect(T.R_PAREN)
        return symbol

    def _prefix(self) -> Any:
        token = self._curr
        kind = token.token_type
        if kind == T.NOT:
            self._advance()
            return s.Not(token.start, self.expression_at(NOT))
        if kind == T.DASH or kind == T.PLUS:
            self._advance()
            return s.Operation(token.start, token.text, None, self.expression_at(MINUS))
        if kind == GENERIC_OPERATOR:
            self._advance()
            return s.Operation(token.start, token.text, None, self.expression_at(OPERATOR + 1))
        if token.text == "operator" and kind == T.VAR and self._next.token_type == T.L_PAREN:
            self._advance()
            return s.Operation(token.start, self._qualified_operator(), None,
                               self.expression_at(OPERATOR + 1))
        return self._postfix(self._primary(token), kind == T.L_PAREN or kind == T.PARAMETER)

    def _postfix(self, left: Any, selectable: bool) -> Any:
        """Casts, subscripts and, where `selectable` (after a parenthesis, $n or subscript), field selections."""
        first = left
        while True:
            token = self._curr
            kind = token.token_type
            if kind == T.DCOLON:
                self._advance()
                left = s.Cast(token.start, left, self.type_name())
                selectable = False
            elif kind == T.L_BRACKET:
                if not selectable and not isinstance(left, s.Name):
                    raise self.unexpected()
                self._advance()
                enclosed = left is first
                left = self._subscript(left, token.start)
                left.enclosed = enclosed
                selectable = True
            elif kind == T.DOT and selectable:
                self._advance()
                if self._match(T.STAR):
                    left = s.FieldOf(token.start, left, "*")
                else:
                    left = s.FieldOf(token.start, left, self.label())
            else:
                return left

    def _subscript(self, left: Any, pos: int) -> s.Subscript:
        low = high = None
        if self._curr.token_type != T.COLON:
            low = self.expression_at(OR)
        if self._match(T.COLON):
            if self._curr.token_type != T.R_BRACKET:
                high = self.expression_at(OR)
            self.expect(T.R_BRACKET)
            return s.Subscript(pos, left, low, high, True)
        self.expect(T.R_BRACKET)
        return s.Subscript(pos, left, low, None, False)

    def _primary(self, token: Token) -> Any:
        kind = token.token_type
        pos = token.start
        if kind == T.NUMBER:
            self._advance()
            return s.Constant(pos, "integer" if token.text.isdigit() else "decimal", token.text)
        if kind == T.STRING:
            self._advance()
            return s.Constant(pos, "string", token.text)
        if kind == T.L_PAREN:
            self._advance()
            query, items = self._parenthesized()
            if query is not None:
                return s.Subquery(pos, "scalar", query)
            return items[0] if len(items) == 1 else s.Row(pos, items, False)
        if kind == T.PARAMETER:
            self._advance()
            return s.Param(pos, int(token.text))
        if kind == T.IDENTIFIER:
            return self._named(token)
        if kind == T.BIT_STRING or kind == T.HEX_STRING:
            self._advance()
            return s.Constant(pos, "bits" if kind == T.BIT_STRING else "hex", token.text)
        if kind in NOT_WORDS:
            raise self.unexpected()
        return self._word(token)

    def _constants(self) -> Any:
        """A run of constants, which the bracket's end follows."""
        token = self._curr
        self._advance()
        return ConstantList(self.sql, token.start, token.end + 1)

    def _parenthesized(self) -> tuple[Any, list[Any]]:
        """What is between parentheses whose first was consumed: a query, or expressions; consumes the last."""
        if self._curr.token_type in QUERY_START:
            query = self.query()
            self.expect(T.R_PAREN)
            return query, []
        if self._curr.token_type == CONSTANT_LIST:
            constants = self._constants()
            self.expect(T.R_PAREN)
            return None, constants
        first = self.expression_at(OR)
        if isinstance(first, s.Subquery) and first.kind == "scalar":
            if self._curr.token_type in _QUERY_CONTINUES:
                query = self.continue_query(first.query)
                self.expect(T.R_PAREN)
                return query, []
            if self._curr.token_type == T.R_PAREN:
                self._advance()
                return first.query, []
        items = [first]
        while self._match(T.COMMA):
            items.append(self.expression_at(OR))
        self.expect(T.R_PAREN)
        return None, items

    # Words

    def _word(self, token: Token) -> Any:
        word, pos, follower = token.text, token.start, self._next.token_type
        if word == "null":
            self._advance()
            return s.Constant(pos, "null", None)
        if word == "true" or word == "false":
            self._advance()
            return s.Constant(pos, "boolean", word == "true")
        if word == "case":
            return self._case(token)
        if word == "cast" and follower == T.L_PAREN:
            self._advance(2)
            arg = self.expression_at(OR)
            self.expect(T.ALIAS)
            cast = s.Cast(pos, arg, self.type_name())
            self.expect(T.R_PAREN)
            return cast
        if word == "exists" and follower == T.L_PAREN:
            self._advance(2)
            if self._curr.token_type not in QUERY_START and self._curr.token_type != T.L_PAREN:
                raise self.unexpected()
            query, _ = self._parenthesized()
            if query is None:
                raise self.unexpected(self._prev)
            return s.Subquery(pos, "exists", query)
        if word == "array":
            return self._array(pos)
        if word == "row" and follower == T.L_PAREN:
            self._advance(2)
            return s.Row(pos, self._arguments_until_paren(), True)
        if word in _VALUE_FUNCTIONS and (word != "current_schema" or follower != T.L_PAREN):
            self._advance()
            args = []
            if word in _WITH_PRECISION and self._match(T.L_PAREN):
                args.append(self.expression_at(OR))
                self.expect(T.R_PAREN)
            return s.Function(pos, (word,), args, form="value")
        if follower == T.L_PAREN:
            special = SPECIAL_FORMS.get(word)
            if special is not None:
                self._advance(2)
                return self._call_suffix(special(self, token)) if word == "grouping" else special(self, token)
            if word in _XML:
                raise FeatureNotSupported(f"{word.upper()} is not supported", position=pos + 1)
        if word == "collation" and self._next.text == "for":
            self._advance(2)
            self.expect(T.L_PAREN)
            return s.Function(pos, ("pg_collation_for",), self._arguments_until_paren())
        if word in RESERVED or " " in word:
            raise self.unexpected()
        if word in _TYPE_WORDS and (literal := self._typed_literal(token)) is not None:
            return literal
        if follower == T.STRING and word not in COLUMN_ONLY:
            self._advance()
            return s.Cast(pos, self._string(), s.TypeName(pos, word), literal=True)
        return self._named(token)

    def _string(self) -> s.Constant:
        token = self._curr
        self.expect(T.STRING)
        return s.Constant(token.start, "string", token.text)

    def _typed_literal(self, token: Token) -> s.Cast | None:
        """`timestamp with time zone '...'`, `interval '1' day`: None where the word is only a name."""
        index = self._index
        if token.text == "interval" and self._next.token_type == T.STRING:
            self._advance()
            arg = self._string()
            return s.Cast(token.start, arg, self._interval_type(token.start), literal=True)
        if self._next.token_type not in (T.STRING, T.L_PAREN) and self._next.text not in (
                "with", "without", "precision", "varying", "character", "char"):
            return None
        try:
            written = self.type_name(array=False)
        except SqlSyntaxError:
            written = None
        if written is None or self._curr.token_type != T.STRING:
            self._retreat(index)
            return None
        return s.Cast(token.start, self._string(), written, literal=True)

    def _named(self, token: Token) -> Any:
        """A column reference, or a call of a (qualified) function, or a quoted type's literal."""
        if token.token_type != T.IDENTIFIER and token.text in TYPE_OR_FUNCTION and self._next.token_type != T.L_PAREN:
            raise self.unexpected(self._next)  # it may begin a function's name
        self._advance()
        parts = [token.text]
        while self._curr.token_type == T.DOT:
            self._advance()
            if self._match(T.STAR):
                return s.Star(token.start, tuple(parts))
            parts.append(self.label())
        if self._curr.token_type == T.L_PAREN:
            if len(parts) == 1 and token.token_type != T.IDENTIFIER and token.text in COLUMN_ONLY:
                raise self.unexpected()
            self._advance()
            return self._call(tuple(parts), token.start)
        if self._curr.token_type == T.STRING and (len(parts) > 1 or token.token_type == T.IDENTIFIER):
            written = s.TypeName(token.start, parts[-1], schema="".join(parts[-2:-1]), quoted=True,
                                 catalog="".join(parts[-3:-2]))
            return s.Cast(token.start, self._string(), written, literal=True)
        return s.Name(token.start, tuple(parts))

    def _array(self, pos: int) -> Any:
        self._advance()
        if self._match(T.L_PAREN):
            query, _ = self._parenthesized()
            if query is None:
                raise self.unexpected(self._prev)
            return s.Subquery(pos, "array", query)
        return self._array_items(pos)

    def _array_items(self, pos: int) -> s.Array:
        self.expect(T.L_BRACKET)
        if self._curr.token_type == CONSTANT_LIST:
            constants = self._constants()
            self.expect(T.R_BRACKET)
            return s.Array(pos, constants)
        items: list[Any] = []
        nested = self._curr.token_type == T.L_BRACKET  # then all items are, else none
        if not self._match(T.R_BRACKET):
            while True:
                if (self._curr.token_type == T.L_BRACKET) != nested:
                    raise self.unexpected(self._curr)
                items.append(self._array_items(self._curr.start) if nested else self.expression_at(OR))
                if not self._match(T.COMMA):
                    break
            self.expect(T.R_BRACKET)
        return s.Array(pos, items)

    def _case(self, token: Token) -> s.Case:
        self._advance()
        operand = None if self.at_word("when") else self.expression_at(OR)
        whens: list[tuple[Any, Any]] = []
        while self.accept_word("when"):
            condition = self.expression_at(OR)
            self.expect_word("then")
            whens.append((condition, self.expression_at(OR)))
        if not whens:
            raise self.unexpected()
        default = self.expression_at(OR) if self.accept_word("else") else None
        self.expect_word("end")
        return s.Case(token.start, operand, whens, default)
