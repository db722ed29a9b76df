"""Cardinality and column statistics of plan nodes: estimates that costs are computed from.

For each column: `ndv`, the distinct values among the node's rows; `domain`, the distinct values it had before
filters on other columns, which is what joins on it are estimated with (|L||R| / max domain); range and NULL share.
A filter on one column narrows that column and thins all others. Unknown sources get plain defaults.

Estimates are remembered by node identity for one `optimize` call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from shoal.catalog.connector import ColumnStatistics, ConnectorLookup, TableHandle, TableStatistics
from shoal.catalog.errors import SqlError
from shoal.catalog.types import SqlType
from shoal.exec.optimizer.estimates import ColumnEstimate, Estimate, position, type_width
from shoal.exec.optimizer.selectivity import MIN_SELECTIVITY, apply_predicates, expression_estimate, narrow
from shoal.exec.plan.expr import ColumnRef, Expr, Literal, conjuncts
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    AssignUniqueId,
    Completion,
    EnforceSingleRow,
    Exchange,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Recursion,
    Scan,
    SetOperation,
    SharedRows,
    Sort,
    TableFunction,
    TableWrite,
    TopN,
    Union,
    Values,
    Window,
    With,
    WorkingTable,
)

DEFAULT_ROWS = 100_000.0
DEFAULT_SYSTEM_ROWS = 200.0
RECURSION_TURNS = 10.0
"""How often a recursion is guessed to go round, and how many rows each turn adds for one of the start's."""
_NEARLY_ALL = 0.99
"""The share of a union's rows from which on its statistics are those of one input."""
FOREIGN_KEY_SLACK = 8.0
"""How many times more values than a key a column may seem to have and still be taken for one that refers to it."""


