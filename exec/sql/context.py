"""What binding one statement needs at hand: names, ids, parameters; and one query level's state (hop 2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from shoal.catalog.errors import AmbiguousParameter, IndeterminateDatatype, SqlError, StatementTooComplex, UndefinedParameter
from shoal.catalog.types import NUMERIC, UNKNOWN, SqlType
from shoal.exec.plan.expr import Expr, Parameter, WindowFrame, columns_of
from shoal.exec.plan.nodes import Field, PlanNode, WorkingTable
from shoal.exec.sql.bound import Origin

if TYPE_CHECKING:
    from shoal.catalog.access import Namespace, ResolvedTable
    from shoal.exec.plan.fragment import TaskSettings
    from shoal.exec.session_context import SessionContext
    from shoal.exec.sql.scope import Scope

MAX_PARAMETERS = 536_870_911
"""PostgreSQL's own bound; a statement that really has more than 65,535 cannot be bound."""
MAX_COPIED_COLUMNS = 200_000


def fail(error: type[SqlError], message: str, pos: int, *, detail: str = "", hint: str = "") -> NoReturn:
    """Raises `error` at the 0-based offset `pos` of the statement; a negative one is unknown."""
    raise error(message, detail=detail, hint=hint, position=pos + 1)


class Parameters:
    """The types of $1, $2 ... as they are declared or become known from where they are used."""

    def __init__(self, declared: Sequence[SqlType | None]) -> None:
        self.types: dict[int, SqlType | None] = {
            i + 1: None if t is None or t == UNKNOWN else t for i, t in enumerate(declared)}
        self.places: dict[int, int] = {}
        self.refused = False
        self.untyped: dict[int, int] = {}
        """Where a parameter stands whose context takes any type, as in $1 IS NULL."""

    def use(self, index: int, pos: int) -> Parameter:
        """A reference to $index, typed as far as is known. Raises: UndefinedParameter (42P02)."""
        if self.refused or not 1 <= index <= MAX_PARAMETERS:
            fail(UndefinedParameter, f"there is no parameter ${index}", pos)
        self.places.setdefault(index, pos)
        known = self.types.setdefault(index, None)
        return Parameter(known or UNKNOWN, index)

    def refuse(self) -> None:
        """From here on the statement may have none: what is kept of it must mean the same later."""
        self.refused = True

    def assign(self, index: int, target: SqlType, pos: int) -> Parameter:
        """$index at `pos` gets the type of its context, without modifiers. Raises: AmbiguousParameter (42P08)."""
        bare = bare_type(target)
        known = self.types.get(index)
        if known is None:
            self.types[index] = known = bare
        elif known.name != bare.name:
            fail(AmbiguousParameter, f"inconsistent types deduced for parameter ${index}",
                 pos if pos >= 0 else self.places.get(index, -1),
                 detail=f"{bare_type(known).sql} versus {bare.sql}")
        return Parameter(known, index)

    def leave_untyped(self, expr: Expr, pos: int) -> None:
        """Notes a parameter that its place gives no type. Another place may not give it one either, as in PostgreSQL."""
        if isinstance(expr, Parameter) and expr.type == UNKNOWN:
            self.untyped.setdefault(expr.index, pos)

    def finish(self) -> tuple[SqlType, ...]:
        """All types. Raises: IndeterminateDatatype (42P18), AmbiguousParameter (42P08)."""
        for index, pos in self.untyped.items():
            if self.types.get(index) is not None:
                fail(AmbiguousParameter, f"could not determine data type of parameter ${index}", pos)
        found: list[SqlType] = []
        for index in range(1, max(self.types, default=0) + 1):
            known = self.types.get(index)
            if known is None:
                fail(IndeterminateDatatype, f"could not determine data type of parameter ${index}", -1)
            found.append(known)
        return tuple(found)


def bare_type(sql_type: SqlType) -> SqlType:
    """The type without declared modifiers, as a parameter or an error message has it."""
    if sql_type.name == "numeric":
        return NUMERIC
    return replace(sql_type, length=None) if sql_type.length is not None else sql_type


