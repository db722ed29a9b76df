"""The syntax tree of expressions and FROM items, as the grammar builds it and the binder reads it (hop 2).

Statements and their clauses are sqlglot's nodes (Select, Union, Insert ...); inside them expressions are these, because
they say what was written (an operator by its symbol, a function by its name) and where. `pos` is the 0-based
offset PostgreSQL reports for the node: an operator's own, a name's first part, a function's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass(slots=True)
class Node:
    pos: int


def place(node: Any) -> int:
    """Where an expression starts as PostgreSQL reports it: the leftmost of its own place and its operands'."""
    if isinstance(node, Cast) and isinstance(node.arg, Constant) and node.arg.kind == "string":
        return node.arg.pos  # read as a constant of that type
    pos: int = node.pos
    while True:
        match node:
            case Operation() | IsDistinct() | Match() | Quantified():
                node = node.left
            case Is() | Between() | InList() | InQuery() | Cast() | Collate() | Subscript() | FieldOf():
                node = node.arg
            case Logical():
                node = node.args[0]
            case Function(args=[_, *_]):
                node = node.args[0]
            case _:
                return pos
        if node is None:
            return pos
        pos = min(pos, node.pos)


def walk(item: Any) -> Iterator[Node]:
    """All nodes of a piece of syntax, outermost first."""
    stack = [item]
    while stack:
        node = stack.pop()
        if isinstance(node, Node):
            yield node
            stack += [getattr(node, part.name) for part in reversed(fields(node))]
        elif isinstance(node, (list, tuple)):
            stack += reversed(node)
        elif hasattr(node, "args") and isinstance(node.args, dict):
            stack += node.args.values()


_PLACES = frozenset({"pos", "line", "col", "start", "end"})


def same(one: Any, two: Any) -> bool:
    """Whether two pieces of syntax say the same, wherever they stand."""
    stack = [(one, two)]
    while stack:
        a, b = stack.pop()
        if a is b:
            continue
        if type(a) is not type(b):
            return False
        if isinstance(a, Node):
            stack += [(getattr(a, part.name), getattr(b, part.name)) for part in fields(a) if part.name != "pos"]
        elif isinstance(a, (list, tuple)):
            if len(a) != len(b):
                return False
            stack += zip(a, b, strict=True)
        elif isinstance(a, dict):
            stack += [(a.get(key), b.get(key)) for key in (a.keys() | b.keys()) - _PLACES]
        elif hasattr(a, "args") and isinstance(a.args, dict):
            stack += [(a.args, b.args), (a.meta, b.meta)]
        elif a != b:
            return False
    return True


@dataclass(slots=True)
class Name(Node):
    """A column reference; parts are folded unless they were quoted."""

    parts: tuple[str, ...]


@dataclass(slots=True)
class Star(Node):
    """`*` or `qualifier.*`."""

    qualifier: tuple[str, ...] = ()


@dataclass(slots=True)
class Constant(Node):
    """`value` is text for string, integer, decimal, bits and hex; None for null; a bool for boolean."""

    kind: Literal["string", "integer", "decimal", "bits", "hex", "null", "boolean"]
    value: Any


@dataclass(slots=True)
class Param(Node):
    index: int


