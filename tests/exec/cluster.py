"""A real engine with real worker processes for tests: `with Cluster(catalogs, workers=2) as cluster: cluster.rows(sql)`.

The engine's event loop runs in a thread of its own, so tests stay plain functions.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from shoal.catalog import scaled
from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.registry import Catalogs
from shoal.catalog.types import SqlType, to_python
from shoal.exec.engine import Engine, EngineOptions, Execution, Prepared
from shoal.exec.session_context import SessionContext

T = TypeVar("T")


class Cluster:
    """`catalogs`: definitions to mount, as (name, url) or CatalogDefinition; `options` go to EngineOptions."""

    def __init__(self, catalogs: Iterable[CatalogDefinition | tuple[str, str]] = (), *, workers: int = 2,
                 database: str = "shoal", timeout_s: float = 60.0, **options: Any) -> None:
        definitions = [c if isinstance(c, CatalogDefinition) else CatalogDefinition(*c) for c in catalogs]
        self.catalogs = Catalogs(definitions)
        self.session = SessionContext(database=database, now_us=int(time.time() * 1_000_000))
        self._options = EngineOptions(workers=workers, **options)
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)

    def __enter__(self) -> Cluster:
        self._thread.start()
        self.engine = self.call(self._start())
        return self

    async def _start(self) -> Engine:
        engine = Engine(self.catalogs, self._options)
        await engine.start()
        return engine

    def __exit__(self, *_: object) -> None:
        try:
            self.call(self.engine.stop(drain=False))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self.catalogs.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the engine's loop; fails the test when it hangs."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, self._timeout_s), self._loop).result()

    def session_with(self, settings: dict[str, str]) -> SessionContext:
        """The tests' session with some settings."""
        return replace(self.session, settings=settings)

    def prepare(self, sql: str, session: SessionContext | None = None) -> Prepared:
        return self.call(self.engine.prepare(sql, session or self.session))

    def start(self, sql: str, parameters: Sequence[Any] = (), session: SessionContext | None = None) -> Execution:
        """A statement that runs, its rows unread."""
        async def work() -> Execution:
            prepared = await self.engine.prepare(sql, session or self.session)
            return await self.engine.execute(prepared, session or self.session, parameters)

        return self.call(work())

    def read(self, execution: Execution) -> list[tuple[Any, ...]]:
        """All rows of a statement, as Python values."""
        async def work() -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = []
            async for batch in execution:
                columns = [python_values(a, f.type) for a, f in zip(batch, execution.fields, strict=True)]
                found += list(zip(*columns, strict=True))
            return found

        return self.call(work())

    def rows(self, sql: str, parameters: Sequence[Any] = (), session: SessionContext | None = None) -> list[tuple[Any, ...]]:
        """Runs one statement to its end."""
        return self.read(self.start(sql, parameters, session))

    def tag(self, sql: str) -> str:
        """Runs one statement and gives its command tag."""
        execution = self.start(sql)
        self.read(execution)
        return execution.tag


def python_values(array: pa.Array, sql_type: SqlType) -> list[Any]:
    """A column in storage form as Python values; numerics as Decimal."""
    if sql_type.name == "numeric" and pa.types.is_int64(array.type):
        return [to_python(value, sql_type) for value in array.to_pylist()]
    if sql_type.varies:
        return [to_python(value, sql_type) for value in scaled.texts(array).to_pylist()]
    return array.to_pylist()
