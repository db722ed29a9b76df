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
from shoal.exec.batch import Batch, Column
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
RAISE_FOR_NULL = ("array_position(", "array_fill(", "json_build_object(", "jsonb_build_object(")
"""Functions for which a NULL argument is an error: they are tried without the row of NULLs."""


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


def with_columns(expr: Expr, null_row: bool) -> tuple[Expr, Batch]:
    """The expression with every literal replaced by a column of two equal values and (where wanted) a NULL."""
    arrays: list[pa.Array] = []

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Literal) or node.type.name == "unknown":
            return node
        value = list(node.value) if isinstance(node.value, tuple) else node.value
        arrays.append(array_of_values([value, value, None] if null_row else [value, value], node.type))
        return ColumnRef(node.type, len(arrays) - 1)
    return transform(expr, visit), Batch.of(arrays, 2 + null_row)


def outcome(expression: str, zone: str, columns: bool) -> tuple[str, str]:
    try:
        expr = bound(expression, zone)
        context = EvaluationContext(SessionContext(time_zone=zone, now_us=NOW_US).task_settings())
        batch = Batch([], 1)
        positions: dict[int, int] = {}
        if columns:
            expr, batch = with_columns(expr, not expression.startswith(RAISE_FOR_NULL))
            positions = {i: i for i in range(len(batch.columns))}
        text = text_of(expr, batch, positions, context)
    except SqlError as error:
        return "!" + error.sqlstate, error.message
    if columns:
        assert text[0] == text[1]
    return bare_sql(expr.type), "NULL" if text[0] is None else "=" + text[0]


def marked() -> Iterator[object]:
    for name, *case in cases():
        yield pytest.param(*case, id=name)


@pytest.mark.parametrize(("zone", "expression", "kind", "text"), list(marked()))
def test_expression(zone: str, expression: str, kind: str, text: str) -> None:
    assert outcome(expression, zone, columns=False) == (kind, text), expression
    assert outcome(expression, zone, columns=True) == (kind, text), f"{expression} over columns"


def test_expressions_over_no_rows_and_over_slices() -> None:
    for _, zone, expression, kind, _ in cases():
        try:
            expr = bound(expression, zone)
        except SqlError:
            continue
        context = EvaluationContext(SessionContext(time_zone=zone, now_us=NOW_US).task_settings())
        moved, batch = with_columns(expr, null_row=True)
        positions = {i: i for i in range(len(batch.columns))}
        empty = Batch([Column(column.array.slice(0, 0)) for column in batch.columns], 0)
        assert len(compile_expression(moved, positions)(empty, context)) == 0, expression
        if kind.startswith("!") or expression.startswith(RAISE_FOR_NULL):
            continue
        first, second, third = text_of(moved, batch, positions, context)
        shifted = Batch([Column(pa.concat_arrays([c.array, c.array]).slice(2, 3)) for c in batch.columns], 3)
        assert text_of(moved, shifted, positions, context) == [third, first, second], expression
