"""WITH RECURSIVE: which WITH queries read which, whether one that reads itself is well-formed, and its plan (hop 2).

    WITH RECURSIVE r AS (start UNION ALL step)        Recursion 1
                                               ->       start
                                                        step, in which r is WorkingTable 1

Spec: PostgreSQL 15 documentation, 7.8.2; rules and wording of parse_cte.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from sqlglot import exp

from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, InvalidRecursion, UndefinedFunction
from shoal.catalog.types import NUMERIC, TEXT, SqlType
from shoal.exec.plan.nodes import Field, Recursion, WorkingTable
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import CommonTable, Context, Level, Query, bare_type, fail

Place = Literal["", "its non-recursive term", "a subquery", "an outer join", "INTERSECT", "EXCEPT"]
"""What a reference stands in that it must not; "": nothing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A FROM item that names a WITH query."""

    name: str
    pos: int
    place: Place


def references(tree: Any, names: frozenset[str], place: Place = "") -> Iterator[Reference]:
    """All references in a piece of syntax to WITH queries of these names, except where another of the name hides it."""
    if not names:
        return
    match tree:
        case s.TableRef():
            if len(tree.parts) == 1 and tree.parts[0] in names:
                yield Reference(tree.parts[0], tree.pos, place)
        case s.JoinRef():
            nullable: Place = place or "an outer join"
            yield from references(tree.left, names, nullable if tree.kind in ("right", "full") else place)
            yield from references(tree.right, names, nullable if tree.kind in ("left", "full") else place)
            yield from references(tree.on, names, place)
        case s.Subquery():
            yield from references(tree.query, names, "a subquery")
        case s.InQuery():
            yield from references(tree.query, names, "a subquery")
            yield from references(tree.arg, names, place)
        case s.Quantified():
            yield from references(tree.right, names, "a subquery" if tree.is_query else place)
            yield from references(tree.left, names, place)
        case exp.Expression():
            yield from _in_query(tree, names, place)
        case list() | tuple():
            for item in tree:
                yield from references(item, names, place)
        case _ if is_dataclass(tree):
            for part in fields(tree):
                yield from references(getattr(tree, part.name), names, place)


def _in_query(tree: Any, names: frozenset[str], place: Place) -> Iterator[Reference]:
    args = dict(tree.args)
    clause = args.pop("with_", None)
    if clause is not None:
        items = clause.expressions
        own = frozenset(cte.args["alias"] for cte in items)
        for cte in items:
            yield from references(cte.this, names - own if clause.args.get("recursive") else names, place)
            if not clause.args.get("recursive"):
                names = names - {cte.args["alias"]}
        names = names - own
    if isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        args.pop("this")  # what is written to is never a WITH query
        yield from references([*tree.meta.values()], names, place)
    if isinstance(tree, exp.Except):
        args.pop("this"), args.pop("expression")
        every = not tree.args.get("distinct")
        yield from references(tree.this, names, place or ("EXCEPT" if every else ""))
        yield from references(tree.expression, names, place or "EXCEPT")
    elif isinstance(tree, exp.Intersect):
        args.pop("this"), args.pop("expression")
        inner: Place = place or ("" if tree.args.get("distinct") else "INTERSECT")
        yield from references(tree.this, names, inner)
        yield from references(tree.expression, names, inner)
    for value in args.values():
        if not isinstance(value, (str, bool)) and value is not None:
            yield from references(value, names, place)


def readers(tree: Any, cte: Any) -> int:
    """How many FROM items of a query, and of the others in its WITH clause, name this one of them."""
    counts: Counter[str] | None = tree.meta.get("readers")
    if counts is None:
        counts = tree.meta["readers"] = _reader_counts(tree)
    return counts[cte.args["alias"]]


def _reader_counts(tree: Any) -> Counter[str]:
    """`readers` of every query in the WITH clause, in one pass."""
    ctes = tree.args["with_"].expressions
    names = frozenset(cte.args["alias"] for cte in ctes)
    parts = [value for key, value in tree.args.items() if key != "with_" and isinstance(value, (exp.Expression, list))]
    counts = Counter(found.name for found in references(parts, names))
    for cte in ctes:
        counts.update(found.name for found in references(cte.this, names - {cte.args["alias"]}))
    return counts


def in_order(ctes: Sequence[Any]) -> list[Any]:
    """The queries of a WITH RECURSIVE so that each comes after those it reads; itself does not count.

    Raises: FeatureNotSupported (0A000) for queries that read each other.
    """
    names = frozenset(cte.args["alias"] for cte in ctes)
    reads = {cte.args["alias"]: {found.name for found in references(cte.this, names)} - {cte.args["alias"]} for cte in ctes}
    ordered: list[Any] = []
    left = {cte.args["alias"]: cte for cte in ctes}
    while left:
        ready = next((name for name in left if reads[name].isdisjoint(left)), None)
        if ready is None:
            fail(FeatureNotSupported, "mutual recursion between WITH items is not implemented",
                 next(iter(left.values())).meta["pos"])
        ordered.append(left.pop(ready))
    return ordered


def reads_itself(cte: Any) -> bool:
    return any(True for _ in references(cte.this, frozenset((cte.args["alias"],))))


def bind_recursive(context: Context, cte: Any, parent: Level | None, tables: Mapping[str, CommonTable]) -> Query:
    """A WITH query that reads itself. Raises: InvalidRecursion (42P19), DatatypeMismatch (42804) ..."""
    from shoal.exec.sql import search_cycle
    from shoal.exec.sql.queries import bind_subquery, bind_with

    name, columns = cte.args["alias"], cte.meta["columns"]
    union = _well_formed(cte)
    known = dict(tables)
    if union.args.get("with_") is not None:
        known = bind_with(context, union, parent, known)
    start = bind_subquery(context, union.this, parent, known, keep_unknown=True)
    check_columns(name, columns, start, cte.meta["pos"])
    number = next(context.ids)
    own = [*(columns or ()), *(f.name for f in start.fields[len(columns or ()):])]
    extra = search_cycle.carried(context, cte, union, own)
    types = [_recursive_type(f.type) for f in start.fields]
    second = union.expression
    if extra is not None:
        added = extra.types(types)
        start = search_cycle.widened(context, start, added, extra.added)
        types += added
        second = extra.step(second)
    for widened in (False, True):
        shared = CommonTable(name, None, columns, hidden=len(start.fields) - len(own))
        shared.working = WorkingTable(number, tuple(Field(0, f.name, t) for f, t in zip(start.fields, types, strict=True)))
        step = bind_subquery(context, second, parent, {**known, name: shared}, keep_unknown=True)
        typed = _united(context, name, start, step, types)
        if widened or not _outgrows(types, step):
            break
        types = [NUMERIC if t.name == "numeric" else t for t in types]
    distinct = bool(union.args.get("distinct"))
    if distinct:
        for f, pos in zip(start.fields, start.places, strict=True):
            if f.type.name in ("json", "xml"):
                fail(UndefinedFunction, f"could not identify an equality operator for type {f.type.sql}", pos)
            if (f.type.element if f.type.is_array else f.type).name in ("bit", "varbit"):
                fail(FeatureNotSupported, "could not implement recursive UNION", -1,
                     detail="All column datatypes must be hashable.")
    if extra is not None:
        typed = [extra.started(context, typed[0]), extra.stepped(context, typed[1])]
    made = tuple(context.field(f.name, t) for f, t in zip(start.fields, types, strict=True))
    plan = Recursion(number, tuple(arm.plan for arm in typed), made, tuple(tuple(f.id for f in arm.fields) for arm in typed),
                     distinct)
    return Query(plan, made, (None,) * len(made), start.places, {**typed[0].refs, **typed[1].refs})


def _well_formed(cte: Any) -> Any:
    """The UNION of a recursive query."""
    name, pos = cte.args["alias"], cte.meta["pos"]
    tree = cte.this
    decorations = dict(tree.args)
    while isinstance(tree, exp.Subquery):
        tree = tree.this
        decorations = {**tree.args, **{key: value for key, value in decorations.items() if value}}
    if not isinstance(tree, exp.Union):
        fail(InvalidRecursion,
             f'recursive query "{name}" does not have the form non-recursive-term UNION [ALL] recursive-term', pos)
    own = frozenset((name,))
    for reference in references(tree.this, own, "its non-recursive term"):
        _refuse(reference)
    seen = False
    for reference in (*references(tree.args.get("with_"), own, "a subquery"), *references(tree.expression, own)):
        if reference.place:
            _refuse(reference)
        if seen:
            fail(InvalidRecursion, f'recursive reference to query "{name}" must not appear more than once', reference.pos)
        seen = True
    if isinstance(tree.expression, exp.Select) and tree.expression.args.get("locks"):
        decorations["locks"] = tree.expression.args["locks"]
    for key, clause in (("order", "ORDER BY"), ("offset", "OFFSET"), ("limit", "LIMIT"), ("locks", "FOR UPDATE/SHARE")):
        if decorations.get(key):
            fail(FeatureNotSupported, f"{clause} in a recursive query is not implemented", _place(decorations[key]))
    return tree


def _refuse(reference: Reference) -> None:
    fail(InvalidRecursion, f'recursive reference to query "{reference.name}" must not appear within {reference.place}',
         reference.pos)


def _place(clause: Any) -> int:
    """Where the first expression of a clause is."""
    if not isinstance(clause, exp.Expression):
        return -1
    first = clause.args["expressions"][0].arg if isinstance(clause, exp.Order) else clause.args.get("expression")
    return s.place(first) if first is not None else -1


def check_columns(name: str, columns: Sequence[str] | None, query: Query, pos: int) -> None:
    """Raises: InvalidColumnReference (42P10) for more column names than columns."""
    from shoal.catalog.errors import InvalidColumnReference
    width, named = len(query.fields), len(columns or ())
    if named > width:
        fail(InvalidColumnReference, f'WITH query "{name}" has {width} columns available but {named} columns specified', pos)


def _recursive_type(start: SqlType) -> SqlType:
    """The type of a recursive column: the start's; a numeric without declared digits has room to grow."""
    if start.name == "numeric" and start.typmod == -1:
        return NUMERIC
    return TEXT if start.name == "unknown" else start


