"""The fragmenter: cuts at exchanges, decides how many tasks run each part."""

from __future__ import annotations

import pytest

from shoal.catalog.errors import InternalError
from shoal.exec.fragmenter import fragment
from shoal.exec.plan.nodes import Exchange, Field, Join, PlanNode, Project, RemoteSource, Scan, SharedRows, Union, With
from tests.exec.optimizer.plan_script import Script, parse_table

TABLES = [parse_table("table t 10 rows: a int4"), parse_table("table s 10 rows: x int4"),
          parse_table("table m 10 rows in coordinator: k int4")]


def scans() -> tuple[Script, Scan, Scan, Scan]:
    script = Script(TABLES)
    t, s, m = (script.plan(f"Scan {name}") for name in ("t", "s", "m"))
    assert isinstance(t, Scan) and isinstance(s, Scan) and isinstance(m, Scan)
    return script, t, s, m


def test_partitioned_join() -> None:
    script, t, s, _ = scans()
    a, x = t.output[0].ref(), s.output[0].ref()
    plan: PlanNode = Exchange(Join("inner", Exchange(t, "hash", (a,)), Exchange(s, "hash", (x,)), ((a, x),)), "gather",
                              to_coordinator=True)
    parts = fragment(plan, script.catalogs)
    assert [(p.partitioning, p.output_kind, p.output_keys, p.inputs) for p in parts] == [
        ("source", "hash", (1,), ()), ("source", "hash", (2,), ()), ("hash", "gather", (), (0, 1)),
        ("coordinator", "gather", (), (2,))]
    assert parts[-1].root == RemoteSource(2, (*t.output, *s.output))
    assert [node.scan_id for p in parts for node in (p.root,) if isinstance(node, Scan)] == [1, 2]


def test_shared_rows_are_one_fragment_with_numbered_readers() -> None:
    script, t, s, _ = scans()
    a = t.output[0]
    first, second = (SharedRows(7, (Field(i, "a", a.type),), (a.id,)) for i in (20, 21))
    plan = With((7, 8), (t, s, Exchange(Union((first, second), (Field(22, "a", a.type),), ((20,), (21,))), "gather")))
    shared, union, root = fragment(plan, script.catalogs)  # nobody reads number 8
    assert (shared.partitioning, shared.output_kind, shared.readers) == ("source", "shared", 2)
    assert (union.partitioning, union.inputs, root.inputs) == ("hash", (0,), (1,))
    assert isinstance(union.root, Union)
    assert union.root.inputs == (RemoteSource(0, first.fields, (), 0), RemoteSource(0, second.fields, (), 1))


def test_a_reader_of_some_shared_columns_drops_the_others() -> None:
    script, t, s, _ = scans()
    made = Field(20, "x", s.output[0].type)
    pair = Join("inner", t, Exchange(s, "broadcast"))
    plan = With((7,), (pair, SharedRows(7, (made,), (s.output[0].id,))))
    root = fragment(plan, script.catalogs)[-1].root
    assert root == Project(RemoteSource(1, (t.output[0], made)), ((made, made.ref()),))


def test_coordinator_rows_spread_to_workers_that_scan() -> None:
    script, t, _, m = scans()
    union = Union((t, Exchange(m, "round_robin")), t.output, ((1,), (3,)))
    assert [(p.partitioning, p.output_kind) for p in fragment(union, script.catalogs)] == [
        ("coordinator", "round_robin"), ("source", "gather")]


def test_no_table_at_all_is_the_coordinators() -> None:
    script, *_ = scans()
    (only,) = fragment(script.plan("Values"), script.catalogs)
    assert only.partitioning == "coordinator"


def test_a_scan_of_the_coordinator_cannot_sit_beside_divided_ones() -> None:
    script, t, _, m = scans()
    with pytest.raises(InternalError, match="mixes"):
        fragment(Join("inner", t, m), script.catalogs)
