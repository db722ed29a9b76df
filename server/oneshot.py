"""`shoal query`: one statement, run by the same engine and workers as a server's, its rows printed as text.

Spec of the table: psql's aligned format.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoal.catalog.config import Config
from shoal.catalog.errors import ConfigurationError, SqlError
from shoal.catalog.registry import FEDERATED, Catalogs
from shoal.server.cli import FAILURE, OK, complain

if TYPE_CHECKING:
    from shoal.exec.engine import Engine, ResultField

MOST_ALIGNED_ROWS = 100_000
"""A table is aligned by its widest values, so it is held until it is complete; more rows than this print in parts."""


def run(config: Config, sql: str, *, csv: bool = False, database: str | None = None) -> int:
    """Runs the statement; gives the exit code. Raises: ConfigurationError."""
    return asyncio.run(_run(config, sql, csv, database))


async def _run(config: Config, sql: str, csv: bool, database: str | None) -> int:
    from shoal.exec.engine import Engine, EngineOptions
    from shoal.server.serving import add_system_schemas, load_planner, memory_bytes, worker_count

    catalogs = Catalogs(config.catalogs)
    names = catalogs.names()
    chosen = database or ("files" if config.server.paths else FEDERATED)
    if chosen not in (*names, FEDERATED):
        raise ConfigurationError(f'there is no catalog "{chosen}"', hint=f"There are: {', '.join(sorted(names))}.")
    workers = max(worker_count(config), 1)
    engine = Engine(catalogs, EngineOptions(workers=workers, memory_bytes=memory_bytes(config),
                                            spill_dir=str(config.server.spill_dir or "")))
    add_system_schemas(catalogs)
    warm = asyncio.get_running_loop().run_in_executor(None, load_planner)
    await engine.start()
    try:
        await warm
        return await _statement(engine, sql, csv, chosen)
    except SqlError as error:
        complain(f"ERROR: {error.message}" + (f" (at character {error.position})" if error.position else "")
                  + (f" HINT: {error.hint}" if error.hint else ""))
        return FAILURE
    finally:
        await engine.stop(drain=False)
        catalogs.close()


async def _statement(engine: Engine, sql: str, csv: bool, database: str) -> int:
    from shoal.exec.functions.text_output import to_text
    from shoal.exec.session_context import SessionContext

    session = SessionContext(database=database, now_us=time.time_ns() // 1000)
    prepared = await engine.prepare(sql, session)
    for notice in prepared.notices:
        print(f"NOTICE: {notice}", file=sys.stderr)
    execution = await engine.execute(prepared, session)
    printer = _Csv(prepared.fields) if csv else _Table(prepared.fields)
    settings = session.task_settings()
    async for arrays in execution:
        if prepared.returns_rows:
            columns = [to_text(array, field.type, settings).to_pylist() for array, field in zip(arrays, prepared.fields)]
            printer.add(list(zip(*columns)))
    if prepared.returns_rows:
        printer.end()
    elif not csv:
        print(execution.tag)
    return OK


class _Csv:
    def __init__(self, fields: Sequence[ResultField]) -> None:
        import csv
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow([field.name for field in fields])

    def add(self, rows: list[tuple[str | None, ...]]) -> None:
        self._writer.writerows(rows)

    def end(self) -> None:
        sys.stdout.flush()


class _Table:
    """psql's aligned table: numbers to the right, a count of rows at the end."""

    def __init__(self, fields: Sequence[ResultField]) -> None:
        self._names = [field.name for field in fields]
        self._right = [field.type.is_number for field in fields]
        self._rows: list[tuple[str | None, ...]] = []
        self._widths: list[int] = []
        self._count = 0

    def add(self, rows: list[tuple[str | None, ...]]) -> None:
        self._rows += rows
        self._count += len(rows)
        if len(self._rows) >= MOST_ALIGNED_ROWS:
            self._print()

    def end(self) -> None:
        self._print()
        print(f"({self._count} row{'' if self._count == 1 else 's'})")

    def _print(self) -> None:
        if not self._widths:
            columns = list(zip(*self._rows)) or [()] * len(self._names)
            self._widths = [max([len(name), *(len(value or "") for value in column)])
                            for name, column in zip(self._names, columns)]
            print("|".join(f" {_centered(name, width)} " for name, width in zip(self._names, self._widths)).rstrip())
            print("+".join("-" * (width + 2) for width in self._widths))
        for row in self._rows:
            cells = [(value or "").rjust(width) if right else (value or "").ljust(width)
                     for value, width, right in zip(row, self._widths, self._right)]
            print("|".join(f" {cell} " for cell in cells).rstrip())
        self._rows = []


def _centered(text: str, width: int) -> str:
    """In the middle, or just left of it."""
    return (" " * ((width - len(text)) // 2) + text).ljust(width)
