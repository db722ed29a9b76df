"""Every expression of cases/*.tsv against what a real PostgreSQL 15 answered (oracle.py), twice: as constants, and with
each literal as a column, so that both folding and the kernels over rows are tried, a row of NULLs included."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from shoal.catalog.access import Namespace
from shoal.catalog.errors import SqlError
from shoal.catalog.registry import Catalogs
from shoal.catalog.types import TEXT
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, compile_expression
from shoal.exec.functions.casts import bare_sql
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.expr import Cast, ColumnRef, Expr, Literal, transform
from shoal.exec.plan.nodes import Project
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bind import bind
from shoal.exec.sql.parse import parse
from tests.exec.functions.oracle import CASES, unescape

NOW_US = 1_600_000_000_000_000


def cases() -> Iterator[tuple[str, str, str, str, str]]:
    for path in sorted(CASES.glob("*.tsv")):
        zone = "UTC"
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("# TimeZone "):
                zone = line.split()[2]
            if line and not line.startswith("#"):
                expression, kind, text = line.split("\t")
                yield f"{path.stem}:{number}", zone, expression, kind, unescape(text)


def bound(expression: str, zone: str) -> Expr:
    catalogs = Catalogs()
    try:
        found = bind(parse(f"SELECT {expression}"), Namespace(catalogs, "shoal"),
                     SessionContext(time_zone=zone, now_us=NOW_US))
    finally:
        catalogs.close()
    plan = found.plan
    assert isinstance(plan, Project), type(plan)
    (_, expr), = plan.assignments
    while isinstance(plan.input, Project) and isinstance(expr, ColumnRef):
        plan = plan.input
        expr = next(e for f, e in plan.assignments if f.id == expr.id)
    return expr


def text_of(expr: Expr, batch: Batch, positions: dict[int, int], context: EvaluationContext) -> list[str | None]:
    array = compile_expression(Cast(TEXT, expr) if expr.type != TEXT else expr, positions)(batch, context)
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return array.to_pylist()


def with_columns(expr: Expr) -> tuple[Expr, Batch]:
    """The expression with every literal replaced by a column of two equal values and a NULL."""
    arrays: list[pa.Array] = []

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Literal) or node.type.name == "unknown":
            return node
        value = list(node.value) if isinstance(node.value, tuple) else node.value
        arrays.append(array_of_values([value, value, None], node.type))
        return ColumnRef(node.type, len(arrays) - 1)
    return transform(expr, visit), Batch.of(arrays, 3)


def outcome(expression: str, zone: str, columns: bool) -> tuple[str, str]:
    try:
        expr = bound(expression, zone)
        context = EvaluationContext(SessionContext(time_zone=zone, now_us=NOW_US).task_settings())
        batch, positions = Batch([], 1), {}
        if columns:
            expr, batch = with_columns(expr)
            positions = {i: i for i in range(len(batch.columns))}
        text = text_of(expr, batch, positions, context)
    except SqlError as error:
        return "!" + error.sqlstate, error.message
    if columns:
        assert text[0] == text[1]
    return bare_sql(expr.type), "NULL" if text[0] is None else "=" + text[0]


@pytest.mark.parametrize(("zone", "expression", "kind", "text"), [pytest.param(*case[1:], id=case[0]) for case in cases()])
def test_expression(zone: str, expression: str, kind: str, text: str) -> None:
    assert outcome(expression, zone, columns=False) == (kind, text), expression
    assert outcome(expression, zone, columns=True) == (kind, text), f"{expression} over columns"
