"""COPY ... TO STDOUT: what stands around the rows that exec/encoding/copy_rows.py encodes.

Hop 7 of a query's way. Spec: PostgreSQL 15 documentation, COPY, "File Formats"; 55.2.6 "COPY Operations".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from shoal.catalog.errors import FeatureNotSupported, SqlError, UndefinedColumn
from shoal.exec.encoding.copy_rows import CopyEncoder
from shoal.exec.plan.result import ResultEncoding
from shoal.server import preparing
from shoal.server.copy_options import CopyFormat
from shoal.server.cursors import Cursor
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection

if TYPE_CHECKING:
    from shoal.server.session import Session
    from shoal.server.statements import Copy

_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_TRAILER = b"\xff\xff"
_MESSAGE_HEADER_BYTES = 5


class Framing:
    """What stands before, between and after the rows' messages."""

    def __init__(self, form: CopyFormat) -> None:
        self._form = form
        self._begun = False

    def start(self, encoder: CopyEncoder, columns: Sequence[str]) -> bytes:
        """What comes before the first row: the header line. The binary header goes with the first row."""
        return Connection.send(m.CopyData(encoder.header_line(columns))) if self._form.header else b""

    def blocks(self, block: memoryview) -> Iterator[bytes | memoryview]:
        """A block of rows as it is sent: clients take the binary header and a row for one message, as PostgreSQL does."""
        if self._form.format == "binary" and not self._begun:
            end = 1 + int.from_bytes(block[1:_MESSAGE_HEADER_BYTES], "big")
            yield Connection.send(m.CopyData(_BINARY_HEADER + bytes(block[_MESSAGE_HEADER_BYTES:end])))
            block = block[end:]
        self._begun = True
        if len(block):
            yield block

    def end(self) -> bytes:
        """What comes after the last row."""
        if self._form.format != "binary":
            return b""
        return Connection.send(m.CopyData(_BINARY_TRAILER if self._begun else _BINARY_HEADER + _BINARY_TRAILER))


def _missing(columns: Sequence[str], error: SqlError) -> str | None:
    """The listed column that an error is about."""
    return next((name for name in columns if f'"{name}"' in error.message), None)


async def copy_out(session: Session, utility: Copy) -> str:
    """Runs COPY ... TO STDOUT for a session: everything but the CommandComplete, whose tag it gives."""
    from shoal.server.lexer import StatementText
    form = CopyFormat.of(utility.options, utility.positions)
    assert utility.sql is not None
    try:
        statement = await preparing.prepare(session, "", StatementText(utility.sql, utility.offset), None, ())
    except SqlError as error:
        if utility.table:
            error.position = 0
            if isinstance(error, UndefinedColumn) and (name := _missing(utility.columns, error)):
                raise UndefinedColumn(f'column "{name}" of relation "{utility.table[-1]}" does not exist') from None
        error.position += utility.offset if error.position and utility.offset else 0
        raise
    if statement.prepared is None or not statement.prepared.returns_rows:
        raise FeatureNotSupported("COPY query must have a RETURNING clause" if statement.prepared else "COPY needs a query")
    fields = statement.prepared.fields
    columns, types = [field.name for field in fields], tuple(field.type for field in fields)
    style = form.style(columns)
    source = await session.start_execution(statement, (), ResultEncoding(types, copy=style))
    try:
        encoder = CopyEncoder(types, style, session.context().task_settings(), session.object_names(types))
        framing = Framing(form)
        wire = 1 if form.format == "binary" else 0
        session.send(m.CopyOutResponse(wire, (wire,) * len(fields)))
        if before := framing.start(encoder, columns):
            await session.output.send_block(before)
        sent = await session.output.send_rows(Cursor(source).forward(), encoder, framing.blocks)
        if after := framing.end():
            await session.output.send_block(after)
        session.send(m.CopyDone())
    finally:
        await source.close()
    return f"COPY {sent}"
