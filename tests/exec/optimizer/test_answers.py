"""Plans that the rules make, run by real workers over tables full of NULLs, give what PostgreSQL gives.

Each statement runs under several sets of switches, with every rule's plan validated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shoal.exec.optimizer
from shoal.exec.optimizer import OptimizerContext, Switches
from tests.exec.cluster import Cluster
from tests.postgres_server import PostgresServer

T = pa.table({"a": [1, 2, 3, 4, None, 2, 7, None], "b": [10, None, 30, 10, 50, 20, None, None],
              "g": ["x", "y", "x", None, "y", "x", "z", "z"]},
             pa.schema([("a", pa.int32()), ("b", pa.int64()), ("g", pa.string())]))
S = pa.table({"x": [1, 1, 2, None, 5, 7, 3], "y": [10, 20, None, 30, 50, 70, 30], "h": ["x", "x", "y", "z", None, "z", "q"]},
             pa.schema([("x", pa.int32()), ("y", pa.int64()), ("h", pa.string())]))
VARIANTS = {
    "default": Switches(validate=True),
    "partitioned": Switches(validate=True, join_distribution="partitioned", max_gathered_groups=0),
    "plain": Switches(validate=True, join_reordering=False, dynamic_filtering=False, partial_aggregation=False),
}
STATEMENTS = """
select a, exists (select 1 from s where x = a), exists (select 1 from s where x = a and y > b) from t
select a, b from t where not exists (select 1 from s where x = a and y <> b)
select a from t where a in (select x from s)
select a from t where a not in (select x from s where x is not null)
select a from t where a not in (select x from s)
select a from t where a not in (select x from s where h = g)
select a, a in (select x from s), a not in (select x from s where y > b), (a, b) in (select x, y from s) from t
select a, a in (select x from s where false), a not in (select x from s where false) from t
select a from t where b > all (select y from s where x = a)
select a, b < any (select y from s), b > all (select y from s where y is not null), b = any (select y from s) from t
select a, (select count(*) from s where x = a), (select sum(y) from s where x = a) from t
select a, (select max(y) from s where x <= a), (select avg(y) from s where h = g and x < a) from t
select a, (select count(*) from s where x < a or a is null) from t
select a, (select y from s where x = a order by y desc limit 1), (select min(y) + b from s where h = g) from t
select a, (select count(*) from (select distinct y from s where x >= a) d) from t
select a, (select sum(y) from s where x = a having count(*) > 1) from t
select a, (select count(*) from s where h = g and exists (select 1 from t t2 where t2.a = x and t2.b = t.b)) from t
select a from t where exists (select h from s where h = g group by h having max(y) > b)
select a, d.y from t, lateral (select y from s where x = a order by y limit 1) d
select a, d.n from t left join lateral (select count(*) n, min(x) m from s where h = g) d on d.n > 1
select a, d.v from t left join lateral (select y v from s where x = a union all select t.b) d on true
select a, x from t left join s on a = x and b < y where x is null or y > 10
select a, x from t full join s on a = x
select a, x from t full join s on a = x where y > 10
select a, x from t full join s on a = x where a > 1 and y > 10
select t.a, s.x, u.a from t left join s on a = x left join t u on u.b = s.y where u.a is not null or s.x is null
select t.a, count(u.b) from t join s on a = x left join t u on u.b = s.y and u.a in (select x from s) group by t.a
select a from t intersect select x from s
select a from t except select x from s
select g from t except all select h from s
select g from t intersect all select h from s
select g, count(distinct a), sum(b), count(*) from t group by g
select count(distinct a), count(distinct b), sum(distinct a), avg(distinct b) from t
select g, avg(a), avg(b), count(b), min(distinct b) from t group by g having count(*) > 1
select g, a, row_number() over (partition by g order by a, b), sum(b) over (partition by g) from t
select * from (select g, a, rank() over (partition by g order by b desc) r from t) q where r = 1 and g <> 'x'
select * from (select a from t union all select x from s) u where a between 2 and 5
select count(*) from t t1, s, t t2 where t1.a = s.x and s.y = t2.b and (t1.g = 'x' and t2.g = 'y' or t1.g = 'y')
select a from t where b = (select max(b) from t) or b < (select avg(y) - 25 from s)
select v.k, count(a) from (values (1), (2), (null)) v(k) left join t on a = v.k group by v.k
select a from t where coalesce(b, 0) = 0 and a = 2 and a = 3
select sum(b) from t where a is null and g in ('x', 'y') or a = 7 and g = 'z'
""".strip().splitlines()


def plain(value: Any) -> Any:
    return round(float(value), 6) if value is not None and not isinstance(value, (str, bool)) else value


def answer(rows: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(map(plain, row)) for row in rows), key=repr)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("tables")
    pq.write_table(T, folder / "t.parquet", row_group_size=3)
    pq.write_table(S, folder / "s.parquet", row_group_size=3)
    with Cluster([("files", str(folder))], workers=2, database="files") as running:
        yield running


@pytest.fixture(scope="module")
def expected(postgres_server: PostgresServer) -> dict[str, list[tuple[Any, ...]]]:
    """PostgreSQL's answer to each statement."""
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute("create temp table t (a int4, b int8, g text); create temp table s (x int4, y int8, h text)")
        with connection.cursor() as cursor:
            for name, table in (("t", T), ("s", S)):
                rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
                cursor.executemany(f"insert into {name} values (%s, %s, %s)", list(rows))
            return {s: answer(cursor.execute(s.encode()).fetchall()) for s in STATEMENTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_answers(variant: str, cluster: Cluster, expected: dict[str, list[tuple[Any, ...]]],
                 monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(*given: Any) -> OptimizerContext:
        return dataclasses.replace(OptimizerContext(*given), switches=VARIANTS[variant])

    monkeypatch.setattr(shoal.exec.optimizer, "OptimizerContext", planned)
    for statement in STATEMENTS:
        assert answer(cluster.rows(statement)) == expected[statement], statement


def test_a_scalar_subquery_of_two_rows_is_refused(cluster: Cluster) -> None:
    with pytest.raises(Exception, match="more than one row returned"):
        cluster.rows("select a, (select y from s where x = a) from t")


def test_an_error_of_a_constant_waits_for_a_row(cluster: Cluster) -> None:
    assert cluster.rows("select 1 / 0 from t where false") == []
    with pytest.raises(Exception, match="division by zero"):
        cluster.rows("select 1 / 0 from t")
