from __future__ import annotations

import random
import uuid
from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog.errors import DivisionByZero
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, TEXT, SqlType, numeric
from shoal.exec.batch import Batch, Selection
from shoal.exec.evaluator import (
    EvaluationContext,
    compile_expression,
    compile_expressions,
    compile_predicate,
    evaluate_constant,
)
from shoal.exec.functions import resolve_function, resolve_operator
from shoal.exec.functions.casts import cast_result
from shoal.exec.kernels.constants import array_of_values, physical
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal
from shoal.exec.plan.fragment import TaskSettings

CONTEXT = EvaluationContext(TaskSettings(now_us=0, seed=7))


def column(i: int, sql_type: SqlType) -> ColumnRef:
    return ColumnRef(sql_type, i)


def cast(expr: Expr, target: SqlType) -> Expr:
    return expr if expr.type == target else Cast(cast_result(expr.type, target), expr)


def op(symbol: str, left: Expr, right: Expr) -> Call:
    found = resolve_operator(symbol, left.type, right.type)
    return Call(found.returns, found.function.name,
                tuple(cast(a, t) for a, t in zip((left, right), found.arguments, strict=True)))


def fn(name: str, *args: Expr) -> Call:
    found = resolve_function(name, [a.type for a in args], [a.value if isinstance(a, Literal) else None for a in args])
    return Call(found.returns, found.function.name, tuple(cast(a, t) for a, t in zip(args, found.arguments, strict=True)),
                found.function.volatility == "volatile")


def both(*parts: Expr) -> Call:
    return Call(BOOL, "and", parts)


def either(*parts: Expr) -> Call:
    return Call(BOOL, "or", parts)


def run(expr: Expr, *arrays: pa.Array, rows: int | None = None) -> pa.Array:
    batch = Batch.of(arrays, rows) if arrays else Batch([], rows or 1)
    return compile_expression(expr, {i: i for i in range(len(arrays))})(batch, CONTEXT)


def keep(expr: Expr, *arrays: pa.Array) -> list[bool]:
    mask = compile_predicate(expr, {i: i for i in range(len(arrays))})(Batch.of(arrays), CONTEXT)
    assert mask.dtype == np.bool_
    return mask.tolist()


def unscaled(array: pa.Array, scale: int) -> list[int | None]:
    if not pa.types.is_decimal(array.type):
        return array.to_pylist()
    with localcontext() as context:
        context.prec = 100
        return [None if v is None else int(v.scaleb(scale)) for v in array.to_pylist()]


PRICE = numeric(15, 2)


def test_money_arithmetic_stays_in_int64() -> None:
    price, discount, tax = pa.array([9010000, 123]), pa.array([5, 10]), pa.array([8, 0])
    one = Literal(INT4, 1)
    revenue = op("*", column(0, PRICE), op("-", one, column(1, PRICE)))
    charge = op("*", revenue, op("+", one, column(2, PRICE)))
    found = run(charge, price, discount, tax)
    assert found.type == pa.int64()
    assert found.to_pylist() == [9010000 * 95 * 108, 123 * 90 * 100]
    assert charge.type.scale == 6


def test_products_beyond_int64_are_exact() -> None:
    big = [10 ** 17 + 7, -(10 ** 17) - 3, None, 5]
    found = run(op("*", column(0, numeric(18, 2)), column(0, numeric(18, 2))), pa.array(big, pa.int64()))
    assert pa.types.is_decimal(found.type)
    assert unscaled(found, 4) == [None if v is None else v * v for v in big]


def test_garbage_under_null_neither_raises_nor_widens() -> None:
    huge = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([3, 2 ** 62], "<i8"))])
    found = run(op("*", column(0, PRICE), column(0, PRICE)), huge)
    assert found.type == pa.int64() and found.to_pylist() == [9, None]
    zero = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([2, 0], "<i8"))])
    assert run(op("/", Literal(INT8, 10), column(0, INT8)), zero).to_pylist() == [5, None]


