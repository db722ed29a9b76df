"""A small text form of plans, for tests of rules: text -> plan, with a fake catalog of tables and statistics.

    table t 1000 rows: a int4 key 1..1000, b text 10 distinct
    table m 50 rows in coordinator: k int4 key

    Filter and(eq(a, 2), like(b, 'x%'))
      Scan t

Indentation gives the tree. A column is called by its name, or alias.name after `Scan t as alias`. Expressions are
registry calls. See `_Reader` for each node's line.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal.catalog.connector import (
    CatalogDefinition,
    ColumnStatistics,
    Connector,
    FilterResult,
    LimitResult,
    Predicate,
    SupportsFilter,
    SupportsLimit,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.declarations import ColumnInfo, Constraint
from shoal.catalog.errors import UndefinedDatabase
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, TEXT, SqlType, numeric
from shoal.exec.plan.explain import predicate_text
from shoal.exec.plan.expr import (
    AggregateCall,
    Call,
    Case,
    Cast,
    ColumnRef,
    Expr,
    Literal,
    SortKey,
    WindowCall,
)
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    EnforceSingleRow,
    Field,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Scan,
    ScanColumn,
    SetOperation,
    Sort,
    TableFunction,
    Union,
    Values,
    Window,
)


@dataclass
class Table:
    name: str
    rows: float | None
    columns: list[ColumnInfo]
    statistics: dict[str, ColumnStatistics] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    placement: str = "any"
    enforced: tuple[str, ...] = ()
    """Operators that the source enforces itself."""


class TableConnector(Connector, SupportsFilter, SupportsLimit):
    """A connector that has statistics and takes filters, but no rows."""

    kind = "script"

    def __init__(self, name: str, tables: Sequence[Table], placement: str) -> None:
        super().__init__(CatalogDefinition(name, "script:"))
        self.by_name = {t.name: t for t in tables}
        self.placement = placement  # type: ignore[misc,assignment]

    def schemas(self) -> list[str]:
        return ["public"]

    def tables(self, schema: str) -> list[TableName]:
        return [TableName("public", name) for name in sorted(self.by_name)]

    def table(self, schema: str, name: str) -> TableHandle | None:
        return TableHandle(self.name, schema, name) if name in self.by_name else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return tuple(self.by_name[handle.name].columns)

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Any]:
        return []

    def read(self, *args: Any) -> Iterator[Any]:
        return iter(())

    def statistics(self, handle: TableHandle) -> TableStatistics:
        table = self.by_name[handle.name]
        return TableStatistics(table.rows, table.statistics)

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return tuple(Constraint(f"{key}_key", "unique", (key,)) for key in self.by_name[handle.name].keys)

    def apply_filter(self, handle: TableHandle, predicates: tuple[Predicate, ...]) -> FilterResult | None:
        enforced = self.by_name[handle.name].enforced
        taken = [p for p in predicates if p.operator in enforced]
        if not taken:
            return None
        state = {"filter": tuple(predicate_text(p) for p in taken)}
        made = TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, state)
        return FilterResult(made, tuple(i for i, p in enumerate(predicates) if p.operator not in enforced))

    def apply_limit(self, handle: TableHandle, rows: int) -> LimitResult | None:
        if not self.by_name[handle.name].enforced:
            return None
        state = {**handle.state, "limit": rows}
        return LimitResult(TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, state), False)

    def explain(self, handle: TableHandle, columns: Sequence[str]) -> str:
        parts = list(handle.state.get("filter", ()))
        if "limit" in handle.state:
            parts.append(f"limit {handle.state['limit']}")
        return ", ".join(parts)


class ScriptCatalogs:
    """Catalog `files` with ordinary tables and `memory` with the coordinator's."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.connectors = {
            "files": TableConnector("files", [t for t in tables if t.placement == "any"], "any"),
            "memory": TableConnector("memory", [t for t in tables if t.placement != "any"], "coordinator")}

    def connector(self, name: str) -> Connector:
        if name not in self.connectors:
            raise UndefinedDatabase(f"database {name} does not exist")
        return self.connectors[name]

    def find(self, table: str) -> tuple[Connector, TableHandle]:
        for connector in self.connectors.values():
            handle = connector.table("public", table)
            if handle is not None:
                return connector, handle
        raise ValueError(f"no table {table}")


