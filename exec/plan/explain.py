"""EXPLAIN: plans and fragments as text and as JSON, with what was pushed down and, after a run, with its metrics.

Columns are shown by name, with #id where a name means two columns of the plan. Expressions are shown as SQL.

    Fragment 1 [hash] -> gather
      Aggregate (final) by n_name: revenue = sum(sum)
        Remote from fragment 0

Metrics (EXPLAIN ANALYZE) are one `TaskMetrics` for each task that ran.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal.catalog import specials
from shoal.catalog.connector import ConnectorLookup, Predicate, TableHandle
from shoal.catalog.types import ShapedArray, SqlType, to_python
from shoal.exec.plan.expr import AggregateCall, Call, Case, Cast, ColumnRef, Expr, Literal, SortKey, WindowCall, WindowFrame
from shoal.exec.plan.fragment import Fragment
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    AssignUniqueId,
    Completion,
    Exchange,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Recursion,
    RemoteSource,
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
    walk_plan,
)

NameOf = Callable[[ColumnRef], str]


@dataclass(frozen=True, slots=True)
class OperatorSummary:
    """What one operator of one task did; the fields are those of operators.base.OperatorMetrics."""

    rows: int = 0
    batches: int = 0
    bytes: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    spilled_bytes: int = 0
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """What one task did. `operators` are in the order of `walk_plan(fragment.root)`."""

    fragment_id: int
    partition: int
    worker: str
    seconds: float = 0.0
    rows: int = 0
    bytes: int = 0
    operators: tuple[OperatorSummary, ...] = ()


# Expressions ---------------------------------------------------------------------------------------------------------

_INFIX: dict[str, tuple[str, int]] = {
    "or": ("OR", 1), "and": ("AND", 2),
    "eq": ("=", 4), "ne": ("<>", 4), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4),
    "is_distinct": ("IS DISTINCT FROM", 4), "is_not_distinct": ("IS NOT DISTINCT FROM", 4),
    "like": ("LIKE", 5), "ilike": ("ILIKE", 5), "not_like": ("NOT LIKE", 5), "similar": ("SIMILAR TO", 5),
    "regex_match": ("~", 6), "regex_imatch": ("~*", 6), "concat_op": ("||", 6),
    "add": ("+", 7), "sub": ("-", 7), "mul": ("*", 8), "div": ("/", 8), "mod": ("%", 8),
}
_POSTFIX = {"is_null": "IS NULL", "is_not_null": "IS NOT NULL", "is_true": "IS TRUE", "is_not_true": "IS NOT TRUE",
            "is_false": "IS FALSE", "is_not_false": "IS NOT FALSE", "is_unknown": "IS UNKNOWN",
            "is_not_unknown": "IS NOT UNKNOWN"}
_ATOM = 10


def quote(text: str) -> str:
    """An SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


def literal_sql(literal: Literal) -> str:
    """A constant as SQL text, e.g. 12.50, 'abc', '1995-03-15'::date, NULL."""
    return _value_sql(literal.value, literal.type)


def _value_sql(value: Any, sql_type: SqlType) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if sql_type.name == "interval":
        months, days, micros = value
        return f"'{months} mons {days} days {micros / 1_000_000:g} secs'::interval"
    if isinstance(value, ShapedArray):
        from shoal.exec.evaluation_context import DEFAULT_SETTINGS
        from shoal.exec.functions.text_output import to_text
        from shoal.exec.kernels.constants import array_of_values
        text = to_text(array_of_values([value], sql_type), sql_type, DEFAULT_SETTINGS)
        return f"{quote(text[0].as_py())}::{sql_type.sql}"
    if sql_type.is_array:
        return f"ARRAY[{', '.join(_value_sql(item, sql_type.element) for item in value)}]"
    if sql_type.name in ("int2", "int4", "int8", "oid", "float4", "float8"):
        return str(value)
    if sql_type.name == "numeric":
        if sql_type.varies:
            return value if value[-1:].isdigit() else quote(value) + "::numeric"
        text = specials.TEXTS.get(value)
        return f"{to_python(value, sql_type):f}" if text is None else quote(text) + "::numeric"
    if sql_type.is_string:
        return quote(str(value))
    if sql_type.name == "time" and value == 86_400_000_000:
        return f"'24:00:00'::{sql_type.sql}"
    return f"{quote(str(to_python(value, sql_type)))}::{sql_type.sql}"


