"""The one plan tree, from binder to operators: relational nodes over columns that have plan-wide unique ids.

Every node is frozen; rules build new ones. `output` is the ordered tuple of Fields a node produces; a column keeps
its id unchanged through nodes that pass it on. Nodes that compute (Project, Aggregate, Window ...) make new ids.
Keys of joins, sorts, groups and windows are plain columns: whoever needs an expression projects it beneath.

The binder makes Scan Values TableFunction Filter Project Join(without distribution) Aggregate(single) Sort Limit
Window Union Recursion WorkingTable SetOperation Apply EnforceSingleRow TableWrite With SharedRows. The optimizer
removes Apply and SetOperation, makes TopN, and places Exchange and Materialize; the fragmenter cuts at Exchange, and
under With, and puts RemoteSource there and for SharedRows. Operators exist for all but Apply, SetOperation, Exchange,
With and SharedRows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal as OneOf

from shoal.catalog.connector import Predicate, TableHandle
from shoal.catalog.types import SqlType
from shoal.exec.plan.expr import AggregateCall, ColumnRef, Expr, SortKey, WindowCall

JoinKind = OneOf["inner", "left", "right", "full", "semi", "anti", "mark"]


@dataclass(frozen=True, slots=True)
class Field:
    """One output column of a node."""

    id: int
    name: str
    type: SqlType

    def ref(self) -> ColumnRef:
        return ColumnRef(self.type, self.id, self.name)


@dataclass(frozen=True, slots=True)
class PlanNode:
    @property
    def output(self) -> tuple[Field, ...]:
        raise NotImplementedError

    def children(self) -> tuple[PlanNode, ...]:
        """Input nodes: the fields `input`, `left`, `right` and `inputs`."""
        names = _INPUTS.get(type(self))
        if names is None:
            names = _INPUTS[type(self)] = tuple(
                f.name for f in fields(self) if f.name in ("input", "left", "right", "inputs"))
        if not names:
            return ()
        if names[0] == "inputs":
            return tuple(self.inputs)  # type: ignore[attr-defined]
        return tuple([getattr(self, name) for name in names])

    def with_children(self, children: tuple[PlanNode, ...]) -> PlanNode:
        """The same node over other inputs, given in the order of `children()`."""
        self.children()
        names = _INPUTS[type(self)]
        if not names:
            return self
        return replace(self, **({"inputs": children} if names[0] == "inputs" else dict(zip(names, children, strict=True))))


_INPUTS: dict[type, tuple[str, ...]] = {}
"""The input fields of each node class, noted when first asked for: rules ask very often."""


@dataclass(frozen=True, slots=True)
class ScanColumn:
    field: Field
    source: str
    """The column's name in the source table."""


@dataclass(frozen=True, slots=True)
class DynamicFilterUse:
    """The scan drops rows whose `column` cannot be among the keys that join `filter_id` built."""

    filter_id: int
    column: ColumnRef


@dataclass(frozen=True, slots=True)
class Scan(PlanNode):
    """Rows of a table. `handle` holds what the connector took; `predicate` is what the scan itself still filters
    (it may then read the predicate's columns first and skip the rest); `pruning` are hints for the connector only;
    `limit`: no more rows than this are needed from each split."""

    handle: TableHandle
    columns: tuple[ScanColumn, ...]
    predicate: Expr | None = None
    pruning: tuple[Predicate, ...] = ()
    limit: int | None = None
    dynamic_filters: tuple[DynamicFilterUse, ...] = ()
    projected: tuple[int, ...] | None = None
    """Ids of the columns given out, when fewer than `columns` (the others serve the predicate alone)."""
    scan_id: int = 0
    """Unique within a plan once fragmented: splits are assigned to it."""

    @property
    def output(self) -> tuple[Field, ...]:
        kept = tuple(c.field for c in self.columns)
        if self.projected is None:
            return kept
        by_id = {f.id: f for f in kept}
        return tuple(by_id[i] for i in self.projected)


