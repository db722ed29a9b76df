"""PostgreSQL's statements and clauses over sqlglot's parser (hop 2).

A dialect subclass in sqlglot's sense: its parser drives WITH, SELECT, set operations, INSERT, UPDATE and DELETE and
gives its nodes for them (exp.Select, exp.Union, exp.Insert ...). Overridden is what sqlglot would accept or mean
differently: expressions (grammar_expressions.py), FROM items, clause order, aliases, DDL, and every fallback that would
swallow unknown text. Any mistake raises PostgreSQL's own error at its own place.

Spec: PostgreSQL 15 documentation, part VI "SQL Commands".
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokens import Token
from sqlglot.tokens import TokenType as T

from shoal.catalog.errors import SqlSyntaxError
from shoal.exec.sql import syntax as s
from shoal.exec.sql.constants import ConstantRows
from shoal.exec.sql.grammar_base import MINUS, QUERY_START
from shoal.exec.sql.grammar_from import FromGrammar
from shoal.exec.sql.lexer import BODY_SEMICOLON, CONSTANT_ROWS, NOT_BARE_LABEL, NOT_WORDS

_MODIFIER_ORDER = {T.WHERE: 0, T.GROUP_BY: 1, T.HAVING: 2, T.WINDOW: 3, T.ORDER_BY: 4, T.LIMIT: 5, T.OFFSET: 5, T.FETCH: 5,
                   T.FOR: 6}
_LIMITING = frozenset({T.LIMIT, T.OFFSET, T.FETCH})
_SET_QUANTIFIER_END = frozenset({T.FROM, T.WHERE, T.GROUP_BY, T.HAVING, T.ORDER_BY, T.LIMIT, T.OFFSET, T.FETCH, T.R_PAREN,
                                 T.UNION, T.EXCEPT, T.INTERSECT, T.INTO, T.SENTINEL, T.SEMICOLON, BODY_SEMICOLON,
                                 T.WINDOW, T.FOR})


class Grammar(FromGrammar):
    """Statements."""

    # What sqlglot would do about a mistake

    def raise_error(self, message: str, token: Token | None = None) -> None:
        raise self.unexpected(token or None)

    def _parse_as_command(self, start: Token) -> Any:
        raise self.unexpected()

    def _parse_csv(self, parse_method: Callable[[], Any], sep: T = T.COMMA) -> list[Any]:
        items = [parse_method()]
        while self._match(sep):
            items.append(parse_method())
        return items

    # Statements

    def _parse_statement(self) -> Any:
        token = self._curr
        if token.token_type in QUERY_START or token.token_type == T.L_PAREN:
            return self.query()
        if token.token_type == T.SENTINEL:
            return None
        parser = _STATEMENTS.get(token.text) if token.token_type not in NOT_WORDS else None
        if parser is None:
            raise self.unexpected()
        self._advance()
        return parser(self)

    def query(self) -> Any:
        """A SELECT, VALUES or TABLE with everything that may follow, parenthesised or not."""
        if self._curr.token_type not in QUERY_START and self._curr.token_type != T.L_PAREN:
            raise self.unexpected()
        tree = self._parse_select(nested=True, parse_subquery_alias=False)
        return self._parse_query_modifiers(self._parse_set_operations(tree))

    def continue_query(self, operand: Any) -> Any:
        """The rest of a query whose first operand, in parentheses, was read as an expression."""
        return self._parse_query_modifiers(self._parse_set_operations(exp.Subquery(this=operand)))

    # SELECT

    def _parse_select_query(self, nested: bool = False, table: bool = False, parse_subquery_alias: bool = True,
                            parse_set_operation: bool = True) -> Any:
        if self._curr.token_type not in QUERY_START and self._curr.token_type != T.L_PAREN:
            raise self.unexpected()
        start = self._curr.start
        if self._curr.token_type == T.WITH:
            clause = self._parse_with()
            tree = self._parse_statement()
            if isinstance(tree, exp.Values) or (tree is not None and tree.args.get("with_") is not None):
                tree = exp.Subquery(this=tree)
            if tree is None or "with_" not in tree.arg_types:
                raise self.unexpected()
            tree.set("with_", clause)
            return tree
        if self._match(T.TABLE):
            only = self._match(T.ONLY)
            named = s.TableRef(self._curr.start, self.qualified_name(), only)
            self._match(T.STAR)
            every = s.Target(start, s.Star(start))
            tree = exp.Select(expressions=[every], from_=exp.From(this=[named]))
            return self._parse_set_operations(tree) if parse_set_operation else tree
        tree = super()._parse_select_query(nested, table, parse_subquery_alias, parse_set_operation)
        if tree is None:
            raise self.unexpected()
        tree.meta.setdefault("pos", start)
        return tree

    def _parse_projections(self) -> Any:
        if self._curr.token_type in _SET_QUANTIFIER_END:
            return [], None
        return self._parse_csv(self.target), None

    def target(self) -> s.Target:
        pos = self._curr.start
        if self._match(T.STAR):
            return s.Target(pos, s.Star(pos))
        arg = self.expression_at(1)
        if self._match(T.ALIAS):
            return s.Target(pos, arg, self.label())
        token = self._curr
        if token.token_type == T.IDENTIFIER or (token.token_type not in NOT_WORDS and token.text not in NOT_BARE_LABEL
                                                and " " not in token.text):
            self._advance()
            return s.Target(pos, arg, token.text)
        return s.Target(pos, arg)

    def _parse_value(self, values: bool = True) -> Any:
        """The list of DISTINCT ON."""
        pos = self._curr.start
        self.expect(T.L_PAREN)
        return s.Row(pos, self._arguments_until_paren(), True)

    def _parse_derived_table_values(self, allow_value_synonym: bool = False) -> Any:
        pos = self._curr.start
        if not self._match(T.VALUES):
            return None
        rows: Any = None
        token = self._curr
        if token.token_type == CONSTANT_ROWS:
            self._advance()
            rows = ConstantRows(self.sql, token.start, token.end + 1)
            if self._match(T.COMMA):
                rows = [*rows, *self._parse_csv(self._values_row)]
        else:
            rows = self._parse_csv(self._values_row)
        tree = exp.Values(expressions=rows)
        tree.meta["pos"] = pos
        return tree

    def _values_row(self) -> s.Row:
        pos = self._curr.start
        self.expect(T.L_PAREN)
        items = self._parse_csv(self.value_or_default)
        self.expect(T.R_PAREN)
        return s.Row(pos, items, True)

    def value_or_default(self) -> Any:
        pos = self._curr.start
        return s.Default(pos) if self._match(T.DEFAULT) else self.expression_at(1)

    def _values_to_select(self, values: exp.Values) -> Any:
        return values

    def _parse_subquery(self, this: Any, parse_alias: bool = True) -> Any:
        return exp.Subquery(this=this)

    def _parse_wrapped_select(self, table: bool = False) -> Any:
        tree = self._parse_select(nested=True, parse_set_operation=False)
        return self._parse_query_modifiers(self._parse_set_operations(tree))

    def _parse_into(self) -> Any:
        if not self._match(T.INTO):
            return None
        temporary = False
        while self.at_word("temp", "temporary", "local", "global", "unlogged"):
            temporary = temporary or self._curr.text in ("temp", "temporary")
            self._advance()
        self._match(T.TABLE)
        return s.IntoTable(self._curr.start, self.qualified_name(), temporary)

    def _parse_query_modifiers(self, this: Any) -> Any:
        last = -1
        while (place := self._modifier_place()) is not None:
            token = self._curr
            if token.token_type == T.FOR and self._next.text not in ("update", "share", "no", "key", "read"):
                raise self.unexpected(self._next)
            swapped = token.token_type in _LIMITING and last == _MODIFIER_ORDER[T.FOR]  # PostgreSQL takes both orders
            if (place < last and not swapped) or (place < 4 and not isinstance(this, exp.Select)):
                raise self.unexpected()
            last = place
            key, value = self._modifier(token)
            if this.args.get(key) is not None:
                raise self.unexpected(token)
            this.set(key, value)
        return this

    def _modifier_place(self) -> int | None:
        """Where among the clauses of a query the current token's stands; None for no clause."""
        return 3 if self.at_word("qualify") else _MODIFIER_ORDER.get(self._curr.token_type)

    def _modifier(self, token: Token) -> tuple[str, Any]:
        if self.accept_word("qualify"):
            return "qualify", exp.Qualify(this=self.expression_at(1))
        match token.token_type:
            case T.WHERE:
                return "where", self._parse_where()
            case T.GROUP_BY:
                return "group", self._parse_group()
            case T.HAVING:
                return "having", self._parse_having()
            case T.WINDOW:
                self._advance()
                return "windows", self._parse_csv(self._named_window)
            case T.ORDER_BY:
                return "order", exp.Order(expressions=self.sort_items())
            case T.LIMIT:
                self._advance()
                limit = self._prev.start
                expression = None if self._match(T.ALL) else self.expression_at(1)
                if self._match(T.COMMA):
                    self.expression_at(1)
                    raise SqlSyntaxError("LIMIT #,# syntax is not supported", position=limit + 1,
                                         hint="Use separate LIMIT and OFFSET clauses.")
                return "limit", exp.Limit(expression=expression if expression is not None else s.Constant(0, "null", None))
            case T.OFFSET:
                self._advance()
                expression = self.expression_at(1)
                if self.at_word("row", "rows"):
                    self._advance()
                return "offset", exp.Offset(expression=expression)
            case T.FETCH:
                return "limit", self._fetch()
        return "locks", self._locks()

    def _parse_order(self, this: Any = None, skip_order_token: bool = False) -> Any:
        return exp.Order(expressions=self.sort_items()) if self._curr.token_type == T.ORDER_BY else this

    def _parse_limit(self, this: Any = None, top: bool = False, skip_limit_token: bool = False) -> Any:
        return this

    def _fetch(self) -> exp.Limit:
        self._advance()
        if not self.at_word("first", "next"):
            raise self.unexpected()
        self._advance()
        pos = self._curr.start
        count: Any = s.Constant(pos, "integer", "1")
        if not self.at_word("row", "rows"):
            count = self.expression_at(13)
        if not self.at_word("row", "rows"):
            raise self.unexpected()
        self._advance()
        if self.accept_word("with"):
            self.expect_word("ties")
            made = exp.Limit(expression=count)
            made.meta["ties"] = True
            return made
        self.expect_word("only")
        return exp.Limit(expression=count)

    def _locks(self) -> list[s.LockingClause]:
        """FOR UPDATE and its kin: checked, and without effect, since nothing here is locked."""
        found: list[s.LockingClause] = []
        while self._match(T.FOR):
            words = ["FOR"]
            for word in ("no", "key"):
                if self.accept_word(word):
                    words.append(word.upper())
            if not self.at_word("update", "share"):
                raise self.unexpected()
            words.append(self._curr.text.upper())
            self._advance()
            if words[1:] in (["KEY", "UPDATE"], ["NO", "KEY", "SHARE"], ["NO", "UPDATE"], ["NO", "SHARE"]):
                raise self.unexpected(self._prev)
            lock = s.LockingClause(self._prev.start, " ".join(words))
            if self.accept_word("of"):
                lock.tables = self._parse_csv(lambda: (self._curr.start, self.qualified_name()))
            if self.accept_word("skip"):
                self.expect_word("locked")
                lock.skip_locked = True
            else:
                lock.nowait = bool(self.accept_word("nowait"))
            found.append(lock)
        return found

    def _named_window(self) -> tuple[str, s.WindowSpec]:
        name = self.name()
        self.expect(T.ALIAS)
        return name, self.window_spec()

    def _parse_group(self, skip_group_by_token: bool = False) -> Any:
        self.expect_by(T.GROUP_BY)
        distinct = bool(self._match(T.DISTINCT))
        if not distinct:
            self._match(T.ALL)
        made = exp.Group(expressions=self._parse_csv(self._grouping))
        made.meta["distinct"] = distinct
        return made

    def _grouping(self) -> Any:
        token = self._curr
        if token.token_type == T.L_PAREN and self._next.token_type == T.R_PAREN:
            self._advance(2)
            return s.Row(token.start, [], False)
        kind: Any = None
        if self.at_word("rollup", "cube") and self._next.token_type == T.L_PAREN:
            kind = token.text
            self._advance()
        elif self.at_word("grouping") and self._next.text == "sets":
            kind = "sets"
            self._advance(2)
        if kind is None:
            return self.expression_at(1)
        self.expect(T.L_PAREN)
        items = self._parse_csv(self._grouping)
        self.expect(T.R_PAREN)
        return s.GroupingSets(token.start, kind, items)

    # WITH

    def _parse_cte(self) -> Any:
        token = self._curr
        name = self.name()
        columns = self.names() if self._curr.token_type == T.L_PAREN else None
        self.expect(T.ALIAS)
        materialized: bool | None = None
        if self.accept_word("not"):
            self.expect_word("materialized")
            materialized = False
        elif self.accept_word("materialized"):
            materialized = True
        self.expect(T.L_PAREN)
        body = self._parse_statement()
        if body is None:
            raise self.unexpected()
        self.expect(T.R_PAREN)
        cte = exp.CTE(this=body, alias=name)
        cte.meta.update(pos=token.start, columns=columns, materialized=materialized, search=self._search_clause(),
                        cycle=self._cycle_clause())
        return cte

    def _search_clause(self) -> s.SearchClause | None:
        """SEARCH {DEPTH | BREADTH} FIRST BY columns SET column."""
        pos = self._curr.start
        if not self.accept_word("search"):
            return None
        breadth = self.accept_word("breadth")
        if not breadth:
            self.expect_word("depth")
        self.expect_word("first")
        self.expect_word("by")
        columns = self._parse_csv(self.name)
        self.expect(T.SET)
        return s.SearchClause(pos, breadth, columns, self.name())

    def _cycle_clause(self) -> s.CycleClause | None:
        """CYCLE columns SET column [TO value DEFAULT value] USING column."""
        pos = self._curr.start
        if not self.accept_word("cycle"):
            return None
        columns = self._parse_csv(self.name)
        self.expect(T.SET)
        found = s.CycleClause(pos, columns, self.name())
        if self.accept_word("to"):
            found.value = self.expression_at(MINUS)
            self.expect(T.DEFAULT)
            found.default = self.expression_at(MINUS)
        self.expect(T.USING)
        found.path = self.name()
        return found

    def _parse_recursive_with_search(self) -> Any:
        return None

    # FROM

    def _parse_from(self, joins: bool = False, skip_from_token: bool = False, consume_pipe: bool = False) -> Any:
        if not self._match(T.FROM):
            return None
        return exp.From(this=self._parse_csv(self.from_item))

    def _parse_joins(self, *_: Any, **__: Any) -> Any:
        return []

    def _parse_lateral(self) -> Any:
        return None

    # INSERT, UPDATE, DELETE

    def _parse_insert(self) -> Any:
        self.expect(T.INTO)
        pos = self._curr.start
        target = s.TableRef(pos, self.qualified_name())
        if self._match(T.ALIAS):
            target.alias = self.name()
        columns = None
        if self._curr.token_type == T.L_PAREN and self._next.token_type not in QUERY_START | {T.L_PAREN}:
            self._advance()
            columns = self._parse_csv(self._insert_column)
            self.expect(T.R_PAREN)
        overriding = ""
        if self.accept_word("overriding"):
            overriding = str(self._curr.text)
            if overriding not in ("system", "user"):
                raise self.unexpected()
            self._advance()
            self.expect_word("value")
        source = None
        if self._curr.token_type == T.DEFAULT and self._next.token_type == T.VALUES:
            self._advance(2)
        else:
            source = self.query()
        conflict = self._conflict() if self._curr.token_type == T.ON else None
        tree = exp.Insert(this=target, expression=source)
        tree.meta.update(columns=columns, overriding=overriding, conflict=conflict, returning=self._returning())
        return tree

    def _conflict(self) -> s.OnConflict:
        from shoal.exec.sql.grammar_conflict import on_conflict
        return on_conflict(self)

    def _returning(self) -> list[s.Target] | None:
        return self._parse_csv(self.target) if self._match(T.RETURNING) else None

    def _parse_update(self) -> Any:
        target = self.dml_target()
        self.expect(T.SET)
        assignments = self._parse_csv(self.assignment)
        sources = self._parse_from()
        where = self._dml_where()
        tree = exp.Update(this=target, expressions=assignments, from_=sources, where=where)
        tree.meta["returning"] = self._returning()
        return tree

    def _parse_delete(self) -> Any:
        self.expect(T.FROM)
        target = self.dml_target()
        using = self._parse_csv(self.from_item) if self._match(T.USING) else None
        where = self._dml_where()
        tree = exp.Delete(this=target, using=using, where=where)
        tree.meta["returning"] = self._returning()
        return tree

    def _dml_where(self) -> Any:
        if self._curr.token_type == T.WHERE and self._next.text == "current":
            pos = self._next.start
            self._advance(2)
            self.expect_word("of")
            return exp.Where(this=s.CurrentOf(pos, self.name()))
        return self._parse_where()

    def dml_target(self) -> s.TableRef:
        only = self._match(T.ONLY)
        target = s.TableRef(self._curr.start, self.qualified_name(), only)
        self._match(T.STAR)
        if self._match(T.ALIAS) or (self.is_column_id(self._curr) and not self.at_word("set")):
            target.alias = self.name()
        return target

    def _insert_column(self) -> s.ColumnDefinition:
        return s.ColumnDefinition(self._curr.start, self.name(), parts=self._parts())

    def _parts(self) -> list[Any]:
        """What of a column is set: .field, [a][b], one after the other."""
        parts: list[Any] = []
        while self._curr.token_type in (T.DOT, T.L_BRACKET):
            token = self._curr
            self._advance()
            parts.append(s.FieldOf(token.start, None, self.label()) if token.token_type == T.DOT else
                         self._subscript(None, token.start))
        return parts

    def assignment(self) -> s.Assignment:
        pos = self._curr.start
        several = self._curr.token_type == T.L_PAREN
        columns = self.names() if several else [self.name()]
        parts = [] if several else self._parts()
        self.expect(T.EQ)
        return s.Assignment(pos, columns, self._new_row() if several else self.value_or_default(), several, parts)

    def _new_row(self) -> Any:
        """What (a, b) are set to: a row, in which DEFAULT may stand, or a subquery."""
        pos = self._curr.start
        explicit = self.at_word("row") and self._next.token_type == T.L_PAREN
        if not explicit and (self._curr.token_type != T.L_PAREN or self._next.token_type in QUERY_START | {T.L_PAREN}):
            return self.value_or_default()
        self._advance(2 if explicit else 1)
        items = self._parse_csv(self.value_or_default)
        self.expect(T.R_PAREN)
        return s.Row(pos, items, explicit) if explicit or len(items) > 1 else items[0]

    # DDL and EXPLAIN

    def _parse_create(self) -> Any:
        from shoal.exec.sql import grammar_ddl
        return grammar_ddl.create(self)

    def _parse_drop(self, exists: bool = False, kind: str | None = None) -> Any:
        from shoal.exec.sql import grammar_ddl
        return grammar_ddl.drop(self)

    def _parse_truncate_table(self) -> Any:
        self._match(T.TABLE)
        tables = self._parse_csv(self._truncated)
        restart = self.accept_word("restart")
        if restart or self.accept_word("continue"):
            self.expect_word("identity")
        cascade = self.accept_word("cascade")
        if not cascade:
            self.accept_word("restrict")
        tree = exp.TruncateTable(expressions=tables)
        tree.meta.update(restart=restart, cascade=cascade)
        return tree

    def _truncated(self) -> s.TableRef:
        only = self._match(T.ONLY)
        table = s.TableRef(self._curr.start, self.qualified_name(), only)
        self._match(T.STAR)
        return table

    def _parse_explain(self) -> Any:
        """exp.Describe with the statement, and in its meta the options: name, value and place of each."""
        options: list[tuple[str, str | None, int]] = []
        if self._curr.token_type == T.L_PAREN and self._next.token_type not in QUERY_START | {T.L_PAREN}:
            self._advance()
            options = self._parse_csv(self._explain_option)
            self.expect(T.R_PAREN)
        else:
            for word in ("analyze", "verbose"):
                if self.accept_word(word) or (word == "analyze" and self.accept_word("analyse")):
                    options.append((word, None, -1))
        statement = self._parse_statement()
        if statement is None:
            raise self.unexpected()
        tree = exp.Describe(this=statement)
        tree.meta["options"] = options
        return tree

    def _explain_option(self) -> tuple[str, str | None, int]:
        token = self._curr
        name = "analyze" if token.text == "analyse" else self.label()
        if name == "analyze" and token.text == "analyse":
            self._advance()
        value = None
        if self._curr.token_type not in (T.COMMA, T.R_PAREN):
            value = str(self._curr.text).lower()
            self._advance()
        return name, value, token.start