class Context:
    """One statement being bound."""

    def __init__(self, namespace: Namespace, session: SessionContext, declared: Sequence[SqlType | None]) -> None:
        self.namespace, self.session = namespace, session
        self.settings: TaskSettings = session.task_settings()
        self.ids = itertools.count(1)
        self.parameters = Parameters(declared)
        self.notices: list[str] = []
        self.copied_columns = 0
        self.shared: list[tuple[int, PlanNode]] = []
        """WITH queries that are computed once for all their readers, by number, those that others read first."""
        self.future_tables: frozenset[str] = frozenset()
        """WITH queries that come later than the one being bound, or are it."""
        self.reads: dict[tuple[str, ...], ResolvedTable] = {}
        """The relations that the statement (or the view that is being bound) names."""
        self.locks: tuple[tuple[str, str, str], ...] = ()
        """(catalog, schema, name) of the relations that the statement changes."""
        self.statement: object = None
        """The syntax of the statement, whose WITH clause (and no other) may write."""
        self.writes: list[int] = []
        """Those of `shared` that write: they run whether they are read or not."""
        self.arguments: tuple[Level, Sequence[Expr]] | None = None
        """In a function's body: the level that has its arguments as columns, and what $1, $2 ... are."""
        self.body: Level | None = None
        """While a statement that writes is bound, the level of the function whose body it is."""
        self.functions: tuple[str, ...] = ()
        """The functions whose bodies are being bound, outermost first."""
        self.own_definitions = False
        """The statement names functions or types that somebody made."""
        self.inside_with = False
        """A statement of the WITH clause is being bound: types of parameters may still become known."""
        self.views: tuple[tuple[str, str, str], ...] = ()
        """The views that are being bound, outermost first."""
        self.unreachable: list[Scope] = []
        """FROM items that exist beside what is being bound but may not be read from there."""

    def field(self, name: str, sql_type: SqlType) -> Field:
        """A new column."""
        return Field(next(self.ids), name, sql_type)

    def copied(self, columns: int) -> None:
        """Counts the columns of copied WITH queries. Raises: StatementTooComplex (54001) before they fill memory."""
        self.copied_columns += columns
        if self.copied_columns > MAX_COPIED_COLUMNS:
            raise StatementTooComplex("WITH queries refer to each other too often")

    def finished(self) -> tuple[SqlType, ...]:
        """The types of the parameters once the whole statement is bound. Raises: as Parameters.finish."""
        return () if self.inside_with else self.parameters.finish()

    def notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)


@dataclass(frozen=True, slots=True)
class Clause:
    """Where an expression stands: what may occur in it, and what errors call the place."""

    name: str
    aggregates: bool = False
    windows: bool = False
    sets: bool = False
    columns: bool = True
    aggregate_error: str = ""
    window_error: str = ""
    set_error: str = ""


SELECT = Clause("SELECT", aggregates=True, windows=True, sets=True)
ORDER_BY = Clause("ORDER BY", aggregates=True, windows=True, sets=True)
DISTINCT_ON = Clause("DISTINCT ON", aggregates=True, windows=True, sets=True)
GROUP_BY = Clause("GROUP BY", sets=True)
WHERE = Clause("WHERE")
HAVING = Clause("HAVING", aggregates=True)
QUALIFY = Clause("QUALIFY", aggregates=True, windows=True)
JOIN_ON = Clause("JOIN/ON", aggregate_error="aggregate functions are not allowed in JOIN conditions",
                 window_error="window functions are not allowed in JOIN conditions")
FROM = Clause("FROM", aggregate_error="aggregate functions are not allowed in functions in FROM",
              window_error="window functions are not allowed in functions in FROM")
LATERAL = Clause("LATERAL", aggregate_error="aggregate functions are not allowed in FROM clause of their own query level")
VALUES = Clause("VALUES")
LIMIT = Clause("LIMIT", columns=False)
OFFSET = Clause("OFFSET", columns=False)
SAMPLE = Clause("TABLESAMPLE", columns=False)
FILTER = Clause("FILTER", aggregate_error="aggregate functions are not allowed in FILTER",
                window_error="window functions are not allowed in FILTER")
UPDATE = Clause("UPDATE")
DEFAULT = Clause("DEFAULT expressions", columns=False)
CHECK = Clause("check constraints", aggregate_error="aggregate functions are not allowed in check constraints")
GENERATED = Clause("column generation expressions", aggregate_error=(
    "aggregate functions are not allowed in column generation expressions"))
INDEX = Clause("index expressions", aggregate_error="aggregate functions are not allowed in index expressions")
INDEX_PREDICATE = Clause("index predicates", aggregate_error="aggregate functions are not allowed in index predicates")
COPY_WHERE = Clause("COPY FROM WHERE conditions")
AGGREGATE = Clause("aggregate arguments", aggregate_error="aggregate function calls cannot be nested",
                   window_error="aggregate function calls cannot contain window function calls",
                   set_error="aggregate function calls cannot contain set-returning function calls")
