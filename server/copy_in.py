"""COPY ... FROM STDIN: blocks of the client's data become columns (copy_text.py, copy_binary.py) and go into the table.

Between hop 1 and the connector's writer. The client is read only while there is room: a block is stored before the next is
taken. Whatever goes wrong, nothing has been stored, and the protocol goes on after the client's CopyDone or CopyFail.

Spec: PostgreSQL 15 documentation, COPY; 55.2.6 "COPY Operations"; wording of copyfrom.c and copyfromparse.c.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.catalog.errors import (
    ConnectionFailure,
    FeatureNotSupported,
    InvalidColumnReference,
    ObjectNotInPrerequisiteState,
    ProtocolViolation,
    QueryCanceled,
    SqlError,
    UndefinedColumn,
)
from shoal.exec.loading import Loading, RowError
from shoal.server.copy_binary import BinaryReader
from shoal.server.copy_options import CopyFormat, codec_of
from shoal.server.copy_text import HeaderMismatch, Rows, TextReader, shown
from shoal.server.protocol import messages as m
from shoal.server.responses import SynchronizationLost

if TYPE_CHECKING:
    from shoal.server.session import Session
    from shoal.server.statements import Copy


async def copy_in(session: Session, utility: Copy) -> str:
    """Runs COPY ... FROM STDIN for a session: everything but the CommandComplete, whose tag it gives."""
    if utility.target is not None:
        raise FeatureNotSupported("COPY from a file or program on the server is not supported", hint="Use COPY FROM STDIN.")
    form = CopyFormat.of(utility.options, utility.positions, inward=True)
    loading = await session.shared.engine.load(utility.table, utility.columns, utility.where, session.context())
    try:
        names = loading.load.names
        for option, word in ((form.force_not_null, "FORCE_NOT_NULL"), (form.force_null, "FORCE_NULL")):
            _require_columns(option, word, names, [c.name for c in loading.load.columns], utility.table[-1])
        incoming = _Incoming(loading, form, form.encoding or codec_of(session.settings.get("client_encoding")) or "utf-8")
        wire = 1 if form.format == "binary" else 0
        session.send(m.CopyInResponse(wire, (wire,) * len(names)))
        session.flush()
        if form.freeze and not loading.is_fresh():
            raise ObjectNotInPrerequisiteState("cannot perform COPY FREEZE because the table was not created or truncated "
                                               "in the current subtransaction")
        while True:
            message = await session.client.read()
            match message:
                case m.CopyData(data):
                    if incoming.takes(data):
                        await asyncio.to_thread(incoming.feed)
                case m.CopyDone():
                    break
                case m.CopyFail(reason):
                    await asyncio.to_thread(incoming.feed)  # a mistake in what has come is told first
                    raise incoming.at_end(QueryCanceled(f"COPY from stdin failed: {reason}"))
                case m.Undecodable("f", error):
                    raise incoming.at_end(error)
                case m.Flush() | m.Sync():
                    pass  # a client that pipelines has sent it already
                case None:
                    raise ConnectionFailure("unexpected EOF on client connection with an open transaction")
                case _:
                    raise SynchronizationLost(incoming.at_end(ProtocolViolation(
                        f"unexpected message type 0x{ord(m.type_of(message)):02X} during COPY from stdin")))
        await asyncio.to_thread(incoming.finish)
    except BaseException:
        loading.abort()
        raise
    return f"COPY {loading.rows}"


def _require_columns(chosen: Sequence[str] | str, option: str, given: Sequence[str], all_names: Sequence[str],
                     table: str) -> None:
    """Raises: UndefinedColumn (42703), InvalidColumnReference (42P10) for what an option names."""
    for name in () if isinstance(chosen, str) else chosen:
        if name not in all_names:
            raise UndefinedColumn(f'column "{name}" of relation "{table}" does not exist')
        if name not in given:
            raise InvalidColumnReference(f'{option} column "{name}" not referenced by COPY')


class _Incoming:
    """The data of one COPY on its way into the table; errors get the context of their place."""

    def __init__(self, loading: Loading, form: CopyFormat, encoding: str) -> None:
        self._loading, self._names = loading, loading.load.names
        self._table = loading.load.found.handle.name
        self._binary: BinaryReader | None = None
        self._text: TextReader | None = None
        if form.format == "binary":
            self._binary = BinaryReader([loading.load.columns[i].type for i in loading.load.given], self._names,
                                        loading.settings)
        else:
            self._text = TextReader(form, self._names, encoding)
        self._blocks: list[tuple[int, int]] = []
        """(rows stored before, lines before) each block."""
        self._lines = 0

    def takes(self, data: bytes) -> bool:
        """Notes data; True when there is enough to make a block of it, which `feed` then does."""
        reader = self._text or self._binary
        assert reader is not None
        return reader.takes(data)

    def feed(self) -> None:
        """Stores the rows of what has come so far."""
        self._store(final=False)

    def finish(self) -> None:
        """Stores the rest, and commits."""
        self._store(final=True)
        try:
            self._loading.commit()
        except SqlError as error:
            if error.row is not None:
                stored, lines = max((block for block in self._blocks if block[0] <= error.row), default=(0, 0))
                error.where = f"COPY {self._table}, line {lines + error.row - stored + 1}"
            raise

    def at_end(self, error: SqlError) -> SqlError:
        """The error with the place the data has got to."""
        error.where = f"COPY {self._table}, line {self._lines + 1}"
        return error

    def _store(self, final: bool) -> None:
        if self._binary is not None:
            self._store_binary(self._binary, final)
            return
        assert self._text is not None
        with self._header_context():
            block = self._text.cut(final)
        if block is None:
            return
        self._blocks.append((self._loading.rows, block.first_line))
        try:
            self._loading.append_texts(block.columns, block.rows)
        except RowError as bad:
            raise self._placed(bad, block) from None
        self._lines = block.first_line + block.rows
        if block.error is not None:
            if block.partial is not None:
                self._check_partial(block)
            block.error.where = f'COPY {self._table}, line {block.line_number(block.rows)}'
            if block.shows_line:
                block.error.where += f': "{block.line(block.rows)}"'
            raise block.error

    def _check_partial(self, block: Rows) -> None:
        """Looks at the values that a row without some of them does have: they come first."""
        assert block.partial is not None
        try:
            self._loading.check_texts(block.partial)
        except RowError as bad:
            assert bad.column is not None
            value = block.partial[bad.column]
            bad.error.where = (f"COPY {self._table}, line {block.line_number(block.rows)}, column "
                               f'{self._names[bad.column]}: "{shown(value or "")}"')
            raise bad.error from None

    @contextmanager
    def _header_context(self) -> Iterator[None]:
        try:
            yield
        except HeaderMismatch as error:
            error.where = f'COPY {self._table}, line 1: "{error.rows.line(0)}"'
            raise
        except SqlError as error:
            if not error.where:
                error.where = f"COPY {self._table}, line {self._lines + 1}"
            raise

    def _placed(self, bad: RowError, block: Rows) -> SqlError:
        where = f"COPY {self._table}, line {block.line_number(bad.row)}"
        if bad.column is None:
            where += f': "{block.line(bad.row)}"'
        else:
            value = block.columns[bad.column][bad.row].as_py()
            where += f", column {self._names[bad.column]}: " + ("null input" if value is None else f'"{shown(value)}"')
        bad.error.where = where
        return bad.error

    def _store_binary(self, reader: BinaryReader, final: bool) -> None:
        try:
            block = reader.cut(final)
            if block is None:
                return
            self._blocks.append((self._loading.rows, self._lines))
            self._loading.append(block.columns, block.rows, block.readers)
            self._lines += block.rows
            if block.error is not None:
                block.error.where = f"COPY {self._table}, line {self._lines + 1}"
                if block.error_column is not None:
                    block.error.where += f", column {self._names[block.error_column]}"
                raise block.error
        except RowError as bad:
            bad.error.where = f"COPY {self._table}, line {self._lines + bad.row + 1}"
            if bad.column is not None:
                bad.error.where += f", column {self._names[bad.column]}"
            raise bad.error from None
        except SqlError as error:
            if reader.begun:
                error.where = error.where or f"COPY {self._table}, line {self._lines + 1}"
            raise

