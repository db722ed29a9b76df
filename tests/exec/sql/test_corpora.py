"""All queries of TPC-H and the TPC-DS queries at hand bind, and every column that a plan reads exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.catalog.access import Namespace
from shoal.catalog.registry import Catalogs
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bind import bind
from shoal.exec.sql.parse import parse
from tests.exec.sql.rendering import check
from tests.exec.sql.tables import TPCH, Tables
from tests.exec.sql.tpcds_tables import TPCDS

CORPORA = Path(os.environ.get("SHOAL_CORPORA", Path(__file__).parents[3] / ".." / "shared" / "corpora"))


def _queries(corpus: str) -> list[Path]:
    return sorted((CORPORA / corpus / "queries").glob("*.sql"))


@pytest.mark.parametrize(("corpus", "count"), [("tpch", 22), ("tpcds", 50)])
def test_every_query_binds(corpus: str, count: int) -> None:
    if not CORPORA.is_dir():
        pytest.skip("the corpora are not here (SHOAL_CORPORA)")
    catalogs = Catalogs()
    catalogs.add(Tables("d", TPCH if corpus == "tpch" else TPCDS))
    namespace, session = Namespace(catalogs, "d"), SessionContext(database="d")
    paths = _queries(corpus)
    assert len(paths) >= count
    for path in paths:
        found = bind(parse(path.read_text().strip().rstrip(";")), namespace, session)
        assert found.plan is not None
        check(found.plan)
        assert [f.id for f in found.plan.output] == [f.id for f in found.fields]
        assert all(f.type.name not in ("unknown", "void") for f in found.fields)


def test_types_of_tpch_q1() -> None:
    path = CORPORA / "tpch" / "queries" / "q01.sql"
    if not path.exists():
        pytest.skip("the corpora are not here (SHOAL_CORPORA)")
    catalogs = Catalogs()
    catalogs.add(Tables("d", TPCH))
    found = bind(parse(path.read_text().strip().rstrip(";")), Namespace(catalogs, "d"), SessionContext(database="d"))
    assert [f.type.sql for f in found.fields] == [
        "character varying", "character varying", "numeric(38,2)", "numeric(38,2)", "numeric(38,4)", "numeric(47,6)",
        "numeric", "numeric", "numeric", "bigint"]
