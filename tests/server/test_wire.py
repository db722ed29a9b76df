"""The scripts of conformance/wire: Shoal's answers, however the bytes come, and PostgreSQL's, which are on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.wire import run, script, servers
from conformance.wire.fuzz import fuzz
from conformance.wire.sessions import Target
from shoal.catalog import config
from shoal.server.serving import server_options
from tests.exec.cluster import Cluster
from tests.postgres_server import PostgresServer
from tests.server.conftest import Address, listening

FILES = sorted(script.FOLDER.glob("*.pgt"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wire")
    servers.certificates(folder)
    return folder


@pytest.fixture(scope="module")
def targets(shoal: Address, certificates: Path) -> Iterator[dict[str, Target]]:
    """Shoal, by the kind of server a script needs. The secure one has its own engine, whose catalog shows its sessions."""
    settings = certificates / "shoal.toml"
    settings.write_text(servers.CONFIGURATION)
    with (Cluster([("sample", "sample:")], workers=1) as cluster,
          listening(cluster, server_options(config.load(settings))) as secure):
        yield {"plain": Target(shoal.host, shoal.port), "secure": Target(secure.host, secure.port, files=certificates)}


@pytest.mark.parametrize("replay", run.REPLAYS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shoal(targets: dict[str, Target], path: Path, replay: run.Replay) -> None:
    for kind, target in targets.items():
        scripts = [item for item in script.read(path) if item.server == kind]
        _compare(scripts, target, replay, own=True)


def test_the_record_is_postgres(postgres_server: PostgresServer, certificates: Path) -> None:
    if postgres_server.version != 15:
        pytest.skip("the answers on record are those of PostgreSQL 15")
    scripts = [item for item in script.read_all() if item.live]
    _compare([item for item in scripts if item.server == "plain"], servers.prepare(postgres_server), "plain", own=False)
    with servers.secured(postgres_server, certificates) as secure:
        if secure is not None:
            _compare([item for item in scripts if item.server == "secure"], secure, "plain", own=False)


def _compare(scripts: list[script.Script], target: Target, replay: run.Replay, own: bool) -> None:
    different = [str(difference) for item, found in zip(scripts, run.run_all(scripts, target, replay))
                 for difference in run.differences(item, found, run.expected(item, None, own))]
    if different:
        pytest.fail("\n".join(different), pytrace=False)


def test_there_are_scripts_of_every_message() -> None:
    names = {operation.name for item in script.read_all() for step in item.steps for operation in step.operations}
    assert {"Bind", "Close", "CopyData", "CopyDone", "CopyFail", "Describe", "Execute", "Flush", "FunctionCall",
            "GSSENCRequest", "Parse", "Password", "Query", "SSLRequest", "Sasl", "Startup", "Sync", "Terminate",
            "cancel"} <= names
    assert sum(1 for _ in script.read_all()) >= 150


def test_broken_messages_do_no_harm(shoal: Address) -> None:
    report = fuzz(shoal.host, shoal.port, seed=7, count=300)
    assert report.failures == [] and report.cases == 300
