"""The judge over PostgreSQL's regression scripts: what it takes for a statement, and for the same answer."""

from __future__ import annotations

import pytest

from conformance.regress.order import equal_but_for_ties, is_ordered, sort_columns
from conformance.regress.psql import Script
from conformance.regress.run import REORDERED, difference
from conformance.regress.sides import Answer


def answer(*rows: tuple[bytes | None, ...], columns: tuple[str, ...] = ("a", "b")) -> Answer:
    return Answer(columns, ("23/-1",) * len(columns), rows)


@pytest.mark.parametrize("statement, found", [
    ("select a, b from t order by b, a desc nulls last", [1, 0]), ("select a, b from t order by 2", [1]),
    ('select a, b from t order by "b" using > limit 3', [1]), ("select a, b from t order by c", []),
    ("select sum(a) as a, sum(b) as b from t order by sum(b) desc", [1]), ("select a, b from (select 1 order by a) t", []),
    ("select x, rank() over w from t window w as (order by x) order by rank() over w", [1]),
    ("select sum(x), sum(y) from t order by sum(z)", []),
    ("select 'b', 'order by' || x from t order by 'order by' || x", [1]),
    ("select t.*, 1 from t order by t.x", []), ("select x, y from t union select 1, 2 order by x", []),
    ("select distinct on (x) x, lower(y) from t order by x, lower(y) -- order by z", [0, 1])])
def test_sort_keys_that_the_answer_shows(statement: str, found: list[int]) -> None:
    assert sort_columns(statement, ("a", "b")) == found


def test_only_rows_with_equal_keys_may_change_places() -> None:
    rows = [(b"1", b"x"), (b"1", b"y"), (b"2", b"x")]
    expected, tied, wrong = answer(*rows), answer(rows[1], rows[0], rows[2]), answer(rows[0], rows[2], rows[1])
    statement = "select a, b from t order by a"
    assert is_ordered(statement) and difference(statement, expected, tied) == REORDERED
    assert equal_but_for_ties(statement, expected, tied) and not equal_but_for_ties(statement, expected, wrong)
    assert not equal_but_for_ties("select a, b from t order by c", expected, tied)
    assert difference("select a, b from t", expected, wrong) == ""
    assert difference("select a, b from t", expected, answer(*rows[:2], rows[1])) == "other rows"


def test_names_and_types_are_compared() -> None:
    one = answer((b"1", b"2"))
    assert difference("select", one, answer((b"1", b"2"), columns=("a", "c"))) == "other column names"
    assert difference("select", one, Answer(one.columns, ("23/-1", "20/-1"), one.rows)) == "other column types"
    assert difference("select", one, Answer(sqlstate="42703", message='column "x" 12')).startswith("42703 column")


def test_statements_of_a_script() -> None:
    script = Script("""\\set n 3
select 'a;''b', $$;$$, :n, :'n' /* ; /* ; */ */; -- select
set standard_conforming_strings = off;
select 'a\\';b', U&'\\';
set standard_conforming_strings = on;
select '\\';
copy t from stdin;
1\t;
\\.
select 1 as x \\gset
create function f() returns int begin atomic select case when true then 1 end; end;
""", {})
    found = list(script)
    assert [one.line for one in found] == [2, 3, 4, 5, 6, 7, 10, 11]
    assert [found[0].text, found[2].text, found[4].text] == [
        "select 'a;''b', $$;$$, 3, '3' /* ; /* ; */ */", "select 'a\\';b', U&'\\'", "select '\\'"]
    assert found[5].data == "1\t;\n" and found[6].into_variables and found[7].text.endswith("end; end")
    assert [one.is_query for one in found] == [True, False, True, False, True, False, True, False]
