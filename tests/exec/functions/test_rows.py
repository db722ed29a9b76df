"""Records as text: what row() writes is what record_field() reads back."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shoal.catalog.types import BOOL, INT4, TEXT, SqlType
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, compile_expression
from shoal.exec.functions.rows import fields_of
from shoal.exec.plan.expr import Call, ColumnRef, Literal
from shoal.exec.sql.rows import as_json, fields, row_of

NUMBERS, TEXTS = ColumnRef(INT4, 1, "n"), ColumnRef(TEXT, 2, "t")
WHERE = {1: 0, 2: 1}
VALUES = ["plain", "two words", "", None, 'quote"', "back\\slash", "a,b", "(c)", "tab\t", "é"]


def evaluated(expr: Call) -> list:
    batch = Batch.of([pa.array(range(len(VALUES)), pa.int32()), pa.array(VALUES, pa.string())])
    return compile_expression(expr, WHERE)(batch, EvaluationContext()).to_pylist()


def test_text_form() -> None:
    row = row_of([NUMBERS, TEXTS])
    assert isinstance(row, Call)
    assert evaluated(row) == ["(0,plain)", '(1,"two words")', '(2,"")', "(3,)", '(4,"quote""")', '(5,"back\\\\slash")',
                              '(6,"a,b")', '(7,"(c)")', '(8,"tab\t")', "(9,é)"]


def test_fields_come_back_as_they_were() -> None:
    row = row_of([NUMBERS, TEXTS, Literal(BOOL, True)])
    texts = [fields_of(text, 3) for text in evaluated(row)]  # type: ignore[arg-type]
    assert texts == [[str(n), value, "t"] for n, value in enumerate(VALUES)]
    held = ColumnRef(row.type, 3, "r")
    batch = Batch.of([pa.array(evaluated(row), pa.string())])  # type: ignore[arg-type]
    found = [compile_expression(field, {3: 0})(batch, EvaluationContext()).to_pylist() for field in fields(held)]
    assert found == [list(range(len(VALUES))), VALUES, [True] * len(VALUES)]


@pytest.mark.parametrize(("text", "expected"), [("()", []), ("()", [None]), ("(,)", [None, None]),
                                                ('("")', [""]), ("(1)", ["1"]),
                                                ('("(1,""a b"")",2)', ['(1,"a b")', "2"])])
def test_reading(text: str, expected: list[str | None]) -> None:
    assert fields_of(text, len(expected)) == expected


def test_a_row_is_a_json_object() -> None:
    inner = row_of([TEXTS], ["t"])
    made = as_json(row_of([NUMBERS, inner, Literal(SqlType("numeric", 3, 1), 25)], ["n", "r", "x"]))
    assert isinstance(made, Call)
    assert evaluated(made)[:4] == ['{"n":0,"r":{"t":"plain"},"x":2.5}', '{"n":1,"r":{"t":"two words"},"x":2.5}',
                                   '{"n":2,"r":{"t":""},"x":2.5}', '{"n":3,"r":{"t":null},"x":2.5}']