class Statistics:
    """Estimates by node, for the plans of one `optimize` call."""

    def __init__(self, catalogs: ConnectorLookup) -> None:
        self.catalogs = catalogs
        self.definitions: dict[int, PlanNode] = {}
        """With's shared inputs by number."""
        self._memo: dict[int, tuple[PlanNode, Estimate]] = {}
        self._relations = 0

    def estimate(self, node: PlanNode) -> Estimate:
        found = self._memo.get(id(node))
        if found is not None:
            return found[1]
        made = _ESTIMATORS[type(node)](self, node) if type(node) in _ESTIMATORS else self.estimate(node.children()[0])
        self._memo[id(node)] = (node, made)
        return made

    def remember(self, node: PlanNode, estimate: Estimate) -> None:
        """Gives a node the estimate of the one it replaces."""
        self._memo[id(node)] = (node, estimate)

    def scan(self, node: Scan) -> Estimate:
        table, keys = self.table(node.handle)
        known = table.rows is not None
        rows = table.rows if table.rows is not None else (
            DEFAULT_SYSTEM_ROWS if node.handle.kind == "system" else DEFAULT_ROWS)
        rows = max(float(rows), 1.0)
        self._relations += 1
        columns = {c.field.id: _column(table.columns.get(c.source), c.field.type, rows, self._relations, c.source in keys)
                   for c in node.columns}
        estimate = Estimate(rows, columns, known)
        return estimate if node.predicate is None else apply_predicates(estimate, conjuncts(node.predicate))

    def table(self, handle: TableHandle) -> tuple[TableStatistics, set[str]]:
        """The source's statistics and the columns declared unique; nothing known when the source cannot say."""
        try:
            connector = self.catalogs.connector(handle.catalog)
            statistics = connector.statistics(handle)
            unique = {c.columns[0] for c in connector.constraints(handle)
                      if c.kind in ("primary", "unique") and len(c.columns) == 1}
        except SqlError:
            return TableStatistics(), set()
        return statistics, unique

    def filter(self, node: Filter) -> Estimate:
        return apply_predicates(self.estimate(node.input), conjuncts(node.predicate))

    def project(self, node: Project) -> Estimate:
        below = self.estimate(node.input)
        return Estimate(below.rows, {f.id: expression_estimate(e, below) for f, e in node.assignments}, below.known)

    def values(self, node: Values) -> Estimate:
        rows = float(len(node.rows))
        columns = {}
        for index, f in enumerate(node.fields):
            distinct = float(len({str(row[index]) for row in node.rows})) if len(node.rows) <= 1000 else rows
            columns[f.id] = ColumnEstimate(distinct, distinct, width=type_width(f.type))
        return Estimate(rows, columns)

    def join(self, node: Join) -> Estimate:
        left, right = self.estimate(node.left), self.estimate(node.right)
        estimate = join_estimate(node.kind, left, right, [(a.id, b.id) for a, b in node.keys],
                                 conjuncts(node.condition))
        if node.mark is not None:
            estimate = Estimate(estimate.rows, {**estimate.columns, node.mark.id: ColumnEstimate(2.0, 2.0, width=1.0)})
        return estimate

    def apply(self, node: Apply) -> Estimate:
        left = self.estimate(node.left)
        columns = dict(left.columns)
        if node.kind in ("inner", "left"):
            columns.update(self.estimate(node.right).columns)
        elif node.mark is not None:
            columns[node.mark.id] = ColumnEstimate(left.rows, left.rows)
        return Estimate(left.rows, columns, left.known)

    def aggregate(self, node: Aggregate) -> Estimate:
        below = self.estimate(node.input)
        rows = group_count(below, [f.id for f in node.groups])
        share = rows / below.rows if below.rows else 1.0
        columns = {f.id: below.column(f.id) for f in node.groups}
        if len(columns) == 1:
            (only, column), = columns.items()
            columns[only] = ColumnEstimate(column.ndv, column.domain, column.nulls, column.low, column.high, column.width,
                                           column.relation, rows, True, column.guessed)
        for f, call in node.aggregates:
            if call.name in ("min", "max", "any_value") and call.args and isinstance(call.args[0], ColumnRef):
                columns[f.id] = below.column(call.args[0].id).thinned(below.rows, share)
            elif call.name in ("count", "sum0") and rows:
                values = max(min(rows, 10.0 + 5.0 * below.rows / rows), 1.0)
                columns[f.id] = ColumnEstimate(values, values, aggregated=True)
            else:
                columns[f.id] = ColumnEstimate(max(rows, 1.0), max(rows, 1.0), width=type_width(f.type), aggregated=True)
        return Estimate(rows, columns, below.known)

    def limit(self, node: Limit) -> Estimate:
        below = self.estimate(node.input)
        count = node.count.value if isinstance(node.count, Literal) else None
        return below if count is None else _capped(below, float(count))

    def top_n(self, node: TopN) -> Estimate:
        return _capped(self.estimate(node.input), float(node.count))

    def window(self, node: Window) -> Estimate:
        below = self.estimate(node.input)
        columns = dict(below.columns)
        for f, _ in node.calls:
            columns[f.id] = ColumnEstimate(max(below.rows, 1.0), max(below.rows, 1.0), width=type_width(f.type))
        return Estimate(below.rows, columns, below.known)

    def union(self, node: Union) -> Estimate:
        inputs = [self.estimate(child) for child in node.inputs]
        rows = sum(e.rows for e in inputs)
        largest = max(inputs, key=lambda e: e.rows, default=None)
        columns = {}
        for index, f in enumerate(node.fields):
            parts = [e.column(ids[index]) for e, ids in zip(inputs, node.columns, strict=True)]
            if largest is not None and largest.rows >= rows * _NEARLY_ALL:
                columns[f.id] = parts[inputs.index(largest)]
                continue
            ndv = min(max((p.ndv for p in parts), default=1.0) * 1.5, max(rows, 1.0))
            lows, highs = [p.low for p in parts], [p.high for p in parts]
            columns[f.id] = ColumnEstimate(
                ndv, max([ndv, *(p.domain for p in parts)]), max((p.nulls for p in parts), default=0.0),
                None if None in lows else min((v for v in lows if v is not None), default=None),
                None if None in highs else max((v for v in highs if v is not None), default=None), type_width(f.type))
        return Estimate(rows, columns, all(e.known for e in inputs))

    def recursion(self, node: Recursion) -> Estimate:
        rows = self.estimate(node.inputs[0]).rows * RECURSION_TURNS
        return Estimate(rows, {f.id: _unknown_column(rows, f.type) for f in node.fields}, False)

    def working_table(self, node: WorkingTable) -> Estimate:
        rows = DEFAULT_SYSTEM_ROWS
        return Estimate(rows, {f.id: _unknown_column(rows, f.type) for f in node.fields}, False)

    def with_(self, node: With) -> Estimate:
        return self.estimate(node.inputs[-1])

    def completion(self, node: Completion) -> Estimate:
        return self.estimate(node.inputs[0])

    def shared_rows(self, node: SharedRows) -> Estimate:
        shared = self.estimate(self.definitions[node.number])
        return Estimate(shared.rows, {f.id: shared.column(i) for f, i in zip(node.fields, node.columns, strict=True)},
                        shared.known)

    def set_operation(self, node: SetOperation) -> Estimate:
        left = self.estimate(node.left)
        return Estimate(left.rows, {f.id: left.column(o.id) for f, o in zip(node.fields, node.left.output, strict=True)})

    def single_row(self, node: EnforceSingleRow) -> Estimate:
        return _capped(self.estimate(node.input), 1.0)

    def unique_id(self, node: AssignUniqueId) -> Estimate:
        below = self.estimate(node.input)
        rows = max(below.rows, 1.0)
        return Estimate(below.rows, {**below.columns, node.field.id: ColumnEstimate(rows, rows, key=True, base_rows=rows)})

    def table_function(self, node: TableFunction) -> Estimate:
        below = self.estimate(node.input)
        made = max((_series_rows(name, args) for name, args in node.functions), default=1.0)
        columns = dict(below.columns)
        for f in node.fields + ((node.ordinality,) if node.ordinality else ()):
            columns[f.id] = ColumnEstimate(made, made, width=type_width(f.type))
        return Estimate(below.rows * made, columns, below.known)

    def write(self, node: TableWrite) -> Estimate:
        return Estimate(1.0, {})


