"""Golden plans: each TPC-H query bound, optimized for two workers with the statistics of scale 1, and explained.

A change of a plan shows here as a difference to read; SHOAL_UPDATE_PLANS=1 writes plans/*.txt anew.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shoal.catalog.access import Namespace
from shoal.catalog.registry import Catalogs
from shoal.exec.fragmenter import fragment
from shoal.exec.optimizer import OptimizerContext, Switches, optimize
from shoal.exec.optimizer.validate import check_dynamic_filters, validate
from shoal.exec.plan.explain import explain_text
from shoal.exec.plan.nodes import PlanNode
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bind import bind
from shoal.exec.sql.parse import parse
from tests.exec.optimizer.plan_script import TableConnector, parse_table

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CORPORA = Path(os.environ.get("SHOAL_CORPORA", ROOT.parent / "shared" / "corpora"))
QUERIES = sorted((CORPORA / "tpch" / "queries").glob("q*.sql"))
SESSION = SessionContext(database="files")


@pytest.fixture(scope="module")
def catalogs() -> Catalogs:
    tables = [parse_table(line) for line in (HERE / "tpch_sf1.tables").read_text().splitlines()]
    made = Catalogs()
    made.add(TableConnector("files", tables, "any"))
    return made


def bound(query: Path, catalogs: Catalogs) -> PlanNode:
    plan = bind(parse(query.read_text()), Namespace(catalogs, "files"), SESSION, ()).plan
    assert plan is not None
    return plan


def context(catalogs: Catalogs, check: bool) -> OptimizerContext:
    return OptimizerContext(catalogs, SESSION.task_settings(), 2, switches=Switches(validate=check))


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_plan(query: Path, catalogs: Catalogs) -> None:
    plan = bound(query, catalogs)
    validate(plan, "binding")
    done = optimize(plan, context(catalogs, True))
    validate(done, "optimize", logical=False)
    check_dynamic_filters(done)
    assert done.output == plan.output
    lines = explain_text(fragment(done, catalogs))
    golden = HERE / "plans" / f"{query.stem}.txt"
    if os.environ.get("SHOAL_UPDATE_PLANS"):
        golden.write_text("\n".join(lines) + "\n")
    assert lines == golden.read_text().splitlines()


def test_planning_is_quick(catalogs: Catalogs) -> None:
    """Far above what it takes (about 2 ms a query), so that only a blow-up fails."""
    plans = [bound(query, catalogs) for query in QUERIES]
    started = time.perf_counter()
    for plan in plans:
        fragment(optimize(plan, context(catalogs, False)), catalogs)
    assert time.perf_counter() - started < 0.05 * len(plans)
