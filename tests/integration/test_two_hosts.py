"""A coordinator and a worker on another address both do part of a query; a worker without the secret is turned away."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.corpora import CORPORA
from conformance.two_hosts import Host, check


@pytest.mark.skipif(not CORPORA.exists(), reason="the corpora are not there (SHOAL_CORPORA)")
def test_two_loopback_addresses(tmp_path: Path) -> None:
    lines = check(Host("127.0.0.1"), Host("127.0.0.2"), tmp_path)
    assert len(lines) == 3 and "refused the cluster secret" in lines[2]