def call_sql(call: Call) -> str:
    """A call as SQL text: operators infix, the rest as name(arguments)."""
    return expression_sql(call)


def expression_sql(expr: Expr, name_of: NameOf = str) -> str:
    """An expression as SQL text; `name_of` says how columns are called."""
    return _Printer(name_of).text(expr)


class _Printer:
    def __init__(self, name_of: NameOf) -> None:
        self.name_of = name_of

    def text(self, expr: Expr) -> str:
        return self.ranked(expr)[0]

    def nested(self, expr: Expr, minimum: int) -> str:
        text, rank = self.ranked(expr)
        return text if rank >= minimum else f"({text})"

    def ranked(self, expr: Expr) -> tuple[str, int]:
        """The text and how tightly its outermost operator binds."""
        match expr:
            case ColumnRef():
                return self.name_of(expr), _ATOM
            case Literal():
                return literal_sql(expr), _ATOM
            case Cast():
                return f"{self.nested(expr.arg, _ATOM)}::{expr.type}", _ATOM
            case Case():
                whens = " ".join(f"WHEN {self.text(c)} THEN {self.text(r)}"
                                 for c, r in zip(expr.conditions, expr.results, strict=True))
                return f"CASE {whens} ELSE {self.text(expr.default)} END", _ATOM
            case Call():
                return self.call(expr)
        return str(expr), _ATOM

    def call(self, call: Call) -> tuple[str, int]:
        args = call.args
        if call.name in _INFIX and len(args) >= 2:
            symbol, rank = _INFIX[call.name]
            if call.name in ("and", "or"):
                return f" {symbol} ".join(self.nested(arg, rank + 1) for arg in args), rank
            if len(args) == 2:
                return f"{self.nested(args[0], rank)} {symbol} {self.nested(args[1], rank + 1)}", rank
        if call.name in _POSTFIX and len(args) == 1:
            return f"{self.nested(args[0], 5)} {_POSTFIX[call.name]}", 4
        if call.name == "not":
            return f"NOT {self.nested(args[0], 4)}", 3
        if call.name == "neg":
            return f"-{self.nested(args[0], _ATOM)}", 9
        if call.name == "in":
            return f"{self.nested(args[0], 5)} IN ({', '.join(map(self.text, args[1:]))})", 4
        return f"{call.name}({', '.join(map(self.text, args))})", _ATOM

    def sort_key(self, key: SortKey) -> str:
        nulls = "" if key.nulls_first == key.descending else " NULLS FIRST" if key.nulls_first else " NULLS LAST"
        return f"{self.name_of(key.column)}{' DESC' if key.descending else ''}{nulls}"

    def sort_keys(self, keys: Sequence[SortKey]) -> str:
        return ", ".join(map(self.sort_key, keys))

    def aggregate(self, call: AggregateCall) -> str:
        inner = ", ".join(map(self.text, call.args)) if call.args else "*" if call.name == "count" else ""
        order = f" ORDER BY {self.sort_keys(call.order_by)}" if call.order_by else ""
        where = f" FILTER (WHERE {self.name_of(call.filter)})" if call.filter else ""
        return f"{call.name}({'DISTINCT ' if call.distinct else ''}{inner}{order}){where}"

    def window(self, call: WindowCall) -> str:
        inner = ", ".join(map(self.text, call.args)) if call.args else "*" if call.name == "count" else ""
        where = f" FILTER (WHERE {self.name_of(call.filter)})" if call.filter else ""
        frame = "" if call.frame == WindowFrame() else f" {_frame_sql(call.frame)}"
        return f"{call.name}({inner}){where}{frame}"