@pytest.mark.parametrize("symbol", ["+", "-", "*", "%"])
def test_numeric_operators_equal_python_decimals(symbol: str) -> None:
    source = random.Random(symbol)
    for left_scale, right_scale, digits in ((0, 0, 5), (2, 5, 12), (7, 0, 18), (3, 3, 30), (0, 9, 36)):
        left_type, right_type = numeric(digits, left_scale), numeric(digits, right_scale)
        a = [source.randint(-10 ** source.randint(1, digits), 10 ** source.randint(1, digits)) for _ in range(200)]
        b = [source.randint(-10 ** source.randint(1, digits), 10 ** source.randint(1, digits)) or 1 for _ in range(200)]
        expr = op(symbol, column(0, left_type), column(1, right_type))
        scale = expr.type.scale or 0
        found = unscaled(run(expr, array_of_values(a, left_type), array_of_values(b, right_type)), scale)
        with localcontext() as context:
            context.prec = 200
            for x, y, got in zip(a, b, found, strict=True):
                p, q = Decimal(x).scaleb(-left_scale), Decimal(y).scaleb(-right_scale)
                exact = p + q if symbol == "+" else p - q if symbol == "-" else p * q
                if symbol == "%":
                    exact = p % q
                assert got == int(exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP).scaleb(scale)), (p, q)


def test_products_beyond_76_digits_are_exact() -> None:
    wide = numeric(76, 0)
    found = op("*", column(0, wide), column(0, wide))
    assert found.type == NUMERIC
    assert physical(run(found, array_of_values([10 ** 75 + 1, 3], wide)), 0, NUMERIC) == str((10 ** 75 + 1) ** 2)


def test_comparison_with_constants_of_more_digits() -> None:
    data = pa.array([5, 6, 7, None])
    cents = column(0, PRICE)
    exact, between = Literal(numeric(10, 4), 600), Literal(numeric(10, 4), 605)
    assert keep(op("=", cents, exact), data) == [False, True, False, False]
    assert keep(op("=", cents, between), data) == [False] * 4
    assert keep(op("<", cents, between), data) == [True, True, False, False]
    assert keep(op(">=", cents, between), data) == [False, False, True, False]
    assert keep(op("<>", cents, between), data) == [True, True, True, False]
    assert keep(op(">", between, cents), data) == [True, True, False, False]


def test_and_shields_what_may_raise() -> None:
    a, b = pa.array([10, 20, 30], pa.int32()), pa.array([0, 2, 5], pa.int32())
    safe = op("<>", column(1, INT4), Literal(INT4, 0))
    risky = op(">", op("/", column(0, INT4), column(1, INT4)), Literal(INT4, 6))
    assert keep(both(risky, safe), a, b) == [False, True, False]
    assert run(both(risky, safe), a, b).to_pylist() == [False, True, False]
    with pytest.raises(DivisionByZero):
        keep(risky, a, b)
    unsafe = op("=", column(1, INT4), Literal(INT4, 0))
    assert run(either(unsafe, risky), a, b).to_pylist() == [True, True, False]


def test_case_and_coalesce_are_lazy() -> None:
    b = pa.array([0, 2, None], pa.int32())
    quotient = op("/", Literal(INT4, 10), column(0, INT4))
    guarded = Case(INT4, (op("=", column(0, INT4), Literal(INT4, 0)),), (Literal(INT4, -1),), quotient)
    assert run(guarded, b).to_pylist() == [-1, 5, None]
    first = Call(INT4, "coalesce", (column(1, INT4), quotient))
    assert run(first, pa.array([0, 2, 5], pa.int32()), pa.array([7, None, None], pa.int32())).to_pylist() == [7, 5, 2]
    assert run(Call(INT4, "coalesce", (Literal(INT4, 1), op("/", Literal(INT4, 1), Literal(INT4, 0))))).to_pylist() == [1]


def test_failing_constants_raise_only_when_reached() -> None:
    failing = op("/", Literal(INT4, 1), Literal(INT4, 0))
    never = Case(INT4, (op(">", column(0, INT4), Literal(INT4, 100)),), (failing,), Literal(INT4, 0))
    assert run(never, pa.array([1, 2], pa.int32())).to_pylist() == [0, 0]
    with pytest.raises(DivisionByZero):
        run(never, pa.array([1, 200], pa.int32()))


def test_three_valued_logic() -> None:
    values = pa.array([True, False, None])
    left, right = column(0, BOOL), column(1, BOOL)
    for b in (True, False, None):
        other = pa.array([b] * 3, pa.bool_())
        a = [True, False, None]
        wanted_and = [False if x is False or b is False else None if x is None or b is None else True for x in a]
        wanted_or = [True if x or b else None if x is None or b is None else False for x in a]
        assert run(both(left, right), values, other).to_pylist() == wanted_and
        assert run(either(left, right), values, other).to_pylist() == wanted_or
        assert keep(both(left, right), values, other) == [w is True for w in wanted_and]
        assert keep(Call(BOOL, "not", (either(left, right),)), values, other) == [w is False for w in wanted_or]
    tests = {"is_true": [True, False, False], "is_not_true": [False, True, True], "is_false": [False, True, False],
             "is_not_false": [True, False, True], "is_unknown": [False, False, True], "is_null": [False, False, True],
             "is_not_null": [True, True, False]}
    for name, wanted in tests.items():
        assert run(Call(BOOL, name, (left,)), values).to_pylist() == wanted, name


