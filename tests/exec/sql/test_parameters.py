"""Parameters: values put into a bound plan, and plans copied with columns of their own."""

from __future__ import annotations

import itertools

import pytest

from shoal.catalog.errors import AmbiguousParameter, IndeterminateDatatype, ProtocolViolation
from shoal.exec.plan.nodes import walk_plan
from shoal.exec.plan.parameters import bind_parameters
from shoal.exec.plan.rewrite import renumber
from tests.exec.sql.rendering import check, render
from tests.exec.sql.tables import bound


def test_values_replace_parameters() -> None:
    found = bound("select a + $1 from t where c = $2 and a = any($3) limit $4")
    assert [t.sql for t in found.parameters] == ["integer", "text", "integer[]", "bigint"]
    assert found.plan is not None
    plan = bind_parameters(found.plan, [5, "x", [1, 2], 7], found.parameters)
    assert render(plan) == """Limit 7:bigint
  Project ?column? = add(a, 5:integer)
    Filter and(eq(c, 'x':text), eq_any(a, (1, 2):integer[]))
      Scan t"""
    with pytest.raises(ProtocolViolation, match="supplies 1 parameters, but the prepared statement requires 4"):
        bind_parameters(found.plan, [1], found.parameters)


def test_declared_types_are_kept() -> None:
    found = bound("select $1, $2 + 1", "date", "bigint")
    assert [t.sql for t in found.parameters] == ["date", "bigint"]
    assert [f.type.sql for f in found.fields] == ["date", "bigint"]


def test_undetermined_and_contradictory() -> None:
    with pytest.raises(IndeterminateDatatype):
        bound("select 1 where $1 is null")
    with pytest.raises(AmbiguousParameter) as caught:
        bound("select $1, a from t where a = $1")
    assert (caught.value.message, caught.value.position) == ("inconsistent types deduced for parameter $1", 8)


def test_renumbered_copies_share_no_column() -> None:
    found = bound("select x.c, sum(x.n) over (order by x.a) from t x join u using (a) where exists "
                  "(select 1 from v where v.id = x.a) union all select 'y', 2").plan
    assert found is not None
    copy, mapping = renumber(found, itertools.count(10_000))
    check(copy)
    assert render(copy) == render(found)
    ids = {f.id for node in walk_plan(copy) for f in node.output}
    assert min(ids) >= 10_000 and ids <= set(mapping.values())