@dataclass(frozen=True, slots=True)
class Values(PlanNode):
    """Constant rows; expressions without columns. `rows=((),)` with no fields is the one row that a SELECT without FROM
    reads."""

    fields: tuple[Field, ...]
    rows: tuple[tuple[Expr, ...], ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class TableFunction(PlanNode):
    """For each input row, the rows that set-returning `functions` give side by side (padded with NULL), after the
    input's columns. Arguments may use the input's columns. `ordinality` adds an int8 counter."""

    input: PlanNode
    functions: tuple[tuple[str, tuple[Expr, ...]], ...]
    fields: tuple[Field, ...]
    ordinality: Field | None = None
    outer: bool = False
    """Keep input rows for which nothing comes back (LEFT JOIN LATERAL)."""

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output + self.fields + ((self.ordinality,) if self.ordinality else ())


@dataclass(frozen=True, slots=True)
class Filter(PlanNode):
    input: PlanNode
    predicate: Expr

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class Project(PlanNode):
    """Exactly the assigned columns; `(f, ColumnRef with f's id)` passes a column on."""

    input: PlanNode
    assignments: tuple[tuple[Field, Expr], ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return tuple(field for field, _ in self.assignments)


@dataclass(frozen=True, slots=True)
class Join(PlanNode):
    """Rows of left and right whose `keys` are equal (NULL equals nothing) and for which `condition` holds.

    inner/left/right/full: left's columns, then right's. semi/anti: left rows with/without a match. mark: every
    left row plus boolean `mark`. `null_aware` (anti, mark) follows SQL's IN: NULL where a NULL could have matched
    (anti then drops the row); it has exactly the one key pair of the IN comparison last in `keys`, the
    others correlate. No keys at all is a nested-loop join. `build` says which side is held in memory.
    """

    kind: JoinKind
    left: PlanNode
    right: PlanNode
    keys: tuple[tuple[ColumnRef, ColumnRef], ...] = ()
    condition: Expr | None = None
    null_aware: bool = False
    mark: Field | None = None
    build: OneOf["left", "right"] = "right"
    distribution: OneOf["", "broadcast", "partitioned"] = ""
    dynamic_filters: tuple[tuple[int, int], ...] = ()
    """(filter_id, index into keys): what the build publishes for probe-side scans."""

    @property
    def output(self) -> tuple[Field, ...]:
        if self.kind in ("semi", "anti"):
            return self.left.output
        if self.kind == "mark":
            assert self.mark is not None
            return (*self.left.output, self.mark)
        return self.left.output + self.right.output


@dataclass(frozen=True, slots=True)
class Apply(PlanNode):
    """A subquery for each row of `left`; `right` may read left's columns (`correlation` = their ids).

    scalar: left's columns + `mark` (typed as the subquery's one column; NULL for no row, 21000 for two).
    exists: left + boolean `mark`, never NULL.   any: left + boolean `mark` = `comparand operator ANY (right)`.
    inner/left: LATERAL join with `condition`: left's columns, then right's.
    """

    kind: OneOf["scalar", "exists", "any", "inner", "left"]
    left: PlanNode
    right: PlanNode
    mark: Field | None = None
    comparand: tuple[ColumnRef, ...] = ()
    """`any`: columns of left compared with right's output columns, pairwise."""
    operator: str = "eq"
    correlation: tuple[int, ...] = ()
    condition: Expr | None = None
    guard: ColumnRef | None = None
    """scalar: a boolean column of left; where it is not true nothing asks for the value, and nothing may raise."""

    @property
    def output(self) -> tuple[Field, ...]:
        if self.kind in ("inner", "left"):
            return self.left.output + self.right.output
        assert self.mark is not None
        return (*self.left.output, self.mark)


@dataclass(frozen=True, slots=True)
class Aggregate(PlanNode):
    """One row a distinct combination of `groups` (NULLs equal); with no groups exactly one row, unless `step`
    is "partial" and there was no input. No aggregates = DISTINCT."""

    input: PlanNode
    groups: tuple[Field, ...]
    aggregates: tuple[tuple[Field, AggregateCall], ...]
    step: OneOf["single", "partial", "final"] = "single"

    @property
    def output(self) -> tuple[Field, ...]:
        return self.groups + tuple(field for field, _ in self.aggregates)


@dataclass(frozen=True, slots=True)
class Sort(PlanNode):
    input: PlanNode
    keys: tuple[SortKey, ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class Limit(PlanNode):
    """`count` rows (None: all) after skipping `offset`; int8 expressions without columns, NULL = none given."""

    input: PlanNode
    count: Expr | None = None
    offset: Expr | None = None

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class TopN(PlanNode):
    """The first `count` rows in the order of `keys`, sorted."""

    input: PlanNode
    keys: tuple[SortKey, ...]
    count: int

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class Window(PlanNode):
    """The input's columns plus one for each call, over shared partitions and order."""

    input: PlanNode
    partition: tuple[ColumnRef, ...]
    order: tuple[SortKey, ...]
    calls: tuple[tuple[Field, WindowCall], ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output + tuple(field for field, _ in self.calls)


@dataclass(frozen=True, slots=True)
class Union(PlanNode):
    """UNION ALL. `columns[i]` are the ids of inputs[i]'s columns that become `fields`, in order."""

    inputs: tuple[PlanNode, ...]
    fields: tuple[Field, ...]
    columns: tuple[tuple[int, ...], ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class Recursion(PlanNode):
    """WITH RECURSIVE: the rows of inputs[0], then again and again those that inputs[1] makes of the rows that were new
    last, until there are none. inputs[1] reads them as the WorkingTable of the same `number`. `columns` are as Union's.
    `distinct` (UNION): a row that was there before is not new.

        Recursion 1 (n)
          Values (1)
          Project n + 1
            WorkingTable 1 (n)
    """

    number: int
    inputs: tuple[PlanNode, ...]
    fields: tuple[Field, ...]
    columns: tuple[tuple[int, ...], ...]
    distinct: bool = False

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class WorkingTable(PlanNode):
    """The new rows of the innermost Recursion of this `number` around it."""

    number: int
    fields: tuple[Field, ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class Materialize(PlanNode):
    """The input's rows, held to be given again in each turn of the Recursion around it."""

    input: PlanNode

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class SetOperation(PlanNode):
    """INTERSECT or EXCEPT over inputs whose types were made equal; NULLs compare equal. (UNION is Union, with an
    Aggregate above for DISTINCT.)"""

    kind: OneOf["intersect", "except"]
    all: bool
    left: PlanNode
    right: PlanNode
    fields: tuple[Field, ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class EnforceSingleRow(PlanNode):
    """Exactly one row: a row of NULLs for none. Raises: CardinalityViolation (21000) for two."""

    input: PlanNode

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class AssignUniqueId(PlanNode):
    """The input plus an int8 column unique over all tasks of the node, made from the task's partition and a counter."""

    input: PlanNode
    field: Field

    @property
    def output(self) -> tuple[Field, ...]:
        return (*self.input.output, self.field)


@dataclass(frozen=True, slots=True)
class Conflict:
    """ON CONFLICT: what becomes of a row whose `keys` (names of unique keys and indexes) exist already. It is left out, or,
    with `assignments` (the values of all columns, over `existing` and the columns of the rejected row), the existing row
    is changed if it meets `predicate`."""

    keys: tuple[str, ...]
    existing: tuple[Field, ...] = ()
    assignments: tuple[Expr, ...] = ()
    predicate: Expr | None = None


MERGE_ACTIONS = ("nothing", "insert", "update", "delete")
"""What TableWrite(merge) can do with a row."""


@dataclass(frozen=True, slots=True)
class TableWrite(PlanNode):
    """Writes the input, gives one row: the count of rows; or `returning`, a row for each that was written.
    insert: `columns` are the table's, in order; refill: the same, in place of all rows. delete: the row id. update: row id,
    then all columns. merge: a number of MERGE_ACTIONS, row id, all columns. Runs where the connector can write (the
    coordinator).

    `computed` columns are made here, since only this process can (nextval); `columns`, `returning` and `checks` may use
    them. `checks`: the table's, over `columns`."""

    input: PlanNode
    handle: TableHandle
    mode: OneOf["insert", "delete", "update", "merge", "refill"]
    columns: tuple[ColumnRef, ...]
    field: Field
    returning: tuple[tuple[Field, ColumnRef], ...] = ()
    computed: tuple[tuple[Field, Expr], ...] = ()
    checks: tuple[tuple[str, Expr], ...] = ()
    view_checks: tuple[tuple[str, Expr], ...] = ()
    """(view, condition) of views WITH CHECK OPTION, over `columns` too."""
    conflict: Conflict | None = None
    after_others: bool = False
    """Other parts of the statement write too: rows that they have changed are left out."""

    @property
    def output(self) -> tuple[Field, ...]:
        return (self.field,) if not self.returning else tuple(f for f, _ in self.returning)


@dataclass(frozen=True, slots=True)
class Completion(PlanNode):
    """The rows of the first of `inputs`; the others are read to their end for what they write."""

    inputs: tuple[PlanNode, ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.inputs[0].output


@dataclass(frozen=True, slots=True)
class With(PlanNode):
    """The last of `inputs`, in which SharedRows read the others, each computed once; `numbers` are theirs. One may read
    those before it. There is at most one With, around the whole query."""

    numbers: tuple[int, ...]
    inputs: tuple[PlanNode, ...]

    @property
    def output(self) -> tuple[Field, ...]:
        return self.inputs[-1].output


@dataclass(frozen=True, slots=True)
class SharedRows(PlanNode):
    """All rows of With's input `number`: `fields` are its columns with the ids `columns`, under ids of their own."""

    number: int
    fields: tuple[Field, ...]
    columns: tuple[int, ...]
    to_coordinator: bool = False

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


@dataclass(frozen=True, slots=True)
class Exchange(PlanNode):
    """A change of distribution. hash: by `keys`; broadcast: all rows to all tasks; gather: to one task, merged in
    the order of `ordering` if given; round_robin: spread evenly."""

    input: PlanNode
    kind: OneOf["hash", "broadcast", "gather", "round_robin"]
    keys: tuple[ColumnRef, ...] = ()
    ordering: tuple[SortKey, ...] = ()
    to_coordinator: bool = False

    @property
    def output(self) -> tuple[Field, ...]:
        return self.input.output


@dataclass(frozen=True, slots=True)
class RemoteSource(PlanNode):
    """The output of another fragment, where an Exchange was. `reader`: which of those it is that share the fragment's
    output."""

    fragment_id: int
    fields: tuple[Field, ...]
    ordering: tuple[SortKey, ...] = ()
    reader: int = 0

    @property
    def output(self) -> tuple[Field, ...]:
        return self.fields


def transform_plan(node: PlanNode, visit: Callable[[PlanNode], PlanNode]) -> PlanNode:
    """Rebuilds bottom-up: `visit` sees each node after its inputs were rebuilt; unchanged subtrees are shared."""
    children = node.children()
    if children:
        rebuilt = tuple(transform_plan(child, visit) for child in children)
        if any(new is not old for new, old in zip(rebuilt, children, strict=True)):
            node = node.with_children(rebuilt)
    return visit(node)


def free_tables(node: PlanNode) -> set[int]:
    """Numbers of the recursions around the subtree whose working tables it reads."""
    if isinstance(node, WorkingTable):
        return {node.number}
    found: set[int] = set()
    for child in node.children():
        found |= free_tables(child)
    if isinstance(node, Recursion):
        found.discard(node.number)
    return found


def walk_plan(node: PlanNode) -> Iterator[PlanNode]:
    """All nodes, parents first."""
    yield node
    for child in node.children():
        yield from walk_plan(child)
