select 1, 'a', 1.5, true, null, -5, 3000000000, 99999999999999999999, 1e5, .5, -2147483648
select a, b as x, t.c, "d" from t
select * from t
select t.*, u.a from t, u
select * from t join u using (a)
select * from t full join u using (a)
select a from t join u using (a)
select t.a, u.a from t full join u using (a) where a > 3
select x from t
select t.x from t
select zz.a from t
select a from t, u
select aa from t
select t.bb from t
select a from t t1, t t1
select count(*), sum(a), avg(b), max(c), min(d), sum(n), avg(f), stddev(a), bool_and(ok), string_agg(c, ',') from t
select a, count(*) from t
select a, count(*) from t group by 1
select a+1, count(*) from t group by a+1
select a+2, count(*) from t group by a+1
select a from t group by b
select a from t where count(*) > 1
select a from t where row_number() over () = 1
select sum(sum(a)) from t
select sum(count(*)) over () from t group by a
select row_number() from t
select lower(distinct c) from t
select lower(c) over () from t
select a from t order by 3
select a from t order by b
select distinct a from t order by b
select distinct a from t order by a+1
select a as b, b as a from t order by a
select a as z from t order by z+1
select a from t group by 5
select 1 from t where a
select 1 from t where a = 'x'
select 1 from t where a = '5'
select 1 from t where c = 5
select a + ok from t
select a || 'x', c || a, 'a' || 'b', null || 'x' from t
select a + null from t
select 1 + 1.5, a + b, a * n, n / 2, f + n, a / 2, n % 3, 2 ^ 3 from t
select d + 1, d - d, d + interval '1 day', ts - ts, tz - interval '1 hour', d - interval '1 month' from t
select date '2020-01-01' + 5, '2020-01-01'::date - 3
select case when a > 1 then 'x' else c end, case a when 1 then 2 when 3 then 4.5 end from t
select case when a then 1 end from t
select case when true then 1 else 'x' end
select case when true then 1 else '7' end
select coalesce(a, 1.5), coalesce(null, c), nullif(a, 1), greatest(a, b, 3), least(n, 1) from t
select coalesce(a, c) from t
select a in (1,2,3), c in ('x', 'y'), a in (1, 2.5), a in ('1', '2') from t
select a in (1, c) from t
select a between 1 and 5, d between '2020-01-01' and '2021-01-01' from t
select c like 'a%', c not ilike 'x', c similar to 'a|b', c ~ 'x', c !~* 'y' from t
select a is null, ok is true, ok is not unknown, a is distinct from b, c is not distinct from 'x' from t
select a is true from t
select not a from t
select a and ok from t
select exists (select 1 from u), (select max(y) from u), a in (select a from u), a > all (select y from u), array(select x from u) from t
select (select a, y from u) from t
select a in (select a, y from u) from t
select (a, b) in (select a, y from u) from t
select (a, b) = (1, 2), (a, b) < (1, 2), (1, 2) in ((1, 2), (3, 4)) from t
select (a, b) = (1, 2, 3) from t
select a = any(array[1,2]), a = any('{1,2}'), c = any(tags), a <> all(array[1,2,3]) from t, v
select array[1,2,3], array['a','b'], array[1, 2.5], tags[1], tags[1:2] from v
select array[]
select array[]::int[]
select $1
select $1 + 1
select $1::int, $2::text
select a from t where a = $1 and c = $2 and d > $3
select a from t limit $1 offset $2
select a from t where a in ($1, $2)
select a from t where a = any($1)
select case when $1 then $2 else a end from t
select $1 = $2
select $1 is null
select coalesce($1, a) from t
select a from t where c like $1
select $1 || 'x'
select lower($1), length($1)
select a + $1, a * $2, d + $3 from t
select $1::int + $1::text
insert into t (a, c) values ($1, $2)
insert into t select $1, $2
insert into t (a) values ('x')
insert into t (a) values (true)
insert into t (a, a) values (1, 2)
insert into t (zz) values (1)
insert into t values (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
insert into t (a, b) values (1)
insert into t (a) values (1, 2)
insert into t values (1, default)
insert into t default values
insert into t (a, b) select y, a from u
update t set a = 1, c = 'x' where b = $1
update t set zz = 1
update t set a = 'x'
update t set a = ok
update t set a = u.y from u where u.a = t.a
update t set (a, b) = (1, 2)
update t set a = 1, a = 2
delete from t where a = 1
delete from t using u where u.a = t.a
delete from nosuch
select * from nosuch
select nosuch(1)
select lower(1, 2)
select lowerr('x')
select length(5)
select substring(c from 2 for 3), substring(c from 2), substring(c for 2), substring(c, 1, 2), position('a' in c), overlay(c placing 'x' from 2), trim(c), trim(both 'x' from c), trim(leading from c), rtrim(c) from t
select extract(year from d), date_part('year', d), date_trunc('month', ts), extract(epoch from tz) from t
select current_date, current_timestamp, localtime, now(), current_user, session_user, user, current_schema, current_database()
select ts at time zone 'UTC', tz at time zone 'UTC' from t
select generate_series(1, 3)
select * from generate_series(1, 3)
select * from generate_series(1, 3) g
select * from generate_series(1, 3) as g(x)
select * from generate_series(1, 3) with ordinality
select * from generate_series(1, 3) with ordinality as g(x, n)
select unnest(array[1,2]), a from t
select * from unnest(array[1,2], array['a'])
select * from t, unnest(array[a, 2]) x
select * from t, lateral (select t.a + 1 as z) s
select * from t, (select t.a) s
select * from t left join lateral (select y from u where u.a = t.a) s on true
select * from (select a from t)
select * from (select a, b from t) s(x)
select * from (select a, b from t) s(x, y, z)
select * from (values (1, 'a'), (2, 'b')) v
select * from (values (1, 'a'), (2, 'b')) v(x, y)
values (1, 'a'), (2.5, null)
values (1), ('x')
values (1, 2), (3)
select 1 union select 2.5
select 1 union select 'x'
select 1 union all select '2'
select 'a' union select 'b'
select null union select 1
select 1, 2 union select 1
select a from t union select y from u order by a
select a from t union select y from u order by a + 1
select a from t union select y from u order by zz
select a from t intersect select y from u except select 1
select a, b from t order by a desc nulls last, b limit 5 offset 2
select a from t fetch first 3 rows only
select distinct on (a) a, b from t order by a, b
select distinct on (a) a, b from t order by b
select rank() over (partition by a order by b), sum(n) over w, lag(c, 1) over w, first_value(a) over (order by b rows between 1 preceding and current row) from t window w as (order by d)
select sum(a) over (order by b range between 5 preceding and 3 following) from t
select sum(a) over (order by c range between 5 preceding and 3 following) from t
select sum(a) over (rows between unbounded following and current row) from t
select sum(a) over (rows between current row and unbounded preceding) from t
select sum(a) over nosuch from t
select count(distinct a), sum(a) filter (where b > 1), array_agg(a order by b desc) from t
select a::text, cast(b as int), c::varchar(5), n::numeric(5,1), '2020-01-01'::timestamp, 'x'::char(3), a::bool from t
select ok::date from t
select 'abc'::int
select '2020-13-01'::date
select date 'nonsense'
select 1::nosuchtype
select interval '1' day, interval '3 months', interval '1-2' year to month, timestamp '2020-01-01 00:00', time '10:00'
select j->'a', j->>'b', j#>'{a,b}', j @> '{"a":1}', j ? 'x' from v
select c collate "C" from t order by c collate "C"
select * from t where (a, b) in ((1, 2))
select a from t having a > 1
select count(*) from t having count(*) > 1
select max(a) from t having b > 1
select name from keyed group by id
select kind, count(*) from keyed group by name
select a, b, sum(n) from t group by rollup (a, b)
select a, b, grouping(a, b), sum(n) from t group by cube (a, b)
select a, grouping(b) from t group by a
select a, b from t group by grouping sets ((a), (b), ())
with w as (select a from t) select * from w
with w(x) as (select a from t) select x from w w1 join w w2 using (x)
with w as (select 1), w as (select 2) select 1
with w(a, b) as (select 1) select * from w
select a from t where exists (select 1 from u where u.a = t.a and u.y > (select avg(y) from u u2 where u2.x = t.c))
select a, (select count(*) from u where u.a = t.b) from t group by a
select a, (select count(*) from u where u.a = t.a) from t group by a
select (select sum(t.a) from u limit 1) from t
select a from t where a = (select max(b) from t t2 where t2.a = t.a)
select operator(pg_catalog.-) a from t
select a operator(pg_catalog.+) 1 from t
select a !@# 1 from t
select - c from t
select pg_typeof(1)
select t.a.b from t
select public.t.a from t
select public.t.a from public.t
select count(t.*) from t
select count(t) from t
select round(1.5), round(n, 1), abs(-3), ceil(f), floor(n), sqrt(4), power(2, 3), mod(5, 3) from t
select make_interval(days => 10)
select to_char(ts, 'YYYY'), to_date('2020', 'YYYY'), to_number('12', '99') from t
select concat('a', 1, null), concat_ws(',', 'a', 'b'), left(c, 1), right(c, 2), replace(c, 'a', 'b'), split_part(c, ',', 1) from t
select a from t for update
select 1 as select
select 1 as "select", 2 as from
select a b c from t
select a from t where
select a, from t
select from t
select * from
select (1
select 1)
select 'abc
select "abc
select /* abc
select 1 +
select a from t group by
select a from t order by
select * from t join u
select * from t join u on
select * from t cross join u on true
select a from t limit a
select a from t limit 'x'
selec 1
select a from t limit 1 limit 2
select 1; select 2
select a not in (1, 2), a not between 1 and 2, c not like 'x' from t
select 1 < 2 < 3
select a = 1 = true from t
select not a = 1 from t
select -2 ^ 2, - a from t
select a::text || 'x' from t
select 1::int::text
select (array[1,2])[1]
select x.y from t
select f(x) from t
select sum(c) from t
select avg(d) from t
select min(j) from v
select 1 where 'x'
select 1 where null
select 1 where 't'
select interval '1 day' * 2, 2 * interval '1 day', interval '1 day' / 2
select ts > d, tz > ts, d = '2020-01-01' from t
select ts > '2020-01-01' from t
select d + time '10:00' from t
select ~ 5, 5 & 3, 5 | 3, 5 # 3, 5 << 1, 5 >> 1
select |/ 4, ||/ 8, @ -5
select c >= 'a', c < c from t
select a > 'a' from t
select n = 1, n > 1.5, n = f from t
select 1 = '1', 'a' = 'b', 1.5 = '1.5'
select a from t t1 where exists (select 1 from u where u.a = t1.a group by y having sum(t1.a) > 3)
select (select sum(t.a + 1) from u) from t
select (select count(*) from u where u.a = t.a) as n, count(*) from t group by t.a
select sum((select max(y) from u where u.a = t.a)) from t
select a, sum(b) over (partition by (select max(y) from u) order by a) from t
select case when exists (select 1 from u) then (select max(y) from u) else 0 end from t
select a from t where (select max(y) from u where u.a = t.a) > 5 and b in (select a from u)
select a from t where a not in (select y from u where y is not null)
select a from t where (a, b) not in (select a, y from u)
select a from t where a < any (select y from u) or a >= some (select y from u)
select a from t where row(a, b) = row(1, 2)
select * from t where a = (select y from u limit 1)
select * from (select * from t union all select * from t) s where s.a = 1
(select a from t order by a limit 1) union all (select y from u order by y desc limit 1) order by 1
select a from t union all select y from u union select 3 intersect select 4
(select 1) union ((select 2) except (select 3))
((select 1))
select ((select 1))
select 1 in ((select 1))
select 1 in ((select 1), 2)
select ((select 1) union (select 2) limit 1)
table t
select * from ((select 1 as x) union (select 2)) s
select * from ((t join u on t.a = u.a))
select * from (t join u on t.a = u.a) j
select j.x from (t join u using (a)) j
select t.a from (t join u using (a)) j
select * from (t cross join u) as j(a1, b1)
select * from t a join t b on a.a = b.a join t c using (b)
select * from t join (u join v on u.a = v.id) on t.a = u.a
select * from t left join u join v on u.a = v.id on t.a = u.a
select * from t natural left join u
select * from t join u using (a, a)
select * from t join u using (zz)
select * from t, u where t.a = u.a and x like 'a%'
select * from t inner join u on t.a = u.a right outer join v on true full outer join keyed on keyed.id = v.id
select j.* from t join u using (a) as j
select j.a, t.a from t join u using (a) as j
with recursive r as (select 1) select * from r
with a as (select 1 as x), b as (select x + 1 as y from a) select * from a, b
with a as materialized (select 1), b as not materialized (select 2) select * from a, b
with a as (select a from t) select (select count(*) from a), (select max(a) from a)
select * from (with q as (select 1 as one) select * from q) s
with q(x) as (values (1), (2)) select sum(x) from q
with q as (select 1) insert into u (a) select * from q
explain select 1
select count(*) filter (where a > 1), count(distinct b), count(a) from t
select a, b from t group by a, b order by sum(n)
select a + b as s, count(*) from t group by s
select a + b as a, count(*) from t group by a
select count(*) from t group by ()
select upper(c) from t group by c order by upper(c)
select upper(c) from t group by upper(c) having upper(c) > 'A' order by 1
select max(a) + 1 from t order by max(a)
select a from t group by a having count(*) > 1 order by count(*) desc
select 1 from t having true
select sum(a) from t order by a
select distinct a, b from t order by b, a
select distinct a + b from t order by a + b
select distinct on (a + b) a from t
select distinct on (1) a, b from t
select a from t order by -a, a desc nulls first
select a from t order by 'x'
select a as x, b as x from t order by x
select a from t order by x
select rank() over (order by sum(a)) from t group by b
select sum(sum(a)) over (partition by b order by b) from t group by b
select sum(rank() over ()) over () from t
select sum(rank() over ()) from t
select rank() over (w rows current row) from t window w as (order by a)
select rank() over (w order by b) from t window w as (order by a)
select rank() over (w partition by b) from t window w as (order by a)
select sum(a) over (order by b groups between 1 preceding and 1 following exclude ties) from t
select sum(a) over (groups 1 preceding) from t
select sum(a) over (order by d range between interval '1 day' preceding and current row) from t
select sum(a) over (order by d, a range 1 preceding) from t
select lag(a, 1, 0) over (order by b), ntile(4) over (order by a), nth_value(c, 2) over (order by a) from t
select lag(a, 1, 'x') over (order by b) from t
select count(*) over (), count(*) over (order by a rows between unbounded preceding and unbounded following) from t
select sum(a) filter (where b > 1) over () from t
select row_number() filter (where true) over () from t
select sum(distinct a) over () from t
select string_agg(c, ',' order by a desc), array_agg(distinct c order by c) from t
select array_agg(distinct c order by a) from t
select percentile_cont(0.5) within group (order by f), mode() within group (order by c) from t
select count() from t
select sum(*) from t
select max(a, b) from t
select lower(*) from t
select nosuch.lower('x')
select pg_catalog.lower('X')
select a::numeric(5), a::numeric, n::int, c::int from t
select cast(null as int), null::text
select '5'::int + 1, '5' + 1, '1.5' + 1.5
select 'a' < 'b', null = null, null is null
select true and null, not null, null or false
select 1 and true
select a from t where not a
select a from t where c is true
select a from t where ok = 'maybe'
select a from t where d = 'nonsense'
select d + '1 day' from t
select d + '1 day'::interval from t
select ts - '2020-01-01' from t
select d - '2020-01-01' from t
select now() - interval '1 day', current_date - 7, current_date - date '2020-01-01'
select date_trunc('month', d), date_trunc('day', now()), age(d), age(ts, ts) from t
select to_char(d, 'YYYY-MM') from t
select interval '1 day' > interval '2 hours', interval '1 day' + time '10:00'
select time '10:00' - time '09:00', timestamp '2020-01-01' - timestamp '2019-01-01'
select '2020-01-01'::date + '10:00'::time
select a between symmetric 5 and 1 from t
select a between '1' and '5' from t
select n in (1, 2.5, '3') from t
select d in ('2020-01-01', date '2020-01-02') from t
select 'a' in ('a', 'b')
select null in (1, 2)
select a in (select null) from t
select coalesce(null, null), coalesce(a, '5'), coalesce(d, 'x') from t
select greatest('a', 'b'), greatest(1, 2.5), least(d, ts) from t
select nullif('a', 'b'), nullif(1, 1.5), nullif(null, 1)
select case a when 'x' then 1 end from t
select case when a > 1 then 1 when a > 2 then 2.5 else '3' end from t
select case when true then d else ts end from t
select case when true then 1 else 'abc' end
select array[1, null, 3], array['a', null], array[null]
select array[1, 'x']
select array[1,2] || 3, 3 || array[1,2], array[1] || array[2]
select array[1,2] = array[1,2], array[1,2] @> array[1], array[1] && array[2]
select tags[1], (tags)[1:2], array_length(tags, 1), cardinality(tags) from v
select 'a' = any(tags), 'a' = all(tags) from v
select a[1] from t
select 1 = any(5)
select j->'a'->>'b', j->0, j #>> '{a}', j->>'x' = 'y' from v
select (j->>'a')::int + 1 from v
select jsonb_build_object('a', 1), to_jsonb(a) from t
select generate_series(1, 3) + 1, generate_series(1, 2)
select * from generate_series('2020-01-01'::timestamp, '2020-01-03', '1 day')
select * from generate_series(1, 10, 2) as g where g > 3
select g.g, g from generate_series(1, 3) g
select * from unnest(array[1,2]) with ordinality as x(v, i)
select * from json_each('{"a":1}') 
select * from t, generate_series(1, t.a) g(x)
select * from t left join generate_series(1, 3) g on g = t.a
select t.a, s.m from t cross join lateral (select max(y) as m from u where u.a = t.a) s
select * from t, u as x(p), lateral (select t.a + x.p as z) q
select * from lower('A')
select * from current_date
select * from rows from (generate_series(1, 2), generate_series(1, 3)) as r(a, b)
select generate_series(1, 3) from t where generate_series(1, 3) > 1
select sum(generate_series(1, 3)) from t
select a from t limit 5 offset 2
select a from t offset 2 rows fetch next 3 rows only
select a from t limit null
select a from t limit all
select a from t limit 1.5
select a from t limit (1 + 1)
select a from t limit '3'
select a from t for share of t nowait
insert into t (a) values (1), (2), ('3')
insert into t (a, c) values (1, 2)
insert into t (a) select 'x'
insert into t (a) select c from t
insert into t select * from t
insert into t (a) values (1.5)
insert into t (d) values ('nonsense')
insert into t (c) values (5)
insert into t (a) values ((select max(a) from t))
insert into t (a) values (a)
insert into t(a) values ($1), ($2)
insert into nosuch values (1)
update t set a = default where b > (select max(y) from u)
update t x set a = x.b where x.c = 'y'
update t set t.a = 1
update t as x set a = 1 where t.b = 1
update t set a = (select y from u where u.a = t.a)
update t set a = sum(b)
update t set (a, b) = (1, 2, 3)
delete from t x using u y where x.a = y.a and y.x = $1
delete from t where count(*) > 1
select $1 + $2
select $1 between 1 and 2
select $1 like 'a'
select $1::date + $2
select a = $1 or b = $1 from t
select $2
select $0
select $1, $1::int
select array[$1, 2], $1 = any($2::int[])
select case a when $1 then $2 else 'x' end from t
select nullif($1, 5), greatest($1, 1.5)
select sum($1::int), max($1)
select 1 limit $1
select a from t where a = $1 and c = $1
select a from t where c ilike '%' || $1 || '%'
select a from t where d between $1 and $2
select a from t where b in (select y from u where x = $1)
select a from t where d > current_date - $1
select a from t where d > now() - $1::interval
values ($1), (2)
select * from (values ($1::int, $2)) v(a, b)
select coalesce($1, 'x')
select lower($1) = $2
select date_trunc('day', $1)
select round($1, 2)
select abs($1)
select substring($1 from 2)
select -$1
select not $1
select $1 and true
select $1[1]
select t.* from t t2
select t2.a from t
select public.t.* from t
select "t"."a", T.A, t."A" from t
select * from "T"
select * from public.nosuch
select * from nosuch.t
select a as "Mixed Name", 1 as "x""y" from t
select U&'\0041', E'a\tb', $$dollar$$, $tag$a'b$tag$, 'a' 'b'
select 1.0, 1., .1, 1e3, 1.5e-3, 0x10
select 1a
select 1_000
select a-- comment
select /* nested /* comment */ */ 1
select 2 * 3 + 4 - 5 / 6 % 7 ^ 2 || 'x'
select 1 + 2 = 3 and not 4 > 5 or null
select - - 1, + 1, -(-1), - a from t
select a is null and b is not null or ok is not true from t
select a = b is null from t
select a like 'x' = true from t
select c || 'a' like 'b' || 'c' from t
select a + 1 between 1 and 2 + 3 and ok from t
select 'a' || 1 + 2
select 1 || 2
select ok || 'x' from t
select a::text like 'x%' from t
select ts at time zone 'utc' at time zone 'cet' from t
select ts::date, tz::time, d::timestamptz, 'now'::date is not null from t
select interval '1 year 2 months', interval '5' hour, interval '90' minute to second
select interval '1' nonsense
select timestamp with time zone '2020-01-01 00:00+00', time with time zone '10:00+01'
select double precision '1.5', int '5', bool 'yes', numeric '1.50', numeric(5,1) '1.55', char 'abc', varchar(2) 'abc'
select float4 '1.5' + 1, 1::float8 / 3, 1::smallint + 1::smallint, 1::smallint + 1::bigint
select 'x'::name, 'a'::"char", 'abc'::bpchar, '{1,2}'::int[], '{"a":1}'::json, '\xff'::bytea, '1'::oid
select position('a' in 'banana'), strpos('abc', 'b'), char_length('abc'), octet_length('abc')
select trim(trailing 'x' from 'abcxx'), ltrim('  a'), btrim('xax', 'x'), lpad('a', 3), repeat('ab', 2)
select current_user, session_user, user, current_role, current_catalog, current_schema
select version() is not null, pg_backend_pid() > 0
select md5('a'), chr(65), ascii('A'), initcap('abc'), reverse('abc')
select round(1.5::float8), round(2.5), trunc(1.7), sign(-1), pi(), random() < 1
select greatest(a, b, n, f) from t
select a / 0 from t where false
select sum(a) / count(*), avg(a) * 1.0, sum(b) / 2, sum(n) / sum(a) from t
select bool_and(a > 1), every(ok), bit_and(a), corr(a, b) from t
select grouping(a) from t
select a, grouping(a, b) from t group by rollup (a, b) having grouping(a) = 0 order by grouping(b), a
select a, b, c, count(*) from t group by grouping sets ((a, b), rollup (c), ())
select a from t group by rollup (a, b) order by b
select sum(a) from t group by cube (a, b), c
with recursive r as (select 1) select * from r
with recursive r as (select 1 union all select n from r where n<1) select 1
with recursive r(n) as (select n from r union all select 1) select 1
with recursive r(n) as (select 1 union select n from r except select n from r) select 1
with recursive r(n) as (select 1 union all (select n from r union all select n from r)) select 1
with recursive r(n) as (select 1 except select n from r) select 1
with recursive r(n) as (select 1 union all select 1 where exists (select * from r)) select 1
with recursive r(n) as (select 1 union all select x from (select 1 as x) s left join r on true) select 1
with recursive r(n) as (select 1 union all select x from (select 1 as x) s right join r on true) select 1
with recursive r(n) as (select 1 union all select x from (select 1 as x) s full join r on true) select 1
with recursive r(n) as (select 1 union all (select n from r intersect select n from r)) select 1
with recursive r(n) as (select 1 union all (select n from r intersect all select 1)) select 1
with recursive r(n) as (select 1 union all (select 1 except select n from r)) select 1
with recursive r(n) as (select 1 union all select count(*) from r) select 1
with recursive r(n) as (select 1 union all select n+1 from r order by 1) select 1
with recursive r(n) as (select 1 union all select n+1 from r limit 3) select 1
with recursive r(n) as (select 1 union all select n+1 from r offset 3) select 1
with recursive r(n) as (select 1 union all select n+1 from r for update) select 1
with recursive r(n) as (select 1 union all select n+1.5 from r) select 1
with recursive r(n) as (select 'a'::varchar(3) union all select n||'b' from r) select 1
with recursive r(n) as (select 'a' union all select 1 from r) select 1
with recursive r(n) as (select null union all select n from r) select * from r limit 2
with recursive r(n,m) as (select 1 union all select n+1 from r) select 1
with recursive r(n) as (select 1 union all select n, n from r) select 1
with recursive a as (select * from b), b as (select * from a) select 1
with recursive a as (select * from b), b as (select 7 as x) select * from a
with recursive a(n) as (select 1 union all select n+1 from b), b as (select * from a) select 1
with recursive r(n) as (with x1 as (select 1 from r) select 0 union select * from x1) select * from r
with recursive r(n) as (select 0 union (with x1 as (select n+1 as n from r where n<3) select * from x1)) select * from r
with recursive r(n) as (with q as (select 5 as k) select 0 union all select n+1 from r, q where n<k) select * from r
with recursive r(n) as ((select 0 union all select n+1 from r where n<3)) select * from r
with recursive r(n) as ((select 0 union all select n+1 from r where n<3) limit 2) select * from r
with recursive r(n) as (values (1) union all select n+1 from r where n<3) select * from r
with recursive r(n) as (select 1 union all select s.m from (select max(n)+1 as m from r where n < 4) s where m is not null) select * from r
with recursive r(n) as (select 1 union all select 1 from r, r as r2) select 1
with recursive r(n) as (select 1 union all select n+1 from r where n in (select n from r)) select 1
with r(n) as (select 1 union all select n+1 from r) select 1
with recursive r(n) as (select '{}'::json union select n from r) select 1
with recursive r(n) as (select 1 union all select sum(n) over () from r) select 1
with recursive r(n) as (select 1 union all select n+1 from r where n<$1) select $2 || n from r
with recursive r(n) as (select 1.0 union all select n+1 from r where n<3) select * from r
with recursive r(n) as (select 1::numeric(5,2) union all select n+1 from r where n<3) select * from r
with recursive r(n) as (select 1 union all (select n+1 from r where n < 3 limit 1)) select * from r
with recursive r(n) as (select 1 union all select n+1 from r where n < 3 group by n) select * from r
with recursive r(n) as (select 1 union all select distinct n+1 from r where n < 3) select * from r
with recursive r(n) as (select 1 union all select count(*)::int from generate_series(1,2) g where g > 5) select * from r
with recursive r(n) as (select 1 union all select (select count(*)::int from generate_series(1,2)) from r where n < 2) select * from r
with recursive r(n) as (select 1 union all select n + 1 from (r join (select 1 as u) q on true) where n < 3) select * from r
with recursive r(n) as (select 1 union all select n + 1 from r where n < 3 having true) select * from r
with recursive r(n) as (select a from t union all select u.y from u join r on u.a = r.n where u.y > $1) select n from r where n < $2
with recursive r as (select a, b, c::text as p from t union select t.a, t.b, p || t.c from t, r where t.a = r.b) select * from r
with recursive x as (select 1 as i union all select i + 1 from x where i < 5), y as (select i, i * 2.5 as j from x) select y.j, x.i from y natural join x
with x as (select * from y), y as (select 1) select * from x
select row(a, c), (a, b) from t
select (row(1, 2)).f2
select (row(1, 2)).f3
select row_to_json(t), to_json(u) from t, u
select (s.r).a, (s.r).x from (select u as r from u) s
select a from t where (a, b) = (select 1, 2)
select a from t where (a, b) < (select 1, 2, 3)
select a from t where (a, b) in (select 1)
select (1, 2) = (1, 2, 3)
select a from t order by (a, b)
select a from t order by a fetch first 2 rows with ties
select a from t fetch first 2 rows with ties
select a from t limit (select 2)
select a from t tablesample bernoulli (10)
select a from t tablesample nothing (10)
with x as materialized (select a from t) select p.a, q.a from x p, x q
with x as (select a, sum(b) as s from t group by a) select x.s from x join x y using (a) where y.s > $1
select 'NaN'::numeric, 'Infinity'::numeric / 2, 'NaN'::numeric(10,2)
select case when a > 1 then 'NaN'::numeric else a end, coalesce(1.5, 'inf'::numeric), greatest('NaN'::numeric, 2) from t
select x from (values ('NaN'::numeric), (1), (2.5)) v(x) union select a from t
select 7::int % 2, 7.5::numeric % a from t
