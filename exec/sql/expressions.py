"""Expressions: syntax to typed, with PostgreSQL's operators, casts and deduction of types (hop 2).

One `ExpressionBinder` serves one clause of one query level. Calls are in calls.py, comparisons with lists, rows and
subqueries in predicates.py; this file has the rest and the dispatch.

Spec: PostgreSQL 15 documentation, chapter 4.2 and 10; wording of parse_expr.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from shoal.catalog.errors import (
    DatatypeMismatch,
    FeatureNotSupported,
    GroupingError,
    IndeterminateDatatype,
    InvalidColumnReference,
    SqlError,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedObject,
    UndefinedParameter,
    UndefinedTable,
    WrongObjectType,
)
from shoal.catalog.pg_catalog.views.pg_attribute import collation_oids
from shoal.catalog.types import BOOL, INT4, INT8, NUMERIC, OIDS, TEXT, UNKNOWN, SqlType, array_of, numeric
from shoal.exec.functions.bit_casts import parse_bits
from shoal.exec.functions.casts import bare_sql, can_coerce, literal_type, parse_literal
from shoal.exec.functions.numeric_types import merged
from shoal.exec.kernels.multidimensional import check_dimensions
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, Literal, call
from shoal.exec.plan.nodes import Aggregate, Limit, Project, Sort
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import bind_function
from shoal.exec.sql.coercion import VECTORS, coerce, coerce_boolean, operator, settle, unify
from shoal.exec.sql.constant_columns import alike
from shoal.exec.sql.constants import ConstantList
from shoal.exec.sql.context import Clause, Level, PendingApply, Query, fail
from shoal.exec.sql.json_expressions import METHODS as JSON_METHODS
from shoal.exec.sql.predicates import (
    bind_between,
    bind_in_list,
    bind_in_query,
    bind_is,
    bind_is_distinct,
    bind_match,
    bind_quantified,
    bind_row_comparison,
)
from shoal.exec.sql.scope import resolve_column
from shoal.exec.sql.type_names import domain_of, resolve_type


class ExpressionBinder:
    """Binds the expressions of one clause. Subqueries met go to `applies`, in order."""

    def __init__(self, level: Level, clause: Clause, applies: list[PendingApply] | None = None) -> None:
        self.level, self.clause, self.context = level, clause, level.context
        self.applies: list[PendingApply] = level.input_applies if applies is None else applies
        self.in_aggregate = False
        self.enum: SqlType | None = None
        """The result's type where an aggregate of enums is computed over the places of their labels."""
        self.aliases: dict[str, Expr] = {}
        """The select list by its names, for what no column of FROM is called."""
        self.setless = ""
        """The construct that set-returning functions must not be in, around what is being bound."""

    def bind(self, node: Any) -> Expr:
        """The typed expression; untyped literals and parameters stay `unknown`.

        Raises: any SqlError, with the place of the innermost node at fault.
        """
        try:
            return self.METHODS[type(node)](self, node)
        except SqlError as error:
            if not error.position:
                error.position = node.pos + 1
            raise
        except KeyError as error:
            if type(node) in self.METHODS:
                raise
            raise FeatureNotSupported(f"{type(node).__name__} is not supported here") from error

    def bind_settled(self, node: Any) -> Expr:
        """Like `bind`, with nothing left untyped."""
        return settle(self.context, self.bind(node), node.pos)

    def bind_as(self, node: Any, target: SqlType) -> Expr:
        """The expression implicitly cast to `target`."""
        return coerce(self.context, self.bind(node), target, node.pos)

    def bind_boolean(self, node: Any, what: str) -> Expr:
        return coerce_boolean(self.context, self.bind(node), what, s.place(node))

    def bind_query(self, tree: Any) -> Query:
        """A subquery of this expression. Its outer columns are noted at this level."""
        from shoal.exec.sql.queries import bind_subquery
        outer, self.level.clause = self.level.clause, self.clause
        query = bind_subquery(self.context, tree, self.level, self.level.tables)
        self.level.clause = outer
        self.level.adopt(query.refs)
        return query

    def apply(self, kind: str, query: Query, mark_type: SqlType, name: str, comparand: tuple[Expr, ...] = (),
              comparison: str = "eq") -> Expr:
        """The value an Apply of `query` will give for each row."""
        mark = self.context.field(name, mark_type)
        self.applies.append(PendingApply(kind, query.plan, mark, comparand, comparison, frozenset(query.refs)))
        return mark.ref()

    # Leaves

    def _constant(self, node: s.Constant) -> Expr:
        kind, value = node.kind, node.value
        if kind == "string":
            return Literal(UNKNOWN, value)
        if kind == "integer":
            return integer_literal(value)
        if kind == "decimal":
            return decimal_literal(value, self.context.settings)
        if kind == "boolean":
            return e.TRUE if value else e.FALSE
        if kind == "null":
            return Literal(UNKNOWN, None)
        return Literal(SqlType("bit"), parse_bits(("x" if kind == "hex" else "b") + value))

    def _param(self, node: s.Param) -> Expr:
        if self.context.arguments is not None:
            owner, values = self.context.arguments
            if not 1 <= node.index <= len(values):
                fail(UndefinedParameter, f"there is no parameter ${node.index}", node.pos)
            return self._used(values[node.index - 1], owner, node.pos, f"${node.index}")
        return self.context.parameters.use(node.index, node.pos)

    def _name(self, node: s.Name) -> Expr:
        if not self.clause.columns and self.clause.name not in ("LIMIT", "OFFSET"):
            fail(FeatureNotSupported, f"cannot use column reference in {self.clause.name}", node.pos)
        if len(node.parts) == 1 and node.parts[0] in self.aliases and not self.level.scope.find(node.parts[0]):
            return settle(self.context, self.aliases[node.parts[0]], node.pos)
        found = resolve_column(self.level, node.parts, node.pos)
        if found is None:
            return rows.whole_row(self, node)
        column, owner = found
        if not self.clause.columns and owner is self.level:
            fail(InvalidColumnReference, f"argument of {self.clause.name} must not contain variables", node.pos)
        return self._used(column.expr, owner, node.pos, f"{column.table}.{column.name}" if column.table else column.name)

    def _used(self, expr: Expr, owner: Level, pos: int, display: str) -> Expr:
        """Notes that a column is read here: of this level for the GROUP BY check, of an outer one for the Apply."""
        if owner is self.level:
            if self.clause.aggregates and not self.in_aggregate:
                if type(expr) is e.ColumnRef:
                    self.level.uses.append((expr.id, pos, display))
                else:
                    self.level.uses += [(i, pos, display) for i in e.columns_of(expr)]
            return expr
        ids = e.columns_of(expr)
        at: Level | None = self.level
        while at is not None and at is not owner:
            for column in ids:
                at.refs[column] = owner
            at = at.parent
        if not self.in_aggregate:
            owner.uses += [(i, pos, display) for i in ids]
        return expr

    def _star(self, node: s.Star) -> Expr:
        if node.qualifier:
            return rows.whole_row(self, s.Name(node.pos, node.qualifier))
        fail(SqlSyntaxError, "row expansion via \"*\" is not supported here", node.pos)

    # Operators

    def _operation(self, node: s.Operation) -> Expr:
        symbol = node.symbol
        if node.left is None:
            return self._prefix_operation(node)
        if isinstance(node.left, s.Row) or isinstance(node.right, s.Row):
            return bind_row_comparison(self, node)
        left, right = self.bind(node.left), self.bind(node.right)
        if rows.is_row(left) and rows.is_row(right):
            return rows.compare_records(self, symbol, left, right, node.pos)
        return operator(self.context, symbol, left, right, node.pos, node.left.pos, node.right.pos)

    def _prefix_operation(self, node: s.Operation) -> Expr:
        inner = node.right
        if (node.symbol == "-" and isinstance(inner, s.Operation) and inner.left is None and inner.symbol == "-"
                and isinstance(inner.right, s.Constant)):
            return self.bind(inner.right)  # -(-5) is the constant 5
        if isinstance(node.right, s.Constant) and node.right.kind in ("integer", "decimal") and node.symbol in ("-", "+"):
            if node.symbol == "+":
                return self.bind(node.right)
            if node.right.kind == "integer":
                return integer_literal("-" + node.right.value)
            value = self.bind(node.right)
            assert isinstance(value, Literal)
            if value.type.varies:
                return Literal(value.type, "-" + value.value)
            return Literal(value.type, -value.value)
        return operator(self.context, node.symbol, None, self.bind(node.right), node.pos, right_pos=node.right.pos)

    def _logical(self, node: s.Logical) -> Expr:
        what = node.name.upper()
        args: list[Expr] = []
        for arg in node.args:
            bound = self.bind_boolean(arg, what)
            if isinstance(bound, e.Call) and bound.name == node.name:
                args += bound.args
            else:
                args.append(bound)
        return e.Call(BOOL, node.name, tuple(args))

    def _not(self, node: s.Not) -> Expr:
        return call("not", BOOL, self.bind_boolean(node.arg, "NOT"))

    def _collate(self, node: s.Collate) -> Expr:
        name = node.collation[-1]
        if name not in ("C", "POSIX", "default", "ucs_basic") and not name.lower().startswith("c."):
            if name not in collation_oids():
                fail(UndefinedObject, f'collation "{".".join(node.collation)}" for encoding "UTF8" does not exist', node.pos)
            fail(FeatureNotSupported, f'collation "{name}" is not supported', node.pos)
        arg = self.bind_settled(node.arg)
        if not arg.type.is_string and not arg.type.is_array:
            fail(DatatypeMismatch, f"collations are not supported by type {arg.type.sql}", node.pos)
        return arg

    # Conditional

    def _case(self, node: s.Case) -> Expr:
        outer, self.setless = self.setless, "CASE"
        operand = None if node.operand is None else self.bind_settled(node.operand)
        conditions: list[Expr] = []
        results: list[Expr] = []
        places: list[int] = []
        before: list[Expr] = []
        for when, then in node.whens:
            known = len(self.applies)
            if operand is None:
                condition = self.bind_boolean(when, "CASE/WHEN")
            else:
                condition = operator(self.context, "=", operand, self.bind(when), when.pos, node.operand.pos, when.pos)
            self.guard(known, before)
            known = len(self.applies)
            results.append(self.bind(then))
            if len(self.applies) > known:
                self.guard(known, [*before, condition])
            before.append(call("is_not_true", BOOL, condition))
            conditions.append(condition)
            places.append(s.place(then))
        known = len(self.applies)
        default = Literal(UNKNOWN, None) if node.default is None else self.bind(node.default)
        self.guard(known, before)
        self.setless = outer
        default_pos = node.pos if node.default is None else s.place(node.default)
        target, typed = unify(self.context, [default, *results], [default_pos, *places], "CASE")
        return e.Case(target, tuple(conditions), tuple(typed[1:]), typed[0])

    def guard(self, known: int, conditions: list[Expr]) -> None:
        """Notes that the subqueries after the first `known` are only asked where all the conditions are true."""
        for pending in self.applies[known:] if conditions else ():
            if pending.kind == "scalar":
                pending.guard = e.conjunction([*conditions, *e.conjuncts(pending.guard)])

    # Casts

    def _cast(self, node: s.Cast) -> Expr:
        target = resolve_type(node.type, self.context)
        if node.literal and target.name == "bit" and not node.type.modifiers:
            target = SqlType("bit")  # BIT '101' has all its bits; elsewhere BIT is BIT(1)
        elif node.literal and node.type.name == "character" and not node.type.modifiers:
            target = SqlType("bpchar")  # likewise CHAR 'abc'
        domain = domain_of(node.type, self.context)
        if domain is not None:
            from shoal.exec.sql.user_types import in_domain
            return in_domain(self.context, self.cast(self.bind(node.arg), target, node.pos, node.arg.pos), domain[1])
        if isinstance(node.arg, s.Array) and target.is_array:
            return self._array_of(node.arg, target.element, explicit=True)
        if target.name == "interval" and isinstance(node.arg, s.Constant) and node.arg.kind == "string" and node.type.fields:
            arg: Expr = interval_literal(node.arg.value, node.type.fields, self.context.settings, node.arg.pos)
        else:
            arg = self.bind(node.arg)
        anonymous = target.name == "record" and target.user is None
        if anonymous and arg.type.name == "unknown" and not (isinstance(arg, Literal) and arg.value is None):
            fail(FeatureNotSupported, "input of anonymous composite types is not implemented", node.arg.pos)
        return self.cast(arg, target, node.pos if not node.literal else node.arg.pos, node.arg.pos)

    def cast(self, arg: Expr, target: SqlType, pos: int, arg_pos: int) -> Expr:
        """An explicit cast."""
        where = arg_pos if arg.type.name == "unknown" else pos
        result = coerce(self.context, arg, target, where, "explicit")
        if (result.type != target and isinstance(result, Literal) and result.type.name == "numeric"
                and target.precision is not None):
            result = e.Cast(target, result)
        if result.type == target and result.type.typmod != target.typmod:
            result = Literal(target, result.value) if isinstance(result, Literal) else e.Cast(target, result)
        return result

    # Arrays, rows, fields

    def _array(self, node: s.Array) -> Expr:
        if not node.items:
            fail(IndeterminateDatatype, "cannot determine type of empty array", node.pos,
                 hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].")
        if isinstance(node.items, ConstantList) and (same := alike(node.items.columns()[0])) is not None:
            return Literal(array_of(INT4 if same[0] == INT4 else TEXT), tuple(same[1]))
        items = [self.bind(item) for item in node.items]
        target, typed = unify(self.context, items, [s.place(item) for item in node.items], "ARRAY")
        return self.make_array(target, typed)

    def _array_of(self, node: s.Array, element: SqlType, explicit: bool) -> Expr:
        how: Any = "explicit" if explicit else "implicit"
        bound = [self._array_of(item, element, explicit) if isinstance(item, s.Array) else self.bind(item)
                 for item in node.items]
        target = array_of(element) if any(item.type.is_array for item in bound) else element
        items = [coerce(self.context, item, target, at.pos, how) for item, at in zip(bound, node.items, strict=True)]
        if target == NUMERIC and items:  # undeclared: the elements keep their digits
            target = merged([item.type for item in items])
        return self.make_array(target, items)

    def make_array(self, element: SqlType, items: list[Expr]) -> Expr:
        """ARRAY[...] of values of this type; of arrays, one with a dimension more."""
        if element.is_array:
            return e.Call(element, "array", tuple(items))
        target = array_of(element)
        if all(isinstance(item, Literal) and item.type == target.element for item in items):
            return Literal(target, tuple(item.value for item in items))  # type: ignore[attr-defined]
        return e.Call(target, "array", tuple(items))

    def _subscript(self, node: s.Subscript) -> Expr:
        chain = [node]
        while not chain[0].enclosed and isinstance(chain[0].arg, s.Subscript):
            chain.insert(0, chain[0].arg)
        arg = self.bind(chain[0].arg)
        if arg.type.name == "jsonb":
            if any(one.slice for one in chain):
                cut = next(one for one in chain if one.slice)
                bound = cut.high if cut.high is not None else cut.low
                raise DatatypeMismatch("jsonb subscript does not support slices",
                                       position=-1 if bound is None else s.place(bound) + 1)
            path = tuple(jsonb_subscript(self, one.low) for one in chain)
            return e.Call(arg.type, "json_path", (arg, e.Call(array_of(TEXT), "array", path)))
        vector = arg.type.name in ("int2vector", "oidvector")
        if not arg.type.is_array and not vector:
            fail(DatatypeMismatch, f"cannot subscript type {arg.type.sql} because it does not support subscripting",
                 s.place(chain[0].arg))
        check_dimensions(len(chain), position=-1)
        if any(one.slice for one in chain):
            bounds: list[Expr] = []
            for one in chain:  # a plain i stands for 1:i
                low, high = (one.low, one.high) if one.slice else (None, one.low)
                bounds += (Literal(INT4, -(1 << 31) if one.slice else 1) if low is None else self._subscript_value(low),
                           Literal(INT4, (1 << 31) - 1) if high is None else self._subscript_value(high))
            return e.Call(VECTORS[arg.type.name] if vector else arg.type, "slice", (arg, *bounds))
        element = SqlType("int2" if arg.type.name == "int2vector" else "oid") if vector else arg.type.element
        return e.Call(element, "subscript", (arg, *(self._subscript_value(one.low) for one in chain)))

    def _subscript_value(self, node: Any) -> Expr:
        value = self.bind(node)
        if not can_coerce(value.type, INT4, "assignment"):
            fail(DatatypeMismatch, "array subscript must have type integer", s.place(node))
        return coerce(self.context, value, INT4, s.place(node), "assignment")

    def _field_of(self, node: s.FieldOf) -> Expr:
        if isinstance(node.arg, s.Function):
            return bind_function(self, node.arg, node.name)
        if isinstance(node.arg, s.Name):
            if node.name == "*":
                return rows.whole_row(self, node.arg)
            if self.level.scope.relation(node.arg.parts) is not None or not self._is_column(node.arg):
                return self._name(s.Name(node.arg.pos, (*node.arg.parts, node.name)))
        arg = self.bind(node.arg)
        if rows.is_row(arg):
            return rows.field_of(arg, node.name, node.arg.pos)
        fail(UndefinedColumn if arg.type.name == "record" else WrongObjectType,
             f'column notation .{node.name} applied to type {arg.type.sql}, which is not a composite type', node.arg.pos)

    def _is_column(self, node: s.Name) -> bool:
        try:
            return resolve_column(self.level, node.parts, node.pos) is not None
        except (UndefinedColumn, UndefinedTable):
            return False

    # Subqueries

    def _subquery(self, node: s.Subquery) -> Expr:
        made = self._subquery_value(node)
        self.applies[-1].written = node
        return made

    def _subquery_value(self, node: s.Subquery) -> Expr:
        query = self.bind_query(node.query)
        if node.kind == "exists":
            return self.apply("exists", query, BOOL, "exists")
        if len(query.fields) != 1:
            fail(SqlSyntaxError, "subquery must return only one column", node.pos)
        column = query.fields[0]
        if node.kind == "scalar":
            return self.apply("scalar", query, column.type, column.name)
        if "_" + column.type.name not in OIDS and not column.type.is_array:
            fail(FeatureNotSupported, f"arrays of {column.type.sql} are not supported", node.pos)
        return self.array_of_query(query)

    def array_of_query(self, query: Query) -> Expr:
        """All rows of a query of one column, as the elements of an array."""
        column = query.fields[0]
        target = column.type if column.type.is_array else array_of(column.type)
        gathered = self.context.field("array", target)
        source, value = query.plan, column.ref()
        if isinstance(source, Project) and isinstance(source.input, (Sort, Limit)):
            source = source.input  # keeps the hidden columns that it is ordered by
        sort = source.input if isinstance(source, Limit) else source
        order = sort.keys if isinstance(sort, Sort) else ()
        aggregate = e.AggregateCall("array_agg", (value,), target, order_by=order)
        plan = Aggregate(source, (), ((gathered, aggregate),))
        nested = Query(plan, (gathered,), (None,), query.places, query.refs)
        return e.Call(target, "coalesce", (self.apply("scalar", nested, target, "array"), Literal(target, ())))

    def _default(self, node: s.Default) -> Expr:
        fail(SqlSyntaxError, "DEFAULT is not allowed in this context", node.pos)

    def _grouping_sets(self, node: s.GroupingSets) -> Expr:
        fail(GroupingError, "grouping sets are not allowed here", node.pos)

    METHODS: ClassVar[dict[type, Callable[[Any, Any], Expr]]] = {
        s.Constant: _constant, s.Param: _param, s.Name: _name, s.Star: _star, s.Operation: _operation, s.Logical: _logical,
        s.Not: _not, s.Collate: _collate, s.Case: _case, s.Cast: _cast, s.Array: _array, s.Subscript: _subscript,
        s.Row: rows.bind_row, s.FieldOf: _field_of, s.Subquery: _subquery, s.Default: _default,
        s.GroupingSets: _grouping_sets,
        s.Function: bind_function, s.Is: bind_is, s.IsDistinct: bind_is_distinct, s.Between: bind_between,
        s.InList: bind_in_list, s.InQuery: bind_in_query, s.Quantified: bind_quantified, s.Match: bind_match, **JSON_METHODS}