_TYPES = {"int4": INT4, "int8": INT8, "text": TEXT, "date": DATE, "bool": BOOL, "float8": FLOAT8}
_TABLE = re.compile(r"table (\w+)(?: ([\d.e]+) rows)?( in coordinator)?(?: enforces ([\w, ]+?))?: (.*)")


def parse_type(text: str) -> SqlType:
    if text.startswith("numeric"):
        inner = re.findall(r"\d+", text)
        return numeric(int(inner[0]), int(inner[1])) if inner else numeric(15, 2)
    return _TYPES[text]


def _bound(text: str) -> Any:
    return datetime.date.fromisoformat(text) if text.count("-") == 2 else float(text)


def parse_table(line: str) -> Table:
    """`table NAME [ROWS rows] [in coordinator] [enforces eq, lt]: column type [key] [N distinct] [LOW..HIGH] ...`"""
    found = _TABLE.match(line)
    assert found, line
    name, rows, placed, enforced, rest = found.groups()
    table = Table(name, float(rows) if rows else None, [], placement="coordinator" if placed else "any",
                  enforced=tuple(re.split(r"[, ]+", enforced)) if enforced else ())
    for part in re.split(r", (?![^(]*\))", rest):
        words = part.split()
        column, sql_type = words[0], parse_type(words[1])
        statistics: dict[str, Any] = {}
        text = " ".join(words[2:])
        if "key" in words[2:]:
            table.keys += (column,)
        if (m := re.search(r"([\d.e]+) distinct", text)):
            statistics["distinct"] = float(m[1])
        if (m := re.search(r"([\d.e-]+)\.\.([\d.e-]+)", text)):
            statistics["minimum"], statistics["maximum"] = _bound(m[1]), _bound(m[2])
        if (m := re.search(r"([\d.]+)% null", text)):
            statistics["null_fraction"] = float(m[1]) / 100
        table.columns.append(ColumnInfo(column, sql_type))
        table.statistics[column] = ColumnStatistics(**statistics)
    return table


