# ruff: noqa: E501
"""The plan each kind of query becomes, as text: a node a line, `~>` an implicit cast, `::` an explicit one."""

from __future__ import annotations

import pytest

from tests.exec.sql.rendering import check, render
from tests.exec.sql.tables import bound

SELECTS = [
    ("select a, b as x, a from t where a > 1 and (b < 2 and c = 'x')", r"""
Project a, b, a' = a
  Filter and(gt(a, 1:integer), lt(b, 2:integer), eq(c, 'x':text))
    Scan t"""),
    ("select c, sum(n) as s, count(*) from t where ok group by c having sum(n) > 5 order by s desc limit 3", r"""
Limit 3:bigint
  Sort sum desc
    Project c, sum, count
      Filter gt(sum, 5:numeric(1,0))
        Aggregate [c] sum = sum(n), count = count()
          Filter ok
            Scan t"""),
    ("select a + 1, max(b + 2) filter (where ok) from t group by a + 1", r"""
Project group, max
  Aggregate [group] max = max(argument) where ok
    Project group = add(a, 1:integer), argument = case(ok: add(b, 2:integer), else None:bigint), ok
      Scan t"""),
    ("select c, string_agg(c, ',' order by a desc), count(distinct b) from t group by c", r"""
Project c, string_agg, count
  Aggregate [c] string_agg = string_agg(c, ',':text order by a desc), count = count(distinct b)
    Scan t"""),
    ("select kind, name from keyed group by id", r"""
Project kind, name
  Aggregate [id, kind, name]
    Scan keyed"""),
    ("select distinct a from t order by a", r"""
Sort a
  Aggregate [a]
    Project a
      Scan t"""),
    ("select a from t order by b limit 2", r"""
Project a
  Limit 2:bigint
    Sort b
      Project a, b
        Scan t"""),
    ("select distinct on (a) a, b from t order by a, b desc", r"""
Sort a, b desc
  Project a, b
    Filter eq(row_number, 1:bigint)
      Window [a; b desc] row_number = row_number() rows unbounded_preceding..current_row
        Project a, b
          Scan t"""),
    ("select a, sum(b) from t group by rollup (a)", r"""
Project a''', sum
  Aggregate [a''', grouping_set''] sum = sum(b'')
    Union [a''', grouping_set'', present'', b'']
      Project a' = case(eq(grouping_set, 0:integer): a, else None:integer), grouping_set, present = True:boolean, b
        Join inner
          Scan t
          Values [grouping_set] 0:integer; 1:integer
      Values [a'', grouping_set', present', b'] None:integer, 1:integer, None:boolean, None:bigint"""),
    ("select a, grouping(a) from t group by grouping sets ((a), (a, b))", r"""
Project a', grouping
  Project a', b', grouping_set, grouping = case(eq(grouping_set, 0:integer): 0:integer, else 0:integer)
    Aggregate [a', b', grouping_set]
      Project a' = a, b' = case(eq(grouping_set, 1:integer): b, else None:bigint), grouping_set
        Join inner
          Scan t
          Values [grouping_set] 0:integer; 1:integer"""),
    ("select sum(a) over (partition by c order by d), rank() over (partition by c order by d), lag(a) "
     "over (order by b) from t", r"""
Project sum, rank, lag
  Window [; b] lag = lag(a)
    Window [c; d] sum = sum(a), rank = rank()
      Scan t"""),
    ("select rank() over (order by sum(a)) from t group by c", r"""
Project rank
  Window [; sum] rank = rank()
    Aggregate [c] sum = sum(a)
      Scan t"""),
    ("select generate_series(1, a), a from t", r"""
Project generate_series, a
  TableFunction [generate_series] generate_series(1:integer, a)
    Scan t"""),
    ("select unnest(array[1, 2]) as x, count(*) from t group by x", r"""
Project unnest, count
  Aggregate [unnest] count = count()
    TableFunction [unnest] unnest((1, 2):integer[])
      Scan t"""),
]
SUBQUERIES = [
    ("select a from t where exists (select 1 from u where u.a = t.a)", r"""
Project a
  Filter exists
    Apply exists exists reads a
      Scan t
      Project ?column? = 1:integer
        Filter eq(a', a)
          Scan u"""),
    ("select a from t where b not in (select y from u)", r"""
Project a
  Filter not(any)
    Apply any any eq(b)
      Scan t
      Project y
        Scan u"""),
    ("select a from t where (a, c) in (select a, x from u)", r"""
Project a
  Filter any
    Apply any any eq(a, c)
      Scan t
      Project a', x
        Scan u"""),
    ("select a, (select max(y) from u where u.x = t.c) from t", r"""
Project a, max'
  Apply scalar max' reads c
    Scan t
    Project max
      Aggregate [] max = max(y)
        Filter eq(x, c)
          Scan u"""),
    ("select a from t where a <> all (select y from u)", r"""
Project a
  Filter not(any)
    Apply any any eq(a)
      Scan t
      Project y
        Scan u"""),
    ("select a from t group by a having sum(b) > (select avg(y) from u where u.a = t.a)", r"""
Project a
  Filter gt(sum, avg')
    Apply scalar avg' reads a
      Aggregate [a] sum = sum(b)
        Scan t
      Project avg
        Aggregate [] avg = avg(y)
          Filter eq(a', a)
            Scan u"""),
    ("select (select sum(t.a) from u) from t", r"""
Project sum''
  Apply scalar sum'' reads sum
    Aggregate [] sum = sum(a)
      Scan t
    Project sum' = sum
      Scan u"""),
    ("select a from t where exists (select 1 from u where u.a = t.a and exists (select 1 from v where v.id = t.b))", r"""
Project a
  Filter exists'
    Apply exists exists' reads a, b
      Scan t
      Project ?column?' = 1:integer
        Filter and(eq(a', a), exists)
          Apply exists exists
            Scan u
            Project ?column? = 1:integer
              Filter eq(id, b)
                Scan v"""),
    ("select array(select x from u where u.a = t.a order by y) from t", r"""
Project array'' = coalesce(array', ():text[])
  Apply scalar array' reads a
    Scan t
    Aggregate [] array = array_agg(x order by y)
      Sort y
        Project x, y
          Filter eq(a', a)
            Scan u"""),
]
FROM = [
    ("select * from t join u using (a) left join v on v.id = u.y and v.id > 3", r"""
Project a, b, c, d, n, f, ok, ts, tz, x, y, id, tags, j
  Join left and(eq(id, y), gt(id, 3:integer))
    Join inner eq(a, a')
      Scan t
      Scan u
    Scan v"""),
    ("select a, x from t full join u using (a)", r"""
Project a'', x
  Project a, b, c, d, n, f, ok, ts, tz, a', x, y, a'' = coalesce(a, a')
    Join full eq(a, a')
      Scan t
      Scan u"""),
    ("select x, s.m from u, lateral (select max(t.a) as m from t where t.a = u.a) s", r"""
Project x, max
  Apply inner reads a
    Scan u
    Project max
      Aggregate [] max = max(a')
        Filter eq(a', a)
          Scan t"""),
    ("select g from u left join generate_series(1, u.a) g on true", r"""
Project g
  TableFunction outer [g] generate_series(1:integer, a)
    Scan u"""),
    ("select * from unnest(array[1], array['x']) with ordinality as r(p, q, i)", r"""
Project unnest, unnest', ordinality
  TableFunction [unnest, unnest'] unnest((1,):integer[]), unnest(('x',):text[]) ordinality ordinality
    Values []"""),
    ("select 1 from t join u on t.a = u.a and t.b in (select id from v)", r"""
Project ?column? = 1:integer
  Filter and(eq(a, a'), any)
    Apply any any eq(b)
      Join inner
        Scan t
        Scan u
      Project id
        Scan v"""),
    ("select 1 from t left join u on t.a = u.a and u.y in (select id from v)", r"""
Project ?column? = 1:integer
  Join left and(eq(a, a'), any)
    Scan t
    Apply any any eq(y)
      Scan u
      Project id
        Scan v"""),
    ("select count(*) from (select a from t) s, (values (1, 'x')) v(p, q) where s.a = v.p", r"""
Project count
  Aggregate [] count = count()
    Filter eq(a, column1)
      Join inner
        Project a
          Scan t
        Values [column1, column2] 1:integer, 'x':text"""),
    ("with w as (select a from t) select x.a from w x, w y", r"""
Project a
  Join inner
    Project a
      Scan t
    Project a'
      Scan t"""),
    ("select a from t union select y from u union select 1", r"""
Aggregate [a'']
  Union [a'']
    Project a
      Scan t
    Project y
      Scan u
    Project ?column? = 1:integer
      Values []"""),
    ("select a from t intersect all select 5", r"""
Intersect all [a']
  Project a
    Scan t
  Project ?column? = 5:integer
    Values []"""),
    ("(select a from t order by b limit 1) union all select y from u order by 1", r"""
Sort a''
  Union [a'']
    Project a
      Limit 1:bigint
        Sort b
          Project a, b
            Scan t
    Project y
      Scan u"""),
]
EXPRESSIONS = [
    ("select a from t where a in (1, 2, 3) and c not in ('x', 'y') and n between 1 and 2.5", r"""
Project a
  Filter and(in(a, 1:integer, 2:integer, 3:integer), not(in(c, 'x':text, 'y':text)), ge(n, 1:numeric(1,0)), le(n, 25:numeric(2,1)))
    Scan t"""),
    ("select a from t where c like 'x!%' escape '!' and b = $1 and d < date '1998-12-01' - interval '90' day", r"""
Project a
  Filter and(like(c, 'x\\%':text), eq(b, $1:bigint), lt(d, sub(10561:date, (0, 90, 0):interval)))
    Scan t"""),
    ("select case a when 1 then 'x' else c end, coalesce(a, n), nullif(a, 1) from t", r"""
Project c' = case(eq(a, 1:integer): 'x':text, else c), coalesce = coalesce(a~>numeric(10,0)~>numeric, n~>numeric), nullif = nullif(a, 1:integer)
  Scan t"""),
    ("select a = any(array[1, 2]), a <> all($1), 'x' = any(tags) from t, v", r"""
Project ?column? = in(a, 1:integer, 2:integer), ?column?' = ne_all(a, $1:integer[]), ?column?'' = eq_any('x':text, tags)
  Join inner
    Scan t
    Scan v"""),
    ("select (a, b) = (1, 2), (a, b) < (1, 2), row(a, b) is null from t", r"""
Project ?column? = and(eq(a, 1:integer), eq(b, 2:integer)), ?column?' = or(lt(a, 1:integer), and(eq(a, 1:integer), lt(b, 2:integer))), ?column?'' = and(is_null(a), is_null(b))
  Scan t"""),
    ("select a::text, n::numeric(5,1), f::int, '7'::int2, interval '1 day'::text from t", r"""
Project a' = a::text, n' = n::numeric(5,1), f' = f::integer, int2 = 7:smallint, text = (0, 1, 0):interval::text
  Scan t"""),
    ("select extract(year from d), c || a, a is distinct from b, ok is not true from t", r"""
Project extract = extract('year':text, d), ?column? = concat_op(c, a), ?column?' = is_distinct(a, b), ?column?'' = is_not_true(ok)
  Scan t"""),
]
WRITES = [
    ("insert into u (y, a) values (1, '2'), (default, $1)", r"""
TableWrite insert u [a, x, y]
  Project a, x = None:text, y
    Values [y, a] 1:integer, 2:integer; None:integer, $1:integer"""),
    ("insert into u select a, c, b from t", r"""
TableWrite insert u [a, c, b']
  Project a, c, b'
    Project a, c, b' = b~>integer
      Scan t"""),
    ("insert into u default values", r"""
TableWrite insert u [a, x, y]
  Project a = None:integer, x = None:text, y = None:integer
    Values []"""),
    ("update u set y = y + 1, x = 'n' where a = 3", r"""
TableWrite update u [$row_id, a, x', y']
  Project $row_id, a, x' = 'n':text, y' = add(y, 1:integer)
    Filter eq(a, 3:integer)
      Scan u"""),
    ("update u set y = t.b from t where t.a = u.a", r"""
TableWrite update u [$row_id, a, x, y']
  Project $row_id, a, x, y' = b~>integer
    Filter eq(row_number, 1:bigint)
      Window [$row_id; ] row_number = row_number() rows unbounded_preceding..current_row
        Filter eq(a', a)
          Join inner
            Scan u
            Scan t"""),
    ("delete from u using t where t.a = u.a", r"""
TableWrite delete u [$row_id]
  Aggregate [$row_id]
    Filter eq(a', a)
      Join inner
        Scan u
        Scan t"""),
]


@pytest.mark.parametrize(("sql", "plan"), [*SELECTS, *SUBQUERIES, *FROM, *EXPRESSIONS, *WRITES])
def test_plan(sql: str, plan: str) -> None:
    found = bound(sql).plan
    assert found is not None
    check(found)
    assert render(found) == plan.strip()