def jsonb_subscript(b: ExpressionBinder, node: Any) -> Expr:
    """What is between the brackets of jsonb[...]: an integer or a text, as an element of a path."""
    key = b.bind_settled(node)
    if key.type != TEXT and not (can_coerce(key.type, INT4) or can_coerce(key.type, TEXT)):
        fail(DatatypeMismatch, f"subscript type {bare_sql(key.type)} is not supported", s.place(node),
             hint="jsonb subscript must be coercible to either integer or text.")
    return coerce(b.context, key, TEXT, s.place(node), "explicit")


def integer_literal(text: str) -> Literal:
    """An integer constant with its sign: int4, int8 or numeric by size."""
    if len(text) > 76:
        return Literal(NUMERIC, text)
    value = int(text)
    if -(1 << 31) <= value < 1 << 31:
        return Literal(INT4, value)
    if -(1 << 63) <= value < 1 << 63:
        return Literal(INT8, value)
    return Literal(numeric(len(str(abs(value))), 0), value)


def decimal_literal(text: str, settings: Any) -> Literal:
    """A constant with a point or an exponent: numeric with just its digits. Raises: NumericOutOfRange (22003)."""
    target = literal_type(text, NUMERIC)
    return Literal(target, parse_literal(text, target, settings))


def interval_literal(text: str, fields: tuple[str, ...], settings: Any, pos: int) -> Literal:
    """INTERVAL 'text' fields: the fields say what a bare number is."""
    from shoal.exec.functions.interval_input import parse_interval
    try:
        months, days, us = parse_interval(text, fields, settings.styles.interval)
    except SqlError as error:
        error.position = error.position or pos + 1
        raise
    return Literal(SqlType("interval"), (months, days, us))