_STATEMENTS: dict[str, Callable[[Grammar], Any]] = {
    "insert": Grammar._parse_insert, "update": Grammar._parse_update, "delete": Grammar._parse_delete,
    "create": Grammar._parse_create, "drop": Grammar._parse_drop, "truncate": Grammar._parse_truncate_table,
    "explain": Grammar._parse_explain}
_COMMANDS_ELSEWHERE = ("copy", "lock", "call", "do", "import", "security", "reassign", "checkpoint", "load")


def _refuse(word: str) -> Callable[[Grammar], Any]:
    def refuse(grammar: Grammar) -> Any:
        raise grammar.unsupported(word.upper())
    return refuse


def _later(module: str, name: str, *arguments: str) -> Callable[[Grammar], Any]:
    """A parser of a module that is imported when such a statement comes."""
    def parse(grammar: Grammar) -> Any:
        found = getattr(importlib.import_module(module), name)
        return found(*arguments)(grammar) if arguments else found(grammar)
    return parse


_ALTER = "shoal.exec.sql.grammar_alter"
_STATEMENTS["merge"] = _later("shoal.exec.sql.grammar_merge", "merge")
_STATEMENTS.update({word: _refuse(word) for word in _COMMANDS_ELSEWHERE})
_STATEMENTS.update({name: _later(_ALTER, name) for name in ("alter", "comment", "refresh")})
_STATEMENTS.update({word: _later("shoal.exec.sql.grammar_privileges", "privileges", word.upper())
                    for word in ("grant", "revoke")})
_STATEMENTS.update({word: _later(_ALTER, "maintenance", word.upper())
                    for word in ("analyze", "vacuum", "reindex", "cluster")})
_STATEMENTS["analyse"] = _STATEMENTS["analyze"]


class ShoalDialect(Postgres):
    """sqlglot's Postgres with this grammar."""

    Parser = Grammar
    SUPPORTS_VALUES_DEFAULT = True
