"""Views that Shoal keeps: their text is bound where they are read, with the names it had for its author (hop 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from shoal.catalog.access import Namespace, ResolvedTable
from shoal.catalog.connector import SupportsDefinitions
from shoal.catalog.declarations import ViewDefinition, ViewRead
from shoal.catalog.errors import InvalidRecursion, SqlError
from shoal.exec.plan.expr import ColumnRef
from shoal.exec.plan.nodes import Field, PlanNode, Scan, walk_plan
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.context import Context, Query

if TYPE_CHECKING:
    from shoal.catalog.registry import Catalogs


def view_text(catalogs: Catalogs, database: str, search_path: Sequence[str], view: ViewDefinition, names: Sequence[str],
              pretty: bool) -> str:
    """A view's query as PostgreSQL prints it for a reader with this database and search path, its columns called `names`;
    as it was written where it has something that cannot be shown."""
    from shoal.exec.sql.deparse_query import shown_query
    from shoal.exec.sql.parse import parse

    session = SessionContext(database=view.database, search_path=tuple(view.search_path))
    context = Context(ViewNamespace(catalogs, view, ""), session, [])
    seen = Namespace(catalogs, database, tuple(search_path))
    try:
        return shown_query(context, seen, parse(view.query).tree, names).text(pretty) + ";"
    except SqlError:
        return f" {view.query};"


class ViewNamespace(Namespace):
    """The names in a view's text: relations it was made of are found whatever they are called now."""

    def __init__(self, catalogs: Catalogs, view: ViewDefinition, temporary: str) -> None:
        super().__init__(catalogs, view.database, view.search_path, temporary)
        self._reads = {read.parts: read for read in view.reads}

    def resolve(self, parts: tuple[str, ...]) -> ResolvedTable:
        read = self._reads.get(parts)
        if read is None:
            return super().resolve(parts)
        connector = self.catalogs.connector(read.catalog)
        handle = None
        if read.number and isinstance(connector, SupportsDefinitions):
            handle = connector.numbered(read.number)
        handle = handle or connector.table(read.schema, read.name)
        if handle is None:
            return super().resolve(parts)
        columns = {column.name: column for column in connector.columns(handle)}
        hidden = (column for column in columns.values() if column.hidden)
        return ResolvedTable(connector, handle, (*(columns[name] for name in read.columns if name in columns), *hidden))

    def column_name(self, parts: tuple[str, ...], name: str) -> str:
        read = self._reads.get(parts)
        return name if read is None or name not in read.columns else read.written[read.columns.index(name)]


def view_query(context: Context, found: ResolvedTable, view: ViewDefinition) -> Query:
    """The view's query, its columns named as the view's. Raises: what binding it raises, without positions."""
    from shoal.exec.sql.parse import parse
    from shoal.exec.sql.queries import bind_subquery

    key = (found.handle.catalog, found.handle.schema, found.handle.name)
    if key in context.views:
        raise InvalidRecursion(f'infinite recursion detected in rules for relation "{found.handle.name}"')
    namespace, reads = context.namespace, context.reads
    context.namespace = ViewNamespace(namespace.catalogs, view, namespace.temporary)
    context.reads, context.views = {}, (*context.views, key)
    try:
        query = bind_subquery(context, parse(view.query).tree, None, {})
    except SqlError as error:
        error.position = 0
        raise
    finally:
        context.namespace, context.reads, context.views = namespace, reads, context.views[:-1]
    shown = [info.name for info in found.columns if not info.hidden]
    fields = tuple(Field(field.id, name, field.type) for field, name in zip(query.fields, shown, strict=True))
    return Query(query.plan, fields, query.origins, query.places, query.refs)


def definition_of(context: Context, text: str, plan: PlanNode) -> ViewDefinition:
    """What is kept of a view whose query has just been bound."""
    used = _columns_used([plan, *(shared for _, shared in context.shared)])
    reads = []
    for parts, found in context.reads.items():
        handle = found.handle
        number = found.connector.number(handle) if isinstance(found.connector, SupportsDefinitions) else 0
        names = used.get((handle.catalog, handle.schema, handle.name), set())
        columns = tuple(column.name for column in found.columns if not column.hidden)
        used_names = tuple(sorted(names & set(columns))) if handle.kind != "view" else columns
        reads.append(ViewRead(parts, handle.catalog, handle.schema, handle.name, number, columns, columns, used_names))
    return ViewDefinition(text, context.namespace.database, tuple(context.namespace.search_path), tuple(reads))


def _columns_used(plans: Iterable[PlanNode]) -> dict[tuple[str, str, str], set[str]]:
    """The columns of each table whose values any expression uses."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for plan in plans:
        ids: set[int] = set()

        def visit(value: Any, ids: set[int] = ids) -> Any:
            if type(value) is ColumnRef:
                ids.add(value.id)
            return None

        rebuild(plan, visit)
        ids |= {field.id for field in plan.output}
        for node in walk_plan(plan):
            if isinstance(node, Scan):
                key = (node.handle.catalog, node.handle.schema, node.handle.name)
                found.setdefault(key, set()).update(c.source for c in node.columns if c.field.id in ids)
    return found