def _frame_sql(frame: WindowFrame) -> str:
    def bound(kind: str, offset: Literal | ColumnRef | None) -> str:
        words = kind.replace("_", " ").upper()
        if offset is None:
            return words
        return f"{literal_sql(offset) if isinstance(offset, Literal) else offset} {words}"

    exclude = f" EXCLUDE {frame.exclude.replace('_', ' ').upper()}" if frame.exclude else ""
    return (f"{frame.mode.upper()} BETWEEN {bound(frame.start.kind, frame.start.offset)} "
            f"AND {bound(frame.end.kind, frame.end.offset)}{exclude}")


def predicate_text(predicate: Predicate) -> str:
    """A pushed-down or pruning predicate, for people."""
    symbols = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "like": "LIKE", "not_like": "NOT LIKE"}
    if predicate.operator in ("is_null", "is_not_null"):
        return f"{predicate.column} {_POSTFIX[predicate.operator]}"

    def constant(value: Any) -> str:
        return str(value) if isinstance(value, (int, float)) else quote(str(value))

    if predicate.operator == "in":
        return f"{predicate.column} IN ({', '.join(map(constant, predicate.values))})"
    return f"{predicate.column} {symbols[predicate.operator]} {constant(predicate.values[0])}"


# Plans ---------------------------------------------------------------------------------------------------------------


def explain_text(plan: PlanNode | Sequence[Fragment], metrics: Iterable[TaskMetrics] | None = None,
                 catalogs: ConnectorLookup | None = None, note: Callable[[PlanNode], str] | None = None) -> list[str]:
    """The lines EXPLAIN shows. `catalogs` lets scans tell what their connector took; `note(node)` is added to a
    node's line."""
    if isinstance(plan, PlanNode):
        describe = _Describer([plan], catalogs)
        return _tree_lines(plan, describe, 0, note, None)
    describe = _Describer([f.root for f in plan], catalogs)
    by_fragment = _by_fragment(metrics)
    lines: list[str] = []
    for fragment in reversed(plan):
        lines.append(f"Fragment {fragment.id} [{fragment.partitioning}] -> {_output_text(fragment, describe)}")
        tasks = by_fragment.get(fragment.id, [])
        lines.extend(f"  {_task_text(task)}" for task in tasks)
        summaries = iter(_totals(tasks)) if tasks else None
        lines.extend("  " + line for line in _tree_lines(fragment.root, describe, 0, note, summaries))
    return lines


def explain_json(plan: PlanNode | Sequence[Fragment], metrics: Iterable[TaskMetrics] | None = None,
                 catalogs: ConnectorLookup | None = None) -> list[dict[str, Any]]:
    """The document EXPLAIN (FORMAT JSON) shows: one object for each fragment, the root first (or one for a plan)."""
    if isinstance(plan, PlanNode):
        return [{"Plan": _tree_json(plan, _Describer([plan], catalogs), None)}]
    describe = _Describer([f.root for f in plan], catalogs)
    by_fragment = _by_fragment(metrics)
    documents = []
    for fragment in reversed(plan):
        tasks = by_fragment.get(fragment.id, [])
        summaries = iter(_totals(tasks)) if tasks else None
        document: dict[str, Any] = {"Fragment": fragment.id, "Partitioning": fragment.partitioning,
                                    "Output": _output_text(fragment, describe), "Inputs": list(fragment.inputs)}
        if tasks:
            document["Tasks"] = [{"Partition": t.partition, "Worker": t.worker, "Time ms": round(t.seconds * 1000, 3),
                                  "Rows": t.rows, "Bytes": t.bytes} for t in tasks]
        document["Plan"] = _tree_json(fragment.root, describe, summaries)
        documents.append(document)
    return documents