def dictionary(values: list[str | None]) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()


TEXTS = ["AIR", None, "RAIL", "air", "MAIL", "AIR", None] * 30


@pytest.mark.parametrize("make", [
    lambda c: op("=", c, Literal(TEXT, "AIR")), lambda c: op("<", c, Literal(TEXT, "MAIL")),
    lambda c: op("~~", c, Literal(TEXT, "%AI%")), lambda c: op("~~", c, Literal(TEXT, "A%")),
    lambda c: op("~", c, Literal(TEXT, "^.AIL$")), lambda c: fn("lower", c), lambda c: fn("length", c),
    lambda c: fn("substring", c, Literal(INT4, 2), Literal(INT4, 2)), lambda c: op("||", c, Literal(TEXT, "x")),
    lambda c: Call(BOOL, "in", (c, Literal(TEXT, "AIR"), Literal(TEXT, "RAIL"))),
    lambda c: Call(BOOL, "in", (c, Literal(TEXT, "AIR"), Literal(TEXT, None))),
    lambda c: Call(TEXT, "coalesce", (c, Literal(TEXT, "none"))), lambda c: Call(BOOL, "is_null", (c,)),
    lambda c: Case(TEXT, (op("=", c, Literal(TEXT, "AIR")),), (Literal(TEXT, "plane"),), c),
    lambda c: op("=", c, c), lambda c: fn("nullif", c, Literal(TEXT, "AIR")),
    lambda c: fn("greatest", c, Literal(TEXT, "B"))])
def test_dictionary_columns_give_what_plain_ones_give(make: object) -> None:
    expr = make(column(0, TEXT))  # type: ignore[operator]
    plain, encoded = run(expr, pa.array(TEXTS, pa.string())), run(expr, dictionary(TEXTS))
    if pa.types.is_dictionary(encoded.type):
        values = encoded.dictionary.to_pylist()
        assert len(set(values)) == len(values) and None not in values
    assert encoded.to_pylist() == plain.to_pylist()
    if expr.type == BOOL:
        assert keep(expr, dictionary(TEXTS)) == [v is True for v in plain.to_pylist()]


def test_casts_of_dictionaries_ignore_values_no_row_has() -> None:
    array = dictionary(["1", "x", "2"] * 40).take(pa.array([0, 2, 3]))
    assert run(Cast(INT4, column(0, TEXT)), array).to_pylist() == [1, 2, 1]


def test_in_lists() -> None:
    numbers = pa.array([1, 5, None, 9], pa.int64())
    few = Call(BOOL, "in", (column(0, INT8), Literal(INT8, 5), Literal(INT8, 9)))
    many = Call(BOOL, "in", (column(0, INT8), *(Literal(INT8, v) for v in range(5, 1000, 4))))
    assert run(few, numbers).to_pylist() == run(many, numbers).to_pylist() == [False, True, None, True]
    with_null = Call(BOOL, "in", (column(0, INT8), Literal(INT8, 5), Literal(INT8, None)))
    assert run(with_null, numbers).to_pylist() == [None, True, None, None]
    assert keep(Call(BOOL, "not", (with_null,)), numbers) == [False] * 4
    decimals = Call(BOOL, "in", (column(0, PRICE), Literal(numeric(5, 3), 5000), Literal(numeric(5, 3), 9001)))
    assert run(decimals, pa.array([500, 900, None])).to_pylist() == [True, False, None]
    columns = Call(BOOL, "in", (column(0, INT8), column(1, INT8), Literal(INT8, 9)))
    assert run(columns, numbers, pa.array([1, None, 3, None], pa.int64())).to_pylist() == [True, None, None, True]