_ESTIMATORS: dict[type, Callable[[Statistics, Any], Estimate]] = {
    Scan: Statistics.scan, Filter: Statistics.filter, Project: Statistics.project, Values: Statistics.values,
    Join: Statistics.join, Apply: Statistics.apply, Aggregate: Statistics.aggregate, Limit: Statistics.limit,
    TopN: Statistics.top_n, Window: Statistics.window, Union: Statistics.union, Recursion: Statistics.recursion,
    WorkingTable: Statistics.working_table, With: Statistics.with_, SharedRows: Statistics.shared_rows,
    SetOperation: Statistics.set_operation, Completion: Statistics.completion,
    EnforceSingleRow: Statistics.single_row, AssignUniqueId: Statistics.unique_id,
    TableFunction: Statistics.table_function, TableWrite: Statistics.write}
for _same in (Sort, Exchange):
    _ESTIMATORS[_same] = lambda statistics, node: statistics.estimate(node.input)


def _column(statistics: ColumnStatistics | None, sql_type: SqlType, rows: float, relation: int,
            unique: bool) -> ColumnEstimate:
    if statistics is None:
        statistics = ColumnStatistics()
    low, high = position(statistics.minimum), position(statistics.maximum)
    nulls = statistics.null_fraction or 0.0
    width = statistics.average_bytes or type_width(sql_type)
    guessed = False
    if unique:
        distinct = rows
    elif statistics.distinct is not None:
        distinct = float(statistics.distinct)
        if low is not None and high is not None and rows * 0.5 < distinct < rows and abs(high - low + 1.0 - distinct) < 1.0:
            # Only the range bounds the values, and rows repeat: how often is not known.
            distinct, guessed = rows / 3.0, True
    else:
        guessed = True
        if sql_type.name == "bool":
            distinct = 2.0
        elif low is not None and high is not None and (sql_type.is_integer or sql_type.name == "date"):
            distinct = high - low + 1.0
        elif sql_type.is_string:
            distinct = min(rows * 0.1, 200.0)
        else:
            distinct = rows * 0.1
    distinct = max(min(distinct, rows * (1.0 - nulls)), 1.0)
    key = unique or distinct >= rows
    return ColumnEstimate(distinct, distinct, nulls, low, high, width, relation, rows, key, guessed)


def _unknown_column(rows: float, sql_type: SqlType) -> ColumnEstimate:
    return ColumnEstimate(max(rows, 1.0), max(rows, 1.0), width=type_width(sql_type))


def _capped(estimate: Estimate, rows: float) -> Estimate:
    if estimate.rows <= rows:
        return estimate
    return Estimate(rows, estimate.thinned(rows / estimate.rows), estimate.known)


def _series_rows(name: str, args: Sequence[Expr]) -> float:
    if name == "generate_series" and len(args) >= 2:
        numbers = [a.value for a in args if isinstance(a, Literal) and isinstance(a.value, int)]
        if len(numbers) == len(args):
            return max((numbers[1] - numbers[0]) / ((numbers[2] if len(numbers) > 2 else 1) or 1) + 1.0, 0.0)
    if name == "unnest" and args and isinstance(args[0], Literal) and isinstance(args[0].value, tuple):
        return float(len(args[0].value))
    return 10.0


# Joins and groups ----------------------------------------------------------------------------------------------------


