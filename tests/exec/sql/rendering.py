"""Plans as short text with their own numbering of columns, for tests to compare."""

from __future__ import annotations

from typing import Any

from shoal.exec.plan import expr as e
from shoal.exec.plan import nodes as n


class Renderer:
    """Columns are shown by name, with ' for each other column of that name met before."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}

    def column(self, column: int, name: str) -> str:
        if column not in self.names:
            taken = set(self.names.values())
            name = name.split("_fk")[0] or "?"
            while name in taken:
                name += "'"
            self.names[column] = name
        return self.names[column]

    def fields(self, fields: tuple[n.Field, ...]) -> str:
        return ", ".join(self.column(f.id, f.name) for f in fields)

    def expr(self, node: Any) -> str:
        match node:
            case e.ColumnRef():
                return self.column(node.id, node.name)
            case e.Literal():
                return f"{node.value!r}:{node.type.sql}"
            case e.Parameter():
                return f"${node.index}:{node.type.sql}"
            case e.Call():
                return f"{node.name}({', '.join(map(self.expr, node.args))})"
            case e.Cast():
                return f"{self.expr(node.arg)}{'::' if node.explicit else '~>'}{node.type.sql}"
            case e.Case():
                whens = ", ".join(f"{self.expr(c)}: {self.expr(r)}" for c,
                                  r in zip(node.conditions, node.results, strict=True))
                return f"case({whens}, else {self.expr(node.default)})"
            case e.SortKey():
                nulls = "" if node.nulls_first == node.descending else " nulls first" if node.nulls_first else " nulls last"
                return self.expr(node.column) + (" desc" if node.descending else "") + nulls
            case e.AggregateCall():
                text = f"{node.name}({'distinct ' if node.distinct else ''}{', '.join(map(self.expr, node.args))}"
                text += f" order by {', '.join(map(self.expr, node.order_by))})" if node.order_by else ")"
                return text + (f" where {self.expr(node.filter)}" if node.filter else "")
            case e.WindowCall():
                frame = node.frame
                shown = "" if frame == e.WindowFrame() else f" {frame.mode} {frame.start.kind}..{frame.end.kind}"
                return f"{node.name}({', '.join(map(self.expr, node.args))}){shown}"
        raise AssertionError(node)

    def lines(self, plan: n.PlanNode) -> list[str]:
        below = [f"  {line}" for child in plan.children() for line in self.lines(child)]
        return [self.head(plan), *below]

    def head(self, plan: n.PlanNode) -> str:
        match plan:
            case n.Scan():
                for c in plan.columns:
                    self.column(c.field.id, c.field.name)
                return f"Scan {plan.handle.name}"
            case n.Values():
                rows = "; ".join(", ".join(map(self.expr, row)) for row in plan.rows)
                return f"Values [{self.fields(plan.fields)}] {rows}".rstrip()
            case n.Filter():
                return f"Filter {self.expr(plan.predicate)}"
            case n.Project():
                parts = []
                for field, value in plan.assignments:
                    shown = self.expr(value)
                    own = self.column(field.id, field.name)
                    parts.append(own if own == shown else f"{own} = {shown}")
                return f"Project {', '.join(parts)}"
            case n.Join():
                return f"Join {plan.kind}" + (f" {self.expr(plan.condition)}" if plan.condition is not None else "")
            case n.Apply():
                text = f"Apply {plan.kind}"
                if plan.mark:
                    text += f" {self.column(plan.mark.id, plan.mark.name)}"
                if plan.comparand:
                    text += f" {plan.operator}({', '.join(map(self.expr, plan.comparand))})"
                if plan.condition is not None:
                    text += f" on {self.expr(plan.condition)}"
                reads = ", ".join(self.column(i, "") for i in plan.correlation)
                return text + (f" reads {reads}" if reads else "")
            case n.Aggregate():
                calls = [f"{self.column(f.id, f.name)} = {self.expr(call)}" for f, call in plan.aggregates]
                return f"Aggregate [{self.fields(plan.groups)}] {', '.join(calls)}".rstrip()
            case n.Sort():
                return f"Sort {', '.join(map(self.expr, plan.keys))}"
            case n.Limit():
                return (f"Limit {self.expr(plan.count) if plan.count else 'all'}"
                        + (f" offset {self.expr(plan.offset)}" if plan.offset else ""))
            case n.Window():
                calls = [f"{self.column(f.id, f.name)} = {self.expr(call)}" for f, call in plan.calls]
                keys = f"[{', '.join(map(self.expr, plan.partition))}; {', '.join(map(self.expr, plan.order))}]"
                return f"Window {keys} {', '.join(calls)}"
            case n.Union():
                return f"Union [{self.fields(plan.fields)}]"
            case n.SetOperation():
                return f"{plan.kind.title()}{' all' if plan.all else ''} [{self.fields(plan.fields)}]"
            case n.TableFunction():
                calls = [f"{name}({', '.join(map(self.expr, args))})" for name, args in plan.functions]
                text = f"TableFunction{' outer' if plan.outer else ''} [{self.fields(plan.fields)}] {', '.join(calls)}"
                counter = plan.ordinality
                return text + (f" ordinality {self.column(counter.id, counter.name)}" if counter else "")
            case n.TableWrite():
                return f"TableWrite {plan.mode} {plan.handle.name} [{', '.join(map(self.expr, plan.columns))}]"
        raise AssertionError(plan)


def render(plan: n.PlanNode) -> str:
    """The plan, a node a line, inputs indented; names settle from the leaves up."""
    renderer = Renderer()
    renderer.lines(plan)
    first = Renderer()
    _name_leaves(first, plan)
    return "\n".join(first.lines(plan))


def _name_leaves(renderer: Renderer, plan: n.PlanNode) -> None:
    for child in plan.children():
        _name_leaves(renderer, child)
    renderer.head(plan)


def check(plan: n.PlanNode, outer: frozenset[int] = frozenset()) -> None:
    """Every column a node reads comes from its input (or from an enclosing Apply's left side); output ids are unique."""
    if isinstance(plan, n.Apply):
        check(plan.left, outer)
        left = {f.id for f in plan.left.output}
        assert set(plan.correlation) <= left, "correlation"
        check(plan.right, outer | frozenset(plan.correlation))
        visible = left | {f.id for f in plan.right.output} | outer
    else:
        for child in plan.children():
            check(child, outer)
        visible = {f.id for child in plan.children() for f in child.output} | outer
        if isinstance(plan, n.Scan):
            visible |= {c.field.id for c in plan.columns}
    ids = [f.id for f in plan.output]
    assert len(ids) == len(set(ids)), f"{type(plan).__name__} gives a column twice"
    from shoal.exec.plan.rewrite import rebuild
    read: set[int] = set()

    def visit(value: Any) -> Any:
        if isinstance(value, e.ColumnRef):
            read.add(value.id)
        return value if isinstance(value, n.PlanNode) and value is not plan else None

    rebuild(plan, visit)
    assert read <= visible, f"{type(plan).__name__} reads unknown columns {read - visible}"
    if isinstance(plan, n.Aggregate):
        assert {f.id for f in plan.groups} <= visible, "groups"
    if isinstance(plan, n.Union):
        for child, columns in zip(plan.inputs, plan.columns, strict=True):
            assert set(columns) <= {f.id for f in child.output}, "union"