@dataclass(slots=True)
class TypeName(Node):
    """A type as written: lower-case name (several words joined by a blank), modifiers, array dimensions, interval fields."""

    name: str
    modifiers: tuple[int, ...] = ()
    dimensions: int = 0
    schema: str = ""
    fields: tuple[str, ...] = ()
    quoted: bool = False
    catalog: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The name with what qualifies it."""
        return tuple(part for part in (self.catalog, self.schema, self.name) if part)


@dataclass(slots=True)
class Operation(Node):
    """An operator: infix, or prefix when `left` is None."""

    symbol: str
    left: Any
    right: Any


@dataclass(slots=True)
class Logical(Node):
    """AND or OR over two or more operands."""

    name: Literal["and", "or"]
    args: list[Any]


@dataclass(slots=True)
class Not(Node):
    arg: Any


@dataclass(slots=True)
class Is(Node):
    """arg IS [NOT] test."""

    arg: Any
    test: Literal["null", "true", "false", "unknown", "json", "document", "normalized"]
    negated: bool


@dataclass(slots=True)
class IsDistinct(Node):
    left: Any
    right: Any
    negated: bool


@dataclass(slots=True)
class Between(Node):
    arg: Any
    low: Any
    high: Any
    symmetric: bool
    negated: bool


@dataclass(slots=True)
class InList(Node):
    arg: Any
    items: list[Any]
    negated: bool


@dataclass(slots=True)
class InQuery(Node):
    arg: Any
    query: Any
    negated: bool


@dataclass(slots=True)
class Quantified(Node):
    """left symbol ANY|ALL (query or array)."""

    left: Any
    symbol: str
    every: bool
    right: Any
    is_query: bool


@dataclass(slots=True)
class Match(Node):
    """LIKE, ILIKE, SIMILAR TO."""

    kind: Literal["like", "ilike", "similar"]
    left: Any
    pattern: Any
    escape: Any
    negated: bool


@dataclass(slots=True)
class Case(Node):
    operand: Any
    whens: list[tuple[Any, Any]]
    default: Any


@dataclass(slots=True)
class Cast(Node):
    """CAST(arg AS type), arg::type, or type 'literal' (`literal` is then True)."""

    arg: Any
    type: TypeName
    literal: bool = False


@dataclass(slots=True)
class Collate(Node):
    arg: Any
    collation: tuple[str, ...]


@dataclass(slots=True)
class Row(Node):
    """ROW(...) or (a, b); `explicit` for the former."""

    items: list[Any]
    explicit: bool


@dataclass(slots=True)
class Array(Node):
    items: list[Any]


@dataclass(slots=True)
class Subscript(Node):
    """arg[index], or arg[low:high] when `slice`; `enclosed`: arg stands in parentheses, (a[1])[2]."""

    arg: Any
    low: Any
    high: Any
    slice: bool
    enclosed: bool = False


@dataclass(slots=True)
class FieldOf(Node):
    """(arg).name, or (arg).* for the name "*"."""

    arg: Any
    name: str


@dataclass(slots=True)
class Subquery(Node):
    kind: Literal["scalar", "exists", "array"]
    query: Any


@dataclass(slots=True)
class Default(Node):
    """DEFAULT in VALUES or SET."""


@dataclass(slots=True)
class SortItem(Node):
    arg: Any
    descending: bool = False
    nulls_first: bool = False


@dataclass(slots=True)
class Bound(Node):
    """One end of a frame; `offset` for preceding and following."""

    kind: str
    offset: Any = None


@dataclass(slots=True)
class Frame(Node):
    mode: str
    start: Bound
    end: Bound
    exclude: str = ""
    between: bool = False
    """Both ends were written."""


@dataclass(slots=True)
class WindowSpec(Node):
    """The inside of OVER (...) or of a WINDOW definition; `reference` names the window it builds on.
    `bare`: OVER name."""

    reference: str = ""
    partition: list[Any] = field(default_factory=list)
    order: list[SortItem] = field(default_factory=list)
    frame: Frame | None = None
    bare: bool = False


@dataclass(slots=True)
class Function(Node):
    """A call by name; special forms such as SUBSTRING(a FROM b) are calls of the function PostgreSQL uses."""

    name: tuple[str, ...]
    args: list[Any]
    star: bool = False
    distinct: bool = False
    variadic: bool = False
    order: list[SortItem] = field(default_factory=list)
    within: list[SortItem] | None = None
    filter: Any = None
    over: WindowSpec | None = None
    arg_names: dict[int, str] = field(default_factory=dict)
    label: str = ""
    """Output column name where it is not the function's name."""
    form: Literal["", "value", "words"] = ""
    """How it was written: name(arguments); CURRENT_DATE, without parentheses; with words inside, as EXTRACT(year FROM x)."""


@dataclass(slots=True)
class SearchClause(Node):
    """SEARCH {DEPTH | BREADTH} FIRST BY columns SET sequence."""

    breadth: bool
    columns: list[str]
    sequence: str


