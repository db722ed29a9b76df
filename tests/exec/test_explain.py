"""EXPLAIN's text and JSON: expressions as SQL, fragments with what their tasks did."""

from __future__ import annotations

import json

import pytest

from shoal.catalog.connector import TableHandle
from shoal.catalog.types import BOOL, DATE, INT4, INT8, INTERVAL, TEXT, array_of, numeric
from shoal.exec.plan.explain import OperatorSummary, TaskMetrics, explain_json, explain_text, literal_sql
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal, call
from shoal.exec.plan.fragment import Fragment
from shoal.exec.plan.nodes import Aggregate, Field, Filter, PlanNode, RemoteSource, Scan, ScanColumn

A, B = Field(1, "a", INT4), Field(2, "b", TEXT)
SCAN = Scan(TableHandle("files", "public", "t"), (ScanColumn(A, "a"), ScanColumn(B, "b")))


@pytest.mark.parametrize(("literal", "text"), [
    (Literal(numeric(10, 2), 1250), "12.50"), (Literal(TEXT, "it's"), "'it''s'"),
    (Literal(DATE, 9204), "'1995-03-15'::date"),
    (Literal(BOOL, None), "NULL"), (Literal(BOOL, True), "true"), (Literal(array_of(INT4), (1, 2)), "ARRAY[1, 2]"),
    (Literal(INTERVAL, (1, 2, 3_000_000)), "'1 mons 2 days 3 secs'::interval")])
def test_literals(literal: Literal, text: str) -> None:
    assert literal_sql(literal) == str(literal) == text


def test_operators_are_parenthesised_by_rank() -> None:
    a, one = ColumnRef(INT4, 1, "a"), Literal(INT4, 1)
    plus = call("add", INT4, a, one)
    both = Call(BOOL, "and", (call("gt", BOOL, call("mul", INT4, plus, plus), one), Call(BOOL, "or", (
        call("is_null", BOOL, a), Call(BOOL, "not", (Call(BOOL, "in", (a, one, one)),))))))
    assert str(both) == "(a#1 + 1) * (a#1 + 1) > 1 AND (a#1 IS NULL OR NOT a#1 IN (1, 1))"
    minus = call("sub", INT4, a, call("sub", INT4, a, one))
    assert str(minus) == "a#1 - (a#1 - 1)"
    assert str(Case(INT4, (both.args[1],), (a,), Cast(INT4, Literal(INT8, 2)))) == (
        "CASE WHEN a#1 IS NULL OR NOT a#1 IN (1, 1) THEN a#1 ELSE (2)::integer END")


def fragments() -> tuple[Fragment, ...]:
    test: Expr = call("gt", BOOL, A.ref(), Literal(INT4, 3))
    lower: PlanNode = Aggregate(Filter(SCAN, test), (B,), (), "partial")
    return (Fragment(0, lower, "source", "hash", (2,)),
            Fragment(1, Aggregate(RemoteSource(0, (B,)), (B,), (), "final"), "hash", inputs=(0,)))


def test_fragments_root_first() -> None:
    assert explain_text(fragments()) == [
        "Fragment 1 [hash] -> gather", "  Aggregate (final) by b", "    Remote from fragment 0",
        "Fragment 0 [source] -> hash(b)", "  Aggregate (partial) by b", "    Filter a > 3",
        "      Scan files.public.t (a, b)"]


def test_metrics_by_task_and_operator() -> None:
    def operators(rows: int) -> tuple[OperatorSummary, ...]:
        return (OperatorSummary(rows=2, seconds=0.001), OperatorSummary(rows=rows),
                OperatorSummary(rows=100, seconds=0.002, details={"splits": 1}))

    metrics = [TaskMetrics(0, 1, "w2", 0.25, 2, 2048, operators(7)), TaskMetrics(0, 0, "w1", 0.5, 2, 100, operators(5))]
    lines = explain_text(fragments(), metrics)
    assert lines[3:] == [
        "Fragment 0 [source] -> hash(b)",
        "  task 0 on w1: 2 rows, 100 B, 500.0 ms", "  task 1 on w2: 2 rows, 2.0 kB, 250.0 ms",
        "  Aggregate (partial) by b (rows=4, time=1.0 ms)", "    Filter a > 3 (rows=12, time=0.0 ms)",
        "      Scan files.public.t (a, b) (rows=200, time=2.0 ms, splits=2)"]
    document = json.loads(json.dumps(explain_json(fragments(), metrics)))
    assert [part["Fragment"] for part in document] == [1, 0]
    assert document[1]["Plan"]["Plans"][0]["Actual Rows"] == 12
    assert document[1]["Tasks"][0] == {"Partition": 0, "Worker": "w1", "Time ms": 500.0, "Rows": 2, "Bytes": 100}