WINDOW = Clause("window", aggregates=True, window_error="window function calls cannot be nested",
                set_error="window function calls cannot contain set-returning function calls")
WINDOW_KEY = Clause("window definitions", aggregates=True, sets=True,
                    window_error="window functions are not allowed in window definitions")


@dataclass(slots=True)
class PendingApply:
    """A subquery of an expression, to be put into the plan as Apply where the expression is computed."""

    kind: Any
    right: PlanNode
    mark: Field
    comparand: tuple[Expr, ...]
    operator: str
    refs: frozenset[int]
    """Columns of enclosing levels that `right` reads."""
    given: list[tuple[Field, Expr]] = field(default_factory=list)
    """Columns that are computed beside the outer row for `right` to read."""
    guard: Expr | None = None
    """Only rows for which it is true ask for the value; the others must not raise."""
    written: Any = None
    """The syntax of a subquery that is the whole of an expression: GROUP BY knows it again elsewhere."""

    def reads(self) -> set[int]:
        """The columns that the plan it is put over must have, and those of enclosing levels."""
        computed = [*self.comparand, *(value for _, value in self.given), *([] if self.guard is None else [self.guard])]
        return set(self.refs).union(*map(columns_of, computed)) - {f.id for f, _ in self.given}


@dataclass(slots=True)
class PendingSort:
    expr: Expr
    descending: bool
    nulls_first: bool


@dataclass(slots=True)
class PendingAggregate:
    field: Field
    name: str
    args: tuple[Expr, ...]
    distinct: bool
    filter: Expr | None
    order: tuple[PendingSort, ...]
    strict: bool
    direct: int = 0
    """How many arguments stand before WITHIN GROUP: they use grouped columns only."""


@dataclass(slots=True)
class PendingWindow:
    field: Field
    name: str
    args: tuple[Expr, ...]
    filter: Expr | None
    partition: tuple[Expr, ...]
    order: tuple[PendingSort, ...]
    frame: WindowFrame


@dataclass(slots=True)
class PendingSet:
    """A set-returning function of the select list."""

    fields: tuple[Field, ...]
    name: str
    args: tuple[Expr, ...]


@dataclass(slots=True)
class Query:
    """A bound query. `refs`: columns of enclosing levels it reads, with the level each belongs to."""

    plan: PlanNode
    fields: tuple[Field, ...]
    origins: tuple[Origin | None, ...]
    places: tuple[int, ...]
    refs: dict[int, Level]


@dataclass(slots=True)
class CommonTable:
    """A WITH query: `query` is bound once, copies are renumbered. None while it is being bound itself."""

    name: str
    query: Query | None
    columns: list[str] | None
    used: bool = False
    shared: bool = False
    """Computed once for all who read it, in place of being copied into each."""
    number: int = 0
    """Of a shared one that has been read."""
    hidden: int = 0
    """How many of the last columns of `working` are not part of *."""
    working: WorkingTable | None = None
    """While the recursive term of a query that reads itself is bound: what it reads, with columns still to be numbered."""


@dataclass(slots=True, eq=False)
class Level:
    """One query level: the names its expressions see and what they collect besides values."""

    context: Context
    parent: Level | None
    scope: Scope
    tables: dict[str, CommonTable]
    refs: dict[int, Level] = field(default_factory=dict)
    uses: list[tuple[int, int, str]] = field(default_factory=list)
    """(column id, place, display name) of every local column met outside aggregates."""
    aggregates: list[PendingAggregate] = field(default_factory=list)
    windows: list[PendingWindow] = field(default_factory=list)
    sets: list[PendingSet] = field(default_factory=list)
    input_sets: list[PendingSet] = field(default_factory=list)
    """Set-returning functions that are grouped by, so they run beneath the grouping."""
    input_applies: list[PendingApply] = field(default_factory=list)
    output_applies: list[PendingApply] = field(default_factory=list)
    named_windows: dict[str, Any] = field(default_factory=dict)
    groupings: list[Any] = field(default_factory=list)
    clause: Clause | None = None
    """Where the subquery being bound stands in this level."""
    recursive: bool = False
    """It reads a working table."""

    def adopt(self, refs: dict[int, Level]) -> frozenset[int]:
        """Takes note of what a subquery reads from outside; gives all its outer ids."""
        for column, owner in refs.items():
            if owner is not self:
                self.refs[column] = owner
        return frozenset(refs)
