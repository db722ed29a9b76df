"""Answers that are kept in their wire form: row descriptions, and the rows of queries that read nothing.

A prepared statement's RowDescription is the same for every run, and so are the rows of one whose expressions are
constant; encoding them again would take longer than everything else such a query needs. They are kept beside the
engine's prepared statement, for as long as that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shoal.exec.encoding.datarow import RowEncoder
from shoal.exec.prepared import Prepared
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection
from shoal.server.responses import row_description

if TYPE_CHECKING:
    from shoal.server.session import Session

Formats = tuple[int, ...]


def description(prepared: Prepared, formats: Formats) -> bytes:
    """RowDescription."""
    found = prepared.derived.get(formats)
    if found is None:
        found = prepared.derived[formats] = Connection.send(row_description(prepared.fields, formats))
    return found


def immediate_row(session: Session, prepared: Prepared, formats: Formats, values: Sequence[Any]) -> bytes:
    """DataRow and CommandComplete of a query that reads nothing. Raises: what its expressions raise."""
    assert prepared.immediate is not None
    session.transaction.queried = session.transaction.block
    if not prepared.immediate.constant:
        return _computed(session, prepared, formats, values)
    key = formats, session.key
    found = prepared.derived.get(key)
    if found is None:
        found = prepared.derived[key] = _computed(session, prepared, formats, values)
    return found


def _computed(session: Session, prepared: Prepared, formats: Formats, values: Sequence[Any]) -> bytes:
    assert prepared.immediate is not None
    task_settings = session.context().task_settings()
    encoder = RowEncoder([field.type for field in prepared.fields], formats, task_settings)
    rows = encoder.encode(prepared.immediate.row(task_settings, values), 1)
    return b"".join([*rows, Connection.send(m.CommandComplete("SELECT 1"))])