def _by_fragment(metrics: Iterable[TaskMetrics] | None) -> dict[int, list[TaskMetrics]]:
    found: dict[int, list[TaskMetrics]] = {}
    for task in metrics or ():
        found.setdefault(task.fragment_id, []).append(task)
    for tasks in found.values():
        tasks.sort(key=lambda task: task.partition)
    return found


def _totals(tasks: Sequence[TaskMetrics]) -> list[OperatorSummary]:
    """Each operator's figures over all tasks: sums, but the largest of `seconds` is what the query waited for."""
    totals = []
    for per_task in zip(*(task.operators for task in tasks), strict=False):
        details: Counter[str] = Counter()
        for one in per_task:
            details.update(one.details)
        totals.append(OperatorSummary(
            rows=sum(o.rows for o in per_task), batches=sum(o.batches for o in per_task),
            bytes=sum(o.bytes for o in per_task),
            seconds=max(o.seconds for o in per_task), peak_bytes=sum(o.peak_bytes for o in per_task),
            spilled_bytes=sum(o.spilled_bytes for o in per_task), details=dict(details)))
    return totals


def _task_text(task: TaskMetrics) -> str:
    return (f"task {task.partition} on {task.worker}: {task.rows} rows, {_bytes_text(task.bytes)}, "
            f"{task.seconds * 1000:.1f} ms")


