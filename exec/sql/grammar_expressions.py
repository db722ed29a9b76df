"""The grammar of expressions: PostgreSQL's precedence, operators and special function forms (hop 2).

Part of the dialect: sqlglot reads statements and clauses (dialect.py), but its expression grammar is a union of
thirty dialects that rewrites what it reads and keeps no places; this one gives the nodes of syntax.py. It is operator
precedence parsing; binding powers follow the %left/%nonassoc table of PostgreSQL's gram.y.

Spec: PostgreSQL 15 documentation, 4.1.6 "Operator Precedence" and 4.2 "Value Expressions".
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql.lexer import COLUMN_ONLY, GENERIC_OPERATOR, NOT_WORDS, RESERVED, TYPE_OR_FUNCTION

OR, AND, NOT, IS, COMPARE, RANGE, OPERATOR, ADD, MULTIPLY, POWER, AT, COLLATE, MINUS = range(1, 14)
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
QUERY_START = frozenset({T.SELECT, T.VALUES, T.WITH, T.TABLE})
_QUERY_CONTINUES = frozenset({T.UNION, T.EXCEPT, T.INTERSECT, T.ORDER_BY, T.LIMIT, T.OFFSET, T.FETCH})
_LIKE_OPERATORS = {T.LIKE: "~~", T.ILIKE: "~~*"}
_TYPE_WORDS = frozenset("""bigint bit boolean char character dec decimal double float int integer interval national nchar
    numeric real smallint time timestamp varchar""".split())
_VALUE_FUNCTIONS = frozenset("""current_catalog current_date current_role current_time current_timestamp current_user
    localtime localtimestamp session_user system_user user current_schema""".split())
_WITH_PRECISION = frozenset({"current_time", "current_timestamp", "localtime", "localtimestamp"})
_INTERVAL_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second"})
_XML = frozenset("""xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable""".split())


class ExpressionGrammar(PostgresParser):
    """Expressions, types and windows."""

    # Failing

    def unexpected(self, token: Token | None = None) -> SqlSyntaxError:
        """PostgreSQL's syntax error at `token`, by default the current one."""
        token = token or self._curr
        if token.token_type == T.SENTINEL:
            return SqlSyntaxError("syntax error at end of input", position=len(self.sql) + 1)
        text = self.sql[token.start:token.end + 1]
        if token.text.endswith(" by") and token.token_type != T.STRING:
            text = text.split()[0]
        return SqlSyntaxError(f'syntax error at or near "{text}"', position=token.start + 1)

    def expect(self, token_type: T) -> None:
        if self._curr.token_type != token_type:
            raise self.unexpected()
        self._advance()

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
            elif binding == AND or binding == OR:
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
                left = s.Function(token.start, ("timezone",), [zone, left])
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
            if self.at_word("json", "document", "normalized", "nfc", "nfd", "nfkc", "nfkd"):
                raise FeatureNotSupported(f"IS {word.upper()} is not supported", position=token.start + 1)
            raise self.unexpected()
        self._advance()
        return s.Is(token.start, left, word, negated)

    def _range(self, left: Any, token: Token) -> tuple[Any, int]:
        """BETWEEN, IN, LIKE ... after their left side; gives the node and what may not follow it unparenthesised."""
        negated = token.token_type == T.NOT
        if negated:
            token = self._curr
            self._advance()
        pos, kind = token.start, token.token_type
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
            return s.Operation(token.start, token.text, None, self.expression_at(OPERATOR))
        if token.text == "operator" and kind == T.VAR and self._next.token_type == T.L_PAREN:
            self._advance()
            return s.Operation(token.start, self._qualified_operator(), None, self.expression_at(OPERATOR))
        return self._postfix(self._primary(token), kind == T.L_PAREN or kind == T.PARAMETER)

    def _postfix(self, left: Any, selectable: bool) -> Any:
        """Casts, subscripts and, where `selectable` (after a parenthesis, $n or subscript), field selections."""
        while True:
            token = self._curr
            kind = token.token_type
            if kind == T.DCOLON:
                self._advance()
                left = s.Cast(token.start, left, self.type_name())
                selectable = False
            elif kind == T.L_BRACKET:
                if not selectable and not isinstance(left, (s.Name, s.Array, s.Subquery)):
                    raise self.unexpected()
                self._advance()
                left = self._subscript(left, token.start)
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

    def _parenthesized(self) -> tuple[Any, list[Any]]:
        """What is between parentheses whose first was consumed: a query, or expressions; consumes the last."""
        if self._curr.token_type in QUERY_START:
            query = self.query()
            self.expect(T.R_PAREN)
            return query, []
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

    def query(self) -> exp.Expression:
        raise NotImplementedError

    def continue_query(self, operand: exp.Expression) -> exp.Expression:
        raise NotImplementedError

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
            return s.Function(pos, (word,), args)
        if follower == T.L_PAREN:
            special = _SPECIAL_FORMS.get(word)
            if special is not None:
                self._advance(2)
                return self._call_suffix(special(self, token)) if word == "grouping" else special(self, token)
            if word in _XML:
                raise FeatureNotSupported(f"{word.upper()} is not supported", position=pos + 1)
        if word == "collation" and self._next.text == "for":
            self._advance(2)
            self.expect(T.L_PAREN)
            return s.Function(pos, ("pg_collation_for",), self._arguments_until_paren())
        if word in RESERVED:
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
            return s.Cast(token.start, arg, s.TypeName(token.start, "interval", fields=self._interval_fields()), literal=True)
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
            raise self.unexpected()
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
            written = s.TypeName(token.start, parts[-1], schema=parts[0] if len(parts) > 1 else "", quoted=True)
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
        items: list[Any] = []
        if not self._match(T.R_BRACKET):
            while True:
                start = self._curr.start
                items.append(self._array_items(start) if self._curr.token_type == T.L_BRACKET else self.expression_at(OR))
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

    # Calls

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
        if self._curr.text == "filter" and self._next.token_type == T.L_PAREN and self._curr.token_type == T.VAR:
            self._advance(2)
            self.expect(T.WHERE)
            node.filter = self.expression_at(OR)
            self.expect(T.R_PAREN)
        if self._curr.text == "over" and self._curr.token_type == T.VAR and (
                self._next.token_type == T.L_PAREN or self.is_column_id(self._next)):
            self._advance()
            if self._curr.token_type == T.L_PAREN:
                node.over = self.window_spec()
            else:
                node.over = s.WindowSpec(self._curr.start, reference=self.name(), bare=True)
        return node

    def sort_items(self) -> list[s.SortItem]:
        """ORDER BY and its list."""
        self.expect(T.ORDER_BY)
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
            if symbol not in ("<", ">"):
                raise FeatureNotSupported(f"ORDER BY USING {symbol} is not supported", position=pos + 1)
            item.descending = symbol == ">"
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
        if self._match(T.BETWEEN):
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
        return s.Frame(token.start, token.text, start, end, exclude)

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
        return s.Function(token.start, ("extract",), [s.Constant(field_token.start, "string", field_token.text.lower()), arg])

    def _overlay(self, token: Token) -> s.Function:
        args = [self.expression_at(OR)]
        if self.accept_word("placing"):
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
        return s.Function(token.start, ("overlay",), args)

    def _position(self, token: Token) -> s.Function:
        needle = self.expression_at(COMPARE, restricted=True)
        self.expect(T.IN)
        hay = self.expression_at(COMPARE, restricted=True)
        self.expect(T.R_PAREN)
        return s.Function(token.start, ("position",), [hay, needle])

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
        return s.Function(token.start, ("substring",), [text, start] if length is None else [text, start, length])

    def _trim(self, token: Token) -> s.Function:
        name = "btrim"
        if self.at_word("leading", "trailing", "both"):
            name = {"leading": "ltrim", "trailing": "rtrim", "both": "btrim"}[self._curr.text]
            self._advance()
        if self._match(T.FROM):
            return s.Function(token.start, (name,), self._arguments_until_paren())
        first = self.expression_at(OR)
        if self._match(T.FROM):
            return s.Function(token.start, (name,), [*self._arguments_until_paren(), first])
        args = [first]
        if self._match(T.COMMA):
            args += self._arguments_until_paren()
        else:
            self.expect(T.R_PAREN)
        return s.Function(token.start, (name,), args)

    def _plain(self, token: Token) -> s.Function:
        args = self._arguments_until_paren()
        if not args:
            raise self.unexpected(self._prev)
        return s.Function(token.start, (token.text,), args)

    def _treat(self, token: Token) -> s.Function:
        raise FeatureNotSupported("TREAT is not supported", position=token.start + 1)

    # Types

    def _parse_types(self, *_: object, **__: object) -> Any:
        return self.type_name()

    def type_name(self, array: bool = True) -> s.TypeName:
        """A type with its modifiers; `array`: with [] after it."""
        token = self._curr
        pos = token.start
        if self.accept_word("setof"):
            raise FeatureNotSupported("SETOF is not supported", position=pos + 1)
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
            modifiers = self._modifiers()
            return s.TypeName(pos, word, modifiers, fields=self._interval_fields())
        return self._generic_type(token, quoted=False)

    def _generic_type(self, token: Token, quoted: bool) -> s.TypeName:
        schema, name = "", token.text
        while self._match(T.DOT):
            schema, name = name, self.label()
            quoted = True
        if self._curr.token_type == T.MOD:
            raise FeatureNotSupported("%TYPE is not supported", position=token.start + 1)
        return s.TypeName(token.start, name, self._modifiers(), schema=schema, quoted=quoted)

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

    def _interval_fields(self) -> tuple[str, ...]:
        if not self.at_word(*_INTERVAL_FIELDS):
            return ()
        fields = [str(self._curr.text)]
        self._advance()
        if fields[0] == "second":
            self._modifiers()
        if self.at_word("to") and self._next.text in _INTERVAL_FIELDS:
            self._advance()
            fields.append(str(self._curr.text))
            self._advance()
            if fields[1] == "second":
                self._modifiers()
        return tuple(fields)


_SPECIAL_FORMS = {
    "extract": ExpressionGrammar._extract, "overlay": ExpressionGrammar._overlay, "position": ExpressionGrammar._position,
    "substring": ExpressionGrammar._substring, "trim": ExpressionGrammar._trim, "coalesce": ExpressionGrammar._plain,
    "nullif": ExpressionGrammar._plain, "greatest": ExpressionGrammar._plain, "least": ExpressionGrammar._plain,
    "grouping": ExpressionGrammar._plain, "normalize": ExpressionGrammar._plain, "treat": ExpressionGrammar._treat}