def key_domain(left: Estimate, right: Estimate, keys: Sequence[tuple[int, int]]) -> float:
    """How many key values there are to match: the divisor of |L||R|."""
    product = 1.0
    left_product = right_product = 1.0
    left_rows = right_rows = 0.0
    for a, b in keys:
        first, second = left.column(a), right.column(b)
        domain = max(first.domain, second.domain)
        if first.key != second.key:  # likely a foreign key: it has no more values than the key, whatever its range says
            keyed = first.domain if first.key else second.domain
            domain = keyed if keyed * FOREIGN_KEY_SLACK >= domain else domain
        product *= max(domain, 1.0)
        left_product *= first.domain
        right_product *= second.domain
        left_rows, right_rows = max(left_rows, first.base_rows), max(right_rows, second.base_rows)
    if len(keys) > 1:
        product = min(product, min(min(left_product, left_rows), min(right_product, right_rows)))
    return max(product, 1.0)


def match_share(of: Estimate, others: Estimate, keys: Sequence[tuple[int, int]], domain: float) -> float:
    """The share of `of`'s rows that find a partner; keys are (column of `of`, column of `others`)."""
    values = 1.0
    nulls = 1.0
    for a, b in keys:
        values *= others.column(b).ndv
        nulls *= 1.0 - of.column(a).nulls
    return min(min(values, others.rows) / domain, 1.0) * nulls


def join_estimate(kind: str, left: Estimate, right: Estimate, keys: Sequence[tuple[int, int]],
                  condition: Sequence[Expr] = ()) -> Estimate:
    """The estimate of a join of two estimated inputs; `condition` holds besides the keys."""
    known = left.known and right.known
    if keys:
        domain = key_domain(left, right, keys)
        left_share = match_share(left, right, keys, domain)
        right_share = match_share(right, left, [(b, a) for a, b in keys], domain)
        rows = left.rows * right.rows / domain
    else:
        left_share = right_share = 1.0 if kind in ("inner", "left", "right", "full") or right.rows > 0 else 0.0
        rows = left.rows * right.rows
    extra = 1.0
    if condition:
        both = {**left.columns, **right.columns}
        for part in condition:
            extra *= narrow(part, both, max(rows, 1.0))
    if kind in ("semi", "anti", "mark"):
        if kind == "mark":
            return Estimate(left.rows, left.columns, known)
        partners = max(rows / max(left.rows * left_share, 1e-9), 1.0) if keys else max(right.rows, 1.0)
        share = left_share * (1.0 - (1.0 - min(extra, 1.0)) ** partners)
        if kind == "anti":
            share = max(1.0 - share, 0.05)
        return Estimate(left.rows * share, left.thinned(share), known)
    rows *= max(extra, MIN_SELECTIVITY)
    columns = {**left.thinned(left_share if kind in ("inner", "right") else 1.0),
               **right.thinned(right_share if kind in ("inner", "left") else 1.0)}
    for a, b in keys:
        if kind == "inner":
            first, second = columns.get(a) or left.column(a), columns.get(b) or right.column(b)
            ndv = min(first.ndv, second.ndv)
            columns[a] = first.thinned(first.ndv, ndv / first.ndv)
            columns[b] = second.thinned(second.ndv, ndv / second.ndv)
    if kind in ("left", "full"):
        rows += left.rows * (1.0 - left_share)
        rows = max(rows, left.rows)
    if kind in ("right", "full"):
        rows += right.rows * (1.0 - right_share)
        rows = max(rows, right.rows)
    return Estimate(rows, columns, known)


def group_count(below: Estimate, ids: Sequence[int]) -> float:
    """How many distinct combinations of these columns there are; a table's key decides its other columns."""
    if not ids:
        return 1.0
    by_relation: dict[int, float] = {}
    total = 1.0
    keyed: set[int] = set()
    for id in ids:
        column = below.column(id)
        if column.key and column.relation:
            keyed.add(column.relation)
            by_relation[column.relation] = min(by_relation.get(column.relation, math.inf), column.ndv)
    for id in ids:
        column = below.column(id)
        if column.relation in keyed:
            continue
        values = column.ndv + (1.0 if column.nulls else 0.0)
        if column.relation:
            by_relation[column.relation] = min(by_relation.get(column.relation, 1.0) * values, max(column.base_rows, 1.0))
        else:
            total *= values
    for values in by_relation.values():
        total *= values
    rows = max(below.rows, 0.0)
    if not keyed and len(ids) > 1 and 1.0 < total < rows * 50:
        total *= 1.0 - math.exp(-rows / total)
    return max(min(total, rows), min(rows, 1.0))