def test_equal_subtrees_are_shared_but_volatile_ones_are_not() -> None:
    total = op("*", column(0, PRICE), column(0, PRICE))
    run_all = compile_expressions([total, op("+", total, Literal(PRICE, 1)), total], {0: 0})
    first, _, third = run_all(Batch.of([pa.array([3, 4])]), CONTEXT)
    assert first is third
    zeros = [op("*", column(0, FLOAT8), Literal(FLOAT8, zero)) for zero in (0.0, -0.0)]
    found = compile_expressions(zeros, {0: 0})(Batch.of([pa.array([1.0])]), CONTEXT)
    assert [str(array[0]) for array in found] == ["0.0", "-0.0"]
    random_call = fn("random")
    a, b = compile_expressions([random_call, random_call], {})(Batch([], 5), CONTEXT)
    assert a.to_pylist() != b.to_pylist() and len(set(a.to_pylist())) == 5
    again = compile_expression(random_call, {})(Batch([], 5), EvaluationContext(TaskSettings(now_us=0, seed=7)))
    repeated = compile_expression(random_call, {})(Batch([], 5), EvaluationContext(TaskSettings(now_us=0, seed=7)))
    assert again.to_pylist() == repeated.to_pylist()
    beside = EvaluationContext(TaskSettings(now_us=0, seed=7), fragment=1)
    assert not set(compile_expression(random_call, {})(Batch([], 5), beside).to_pylist()) & set(again.to_pylist())
    uuids = [compile_expression(fn("gen_random_uuid"), {})(Batch([], 5), EvaluationContext(TaskSettings(now_us=0, seed=7)))
             .to_pylist() for _ in range(2)]
    assert len(set(uuids[0] + uuids[1])) == 10 and {uuid.UUID(text).version for text in uuids[0]} == {4}


def test_predicates_narrow_to_survivors_and_scatter_back() -> None:
    rows = 5000
    numbers = pa.array(np.arange(rows))
    texts = pa.array([f"row {i}" for i in range(rows)])
    predicate = both(op("~~", column(1, TEXT), Literal(TEXT, "%7")), op("<", column(0, INT8), Literal(INT8, 50)),
                     op(">", op("/", Literal(INT8, 100), op("-", column(0, INT8), Literal(INT8, 60))), Literal(INT8, -100)))
    found = np.flatnonzero(keep(predicate, numbers, texts)).tolist()
    assert found == [7, 17, 27, 37, 47]


def test_deferred_columns_are_gathered_only_for_survivors() -> None:
    base = Batch.of([pa.array([1, 2, 3, 4], pa.int32()), pa.array(["a", "b", "c", "d"])])
    batch = base.take(Selection(np.array([3, -1, 0]), nullable=True))
    predicate = both(op(">", column(0, INT4), Literal(INT4, 1)), op("=", column(1, TEXT), Literal(TEXT, "d")))
    assert compile_predicate(predicate, {0: 0, 1: 1})(batch, CONTEXT).tolist() == [True, False, False]


def test_float_comparisons_put_nan_last() -> None:
    data = pa.array([1.0, float("nan"), None])
    assert run(op("=", column(0, FLOAT8), column(0, FLOAT8)), data).to_pylist() == [True, True, None]
    assert run(op(">", column(0, FLOAT8), Literal(FLOAT8, 5.0)), data).to_pylist() == [False, True, None]


def test_constants() -> None:
    day = op("+", Literal(DATE, 8766), Literal(INTERVAL, (3, 0, 0)))
    assert evaluate_constant(day, CONTEXT) == (8766 + 90) * 86_400_000_000
    assert evaluate_constant(op("*", Literal(numeric(2, 1), 15), Literal(INT4, 3)), CONTEXT) == 45
    assert evaluate_constant(Literal(INTERVAL, (1, 2, 3)), CONTEXT) == [1, 2, 3]
    assert evaluate_constant(Literal(SqlType("_text"), ("a", None)), CONTEXT) == ["a", None]
    assert evaluate_constant(op("=", Literal(TEXT, None), Literal(TEXT, "x")), CONTEXT) is None


def test_parameters_of_kernels_may_be_columns() -> None:
    expr = fn("substring", column(0, TEXT), column(1, INT4), Literal(INT4, 2))
    assert run(expr, pa.array(["abcd", "abcd", None, "xyz"]), pa.array([1, 3, 1, None], pa.int32())).to_pylist() == [
        "ab", "cd", None, None]
    pattern = op("~~", Literal(TEXT, "hello"), column(0, TEXT))
    assert run(pattern, pa.array(["h%", "%x", None])).to_pylist() == [True, False, None]
    rounded = fn("round", column(0, PRICE), column(1, INT4))
    found = run(rounded, pa.array([1255, 1255]), pa.array([1, -1], pa.int32()))
    assert [physical(found, row, NUMERIC) for row in range(2)] == ["12.6", "10"]