class Script:
    """Parses plans over some tables; column ids count up from 1."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.catalogs = ScriptCatalogs(tables)
        self.last = 0

    def plan(self, text: str) -> PlanNode:
        lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]
        node, rest = self._node(lines, {})
        assert not rest, rest
        return node

    def new(self, name: str, sql_type: SqlType) -> Field:
        self.last += 1
        return Field(self.last, name, sql_type)

    def _children(self, lines: list[tuple[int, str]], outer: dict[str, ColumnRef],
                  lateral: bool) -> tuple[list[PlanNode], dict[str, ColumnRef], list[tuple[int, str]]]:
        (indent, _), rest = lines[0], lines[1:]
        children: list[PlanNode] = []
        names = dict(outer)
        while rest and rest[0][0] > indent:
            scope = dict(names) if lateral else dict(outer)
            child, rest = self._node(rest, scope)
            children.append(child)
            names.update(self.names_of(child))
        return children, names, rest

    def names_of(self, node: PlanNode) -> dict[str, ColumnRef]:
        found = {f.name: f.ref() for f in node.output}
        found.update({f"{self.aliases[f.id]}.{f.name}": f.ref() for f in node.output if f.id in self.aliases})
        return found

    @property
    def aliases(self) -> dict[int, str]:
        return self.__dict__.setdefault("_aliases", {})

    def _node(self, lines: list[tuple[int, str]], outer: dict[str, ColumnRef]) -> tuple[PlanNode, list[tuple[int, str]]]:
        word, _, rest_of_line = lines[0][1].partition(" ")
        children, names, rest = self._children(lines, outer, word == "Apply")
        return getattr(self, "_" + word.lower())(_Reader(rest_of_line, names, self), children), rest

    # One method for each node's line; r reads what follows the node's name.

    def _scan(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        table = r.word()
        alias = r.word() if r.skip("as") else ""
        connector, handle = self.catalogs.find(table)
        columns = tuple(ScanColumn(self.new(c.name, c.type), c.name) for c in connector.columns(handle))
        if alias:
            self.aliases.update({c.field.id: alias for c in columns})
        return Scan(handle, columns)

    def _filter(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        return Filter(children[0], r.expr())

    def _project(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        made: list[tuple[Field, Expr]] = []
        while not r.end():
            if r.ahead("="):
                name = r.word()
                r.expect("=")
                expr = r.expr()
                made.append((self.new(name, expr.type), expr))
            else:
                ref = r.expr()
                assert isinstance(ref, ColumnRef)
                made.append((Field(ref.id, ref.name, ref.type), ref))
            r.skip(",")
        return Project(children[0], tuple(made))

    def _join(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        kind = r.word()
        null_aware = r.skip("null_aware")
        mark = self.new(r.word(), BOOL) if kind == "mark" else None
        condition = None if r.end() else r.expr()
        if null_aware:
            assert isinstance(condition, Call)
            left, right = condition.args
            return Join(kind, children[0], children[1], ((left, right),), null_aware=True, mark=mark)  # type: ignore[arg-type]
        return Join(kind, children[0], children[1], condition=condition, mark=mark)  # type: ignore[arg-type]

    def _apply(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        kind = r.word()
        left, right = children
        if kind in ("inner", "left"):
            return Apply(kind, left, right, condition=None if r.end() else r.expr())  # type: ignore[arg-type]
        name = r.word()
        mark = self.new(name, right.output[0].type if kind == "scalar" else BOOL)
        comparand: list[ColumnRef] = []
        operator = "eq"
        if kind == "any":
            while not r.end() and r.peek() not in ("eq", "ne", "lt", "le", "gt", "ge"):
                ref = r.expr()
                assert isinstance(ref, ColumnRef)
                comparand.append(ref)
            operator = r.word() if not r.end() else "eq"
        return Apply(kind, left, right, mark, tuple(comparand), operator)  # type: ignore[arg-type]

    def _aggregate(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        groups = r.columns() if r.skip("by") else []
        r.skip(":")
        made = []
        while not r.end():
            name = r.word()
            r.expect("=")
            function = r.word()
            r.expect("(")
            distinct = r.skip("distinct")
            args: list[Expr] = []
            while not r.skip(")"):
                if not r.skip("*"):
                    args.append(r.expr())
                r.skip(",")
            sql_type = _aggregate_type(function, args)
            made.append((self.new(name, sql_type), AggregateCall(function, tuple(args), sql_type, distinct)))
            r.skip(",")
        return Aggregate(children[0], tuple(Field(c.id, c.name, c.type) for c in groups), tuple(made))

    def _sort(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        return Sort(children[0], r.sort_keys())

    def _limit(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        count = Cast(INT8, r.expr()) if r.peek() != "offset" else None
        offset = Cast(INT8, r.expr()) if r.skip("offset") else None
        return Limit(children[0], *(Literal(INT8, c.arg.value) if c and isinstance(c.arg, Literal) else None
                                    for c in (count, offset)))

    def _window(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        partition = tuple(r.columns()) if r.skip("by") else ()
        order = r.sort_keys() if r.skip("order") else ()
        r.expect(":")
        made = []
        while not r.end():
            name = r.word()
            r.expect("=")
            function = r.expr()
            assert isinstance(function, Call)
            made.append((self.new(name, INT8), WindowCall(function.name, function.args, INT8)))
            r.skip(",")
        return Window(children[0], partition, order, tuple(made))

    def _union(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        names = []
        while not r.end():
            names.append(r.word())
            r.skip(",")
        fields = tuple(self.new(name, f.type) for name, f in zip(names, children[0].output, strict=True))
        return Union(tuple(children), fields, tuple(tuple(f.id for f in c.output) for c in children))

    def _intersect(self, r: _Reader, children: list[PlanNode], kind: str = "intersect") -> PlanNode:
        every = r.skip("all")
        fields = tuple(self.new(f.name, f.type) for f in children[0].output)
        return SetOperation(kind, every, children[0], children[1], fields)  # type: ignore[arg-type]

    def _except(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        return self._intersect(r, children, "except")

    def _values(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        if r.end():
            return Values((), ((),))
        fields = []
        while not r.skip(":"):
            name = r.word()
            fields.append(self.new(name, parse_type(r.word())))
            r.skip(",")
        rows = []
        while not r.end():
            r.expect("(")
            row: list[Expr] = []
            while not r.skip(")"):
                value = r.expr()
                row.append(Literal(fields[len(row)].type, value.value) if isinstance(value, Literal) else value)
                r.skip(",")
            rows.append(tuple(row))
            r.skip(",")
        return Values(tuple(fields), tuple(rows))

    def _tablefunction(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        name, sql_type = r.word(), parse_type(r.word())
        r.expect("=")
        function = r.expr()
        assert isinstance(function, Call)
        return TableFunction(children[0], ((function.name, function.args),), (self.new(name, sql_type),))

    def _enforcesinglerow(self, r: _Reader, children: list[PlanNode]) -> PlanNode:
        return EnforceSingleRow(children[0])


def _aggregate_type(name: str, args: Sequence[Expr]) -> SqlType:
    if name == "count":
        return INT8
    first = args[0].type
    if name == "sum":
        return INT8 if first == INT4 else numeric(38, first.scale or 0) if first.name != "float8" else FLOAT8
    return numeric(38, 16) if name == "avg" else first


_TOKEN = re.compile(r"\s*(date'[^']*'|'(?:[^']|'')*'|[\w$.]*\w\$?|[(),=:*])")
_BOOLEANS = frozenset({"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "in", "like", "is_null", "is_not_null",
                       "is_true", "is_not_true", "is_distinct"})


class _Reader:
    """Reads one node's line: words, columns and expressions."""

    def __init__(self, text: str, names: dict[str, ColumnRef], script: Script) -> None:
        self.tokens = _TOKEN.findall(text)
        assert re.sub(r"\s", "", "".join(self.tokens)) == re.sub(r"\s", "", text), text
        self.at, self.names, self.script = 0, names, script

    def end(self) -> bool:
        return self.at >= len(self.tokens)

    def peek(self) -> str:
        return self.tokens[self.at] if not self.end() else ""

    def ahead(self, token: str) -> bool:
        return self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == token

    def word(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def skip(self, token: str) -> bool:
        if self.peek() == token:
            self.at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        assert self.skip(token), (token, self.tokens[self.at:])

    def columns(self) -> list[ColumnRef]:
        found = []
        while not self.end() and self.peek() not in (":", "order"):
            ref = self.expr()
            assert isinstance(ref, ColumnRef)
            found.append(ref)
            self.skip(",")
        return found

    def sort_keys(self) -> tuple[SortKey, ...]:
        keys = []
        while not self.end() and self.peek() != ":":
            ref = self.expr()
            assert isinstance(ref, ColumnRef)
            descending = self.skip("desc")
            keys.append(SortKey(ref, descending, descending))
            self.skip(",")
        return tuple(keys)

    def expr(self) -> Expr:
        token = self.word()
        if token.startswith("date'"):
            return Literal(DATE, (datetime.date.fromisoformat(token[5:-1]) - datetime.date(1970, 1, 1)).days)
        if token.startswith("'"):
            return Literal(TEXT, token[1:-1].replace("''", "'"))
        if re.fullmatch(r"\d+", token):
            return Literal(INT4, int(token))
        if re.fullmatch(r"\d+\.\d+", token):
            whole, digits = token.split(".")
            return Literal(numeric(len(token) - 1, len(digits)), int(whole + digits))
        if token in ("true", "false"):
            return Literal(BOOL, token == "true")
        if token == "null":
            return Literal(BOOL, None)
        if self.peek() != "(":
            return self.names[token]
        return self.call(token)

    def call(self, name: str) -> Expr:
        self.expect("(")
        args: list[Expr] = []
        while not self.skip(")"):
            if self.peek() in _TYPES or self.peek().startswith("numeric"):
                args.append(Literal(parse_type(self.word()), None))
            elif not self.skip("*"):
                args.append(self.expr())
            self.skip(",")
        if name == "cast":
            return Cast(args[1].type, args[0])
        if name == "case":
            return Case(args[1].type, tuple(args[:-1:2]), tuple(args[1::2]), args[-1])
        if name == "random":
            return Call(FLOAT8, name, (), volatile=True)
        if name in _BOOLEANS:
            return Call(BOOL, name, tuple(args))
        if name in ("row_number", "rank", "count", "extract"):
            return Call(INT8, name, tuple(args))
        if name == "div":
            return Call(args[0].type, name, tuple(args))
        return Call(max(args, key=lambda a: (a.type.scale or 0)).type if args else INT4, name, tuple(args))