@dataclass(slots=True)
class CycleClause(Node):
    """CYCLE columns SET mark TO value DEFAULT default USING path; without TO, true and false."""

    columns: list[str]
    mark: str
    value: Any = None
    default: Any = None
    path: str = ""


@dataclass(slots=True)
class LockingClause(Node):
    """FOR UPDATE and its kin; `tables`: those of OF, with their places."""

    strength: str
    tables: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    skip_locked: bool = False
    nowait: bool = False


@dataclass(slots=True)
class Target(Node):
    """A select-list entry with its AS label, "" for none."""

    arg: Any
    label: str = ""


@dataclass(slots=True)
class GroupingSets(Node):
    """In GROUP BY; `items` are expressions, Rows (a, b) or nested GroupingSets."""

    kind: Literal["sets", "rollup", "cube"]
    items: list[Any]


@dataclass(slots=True)
class FromItem(Node):
    """`columns`: column aliases, or None; a record function's column definition list is `definitions`."""

    alias: str = field(default="", kw_only=True)
    columns: list[str] | None = field(default=None, kw_only=True)


@dataclass(slots=True)
class TableRef(FromItem):
    parts: tuple[str, ...]
    only: bool = False
    sample: Function | None = None
    """TABLESAMPLE's method with its arguments."""
    seed: Any = None
    """TABLESAMPLE's REPEATABLE."""


@dataclass(slots=True)
class FileRef(FromItem):
    """FROM 'path': files, as a table."""

    path: str


@dataclass(slots=True)
class QueryRef(FromItem):
    query: Any
    lateral: bool = False


@dataclass(slots=True)
class FunctionRef(FromItem):
    functions: list[Function]
    lateral: bool = False
    ordinality: bool = False
    definitions: list[ColumnDefinition] | None = None
    inner_definitions: dict[int, list[ColumnDefinition]] = field(default_factory=dict)
    """Column definition lists inside ROWS FROM, by the function's number."""


@dataclass(slots=True)
class JoinRef(FromItem):
    kind: Literal["inner", "left", "right", "full", "cross"]
    left: FromItem
    right: FromItem
    natural: bool = False
    on: Any = None
    using: list[str] | None = None
    using_alias: str = ""


@dataclass(slots=True)
class ColumnDefinition(Node):
    """In CREATE TABLE; just the name in an INSERT column list, and what of the column is set (`parts`)."""

    name: str
    type: TypeName | None = None
    not_null: bool = False
    default: Any = None
    parts: list[Subscript | FieldOf] = field(default_factory=list)


@dataclass(slots=True)
class Assignment(Node):
    """UPDATE ... SET columns = value; several columns for SET (a, b) = row."""

    columns: list[str]
    value: Any
    several: bool = False
    """The columns were in parentheses."""
    parts: list[Subscript | FieldOf] = field(default_factory=list)
    """column.field = value, column[a][b] = value: what of the column is set; without their `arg`."""


@dataclass(slots=True)
class IntoTable(Node):
    """The table that SELECT INTO makes."""

    parts: tuple[str, ...]
    temporary: bool = False


@dataclass(slots=True)
class MergeWhen(Node):
    """WHEN [NOT] MATCHED [AND condition] THEN action; `values` None: DEFAULT VALUES."""

    matched: bool
    condition: Any = None
    action: Literal["nothing", "insert", "update", "delete"] = "nothing"
    assignments: list[Assignment] = field(default_factory=list)
    columns: list[ColumnDefinition] = field(default_factory=list)
    overriding: str = ""
    values: list[Any] | None = None


@dataclass(slots=True)
class OnConflict(Node):
    """INSERT ... ON CONFLICT. `columns`: of an index, as CREATE INDEX has them (syntax_ddl.IndexColumn). Neither they nor
    `constraint`: any key. `assignments` None: DO NOTHING."""

    columns: list[Any] | None = None
    constraint: str = ""
    predicate: Any = None
    predicate_text: str = ""
    assignments: list[Assignment] | None = None
    where: Any = None


@dataclass(slots=True)
class CurrentOf(Node):
    """WHERE CURRENT OF."""

    cursor: str


@dataclass(slots=True)
class BoundItem(FromItem):
    """A FROM item that is bound already: `source` is a from_clause.Source."""

    source: Any
