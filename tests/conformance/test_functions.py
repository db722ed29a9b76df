"""The audit of functions: nothing in scope is missing, and examples and a sample of the matrices are answered alike."""

from __future__ import annotations

import pytest

from conformance.functions import __main__ as audit
from conformance.functions import inventory, scope
from tests.postgres_server import find_binaries

SHARE = 0.02
CALLS = 500


def test_nothing_in_scope_is_missing() -> None:
    assert audit.audit() == []


def test_every_category_has_a_reason() -> None:
    categories = {one.category for one in (*inventory.functions(), *inventory.operators())}
    assert categories - {scope.IN_SCOPE} <= set(scope.REASONS)


@pytest.mark.skipif(find_binaries() is None, reason="no PostgreSQL here")
def test_examples_and_matrices_are_alike() -> None:
    with audit.both() as (postgres, shoal):
        assert audit.run_examples(postgres, shoal) == []
        assert audit.run_matrices(postgres, shoal, SHARE, 1) == []
        assert audit.run_values(postgres, shoal, CALLS, 1) == []