def _outgrows(types: Sequence[SqlType], step: Query) -> bool:
    """Whether the recursive term makes numerics with more digits after the point than it reads, so more in each turn."""
    return any(t.name == f.type.name == "numeric" and (f.type.scale or 0) > (t.scale or 0)
               for t, f in zip(types, step.fields, strict=True))


def _united(context: Context, name: str, start: Query, step: Query, types: Sequence[SqlType]) -> list[Query]:
    """Both terms with columns of these types. Raises: DatatypeMismatch (42804) where their common types are others."""
    from shoal.exec.sql.queries import common_columns, retyped

    common = common_columns("UNION", [start, step])
    typed = retyped(context, start, [u if f.type.name == "unknown" else f.type
                                     for f, u in zip(start.fields, common, strict=True)])
    for index, (have, wanted, other) in enumerate(zip(types, common, (f.type for f in step.fields), strict=True)):
        both_numeric = have.name == wanted.name == "numeric"
        if (have != wanted and not both_numeric) or (both_numeric and have.typmod not in (-1, other.typmod)):
            fail(DatatypeMismatch, f'recursive query "{name}" column {index + 1} has type {have.sql} in non-recursive term '
                 f"but type {bare_type(wanted).sql} overall", start.places[index],
                 hint="Cast the output of the non-recursive term to the correct type.")
    return [retyped(context, typed, types, "assignment"), retyped(context, step, types, "assignment")]
