"""Estimates: selectivities, join sizes and group counts for tables of known statistics."""

from __future__ import annotations

import pytest

from shoal.exec.optimizer import OptimizerContext
from shoal.exec.optimizer.rules.push_down_predicates import push_down_predicates
from shoal.exec.plan.fragment import TaskSettings
from tests.exec.optimizer.plan_script import Script, parse_table

TABLES = [parse_table(line) for line in (
    "table lineitem 6000000 rows: l_orderkey int8 6000000 distinct 1..6000000, l_partkey int8 200000 distinct 1..200000, "
    "l_suppkey int8 10000 distinct 1..10000, l_ship date 2500 distinct 1992-01-01..1998-12-31",
    "table orders 1500000 rows: o_orderkey int8 key 1..6000000, o_date date 2400 distinct 1992-01-01..1998-08-02, "
    "o_custkey int8 100000 distinct 1..150000",
    "table partsupp 800000 rows: ps_partkey int8 200000 distinct 1..200000, ps_suppkey int8 10000 distinct 1..10000",
    "table part 200000 rows: p_partkey int8 key 1..200000, p_brand text 25 distinct, p_size int4 50 distinct 1..50",
    "table u: x int4, y text")]


@pytest.mark.parametrize(("plan", "rows"), [
    ("Filter eq(p_brand, 'x')\n  Scan part", 8_000),
    ("Filter in(p_brand, 'x', 'y')\n  Scan part", 16_000),
    ("Filter and(ge(l_ship, date'1994-01-01'), lt(l_ship, date'1995-01-01'))\n  Scan lineitem", 857_000),
    ("Filter eq(p_size, 99)\n  Scan part", 0.5),
    ("Join inner eq(l_partkey, p_partkey)\n  Scan lineitem\n  Filter eq(p_brand, 'x')\n    Scan part", 240_000),
    ("Join inner and(eq(l_partkey, ps_partkey), eq(l_suppkey, ps_suppkey))\n  Scan lineitem\n  Scan partsupp", 6_000_000),
    ("Join semi eq(p_partkey, ps_partkey)\n  Scan part\n  Scan partsupp", 200_000),
    ("Join left eq(p_partkey, l_partkey)\n  Scan part\n  Filter eq(l_suppkey, 7)\n    Scan lineitem", 200_000),
    ("Aggregate by p_brand, p_size:\n  Scan part", 1_250),
    ("Aggregate by year:\n  Project year = extract('year', o_date)\n    Scan orders", 7),
    ("Aggregate by o_orderkey, o_date, o_custkey:\n  Filter lt(o_date, date'1992-07-01')\n    Scan orders", 113_000),
    ("Limit 10\n  Scan u", 10)])
def test_rows(plan: str, rows: float) -> None:
    script = Script(TABLES)
    context = OptimizerContext(script.catalogs, TaskSettings(now_us=0))
    node = script.plan(plan)
    context.start(node)
    node = push_down_predicates(node, context)
    assert context.estimate(node).rows == pytest.approx(rows, rel=0.05)


def test_nothing_is_known_of_a_table_without_statistics() -> None:
    script = Script(TABLES)
    context = OptimizerContext(script.catalogs, TaskSettings(now_us=0))
    assert not context.estimate(script.plan("Scan u")).known