def _bytes_text(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def _summary_text(total: OperatorSummary) -> str:
    parts = [f"rows={total.rows}", f"time={total.seconds * 1000:.1f} ms"]
    if total.peak_bytes:
        parts.append(f"memory={_bytes_text(total.peak_bytes)}")
    if total.spilled_bytes:
        parts.append(f"spilled={_bytes_text(total.spilled_bytes)}")
    parts.extend(f"{name}={value}" for name, value in sorted(total.details.items()))
    return f" ({', '.join(parts)})"


def _output_text(fragment: Fragment, describe: _Describer) -> str:
    if not fragment.output_keys:
        return fragment.output_kind
    names = {f.id: describe.name_of(f.ref()) for f in fragment.root.output}
    return f"{fragment.output_kind}({', '.join(names.get(i, f'#{i}') for i in fragment.output_keys)})"


def _tree_lines(root: PlanNode, describe: _Describer, depth: int, note: Callable[[PlanNode], str] | None,
                summaries: Any) -> list[str]:
    lines: list[str] = []

    def add(node: PlanNode, depth: int) -> None:
        title, details = describe(node)
        summary = next(summaries, None) if summaries is not None else None
        extra = f"  {note(node)}" if note is not None else ""
        lines.append("  " * depth + title + extra + (_summary_text(summary) if summary else ""))
        lines.extend("  " * depth + f"    {key}: {text}" for key, text in details)
        for child in node.children():
            add(child, depth + 1)

    add(root, depth)
    return lines


def _tree_json(node: PlanNode, describe: _Describer, summaries: Any) -> dict[str, Any]:
    title, details = describe(node)
    document: dict[str, Any] = {"Node Type": type(node).__name__, "Title": title,
                                "Output": [describe.name_of(f.ref()) for f in node.output]}
    document.update({key[:1].upper() + key[1:]: text for key, text in details})
    summary = next(summaries, None) if summaries is not None else None
    if summary is not None:
        document.update({"Actual Rows": summary.rows, "Actual Time ms": round(summary.seconds * 1000, 3),
                         "Bytes": summary.bytes, "Peak Memory Bytes": summary.peak_bytes,
                         "Spilled Bytes": summary.spilled_bytes})
        document.update(summary.details)
    children = [_tree_json(child, describe, summaries) for child in node.children()]
    if children:
        document["Plans"] = children
    return document


class _Describer:
    """A node's title and its further lines."""

    def __init__(self, roots: Sequence[PlanNode], catalogs: ConnectorLookup | None) -> None:
        self.catalogs = catalogs
        ids_by_name: dict[str, set[int]] = {}
        for root in roots:
            for node in walk_plan(root):
                made = [c.field for c in node.columns] if isinstance(node, Scan) else node.output
                for f in made:
                    ids_by_name.setdefault(f.name, set()).add(f.id)
        self.ambiguous = {name for name, ids in ids_by_name.items() if len(ids) > 1}
        self.print = _Printer(self.name_of)

    def name_of(self, ref: ColumnRef) -> str:
        return f"{ref.name}#{ref.id}" if ref.name in self.ambiguous or not ref.name else ref.name

    def fields(self, fields: Iterable[Any]) -> str:
        return ", ".join(self.name_of(f.ref()) for f in fields)

    def __call__(self, node: PlanNode) -> tuple[str, list[tuple[str, str]]]:
        method = getattr(self, "_" + type(node).__name__.lower(), None)
        return method(node) if method is not None else (type(node).__name__, [])

    def _scan(self, node: Scan) -> tuple[str, list[tuple[str, str]]]:
        details: list[tuple[str, str]] = []
        if node.predicate is not None:
            details.append(("filter", self.print.text(node.predicate)))
        if self.catalogs is not None:
            connector = self.catalogs.connector(node.handle.catalog)
            pushed = connector.explain(node.handle, [column.source for column in node.columns])
            if pushed:
                details.append(("pushed down", pushed))
        if node.pruning:
            details.append(("pruning", " AND ".join(map(predicate_text, node.pruning))))
        if node.dynamic_filters:
            details.append(("dynamic filters", ", ".join(
                f"{self.name_of(use.column)} in #{use.filter_id}" for use in node.dynamic_filters)))
        if node.limit is not None:
            details.append(("limit", str(node.limit)))
        return f"Scan {handle_text(node.handle)} ({self.fields(node.output)})", details

    def _values(self, node: Values) -> tuple[str, list[tuple[str, str]]]:
        count = len(node.rows)
        return f"Values ({self.fields(node.fields)}) {count} row{'' if count == 1 else 's'}", []

    def _tablefunction(self, node: TableFunction) -> tuple[str, list[tuple[str, str]]]:
        calls = ", ".join(f"{name}({', '.join(map(self.print.text, args))})" for name, args in node.functions)
        return f"TableFunction{' outer' if node.outer else ''} {calls}", []

    def _filter(self, node: Filter) -> tuple[str, list[tuple[str, str]]]:
        return f"Filter {self.print.text(node.predicate)}", []

    def _project(self, node: Project) -> tuple[str, list[tuple[str, str]]]:
        def one(f: Any, expr: Expr) -> str:
            name = self.name_of(f.ref())
            return name if isinstance(expr, ColumnRef) and expr.id == f.id else f"{name} = {self.print.text(expr)}"

        return f"Project {', '.join(one(f, e) for f, e in node.assignments)}".rstrip(), []

    def _join(self, node: Join) -> tuple[str, list[tuple[str, str]]]:
        words = ["Join", node.kind]
        if node.null_aware:
            words.append("null-aware")
        if node.distribution:
            words.append(node.distribution)
        if node.build == "left":
            words.append("build=left")
        text = " ".join(words)
        if node.mark is not None:
            text += f" {self.name_of(node.mark.ref())}"
        if node.keys:
            text += " on " + " AND ".join(f"{self.name_of(a)} = {self.name_of(b)}" for a, b in node.keys)
        details = [] if node.condition is None else [("condition", self.print.text(node.condition))]
        if node.dynamic_filters:
            side = 0 if node.build == "left" else 1
            details.append(("dynamic filters", ", ".join(
                f"#{filter_id} = {self.name_of(node.keys[index][side])}" for filter_id, index in node.dynamic_filters)))
        return text, details

    def _apply(self, node: Apply) -> tuple[str, list[tuple[str, str]]]:
        text = f"Apply {node.kind}"
        if node.kind == "any":
            text += f" {', '.join(map(self.name_of, node.comparand))} {_INFIX.get(node.operator, (node.operator, 0))[0]} ANY"
        if node.mark is not None:
            text += f" {self.name_of(node.mark.ref())}"
        details = [] if node.condition is None else [("condition", self.print.text(node.condition))]
        return text, details

    def _aggregate(self, node: Aggregate) -> tuple[str, list[tuple[str, str]]]:
        step = "" if node.step == "single" else f" ({node.step})"
        groups = f" by {self.fields(node.groups)}" if node.groups else ""
        calls = ", ".join(f"{self.name_of(f.ref())} = {self.print.aggregate(c)}" for f, c in node.aggregates)
        return f"Aggregate{step}{groups}{': ' + calls if calls else ''}", []

    def _sort(self, node: Sort) -> tuple[str, list[tuple[str, str]]]:
        return f"Sort {self.print.sort_keys(node.keys)}", []

    def _topn(self, node: TopN) -> tuple[str, list[tuple[str, str]]]:
        return f"TopN {node.count} by {self.print.sort_keys(node.keys)}", []

    def _limit(self, node: Limit) -> tuple[str, list[tuple[str, str]]]:
        parts = [] if node.count is None else [self.print.text(node.count)]
        if node.offset is not None:
            parts.append(f"offset {self.print.text(node.offset)}")
        return f"Limit {' '.join(parts)}", []

    def _window(self, node: Window) -> tuple[str, list[tuple[str, str]]]:
        calls = ", ".join(f"{self.name_of(f.ref())} = {self.print.window(c)}" for f, c in node.calls)
        partition = f" partition by {', '.join(map(self.name_of, node.partition))}" if node.partition else ""
        order = f" order by {self.print.sort_keys(node.order)}" if node.order else ""
        return f"Window{partition}{order}: {calls}", []

    def _union(self, node: Union) -> tuple[str, list[tuple[str, str]]]:
        return f"Union ({self.fields(node.fields)})", []

    def _recursion(self, node: Recursion) -> tuple[str, list[tuple[str, str]]]:
        return f"Recursion {node.number}{' distinct' if node.distinct else ''} ({self.fields(node.fields)})", []

    def _workingtable(self, node: WorkingTable) -> tuple[str, list[tuple[str, str]]]:
        return f"WorkingTable {node.number} ({self.fields(node.fields)})", []

    def _with(self, node: With) -> tuple[str, list[tuple[str, str]]]:
        return f"With {', '.join(map(str, node.numbers))}", []

    def _completion(self, node: Completion) -> tuple[str, list[tuple[str, str]]]:
        return "Completion", []

    def _sharedrows(self, node: SharedRows) -> tuple[str, list[tuple[str, str]]]:
        return f"SharedRows {node.number} ({self.fields(node.fields)}){' to coordinator' if node.to_coordinator else ''}", []

    def _setoperation(self, node: SetOperation) -> tuple[str, list[tuple[str, str]]]:
        return f"{node.kind.capitalize()}{' all' if node.all else ''} ({self.fields(node.fields)})", []

    def _assignuniqueid(self, node: AssignUniqueId) -> tuple[str, list[tuple[str, str]]]:
        return f"AssignUniqueId {self.name_of(node.field.ref())}", []

    def _tablewrite(self, node: TableWrite) -> tuple[str, list[tuple[str, str]]]:
        return f"TableWrite {node.mode} {handle_text(node.handle)}", []

    def _exchange(self, node: Exchange) -> tuple[str, list[tuple[str, str]]]:
        keys = f" ({', '.join(map(self.name_of, node.keys))})" if node.keys else ""
        order = f" ordered by {self.print.sort_keys(node.ordering)}" if node.ordering else ""
        return f"Exchange {node.kind}{keys}{order}{' to coordinator' if node.to_coordinator else ''}", []

    def _remotesource(self, node: RemoteSource) -> tuple[str, list[tuple[str, str]]]:
        order = f" merged by {self.print.sort_keys(node.ordering)}" if node.ordering else ""
        return f"Remote from fragment {node.fragment_id}{order}", []


def handle_text(handle: TableHandle) -> str:
    return f"{handle.catalog}.{handle.schema}.{handle.name}"
